/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run of bufferevents, in parts:
 *
 *   sim_bev.c        the run: two ends on a wire, their timers, the quiet moment, the last checks
 *   sim_bev_calls.c  what the program calls
 *   sim_bev_told.c   what the program is told, and what must hold then
 *   sim_bev_plain.c  the end that is a plain OpenSSL peer
 */
#ifndef EVTLS_TESTS_SIMULATOR_SIM_BEV_H
#define EVTLS_TESTS_SIMULATOR_SIM_BEV_H

#include "sim.h"

#include <event2/bufferevent.h>
#include <event2/event.h>

#include <evtls/bufferevent.h>

#include "support/faults.h"
#include "support/peer.h"
#include "support/wire.h"

struct run;

struct end {
    struct run *run;
    int side;
    int fd;
    struct bufferevent *bev;     /* NULL: plain, or freed */
    bool filter;                 /* it is one, over a bufferevent of libevent's on the descriptor */
    struct evtls_engine *engine; /* its own; used while it lives */
    struct peer *peer;
    struct event *timer;
    struct faults *faults;
    struct script_player player;
    struct ev_token_bucket_cfg *limit;
    uint64_t max, written, received;
    size_t high;  /* read watermark */
    size_t bound; /* what the input may hold under it: more where there was more before; 0: any */
    size_t low;   /* write watermark */
    unsigned calls;
    uint64_t goal; /* in a calm moment: how much a plain peer has written at its end */

    /* What left the output buffer, and what the kernel took for it. */
    uint64_t drained;
    size_t parsed;         /* of the bytes that the kernel took */
    uint64_t taken_plain;  /* at most so much plaintext stood in the records among them */
    uint64_t taken_before; /* of it, before the handshake was told */
    bool write_due;        /* the output fell to the low watermark: the write callback follows */

    /* What was told. */
    bool alpn, handshake, connected, close_notify, error;
    bool told_eof, told_error, told_timeout;

    /* What the program did. */
    bool in_call;   /* a call of ours is on the stack: nothing may be told */
    bool shut;      /* our close_notify is on its way: nothing is written any more */
    bool shut_both; /* and the peer's is awaited */
    bool aborted;   /* shut down before the handshake was complete */
    bool deferred;  /* BEV_OPT_DEFER_CALLBACKS */
    bool detached;  /* setfd(-1) */
    bool let_go;    /* freed, closed, detached, or gone without a word */
    bool gave_up;   /* let go while something was owed */
    bool over;      /* nothing more will be told */
    bool plain_eof;
    unsigned key_updates; /* of a plain peer; a flood would be refused */
};

struct run {
    struct sim *sim;
    struct event_base *base;
    struct wire *wire;
    struct end ends[2];
    bool pause; /* a quiet or calm moment was asked for */
    bool calm;  /* the program makes no calls: what it wrote must arrive by itself */
};

/* A part of a run in which the program makes random calls; afterwards it comes to an end. */
#define RANDOM_CALLS 120

/* Random calls of the program on an end of ours; the steps to its end. */
void sim_bev_call(struct end *end);
void sim_bev_come_to_an_end(struct end *end);

/* Allows everything and writes, once: then nothing may be needed for it to arrive. */
void sim_bev_write_and_wait(struct end *end);

/* Sometimes frees, closes or calls something else: programs do, in callbacks. */
void sim_bev_call_inside(struct end *end);

/* Sets the high read watermark; 0: none. */
void sim_bev_set_high(struct end *end, size_t high);

/* Sets all callbacks; takes out and checks what is in the input. */
void sim_bev_listen(struct end *end);
void sim_bev_take_input(struct end *end);

/* What must hold at any time. */
void sim_bev_check(struct end *end);

/* A turn of a plain peer. */
void sim_bev_plain_turn(struct end *end);

struct end *sim_bev_other(struct end *end);

#endif
