/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transport -> engine -> input buffer.
 *
 * Ciphertext is read into the base's scratch and used there at once. What cannot be used yet (the
 * handshake is to be told first, the input is at its high watermark) is kept, and nothing more is
 * read until it is gone. The engine never looks ahead, so the kept bytes are the only ones.
 */
#include "config.h"

#include "bev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Read in one event at most, so that other connections get their turn. */
#define READ_BUDGET_BYTES (4 * EVTLS_READ_SCRATCH_BYTES)

/* With a high watermark not much more is read than may be delivered, but no silly amounts. */
#define MIN_READ_BYTES 4096

#define MAX_HANDSHAKE_READ 16384

/* ---- The engine's port -------------------------------------------------------------------- */

static size_t port_peek_input(void *arg, const unsigned char **span)
{
    struct evtls_bev *conn = arg;

    *span = conn->in.data;
    return conn->in.len;
}

static void port_drain_input(void *arg, size_t len)
{
    struct evtls_bev *conn = arg;

    conn->in.data += len;
    conn->in.len -= len;
}

static int port_add_output(void *arg, const unsigned char *data, size_t len)
{
    return evtls_bev_add_output(arg, data, len);
}

static size_t port_get_output_length(void *arg)
{
    return evtls_bev_get_unsent(arg);
}

const struct evtls_port_ops evtls_bev_port = {
    port_peek_input,
    port_drain_input,
    port_add_output,
    port_get_output_length,
};

/* ---- Kept input --------------------------------------------------------------------------- */

void evtls_bev_drop_input(struct evtls_bev *conn)
{
    free(conn->in.held);
    conn->in.held = NULL;
    conn->in.data = NULL;
    conn->in.len = 0;
}

static void fail_nomem(struct evtls_bev *conn)
{
    evtls_bev_fail(conn, EVTLS_ERR_NOMEM, "out of memory", BEV_EVENT_READING | BEV_EVENT_ERROR);
}

void evtls_bev_hold_input(struct evtls_bev *conn)
{
    struct evtls_bev_in *in = &conn->in;
    unsigned char *copy;

    if (in->len == 0) {
        evtls_bev_drop_input(conn);
        return;
    }
    if (in->held) {
        return; /* data points into it already */
    }
    copy = malloc(in->len);
    if (!copy) {
        in->len = 0; /* a gap in the stream can't be mended */
        fail_nomem(conn);
        return;
    }
    memcpy(copy, in->data, in->len);
    in->held = copy;
    in->data = copy;
}

bool evtls_bev_has_input(const struct evtls_bev *conn)
{
    switch (conn->phase) {
    case EVTLS_BEV_HANDSHAKE:
        return conn->in.len > 0;
    case EVTLS_BEV_OPEN:
        return evtls_bev_may_read(conn) &&
               (evtls_engine_has_input(conn->engine) || conn->in.fd_end);
    case EVTLS_BEV_PLAIN:
        return evtls_bev_may_read(conn) && (conn->in.len > 0 || conn->in.fd_end);
    default:
        return false;
    }
}

/* ---- Using it ----------------------------------------------------------------------------- */

/* How much the input buffer may grow now: to its high watermark, by what one read may give. */
static size_t get_room(const struct evtls_bev *conn)
{
    size_t high = conn->bev->wm_read.high;
    size_t length = evbuffer_get_length(conn->bev->input);

    if (high == 0) {
        return evtls_bev_clip_delivery(conn, EV_SSIZE_MAX);
    }
    return evtls_bev_clip_delivery(conn, length < high ? high - length : 0);
}

static void opened(struct evtls_bev *conn)
{
    if (conn->ending != EVTLS_BEV_END_CLOSE) {
        evtls_bev_stop_timer(conn);
    }
    conn->phase = EVTLS_BEV_OPEN;
    conn->tell |= EVTLS_BEV_TELL_OPEN;
    if (conn->write_asked) {
        conn->tell |= EVTLS_BEV_TELL_WRITE;
        conn->write_asked = false;
    }
}

/* Nothing more comes from the transport, and what came is used. The engine knows of a plain end.
 */
