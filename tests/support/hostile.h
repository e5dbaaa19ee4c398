/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection of evtls whose other side misbehaves, over each thing that carries one, and what
 * must come of it.
 *
 * A test is a table of rows. Each row runs once a carrier: hostile_run makes the side under test,
 * lets the row play the other side, and then looks at all of this:
 *
 *   - the callbacks are those of the row, in that order, and at most one event was terminal;
 *   - status, message and alert are those of the row, and what the other side got under no keys is
 *     an alert or a handshake message, never plaintext;
 *   - the other side got an end of file and no reset, where the connection failed with an alert;
 *   - while nothing happens the loop makes at most two turns;
 *   - a connection beside it works before and after;
 *   - after it is freed, no descriptor is left, nor anything in OpenSSL's error queue.
 *
 * The clock is virtual. The other side is raw (a bufferevent of libevent's, hostile_send ...) or an
 * OpenSSL peer behind that bufferevent (hostile_peer), which answers by itself until it is held.
 */
#ifndef EVTLS_TESTS_SUPPORT_HOSTILE_H
#define EVTLS_TESTS_SUPPORT_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bev_pair.h"
#include "hello.h"
#include "peer.h"
#include "pki.h"
#include "seal.h"
#include "suite.h"

enum hostile_over {
    HOSTILE_SOCKET, /* TCP */
    HOSTILE_PAIR,   /* half of a pair of libevent's */
    HOSTILE_FILTER, /* a socket bufferevent of libevent's, over TCP */
    HOSTILE_OVER_N
};

struct hostile;

/* What the other side got as an alert. */
enum { HOSTILE_NO_ALERT = -1, HOSTILE_PROTECTED = -2 /* a record that it cannot read */ };

struct hostile_row {
    const char *name;
    void (*play)(struct hostile *h);
    const char *log;          /* but for "read" and "write" */
    enum evtls_status status; /* EVTLS_OK: the connection is open at the end */
    bool or_truncated;        /* EVTLS_ERR_TRUNCATED will do as well */
    int alert;
    const char *message;                /* a part of it, or NULL */
    enum evtls_role role;               /* of the side under test; 0: server */
    int version;                        /* the only one of the side under test; 0: all */
    void (*prepare)(struct hostile *h); /* settings of h->side.ctx */
    const void *data;                   /* of play */
    size_t len;
    size_t step;       /* of play */
    bool reset;        /* a reset for the other side is right */
    bool late;         /* the row makes the side under test itself, over h->side.below */
    unsigned not_over; /* 1 << HOSTILE_PAIR ...: does not apply there */
    const char *got;   /* all that was read, or NULL */
};

struct hostile {
    const struct hostile_row *row;
    enum hostile_over over;
    struct bev_pair beside; /* the connection beside it, and the base */
    struct event_base *base;
    struct bev_side side; /* under test */
    int options;          /* of it: BEV_OPT_* */

    struct bufferevent *raw;   /* the other side; NULL once it is gone */
    struct evbuffer *received; /* of it, also what the peer was fed */
    bool stubborn;             /* it leaves its end open when ours is closed */
    bool finished;             /* it has ended its direction because ours was */
    bool raw_eof;
    int raw_errno; /* of its failure */
    int raw_sock;  /* its descriptor, or -1 */

    struct peer *peer; /* fed with all that comes */
    struct seal *seal;
    bool held;             /* it is fed, but neither steps nor sends */
    struct peer *peers[4]; /* earlier ones */
    int64_t elapsed_ms;    /* set by hostile_wait_end: since the connection was made */
};

/* Once before the tests, and after. */
void hostile_set_up(void);
void hostile_tear_down(void);
extern struct pki *hostile_pki;
extern struct pki_ident *hostile_ident;

/* Runs row i / HOSTILE_OVER_N over carrier i % HOSTILE_OVER_N. */
void hostile_run(const struct hostile_row *rows, int i);

/* A test case that calls hostile_run for each row and each carrier that the row has. */
void hostile_add_rows(Suite *suite, const char *name, const TTest *test,
                      const struct hostile_row *rows, size_t n);

/* ---- The other side ------------------------------------------------------------------------ */

void hostile_send(struct hostile *h, const void *data, size_t len);
void hostile_send_in_steps(struct hostile *h, const void *data, size_t len, size_t step, long ms);
void hostile_send_hello(struct hostile *h, const struct hello *hello);

/* No more reading; and again. */
void hostile_stop_reading(struct hostile *h);
void hostile_read_on(struct hostile *h);

/* Ends its direction after all that was sent; cuts both with a reset (not over a pair). */
void hostile_finish(struct hostile *h);
void hostile_reset(struct hostile *h);

/* A peer takes the other side, of the other role; connects; sends what stands in its output. */
void hostile_peer(struct hostile *h, const struct peer_options *options);
void hostile_connect(struct hostile *h, const struct peer_options *options);
void hostile_flush_peer(struct hostile *h);

/* All that stands in its output, and a reset right behind it. */
void hostile_flush_peer_and_reset(struct hostile *h);

/* The same with a peer whose records are made by hand from then on. */
void hostile_connect_sealed(struct hostile *h, int version);

/* ---- Waiting ------------------------------------------------------------------------------- */

/* Runs the loop until nothing moves. */
void hostile_settle(struct hostile *h);
void hostile_run_ms(struct hostile *h, long ms);
void hostile_wait(struct hostile *h, const char *word);
void hostile_wait_end(struct hostile *h);

/* Both directions work. */
void hostile_expect_alive(struct hostile *h);

/* Makes the side under test where the row is late. */
void hostile_make_side(struct hostile *h);

/* Another connection over the same carrier with the same context, in place of the ended one. */
void hostile_again(struct hostile *h);

/* What the peer got as plaintext. */
size_t hostile_peer_got(const struct hostile *h);

/* ---- Data that is known --------------------------------------------------------------------- */

#define HOSTILE_PATTERN_BYTES ((size_t)1 << 20)
extern unsigned char hostile_pattern[HOSTILE_PATTERN_BYTES];
void hostile_fill_pattern(void); /* hostile_set_up does it */

/* len bytes of the pattern, over and over, for the output (without a copy); from the peer. */
void hostile_write_pattern(struct hostile *h, size_t len);
void hostile_peer_write_pattern(struct hostile *h, size_t len);

/* Waits until the peer got, the side under test has read just len bytes of it. The side's are taken
 * out. */
void hostile_expect_at_peer(struct hostile *h, size_t len);
void hostile_expect_at_side(struct hostile *h, size_t len);

#endif
