/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "trust.h"
#include "trust_batch.h"

/* Never changes once it is made; only OpenSSL adds to the store what it found in directories. */
struct evtls_trust {
    atomic_uint references;
    X509_STORE *store;
    struct evtls_trust_batch batch;
    unsigned char digest[EVTLS_TRUST_DIGEST_LENGTH];
};

/* ---- Life ------------------------------------------------------------------------------- */

static int add_to_store(X509_STORE *store, const struct evtls_trust_item *item)
{
    int added = 0;

    switch (item->kind) {
    case EVTLS_TRUST_CERTIFICATE:
        added = X509_STORE_add_cert(store, item->x509);
        break;
    case EVTLS_TRUST_CRL:
        added = X509_STORE_add_crl(store, item->crl);
        break;
    case EVTLS_TRUST_DIR:
        added = X509_STORE_load_path(store, item->dir);
        break;
    }
    return added == 1 ? 0 : -1;
}

static X509_STORE *make_store(const struct evtls_trust_batch *batch)
{
    X509_STORE *store = X509_STORE_new();

    for (size_t i = 0; store != NULL && i < batch->n; i++) {
        if (add_to_store(store, &batch->items[i]) != 0) {
            X509_STORE_free(store);
            store = NULL;
        }
    }
    return store;
}

#define ENTRY_LENGTH (1 + EVTLS_TRUST_DIGEST_LENGTH)

static int compare_entries(const void *a, const void *b)
{
    return memcmp(a, b, ENTRY_LENGTH);
}

/* Kind and digest of each item, sorted, so that the order of loading does not count. */
static int make_digest(unsigned char digest[EVTLS_TRUST_DIGEST_LENGTH],
                       const struct evtls_trust_batch *batch)
{
    unsigned char *entries = malloc(batch->n * ENTRY_LENGTH + 1);
    int done;

    if (entries == NULL)
        return -1;
    for (size_t i = 0; i < batch->n; i++) {
        unsigned char *entry = entries + i * ENTRY_LENGTH;

        entry[0] = (unsigned char)batch->items[i].kind;
        memcpy(entry + 1, batch->items[i].digest, EVTLS_TRUST_DIGEST_LENGTH);
    }
    qsort(entries, batch->n, ENTRY_LENGTH, compare_entries);
    done = EVP_Digest(entries, batch->n * ENTRY_LENGTH, digest, NULL, EVP_sha256(), NULL);
    free(entries);
    return done == 1 ? 0 : -1;
}

struct evtls_trust *evtls_trust_from_batch(struct evtls_trust_batch *batch)
{
    struct evtls_trust *trust = calloc(1, sizeof(*trust));

    if (trust == NULL)
        return NULL;
    atomic_init(&trust->references, 1);
    trust->store = make_store(batch);
    if (trust->store == NULL || make_digest(trust->digest, batch) != 0) {
        evtls_trust_free(trust);
        evtls_ossl_clear_queue();
        return NULL;
    }
    trust->batch = *batch;
    memset(batch, 0, sizeof(*batch));
    evtls_ossl_clear_queue();
    return trust;
}

const struct evtls_trust_batch *evtls_trust_get_batch(const struct evtls_trust *trust)
{
    return &trust->batch;
}

struct evtls_trust *evtls_trust_incref(struct evtls_trust *trust)
{
    if (trust != NULL)
        atomic_fetch_add_explicit(&trust->references, 1, memory_order_relaxed);
    return trust;
}

void evtls_trust_free(struct evtls_trust *trust)
{
    if (trust == NULL ||
        atomic_fetch_sub_explicit(&trust->references, 1, memory_order_acq_rel) != 1)
        return;
    X509_STORE_free(trust->store);
    evtls_trust_batch_cleanup(&trust->batch);
    free(trust);
}

/* ---- Adding ----------------------------------------------------------------------------- */

int evtls_trust_extend(struct evtls_trust **trust, const struct evtls_trust_batch *more,
                       struct evtls_error *err)
{
    struct evtls_trust_batch all = {.n = 0};
    struct evtls_trust *made = NULL;

    if ((*trust == NULL || evtls_trust_batch_add_all(&all, &(*trust)->batch) == 0) &&
        evtls_trust_batch_add_all(&all, more) == 0)
        made = evtls_trust_from_batch(&all);
    evtls_trust_batch_cleanup(&all);
    if (made == NULL)
        return evtls_error_set_nomem(err);
    evtls_trust_free(*trust);
    *trust = made;
    return evtls_error_set_ok(err);
}

static int add_input(struct evtls_trust **trust, const struct evtls_input *input, bool der_too,
                     struct evtls_error *err)
{
    struct evtls_trust_batch more = {.n = 0};
    int status = evtls_trust_batch_read(&more, input, der_too, err);

    if (status == EVTLS_OK)
        status = evtls_trust_extend(trust, &more, err);
    evtls_trust_batch_cleanup(&more);
    return status;
}

int evtls_trust_add_file(struct evtls_trust **trust, const char *file, struct evtls_error *err)
{
    struct evtls_input input;
    int status;

    if (file == NULL || file[0] == '\0')
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no name of a CA file was given");
    status = evtls_input_read_file(&input, file, err);
    if (status != EVTLS_OK)
        return status;
    status = add_input(trust, &input, false, err);
    evtls_input_cleanup(&input);
    return status;
}

