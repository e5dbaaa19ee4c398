/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "require.h"

enum lane_state {
    LANE_READING, /* awaits bytes from its source */
    LANE_DELAYED, /* holds bytes until the timer */
    LANE_WRITING, /* its destination is full */
    LANE_DEAF,    /* cut: reads and drops */
    LANE_DONE,
};

/* What side `from` sends. */
struct lane {
    struct wire *wire;
    unsigned from;
    enum lane_state state;
    struct event *readable, *writable, *timer;
    struct script_player player;
    unsigned char data[16384];
    size_t len, taken;
    uint64_t delivered;
};

struct wire {
    struct script script;
    int fds[2]; /* -1: closed by a reset */
    struct lane lanes[2];
};

static int source(const struct lane *lane)
{
    return lane->wire->fds[lane->from];
}

static int destination(const struct lane *lane)
{
    return lane->wire->fds[1 - lane->from];
}

static void lane_stop(struct lane *lane)
{
    event_del(lane->readable);
    event_del(lane->writable);
    event_del(lane->timer);
    lane->state = LANE_DONE;
}

static void reset_both(struct wire *wire)
{
    for (unsigned i = 0; i < 2; i++)
        lane_stop(&wire->lanes[i]);
    for (unsigned i = 0; i < 2; i++) {
        net_reset(wire->fds[i]);
        wire->fds[i] = -1;
    }
}

static bool is_at_cut(const struct lane *lane)
{
    const struct script *script = &lane->wire->script;

    return script->end[lane->from].cut != SCRIPT_NO_CUT &&
           lane->delivered >= script->end[lane->from].at;
}

static void cut(struct lane *lane)
{
    if (lane->wire->script.end[lane->from].cut == SCRIPT_RESET) {
        reset_both(lane->wire);
        return;
    }
    shutdown(destination(lane), SHUT_WR);
    lane->state = LANE_DEAF;
    event_add(lane->readable, NULL);
}

/* Takes bytes from the source. false: there are none now. */
static bool lane_receive(struct lane *lane)
{
    size_t max = lane->state == LANE_DEAF ? sizeof lane->data
                                          : rng_size(&lane->player.rng, sizeof lane->data);
    ssize_t n;

    if (lane->wire->script.max_bytes != 0 && max > lane->wire->script.max_bytes)
        max = lane->wire->script.max_bytes;
    n = recv(source(lane), lane->data, max, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        event_add(lane->readable, NULL);
        return false;
    }
    if (n <= 0) {
        shutdown(destination(lane), SHUT_WR);
        lane_stop(lane);
        return false;
    }
    lane->len = lane->state == LANE_DEAF ? 0 : (size_t)n;
    lane->taken = 0;
    return true;
}

/* Gives what it holds to the destination. false: it must wait, or is at its end. */
static bool lane_send(struct lane *lane)
{
    const struct script *script = &lane->wire->script;
    size_t len = lane->len - lane->taken;
    ssize_t n;

    if (script->end[lane->from].cut != SCRIPT_NO_CUT &&
        len > script->end[lane->from].at - lane->delivered)
        len = (size_t)(script->end[lane->from].at - lane->delivered);
    n = send(destination(lane), lane->data + lane->taken, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        lane->state = LANE_WRITING;
        event_add(lane->writable, NULL);
        return false;
    }
    if (n < 0) { /* the destination is gone: the rest is swallowed */
        lane->state = LANE_DEAF;
        lane->len = lane->taken = 0;
        event_add(lane->readable, NULL);
        return false;
    }
    lane->taken += (size_t)n;
    lane->delivered += (size_t)n;
    return true;
}

/* Waits before passing on what just came. false: not at all. */
static bool lane_delay(struct lane *lane)
{
    unsigned ms = script_delay_ms(&lane->player);
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    if (ms == 0)
        return false;
    lane->state = LANE_DELAYED;
    event_add(lane->timer, &tv);
    return true;
}

static void lane_run(struct lane *lane)
{
    while (lane->state != LANE_DONE) {
        if (lane->state != LANE_DEAF && is_at_cut(lane)) {
            cut(lane);
            return;
        }
        if (lane->taken < lane->len) {
            if (!lane_send(lane))
                return;
            continue;
        }
        if (lane->state != LANE_DEAF)
            lane->state = LANE_READING;
        if (!lane_receive(lane) || lane_delay(lane))
            return;
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct lane *lane = arg;

    (void)fd;
    (void)what;
    lane_run(lane);
}

static void lane_init(struct lane *lane, struct wire *wire, unsigned from, struct event_base *base)
{
    lane->wire = wire;
    lane->from = from;
    script_play(&lane->player, &wire->script, from + 2);
    lane->readable = event_new(base, source(lane), EV_READ, on_event, lane);
    lane->writable = event_new(base, destination(lane), EV_WRITE, on_event, lane);
    lane->timer = evtimer_new(base, on_event, lane);
    support_require(lane->readable != NULL && lane->writable != NULL && lane->timer != NULL);
    if (is_at_cut(lane))
        event_active(lane->timer, EV_TIMEOUT, 0);
    else
        event_add(lane->readable, NULL);
}

struct wire *wire_new(struct event_base *base, enum net_kind kind, const struct script *script,
                      int ends[2])
{
    struct wire *wire = calloc(1, sizeof *wire);

    support_require(wire != NULL);
    wire->script = *script;
    for (unsigned i = 0; i < 2; i++) {
        int fds[2];

        net_pair(kind, (int)script->capacity, fds);
        net_set_nonblocking(fds[0], true);
        net_set_nonblocking(fds[1], true);
        ends[i] = fds[0];
        wire->fds[i] = fds[1];
    }
    for (unsigned i = 0; i < 2; i++)
        lane_init(&wire->lanes[i], wire, i, base);
    return wire;
}

void wire_free(struct wire *wire)
{
    if (wire == NULL)
        return;
    for (unsigned i = 0; i < 2; i++) {
        event_free(wire->lanes[i].readable);
        event_free(wire->lanes[i].writable);
        event_free(wire->lanes[i].timer);
    }
    for (unsigned i = 0; i < 2; i++) {
        if (wire->fds[i] >= 0)
            close(wire->fds[i]);
    }
    free(wire);
}

uint64_t wire_delivered(const struct wire *wire, unsigned side)
{
    return wire->lanes[side].delivered;
}
