/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output buffer -> engine -> transport.
 *
 * Bytes stay in the output buffer until the record that carries them was taken by the kernel:
 * they are encrypted where they lie, and drained record by record as the ciphertext goes. Programs
 * free a bufferevent as soon as its output is empty.
 *
 * Ciphertext stands in a block that is borrowed from the base, filled with up to four full records,
 * and given back when all is sent. New records are made only when the block is empty, so a slow
 * reader costs one block; rate limits bound what is encrypted. What the engine adds on its own
 * (handshake, tickets, alerts) is taken whatever the size.
 */
#include "config.h"

#include "bev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RECORD_PLAIN 16384
#define MAX_RECORD_BYTES 16640 /* with header, MAC and padding of any cipher */

/* Sent by one connection in one turn. */
#define WRITE_BUDGET_BYTES 262144

/* What a blocked connection keeps is moved out of its block when it is no more than this. */
#define SMALL_REST_BYTES 16384

/* ---- The block ---------------------------------------------------------------------------- */

size_t evtls_bev_get_unsent(const struct evtls_bev *conn)
{
    return conn->out.len - conn->out.off + conn->out.in_flight;
}

static void release_block(struct evtls_bev *conn)
{
    struct evtls_bev_out *out = &conn->out;

    if (out->block) {
        evtls_base_give_block(conn->shared, out->block);
    } else {
        free(out->data);
    }
    out->block = NULL;
    out->data = NULL;
    out->start += out->off;
    out->len = out->off = out->cap = 0;
}

void evtls_bev_drop_output(struct evtls_bev *conn)
{
    release_block(conn);
    conn->out.first = 0;
    conn->out.n_records = 0;
    conn->out.encrypted = 0;
    conn->out.in_flight = 0;
}

static int borrow_block(struct evtls_bev *conn)
{
    struct evtls_bev_out *out = &conn->out;

    out->block = evtls_base_take_block(conn->shared);
    if (!out->block) {
        return -1;
    }
    out->data = out->block->data;
    out->cap = sizeof(out->block->data);
    return 0;
}

/* Moves what is to be sent to a heap of its own with room for cap bytes. */
static int move_to_heap(struct evtls_bev *conn, size_t cap)
{
    struct evtls_bev_out *out = &conn->out;
    size_t rest = out->len - out->off;
    unsigned char *heap = malloc(cap);

    if (!heap) {
        return -1;
    }
    memcpy(heap, out->data + out->off, rest);
    release_block(conn);
    out->data = heap;
    out->len = rest;
    out->cap = cap;
    return 0;
}

int evtls_bev_add_output(struct evtls_bev *conn, const unsigned char *data, size_t len)
{
    struct evtls_bev_out *out = &conn->out;

    if (conn->fin_sent) {
        return 0; /* behind our close_notify: the answer to a key update (RFC 8446, section 6.1) */
    }
    if (!out->data && borrow_block(conn) != 0) {
        return -1;
    }
    if (out->len + len > out->cap && move_to_heap(conn, 2 * (out->len - out->off) + len) != 0) {
        return -1;
    }
    memcpy(out->data + out->len, data, len);
    out->len += len;
    return 0;
}

/* A blocked connection gives a nearly empty block back. */
static void shrink_block(struct evtls_bev *conn)
{
    size_t rest = conn->out.len - conn->out.off;

    if (conn->out.block && rest > 0 && rest <= SMALL_REST_BYTES) {
        (void)move_to_heap(conn, rest); /* without memory it keeps the block */
    }
}

/* ---- Sending ------------------------------------------------------------------------------ */

/* Lets bytes go that the kernel has taken. The program's buffer callbacks run in it. */
static void drain_output(struct evtls_bev *conn, size_t len)
{
    struct evbuffer *output = conn->bev->output;

    conn->tell |= EVTLS_BEV_TELL_WRITE;
    evbuffer_unfreeze(output, 1);
    evbuffer_drain(output, len);
    evbuffer_freeze(output, 1);
    evtls_bev_touch_write_timer(conn);
}

