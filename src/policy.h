/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The recipe's plain values: what a context negotiates and how it verifies.
 *
 * A policy is set by functions that refuse a bad value and change nothing then (what only OpenSSL
 * can judge is tried on an SSL_CTX that is thrown away), and is turned into the settings of an
 * SSL_CTX once, when the context is sealed. evtls_policy_switch does for an SSL what OpenSSL leaves
 * behind when a connection changes its SSL_CTX.
 *
 * What the system's OpenSSL configuration asks for is a floor: the defaults here never go below its
 * lowest version, its security level and its ciphers; only an explicit setting does.
 */
#ifndef EVTLS_SRC_POLICY_H
#define EVTLS_SRC_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include <evtls/context.h>

#include "error.h"

/* Debian's level, set by us since the library's own default is lower before 3.2. */
#define EVTLS_POLICY_SECURITY_LEVEL 2

/* A session is accepted for this long after the handshake that made it, as RFC 5246 suggests. */
#define EVTLS_POLICY_SESSION_TIMEOUT 7200

#define EVTLS_POLICY_MAX_TICKETS 16

struct evtls_policy {
    enum evtls_protocol protocol;
    enum evtls_verify_mode verify_mode; /* of the server role; NONE: a client must not connect */
    bool no_verify;                     /* clients accept every server */
    bool no_hostname;                   /* clients accept a valid certificate of any host */
    unsigned long verify_flags;         /* X509_V_FLAG_... */
    int min_version;                    /* 0: TLS 1.2, or the system's where that is higher */
    int max_version;                    /* 0: the system's, or the highest there is */
    int security_level;                 /* -1: EVTLS_POLICY_SECURITY_LEVEL, or the system's */
    char *ciphers;                      /* NULL: the defaults of policy_apply.c */
    char *suites;                       /* NULL: OpenSSL's; so too groups */
    char *groups;
    unsigned char *alpn; /* as on the wire; NULL: none */
    size_t alpn_len;
    unsigned num_tickets;
};

/* The defaults for a protocol. Holds nothing that needs cleaning up yet. */
void evtls_policy_init(struct evtls_policy *policy, enum evtls_protocol protocol);
void evtls_policy_cleanup(struct evtls_policy *policy);

/* Fills dst, which holds nothing. 0 or EVTLS_ERR_NOMEM, and dst holds nothing then. */
int evtls_policy_copy(struct evtls_policy *dst, const struct evtls_policy *src);

bool evtls_policy_can_play(const struct evtls_policy *policy, enum evtls_role role);
bool evtls_policy_verifies(const struct evtls_policy *policy, enum evtls_role role);
bool evtls_policy_checks_hostname(const struct evtls_policy *policy);

/* Each as the setter of evtls/context.h says, but for SEALED and NULL contexts. */
int evtls_policy_set_verify_mode(struct evtls_policy *policy, enum evtls_verify_mode mode,
                                 struct evtls_error *err);
int evtls_policy_set_min_version(struct evtls_policy *policy, int version, bool insecure,
                                 struct evtls_error *err);
int evtls_policy_set_max_version(struct evtls_policy *policy, int version,
                                 struct evtls_error *err);
int evtls_policy_set_ciphers(struct evtls_policy *policy, const char *list,
                             struct evtls_error *err);
int evtls_policy_set_suites(struct evtls_policy *policy, const char *suites,
                            struct evtls_error *err);
int evtls_policy_set_groups(struct evtls_policy *policy, const char *groups,
                            struct evtls_error *err);
int evtls_policy_set_alpn(struct evtls_policy *policy, const char *const *protocols, size_t n);
int evtls_policy_set_num_tickets(struct evtls_policy *policy, unsigned n, struct evtls_error *err);

/* What a call of OpenSSL failed for: it leaves an entry in its queue where a value was refused, but
 * not always where memory was short. Returns EVTLS_ERR_CONFIG or EVTLS_ERR_NOMEM. */
int evtls_policy_explain(struct evtls_error *err, const char *what);

/* The security level in force; fresh is an SSL_CTX as the system's configuration makes it. */
int evtls_policy_security_level(const struct evtls_policy *policy, const SSL_CTX *fresh);

/*
 * A new SSL_CTX with all of the policy in it but groups, which are set on each SSL: OpenSSL has no
 * way to take a list of groups back when a connection changes its context.
 * NULL with EVTLS_ERR_CONFIG (minimum version above maximum; nothing left to negotiate; a value
 * that OpenSSL refuses) or EVTLS_ERR_NOMEM.
 */
SSL_CTX *evtls_policy_new_ssl_ctx(const struct evtls_policy *policy, struct evtls_error *err);

/* Checks that an SSL_CTX that is otherwise complete can negotiate anything: 0 or CONFIG, NOMEM. */
int evtls_policy_check_ssl_ctx(SSL_CTX *ssl_ctx, struct evtls_error *err);

/*
 * What is set on each SSL: its role, verification by role (which a context for both has one way
 * only) and, on a client, groups; a server's are set with its ClientHello, for the context chosen
 * then.
 */
int evtls_policy_apply_role(const struct evtls_policy *policy, SSL *ssl, enum evtls_role role,
                            struct evtls_error *err);
int evtls_policy_apply_groups(const struct evtls_policy *policy, SSL *ssl,
                              struct evtls_error *err);

/* Gives ssl, a server's in its ClientHello callback, ssl_ctx and what SSL_set_SSL_CTX leaves of
 * the old one. Doing it again changes nothing. */
int evtls_policy_switch(SSL *ssl, SSL_CTX *ssl_ctx, struct evtls_error *err);

/*
 * Hashes what decides whom a connection accepts and what it negotiates, with the values that
 * ssl_ctx, which has the policy, really holds. 0, or -1 when there is no memory.
 */
int evtls_policy_hash(const struct evtls_policy *policy, SSL_CTX *ssl_ctx, EVP_MD_CTX *hash);

#endif
