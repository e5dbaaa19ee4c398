/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "sim_bev.h"

#include <string.h>

#include <event2/buffer.h>

#include "bev.h"

/* What a record of data has at least around its plaintext. */
#define RECORD_HEADER 5
#define RECORD_EXTRA 16

#define MAX_RECORD 16640

/* Tickets, answers to key updates and alerts may stand behind a full block. */
#define MAX_UNSENT (EVTLS_BLOCK_BYTES + 4096)

/* ---- What the kernel took ----------------------------------------------------------------- */

/* Looks at the records that were taken whole; what is not a record is not TLS. */
static void parse_taken(struct end *end)
{
    struct sim *sim = end->run->sim;
    size_t len;
    const unsigned char *data = faults_recorded(end->faults, &len);

    while (len - end->parsed >= RECORD_HEADER) {
        const unsigned char *record = data + end->parsed;
        size_t size = ((size_t)record[3] << 8) + record[4];

        SIM_CHECK(sim, record[0] >= 20 && record[0] <= 23 && record[1] == 3 && size <= MAX_RECORD,
                  "byte %zu on the wire begins no record of TLS: 0x%02x", end->parsed, record[0]);
        if (len - end->parsed < RECORD_HEADER + size)
            break;
        if (record[0] == 23 && size > RECORD_EXTRA)
            end->taken_plain += size - RECORD_EXTRA;
        end->parsed += RECORD_HEADER + size;
    }
}

static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct end *end = arg;
    struct sim *sim = end->run->sim;

    if (info->n_deleted == 0)
        return;
    SIM_CHECK(sim, evtls_engine_is_handshake_done(end->engine),
              "output leaves before the handshake is complete");
    end->drained += info->n_deleted;
    parse_taken(end);
    SIM_CHECK(sim, end->drained <= end->taken_plain - end->taken_before,
              "%llu bytes left the output, at most %llu of them were taken by the kernel",
              (unsigned long long)end->drained,
              (unsigned long long)(end->taken_plain - end->taken_before));
    if (evbuffer_get_length(output) <= end->low)
        end->write_due = true;
}

void sim_bev_check(struct end *end)
{
    struct sim *sim = end->run->sim;
    struct evtls_bev *conn;

    SIM_CHECK(sim, faults_watch_count() == 0, "plaintext on the wire");
    if (!end->bev)
        return;
    conn = evtls_bev_from(end->bev);
    parse_taken(end);
    SIM_CHECK(sim, conn->in.len <= EVTLS_READ_SCRATCH_BYTES, "%zu bytes are kept", conn->in.len);
    SIM_CHECK(sim, evtls_bev_get_unsent(conn) <= MAX_UNSENT, "%zu bytes of ciphertext",
              evtls_bev_get_unsent(conn));
}

/* ---- Callbacks ---------------------------------------------------------------------------- */

void sim_bev_take_input(struct end *end)
{
    struct evbuffer *input = bufferevent_get_input(end->bev);
    unsigned char data[4096];
    int n;

    while ((n = evbuffer_remove(input, data, sizeof(data))) > 0) {
        sim_check_bytes(end->run->sim, !end->side, end->received, data, (size_t)n);
        end->received += (uint64_t)n;
    }
}

/* Every callback begins with this. */
static void told(struct end *end, const char *what)
{
    struct sim *sim = end->run->sim;

    sim_say(sim, "side %d is told: %s", end->side, what);
    SIM_CHECK(sim, !end->in_call, "%s inside a call", what);
    /* What libevent has deferred already it runs all the same, as for a plain socket. */
    SIM_CHECK(sim, !end->detached || end->deferred, "%s after setfd(-1)", what);
    SIM_CHECK(sim, end->bev != NULL, "%s after free", what);
    SIM_CHECK(sim, !end->told_error, "%s after the error", what);
    sim_bev_check(end);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct end *end = arg;
    struct evbuffer *input = bufferevent_get_input(bev);

    told(end, "read");
    SIM_CHECK(end->run->sim, end->connected, "data before CONNECTED");
    SIM_CHECK(end->run->sim, !end->told_eof || evbuffer_get_length(input) == 0,
              "data after the end");
    SIM_CHECK(end->run->sim, end->bound == 0 || evbuffer_get_length(input) <= end->bound,
              "%zu bytes of input over a high watermark of %zu", evbuffer_get_length(input),
              end->high);
    sim_bev_take_input(end);
    sim_bev_call_inside(end);
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct end *end = arg;

    (void)bev;
    told(end, "write");
    SIM_CHECK(end->run->sim, end->connected, "the write callback before CONNECTED");
    end->write_due = false;
    sim_bev_call_inside(end);
}

/* A cause for an error of this status: nothing else may have led to it. */
static bool has_cause(struct end *end, const struct evtls_error *err, short what)
{
    const struct sim *sim = end->run->sim;
    const struct end *other = sim_bev_other(end);
    bool lost = sim->cut || other->let_go || other->told_error;

    switch (err->status) {
    case EVTLS_ERR_TIMEOUT:
        return (what & BEV_EVENT_TIMEOUT) && (end->shut_both || !end->connected);
    case EVTLS_ERR_TRUNCATED:
    case EVTLS_ERR_IO:
        return lost;
    case EVTLS_ERR_ALERT:
        return lost;
    case EVTLS_ERR_PROTOCOL:
        /* An OpenSSL that meets an end of file in the handshake sends an alert in the clear. */
        return end->aborted || (lost && other->peer != NULL);
    default:
        return false;
    }
}

