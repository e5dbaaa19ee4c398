/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "sim_bev.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void move(struct end *end)
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

static void check_received(struct end *end)
{
    size_t len;
    const unsigned char *data = peer_received(end->peer, &len);

    sim_check_bytes(end->run->sim, !end->side, end->received, data + end->received,
                    len - end->received);
    end->received = len;
}

static void check_end(struct end *end, enum peer_result result)
{
    struct sim *sim = end->run->sim;
    struct end *other = sim_bev_other(end);

    SIM_CHECK(sim, result == PEER_CLOSED || sim->cut || other->let_go || other->told_error,
              "the plain peer failed, reason %d", peer_reason(end->peer));
    if (result == PEER_CLOSED) {
        SIM_CHECK(sim, other->shut, "a close_notify that the program did not ask for");
        SIM_CHECK(sim, other->gave_up || end->received == other->written,
                  "a clean end for the plain peer after %llu of %llu bytes",
                  (unsigned long long)end->received, (unsigned long long)other->written);
    }
}

static void write_some(struct end *end)
{
    struct sim *sim = end->run->sim;
    unsigned char bytes[3000];
    size_t len = rng_size(&sim->rng, sizeof(bytes));

    if (end->run->calm && end->written >= end->goal)
        return;
    if (peer_pending(end->peer) >= 20000 || end->written + len > end->max)
        return;
    sim_fill(sim, end->side, end->written, bytes, len);
    if (peer_write(end->peer, bytes, len) == PEER_OK)
        end->written += len;
}

/* Goes away in the middle: no close_notify. */
static void vanish(struct end *end)
{
    sim_say(end->run->sim, "side %d: the plain peer vanishes", end->side);
    shutdown(end->fd, SHUT_RDWR);
    end->over = end->let_go = end->gave_up = end->shut = end->plain_eof = true;
    peer_discard(end->peer);
}

void sim_bev_plain_turn(struct end *end)
{
    struct sim *sim = end->run->sim;
    enum peer_result result;

    move(end);
    if (end->over)
        return;
    result = peer_step(end->peer);
    check_received(end);
    if (result != PEER_WANT_INPUT) {
        check_end(end, result);
        if (!end->shut)
            peer_shutdown(end->peer);
        end->shut = end->over = true;
        return;
    }
    if (!end->run->calm && rng_chance(&sim->rng, 2)) {
        vanish(end);
    } else if (peer_is_open(end->peer) && !end->shut) {
        if (end->calls >= RANDOM_CALLS && !end->run->calm) {
            peer_shutdown(end->peer);
            end->shut = true;
            return;
        }
        write_some(end);
        if (!sim->tls12 && rng_chance(&sim->rng, 30) && end->key_updates++ < 20)
            peer_key_update(end->peer, rng_chance(&sim->rng, 500));
    }
}
