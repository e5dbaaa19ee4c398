/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client and a server of evtls on one base, over whatever carries them, that write down what
 * they are told: "alpn(h2) handshake connected read write close_notify eof ...", one word a
 * callback, repeated words once.
 */
#ifndef EVTLS_TESTS_SUPPORT_BEV_PAIR_H
#define EVTLS_TESTS_SUPPORT_BEV_PAIR_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <evtls/bufferevent.h>
#include <evtls/session.h>

struct bev_side {
    struct bufferevent *bev; /* NULL once freed by the test */
    struct evtls_context *ctx;
    char log[512];
    struct evbuffer *got; /* everything read; NULL: the read callback leaves it in the input */
    struct evtls_error error;
    struct evtls_session *session; /* the newest */
    unsigned n_sessions;
    unsigned n_write;    /* write callbacks */
    bool ended;          /* a terminal event came */
    unsigned n_ended;    /* how many came */
    const char *free_at; /* the word at which the callback frees the bufferevent, or NULL */
    int fd;
    struct bufferevent *below; /* of a filter; the filter's, unless keep_below */
};

/* What carries a pair. All but the first are filters. */
enum bev_over {
    BEV_OVER_SOCKETS,         /* a socket pair */
    BEV_OVER_BEV_SOCKETS,     /* libevent's socket bufferevents */
    BEV_OVER_PAIR,            /* libevent's pair */
    BEV_OVER_LIBEVENT_FILTER, /* a filter of libevent's that changes each byte */
    BEV_OVER_RATE_LIMITED,    /* socket bufferevents that may move 16 KiB each 20 ms */
    BEV_OVER_TLS,             /* evtls on sockets */
    BEV_OVER_TLS_FILTER,      /* evtls filters on socket bufferevents */
    BEV_OVER_N
};

struct bev_pair {
    struct event_base *base;
    enum bev_over over;
    bool plain;      /* both begin in plaintext, over sockets */
    bool keep_below; /* filters without BEV_OPT_CLOSE_ON_FREE */
    struct ev_token_bucket_cfg *rate;
    struct bev_side client, server;
};

/* Contexts that trust each other; unsealed. The server's name is "localhost". */
void bev_pair_make_contexts(struct bev_pair *pair);

/* Makes contexts if need be, sockets and both bufferevents, enabled both ways. */
void bev_pair_open(struct bev_pair *pair, int options);

/* Makes what carries them and the bufferevents once more, with the same contexts. The old ones
 * must be gone. */
void bev_pair_reopen(struct bev_pair *pair, int options);

/* Lets a side hear what its bufferevent tells, and enables it both ways. */
void bev_pair_listen(struct bev_side *side);

/* Runs until both handshakes are told. */
void bev_pair_connect(struct bev_pair *pair);

/* Runs until the word is in the side's log (at most 100 seconds). */
void bev_pair_wait(struct bev_pair *pair, struct bev_side *side, const char *word);

/* Runs until the side has read n bytes in all. */
void bev_pair_wait_bytes(struct bev_pair *pair, struct bev_side *side, size_t n);

/* Waits until the side has read just this text, and takes it out. */
void bev_pair_expect(struct bev_pair *pair, struct bev_side *side, const char *text);

/* The options of bufferevents that tests loop over. */
#define BEV_PAIR_N_OPTIONS 5
extern const int bev_pair_options[BEV_PAIR_N_OPTIONS];

/* Frees the bufferevent of one side, all of both (nothing where nothing was made). */
void bev_side_free(struct bev_side *side);
void bev_pair_close(struct bev_pair *pair);

#endif
