/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bufferevents on descriptors, or filters over libevent's, whose system calls and whose network
 * follow the script, under a virtual clock. Timers make random calls of the program on both sides,
 * callbacks do too; a side may also be a plain OpenSSL peer, moved by a timer.
 *
 * After its random part a run comes to an end: everything is allowed again, each side shuts down,
 * and both must be told of the right end in bounded (virtual) time.
 */
#include "config.h"

#include "sim_bev.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "support/loop.h"
#include "support/require.h"
#include "support/vclock.h"

#define DEADLINE_MS 600000

struct end *sim_bev_other(struct end *end)
{
    return &end->run->ends[!end->side];
}

/* ---- The ends ----------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct end *end = arg;
    struct sim *sim = end->run->sim;
    struct timeval next = {0, (suseconds_t)rng_below(&sim->rng, 3000)};

    (void)fd;
    (void)what;
    sim->step++;
    if (!end->run->calm)
        end->calls++;
    if (end->peer)
        sim_bev_plain_turn(end);
    else if (end->bev && !end->detached && end->calls < RANDOM_CALLS)
        sim_bev_call(end);
    else if (end->bev && end->calls >= RANDOM_CALLS)
        sim_bev_come_to_an_end(end);
    if (end->calls < RANDOM_CALLS && rng_chance(&sim->rng, 8))
        end->run->pause = true;
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

/* What is below goes with the filter, and has a way of its own to call back. */
static struct bufferevent *new_filter(struct end *end, enum evtls_role role, int options)
{
    struct sim *sim = end->run->sim;
    int below_options = (options & BEV_OPT_THREADSAFE) | BEV_OPT_CLOSE_ON_FREE;
    struct bufferevent *below;

    if (rng_chance(&sim->rng, 300))
        below_options |= BEV_OPT_DEFER_CALLBACKS;
    evutil_make_socket_nonblocking(end->fd);
    below = bufferevent_socket_new(end->run->base, end->fd, below_options);
    support_require(below != NULL);
    return evtls_bufferevent_filter_new(below, sim_context(sim, end->side), role, options, NULL);
}

static struct bufferevent *new_bufferevent(struct end *end, int options)
{
    enum evtls_role role = end->side == SIM_CLIENT ? EVTLS_CLIENT : EVTLS_SERVER;

    end->filter = rng_chance(&end->run->sim->rng, 400);
    if (end->filter)
        return new_filter(end, role, options);
    return evtls_bufferevent_socket_new(end->run->base, end->fd,
                                        sim_context(end->run->sim, end->side), role, options, NULL);
}

static void open_ours(struct end *end)
{
    struct run *run = end->run;
    struct sim *sim = run->sim;
    int options = random_options(sim);

    end->faults = faults_attach(end->fd);
    faults_record(end->faults);
    script_attach(&end->player, &sim->script, (unsigned)end->side, end->faults);
    end->deferred = options & BEV_OPT_DEFER_CALLBACKS;
    end->bev = new_bufferevent(end, options);
    support_require(end->bev != NULL);
    end->engine = evtls_bufferevent_get_engine(end->bev);
    if (end->side == SIM_CLIENT) {
        evtls_engine_set_server_hostname(end->engine, "localhost", NULL);
        if (sim->session)
            support_require(evtls_engine_set_session(end->engine, sim->session, NULL) == 0);
    }
    sim_bev_listen(end);
    bufferevent_enable(end->bev, EV_READ | EV_WRITE);
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
    if (sim->pairing == plain)
        end->peer = sim_plain_peer(sim, side);
    else
        open_ours(end);
    event_active(end->timer, EV_TIMEOUT, 0);
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
    if (end->limit)
        ev_token_bucket_cfg_free(end->limit);
}

/* ---- The quiet moment --------------------------------------------------------------------- */

static bool is_pausable(const struct end *end)
{
    return end->peer || (end->bev && !end->told_error && !end->shut_both && !end->detached);
}

/* Nobody may read or write, the network runs dry: then the loop has nothing to do. */
static void hold(struct end *end)
{
    event_del(end->timer);
    if (!end->bev)
        return;
    end->in_call = true;
    bufferevent_disable(end->bev, EV_READ | EV_WRITE);
    bufferevent_set_rate_limit(end->bev, NULL);
    end->in_call = false;
}

static void go_on(struct end *end)
{
    if (end->bev) {
        end->in_call = true;
        bufferevent_enable(end->bev, EV_READ | EV_WRITE);
        end->in_call = false;
    }
    event_active(end->timer, EV_TIMEOUT, 0);
}

static void be_quiet(struct run *run)
{
    unsigned turns;

    sim_say(run->sim, "a quiet moment");
    hold(&run->ends[0]);
    hold(&run->ends[1]);
    loop_turns(run->base, 120000);
    turns = loop_turns(run->base, 10000);
    SIM_CHECK(run->sim, turns <= 2, "%u turns in a quiet moment", turns);
    go_on(&run->ends[0]);
    go_on(&run->ends[1]);
}

/* ---- The calm moment ---------------------------------------------------------------------- */

static bool has_arrived(void *arg)
{
    struct run *run = arg;
    struct end *ends = run->ends;

    return ends[0].told_error || ends[1].told_error ||
           (ends[0].received == ends[1].written && ends[1].received == ends[0].written &&
            (!ends[0].peer || ends[0].shut || ends[0].written >= ends[0].goal) &&
            (!ends[1].peer || ends[1].shut || ends[1].written >= ends[1].goal));
}

