/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/asn1err.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pemerr.h>

#include "pem.h"
#include "trust_batch.h"

/* ---- Items ------------------------------------------------------------------------------ */

static void item_cleanup(struct evtls_trust_item *item)
{
    X509_free(item->x509);
    X509_CRL_free(item->crl);
    free(item->dir);
}

void evtls_trust_batch_cleanup(struct evtls_trust_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        item_cleanup(&batch->items[i]);
    free(batch->items);
    memset(batch, 0, sizeof(*batch));
}

static struct evtls_trust_item *find(struct evtls_trust_batch *batch,
                                     const struct evtls_trust_item *item)
{
    for (size_t i = 0; i < batch->n; i++) {
        struct evtls_trust_item *have = &batch->items[i];

        if (have->kind == item->kind &&
            memcmp(have->digest, item->digest, sizeof(item->digest)) == 0)
            return have;
    }
    return NULL;
}

/* Takes the item over, also where it is a duplicate or there is no memory. */
static int put(struct evtls_trust_batch *batch, struct evtls_trust_item *item)
{
    struct evtls_trust_item *have = find(batch, item);

    if (have != NULL) {
        have->announced |= item->announced;
        item_cleanup(item);
        return 0;
    }
    if (batch->n == batch->allocated) {
        size_t allocated = batch->allocated > 0 ? 2 * batch->allocated : 16;
        struct evtls_trust_item *items = realloc(batch->items, allocated * sizeof(*items));

        if (items == NULL) {
            item_cleanup(item);
            return -1;
        }
        batch->items = items;
        batch->allocated = allocated;
    }
    batch->items[batch->n++] = *item;
    return 0;
}

static int set_digest(struct evtls_trust_item *item, const void *bytes, size_t len)
{
    int done = EVP_Digest(bytes, len, item->digest, NULL, EVP_sha256(), NULL);

    evtls_ossl_clear_queue();
    return done == 1 ? 0 : -1;
}

/* Takes der over: what i2d_* made, or a failure of it. */
static int set_der_digest(struct evtls_trust_item *item, unsigned char *der, int len)
{
    int result = len > 0 ? set_digest(item, der, (size_t)len) : -1;

    OPENSSL_free(der);
    evtls_ossl_clear_queue();
    return result;
}

int evtls_trust_batch_add_certificate(struct evtls_trust_batch *batch, X509 *x509, bool announced)
{
    struct evtls_trust_item item = {.kind = EVTLS_TRUST_CERTIFICATE, .announced = announced};
    unsigned char *der = NULL;
    int len = i2d_X509_AUX(x509, &der);

    if (set_der_digest(&item, der, len) != 0)
        return -1;
    X509_up_ref(x509);
    item.x509 = x509;
    return put(batch, &item);
}

int evtls_trust_batch_add_crl(struct evtls_trust_batch *batch, X509_CRL *crl)
{
    struct evtls_trust_item item = {.kind = EVTLS_TRUST_CRL};
    unsigned char *der = NULL;
    int len = i2d_X509_CRL(crl, &der);

    if (set_der_digest(&item, der, len) != 0)
        return -1;
    X509_CRL_up_ref(crl);
    item.crl = crl;
    return put(batch, &item);
}

int evtls_trust_batch_add_dir(struct evtls_trust_batch *batch, const char *dir)
{
    struct evtls_trust_item item = {.kind = EVTLS_TRUST_DIR};

    if (set_digest(&item, dir, strlen(dir)) != 0)
        return -1;
    item.dir = strdup(dir);
    return item.dir != NULL ? put(batch, &item) : -1;
}

int evtls_trust_batch_add_all(struct evtls_trust_batch *batch, const struct evtls_trust_batch *src)
{
    for (size_t i = 0; i < src->n; i++) {
        struct evtls_trust_item copy = src->items[i];

        if (copy.x509 != NULL)
            X509_up_ref(copy.x509);
        if (copy.crl != NULL)
            X509_CRL_up_ref(copy.crl);
        if (copy.dir != NULL) {
            copy.dir = strdup(copy.dir);
            if (copy.dir == NULL)
                return -1;
        }
        if (put(batch, &copy) != 0)
            return -1;
    }
    return 0;
}

size_t evtls_trust_batch_count(const struct evtls_trust_batch *batch, enum evtls_trust_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < batch->n; i++)
        count += batch->items[i].kind == kind;
    return count;
}

