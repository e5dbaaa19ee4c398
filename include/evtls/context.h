/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/context.h - what connections share: identity, trust, versions, ciphers, callbacks.
 *
 * A context is a recipe. It is made, set up by setters, and then sealed: by evtls_context_seal,
 * which checks it as a whole and says what is wrong, or by its first connection. After that each
 * setter returns EVTLS_ERR_SEALED and changes nothing, but for the SNI callback and the key log,
 * which stay live. To change a running server, copy or build another context, seal it, and use
 * it for new connections; existing ones keep the old one alive until they end.
 *
 * A setter that fails leaves the context exactly as it was.
 *
 * Defaults: a client verifies the server's chain and host name; a server asks for no client
 * certificate; TLS 1.2 and 1.3; the server's order of ciphers; no renegotiation, no compression;
 * two session tickets; a handshake deadline of 30 seconds. What weakens one of these has
 * `insecure` in its name.
 *
 * Threads: contexts are reference counted and may be shared by threads. Setters of one context
 * must not run at the same time as each other; everything that connections do with a sealed
 * context may.
 *
 * No function here prompts, and none opens a terminal.
 */
#ifndef EVTLS_CONTEXT_H
#define EVTLS_CONTEXT_H

#include <stddef.h>
#include <sys/time.h>
#include <sys/types.h>

#include <evtls/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bufferevent;
struct evtls_certificate;
struct evtls_context;
struct evtls_engine;
struct evtls_session;

/* Which roles a context can play. Fixed for its life. */
enum evtls_protocol {
    EVTLS_PROTOCOL_TLS = 1,    /* client or server */
    EVTLS_PROTOCOL_TLS_CLIENT, /* client connections only */
    EVTLS_PROTOCOL_TLS_SERVER  /* server connections only */
};

/* The role of one connection. */
enum evtls_role { EVTLS_CLIENT = 1, EVTLS_SERVER };

/* What a default context is for: whom it authenticates. */
enum evtls_purpose {
    EVTLS_PURPOSE_SERVER_AUTH = 1, /* a client, which authenticates servers */
    EVTLS_PURPOSE_CLIENT_AUTH      /* a server, which may authenticate clients */
};

/* Whether the peer must show a certificate. What is shown is always verified, but with NONE. */
enum evtls_verify_mode {
    EVTLS_VERIFY_NONE = 0,     /* server: asks for none. Client: see insecure_no_verify */
    EVTLS_VERIFY_OPTIONAL = 1, /* server: asks, and goes on without one. Client: as REQUIRED */
    EVTLS_VERIFY_REQUIRED = 2  /* asks, and refuses a peer without a valid one */
};

/* Protocol versions by their code on the wire, and the two ends of what the library has. */
enum evtls_tls_version {
    EVTLS_TLS_MINIMUM_SUPPORTED = -2,
    EVTLS_TLS_MAXIMUM_SUPPORTED = -1,
    EVTLS_TLS_1_0 = 0x0301,
    EVTLS_TLS_1_1 = 0x0302,
    EVTLS_TLS_1_2 = 0x0303,
    EVTLS_TLS_1_3 = 0x0304
};

/*
 * Where trusted CA certificates (and CRLs) come from. Members may be combined; NULL means not
 * given. All are read while the call runs, but for dir, whose files OpenSSL opens when a chain
 * needs them (names by hash, see c_rehash(1)).
 */
struct evtls_ca {
    const char *file; /* PEM */
    const char *dir;
    const void *data; /* PEM, or DER certificates one after the other */
    size_t data_len;
    void *reserved[4]; /* NULL */
};

/*
 * The password of an encrypted private key: bytes, or a function that gives it. `get` is called
 * at most once, only if the key is encrypted, before the loading function returns; it writes at
 * most size bytes to buf and returns their number, or a negative value for "none", which fails
 * the call. A password of more than 1,024 bytes is refused.
 */
struct evtls_password {
    const void *bytes;
    size_t len;
    ssize_t (*get)(char *buf, size_t size, void *arg);
    void *arg;
    void *reserved[4]; /* NULL */
};

/*
 * What a connection reports beside libevent's events. Any member may be NULL. err and session
 * are borrowed for the call (evtls_session_incref keeps one), protocol as evtls_engine_get_alpn
 * has it.
 */
