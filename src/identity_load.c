/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Identities from PEM: which certificates and which key, and what is wrong with them.
 */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pemerr.h>
#include <openssl/x509.h>
#include <openssl/x509err.h>

#include "identity.h"
#include "input.h"
#include "pem.h"
#include "pem_key.h"

/* All certificates of input, in their order. *certificates is the caller's also on failure. */
static int read_certificates(STACK_OF(X509) * certificates, const struct evtls_input *input,
                             struct evtls_error *err)
{
    struct evtls_pem_cursor cursor;
    struct evtls_pem_block block;
    int status = evtls_pem_begin(&cursor, input, err);

    if (status != EVTLS_OK)
        return status;
    while ((status = evtls_pem_next(&cursor, &block, err)) > 0) {
        X509 *x509;

        if (block.kind != EVTLS_PEM_CERTIFICATE && block.kind != EVTLS_PEM_TRUSTED_CERTIFICATE)
            continue;
        status = evtls_pem_get_certificate(&x509, input, &block, err);
        if (status != EVTLS_OK)
            return status;
        if (sk_X509_push(certificates, x509) <= 0) {
            X509_free(x509);
            evtls_ossl_clear_queue();
            return evtls_error_set_nomem(err);
        }
        status =
            evtls_identity_check_certificate(x509, sk_X509_num(certificates), input->name, err);
        if (status != EVTLS_OK)
            return status;
    }
    if (status == 0 && sk_X509_num(certificates) == 0)
        return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, PEM_R_NO_START_LINE,
                                      "%s has no certificate in it", input->name);
    return status;
}

/* The first private key of input. */
static int read_key(EVP_PKEY **key, const struct evtls_input *input,
                    const struct evtls_password *password, bool same_input, struct evtls_error *err)
{
    struct evtls_pem_cursor cursor;
    struct evtls_pem_block block;
    int status = evtls_pem_begin(&cursor, input, err);

    if (status != EVTLS_OK)
        return status;
    while ((status = evtls_pem_next(&cursor, &block, err)) > 0) {
        if (block.kind == EVTLS_PEM_PRIVATE_KEY)
            return evtls_pem_get_private_key(key, input, &block, password, err);
    }
    if (status != 0)
        return status;
    return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, PEM_R_NO_START_LINE,
                                  "%s has no private key in it%s", input->name,
                                  same_input ? ", and no other was given for the key" : "");
}

/*
 * Whether the key is that of a certificate. Where memory is short while OpenSSL compares, it says
 * "another one", so the answer counts when it comes twice.
 */
static bool matches(X509 *x509, EVP_PKEY *key)
{
    EVP_PKEY *public_key = X509_get0_pubkey(x509);

    return EVP_PKEY_eq(public_key, key) == 1 || EVP_PKEY_eq(public_key, key) == 1;
}

/* The leaf must come first; where it stands elsewhere, say so. */
static int check_match(STACK_OF(X509) * certificates, EVP_PKEY *key,
                       const struct evtls_input *cert_input, const struct evtls_input *key_input,
                       struct evtls_error *err)
{
    if (matches(sk_X509_value(certificates, 0), key))
        return EVTLS_OK;
    for (int i = 1; i < sk_X509_num(certificates); i++) {
        if (matches(sk_X509_value(certificates, i), key))
            return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_X509,
                                          X509_R_KEY_VALUES_MISMATCH,
                                          "the private key in %s is that of certificate %d in %s, "
                                          "which must come first",
                                          key_input->name, i + 1, cert_input->name);
    }
    return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH,
                                  "the private key in %s is not that of certificate 1 in %s",
                                  key_input->name, cert_input->name);
}

static int load(struct evtls_identity **identity, const struct evtls_input *cert_input,
                const struct evtls_input *key_input, const struct evtls_password *password,
                struct evtls_error *err)
{
    STACK_OF(X509) *certificates = sk_X509_new_null();
    X509 *leaf = NULL;
    EVP_PKEY *key = NULL;
    int status;

    if (certificates == NULL) {
        status = evtls_error_set_nomem(err);
        goto out;
    }
    status = read_certificates(certificates, cert_input, err);
    if (status == EVTLS_OK)
        status = read_key(&key, key_input, password, key_input == cert_input, err);
    if (status == EVTLS_OK)
        status = check_match(certificates, key, cert_input, key_input, err);
    if (status != EVTLS_OK)
        goto out;
    leaf = sk_X509_shift(certificates);
    status = evtls_identity_new(identity, leaf, key, certificates, cert_input->name, err);
out:
    X509_free(leaf);
    EVP_PKEY_free(key);
    sk_X509_pop_free(certificates, X509_free);
    evtls_ossl_clear_queue();
    return status;
}

static int check_password(const struct evtls_password *password, struct evtls_error *err)
{
    if (password == NULL)
        return EVTLS_OK;
    for (size_t i = 0; i < sizeof(password->reserved) / sizeof(password->reserved[0]); i++) {
        if (password->reserved[i] != NULL)
            return evtls_error_set(err, EVTLS_ERR_USAGE,
                                   "a reserved member of struct evtls_password is not NULL");
    }
    if (password->get != NULL && password->bytes != NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE,
                               "both bytes and get are set in struct evtls_password");
    return EVTLS_OK;
}

int evtls_identity_load_file(struct evtls_identity **identity, const char *certfile,
                             const char *keyfile, const struct evtls_password *password,
                             struct evtls_error *err)
{
    struct evtls_input cert_input = {.len = 0}, key_input = {.len = 0};
    int status = check_password(password, err);

    if (status != EVTLS_OK)
        return status;
    if (certfile == NULL || certfile[0] == '\0' || (keyfile != NULL && keyfile[0] == '\0'))
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no name of a %s file was given",
                               certfile == NULL || certfile[0] == '\0' ? "certificate" : "key");
    status = evtls_input_read_file(&cert_input, certfile, err);
    if (status == EVTLS_OK && keyfile != NULL)
        status = evtls_input_read_file(&key_input, keyfile, err);
    if (status == EVTLS_OK)
        status =
            load(identity, &cert_input, keyfile != NULL ? &key_input : &cert_input, password, err);
    evtls_input_cleanup(&cert_input);
    evtls_input_cleanup(&key_input);
    return status;
}

int evtls_identity_load_data(struct evtls_identity **identity, const void *cert, size_t cert_len,
                             const void *key, size_t key_len, const struct evtls_password *password,
                             struct evtls_error *err)
{
    struct evtls_input cert_input, key_input;
    int status = check_password(password, err);

    if (status != EVTLS_OK)
        return status;
    if (cert == NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no certificate was given");
    if (cert_len > EVTLS_INPUT_MAX_BYTES || key_len > EVTLS_INPUT_MAX_BYTES)
        return evtls_error_set(err, EVTLS_ERR_CONFIG, "%s has more than 8 MB",
                               cert_len > EVTLS_INPUT_MAX_BYTES ? "cert" : "key");
    evtls_input_from_data(&cert_input, "cert", cert, cert_len);
    evtls_input_from_data(&key_input, "key", key, key_len);
    return load(identity, &cert_input, key != NULL ? &key_input : &cert_input, password, err);
}
