/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of an engine and its settings.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "engine_internal.h"
#include "hostname.h"
#include "session.h"

#define DEFAULT_OUTPUT_LIMIT 65536

/* ---- Life ------------------------------------------------------------------------------- */

static int check_role(enum evtls_role role, struct evtls_error *err)
{
    if (role == EVTLS_CLIENT || role == EVTLS_SERVER)
        return EVTLS_OK;
    return evtls_error_set(err, EVTLS_ERR_USAGE, "role %d is neither client nor server", (int)role);
}

static struct evtls_engine *idle_alloc(struct evtls_error *err)
{
    struct evtls_engine *engine = calloc(1, sizeof(*engine));

    if (engine == NULL) {
        evtls_error_set_nomem(err);
        return NULL;
    }
    engine->role = EVTLS_CLIENT;
    engine->output_limit = DEFAULT_OUTPUT_LIMIT;
    engine->alert_sent = -1;
    engine->alert_received = -1;
    return engine;
}

static struct evtls_engine *engine_alloc(struct evtls_context *ctx, enum evtls_role role,
                                         struct evtls_error *err)
{
    struct evtls_engine *engine;

    if (check_role(role, err) < 0 || evtls_context_prepare(ctx, role, err) < 0)
        return NULL;
    engine = idle_alloc(err);
    if (engine != NULL) {
        engine->initial = evtls_context_incref(ctx);
        engine->role = role;
    }
    return engine;
}

struct evtls_engine *evtls_engine_new(struct evtls_context *ctx, enum evtls_role role,
                                      struct evbuffer *in, struct evbuffer *out,
                                      struct evtls_error *err)
{
    struct evtls_engine *engine;

    if (in == NULL || out == NULL) {
        evtls_error_set(err, EVTLS_ERR_USAGE, "an engine needs two buffers");
        return NULL;
    }
    engine = engine_alloc(ctx, role, err);
    if (engine == NULL)
        return NULL;
    engine->own_port = malloc(sizeof(*engine->own_port));
    if (engine->own_port == NULL) {
        evtls_engine_destroy(engine);
        evtls_error_set_nomem(err);
        return NULL;
    }
    *engine->own_port = (struct evtls_port_evbuffer){.in = in, .out = out};
    engine->link.port = (struct evtls_port){.ops = &evtls_port_evbuffer_ops,
                                            .arg = engine->own_port};
    evtls_error_set_ok(err);
    return engine;
}

/* Gives a new engine, unless it is NULL, to the transport that moves it. */
static struct evtls_engine *join(struct evtls_engine *engine, const struct evtls_port *port,
                                 struct bufferevent *bev, struct evtls_error *err)
{
    if (engine == NULL)
        return NULL;
    engine->link.port = *port;
    engine->bev = bev;
    evtls_error_set_ok(err);
    return engine;
}

struct evtls_engine *evtls_engine_new_with_port(struct evtls_context *ctx, enum evtls_role role,
                                                const struct evtls_port *port,
                                                struct bufferevent *bev, struct evtls_error *err)
{
    return join(engine_alloc(ctx, role, err), port, bev, err);
}

struct evtls_engine *evtls_engine_new_idle(const struct evtls_port *port, struct bufferevent *bev,
                                           struct evtls_error *err)
{
    return join(idle_alloc(err), port, bev, err);
}

/* Everything that belongs to one connection and not to the engine. */
static void drop_connection(struct evtls_engine *engine)
{
    evtls_engine_drop_ssl(engine);
    evtls_engine_drop_results(engine);
    evtls_engine_drop_error(engine);
    evtls_context_free(engine->chosen);
    engine->chosen = NULL;
}

static void destroy_now(struct evtls_engine *engine)
{
    drop_connection(engine);
    evtls_session_free(engine->offered);
    free(engine->host);
    free(engine->own_port);
    evtls_engine_set_user_data(engine, NULL, NULL);
    evtls_context_free(engine->initial);
    free(engine);
}

void evtls_engine_destroy(struct evtls_engine *engine)
{
    if (engine == NULL || engine->freed)
        return;
    engine->freed = true;
    engine->link.cut = true;
    if (!engine->busy)
        destroy_now(engine);
}

void evtls_engine_free(struct evtls_engine *engine)
{
    if (engine != NULL && engine->own_port != NULL)
        evtls_engine_destroy(engine);
}

/* The last session is a client's to offer again; a session set by the program stays otherwise. */
static void keep_session_for_reuse(struct evtls_engine *engine)
{
    if (engine->newest == NULL || engine->role != EVTLS_CLIENT)
        return;
    evtls_session_free(engine->offered);
    engine->offered = evtls_session_incref(engine->newest);
}

static void reset_now(struct evtls_engine *engine)
{
    keep_session_for_reuse(engine);
    drop_connection(engine);
    evtls_bio_link_reset(&engine->link);
    evtls_engine_state_move(&engine->state, EVTLS_ENGINE_ON_RESET);
    engine->sni = EVTLS_SNI_NOT_ASKED;
    engine->choice_status = EVTLS_OK;
    engine->alert_sent = -1;
    engine->alert_received = -1;
    engine->plaintext_in = 0;
    engine->key_updates = 0;
    engine->tickets = 0;
    engine->flood = NULL;
    engine->reset_wanted = false;
    engine->input_ended = false;
    engine->handshake_done = false;
    engine->heard = false;
    engine->starved = false;
}

