/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Engines in memory: each step moves some bytes through the scripted transport or makes one call
 * of one side, at random.
 */
#include "config.h"

#include "sim.h"

#include <errno.h>
#include <string.h>

#include <event2/buffer.h>
#include <openssl/err.h>

#include <evtls/engine.h>

#include "support/peer.h"
#include "support/require.h"
#include "support/script_transport.h"

#define MAX_STEPS 60000
#define OUTPUT_LIMIT 20000

/* Beyond its limit an output holds one record, and what is exempt from the limit. */
#define OUTPUT_BOUND (OUTPUT_LIMIT + 16640 + 16384)

struct end {
    struct evtls_engine *engine; /* or */
    struct peer *peer;
    struct evbuffer *in, *out;
    uint64_t wants; /* bytes to send in all */
    uint64_t sent, received;
    bool shut; /* close_notify was sent */
    bool over; /* nothing more is read: `status` says why */
    int status;
    bool fd_end;
};

struct run {
    struct sim *sim;
    struct transport *transport;
    struct end ends[2];
};

static void open_end(struct run *run, int side)
{
    struct sim *sim = run->sim;
    struct end *end = &run->ends[side];
    enum sim_pairing plain = side == SIM_CLIENT ? SIM_PLAIN_CLIENT : SIM_PLAIN_SERVER;

    end->in = evbuffer_new();
    end->out = evbuffer_new();
    end->wants = rng_below(&sim->rng, sim_max_bytes(sim));
    if (sim->pairing == plain) {
        end->peer = sim_plain_peer(sim, side);
        return;
    }
    end->engine =
        evtls_engine_new(sim_context(sim, side), side == SIM_CLIENT ? EVTLS_CLIENT : EVTLS_SERVER,
                         end->in, end->out, NULL);
    support_require(end->engine != NULL);
    if (side == SIM_CLIENT)
        evtls_engine_set_server_hostname(end->engine, "localhost", NULL);
    evtls_engine_set_output_limit(end->engine, OUTPUT_LIMIT);
}

static void close_end(struct end *end)
{
    evtls_engine_free(end->engine);
    peer_free(end->peer);
    evbuffer_free(end->in);
    evbuffer_free(end->out);
}

/* ---- Ours ------------------------------------------------------------------------------- */

static bool is_want(ev_ssize_t status)
{
    return status == EVTLS_ERR_WANT_READ || status == EVTLS_ERR_WANT_WRITE;
}

/* The end of reading: what it must and must not be. */
static void note_over(struct run *run, int side, int status)
{
    struct sim *sim = run->sim;
    struct end *end = &run->ends[side], *other = &run->ends[!side];

    sim_say(sim, "side %d is over: %s", side, evtls_status_name(status));
    if (end->over)
        SIM_CHECK(sim, status == end->status, "a second end (%d) after the first (%d)", status,
                  end->status);
    end->over = true;
    end->status = status;
    if (status == EVTLS_ERR_CLOSED) {
        SIM_CHECK(sim, other->shut, "a clean end that nobody sent");
        SIM_CHECK(sim, end->received == other->sent, "a clean end after %llu of %llu bytes",
                  (unsigned long long)end->received, (unsigned long long)other->sent);
        return;
    }
    SIM_CHECK(sim, sim->cut, "a failure (%s) without a cause", evtls_status_name(status));
    /* An OpenSSL that meets an end of file in the handshake sends an alert in the clear. */
    SIM_CHECK(sim,
              status == EVTLS_ERR_TRUNCATED || status == EVTLS_ERR_ALERT ||
                  (status == EVTLS_ERR_PROTOCOL && other->peer != NULL),
              "a cut is told as %s", evtls_status_name(status));
    SIM_CHECK(sim, evtls_engine_get_error(end->engine) != NULL, "a failure without an error");
}

static void engine_read(struct run *run, int side)
{
    struct sim *sim = run->sim;
    struct end *end = &run->ends[side];
    unsigned char data[20000];
    size_t len = rng_size(&sim->rng, sizeof(data));
    ev_ssize_t n = evtls_engine_read(end->engine, data, len);

    SIM_CHECK(sim, n != 0 && n <= (ev_ssize_t)len, "read answers %ld", (long)n);
    if (n > 0) {
        SIM_CHECK(sim, !end->over, "data after the end");
        sim_check_bytes(sim, !side, end->received, data, (size_t)n);
        end->received += (uint64_t)n;
    } else if (!is_want(n)) {
        note_over(run, side, (int)n);
    }
}

static void engine_write(struct run *run, int side)
{
    struct sim *sim = run->sim;
    struct end *end = &run->ends[side];
    unsigned char data[40000];
    uint64_t left = end->wants - end->sent;
    size_t len = rng_size(&sim->rng, sizeof(data));
    ev_ssize_t n;

    if (len > left)
        len = (size_t)left;
    sim_fill(sim, side, end->sent, data, len);
    n = evtls_engine_write(end->engine, data, len);
    SIM_CHECK(sim, n <= (ev_ssize_t)len, "write takes %ld of %zu", (long)n, len);
    if (n > 0) {
        SIM_CHECK(sim, evtls_engine_is_handshake_done(end->engine), "data before the handshake");
        end->sent += (uint64_t)n;
    } else if (n < 0 && !is_want(n) && !end->shut) {
        note_over(run, side, (int)n);
    }
}

static void engine_shutdown(struct run *run, int side)
{
    struct end *end = &run->ends[side];

    if (end->sent < end->wants || !evtls_engine_is_handshake_done(end->engine))
        return;
    evtls_engine_shutdown(end->engine);
    end->shut = true;
}