/* Clean only after the other side's close_notify and all of its bytes. */
static void check_eof(struct end *end, short what)
{
    struct sim *sim = end->run->sim;
    struct end *other = sim_bev_other(end);

    SIM_CHECK(sim, what == (BEV_EVENT_READING | BEV_EVENT_EOF), "an end of file as 0x%x",
              (unsigned)what);
    SIM_CHECK(sim, end->connected, "an end of file before CONNECTED");
    SIM_CHECK(sim, end->close_notify, "an end of file without close_notify");
    SIM_CHECK(sim, !end->told_eof, "two ends of file");
    SIM_CHECK(sim, other->shut, "a clean end that nobody sent");
    SIM_CHECK(sim, other->gave_up || end->received == other->written,
              "a clean end after %llu of %llu bytes", (unsigned long long)end->received,
              (unsigned long long)other->written);
    end->told_eof = true;
    end->over = end->over || end->shut_both;
}

static void check_error(struct end *end, short what)
{
    struct sim *sim = end->run->sim;
    const struct evtls_error *err = evtls_engine_get_error(end->engine);

    SIM_CHECK(sim, err != NULL && err->message[0] != '\0', "an error event without an error");
    sim_say(sim, "side %d: %s", end->side, err->message);
    SIM_CHECK(sim, end->error, "an error event without the callback");
    SIM_CHECK(sim, has_cause(end, err, what), "0x%x, an error (%s) without a cause", (unsigned)what,
              err->message);
    if (end->told_eof) {
        SIM_CHECK(sim, what & (BEV_EVENT_WRITING | BEV_EVENT_TIMEOUT),
                  "an error after the end of file: 0x%x", (unsigned)what);
        SIM_CHECK(sim, evbuffer_get_length(bufferevent_get_output(end->bev)) > 0,
                  "an error after the end of file, though nothing was owed");
    }
    end->told_timeout = end->told_timeout || (what & BEV_EVENT_TIMEOUT);
    end->told_error = true;
    end->over = true;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct end *end = arg;
    struct sim *sim = end->run->sim;

    (void)bev;
    told(end, what & BEV_EVENT_CONNECTED ? "CONNECTED"
              : what & BEV_EVENT_EOF     ? "EOF"
              : what & BEV_EVENT_ERROR   ? "ERROR"
                                         : "TIMEOUT");
    if (what & BEV_EVENT_CONNECTED) {
        SIM_CHECK(sim, what == BEV_EVENT_CONNECTED, "CONNECTED is not alone");
        SIM_CHECK(sim, end->handshake, "CONNECTED before the handshake callback");
        SIM_CHECK(sim, !end->connected, "CONNECTED twice");
        end->connected = true;
    } else if (what & BEV_EVENT_EOF) {
        sim_bev_take_input(end);
        check_eof(end, what);
    } else if (what & BEV_EVENT_ERROR) {
        sim_bev_take_input(end);
        check_error(end, what);
    }
    sim_bev_call_inside(end);
}

static void on_handshake(struct bufferevent *bev, void *arg)
{
    struct end *end = arg;
    struct sim *sim = end->run->sim;

    (void)bev;
    told(end, "handshake");
    SIM_CHECK(sim, end->alpn && !end->handshake, "the handshake is told twice, or before alpn");
    SIM_CHECK(sim, evtls_engine_is_handshake_done(end->engine), "a handshake that is not done");
    SIM_CHECK(sim, evtls_engine_get_session_reused(end->engine) == (sim->session != NULL),
              "resumed: %d", evtls_engine_get_session_reused(end->engine));
    parse_taken(end);
    if (end->drained == 0) /* bufferevent_flush may come before a deferred callback */
        end->taken_before = end->taken_plain;
    end->handshake = true;
    sim_bev_call_inside(end);
}

static void on_alpn(struct bufferevent *bev, const char *protocol, size_t len, void *arg)
{
    struct end *end = arg;

    (void)bev;
    told(end, "alpn");
    SIM_CHECK(end->run->sim, !end->alpn && !end->handshake, "alpn is not told first, once");
    SIM_CHECK(end->run->sim, len == strlen(SIM_ALPN) && strcmp(protocol, SIM_ALPN) == 0, "alpn: %s",
              protocol);
    end->alpn = true;
    sim_bev_call_inside(end);
}

static void on_close_notify(struct bufferevent *bev, void *arg)
{
    struct end *end = arg;

    (void)bev;
    told(end, "close_notify");
    SIM_CHECK(end->run->sim, !end->close_notify, "two close_notify");
    end->close_notify = true;
    sim_bev_call_inside(end);
}

static void on_error(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    struct end *end = arg;

    (void)bev;
    told(end, "error");
    SIM_CHECK(end->run->sim, !end->error, "two errors");
    SIM_CHECK(end->run->sim, err != NULL, "no error");
    end->error = true;
}

void sim_bev_listen(struct end *end)
{
    static const struct evtls_callbacks callbacks = {
        .alpn = on_alpn,
        .handshake = on_handshake,
        .close_notify = on_close_notify,
        .error = on_error,
    };

    bufferevent_setcb(end->bev, on_read, on_write, on_event, end);
    evtls_bufferevent_setcb(end->bev, &callbacks, end);
    evbuffer_add_cb(bufferevent_get_output(end->bev), on_output, end);
}
