/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/engine.h - one TLS connection as a state machine without I/O.
 *
 *     ciphertext in  -> [ engine ] -> ciphertext out
 *     plaintext in   -> [        ] -> plaintext out
 *
 * An engine touches no socket, no clock and no event loop. It takes ciphertext from one evbuffer
 * and puts ciphertext into another; the program moves those bytes. The engine of a bufferevent is
 * moved by it: there the program only asks questions and makes the settings below, and the calls
 * that move bytes answer EVTLS_ERR_USAGE.
 *
 * States:
 *
 *     new -> handshake <-> suspended        (a ClientHello, certificate or verification decision)
 *                |
 *              open -> write closed -> closed     (our close_notify left first)
 *                |  -> read closed  -> closed     (the peer's came first)
 *                v
 *              failed                             (from any state; final)
 *
 * The handshake runs by itself inside evtls_engine_read, evtls_engine_write or, alone, in
 * evtls_engine_handshake. Calls that need more answer EVTLS_ERR_WANT_READ (feed input, or mark
 * its end) or EVTLS_ERR_WANT_WRITE (take output away first); either may be answered by any of
 * them. A wanting call may be repeated with other arguments. After a failure each call repeats
 * the failure's status.
 *
 * Questions before there is an answer, and about NULL, answer "none": NULL, 0 or "". What they
 * return is borrowed and lives until the engine is freed or, for a bufferevent's engine, given a
 * new descriptor, unless said otherwise. Answers stay after the connection's end.
 *
 * Threads: an engine belongs to one thread at a time.
 */
#ifndef EVTLS_ENGINE_H
#define EVTLS_ENGINE_H

#include <stddef.h>

#include <event2/util.h>
#include <evtls/context.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bufferevent;
struct evbuffer;
struct evtls_engine;
struct evtls_session;

/* ---- Life ------------------------------------------------------------------------------- */

/*
 * A new engine that takes ciphertext from in and adds ciphertext to out; both are borrowed and
 * must outlive it. ctx is sealed if it is not, and referenced. Nothing is sent before the first
 * handshake, read or write call.
 *
 * Returns the engine, owned by the caller, or NULL: EVTLS_ERR_USAGE (NULL argument, a role that
 * the context cannot play), EVTLS_ERR_CONFIG (as evtls_context_seal), EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT struct evtls_engine *evtls_engine_new(struct evtls_context *ctx, enum evtls_role role,
                                                   struct evbuffer *in, struct evbuffer *out,
                                                   struct evtls_error *err);

/*
 * Frees an engine made by evtls_engine_new; sends nothing. A session of an unbroken connection
 * stays resumable. May be called inside its own callbacks. NULL is fine.
 */
EVTLS_EXPORT void evtls_engine_free(struct evtls_engine *engine);

/* ---- Settings before the handshake ------------------------------------------------------ */

/*
 * The name that a client's peer must have in its certificate, and that is sent as server name
 * (RFC 6066, section 3). A DNS name in ASCII (A-labels for others), with or without a trailing
 * dot, or an IP address: an IPv6 address may stand in brackets and have a zone ("fe80::1%eth0"),
 * both of which are taken off. An address is checked as an address and not sent. Copied.
 *
 * A client that checks host names and has been given none fails its handshake closed.
 *
 * Errors: EVTLS_ERR_USAGE (a server; after the handshake began; NULL or empty; a leading dot, an
 * empty or overlong label, more than 253 bytes; a byte that is not printable ASCII; a zone on
 * anything but an IPv6 address; the session set was verified for another name), EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT int evtls_engine_set_server_hostname(struct evtls_engine *engine, const char *name,
                                                  struct evtls_error *err);

/*
 * Offers a session for resumption; NULL takes the offer back. One more reference is taken.
 *
 * Errors: EVTLS_ERR_USAGE (a server; after the handshake began; a session made under another
 * policy: context or copies with other verification, trust, names, versions or ALPN; verified for
 * another host name; made with another certificate of ours; past its total age of seven days or
 * an end of validity of a certificate in it), EVTLS_ERR_NOMEM. Nothing is offered then.
 */
EVTLS_EXPORT int evtls_engine_set_session(struct evtls_engine *engine,
                                          struct evtls_session *session, struct evtls_error *err);

/*
 * Chooses another context for this connection; only inside its SNI callback. ctx is sealed if it
 * is not, and referenced. All of its policy applies.
 *
 * Returns 0, or EVTLS_ERR_USAGE (outside the callback; a context for clients only),
 * EVTLS_ERR_CONFIG (as evtls_context_seal), EVTLS_ERR_NOMEM; the handshake must then be ended
 * with an alert, and is, whatever the callback returns.
 */
EVTLS_EXPORT int evtls_engine_set_context(struct evtls_engine *engine, struct evtls_context *ctx,
                                          struct evtls_error *err);

/*
 * Takes an end of file without close_notify for a clean end: EVTLS_ERR_CLOSED in place of
 * EVTLS_ERR_TRUNCATED. An attacker can then cut the stream unseen; only for protocols that know
 * their own end. May be called at any time before the end of input. 0 switches it off again.
 */
EVTLS_EXPORT void evtls_engine_set_insecure_ragged_eof(struct evtls_engine *engine, int on);

/*
 * A write answers EVTLS_ERR_WANT_WRITE while the output buffer holds this many bytes or more:
 * 65,536 unless set; 0 means no limit. A write may exceed it by one record (16,640 bytes).
 * Handshake messages, tickets, alerts and answers to key updates are exempt.
 */
EVTLS_EXPORT void evtls_engine_set_output_limit(struct evtls_engine *engine, size_t bytes);

/*
 * A pointer of the program's. free_data, where not NULL, is called with the old pointer when it is
 * replaced and when the engine is freed.
 */
EVTLS_EXPORT void evtls_engine_set_user_data(struct evtls_engine *engine, void *data,
                                             void (*free_data)(void *));
EVTLS_EXPORT void *evtls_engine_get_user_data(const struct evtls_engine *engine);

/* ---- Moving bytes ----------------------------------------------------------------------- */

/*
 * Runs the handshake as far as it goes. On a server it is complete when the client's Finished has
 * arrived; tickets may still stand in the output.
 *
 * Returns 0 when complete, or EVTLS_ERR_WANT_READ, EVTLS_ERR_WANT_WRITE, EVTLS_ERR_SUSPENDED, or
 * a failure: EVTLS_ERR_CERTIFICATE, _ALERT, _PROTOCOL, _TRUNCATED, _IO (key log), _CONFIG (no
 * host name to check; the client does not verify and was not told to), _NOMEM, _USAGE. On failure
 * the alert for the peer stands in the output.
 */
EVTLS_EXPORT int evtls_engine_handshake(struct evtls_engine *engine);

/*
 * Takes plaintext. len 0 reads nothing and answers 0 without running the handshake.
 *
 * Returns the number of bytes (1 to len), or EVTLS_ERR_CLOSED after the peer's close_notify,
 * EVTLS_ERR_TRUNCATED at a marked end of input without one, EVTLS_ERR_WANT_READ,
 * EVTLS_ERR_SUSPENDED, or a failure as of evtls_engine_handshake.
 */
EVTLS_EXPORT ev_ssize_t evtls_engine_read(struct evtls_engine *engine, void *data, size_t len);

/* The same, appended to an evbuffer: at most max bytes. */
EVTLS_EXPORT ev_ssize_t evtls_engine_read_buffer(struct evtls_engine *engine, struct evbuffer *buf,
                                                 size_t max);

/*
 * Encrypts plaintext into the output, in records of at most 16,384 bytes. len 0 writes nothing,
 * but runs the handshake.
 *
 * Returns the number of bytes taken (which may be fewer than len), or EVTLS_ERR_WANT_READ (the
 * handshake), EVTLS_ERR_WANT_WRITE (the output limit), EVTLS_ERR_SUSPENDED, EVTLS_ERR_PROTOCOL
 * after evtls_engine_shutdown, or a failure.
 */
EVTLS_EXPORT ev_ssize_t evtls_engine_write(struct evtls_engine *engine, const void *data,
                                           size_t len);

/* The same from the front of an evbuffer: at most max bytes, drained as they are taken. */
EVTLS_EXPORT ev_ssize_t evtls_engine_write_buffer(struct evtls_engine *engine,
                                                  struct evbuffer *buf, size_t max);

/*
 * Sends close_notify once; nothing can be written afterwards, while reading goes on.
 *
 * Returns 0 when the peer's close_notify has been read too, EVTLS_ERR_WANT_READ while it has not
 * (read the plaintext that comes before it), EVTLS_ERR_PROTOCOL before the handshake is complete
 * (which harms nothing), EVTLS_ERR_TRUNCATED, or a failure.
 */
EVTLS_EXPORT int evtls_engine_shutdown(struct evtls_engine *engine);

/*
 * Marks the end of the input: nothing will follow what is in the buffer. Bytes added to it later
 * are an error of the program.
 */
EVTLS_EXPORT void evtls_engine_set_input_eof(struct evtls_engine *engine);

/* Plaintext bytes that can be read without further input, as far as they are decrypted. */
EVTLS_EXPORT size_t evtls_engine_get_pending(const struct evtls_engine *engine);

/* ---- Questions -------------------------------------------------------------------------- */

/* 1 from the completion of the handshake on, also after the end. */
EVTLS_EXPORT int evtls_engine_is_handshake_done(const struct evtls_engine *engine);

/* EVTLS_CLIENT or EVTLS_SERVER; 0 for NULL. */
EVTLS_EXPORT int evtls_engine_get_role(const struct evtls_engine *engine);

/* The context in force: the one of construction or the one chosen by the SNI callback. */
EVTLS_EXPORT struct evtls_context *evtls_engine_get_context(const struct evtls_engine *engine);

/* The bufferevent that moves this engine, or NULL. */
EVTLS_EXPORT struct bufferevent *evtls_engine_get_bufferevent(const struct evtls_engine *engine);

/* "TLSv1.3", "TLSv1.2"; NULL before the handshake is complete. */
EVTLS_EXPORT const char *evtls_engine_get_version(const struct evtls_engine *engine);

/* OpenSSL's name of the cipher ("TLS_AES_256_GCM_SHA384"); NULL before. */
EVTLS_EXPORT const char *evtls_engine_get_cipher(const struct evtls_engine *engine);

/* Name of the key-exchange group ("x25519", "secp256r1"); NULL before, or where there is none. */
EVTLS_EXPORT const char *evtls_engine_get_group(const struct evtls_engine *engine);

/*
 * The protocol agreed by ALPN, NUL-terminated, its length in *len (may be NULL); NULL when none
 * was agreed. The bytes are one of the names that our own side listed.
 */
EVTLS_EXPORT const char *evtls_engine_get_alpn(const struct evtls_engine *engine, size_t *len);

/*
 * On a server the name that the client asked for, as the SNI callback sees it; NULL if none. On a
 * client the name that was sent.
 */
EVTLS_EXPORT const char *evtls_engine_get_server_name(const struct evtls_engine *engine);

/* On a client the name or address to verify, as normalised; NULL if not set, and on a server. */
EVTLS_EXPORT const char *evtls_engine_get_server_hostname(const struct evtls_engine *engine);

/*
 * The peer's certificate, verified or not (see evtls_engine_get_peer_auth); NULL if none. Also
 * there on a resumed connection.
 */
EVTLS_EXPORT const struct evtls_certificate *
evtls_engine_get_peer_certificate(const struct evtls_engine *engine);

/* What authenticated the peer. */
enum evtls_peer_auth {
    EVTLS_PEER_UNAUTHENTICATED = 0,  /* nothing: no certificate, or one that was not verified */
    EVTLS_PEER_CERTIFICATE = 1,      /* a certificate with a verified chain (client: any host) */
    EVTLS_PEER_CERTIFICATE_HOST = 2  /* a client's: a verified chain and the name asked for */
};
EVTLS_EXPORT int evtls_engine_get_peer_auth(const struct evtls_engine *engine);

/*
 * The newest session of the connection, or NULL: with TLS 1.3 a client has one only after a
 * ticket arrived, which is after the handshake. Borrowed, until the next one arrives or the
 * engine is freed; evtls_session_incref keeps it.
 */
EVTLS_EXPORT struct evtls_session *evtls_engine_get_session(const struct evtls_engine *engine);

/* 1 when the handshake resumed a session. */
EVTLS_EXPORT int evtls_engine_get_session_reused(const struct evtls_engine *engine);

/*
 * Why the connection ended: a failure, EVTLS_ERR_TRUNCATED, EVTLS_ERR_TIMEOUT, EVTLS_ERR_IO. NULL
 * while it has not, and after a clean end.
 */
EVTLS_EXPORT const struct evtls_error *evtls_engine_get_error(const struct evtls_engine *engine);

#ifdef __cplusplus
}
#endif

#endif
