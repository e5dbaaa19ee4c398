/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine's own parts; nothing outside of engine*.c sees this.
 *
 * A step is: evtls_engine_enter, SSL calls each followed by evtls_engine_settle, which turns their
 * result into a state and a status, evtls_engine_leave. Between enter and leave the engine may be
 * freed or reset by a callback; that waits for leave, and until then the engine's link is cut.
 */
#ifndef EVTLS_SRC_ENGINE_INTERNAL_H
#define EVTLS_SRC_ENGINE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "bio.h"
#include "engine.h"
#include "engine_ssl.h"
#include "engine_state.h"
#include "error.h"
#include "port_evbuffer.h"

#define EVTLS_ENGINE_MAX_ARRIVED 4

enum evtls_engine_sni { EVTLS_SNI_NOT_ASKED, EVTLS_SNI_ASKING, EVTLS_SNI_ASKED };

struct evtls_engine {
    struct evtls_context *initial;
    struct evtls_context *chosen; /* by the SNI callback, or NULL */
    SSL *ssl;                     /* NULL before the first step */
    struct evtls_bio_link link;
    struct evtls_port_evbuffer *own_port; /* of evtls_engine_new; NULL where a transport moves us */
    struct bufferevent *bev;

    const struct evtls_error *error; /* why the connection ended; on the heap, or the static one */
    struct evtls_error *noted;       /* what a callback of the running step failed with */
    struct evtls_verify_reason *refused; /* why the peer's certificate is */

    struct evtls_hostname *host;
    struct evtls_session *offered;
    struct evtls_session *newest;
    struct evtls_session *arrived[EVTLS_ENGINE_MAX_ARRIVED]; /* not taken yet, oldest first */
    char *server_name;                                       /* what the ClientHello asked for */
    char *alpn;                                              /* NUL-terminated; NULL: none agreed */
    size_t alpn_len;
    struct evtls_certificate *peer_certificate;

    void *user_data;
    void (*free_user_data)(void *);
    size_t output_limit;

    uint64_t plaintext_in; /* bytes read, which earn the peer more of the messages below */
    uint64_t key_updates;
    uint64_t tickets;
    const char *flood; /* the message that the peer sent too many of, or NULL */

    enum evtls_role role;
    enum evtls_engine_state state;
    enum evtls_engine_sni sni;
    int choice_status; /* of evtls_engine_set_context: the first failure */
    short alert_sent;  /* the last fatal one, or -1 */
    short alert_received;
    bool busy;         /* a step is running */
    bool freed;        /* goes when the step ends */
    bool reset_wanted; /* happens when the step ends */
    bool input_ended;
    bool ragged_eof;
    bool handshake_done; /* stays after the end */
    bool heard;          /* a handshake message of the peer came in */
    bool starved;        /* the last SSL call asked for input and found none */
};

/* ---- engine.c --------------------------------------------------------------------------- */

/* 0, or EVTLS_ERR_BUSY inside a callback of the engine, EVTLS_ERR_USAGE for NULL. */
int evtls_engine_enter(struct evtls_engine *engine);
void evtls_engine_leave(struct evtls_engine *engine);

/* ---- engine_ssl.c ----------------------------------------------------------------------- */

/* Makes the SSL: 0, or the status of a failure, which is then the engine's. */
int evtls_engine_make_ssl(struct evtls_engine *engine);

/* Frees it; what it was for a sound connection stays resumable. */
void evtls_engine_drop_ssl(struct evtls_engine *engine);

/* ---- engine_result.c -------------------------------------------------------------------- */

/*
 * Judges what an SSL call has just returned, moves the state, and leaves OpenSSL's error queue
 * empty. Returns EVTLS_OK when the call did its work, EVTLS_ERR_WANT_READ, EVTLS_ERR_SUSPENDED,
 * EVTLS_ERR_CLOSED, or the status of the failure that has just ended the engine.
 */
int evtls_engine_settle(struct evtls_engine *engine, int ret);

/* Ends the engine with a copy of *err, unless it has failed before. Returns the status in force. */
int evtls_engine_end_with(struct evtls_engine *engine, const struct evtls_error *err);

/* The same for want of memory. */
int evtls_engine_end_with_nomem(struct evtls_engine *engine);

/* Forgets the error. */
void evtls_engine_drop_error(struct evtls_engine *engine);

/* ---- engine_info.c ---------------------------------------------------------------------- */

/* Keeps what the handshake agreed on: 0, or -1 when memory is exhausted. */
int evtls_engine_keep_results(struct evtls_engine *engine);
void evtls_engine_drop_results(struct evtls_engine *engine);

#endif
