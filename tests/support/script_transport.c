/* SPDX-License-Identifier: BSD-3-Clause */
#include "script_transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "alloc_faults.h"
#include "require.h"

#define DEFAULT_CAPACITY 65536
#define CHUNK 16384

/* Bytes that were written together and arrive together. */
struct segment {
    size_t len;
    size_t taken;
    uint64_t arrives_ms;
    struct segment *next;
    unsigned char data[];
};

/* One direction: what a side sent. */
struct lane {
    struct segment *first, **last;
    size_t held;
    uint64_t sent;
    uint64_t delivered;
    uint64_t last_arrival_ms;
    bool ended; /* its sender sends no more */
    bool cut;   /* by the script */
};

struct side {
    struct lane out;
    struct script_player player;
    bool reset;      /* a reset came */
    bool reset_told; /* and was reported */
    bool closed;
};

struct transport {
    struct script script;
    struct side sides[2];
    uint64_t now_ms;
    bool trace;
};

struct transport *transport_new(const struct script *script)
{
    struct transport *t;

    alloc_faults_pause();
    t = calloc(1, sizeof *t);
    alloc_faults_resume();
    support_require(t != NULL);
    t->script = *script;
    if (t->script.capacity == 0)
        t->script.capacity = DEFAULT_CAPACITY;
    t->trace = getenv("EVTLS_SCRIPT_TRACE") != NULL;
    for (unsigned i = 0; i < 2; i++) {
        t->sides[i].out.last = &t->sides[i].out.first;
        script_play(&t->sides[i].player, &t->script, i);
    }
    return t;
}

static void drop_segment(struct lane *lane)
{
    struct segment *segment = lane->first;

    lane->held -= segment->len - segment->taken;
    lane->first = segment->next;
    if (lane->first == NULL)
        lane->last = &lane->first;
    free(segment);
}

void transport_free(struct transport *t)
{
    if (t == NULL)
        return;
    for (unsigned i = 0; i < 2; i++) {
        while (t->sides[i].out.first != NULL)
            drop_segment(&t->sides[i].out);
    }
    free(t);
}

static ssize_t report(const struct transport *t, unsigned side, const char *call, size_t len,
                      ssize_t ret)
{
    if (t->trace)
        fprintf(stderr, "%6llu ms side %u %s %zu: %zd\n", (unsigned long long)t->now_ms, side, call,
                len, ret);
    return ret;
}

static bool has_arrived(const struct transport *t, const struct lane *lane)
{
    return lane->first != NULL && lane->first->arrives_ms <= t->now_ms;
}

/* Ends both directions: what is on its way from a side to the other still arrives. */
static void reset_connection(struct transport *t)
{
    for (unsigned i = 0; i < 2; i++) {
        t->sides[i].reset = true;
        t->sides[i].out.ended = true;
    }
}

/* After what was delivered: does the script end this direction here? */
static void apply_cut(struct transport *t, unsigned sender)
{
    struct lane *lane = &t->sides[sender].out;

    if (lane->cut || t->script.end[sender].cut == SCRIPT_NO_CUT ||
        lane->delivered < t->script.end[sender].at)
        return;
    lane->cut = true;
    while (lane->first != NULL)
        drop_segment(lane);
    lane->ended = true;
    if (t->script.end[sender].cut == SCRIPT_RESET)
        reset_connection(t);
}

/* A reset is told once. */
static int take_reset(struct side *side)
{
    if (!side->reset || side->reset_told)
        return 0;
    side->reset_told = true;
    return -ECONNRESET;
}

/* What a read gives when nothing is left that was sent. */
static ssize_t end_of_lane(struct transport *t, unsigned side)
{
    int error = take_reset(&t->sides[side]);

    if (error != 0)
        return error;
    return t->sides[1 - side].out.ended ? 0 : -EAGAIN;
}

static ssize_t read_now(struct transport *t, unsigned side, unsigned char *data, size_t size)
{
    struct lane *lane = &t->sides[1 - side].out;
    uint64_t until_cut = UINT64_MAX;
    size_t len = 0;

    apply_cut(t, 1 - side);
    if (!has_arrived(t, lane))
        return lane->first != NULL ? -EAGAIN : end_of_lane(t, side);
    if (t->script.end[1 - side].cut != SCRIPT_NO_CUT)
        until_cut = t->script.end[1 - side].at - lane->delivered;
    if (size > until_cut)
        size = (size_t)until_cut;
    while (len < size && has_arrived(t, lane)) {
        struct segment *segment = lane->first;
        size_t part = segment->len - segment->taken;

        if (part > size - len)
            part = size - len;
        memcpy(data + len, segment->data + segment->taken, part);
        len += part;
        segment->taken += part;
        lane->held -= part;
        if (segment->taken == segment->len)
            drop_segment(lane);
    }
    lane->delivered += len;
    return (ssize_t)len;
}

ssize_t transport_read(struct transport *t, unsigned side, void *data, size_t size)
{
    struct faults_verdict v;

    if (size == 0)
        return 0;
    v = script_next(&t->sides[side].player, size);
    if (v.error != 0)
        return report(t, side, "read", size, -v.error);
    return report(t, side, "read", size, read_now(t, side, data, v.max));
}