struct evtls_callbacks {
    /* The handshake is complete; evtls_engine_get_* have their answers. */
    void (*handshake)(struct bufferevent *bev, void *arg);
    /* The ALPN result: the protocol agreed, or NULL and 0. Not called where our side lists none. */
    void (*alpn)(struct bufferevent *bev, const char *protocol, size_t len, void *arg);
    /* The peer's close_notify arrived; all plaintext before it is in the input. */
    void (*close_notify)(struct bufferevent *bev, void *arg);
    /* A session to resume with later (a client's). With TLS 1.3 several may come, at any time. */
    void (*session)(struct bufferevent *bev, struct evtls_session *session, void *arg);
    /* The connection failed. */
    void (*error)(struct bufferevent *bev, const struct evtls_error *err, void *arg);
    void (*reserved[4])(void); /* NULL */
};

/* ---- Life ------------------------------------------------------------------------------- */

/*
 * A new context with the defaults above, without identity and without trust anchors: a client
 * made this way refuses every server until trust is loaded.
 *
 * Returns the context, owned by the caller, or NULL: EVTLS_ERR_USAGE for an unknown protocol,
 * EVTLS_ERR_CONFIG when OpenSSL's configuration file (OPENSSL_CONF) is broken: each context
 * reports that again, EVTLS_ERR_UNSUPPORTED when the OpenSSL loaded is older than the one evtls
 * was compiled with, EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT struct evtls_context *evtls_context_new(enum evtls_protocol protocol,
                                                     struct evtls_error *err);

/*
 * A new context ready for use by purpose. SERVER_AUTH: a client context that trusts ca, or the
 * system's CAs where ca is NULL or empty. CLIENT_AUTH: a server context, which needs an identity
 * still, trusts ca for client certificates where given, and asks for none until
 * evtls_context_set_verify_mode. Both verify with OpenSSL's flags TRUSTED_FIRST, PARTIAL_CHAIN
 * and X509_STRICT, and SERVER_AUTH and CLIENT_AUTH both honour the environment variable
 * SSLKEYLOGFILE, but never in a set-user-ID program.
 *
 * Errors: those of evtls_context_new, evtls_context_load_verify_locations and
 * evtls_context_set_keylog_file (for SSLKEYLOGFILE).
 */
EVTLS_EXPORT struct evtls_context *evtls_context_new_default(enum evtls_purpose purpose,
                                                             const struct evtls_ca *ca,
                                                             struct evtls_error *err);

/*
 * An unsealed copy with the same settings, identity, trust and callbacks. It shares the
 * original's lineage: ticket keys, session cache and key log, and by reference its trust store
 * until one of them loads more. The SNI callback's argument is shared: its destructor runs after
 * the last of the copies has dropped it. ctx may be sealed.
 *
 * Returns the copy, owned by the caller, or NULL: EVTLS_ERR_USAGE (ctx NULL), EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT struct evtls_context *evtls_context_copy(struct evtls_context *ctx,
                                                      struct evtls_error *err);

/* One more reference, dropped with evtls_context_free. Returns ctx. NULL is passed through. */
EVTLS_EXPORT struct evtls_context *evtls_context_incref(struct evtls_context *ctx);

/* Drops a reference; the last one frees the context. NULL is fine. */
EVTLS_EXPORT void evtls_context_free(struct evtls_context *ctx);

/*
 * Checks the context as a whole and fixes it. Sealing twice is fine. A client that verifies but
 * has no trust anchor is sealed, and err->message (with status EVTLS_OK) warns of it.
 *
 * Returns 0, or EVTLS_ERR_CONFIG (a server without identity; minimum version above maximum;
 * nothing left to negotiate), EVTLS_ERR_USAGE (NULL), EVTLS_ERR_NOMEM; the context then stays
 * unsealed and may be mended.
 */
EVTLS_EXPORT int evtls_context_seal(struct evtls_context *ctx, struct evtls_error *err);

/* 1 when the context is sealed, 0 when not or NULL. */
EVTLS_EXPORT int evtls_context_is_sealed(const struct evtls_context *ctx);

/* The protocol the context was made with, or 0 for NULL. */
EVTLS_EXPORT int evtls_context_get_protocol(const struct evtls_context *ctx);

/* ---- Identity --------------------------------------------------------------------------- */

