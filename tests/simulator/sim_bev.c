/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bufferevents on descriptors, whose system calls and whose network follow the script, under a
 * virtual clock. Timers make random calls of the program on both sides; a side may also be a plain
 * OpenSSL peer, moved by a timer.
 *
 * After its random part a run comes to an end: everything is allowed again, each side shuts down,
 * and both must be told of the right end in bounded (virtual) time.
 */
#include "config.h"

#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <evtls/bufferevent.h>

#include "support/faults.h"
#include "support/loop.h"
#include "support/peer.h"
#include "support/require.h"
#include "support/vclock.h"
#include "support/wire.h"

#define RANDOM_CALLS 120
#define DEADLINE_MS 600000

struct run;

struct end {
    struct run *run;
    int side;
    int fd;
    struct bufferevent *bev; /* NULL: plain, or freed */
    struct peer *peer;
    struct event *timer;
    struct faults *faults;
    struct script_player player;
    struct ev_token_bucket_cfg *limit;
    uint64_t max, written, received;
    size_t high; /* watermark */
    unsigned calls;
    bool connected;
    bool told_eof, told_error;
    bool shut; /* our close_notify is on its way: nothing is written any more */
    bool shut_both;
    bool let_go;  /* freed or closed by the program */
    bool gave_up; /* freed while something was owed */
    bool over;    /* nothing more will be told */
    bool plain_eof;
};

struct run {
    struct sim *sim;
    struct event_base *base;
    struct wire *wire;
    struct end ends[2];
};

static struct end *other_of(struct end *end)
{
    return &end->run->ends[!end->side];
}

/* ---- What the program is told ----------------------------------------------------------- */

static void take_input(struct end *end, struct evbuffer *input)
{
    unsigned char data[4096];
    int n;

    while ((n = evbuffer_remove(input, data, sizeof(data))) > 0) {
        sim_check_bytes(end->run->sim, !end->side, end->received, data, (size_t)n);
        end->received += (uint64_t)n;
    }
}

static void let_go(struct end *end, bool close)
{
    struct bufferevent *bev = end->bev;

    sim_say(end->run->sim, "side %d: %s", end->side, close ? "close" : "free");
    if (!close && evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        end->gave_up = true;
    if (!close && !end->connected)
        end->gave_up = true;
    end->bev = NULL;
    end->let_go = true;
    end->over = true;
    end->shut = true;
    if (close)
        evtls_bufferevent_close(bev, &(struct timeval){200, 0});
    else
        bufferevent_free(bev);
}

static void maybe_free(struct end *end)
{
    if (end->bev && rng_chance(&end->run->sim->rng, 8))
        let_go(end, rng_chance(&end->run->sim->rng, 500));
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct end *end = arg;
    struct evbuffer *input = bufferevent_get_input(bev);

    SIM_CHECK(end->run->sim, end->connected, "data before CONNECTED");
    SIM_CHECK(end->run->sim, !end->told_eof && !end->told_error, "data after the end");
    SIM_CHECK(end->run->sim, end->high == 0 || evbuffer_get_length(input) <= end->high + 16384,
              "%zu bytes of input over a high watermark of %zu", evbuffer_get_length(input),
              end->high);
    take_input(end, input);
    maybe_free(end);
}

static void on_write(struct bufferevent *bev, void *arg)
{
    (void)bev;
    maybe_free(arg);
}

/* The ends that are right: clean only after the other side's close_notify and all of its bytes. */
static void check_end(struct end *end, short what)
{
    struct sim *sim = end->run->sim;
    struct end *other = other_of(end);
    const struct evtls_error *err = evtls_engine_get_error(evtls_bufferevent_get_engine(end->bev));

    SIM_CHECK(sim, !end->told_error, "an end after an error");
    if (what & BEV_EVENT_EOF) {
        SIM_CHECK(sim, !end->told_eof, "two ends of file");
        SIM_CHECK(sim, other->shut, "a clean end that nobody sent");
        SIM_CHECK(sim, other->gave_up || end->received == other->written,
                  "a clean end after %llu of %llu bytes", (unsigned long long)end->received,
                  (unsigned long long)other->written);
        end->told_eof = true;
        end->over = end->over || end->shut_both;
        return;
    }
    SIM_CHECK(sim, err != NULL, "an error event without an error");
    SIM_CHECK(sim, sim->cut || other->let_go || other->peer != NULL || what & BEV_EVENT_TIMEOUT,
              "an error (%s) without a cause", err->message);
    if (end->told_eof)
        SIM_CHECK(sim, what & BEV_EVENT_WRITING || what & BEV_EVENT_TIMEOUT,
                  "an error after the end of file: 0x%x", (unsigned)what);
    end->told_error = true;
    end->over = true;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct end *end = arg;
    struct sim *sim = end->run->sim;

    sim_say(sim, "side %d: event 0x%x", end->side, (unsigned)what);
    if (what & BEV_EVENT_CONNECTED) {
        SIM_CHECK(sim, what == BEV_EVENT_CONNECTED, "CONNECTED is not alone");
        SIM_CHECK(sim, !end->connected, "CONNECTED twice");
        end->connected = true;
    } else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        take_input(end, bufferevent_get_input(bev));
        check_end(end, what);
    }
    maybe_free(end);
}