void evtls_bev_drain_sent(struct evtls_bev *conn)
{
    struct evtls_bev_out *out = &conn->out;
    uint64_t taken = out->start + out->off - out->in_flight;
    size_t plain = 0;

    while (out->n_records > 0 && out->records[out->first].end <= taken) {
        plain += out->records[out->first].plain;
        out->first++;
        out->n_records--;
    }
    if (out->n_records == 0) {
        out->first = 0;
    }
    if (plain > 0) {
        out->encrypted -= plain;
        drain_output(conn, plain);
    }
}

/*
 * What is given to a pair runs the callbacks of the other half's buffers: the program may free us,
 * give us another descriptor or flush in them. So the bytes count as given before they are.
 */
static ssize_t send_rest(struct evtls_bev *conn, const struct iovec *rest)
{
    struct evtls_bev_out *out = &conn->out;
    ssize_t n;

    out->off += rest->iov_len;
    n = conn->transport->send(conn, rest, 1);
    if (n < (ssize_t)rest->iov_len) {
        out->off -= rest->iov_len - (n > 0 ? (size_t)n : 0); /* a socket: nothing has happened */
    }
    return n;
}

bool evtls_bev_send(struct evtls_bev *conn)
{
    struct evtls_bev_out *out = &conn->out;
    unsigned generation = conn->generation;

    while (out->off < out->len) {
        struct iovec rest = {out->data + out->off, out->len - out->off};
        ssize_t n;

        if (!evtls_bev_may_send(conn)) {
            break;
        }
        n = send_rest(conn, &rest);
        if (conn->phase == EVTLS_BEV_DEAD || conn->generation != generation) {
            return false;
        }
        if (n < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                evtls_bev_send_failed(conn, errno);
                return false;
            }
            break;
        }
        conn->first_sent = true;
        evtls_bev_charge_write(conn, (size_t)n);
        evtls_bev_drain_sent(conn);
        if (conn->phase == EVTLS_BEV_DEAD) {
            return false;
        }
        if ((size_t)n < rest.iov_len) {
            break;
        }
    }
    if (out->off < out->len) {
        shrink_block(conn);
        return false;
    }
    release_block(conn);
    return out->in_flight == 0;
}

/* ---- Encrypting --------------------------------------------------------------------------- */

/* close_notify goes behind the last byte of the output. */
static void add_close_notify(struct evtls_bev *conn)
{
    int rc;

    if (conn->ending == EVTLS_BEV_NO_END || conn->close_sent ||
        conn->out.encrypted < evbuffer_get_length(conn->bev->output)) {
        return;
    }
    rc = evtls_engine_step_shutdown(conn->engine);
    conn->close_sent = true;
    if (rc != 0 && rc != EVTLS_ERR_WANT_READ && rc != EVTLS_ERR_WANT_WRITE) {
        evtls_bev_engine_failed(conn, BEV_EVENT_WRITING | BEV_EVENT_ERROR);
    }
}

/* One record of at most max bytes: true when one was made. */
static bool encrypt_record(struct evtls_bev *conn, size_t max)
{
    struct evtls_bev_out *out = &conn->out;
    struct evtls_bev_record *record = &out->records[out->first + out->n_records];
    ev_ssize_t n;

    evbuffer_unfreeze(conn->bev->output, 1);
    n = evtls_engine_step_write(conn->engine, conn->bev->output, out->encrypted, max);
    evbuffer_freeze(conn->bev->output, 1);
    if (n > 0) {
        record->end = out->start + out->len;
        record->plain = (size_t)n;
        out->n_records++;
        out->encrypted += (size_t)n;
        return true;
    }
    if (n != 0 && n != EVTLS_ERR_WANT_READ && n != EVTLS_ERR_WANT_WRITE &&
        n != EVTLS_ERR_SUSPENDED) {
        evtls_bev_engine_failed(conn, BEV_EVENT_WRITING | BEV_EVENT_ERROR);
    }
    return false;
}

