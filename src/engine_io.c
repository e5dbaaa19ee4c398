/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moving bytes: handshake, read, write, shutdown.
 *
 * Each public call is a step of the same name, for engines that the program moves itself. A step
 * repeats the failure of an engine that has failed, and never calls OpenSSL again then.
 */
#include "config.h"

#include <event2/buffer.h>

#include "engine_internal.h"

/* From here on decrypting into the buffer's own memory is worth reserving it. */
#define DIRECT_READ_BYTES 4096

/* ---- Handshake -------------------------------------------------------------------------- */

static int complete(struct evtls_engine *engine)
{
    engine->handshake_done = true;
    evtls_engine_state_move(&engine->state, EVTLS_ENGINE_ON_COMPLETE);
    if (evtls_engine_keep_results(engine) < 0)
        return evtls_engine_end_with_nomem(engine);
    return EVTLS_OK;
}

/* Brings an engine as far as open: EVTLS_OK, or why it is not there. */
static int run_handshake(struct evtls_engine *engine)
{
    int status;

    if (engine->error != NULL)
        return engine->error->status;
    if (engine->handshake_done)
        return EVTLS_OK;
    if (engine->ssl == NULL && (status = evtls_engine_make_ssl(engine)) < 0)
        return status;
    evtls_engine_state_move(&engine->state, EVTLS_ENGINE_ON_STEP);
    evtls_ossl_clear_queue();
    status = evtls_engine_settle(engine, SSL_do_handshake(engine->ssl));
    return status == EVTLS_OK ? complete(engine) : status;
}

int evtls_engine_step_handshake(struct evtls_engine *engine)
{
    int status = evtls_engine_enter(engine);

    if (status < 0)
        return status;
    status = run_handshake(engine);
    evtls_engine_leave(engine);
    return status;
}

/* ---- Reading ---------------------------------------------------------------------------- */

static bool read_is_closed(const struct evtls_engine *engine)
{
    return engine->state == EVTLS_ENGINE_READ_CLOSED || engine->state == EVTLS_ENGINE_CLOSED;
}

/* What a read finds before it asks OpenSSL: EVTLS_OK when it may. */
static int before_read(struct evtls_engine *engine)
{
    int status = run_handshake(engine);

    if (status < 0)
        return status;
    return read_is_closed(engine) ? EVTLS_ERR_CLOSED : EVTLS_OK;
}

/* One SSL_read: the number of bytes, or a status. */
static ev_ssize_t read_some(struct evtls_engine *engine, void *data, size_t len)
{
    size_t n = 0;
    int status;

    evtls_ossl_clear_queue();
    status = evtls_engine_settle(engine, SSL_read_ex(engine->ssl, data, len, &n));
    if (status < 0)
        return status;
    engine->plaintext_in += n;
    return (ev_ssize_t)n;
}

/* Through a scratch: the buffer's memory is not touched where nothing comes. */
static ev_ssize_t read_copied(struct evtls_engine *engine, struct evbuffer *buf, size_t max)
{
    unsigned char scratch[EVTLS_RECORD_MAX_PLAINTEXT];
    ev_ssize_t n = read_some(engine, scratch, max < sizeof(scratch) ? max : sizeof(scratch));

    if (n > 0 && evbuffer_add(buf, scratch, (size_t)n) != 0)
        return evtls_engine_end_with_nomem(engine);
    return n;
}

/* Into the buffer's own memory. */
static ev_ssize_t read_direct(struct evtls_engine *engine, struct evbuffer *buf, size_t max)
{
    struct evbuffer_iovec vec;
    ev_ssize_t n;

    if (evbuffer_reserve_space(buf, (ev_ssize_t)max, &vec, 1) < 1)
        return evtls_engine_end_with_nomem(engine);
    n = read_some(engine, vec.iov_base, vec.iov_len < max ? vec.iov_len : max);
    if (n > 0) {
        vec.iov_len = (size_t)n;
        evbuffer_commit_space(buf, &vec, 1);
    }
    return n;
}

/* How much plaintext surely comes next: what is decrypted, or nearly all of a whole record. */
static size_t get_expected(const struct evtls_engine *engine)
{
    int pending = SSL_pending(engine->ssl);
    size_t record = pending > 0 ? (size_t)pending : evtls_bio_link_next_record(&engine->link);

    return record < EVTLS_RECORD_MAX_PLAINTEXT ? record : EVTLS_RECORD_MAX_PLAINTEXT;
}