static void engine_step(struct run *run, int side)
{
    struct sim *sim = run->sim;
    struct end *end = &run->ends[side];

    switch (rng_below(&sim->rng, 4)) {
    case 0:
        if (!is_want(evtls_engine_handshake(end->engine)) &&
            evtls_engine_get_error(end->engine) != NULL)
            note_over(run, side, evtls_engine_get_error(end->engine)->status);
        break;
    case 1:
        engine_read(run, side);
        break;
    case 2:
        engine_write(run, side);
        break;
    default:
        engine_shutdown(run, side);
        break;
    }
    SIM_CHECK(sim, ERR_peek_error() == 0, "OpenSSL's error queue is not empty");
    SIM_CHECK(sim, evbuffer_get_length(end->out) <= OUTPUT_BOUND, "%zu bytes of output",
              evbuffer_get_length(end->out));
}

/* ---- Plain ------------------------------------------------------------------------------ */

static void peer_step_all(struct run *run, int side)
{
    struct sim *sim = run->sim;
    struct end *end = &run->ends[side];
    enum peer_result result = end->over ? PEER_FAILED : peer_step(end->peer);
    size_t len;
    const unsigned char *data = peer_received(end->peer, &len);

    sim_check_bytes(sim, !side, end->received, data + end->received, len - end->received);
    end->received = len;
    if (result != PEER_WANT_INPUT && !end->over) {
        end->over = true;
        end->status = result == PEER_CLOSED ? EVTLS_ERR_CLOSED : EVTLS_ERR_TRUNCATED;
        SIM_CHECK(sim, result == PEER_CLOSED || sim->cut, "the plain peer failed, reason %d",
                  peer_reason(end->peer));
        if (result == PEER_CLOSED)
            SIM_CHECK(sim, end->received == run->ends[!side].sent, "a clean end too early");
    }
}

static void plain_step(struct run *run, int side)
{
    struct sim *sim = run->sim;
    struct end *end = &run->ends[side];
    unsigned char data[20000];
    size_t len = rng_size(&sim->rng, sizeof(data));

    peer_step_all(run, side);
    if (!peer_is_open(end->peer) || end->shut || (end->over && end->status != EVTLS_ERR_CLOSED) ||
        peer_pending(end->peer) > OUTPUT_LIMIT)
        return;
    if (len > end->wants - end->sent)
        len = (size_t)(end->wants - end->sent);
    if (len > 0) {
        sim_fill(sim, side, end->sent, data, len);
        if (peer_write(end->peer, data, len) == PEER_OK)
            end->sent += len;
    } else if (rng_chance(&sim->rng, 300)) {
        peer_shutdown(end->peer);
        end->shut = true;
    } else if (!sim->tls12 && rng_chance(&sim->rng, 50)) {
        peer_key_update(end->peer, rng_chance(&sim->rng, 500));
    }
}

/* ---- Bytes ------------------------------------------------------------------------------ */

static void move_engine(struct run *run, int side)
{
    struct end *end = &run->ends[side];
    ssize_t n =
        end->fd_end ? -EAGAIN : transport_read_buffer(run->transport, (unsigned)side, end->in);

    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)) {
        end->fd_end = true;
        evtls_engine_set_input_eof(end->engine);
    }
    if (evbuffer_get_length(end->out) > 0) {
        n = transport_write_buffer(run->transport, (unsigned)side, end->out);
        if (n < 0 && n != -EAGAIN && n != -EINTR)
            evbuffer_drain(end->out, evbuffer_get_length(end->out));
    }
}

static bool is_finished(const struct end *end)
{
    return end->over && (end->shut || end->status != EVTLS_ERR_CLOSED);
}

/* A side that is done closes its half; the other then sees an end whatever the script does. */
static void hang_up(struct run *run)
{
    for (int side = 0; side < 2; side++) {
        struct end *end = &run->ends[side];
        bool sent = end->engine ? evbuffer_get_length(end->out) == 0 : peer_pending(end->peer) == 0;

        if (is_finished(end) && sent)
            transport_shutdown(run->transport, (unsigned)side);
    }
}

void sim_run_engines(struct sim *sim)
{
    struct run run = {.sim = sim, .transport = transport_new(&sim->script)};

    open_end(&run, SIM_CLIENT);
    open_end(&run, SIM_SERVER);
    for (sim->step = 0; sim->step < MAX_STEPS; sim->step++) {
        int side = (int)rng_below(&sim->rng, 2);
        struct end *end = &run.ends[side];

        if (end->engine) {
            move_engine(&run, side);
            engine_step(&run, side);
        } else {
            transport_step_peer(run.transport, (unsigned)side, end->peer);
            plain_step(&run, side);
        }
        transport_advance_ms(run.transport, 1);
        if (is_finished(&run.ends[0]) && is_finished(&run.ends[1]))
            break;
        if (sim->cut && sim->step % 64 == 0)
            hang_up(&run);
        if (sim->cut && sim->step == MAX_STEPS / 2) {
            transport_reset(run.transport, SIM_CLIENT);
            transport_reset(run.transport, SIM_SERVER);
        }
    }
    SIM_CHECK(sim, sim->step < MAX_STEPS,
              "no end is in sight: sent %llu of %llu, %llu of %llu; received %llu, %llu",
              (unsigned long long)run.ends[0].sent, (unsigned long long)run.ends[0].wants,
              (unsigned long long)run.ends[1].sent, (unsigned long long)run.ends[1].wants,
              (unsigned long long)run.ends[0].received, (unsigned long long)run.ends[1].received);
    if (!sim->cut)
        SIM_CHECK(sim,
                  run.ends[0].status == EVTLS_ERR_CLOSED && run.ends[1].status == EVTLS_ERR_CLOSED,
                  "the ends are not clean");
    close_end(&run.ends[0]);
    close_end(&run.ends[1]);
    transport_free(run.transport);
}