/* Fills the block with records: how many bytes of the output they carry. */
static size_t encrypt(struct evtls_bev *conn)
{
    struct evtls_bev_out *out = &conn->out;
    size_t length = evbuffer_get_length(conn->bev->output);
    size_t left = evtls_bev_may_write(conn) ? length - out->encrypted : 0;
    size_t total = 0;

    if (left > 0) {
        left = evtls_bev_clip_write(conn, left);
    }
    while (left > 0 && out->len + MAX_RECORD_BYTES <= EVTLS_BLOCK_BYTES &&
           out->first + out->n_records < EVTLS_BEV_MAX_RECORDS) {
        size_t before = out->encrypted;

        if (!encrypt_record(conn, left < MAX_RECORD_PLAIN ? left : MAX_RECORD_PLAIN)) {
            break;
        }
        left -= out->encrypted - before;
        total += out->encrypted - before;
    }
    if (conn->phase == EVTLS_BEV_OPEN) {
        add_close_notify(conn);
    }
    return total;
}

/* ---- Plaintext ---------------------------------------------------------------------------- */

static ssize_t send_plain(struct evtls_bev *conn, size_t max)
{
    struct evbuffer_iovec vec[8];
    struct iovec iov[8];
    int n = evbuffer_peek(conn->bev->output, (ev_ssize_t)max, NULL, vec, 8);
    int used = 0;

    for (; used < n && used < 8 && max > 0; used++) {
        iov[used].iov_base = vec[used].iov_base;
        iov[used].iov_len = vec[used].iov_len < max ? vec[used].iov_len : max;
        max -= iov[used].iov_len;
    }
    return conn->transport->send(conn, iov, used);
}

/* What is written behind a step up waits for TLS. */
static size_t get_plain_length(const struct evtls_bev *conn)
{
    return conn->phase == EVTLS_BEV_STARTING ? conn->plain_owed
                                             : evbuffer_get_length(conn->bev->output);
}

static void flush_plain(struct evtls_bev *conn)
{
    size_t budget = WRITE_BUDGET_BYTES;

    conn->plain_blocked = false;
    if (conn->connecting) {
        return;
    }
    while (get_plain_length(conn) > 0 && evtls_bev_may_write(conn) && budget > 0) {
        size_t max = get_plain_length(conn);
        ssize_t n;

        max = evtls_bev_clip_write(conn, max < budget ? max : budget);
        if (max == 0) {
            return;
        }
        n = send_plain(conn, max);
        if (n < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                conn->plain_blocked = true;
            } else {
                evtls_bev_send_failed(conn, errno);
            }
            return;
        }
        budget -= (size_t)n;
        evtls_bev_charge_write(conn, (size_t)n);
        evtls_bev_plain_sent(conn, (size_t)n);
        drain_output(conn, (size_t)n);
        if (!evtls_bev_is_plain(conn)) {
            return;
        }
    }
    if (budget == 0) {
        evtls_bev_queue(conn);
    }
}

/* ---- Flushing ----------------------------------------------------------------------------- */

static void tell_write_asked(struct evtls_bev *conn)
{
    if (conn->write_asked && !conn->connecting &&
        (conn->phase == EVTLS_BEV_OPEN || conn->phase == EVTLS_BEV_PLAIN)) {
        conn->write_asked = false;
        conn->tell |= EVTLS_BEV_TELL_WRITE;
    }
}

static void flush_tls(struct evtls_bev *conn)
{
    size_t budget = WRITE_BUDGET_BYTES, n;

    for (;;) {
        if (!evtls_bev_send(conn) || conn->phase != EVTLS_BEV_OPEN || conn->write_errno) {
            return;
        }
        if (budget == 0) {
            evtls_bev_queue(conn);
            return;
        }
        n = encrypt(conn);
        if (evtls_bev_get_unsent(conn) == 0) {
            return;
        }
        budget -= n < budget ? n : budget;
    }
}