int evtls_trust_add_data(struct evtls_trust **trust, const void *data, size_t len,
                         struct evtls_error *err)
{
    struct evtls_input input;

    if (data == NULL || len == 0)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no CA data was given");
    if (len > EVTLS_INPUT_MAX_BYTES)
        return evtls_error_set(err, EVTLS_ERR_CONFIG, "CA data has more than 8 MB");
    evtls_input_from_data(&input, "CA data", data, len);
    return add_input(trust, &input, true, err);
}

int evtls_trust_add_dir(struct evtls_trust **trust, const char *dir, struct evtls_error *err)
{
    struct evtls_trust_batch more = {.n = 0};
    int status;

    if (dir == NULL || dir[0] == '\0')
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no name of a CA directory was given");
    if (evtls_trust_batch_add_dir(&more, dir) != 0)
        status = evtls_error_set_nomem(err);
    else
        status = evtls_trust_extend(trust, &more, err);
    evtls_trust_batch_cleanup(&more);
    return status;
}

/* ---- Use -------------------------------------------------------------------------------- */

int evtls_trust_use(const struct evtls_trust *trust, SSL_CTX *ssl_ctx, struct evtls_error *err)
{
    X509_STORE *empty;

    if (trust != NULL) {
        SSL_CTX_set1_cert_store(ssl_ctx, trust->store);
        return evtls_error_set_ok(err);
    }
    empty = X509_STORE_new();
    if (empty == NULL) {
        evtls_ossl_clear_queue();
        return evtls_error_set_nomem(err);
    }
    SSL_CTX_set_cert_store(ssl_ctx, empty);
    return evtls_error_set_ok(err);
}

static bool has_name(STACK_OF(X509_NAME) * names, const X509_NAME *name)
{
    for (int i = 0; i < sk_X509_NAME_num(names); i++) {
        if (X509_NAME_cmp(sk_X509_NAME_value(names, i), name) == 0)
            return true;
    }
    return false;
}

static int push_name(STACK_OF(X509_NAME) * names, const X509_NAME *name)
{
    X509_NAME *copy;

    if (has_name(names, name))
        return 0;
    copy = X509_NAME_dup(name);
    if (copy != NULL && sk_X509_NAME_push(names, copy) > 0)
        return 0;
    X509_NAME_free(copy);
    return -1;
}

int evtls_trust_use_client_ca_names(const struct evtls_trust *trust, SSL_CTX *ssl_ctx,
                                    struct evtls_error *err)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    bool failed = names == NULL;

    for (size_t i = 0; trust != NULL && !failed && i < trust->batch.n; i++) {
        const struct evtls_trust_item *item = &trust->batch.items[i];

        if (item->announced)
            failed = push_name(names, X509_get_subject_name(item->x509)) != 0;
    }
    evtls_ossl_clear_queue();
    if (failed) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return evtls_error_set_nomem(err);
    }
    SSL_CTX_set_client_CA_list(ssl_ctx, names);
    return evtls_error_set_ok(err);
}

/* ---- Questions -------------------------------------------------------------------------- */

size_t evtls_trust_get_num_certificates(const struct evtls_trust *trust)
{
    return trust != NULL ? evtls_trust_batch_count(&trust->batch, EVTLS_TRUST_CERTIFICATE) : 0;
}

size_t evtls_trust_get_num_crls(const struct evtls_trust *trust)
{
    return trust != NULL ? evtls_trust_batch_count(&trust->batch, EVTLS_TRUST_CRL) : 0;
}

void evtls_trust_get_digest(const struct evtls_trust *trust,
                            unsigned char digest[EVTLS_TRUST_DIGEST_LENGTH])
{
    if (trust != NULL)
        memcpy(digest, trust->digest, EVTLS_TRUST_DIGEST_LENGTH);
    else
        memset(digest, 0, EVTLS_TRUST_DIGEST_LENGTH);
}

/* "1a2b3c4d.0": how OpenSSL names a certificate in a directory. */
static bool is_hashed_name(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdef");
    size_t number;

    if (digits != 8 || name[8] != '.')
        return false;
    number = strspn(name + 9, "0123456789");
    return number > 0 && name[9 + number] == '\0';
}

static bool has_hashed_file(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool found = false;

    if (dir == NULL)
        return false;
    while (!found && (entry = readdir(dir)) != NULL)
        found = is_hashed_name(entry->d_name);
    closedir(dir);
    return found;
}

/* OpenSSL takes a list of directories as well. */
static bool has_hashed_file_in_list(const char *list)
{
    char *copy = strdup(list), *rest = copy, *path;
    bool found = copy == NULL; /* not known */

    while (!found && (path = strsep(&rest, ":")) != NULL)
        found = path[0] != '\0' && has_hashed_file(path);
    free(copy);
    return found;
}

bool evtls_trust_is_empty(const struct evtls_trust *trust)
{
    for (size_t i = 0; trust != NULL && i < trust->batch.n; i++) {
        const struct evtls_trust_item *item = &trust->batch.items[i];

        if (item->kind == EVTLS_TRUST_CERTIFICATE ||
            (item->kind == EVTLS_TRUST_DIR && has_hashed_file_in_list(item->dir)))
            return false;
    }
    return true;
}