static void input_exhausted(struct evtls_bev *conn)
{
    if (conn->in.fd_errno) {
        short what = BEV_EVENT_READING | BEV_EVENT_ERROR;

        evtls_bev_fail_errno(conn, conn->in.fd_errno,
                             evtls_bev_is_connected(conn) ? what : BEV_EVENT_ERROR);
    }
}

static void advance_handshake(struct evtls_bev *conn)
{
    int rc;

    if (!evtls_bev_handshake_may_run(conn)) {
        return;
    }
    rc = evtls_engine_step_handshake(conn->engine);
    if (conn->phase == EVTLS_BEV_DEAD) {
        return; /* freed in the SNI callback */
    }
    if (rc == 0) {
        opened(conn);
    } else if (rc == EVTLS_ERR_WANT_READ) {
        if (conn->in.fd_end) {
            input_exhausted(conn);
        }
    } else if (rc != EVTLS_ERR_WANT_WRITE && rc != EVTLS_ERR_SUSPENDED) {
        evtls_bev_engine_failed(conn, BEV_EVENT_READING | BEV_EVENT_ERROR);
    }
}

/* One step of reading: false when there is nothing more to do now. */
static bool advance_open(struct evtls_bev *conn)
{
    struct evbuffer *input = conn->bev->input;
    size_t room = get_room(conn);
    ev_ssize_t n;

    if (!evtls_bev_may_read(conn) || room == 0) {
        return false;
    }
    evbuffer_unfreeze(input, 0);
    n = evtls_engine_step_read(conn->engine, input, room);
    evbuffer_freeze(input, 0);
    if (conn->phase == EVTLS_BEV_DEAD) {
        return false; /* freed in a callback of the buffer */
    }
    if (n > 0) {
        conn->tell |= EVTLS_BEV_TELL_READ;
        return (size_t)n < room; /* else the program is told first */
    }
    if (n == EVTLS_ERR_WANT_READ) {
        if (conn->in.fd_end) {
            input_exhausted(conn);
        }
    } else if (n == EVTLS_ERR_CLOSED) {
        evtls_bev_peer_ended(conn);
    } else if (n == EVTLS_ERR_NOMEM) {
        fail_nomem(conn);
    } else if (n != EVTLS_ERR_WANT_WRITE && n != EVTLS_ERR_SUSPENDED) {
        evtls_bev_engine_failed(conn, BEV_EVENT_READING | BEV_EVENT_ERROR);
    }
    return false;
}

static void advance_plain(struct evtls_bev *conn)
{
    struct evbuffer *input = conn->bev->input;
    size_t n = get_room(conn);

    if (!evtls_bev_may_read(conn) || (conn->tell & EVTLS_BEV_TELL_UNWRAPPED)) {
        return;
    }
    if (n > conn->in.len) {
        n = conn->in.len;
    }
    if (n > 0) {
        evbuffer_unfreeze(input, 0);
        if (evbuffer_add(input, conn->in.data, n) == 0) {
            port_drain_input(conn, n);
            conn->tell |= EVTLS_BEV_TELL_READ;
        } else {
            fail_nomem(conn);
        }
        evbuffer_freeze(input, 0);
    }
    if (conn->in.len == 0 && conn->in.fd_end) {
        if (conn->in.fd_errno) {
            input_exhausted(conn);
        } else {
            evtls_bev_peer_ended(conn);
        }
    }
}

void evtls_bev_advance(struct evtls_bev *conn)
{
    if (conn->phase == EVTLS_BEV_HANDSHAKE) {
        advance_handshake(conn);
    } else if (conn->phase == EVTLS_BEV_OPEN) {
        while (advance_open(conn)) {
        }
    } else if (conn->phase == EVTLS_BEV_PLAIN) {
        advance_plain(conn);
    }
    if (conn->role == EVTLS_CLIENT && evtls_engine_has_new_session(conn->engine)) {
        conn->tell |= EVTLS_BEV_TELL_SESSION;
    }
}

/* ---- Reading ------------------------------------------------------------------------------ */

/* One read into buf: the number of bytes, 0 when there are none now or ever (in.fd_end). */
static size_t receive(struct evtls_bev *conn, unsigned char *buf, size_t size,
                      const unsigned char **data)
{
    ssize_t n = conn->transport->receive(conn, buf, size, data);

    if (n > 0) {
        return (size_t)n;
    }
    if (n == 0) {
        conn->in.fd_end = true;
        evtls_engine_step_input_eof(conn->engine);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        conn->in.fd_end = true;
        conn->in.fd_errno = errno;
    }
    return 0;
}

