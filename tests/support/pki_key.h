/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys of the test PKI. RSA keys take long to make, so each kind is made once a process and shared
 * unless a fresh one is asked for; the others are always fresh.
 */
#ifndef EVTLS_TESTS_SUPPORT_PKI_KEY_H
#define EVTLS_TESTS_SUPPORT_PKI_KEY_H

#include <stdbool.h>

#include "pki.h"

/* A key of this kind; the caller has a reference. */
EVP_PKEY *pki_key_get(enum pki_key_kind kind, bool fresh);

/* Another reference on a key. */
EVP_PKEY *pki_key_ref(EVP_PKEY *key);

#endif