void evtls_bev_flush(struct evtls_bev *conn)
{
    if (evtls_engine_is_busy(conn->engine) || conn->flushing) {
        return;
    }
    if (conn->under && !evtls_filter_may_touch(conn)) {
        evtls_bev_queue(conn);
        return;
    }
    tell_write_asked(conn);
    if (conn->write_errno) {
        if (conn->phase == EVTLS_BEV_OPEN && !evtls_bev_reads_on(conn)) {
            evtls_bev_send_failed(conn, conn->write_errno);
        }
        return;
    }
    conn->flushing = true;
    if (evtls_bev_is_plain(conn)) {
        flush_plain(conn);
    } else if (conn->phase != EVTLS_BEV_DEAD) {
        flush_tls(conn);
    }
    conn->flushing = false;
}

/*
 * Where the program is about to be told something, it will probably write: what there is to send
 * waits for that, and leaves with it. So too is a connection told to be open before anything is
 * sent on it, tickets included.
 */
void evtls_bev_send_later(struct evtls_bev *conn)
{
    bool wanted = evtls_bev_get_unsent(conn) > 0 || conn->write_asked ||
                  conn->ending != EVTLS_BEV_NO_END || conn->phase == EVTLS_BEV_FAILING ||
                  evbuffer_get_length(conn->bev->output) > 0;

    if (!conn->tell) {
        evtls_bev_flush(conn);
        evtls_bev_go_on_ending(conn);
    } else if (wanted) {
        evtls_bev_queue(conn);
    }
}

/* ---- What calls it ------------------------------------------------------------------------ */

void evtls_bev_on_sendable(evutil_socket_t fd, short what, void *arg)
{
    struct evtls_bev *conn = evtls_bev_enter(arg);

    (void)fd;
    (void)what;
    if (!conn) {
        return;
    }
    if (conn->connecting) {
        evtls_bev_finish_connect(conn);
        evtls_bev_send_later(conn);
    } else {
        evtls_bev_flush(conn);
        evtls_bev_go_on_ending(conn);
    }
    evtls_bev_leave(conn);
}

/* ev_write has no descriptor: only its timeout ever runs it. */
void evtls_bev_on_write_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct evtls_bev *conn = evtls_bev_enter(arg);

    (void)fd;
    if (!conn) {
        return;
    }
    if (what == EV_TIMEOUT && !evutil_timerisset(&conn->bev->timeout_write)) {
        event_remove_timer(&conn->bev->ev_write); /* it had fired when it was taken back */
    } else if (what == EV_TIMEOUT) {
        bufferevent_disable(conn->bev, EV_WRITE);
        bufferevent_trigger_event(conn->bev, BEV_EVENT_TIMEOUT | BEV_EVENT_WRITING, 0);
    }
    evtls_bev_leave(conn);
}

void evtls_bev_on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct evtls_bev *conn = arg;

    (void)output;
    evtls_bev_note_connect(conn);
    if (info->n_added == 0 || !evtls_bev_may_write(conn)) {
        return;
    }
    /* After the end only for libevent's write timeout, which it has started or will. */
    if (conn->phase == EVTLS_BEV_OPEN || conn->phase == EVTLS_BEV_PLAIN ||
        conn->phase == EVTLS_BEV_ENDED) {
        evtls_bev_queue(conn);
    }
}

int evtls_bev_op_flush(struct bufferevent *bev, short iotype, enum bufferevent_flush_mode mode)
{
    struct evtls_bev *conn = evtls_bev_from(bev);
    size_t before = evbuffer_get_length(bev->output);

    if (!(iotype & EV_WRITE) || mode == BEV_NORMAL) {
        return 0;
    }
    if (mode == BEV_FINISHED && evtls_bev_end_writing(conn) != 0) {
        return -1;
    }
    evtls_bev_flush(conn);
    evtls_bev_queue(conn);
    return evbuffer_get_length(bev->output) < before ? 1 : 0;
}