/* Both write, and nobody calls anything: all of it arrives, without another push. */
static void be_calm(struct run *run)
{
    sim_say(run->sim, "a calm moment");
    run->calm = true;
    for (int side = 0; side < 2; side++) {
        struct end *end = &run->ends[side];

        if (!end->bev) {
            end->goal = end->written + (end->max > end->written + 3000 ? 1 : 0);
            continue;
        }
        event_del(end->timer);
        sim_bev_write_and_wait(end);
    }
    if (!loop_until(run->base, has_arrived, run, DEADLINE_MS)) {
        if (run->sim->verbose)
            evtls_event_base_dump(run->base, stdout);
        SIM_CHECK(
            run->sim, false, "a calm moment does not end: %llu, %llu of %llu, %llu bytes",
            (unsigned long long)run->ends[1].received, (unsigned long long)run->ends[0].received,
            (unsigned long long)run->ends[0].written, (unsigned long long)run->ends[1].written);
    }
    run->calm = false;
    for (int side = 0; side < 2; side++)
        if (run->ends[side].bev)
            event_active(run->ends[side].timer, EV_TIMEOUT, 0);
}

static void pause_run(struct run *run)
{
    bool calm = rng_chance(&run->sim->rng, 500);

    run->pause = false;
    if (!is_pausable(&run->ends[0]) || !is_pausable(&run->ends[1]))
        return;
    if (!calm)
        be_quiet(run);
    else if (!run->sim->cut && !run->ends[0].let_go && !run->ends[1].let_go)
        be_calm(run);
}

/* ---- The run ------------------------------------------------------------------------------ */

static bool is_over(const struct run *run)
{
    return run->ends[0].over && run->ends[1].over &&
           evtls_event_base_get_num_closing(run->base) == 0;
}

static bool is_over_or_pauses(void *arg)
{
    struct run *run = arg;

    return run->pause || is_over(run);
}

static void run_to_the_end(struct run *run)
{
    struct sim *sim = run->sim;

    while (loop_until(run->base, is_over_or_pauses, run, DEADLINE_MS) && !is_over(run))
        pause_run(run);
    if (is_over(run))
        return;
    if (sim->verbose)
        evtls_event_base_dump(run->base, stdout);
    SIM_CHECK(sim, false, "no end is in sight: written %llu, %llu; received %llu, %llu",
              (unsigned long long)run->ends[0].written, (unsigned long long)run->ends[1].written,
              (unsigned long long)run->ends[0].received, (unsigned long long)run->ends[1].received);
}

/* What an end must have been told by now. */
static void check_whole(struct end *end)
{
    struct sim *sim = end->run->sim;
    struct end *other = sim_bev_other(end);

    if (end->bev && end->connected && !end->told_error && !end->detached &&
        evbuffer_get_length(bufferevent_get_output(end->bev)) <= end->low)
        SIM_CHECK(sim, !end->write_due, "side %d: the output is gone, and nobody was told",
                  end->side);
    if (sim->cut || end->let_go || other->let_go || end->told_timeout || other->told_timeout ||
        end->aborted || other->aborted)
        return;
    SIM_CHECK(sim, end->peer || (end->told_eof && !end->told_error), "side %d: no clean end",
              end->side);
    SIM_CHECK(sim, end->received == other->written, "side %d has %llu of %llu bytes", end->side,
              (unsigned long long)end->received, (unsigned long long)other->written);
}

void sim_run_bufferevents(struct sim *sim)
{
    struct run run = {.sim = sim};
    unsigned fds_before = fd_count();
    int fds[2];

    vclock_set_grace_ms(0);
    faults_watch(SIM_MARK);
    run.base = event_base_new();
    run.wire = wire_new(run.base, NET_UNIX, &sim->script, fds);
    open_end(&run, SIM_CLIENT, fds[SIM_CLIENT]);
    open_end(&run, SIM_SERVER, fds[SIM_SERVER]);
    /* libevent's sockets leave it to the program, as those of evtls do not. */
    signal(SIGPIPE, run.ends[0].filter || run.ends[1].filter ? SIG_IGN : SIG_DFL);
    if (!sim->cut && rng_chance(&sim->rng, 400))
        be_calm(&run);
    run_to_the_end(&run);
    event_del(run.ends[0].timer);
    event_del(run.ends[1].timer);
    loop_turns(run.base, 120000); /* what the network still holds arrives */
    SIM_CHECK(sim, loop_turns(run.base, 1000) <= 2, "the loop spins after the end");
    check_whole(&run.ends[0]);
    check_whole(&run.ends[1]);
    close_end(&run.ends[0]);
    close_end(&run.ends[1]);
    event_base_loop(run.base, EVLOOP_NONBLOCK);
    loop_turns(run.base, 10000); /* what was below a filter may have had something to send */
    SIM_CHECK(sim, evtls_event_base_get_num_closing(run.base) == 0, "what is below stays");
    SIM_CHECK(sim, faults_watch_count() == 0, "plaintext on the wire");
    wire_free(run.wire);
    faults_reset();
    event_base_free(run.base);
    SIM_CHECK(sim, fd_count() == fds_before, "%u descriptors, %u before", fd_count(), fds_before);
}
