/* SPDX-License-Identifier: BSD-3-Clause */
#include "pki_key.h"

#include <openssl/rsa.h>

#include "require.h"

/* Kept for the life of the process. */
static EVP_PKEY *cached[PKI_KEY_KINDS];

static EVP_PKEY *make_rsa_pss(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    EVP_PKEY *key = NULL;

    support_require(ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1);
    support_require(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) == 1);
    support_require(EVP_PKEY_generate(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *make(enum pki_key_kind kind)
{
    switch (kind) {
    case PKI_KEY_P256:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    case PKI_KEY_P384:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    case PKI_KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case PKI_KEY_RSA_2048:
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    case PKI_KEY_RSA_1024:
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    case PKI_KEY_RSA_PSS:
        return make_rsa_pss();
    case PKI_KEY_KINDS:
        break;
    }
    return NULL;
}

static bool is_costly(enum pki_key_kind kind)
{
    return kind == PKI_KEY_RSA_2048 || kind == PKI_KEY_RSA_1024 || kind == PKI_KEY_RSA_PSS;
}

EVP_PKEY *pki_key_ref(EVP_PKEY *key)
{
    support_require(EVP_PKEY_up_ref(key) == 1);
    return key;
}

EVP_PKEY *pki_key_get(enum pki_key_kind kind, bool fresh)
{
    EVP_PKEY *key;

    if (!fresh && is_costly(kind) && cached[kind] != NULL)
        return pki_key_ref(cached[kind]);
    key = make(kind);
    support_require(key != NULL);
    if (!fresh && is_costly(kind))
        cached[kind] = pki_key_ref(key);
    return key;
}
