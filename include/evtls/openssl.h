/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/openssl.h - the OpenSSL objects behind evtls, for what evtls does not offer.
 *
 * Look, and set what evtls has no setter for. Changing what evtls manages (BIOs, callbacks,
 * ex_data 0 aside, modes, verification, session cache) breaks its promises.
 */
#ifndef EVTLS_OPENSSL_H
#define EVTLS_OPENSSL_H

#include <openssl/ssl.h>

#include <evtls/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The SSL_CTX of a sealed context, borrowed; NULL before sealing. */
EVTLS_EXPORT SSL_CTX *evtls_context_get_ssl_ctx(const struct evtls_context *ctx);

/* The SSL of a connection, borrowed; NULL before its first byte or handshake call. */
EVTLS_EXPORT SSL *evtls_engine_get_ssl(const struct evtls_engine *engine);

#ifdef __cplusplus
}
#endif

#endif
