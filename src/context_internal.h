/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The context's own parts; nothing outside of context*.c sees this.
 *
 *   context.c           life, sealing, copying
 *   context_set.c       the setters
 *   context_ssl.c       its SSL_CTX and SSLs, and OpenSSL's callbacks
 */
#ifndef EVTLS_SRC_CONTEXT_INTERNAL_H
#define EVTLS_SRC_CONTEXT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "context.h"
#include "identity.h"
#include "lineage.h"
#include "policy.h"
#include "sni.h"
#include "trust.h"

struct evtls_context {
    atomic_uint refs;
    pthread_mutex_t lock; /* what may change on a sealed context, and sealing */
    struct evtls_policy policy;
    struct evtls_identity_set identities;
    struct evtls_trust *trust;
    struct evtls_lineage *lineage;
    struct timeval handshake_timeout;
    struct evtls_callbacks callbacks;
    void *callbacks_arg;
    struct evtls_sni_hook *sni;       /* live, under lock */
    _Atomic(SSL_CTX *) ssl_ctx;       /* NULL until sealed */
    bool logs_keys;                   /* the SSL_CTX has the key log callback; under lock */
    unsigned char policy_digest[EVTLS_POLICY_DIGEST_LENGTH];
    unsigned char identity_digest[EVTLS_CERTIFICATE_DIGEST_LENGTH];
};


/* A complete SSL_CTX for the recipe, with its digests in ctx; NULL with CONFIG or NOMEM. */
SSL_CTX *evtls_context_make_ssl_ctx(struct evtls_context *ctx, struct evtls_error *err);

/* Gives ssl_ctx the key log callback once there is a key log. */
void evtls_context_follow_keylog(struct evtls_context *ctx);

#endif
