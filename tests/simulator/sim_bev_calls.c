/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "sim_bev.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "support/require.h"

static const struct timeval long_linger = {300, 0};

/* ---- Letting go --------------------------------------------------------------------------- */

static void let_go(struct end *end, bool close)
{
    struct bufferevent *bev = end->bev;

    sim_say(end->run->sim, "side %d: %s", end->side, close ? "close" : "free");
    if (!close && evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        end->gave_up = true;
    if (!close && !end->connected)
        end->gave_up = true;
    if (end->told_error)
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

/* The program takes the descriptor back, and closes it as it likes. That of a filter stays with
 * what is below. */
static void detach(struct end *end)
{
    sim_say(end->run->sim, "side %d: setfd(-1)", end->side);
    bufferevent_setfd(end->bev, -1);
    end->detached = end->let_go = end->gave_up = end->over = true;
    if (end->filter)
        return;
    close(end->fd);
    end->fd = -1;
}

/* ---- Calls -------------------------------------------------------------------------------- */

static void free_bytes(const void *data, size_t len, void *arg)
{
    (void)len;
    (void)arg;
    free((void *)(uintptr_t)data);
}

/* One block by reference, one, or many small ones. */
static void write_some(struct end *end)
{
    struct sim *sim = end->run->sim;
    struct evbuffer *output = bufferevent_get_output(end->bev);
    bool small = rng_chance(&sim->rng, 200);
    size_t len = rng_size(&sim->rng, small ? 600 : 30000);
    unsigned char *data;

    if (end->shut || end->written + len > end->max)
        return;
    sim_say(sim, "side %d: write %zu", end->side, len);
    data = malloc(len);
    support_require(data != NULL);
    sim_fill(sim, end->side, end->written, data, len);
    if (rng_chance(&sim->rng, 300)) {
        if (evbuffer_add_reference(output, data, len, free_bytes, NULL) == 0)
            end->written += len;
        else
            free(data);
        return;
    }
    for (size_t at = 0, part; at < len; at += part) {
        struct evbuffer *chain = evbuffer_new();

        part = rng_size(&sim->rng, small && len - at > 20 ? 20 : len - at);
        evbuffer_add(chain, data + at, part);
        if (bufferevent_write_buffer(end->bev, chain) == 0)
            end->written += part;
        else
            at = len;
        evbuffer_free(chain);
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

void sim_bev_set_high(struct end *end, size_t high)
{
    size_t len = evbuffer_get_length(bufferevent_get_input(end->bev));

    end->high = high;
    end->bound = high > 0 && high < len ? len : high;
    bufferevent_setwatermark(end->bev, EV_READ, 0, high);
}

static void change_watermarks(struct end *end)
{
    struct sim *sim = end->run->sim;

    if (rng_chance(&sim->rng, 500)) {
        sim_bev_set_high(end, rng_chance(&sim->rng, 500) ? rng_size(&sim->rng, 20000) : 0);
    } else {
        end->low = rng_size(&sim->rng, 5000);
        end->write_due = false;
        bufferevent_setwatermark(end->bev, EV_WRITE, end->low, 0);
    }
}

static void change_timeouts(struct end *end)
{
    struct sim *sim = end->run->sim;
    const struct timeval timeout = {1 + (time_t)rng_below(&sim->rng, 100), 0};

    bufferevent_set_timeouts(end->bev, rng_chance(&sim->rng, 500) ? &timeout : NULL,
                             rng_chance(&sim->rng, 500) ? &timeout : NULL);
}

static void shut_write(struct end *end)
{
    struct sim *sim = end->run->sim;
    bool flush = rng_chance(&sim->rng, 300);

    if (end->shut || !end->connected)
        return;
    sim_say(sim, "side %d: %s", end->side, flush ? "flush(FINISHED)" : "shutdown_write");
    if (flush ? bufferevent_flush(end->bev, EV_WRITE, BEV_FINISHED) >= 0
              : evtls_bufferevent_shutdown_write(end->bev) == 0)
        end->shut = true;
}

static void shut_both(struct end *end, const struct timeval *linger)
{
    sim_say(end->run->sim, "side %d: shutdown, linger %ld s", end->side, (long)linger->tv_sec);
    if (end->shut_both || end->aborted)
        return;
    if (evtls_bufferevent_shutdown(end->bev, linger) != 0) {
        /* A close_notify that could not be sent after the peer's was the end. */
        end->over = end->over || (end->told_eof && end->shut);
        return;
    }
    if (end->connected || evtls_engine_is_handshake_done(end->engine)) {
        end->shut_both = true;
        end->over = end->over || end->told_eof;
    } else {
        end->aborted = true;
        end->gave_up = true;
    }
    end->shut = true;
}

static void end_somehow(struct end *end)
{
    struct sim *sim = end->run->sim;

    switch (rng_below(&sim->rng, 16)) {
    case 0:
        detach(end);
        break;
    case 1:
        shut_both(end, &(struct timeval){(time_t)rng_below(&sim->rng, 20), 0});
        break;
    case 2:
    case 3:
        shut_both(end, &long_linger);
        break;
    case 4:
        let_go(end, true);
        break;
    case 5:
        let_go(end, false);
        break;
    default:
        shut_write(end);
        break;
    }
}

static void make_a_call(struct end *end)
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
        change_watermarks(end);
        break;
    case 8:
        change_limit(end);
        break;
    case 9:
        bufferevent_flush(end->bev, EV_WRITE, BEV_FLUSH);
        break;
    case 10:
        change_timeouts(end);
        break;
    default:
        if (rng_chance(&sim->rng, 60))
            end_somehow(end);
        else
            sim_bev_take_input(end);
        break;
    }
}

/* in_call is false again in the callbacks that a later turn runs. */
void sim_bev_call(struct end *end)
{
    bool before = end->in_call;

    end->in_call = true;
    make_a_call(end);
    end->in_call = before;
    sim_bev_check(end);
}

void sim_bev_call_inside(struct end *end)
{
    struct sim *sim = end->run->sim;

    if (end->run->calm)
        return;
    if (end->bev && !end->detached && rng_chance(&sim->rng, 100))
        sim_bev_call(end);
    if (end->bev && rng_chance(&sim->rng, 8)) {
        bool before = end->in_call;

        end->in_call = true;
        let_go(end, rng_chance(&sim->rng, 500));
        end->in_call = before;
    }
}

static void allow_everything(struct end *end)
{
    bufferevent_set_rate_limit(end->bev, NULL);
    bufferevent_set_timeouts(end->bev, NULL, NULL);
    sim_bev_set_high(end, 0);
    bufferevent_enable(end->bev, EV_READ | EV_WRITE);
    sim_bev_take_input(end);
}

void sim_bev_write_and_wait(struct end *end)
{
    struct sim *sim = end->run->sim;

    end->in_call = true;
    allow_everything(end);
    if (rng_chance(&sim->rng, 300))
        sim_bev_set_high(end, rng_size(&sim->rng, 20000));
    for (uint64_t n = rng_below(&sim->rng, 4); n > 0; n--)
        write_some(end);
    end->in_call = false;
}

/* Everything is allowed again, and the side ends what it began. */
void sim_bev_come_to_an_end(struct end *end)
{
    end->in_call = true;
    if (end->told_error || end->detached) { /* as a program would, so that the other sees an end */
        bufferevent_free(end->bev);
        end->bev = NULL;
        end->let_go = true;
    } else {
        allow_everything(end);
        if (!end->shut_both && end->connected)
            shut_both(end, &long_linger);
    }
    end->in_call = false;
    sim_bev_check(end);
}