static ev_ssize_t run_read(struct evtls_engine *engine, struct evbuffer *buf, size_t max)
{
    ev_ssize_t n = before_read(engine);
    size_t total = 0;

    while (n == EVTLS_OK && total < max) {
        size_t left = max - total;
        size_t expected = get_expected(engine);

        if (expected >= DIRECT_READ_BYTES)
            n = read_direct(engine, buf, left < expected ? left : expected);
        else
            n = read_copied(engine, buf, left);
        if (n > 0) {
            total += (size_t)n;
            n = EVTLS_OK;
        }
    }
    return total > 0 ? (ev_ssize_t)total : n;
}

ev_ssize_t evtls_engine_step_read(struct evtls_engine *engine, struct evbuffer *buf, size_t max)
{
    ev_ssize_t n = evtls_engine_enter(engine);

    if (n < 0)
        return n;
    n = max > 0 ? run_read(engine, buf, max) : 0;
    evtls_engine_leave(engine);
    return n;
}

static ev_ssize_t run_read_memory(struct evtls_engine *engine, unsigned char *data, size_t len)
{
    ev_ssize_t n = before_read(engine);
    size_t total = 0;

    while (n == EVTLS_OK && total < len) {
        n = read_some(engine, data + total, len - total);
        if (n > 0) {
            total += (size_t)n;
            n = EVTLS_OK;
        }
    }
    return total > 0 ? (ev_ssize_t)total : n;
}

/* ---- Writing ---------------------------------------------------------------------------- */

static bool is_over_limit(const struct evtls_engine *engine)
{
    const struct evtls_port *port = &engine->link.port;

    return engine->output_limit > 0 && !engine->link.cut &&
           port->ops->get_output_length(port->arg) >= engine->output_limit;
}

/* What a write finds before it asks OpenSSL: EVTLS_OK when it may. */
static int before_write(struct evtls_engine *engine)
{
    int status = run_handshake(engine);

    if (status < 0)
        return status;
    if (engine->state == EVTLS_ENGINE_WRITE_CLOSED || engine->state == EVTLS_ENGINE_CLOSED)
        return EVTLS_ERR_PROTOCOL;
    return EVTLS_OK;
}

/* One record: its bytes, or a status. */
static ev_ssize_t write_record(struct evtls_engine *engine, const void *data, size_t len)
{
    size_t n = 0;
    int status;

    if (is_over_limit(engine))
        return EVTLS_ERR_WANT_WRITE;
    evtls_ossl_clear_queue();
    status = evtls_engine_settle(engine, SSL_write_ex(engine->ssl, data, len, &n));
    return status < 0 ? status : (ev_ssize_t)n;
}

/* One record of at most max bytes from *at on, copied only where its bytes lie apart. */
static ev_ssize_t write_from_buffer(struct evtls_engine *engine, struct evbuffer *buf,
                                    struct evbuffer_ptr *at, size_t max)
{
    unsigned char record[EVTLS_RECORD_MAX_PLAINTEXT];
    size_t len = max < sizeof(record) ? max : sizeof(record);
    struct evbuffer_iovec vec;
    ev_ssize_t n;

    if (evbuffer_peek(buf, 1, at, &vec, 1) == 1 && vec.iov_len >= len)
        return write_record(engine, vec.iov_base, len);
    n = evbuffer_copyout_from(buf, at, record, len);
    return n > 0 ? write_record(engine, record, (size_t)n) : 0;
}

static ev_ssize_t run_write(struct evtls_engine *engine, struct evbuffer *buf, size_t offset,
                            size_t max)
{
    ev_ssize_t n = before_write(engine);
    size_t length = evbuffer_get_length(buf);
    size_t total = 0;
    struct evbuffer_ptr at;

    if (n < 0 || offset >= length || evbuffer_ptr_set(buf, &at, offset, EVBUFFER_PTR_SET) != 0)
        return n;
    if (max > length - offset)
        max = length - offset;
    while (total < max) {
        n = write_from_buffer(engine, buf, &at, max - total);
        if (n <= 0)
            break;
        total += (size_t)n;
        evbuffer_ptr_set(buf, &at, (size_t)n, EVBUFFER_PTR_ADD);
    }
    return total > 0 ? (ev_ssize_t)total : n;
}

ev_ssize_t evtls_engine_step_write(struct evtls_engine *engine, struct evbuffer *buf, size_t offset,
                                   size_t max)
{
    ev_ssize_t n = evtls_engine_enter(engine);

    if (n < 0)
        return n;
    n = run_write(engine, buf, offset, max);
    evtls_engine_leave(engine);
    return n;
}

static ev_ssize_t run_write_memory(struct evtls_engine *engine, const unsigned char *data,
                                   size_t len)
{
    ev_ssize_t n = before_write(engine);
    size_t total = 0;

    while (n == EVTLS_OK && total < len) {
        size_t part = len - total;

        if (part > EVTLS_RECORD_MAX_PLAINTEXT)
            part = EVTLS_RECORD_MAX_PLAINTEXT;
        n = write_record(engine, data + total, part);
        if (n > 0) {
            total += (size_t)n;
            n = EVTLS_OK;
        }
    }
    return total > 0 ? (ev_ssize_t)total : n;
}

