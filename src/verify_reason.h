/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a peer's certificate was refused, in words: OpenSSL's own, then the facts in parentheses and,
 * behind a semicolon, what helps.
 *
 *     unable to get local issuer certificate (the server sent only its own certificate; missing
 *     issuer CN=Example CA); if that is ...
 *
 * It is written while OpenSSL still has what it judged, in its verify callback, and only where that
 * says no. Everything in it that came from the peer is escaped and bounded.
 */
#ifndef EVTLS_SRC_VERIFY_REASON_H
#define EVTLS_SRC_VERIFY_REASON_H

#include <openssl/x509_vfy.h>

#include <evtls/context.h>

struct evtls_hostname;

/* With what stands before it, a message of an evtls_error. */
#define EVTLS_VERIFY_REASON_SIZE 448

struct evtls_verify_reason {
    int code; /* X509_V_ERR_* */
    char text[EVTLS_VERIFY_REASON_SIZE];
};

/*
 * The reason for the failure that store_ctx has just met. role: ours. host: the name that a client
 * verifies, or NULL. On the heap; NULL where there is no memory.
 */
struct evtls_verify_reason *evtls_verify_reason_new(X509_STORE_CTX *store_ctx, enum evtls_role role,
                                                    const struct evtls_hostname *host);

/* The words for a code alone. */
void evtls_verify_reason_put_words(char text[EVTLS_VERIFY_REASON_SIZE], int code,
                                   const struct evtls_hostname *host);

#endif
