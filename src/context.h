/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The context as the engine sees it. All functions here want a sealed context unless they say
 * otherwise.
 */
#ifndef EVTLS_SRC_CONTEXT_H
#define EVTLS_SRC_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include <evtls/context.h>

#include "error.h"

struct evtls_hostname;

#define EVTLS_POLICY_DIGEST_LENGTH 32

/*
 * Seals if need be and checks that ctx can play role: EVTLS_ERR_USAGE, or EVTLS_ERR_CONFIG for a
 * client that does not verify and was not told to, else as evtls_context_seal.
 */
int evtls_context_prepare(struct evtls_context *ctx, enum evtls_role role,
                          struct evtls_error *err);

/* A new SSL of ctx with its whole policy for role, without BIO; NULL with err on failure. */
SSL *evtls_context_new_ssl(struct evtls_context *ctx, enum evtls_role role,
                           struct evtls_error *err);

/*
 * Makes ssl, a server's in its ClientHello callback, a connection of ctx: SSL_set_SSL_CTX and
 * everything that it leaves behind (verify mode, depth, parameters, options, mode, tickets,
 * versions, groups, ciphers, session-id context, callbacks). Idempotent, since it runs again
 * after a HelloRetryRequest.
 */
int evtls_context_switch_ssl(struct evtls_context *ctx, SSL *ssl, struct evtls_error *err);

/*
 * Sets what a client sends as server name and what it verifies. host NULL where the context
 * checks names: EVTLS_ERR_CONFIG. host NULL otherwise: nothing is sent.
 */
int evtls_context_set_ssl_hostname(struct evtls_context *ctx, SSL *ssl,
                                   const struct evtls_hostname *host, struct evtls_error *err);

bool evtls_context_verifies(const struct evtls_context *ctx, enum evtls_role role);
bool evtls_context_checks_hostname(const struct evtls_context *ctx);
bool evtls_context_has_alpn(const struct evtls_context *ctx);

/*
 * Digest over lineage and policy (verify mode, depth, flags, trust, names, versions, ALPN):
 * what a session is bound to. EVTLS_POLICY_DIGEST_LENGTH bytes.
 */
const unsigned char *evtls_context_get_policy_digest(const struct evtls_context *ctx);

/* SHA-256 of the identity in use, or 32 zero bytes. */
const unsigned char *evtls_context_get_identity_digest(const struct evtls_context *ctx);

/*
 * The SNI callback now in force with a reference on it, or false. Balanced by
 * evtls_context_put_sni.
 */
struct evtls_sni_hook;
struct evtls_sni_hook *evtls_context_get_sni(struct evtls_context *ctx);
void evtls_context_put_sni(struct evtls_sni_hook *hook);

#endif