/*
 * Loads our certificate chain and its private key from PEM files.
 *
 * certfile: the leaf first, then its intermediates, which are sent in that order; text around the
 * blocks and a UTF-8 byte order mark are fine. keyfile: the file of the key, or NULL: the same
 * file, where key and certificates may come in any order. A file of the key may begin with EC
 * parameters. password: NULL where the key is plain; never prompts.
 *
 * One identity of each key type (RSA, ECDSA, EdDSA) can be loaded; a second of the same type
 * replaces the first, leaf, key and intermediates together.
 *
 * Errors: EVTLS_ERR_CONFIG with the file, the number of the certificate in it, and why (missing
 * or unreadable: sys_errno; a directory; empty; not PEM; cut; key of another certificate; key
 * too small; encrypted and no password, or the wrong one; a digest that is refused),
 * EVTLS_ERR_SEALED, EVTLS_ERR_USAGE, EVTLS_ERR_NOMEM. The previous identity then stays.
 */
EVTLS_EXPORT int evtls_context_load_cert_chain(struct evtls_context *ctx, const char *certfile,
                                               const char *keyfile,
                                               const struct evtls_password *password,
                                               struct evtls_error *err);

/* The same from memory, PEM. key NULL: the key stands in cert. Messages say "cert" and "key". */
EVTLS_EXPORT int evtls_context_load_cert_chain_data(struct evtls_context *ctx, const void *cert,
                                                    size_t cert_len, const void *key,
                                                    size_t key_len,
                                                    const struct evtls_password *password,
                                                    struct evtls_error *err);

/*
 * Makes an ECDSA P-256 key and a self-signed certificate in memory and uses them as identity,
 * for development, tests and first starts. names: n DNS names and IP addresses, the first of
 * which is also the common name. Valid from a day ago for 397 days; a CA of its own, so that a
 * client that loads the certificate as its CA trusts it.
 *
 * Errors: EVTLS_ERR_USAGE (no name, an empty one, more than 253 bytes), EVTLS_ERR_SEALED,
 * EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT int evtls_context_use_self_signed(struct evtls_context *ctx, const char *const *names,
                                               size_t n, struct evtls_error *err);

/*
 * The leaf certificate of the identity loaded last, or NULL. Borrowed, valid until the identity
 * is replaced or the context freed.
 */
EVTLS_EXPORT const struct evtls_certificate *
evtls_context_get_certificate(const struct evtls_context *ctx);

/* ---- Trust ------------------------------------------------------------------------------ */

/*
 * Adds trust anchors, and CRLs, from a PEM file and from a directory of files named by hash. One
 * of cafile and capath may be NULL. Nothing of a file is added unless all of it can be parsed.
 * OpenSSL's own blocks, BEGIN TRUSTED CERTIFICATE, bring their trust settings, which count for an
 * anchor: one rejected for servers, or trusted for e-mail alone, vouches for no server. What such
 * a block says of a peer's own certificate does not count when an anchor vouches for it.
 *
 * Errors: EVTLS_ERR_CONFIG with file, number of the certificate in it and why (missing:
 * sys_errno; empty; no certificate or CRL in it; broken), EVTLS_ERR_USAGE (both NULL),
 * EVTLS_ERR_SEALED, EVTLS_ERR_NOMEM. A capath that does not exist is no error here.
 */
EVTLS_EXPORT int evtls_context_load_verify_locations(struct evtls_context *ctx, const char *cafile,
                                                     const char *capath, struct evtls_error *err);

/* The same from memory: PEM, or DER certificates one after the other; told apart by content. */
EVTLS_EXPORT int evtls_context_load_verify_locations_data(struct evtls_context *ctx,
                                                          const void *data, size_t len,
                                                          struct evtls_error *err);

/*
 * Adds the system's CAs, or what SSL_CERT_FILE and SSL_CERT_DIR name. Parsed once a process and
 * shared. That there are none is no error here.
 *
 * Errors: EVTLS_ERR_SEALED, EVTLS_ERR_USAGE, EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT int evtls_context_load_default_certs(struct evtls_context *ctx,
                                                  struct evtls_error *err);

/*
 * Sets whether peers must authenticate themselves. With OPTIONAL and REQUIRED a server sends the
 * names of the CAs it has loaded from files and data. NONE on a context that can be a client is
 * EVTLS_ERR_USAGE: evtls_context_set_insecure_no_verify does that. A context for both roles
 * begins with NONE: as a server it asks for nothing, and its clients are refused with
 * EVTLS_ERR_CONFIG until one of the two calls was made; the later of them counts.
 *
 * Errors: EVTLS_ERR_USAGE, EVTLS_ERR_SEALED.
 */