/* ---- What the program calls ------------------------------------------------------------- */

static void free_bytes(const void *data, size_t len, void *arg)
{
    (void)len;
    (void)arg;
    free((void *)(uintptr_t)data);
}

static void write_some(struct end *end)
{
    struct sim *sim = end->run->sim;
    struct evbuffer *output = bufferevent_get_output(end->bev);
    size_t len = rng_size(&sim->rng, 30000);
    unsigned char *data;

    if (end->shut || end->written + len > end->max)
        return;
    data = malloc(len);
    support_require(data != NULL);
    sim_fill(sim, end->side, end->written, data, len);
    if (rng_chance(&sim->rng, 300)) {
        if (evbuffer_add_reference(output, data, len, free_bytes, NULL) == 0)
            end->written += len;
        return;
    }
    for (size_t at = 0, part; at < len; at += part) {
        part = rng_size(&sim->rng, len - at);
        if (bufferevent_write(end->bev, data + at, part) != 0)
            break;
        end->written += part;
    }
    free(data);
}

static void change_limit(struct end *end)
{
    struct sim *sim = end->run->sim;
    struct timeval tick = {0, 10000};

    bufferevent_set_rate_limit(end->bev, NULL);
    if (end->limit)
        ev_token_bucket_cfg_free(end->limit);
    end->limit = NULL;
    if (rng_chance(&sim->rng, 500)) {
        size_t rate = 500 + rng_below(&sim->rng, 20000);

        end->limit = ev_token_bucket_cfg_new(rate, rate * 2, rate, rate * 2, &tick);
        bufferevent_set_rate_limit(end->bev, end->limit);
    }
}

static void shut_write(struct end *end)
{
    if (!end->shut && end->connected && evtls_bufferevent_shutdown_write(end->bev) == 0)
        end->shut = true;
}