/* ---- Reading ---------------------------------------------------------------------------- */

static int read_block(struct evtls_trust_batch *batch, const struct evtls_input *input,
                      const struct evtls_pem_block *block, bool announced, struct evtls_error *err)
{
    X509 *x509 = NULL;
    X509_CRL *crl = NULL;
    int status = EVTLS_OK;

    if (block->kind == EVTLS_PEM_CERTIFICATE || block->kind == EVTLS_PEM_TRUSTED_CERTIFICATE) {
        status = evtls_pem_get_certificate(&x509, input, block, err);
        if (status == EVTLS_OK && evtls_trust_batch_add_certificate(batch, x509, announced) != 0)
            status = evtls_error_set_nomem(err);
    } else if (block->kind == EVTLS_PEM_CRL) {
        status = evtls_pem_get_crl(&crl, input, block, err);
        if (status == EVTLS_OK && evtls_trust_batch_add_crl(batch, crl) != 0)
            status = evtls_error_set_nomem(err);
    }
    X509_free(x509);
    X509_CRL_free(crl);
    return status;
}

static int read_pem(struct evtls_trust_batch *batch, const struct evtls_input *input,
                    struct evtls_error *err)
{
    struct evtls_pem_cursor cursor;
    struct evtls_pem_block block;
    size_t found = 0;
    int status = evtls_pem_begin(&cursor, input, err);

    if (status != EVTLS_OK)
        return status;
    while ((status = evtls_pem_next(&cursor, &block, err)) > 0) {
        status = read_block(batch, input, &block, true, err);
        if (status != EVTLS_OK)
            return status;
        found += block.kind == EVTLS_PEM_CERTIFICATE ||
                 block.kind == EVTLS_PEM_TRUSTED_CERTIFICATE || block.kind == EVTLS_PEM_CRL;
    }
    if (status == 0 && found == 0)
        return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, PEM_R_NO_START_LINE,
                                      "%s has no certificate or CRL in it", input->name);
    return status;
}

/* False when the bytes do not begin with the whole of an ASN.1 value. */
static bool is_whole_value(const unsigned char *der, size_t left)
{
    const unsigned char *p = der;
    long len;
    int tag, class;
    bool whole = (ASN1_get_object(&p, &len, &tag, &class, (long)left) & 0x80) == 0;

    evtls_ossl_clear_queue();
    return whole;
}

static int read_der(struct evtls_trust_batch *batch, const struct evtls_input *input,
                    struct evtls_error *err)
{
    const unsigned char *der = input->bytes, *end = der + input->len;

    for (unsigned number = 1; der < end; number++) {
        X509 *x509;
        int added;

        if (!is_whole_value(der, (size_t)(end - der)))
            return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_ASN1,
                                          ASN1_R_NOT_ENOUGH_DATA, "certificate %u in %s is cut",
                                          number, input->name);
        x509 = d2i_X509(NULL, &der, end - der);
        if (x509 == NULL)
            return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "certificate %u in %s is broken",
                                        number, input->name);
        added = evtls_trust_batch_add_certificate(batch, x509, true);
        X509_free(x509);
        if (added != 0)
            return evtls_error_set_nomem(err);
    }
    return evtls_error_set_ok(err);
}

int evtls_trust_batch_read(struct evtls_trust_batch *batch, const struct evtls_input *input,
                           bool der_too, struct evtls_error *err)
{
    /* A SEQUENCE of more than 127 bytes; a text does not go on like that behind a "0". */
    if (der_too && input->len >= 2 && input->bytes[0] == 0x30 && (input->bytes[1] & 0x80) != 0)
        return read_der(batch, input, err);
    return read_pem(batch, input, err);
}

int evtls_trust_batch_read_leniently(struct evtls_trust_batch *batch,
                                     const struct evtls_input *input)
{
    struct evtls_pem_cursor cursor;
    struct evtls_pem_block block;
    int status = evtls_pem_begin(&cursor, input, NULL);

    while (status == EVTLS_OK && (status = evtls_pem_next(&cursor, &block, NULL)) != 0) {
        if (status > 0)
            status = read_block(batch, input, &block, false, NULL);
        if (status == EVTLS_ERR_NOMEM)
            return status;
        status = EVTLS_OK;
    }
    return EVTLS_OK;
}