EVTLS_EXPORT int evtls_context_set_verify_mode(struct evtls_context *ctx,
                                               enum evtls_verify_mode mode,
                                               struct evtls_error *err);

/*
 * Clients accept every server, whatever certificate it shows; the connection then protects
 * against no active attacker. Turns the host name check off too.
 * Errors: EVTLS_ERR_SEALED, EVTLS_ERR_USAGE (NULL).
 */
EVTLS_EXPORT int evtls_context_set_insecure_no_verify(struct evtls_context *ctx,
                                                      struct evtls_error *err);

/*
 * Clients verify the chain, but accept a valid certificate of any host.
 * Errors: EVTLS_ERR_SEALED, EVTLS_ERR_USAGE (NULL).
 */
EVTLS_EXPORT int evtls_context_set_insecure_no_hostname(struct evtls_context *ctx,
                                                        struct evtls_error *err);

/* ---- Versions and algorithms ------------------------------------------------------------ */

/*
 * The lowest and the highest version to negotiate. A minimum below TLS 1.2 is EVTLS_ERR_USAGE
 * here; the insecure form takes it (OpenSSL may then still need a lower security level in the
 * cipher list). EVTLS_TLS_MINIMUM_SUPPORTED and _MAXIMUM_SUPPORTED are accepted by both setters;
 * MINIMUM_SUPPORTED is TLS 1.2 but in the insecure form.
 *
 * Errors: EVTLS_ERR_CONFIG (minimum above maximum), EVTLS_ERR_USAGE, EVTLS_ERR_SEALED.
 */
EVTLS_EXPORT int evtls_context_set_min_version(struct evtls_context *ctx,
                                               enum evtls_tls_version version,
                                               struct evtls_error *err);
EVTLS_EXPORT int evtls_context_set_max_version(struct evtls_context *ctx,
                                               enum evtls_tls_version version,
                                               struct evtls_error *err);
EVTLS_EXPORT int evtls_context_set_insecure_min_version(struct evtls_context *ctx,
                                                        enum evtls_tls_version version,
                                                        struct evtls_error *err);

/*
 * Ciphers of TLS 1.2 and below in OpenSSL's list format, and suites of TLS 1.3 as a
 * colon-separated list. Neither touches the other. @SECLEVEL=n in a list of ciphers sets OpenSSL's
 * security level, which is at least 2 otherwise, and outlives the list.
 *
 * Unless set, TLS 1.2 has ciphers with (EC)DHE and without SHA-1 only: on a server those with
 * AES-GCM and ChaCha20, on a context that can be a client also AES-CBC with SHA-2, for servers
 * that have nothing else. Those that the system's OpenSSL configuration leaves out are left out
 * here too.
 *
 * Errors: EVTLS_ERR_CONFIG ("No cipher can be selected." or the unknown suite named),
 * EVTLS_ERR_USAGE, EVTLS_ERR_SEALED, EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT int evtls_context_set_ciphers(struct evtls_context *ctx, const char *list,
                                           struct evtls_error *err);
EVTLS_EXPORT int evtls_context_set_ciphersuites(struct evtls_context *ctx, const char *suites,
                                                struct evtls_error *err);

/*
 * Key-exchange groups in OpenSSL's list format ("X25519:P-256"). Unless set, OpenSSL's own
 * default holds. Keep P-256 in a client's list, or TLS 1.2 fails with most servers.
 *
 * Errors: EVTLS_ERR_CONFIG (the list named), EVTLS_ERR_USAGE, EVTLS_ERR_SEALED, EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT int evtls_context_set_groups(struct evtls_context *ctx, const char *groups,
                                          struct evtls_error *err);

/*
 * Protocols for ALPN (RFC 7301), in order of preference, copied. The server's order wins; with
 * no overlap the handshake goes on and none is selected. n 0 means no ALPN.
 *
 * Errors: EVTLS_ERR_USAGE (a name that is empty or longer than 255 bytes, or a list over 65,535
 * bytes), EVTLS_ERR_SEALED, EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT int evtls_context_set_alpn(struct evtls_context *ctx, const char *const *protocols,
                                        size_t n);

/*
 * How many session tickets a server sends after a full TLS 1.3 handshake: 2 unless set, at most
 * 16; 0 sends none.
 *
 * Errors: EVTLS_ERR_USAGE (more than 16, or a client context), EVTLS_ERR_SEALED.
 */