/* ---- The end ---------------------------------------------------------------------------- */

/* OpenSSL sends nothing after it, not even the answer to a key update. */
static void send_close_notify(struct evtls_engine *engine)
{
    evtls_ossl_clear_queue();
    SSL_shutdown(engine->ssl);
    evtls_ossl_clear_queue();
    evtls_engine_state_move(&engine->state, EVTLS_ENGINE_ON_CLOSE_SENT);
}

/* Whether the peer's close_notify comes next; plaintext before it is for the program to read. */
static int look_for_close(struct evtls_engine *engine)
{
    unsigned char byte;
    size_t n;
    int status;

    evtls_ossl_clear_queue();
    status = evtls_engine_settle(engine, SSL_peek_ex(engine->ssl, &byte, 1, &n));
    if (status == EVTLS_ERR_CLOSED)
        return EVTLS_OK;
    return status == EVTLS_OK ? EVTLS_ERR_WANT_READ : status;
}

static int run_shutdown(struct evtls_engine *engine)
{
    if (engine->error != NULL)
        return engine->error->status;
    if (!engine->handshake_done)
        return EVTLS_ERR_PROTOCOL;
    if (engine->state == EVTLS_ENGINE_OPEN || engine->state == EVTLS_ENGINE_READ_CLOSED)
        send_close_notify(engine);
    if (engine->link.exhausted)
        return evtls_engine_end_with_nomem(engine);
    return engine->state == EVTLS_ENGINE_CLOSED ? EVTLS_OK : look_for_close(engine);
}

int evtls_engine_step_shutdown(struct evtls_engine *engine)
{
    int status = evtls_engine_enter(engine);

    if (status < 0)
        return status;
    status = run_shutdown(engine);
    evtls_engine_leave(engine);
    return status;
}

void evtls_engine_step_input_eof(struct evtls_engine *engine)
{
    engine->input_ended = true;
}

/* ---- The same for the program ----------------------------------------------------------- */

static bool is_moved_by_program(const struct evtls_engine *engine)
{
    return engine != NULL && engine->own_port != NULL;
}

int evtls_engine_handshake(struct evtls_engine *engine)
{
    return is_moved_by_program(engine) ? evtls_engine_step_handshake(engine) : EVTLS_ERR_USAGE;
}

ev_ssize_t evtls_engine_read(struct evtls_engine *engine, void *data, size_t len)
{
    ev_ssize_t n;

    if (!is_moved_by_program(engine) || (data == NULL && len > 0))
        return EVTLS_ERR_USAGE;
    if (len == 0)
        return 0;
    n = evtls_engine_enter(engine);
    if (n < 0)
        return n;
    n = run_read_memory(engine, data, len < EV_SSIZE_MAX ? len : EV_SSIZE_MAX);
    evtls_engine_leave(engine);
    return n;
}

ev_ssize_t evtls_engine_read_buffer(struct evtls_engine *engine, struct evbuffer *buf, size_t max)
{
    if (!is_moved_by_program(engine) || buf == NULL)
        return EVTLS_ERR_USAGE;
    return evtls_engine_step_read(engine, buf, max < EV_SSIZE_MAX ? max : EV_SSIZE_MAX);
}

ev_ssize_t evtls_engine_write(struct evtls_engine *engine, const void *data, size_t len)
{
    ev_ssize_t n;

    if (!is_moved_by_program(engine) || (data == NULL && len > 0))
        return EVTLS_ERR_USAGE;
    n = evtls_engine_enter(engine);
    if (n < 0)
        return n;
    n = run_write_memory(engine, data, len < EV_SSIZE_MAX ? len : EV_SSIZE_MAX);
    evtls_engine_leave(engine);
    return n;
}

ev_ssize_t evtls_engine_write_buffer(struct evtls_engine *engine, struct evbuffer *buf, size_t max)
{
    ev_ssize_t n;

    if (!is_moved_by_program(engine) || buf == NULL)
        return EVTLS_ERR_USAGE;
    n = evtls_engine_step_write(engine, buf, 0, max < EV_SSIZE_MAX ? max : EV_SSIZE_MAX);
    if (n > 0)
        evbuffer_drain(buf, (size_t)n);
    return n;
}

int evtls_engine_shutdown(struct evtls_engine *engine)
{
    return is_moved_by_program(engine) ? evtls_engine_step_shutdown(engine) : EVTLS_ERR_USAGE;
}

void evtls_engine_set_input_eof(struct evtls_engine *engine)
{
    if (is_moved_by_program(engine))
        evtls_engine_step_input_eof(engine);
}
