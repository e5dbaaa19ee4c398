/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private keys in PEM: PKCS#8, plain or encrypted, and OpenSSL's older forms. Never prompts.
 */
#ifndef EVTLS_SRC_PEM_KEY_H
#define EVTLS_SRC_PEM_KEY_H

#include <openssl/evp.h>

#include <evtls/context.h>

#include "pem.h"

#define EVTLS_PASSWORD_MAX_BYTES 1024

/*
 * Decodes a private key; the caller owns the result. The password is asked for at most once, and
 * only for an encrypted key.
 *
 * Errors: EVTLS_ERR_CONFIG (encrypted and no password, the wrong one, one that is too long; a
 * cipher that OpenSSL does not offer; broken), EVTLS_ERR_NOMEM.
 */
int evtls_pem_get_private_key(EVP_PKEY **key, const struct evtls_input *input,
                              const struct evtls_pem_block *block,
                              const struct evtls_password *password, struct evtls_error *err);

#endif