EVTLS_EXPORT int evtls_context_set_num_tickets(struct evtls_context *ctx, unsigned n,
                                               struct evtls_error *err);

/*
 * The time a handshake of a bufferevent may take in all, from the moment it has a connected
 * descriptor: 30 seconds unless set. NULL sets that again.
 *
 * Errors: EVTLS_ERR_USAGE (zero or negative), EVTLS_ERR_SEALED.
 */
EVTLS_EXPORT int evtls_context_set_handshake_timeout(struct evtls_context *ctx,
                                                     const struct timeval *timeout,
                                                     struct evtls_error *err);
EVTLS_EXPORT void evtls_context_get_handshake_timeout(const struct evtls_context *ctx,
                                                      struct timeval *timeout);

/* ---- Callbacks of connections ------------------------------------------------------------ */

/*
 * Sets what every bufferevent made on this context from then on calls back, evhttp's included,
 * which are made out of the program's sight. cb is copied, NULL clears. Each bufferevent begins
 * with a copy of its own; evtls_bufferevent_setcb replaces all of it for that one. arg is the same
 * for all: the callbacks tell connections apart by their bufferevent, and by the user data of its
 * engine. It stays the program's and must outlive the connections. An engine without a bufferevent
 * calls none of them.
 *
 * The context that counts is the one that the connection was made with (or, begun in plaintext,
 * that of evtls_bufferevent_start_tls), also where the SNI callback chooses another: callbacks are
 * no part of the policy that is changed then.
 *
 * Errors: EVTLS_ERR_USAGE (NULL context; a reserved member is not NULL), EVTLS_ERR_SEALED.
 */
EVTLS_EXPORT int evtls_context_set_callbacks(struct evtls_context *ctx,
                                             const struct evtls_callbacks *cb, void *arg);

/* ---- Live settings ---------------------------------------------------------------------- */

/*
 * Called on a server for each ClientHello, before version, session and certificate are chosen,
 * also when the client named no host. It may choose another context for the connection with
 * evtls_engine_set_context: all of that context's policy applies, as if the connection had begun
 * with it, and only a session made under that policy resumes. With a HelloRetryRequest it is not
 * asked again: the choice stands.
 *
 * name: in lower case, without a trailing dot, printable ASCII; NULL when none was sent or it is
 * an IP address. A name with a NUL byte or a byte above 0x7f ends the handshake before the
 * callback. initial: the context the connection began with, borrowed.
 *
 * Returns 0 to go on, an alert (EVTLS_ALERT_*) to end the handshake with, or a negative value:
 * handshake_failure. Anything else is internal_error.
 *
 * It runs inside a call of the engine, on the loop's thread for a bufferevent, which may be freed
 * in it. Of the engine it may ask everything (what is not negotiated yet answers "none").
 */
typedef int (*evtls_sni_cb)(struct evtls_engine *engine, const char *name,
                            struct evtls_context *initial, void *arg);

/*
 * Sets the SNI callback, or clears it (cb NULL). free_arg, where not NULL, is called with the old
 * arg once nothing can use it any more. May be called on a sealed context, from any thread;
 * handshakes that start later use the new one.
 *
 * Errors: EVTLS_ERR_USAGE (NULL context, a client-only context), EVTLS_ERR_NOMEM; free_arg is not
 * called then.
 */
EVTLS_EXPORT int evtls_context_set_sni_callback(struct evtls_context *ctx, evtls_sni_cb cb,
                                                void *arg, void (*free_arg)(void *));

/*
 * Appends the secrets of connections to a file in the NSS key log format, for Wireshark and the
 * like. Who reads the file reads the connections. Opened at once, for appending, mode 0600; NULL
 * closes it. Lines are written whole. A failed write fails the connection's handshake with
 * EVTLS_ERR_IO. May be called on a sealed context; shared with its copies.
 *
 * Errors: EVTLS_ERR_CONFIG (file named, sys_errno), EVTLS_ERR_USAGE, EVTLS_ERR_NOMEM; the old log
 * then stays in use.
 */
EVTLS_EXPORT int evtls_context_set_keylog_file(struct evtls_context *ctx, const char *path,
                                               struct evtls_error *err);

#ifdef __cplusplus
}
#endif

#endif
