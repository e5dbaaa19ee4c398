/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine as the transport sees it. The public calls of evtls/engine.h that move bytes are
 * these, guarded against use from outside on an engine that a transport moves.
 */
#ifndef EVTLS_SRC_ENGINE_H
#define EVTLS_SRC_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include <evtls/engine.h>

#include "port.h"

/* Named by what is awaited; engine_state.c has the table of transitions. */
enum evtls_engine_state {
    EVTLS_ENGINE_NEW,                /* no SSL object yet */
    EVTLS_ENGINE_HANDSHAKE,          /* bytes of the handshake */
    EVTLS_ENGINE_AWAIT_CLIENT_HELLO, /* a decision on the ClientHello */
    EVTLS_ENGINE_AWAIT_CERTIFICATE,  /* a choice of our certificate */
    EVTLS_ENGINE_AWAIT_VERIFY,       /* a judgement of the peer's certificate */
    EVTLS_ENGINE_OPEN,               /* data, both ways */
    EVTLS_ENGINE_WRITE_CLOSED,       /* the peer's close_notify; ours was sent */
    EVTLS_ENGINE_READ_CLOSED,        /* our close_notify; the peer's was read */
    EVTLS_ENGINE_CLOSED,             /* nothing: both were exchanged */
    EVTLS_ENGINE_FAILED              /* nothing: there is an error */
};

/* An engine that a transport moves through port, which is copied; port.arg must outlive it. */
struct evtls_engine *evtls_engine_new_with_port(struct evtls_context *ctx, enum evtls_role role,
                                                const struct evtls_port *port,
                                                struct bufferevent *bev, struct evtls_error *err);

/* The same without context and role, until it adopts them. */
struct evtls_engine *evtls_engine_new_idle(const struct evtls_port *port, struct bufferevent *bev,
                                           struct evtls_error *err);

/*
 * Another connection, with this context and role from now on. Keeps user data and limits; a client
 * keeps its host name, and its last session where that fits ctx.
 * Errors: EVTLS_ERR_BUSY, and as evtls_engine_new; nothing has changed then.
 */
int evtls_engine_adopt(struct evtls_engine *engine, struct evtls_context *ctx, enum evtls_role role,
                       struct evtls_error *err);

/* Frees an engine of either kind. */
void evtls_engine_destroy(struct evtls_engine *engine);

/*
 * Back to EVTLS_ENGINE_NEW for another connection: drops SSL object, results and error; keeps
 * context of construction, host name, user data and limits; a client's last session is offered
 * again.
 */
void evtls_engine_reset(struct evtls_engine *engine);

enum evtls_engine_state evtls_engine_get_state(const struct evtls_engine *engine);
const char *evtls_engine_state_name(enum evtls_engine_state state);

/* As their public twins. */
int evtls_engine_step_handshake(struct evtls_engine *engine);
ev_ssize_t evtls_engine_step_read(struct evtls_engine *engine, struct evbuffer *buf, size_t max);
int evtls_engine_step_shutdown(struct evtls_engine *engine);

/*
 * Encrypts bytes of buf from offset on, at most max, in as few records as can be, until the output
 * limit is reached, and drains nothing. Chains smaller than a record are coalesced.
 * Returns the number of bytes that now stand in records, or what evtls_engine_write returns.
 */
ev_ssize_t evtls_engine_step_write(struct evtls_engine *engine, struct evbuffer *buf,
                                   size_t offset, size_t max);

/* True when the input or the records held inside may yield more without new bytes. */
bool evtls_engine_has_input(const struct evtls_engine *engine);

/* The input has ended (end of file of the transport); as evtls_engine_set_input_eof. */
void evtls_engine_step_input_eof(struct evtls_engine *engine);

/* Ends the engine with an error of the transport's: IO, TIMEOUT. The first error stays. */
void evtls_engine_fail(struct evtls_engine *engine, const struct evtls_error *err);

/*
 * The oldest session that arrived and was not taken yet, or NULL; the reference passes to the
 * caller. At most four are kept for it, the newest.
 */
struct evtls_session *evtls_engine_take_session(struct evtls_engine *engine);

/* True when evtls_engine_take_session would give one. */
bool evtls_engine_has_new_session(const struct evtls_engine *engine);

/* True when the peer's close_notify was read. */
bool evtls_engine_got_close_notify(const struct evtls_engine *engine);

/* True while a call of the engine is running on this or another stack frame. */
bool evtls_engine_is_busy(const struct evtls_engine *engine);

/* True when our side lists ALPN protocols, so that there is a result to report. */
bool evtls_engine_has_alpn(const struct evtls_engine *engine);

#endif
