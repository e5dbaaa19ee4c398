/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the connections of a base are doing, for a person: one line each.
 */
#include "config.h"

#include <stdio.h>

#include "bev.h"

static const char *phase_name(const struct evtls_bev *conn)
{
    switch (conn->phase) {
    case EVTLS_BEV_NO_FD:
        return "no descriptor";
    case EVTLS_BEV_CONNECTING:
        return "connecting";
    case EVTLS_BEV_HANDSHAKE:
    case EVTLS_BEV_OPEN:
        return evtls_engine_state_name(evtls_engine_get_state(conn->engine));
    case EVTLS_BEV_FAILING:
        return "failing";
    case EVTLS_BEV_DRAINING:
        return "draining";
    case EVTLS_BEV_PLAIN:
        return "plaintext";
    case EVTLS_BEV_STARTING:
        return "plaintext, TLS follows";
    case EVTLS_BEV_ENDED:
        return "ended";
    case EVTLS_BEV_DEAD:
        break;
    }
    return "freed";
}

static const char *ending_name(const struct evtls_bev *conn)
{
    switch (conn->ending) {
    case EVTLS_BEV_NO_END:
        break;
    case EVTLS_BEV_END_WRITE:
        return ", write shut down";
    case EVTLS_BEV_END_BOTH:
        return ", shutting down";
    case EVTLS_BEV_END_UNWRAP:
        return ", unwrapping";
    case EVTLS_BEV_END_CLOSE:
        return ", closing";
    }
    return "";
}

static const char *waiting_for(const struct evtls_bev *conn)
{
    if (conn->phase == EVTLS_BEV_CONNECTING) {
        return "an address that answers";
    }
    if (conn->reading != EVTLS_BEV_READING_OFF && conn->sending_on) {
        return "input, room to send";
    }
    if (conn->reading != EVTLS_BEV_READING_OFF) {
        return "input";
    }
    return conn->sending_on ? "room to send" : "the program";
}

static void dump_engine(const struct evtls_bev *conn, FILE *out)
{
    const struct evtls_error *err = evtls_engine_get_error(conn->engine);
    const char *version = evtls_engine_get_version(conn->engine);
    const char *name = evtls_engine_get_server_name(conn->engine);
    const char *alpn = evtls_engine_get_alpn(conn->engine, NULL);

    if (!name) {
        name = evtls_engine_get_server_hostname(conn->engine);
    }
    fprintf(out, " version=%s name=%s alpn=%s error=%s\n", version ? version : "-",
            name ? name : "-", alpn ? alpn : "-", err ? err->message : "-");
}

static void dump_one(struct evtls_bev *conn, void *arg)
{
    FILE *out = arg;

    if (conn->phase == EVTLS_BEV_DEAD) {
        return;
    }
    fprintf(out, "fd=%d %s state=\"%s%s\" waits-for=\"%s\" input=%zu owed=%zu unsent=%zu",
            (int)conn->transport->get_fd(conn), conn->role == EVTLS_CLIENT ? "client" : "server",
            phase_name(conn), ending_name(conn), waiting_for(conn),
            evbuffer_get_length(conn->bev->input), evbuffer_get_length(conn->bev->output),
            evtls_bev_get_unsent(conn));
    dump_engine(conn, out);
}

void evtls_event_base_dump(struct event_base *base, FILE *out)
{
    struct evtls_base *shared = base && out ? evtls_base_find(base) : NULL;

    if (shared) {
        evtls_base_visit(shared, dump_one, out);
    }
}