void evtls_engine_reset(struct evtls_engine *engine)
{
    if (engine == NULL || engine->freed)
        return;
    if (engine->busy) {
        engine->link.cut = true;
        engine->reset_wanted = true;
        return;
    }
    reset_now(engine);
}

/* A client that becomes a server has no name and no session; a session is of its own policy. */
static void drop_unfit(struct evtls_engine *engine)
{
    bool is_client = engine->role == EVTLS_CLIENT;

    if (!is_client) {
        free(engine->host);
        engine->host = NULL;
    }
    if (engine->offered == NULL)
        return;
    if (!is_client ||
        evtls_session_check(engine->offered, engine->initial, engine->host, NULL) < 0) {
        evtls_session_free(engine->offered);
        engine->offered = NULL;
    }
}

int evtls_engine_adopt(struct evtls_engine *engine, struct evtls_context *ctx, enum evtls_role role,
                       struct evtls_error *err)
{
    int status;

    if (engine->busy)
        return evtls_error_set(err, EVTLS_ERR_BUSY, "called inside a callback of the engine");
    if ((status = check_role(role, err)) < 0 ||
        (status = evtls_context_prepare(ctx, role, err)) < 0)
        return status;
    reset_now(engine);
    evtls_context_incref(ctx);
    evtls_context_free(engine->initial);
    engine->initial = ctx;
    engine->role = role;
    drop_unfit(engine);
    return evtls_error_set_ok(err);
}

int evtls_engine_enter(struct evtls_engine *engine)
{
    if (engine == NULL)
        return EVTLS_ERR_USAGE;
    if (engine->busy || engine->freed)
        return EVTLS_ERR_BUSY;
    engine->busy = true;
    evtls_ossl_clear_queue();
    return EVTLS_OK;
}

void evtls_engine_leave(struct evtls_engine *engine)
{
    engine->busy = false;
    if (engine->freed)
        destroy_now(engine);
    else if (engine->reset_wanted)
        reset_now(engine);
}

bool evtls_engine_is_busy(const struct evtls_engine *engine)
{
    return engine != NULL && engine->busy;
}

/* ---- Settings --------------------------------------------------------------------------- */

static int check_before_handshake(const struct evtls_engine *engine, const char *what,
                                  struct evtls_error *err)
{
    if (engine == NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no engine");
    if (engine->role != EVTLS_CLIENT)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "%s is set on clients only", what);
    if (engine->state != EVTLS_ENGINE_NEW)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "%s is set before the handshake", what);
    return EVTLS_OK;
}

int evtls_engine_set_server_hostname(struct evtls_engine *engine, const char *name,
                                     struct evtls_error *err)
{
    struct evtls_hostname parsed;
    struct evtls_hostname *host;
    int status = check_before_handshake(engine, "a server's host name", err);

    if (status < 0 || (status = evtls_hostname_parse(&parsed, name, err)) < 0)
        return status;
    if (engine->offered != NULL &&
        (status = evtls_session_check(engine->offered, engine->initial, &parsed, err)) < 0)
        return status;
    host = malloc(sizeof(*host));
    if (host == NULL)
        return evtls_error_set_nomem(err);
    *host = parsed;
    free(engine->host);
    engine->host = host;
    return evtls_error_set_ok(err);
}

int evtls_engine_set_session(struct evtls_engine *engine, struct evtls_session *session,
                             struct evtls_error *err)
{
    int status = check_before_handshake(engine, "a session", err);

    if (status < 0)
        return status;
    if (session != NULL &&
        (status = evtls_session_check(session, engine->initial, engine->host, err)) < 0)
        return status;
    evtls_session_incref(session);
    evtls_session_free(engine->offered);
    engine->offered = session;
    return evtls_error_set_ok(err);
}

int evtls_engine_set_context(struct evtls_engine *engine, struct evtls_context *ctx,
                             struct evtls_error *err)
{
    int status;

    if (engine == NULL || engine->sni != EVTLS_SNI_ASKING)
        return evtls_error_set(err, EVTLS_ERR_USAGE,
                               "a context is chosen inside the SNI callback only");
    status = ctx != NULL ? evtls_context_prepare(ctx, EVTLS_SERVER, err)
                         : evtls_error_set(err, EVTLS_ERR_USAGE, "no context");
    if (status < 0) {
        if (engine->choice_status == EVTLS_OK)
            engine->choice_status = status;
        return status;
    }
    evtls_context_incref(ctx);
    evtls_context_free(engine->chosen);
    engine->chosen = ctx;
    return evtls_error_set_ok(err);
}

void evtls_engine_set_insecure_ragged_eof(struct evtls_engine *engine, int on)
{
    if (engine != NULL)
        engine->ragged_eof = on != 0;
}

void evtls_engine_set_output_limit(struct evtls_engine *engine, size_t bytes)
{
    if (engine != NULL)
        engine->output_limit = bytes;
}

void evtls_engine_set_user_data(struct evtls_engine *engine, void *data, void (*free_data)(void *))
{
    void (*free_old)(void *);
    void *old;

    if (engine == NULL)
        return;
    free_old = engine->free_user_data;
    old = engine->user_data;
    engine->user_data = data;
    engine->free_user_data = free_data;
    if (free_old != NULL)
        free_old(old);
}

void *evtls_engine_get_user_data(const struct evtls_engine *engine)
{
    return engine != NULL ? engine->user_data : NULL;
}