static void random_call(struct end *end)
{
    struct sim *sim = end->run->sim;
    short which = (short)(rng_chance(&sim->rng, 500) ? EV_READ : EV_WRITE);

    switch (rng_below(&sim->rng, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        write_some(end);
        break;
    case 4:
        bufferevent_disable(end->bev, which);
        break;
    case 5:
    case 6:
        bufferevent_enable(end->bev, which);
        break;
    case 7:
        end->high = rng_chance(&sim->rng, 500) ? rng_size(&sim->rng, 20000) : 0;
        bufferevent_setwatermark(end->bev, EV_READ, 0, end->high);
        break;
    case 8:
        change_limit(end);
        break;
    case 9:
        bufferevent_flush(end->bev, EV_WRITE, BEV_FLUSH);
        break;
    case 10:
        bufferevent_setwatermark(end->bev, EV_WRITE, rng_size(&sim->rng, 5000), 0);
        break;
    default:
        if (rng_chance(&sim->rng, 60))
            shut_write(end);
        else
            take_input(end, bufferevent_get_input(end->bev));
        break;
    }
}

/* Everything is allowed again, and the side ends what it began. */
static void come_to_an_end(struct end *end)
{
    if (end->told_error) { /* as a program would, so that the other side sees an end */
        bufferevent_free(end->bev);
        end->bev = NULL;
        end->let_go = true;
        return;
    }
    bufferevent_set_rate_limit(end->bev, NULL);
    bufferevent_setwatermark(end->bev, EV_READ, 0, 0);
    bufferevent_enable(end->bev, EV_READ | EV_WRITE);
    end->high = 0;
    take_input(end, bufferevent_get_input(end->bev));
    if (!end->shut_both && end->connected &&
        evtls_bufferevent_shutdown(end->bev, &(struct timeval){300, 0}) == 0) {
        end->shut = end->shut_both = true;
        end->over = end->over || end->told_eof;
    }
}

/* ---- The plain side --------------------------------------------------------------------- */

static void move_plain(struct end *end)
{
    unsigned char data[4096];
    const unsigned char *out;
    size_t len;
    ssize_t n = end->plain_eof ? -1 : read(end->fd, data, sizeof(data));

    if (n > 0) {
        peer_feed(end->peer, data, (size_t)n);
    } else if (!end->plain_eof && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
        peer_feed_eof(end->peer);
        end->plain_eof = true;
    }
    out = peer_peek(end->peer, &len);
    if (len > 0) {
        n = send(end->fd, out, len < 3000 ? len : 3000, MSG_NOSIGNAL);
        if (n > 0)
            peer_take(end->peer, data, (size_t)n < sizeof(data) ? (size_t)n : sizeof(data));
        else if (errno != EAGAIN && errno != EINTR)
            peer_discard(end->peer);
    }
}

static void plain_call(struct end *end)
{
    struct sim *sim = end->run->sim;
    enum peer_result result;
    const unsigned char *data;
    unsigned char bytes[3000];
    size_t len;

    move_plain(end);
    if (end->over)
        return;
    result = peer_step(end->peer);
    data = peer_received(end->peer, &len);
    sim_check_bytes(sim, !end->side, end->received, data + end->received, len - end->received);
    end->received = len;
    if (result != PEER_WANT_INPUT) {
        SIM_CHECK(sim,
                  result == PEER_CLOSED || sim->cut || other_of(end)->gave_up ||
                      other_of(end)->let_go,
                  "the plain peer failed, reason %d", peer_reason(end->peer));
        if (result == PEER_CLOSED && !other_of(end)->gave_up)
            SIM_CHECK(sim, end->received == other_of(end)->written,
                      "a clean end for the plain peer after %llu of %llu bytes",
                      (unsigned long long)end->received,
                      (unsigned long long)other_of(end)->written);
        if (!end->shut) {
            peer_shutdown(end->peer);
            end->shut = true;
        }
        end->over = true;
        return;
    }
    if (!peer_is_open(end->peer) || end->shut)
        return;
    len = rng_size(&sim->rng, sizeof(bytes));
    if (end->calls < RANDOM_CALLS && peer_pending(end->peer) < 20000 &&
        end->written + len <= end->max) {
        sim_fill(sim, end->side, end->written, bytes, len);
        if (peer_write(end->peer, bytes, len) == PEER_OK)
            end->written += len;
        if (!sim->tls12 && rng_chance(&sim->rng, 30))
            peer_key_update(end->peer, rng_chance(&sim->rng, 500));
    } else if (end->calls >= RANDOM_CALLS) {
        peer_shutdown(end->peer);
        end->shut = true;
    }
}

/* ---- The run ---------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct end *end = arg;
    struct sim *sim = end->run->sim;
    struct timeval next = {0, (suseconds_t)rng_below(&sim->rng, 3000)};

    (void)fd;
    (void)what;
    sim->step++;
    end->calls++;
    if (end->peer)
        plain_call(end);
    else if (end->bev && end->calls < RANDOM_CALLS)
        random_call(end);
    else if (end->bev)
        come_to_an_end(end);
    if (end->calls >= RANDOM_CALLS)
        next.tv_usec += 20000;
    event_add(end->timer, &next);
}

static int random_options(struct sim *sim)
{
    static const int rows[] = {
        0,
        BEV_OPT_DEFER_CALLBACKS,
        BEV_OPT_THREADSAFE,
        BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS,
    };

    return rows[rng_below(&sim->rng, 4)] | BEV_OPT_CLOSE_ON_FREE;
}

static void open_end(struct run *run, int side, int fd)
{
    struct sim *sim = run->sim;
    struct end *end = &run->ends[side];
    enum sim_pairing plain = side == SIM_CLIENT ? SIM_PLAIN_CLIENT : SIM_PLAIN_SERVER;

    end->run = run;
    end->side = side;
    end->fd = fd;
    end->max = sim_max_bytes(sim);
    end->timer = evtimer_new(run->base, on_tick, end);
    if (sim->pairing == plain) {
        end->peer = sim_plain_peer(sim, side);
    } else {
        end->faults = faults_attach(fd);
        script_attach(&end->player, &sim->script, (unsigned)side, end->faults);
        end->bev = evtls_bufferevent_socket_new(run->base, fd, sim_context(sim, side),
                                                side == SIM_CLIENT ? EVTLS_CLIENT : EVTLS_SERVER,
                                                random_options(sim), NULL);
        support_require(end->bev != NULL);
        if (side == SIM_CLIENT)
            evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(end->bev), "localhost",
                                             NULL);
        bufferevent_setcb(end->bev, on_read, on_write, on_event, end);
        bufferevent_enable(end->bev, EV_READ | EV_WRITE);
    }
    event_active(end->timer, EV_TIMEOUT, 0);
}

static bool is_done(void *arg)
{
    struct run *run = arg;

    return run->ends[0].over && run->ends[1].over &&
           evtls_event_base_get_num_closing(run->base) == 0;
}

static void close_end(struct end *end)
{
    event_free(end->timer);
    if (end->bev)
        bufferevent_free(end->bev);
    if (end->peer) {
        close(end->fd);
        peer_free(end->peer);
    }
}

void sim_run_bufferevents(struct sim *sim)
{
    struct run run = {.sim = sim};
    int fds[2];

    vclock_enable();
    vclock_set_grace_ms(0);
    run.base = event_base_new();
    run.wire = wire_new(run.base, NET_UNIX, &sim->script, fds);
    open_end(&run, SIM_CLIENT, fds[SIM_CLIENT]);
    open_end(&run, SIM_SERVER, fds[SIM_SERVER]);
    if (!loop_until(run.base, is_done, &run, DEADLINE_MS)) {
        if (sim->verbose)
            evtls_event_base_dump(run.base, stdout);
        SIM_CHECK(sim, false, "no end is in sight: written %llu, %llu; received %llu, %llu",
                  (unsigned long long)run.ends[0].written, (unsigned long long)run.ends[1].written,
                  (unsigned long long)run.ends[0].received,
                  (unsigned long long)run.ends[1].received);
    }
    event_del(run.ends[0].timer);
    event_del(run.ends[1].timer);
    loop_turns(run.base, 120000); /* what the network still holds arrives */
    SIM_CHECK(sim, loop_turns(run.base, 1000) <= 2, "the loop spins after the end");
    close_end(&run.ends[0]);
    close_end(&run.ends[1]);
    event_base_loop(run.base, EVLOOP_NONBLOCK);
    wire_free(run.wire);
    faults_reset();
    for (int side = 0; side < 2; side++)
        if (run.ends[side].limit)
            ev_token_bucket_cfg_free(run.ends[side].limit);
    event_base_free(run.base);
    vclock_disable();
}