static void add_segment(struct transport *t, struct lane *lane, const void *data, size_t len,
                        unsigned delay_ms)
{
    struct segment *segment;

    alloc_faults_pause();
    segment = malloc(sizeof *segment + len);
    alloc_faults_resume();
    support_require(segment != NULL);
    segment->len = len;
    segment->taken = 0;
    segment->next = NULL;
    /* Nothing overtakes. */
    if (lane->last_arrival_ms < t->now_ms + delay_ms)
        lane->last_arrival_ms = t->now_ms + delay_ms;
    segment->arrives_ms = lane->last_arrival_ms;
    memcpy(segment->data, data, len);
    *lane->last = segment;
    lane->last = &segment->next;
    lane->held += len;
}

static ssize_t write_now(struct transport *t, unsigned side, const void *data, size_t len)
{
    struct side *me = &t->sides[side];
    struct lane *lane = &me->out;
    size_t room;
    int error;

    apply_cut(t, side);
    error = take_reset(me);
    if (error != 0)
        return error;
    if (me->reset || (lane->ended && !lane->cut))
        return -EPIPE;
    if (t->sides[1 - side].closed)
        reset_connection(t);
    if (lane->ended) {
        /* The sender cannot know yet that nothing arrives any more. */
        lane->sent += len;
        return (ssize_t)len;
    }
    room = t->script.capacity - lane->held;
    if (room == 0)
        return -EAGAIN;
    if (len > room)
        len = room;
    add_segment(t, lane, data, len, script_delay_ms(&me->player));
    lane->sent += len;
    return (ssize_t)len;
}

ssize_t transport_write(struct transport *t, unsigned side, const void *data, size_t len)
{
    struct faults_verdict v;

    if (len == 0)
        return 0;
    v = script_next(&t->sides[side].player, len);
    if (v.error != 0)
        return report(t, side, "write", len, -v.error);
    return report(t, side, "write", len, write_now(t, side, data, v.max));
}

ssize_t transport_read_buffer(struct transport *t, unsigned side, struct evbuffer *in)
{
    unsigned char data[CHUNK];
    ssize_t n = transport_read(t, side, data, sizeof data);

    if (n > 0) {
        alloc_faults_pause();
        support_require(evbuffer_add(in, data, (size_t)n) == 0);
        alloc_faults_resume();
    }
    return n;
}

ssize_t transport_write_buffer(struct transport *t, unsigned side, struct evbuffer *out)
{
    struct evbuffer_iovec span;
    ssize_t n;

    if (evbuffer_peek(out, -1, NULL, &span, 1) < 1 || span.iov_len == 0)
        return 0;
    n = transport_write(t, side, span.iov_base, span.iov_len);
    if (n > 0)
        evbuffer_drain(out, (size_t)n);
    return n;
}

static size_t send_of_peer(struct transport *t, unsigned side, struct peer *peer)
{
    unsigned char data[CHUNK];
    size_t len;
    const unsigned char *waiting = peer_peek(peer, &len);
    ssize_t n = transport_write(t, side, waiting, len < CHUNK ? len : CHUNK);

    if (n == -EPIPE || n == -ECONNRESET) {
        peer_discard(peer);
        peer_feed_eof(peer);
    }
    if (n <= 0)
        return 0;
    peer_take(peer, data, (size_t)n);
    return (size_t)n;
}

size_t transport_step_peer(struct transport *t, unsigned side, struct peer *peer)
{
    unsigned char data[CHUNK];
    size_t moved = send_of_peer(t, side, peer);
    ssize_t n = transport_read(t, side, data, sizeof data);

    if (n == 0 || n == -ECONNRESET)
        peer_feed_eof(peer);
    if (n <= 0)
        return moved;
    peer_feed(peer, data, (size_t)n);
    return moved + (size_t)n;
}

void transport_shutdown(struct transport *t, unsigned side)
{
    t->sides[side].out.ended = true;
}

void transport_reset(struct transport *t, unsigned side)
{
    reset_connection(t);
    t->sides[side].reset_told = true;
}

void transport_close(struct transport *t, unsigned side)
{
    struct side *me = &t->sides[side];

    if (t->sides[1 - side].out.held > 0)
        transport_reset(t, side);
    me->out.ended = true;
    me->closed = true;
}

bool transport_readable(const struct transport *t, unsigned side)
{
    const struct lane *lane = &t->sides[1 - side].out;

    return has_arrived(t, lane) || (lane->first == NULL && (lane->ended || t->sides[side].reset)) ||
           (t->script.end[1 - side].cut != SCRIPT_NO_CUT &&
            lane->delivered >= t->script.end[1 - side].at);
}

bool transport_writable(const struct transport *t, unsigned side)
{
    const struct side *me = &t->sides[side];

    return me->reset || me->out.ended || me->out.held < t->script.capacity;
}

bool transport_tick(struct transport *t)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < 2; i++) {
        const struct segment *segment = t->sides[i].out.first;

        /* Only the front matters: nothing overtakes. */
        if (segment != NULL && segment->arrives_ms > t->now_ms && segment->arrives_ms < next)
            next = segment->arrives_ms;
    }
    if (next == UINT64_MAX)
        return false;
    t->now_ms = next;
    return true;
}

void transport_advance_ms(struct transport *t, uint64_t ms)
{
    t->now_ms += ms;
}

uint64_t transport_now_ms(const struct transport *t)
{
    return t->now_ms;
}

uint64_t transport_sent(const struct transport *t, unsigned side)
{
    return t->sides[side].out.sent;
}

size_t transport_in_flight(const struct transport *t, unsigned side)
{
    return t->sides[side].out.held;
}