static size_t get_read_size(struct evtls_bev *conn)
{
    size_t room = get_room(conn);

    /* A handshake is charged for, but not held up: nobody would say when it may go on. */
    if (conn->phase == EVTLS_BEV_HANDSHAKE) {
        return MAX_HANDSHAKE_READ;
    }
    if (room < MIN_READ_BYTES && conn->phase != EVTLS_BEV_PLAIN) {
        room = MIN_READ_BYTES;
    }
    if (room > EVTLS_READ_SCRATCH_BYTES) {
        room = EVTLS_READ_SCRATCH_BYTES;
    }
    return evtls_bev_clip_read(conn, room);
}

/* One read, and what comes of it: how much it was where there may be more at once, else 0. */
static size_t read_once(struct evtls_bev *conn, unsigned char *scratch)
{
    size_t size = get_read_size(conn);
    size_t n = size > 0 ? receive(conn, scratch, size, &conn->in.data) : 0;

    conn->in.len = n;
    evtls_bev_advance(conn);
    if (conn->phase == EVTLS_BEV_DEAD) {
        conn->in.len = 0;
        return 0;
    }
    evtls_bev_hold_input(conn);
    if (n > 0) {
        conn->transport->received(conn, n);
        evtls_bev_charge_read(conn, n);
    }
    if (conn->write_errno && n < size && !conn->in.fd_end) {
        evtls_bev_send_failed(conn, conn->write_errno);
    }
    return n == size || conn->under ? n : 0; /* below, bytes may lie in several places */
}

/*
 * The program is told after each round (where callbacks are not deferred), so that it takes its
 * bytes while they are in the cache and their memory serves the next round.
 */
void evtls_bev_read(struct evtls_bev *conn)
{
    unsigned char *scratch = evtls_base_get_scratch(conn->shared);
    unsigned generation = conn->generation;
    size_t budget = READ_BUDGET_BYTES, n = 1;

    evtls_bev_advance(conn);
    if (conn->phase != EVTLS_BEV_DEAD && conn->in.len == 0) {
        evtls_bev_drop_input(conn);
    }
    while (scratch && n > 0 && budget > 0 && !(conn->tell & EVTLS_BEV_TELL_OPEN) &&
           evtls_bev_may_receive(conn)) {
        n = read_once(conn, scratch);
        budget -= n < budget ? n : budget;
        if (n > 0) {
            evtls_bev_tell(conn);
        }
        if (conn->generation != generation) {
            return;
        }
    }
    if (conn->phase != EVTLS_BEV_DEAD && evtls_bev_has_input(conn) && get_room(conn) > 0) {
        conn->read_again = true;
    }
}

size_t evtls_bev_discard(struct evtls_bev *conn, size_t max)
{
    unsigned char *scratch = evtls_base_get_scratch(conn->shared);
    const unsigned char *data;
    size_t total = 0, n;

    evtls_bev_drop_input(conn);
    while (scratch && !conn->in.fd_end && total < max) {
        n = receive(conn, scratch, EVTLS_READ_SCRATCH_BYTES, &data);
        if (n == 0) {
            break;
        }
        conn->transport->received(conn, n);
        total += n;
    }
    return total;
}

void evtls_bev_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct evtls_bev *conn = evtls_bev_enter(arg);

    (void)fd;
    if (!conn) {
        return;
    }
    if (what == EV_TIMEOUT && conn->reading != EVTLS_BEV_READING_TIMED) {
        event_remove_timer(&conn->bev->ev_read); /* it had fired when it was taken back */
    } else if (what == EV_TIMEOUT) {
        bufferevent_disable(conn->bev, EV_READ);
        bufferevent_trigger_event(conn->bev, BEV_EVENT_TIMEOUT | BEV_EVENT_READING, 0);
    } else {
        evtls_bev_read(conn);
        if (conn->phase != EVTLS_BEV_DEAD) {
            evtls_bev_send_later(conn);
        }
    }
    evtls_bev_leave(conn);
}
