/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection behind a bufferevent of ours. Knows libevent and the engine's calls, no TLS.
 *
 *   bev.c         life: construction, lookup, free, destruct, change of descriptor
 *   bev_enable.c  permission, interest and timeouts
 *   bev_connect.c the time before there is a descriptor
 *   bev_socket.c  the transport where that is a descriptor
 *   bev_filter.c  the transport where that is another bufferevent, which bev_under.c keeps
 *   bev_limit.c   rate limits
 *   bev_read.c    transport -> engine -> input
 *   bev_write.c   output -> engine -> transport
 *   bev_notify.c  what the program is told, and when
 *   bev_plain.c   before TLS: plaintext, and the step up
 *   bev_end.c     the ways to end
 *
 * Work happens in a few entry points: handlers of events and the work queue. Each takes the lock
 * and a reference (evtls_bev_enter), does its part without calling the program, tells the program
 * what is pending (evtls_bev_leave), and settles the events' registration on the way out. Calls of
 * the program only change state and queue the connection.
 *
 * A filter's handlers take the lock of the bufferevent below first, then the filter's, and hold
 * both. Calls of the program come with the filter's lock held, so they never touch what is below.
 */
#ifndef EVTLS_SRC_BEV_H
#define EVTLS_SRC_BEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <evtls/bufferevent.h>

#include "base.h"
#include "bev_ops.h"
#include "engine.h"
#include "error.h"

/* What the connection is waiting for. */
enum evtls_bev_phase {
    EVTLS_BEV_NO_FD,      /* a descriptor */
    EVTLS_BEV_CONNECTING, /* a connector to bring one */
    EVTLS_BEV_HANDSHAKE,  /* the connect and the handshake */
    EVTLS_BEV_OPEN,       /* data */
    EVTLS_BEV_FAILING,    /* an alert of ours to leave and the peer to have taken it */
    EVTLS_BEV_DRAINING,   /* a close's peer to see our end */
    EVTLS_BEV_PLAIN,      /* data, without TLS: before the step up, or after an unwrap */
    EVTLS_BEV_STARTING,   /* what was written in plaintext to be gone; TLS begins then */
    EVTLS_BEV_ENDED,      /* the program: the terminal event is raised or pending */
    EVTLS_BEV_DEAD        /* libevent's destructor: freed by the program */
};

/* The ending that the program asked for, if any; goes on beside the phase. */
enum evtls_bev_ending {
    EVTLS_BEV_NO_END,
    EVTLS_BEV_END_WRITE,  /* shutdown_write */
    EVTLS_BEV_END_BOTH,   /* shutdown */
    EVTLS_BEV_END_UNWRAP, /* unwrap */
    EVTLS_BEV_END_CLOSE   /* close */
};

/* How ev_read is registered. */
enum evtls_bev_reading {
    EVTLS_BEV_READING_OFF,
    EVTLS_BEV_READING_ON,
    EVTLS_BEV_READING_TIMED /* with the program's read timeout */
};

/* What the program is to be told, in this order. */
enum {
    EVTLS_BEV_TELL_CONNECTED = 1 << 0, /* in plaintext */
    EVTLS_BEV_TELL_OPEN = 1 << 1,      /* alpn, handshake, CONNECTED */
    EVTLS_BEV_TELL_SESSION = 1 << 2,   /* sessions wait in the engine */
    EVTLS_BEV_TELL_READ = 1 << 3,
    EVTLS_BEV_TELL_WRITE = 1 << 4,
    EVTLS_BEV_TELL_UNWRAPPED = 1 << 5,
    EVTLS_BEV_TELL_EOF = 1 << 6,
    EVTLS_BEV_TELL_ERROR = 1 << 7
};

/* One record: when its last byte is taken, `plain` bytes leave the output buffer. */
struct evtls_bev_record {
    uint64_t end; /* where it ends in all that was ever sent */
    size_t plain;
};

#define EVTLS_BEV_MAX_RECORDS 8

/* Ciphertext on its way to the transport: in a block of the base or, where it is more, a heap. */
struct evtls_bev_out {
    unsigned char *data;
    size_t len, cap, off; /* off: how much the transport has been given */
    uint64_t start;       /* where data begins in all that was ever sent */
    size_t in_flight;     /* given to the transport, but not taken by the kernel */
    struct evtls_block *block;
    struct evtls_bev_record records[EVTLS_BEV_MAX_RECORDS];
    uint8_t first, n_records;
    size_t encrypted; /* bytes at the front of the output buffer that stand in records */
};

/* Ciphertext that was read and not used yet. */
struct evtls_bev_in {
    const unsigned char *data;
    size_t len;
    unsigned char *held; /* heap of what is kept between handlers; data points into it */
    bool fd_end;         /* end of file or error: nothing more comes from the transport */
    int fd_errno;        /* of that error, or 0 */
};

/*
 * What carries the ciphertext. Called by handlers only, but for watch, get_fd and farewell.
 */
struct evtls_bev_transport {
    /*
     * As recv(2) and writev(2), without blocking and without a signal. *data is where the bytes
     * are: in buf, or elsewhere, to be used or copied before received says how many they were.
     */
    ssize_t (*receive)(struct evtls_bev *conn, unsigned char *buf, size_t size,
                       const unsigned char **data);
    void (*received)(struct evtls_bev *conn, size_t n);
    ssize_t (*send)(struct evtls_bev *conn, const struct iovec *iov, int n);

    /* Nothing more is sent: says so to the peer, where that is ours to do. */
    void (*send_fin)(struct evtls_bev *conn);

    /* Registers for what is awaited. */
    void (*watch)(struct evtls_bev *conn, enum evtls_bev_reading reading, bool sending);

    /* At free: true when the peer may be sent something. */
    bool (*can_farewell)(const struct evtls_bev *conn);

    /* Lets go at free; say_last: sends what is encrypted before that, in one try. */
    void (*release)(struct evtls_bev *conn, bool say_last);

    evutil_socket_t (*get_fd)(const struct evtls_bev *conn);
};

/* See evtls_bev_set_dialer. */
struct evtls_bev_dialer {
    const struct evtls_dialer_ops *ops;
    void *arg;
    bufferevent_event_cb errorcb; /* the owner's, while ours is in its place */
};

struct evtls_bev {
    struct bufferevent_ops ops; /* the bufferevent's be_ops points here */
    const struct bufferevent_ops *socket_ops;
    const struct evtls_bev_transport *transport;
    struct evtls_under *under; /* what a filter filters, else NULL */
    struct bufferevent *bev;
    struct evtls_base *shared;
    struct evtls_engine *engine;
    TAILQ_ENTRY(evtls_bev) all;
    TAILQ_ENTRY(evtls_bev) queued;
    struct evtls_queue *queue; /* the queue it is in, or NULL; under the base's lock */

    struct event ev_send;  /* a descriptor takes more output, or is connected */
    struct event ev_timer; /* the handshake's deadline, a linger, a bounded drain */

    enum evtls_bev_phase phase;
    enum evtls_bev_ending ending;
    short allowed; /* EV_READ, EV_WRITE: what enable and disable of libevent leave us */
    short options;
    enum evtls_role role;

    enum evtls_bev_reading reading;
    unsigned tell;        /* EVTLS_BEV_TELL_* */
    short error_what;     /* BEV_EVENT_* of the terminal event */
    int write_errno;      /* of a failed send, while reading outlives it */
    size_t failing_bytes; /* discarded so far while FAILING or DRAINING */
    size_t plain_owed; /* while STARTING: bytes of the output that leave in plaintext */
    unsigned generation; /* of the descriptor: what is told of an older one is dropped */

    bool inside : 1;        /* a handler is on the stack and holds the lock */
    bool fd_waits : 1;      /* under_fd is to be given to the bufferevent below */
    bool telling : 1;       /* evtls_bev_tell is on the stack */
    bool tell_now : 1;      /* deferred callbacks are being run from the queue */
    bool triggered : 1;     /* libevent was asked for a callback by the handler that runs */
    bool sending_on : 1;    /* ev_send is registered */
    bool plain_blocked : 1; /* the descriptor took no more plaintext */
    bool starts_plain : 1;  /* a new descriptor begins in plaintext */
    bool connecting : 1;    /* in plaintext, and the connect is under way */
    bool fd_is_new : 1;     /* in plaintext: see evtls_bev_note_connect */
    bool own_cb : 1;        /* the program has set cb, for this connection */
    bool first_sent : 1;    /* something was sent on this descriptor */
    bool close_sent : 1;    /* close_notify stands in the output or was sent */
    bool read_ended : 1;    /* the peer's close_notify or, in plaintext, its FIN, is known */
    bool told_end : 1;      /* a terminal event was raised or is pending */
    bool fin_sent : 1;      /* shutdown(SHUT_WR) was done */
    bool write_asked : 1;   /* EV_WRITE was enabled with nothing to write: tell once */
    bool read_again : 1;    /* the read budget was used up, or input waits: go on from the queue */
    bool flushing : 1;      /* evtls_bev_flush is on the stack */
    bool was_timed : 1;     /* ev_read had a timeout once */
    bool counted : 1;       /* in the base's number of closing connections */

    struct timeval handshake_timeout; /* set for this connection, or zero: the context's */
    int64_t deadline_total_us;        /* of the handshake */
    int64_t deadline_left_us;         /* while its clock stands */
    int64_t deadline_at_us;           /* monotonic, while it runs, else 0 */
    unsigned fork_count; /* when it got its descriptor: who forked since sends nothing */
    evutil_socket_t under_fd; /* of the bufferevent below, as last seen */
    dev_t fd_dev;        /* identity of the descriptor, where the program closes it */
    ino_t fd_ino;

    const struct evtls_connector_ops *connector_ops;
    void *connector;    /* while CONNECTING, see bev_connect.h */
    char *connect_name; /* the name that connecting has given the engine, or NULL */
    struct evtls_bev_dialer dialer;

    struct bufferevent_rate_limit_group *group;
    struct evtls_callbacks cb; /* the context's, unless the program has set others */
    void *cb_arg;
    evtls_unwrap_cb unwrap_cb;
    void *unwrap_arg;

    struct evtls_bev_in in;
    struct evtls_bev_out out;
};

/* bev.c ------------------------------------------------------------------------------------ */

/* The connection of a bufferevent with its lock and a reference taken, or NULL: not ours. */
struct evtls_bev *evtls_bev_lock(struct bufferevent *bev);
void evtls_bev_unlock(struct evtls_bev *conn);

/* The connection of a bufferevent whose lock is held and which is ours. */
struct evtls_bev *evtls_bev_from(const struct bufferevent *bev);

/*
 * Entry and exit of every handler (see above). Entering takes the lock without a reference first,
 * since the last reference may be gone: NULL then, and nothing is locked.
 */
struct evtls_bev *evtls_bev_enter(struct bufferevent *bev);
void evtls_bev_leave(struct evtls_bev *conn);

/* The descriptor is another one from now on, or none (-1). A lookup of libevent's own ends. */
void evtls_bev_take_fd(struct evtls_bev *conn, evutil_socket_t fd);
/* Gives the locks up around a callback of the program's, and takes them again. */
void evtls_bev_let_go(struct evtls_bev *conn);
void evtls_bev_take_back(struct evtls_bev *conn);

/*
 * A connection without a descriptor: over below, unless that is NULL, and in plaintext where ctx is
 * NULL. NULL on failure.
 */
struct evtls_bev *evtls_bev_new(struct event_base *base, struct bufferevent *below,
                                struct evtls_context *ctx, enum evtls_role role, int bev_options,
                                struct evtls_error *err);

/* Arguments of constructors: 0, or EVTLS_ERR_USAGE. */
int evtls_bev_check_options(int options, struct evtls_error *err);
int evtls_bev_check_socket(evutil_socket_t fd, struct evtls_error *err);

/* The descriptor is another one from now on, or none (-1); the events get this priority. */
void evtls_bev_attach_fd(struct evtls_bev *conn, evutil_socket_t fd, int priority);

/* From a new connection on: the handshake is to begin. */
void evtls_bev_begin(struct evtls_bev *conn);

/* Forgets everything about the connection so far; nothing is sent or told any more. */
void evtls_bev_forget(struct evtls_bev *conn);

/* True for a socket bufferevent of libevent's own. */
bool evtls_bev_is_libevents_socket(const struct bufferevent *bev);

/* The turn of a queued connection. Takes over the queue's reference. */
void evtls_bev_work(struct evtls_bev *conn);

/* Queues the connection: something is to be done or told soon. */
void evtls_bev_queue(struct evtls_bev *conn);

/* bev_socket.c ----------------------------------------------------------------------------- */

extern const struct evtls_bev_transport evtls_bev_socket;

/* The descriptor is another one from now on, or none (-1); the events get this priority. */
void evtls_bev_socket_attach(struct evtls_bev *conn, evutil_socket_t fd, int priority);

/* Takes input that is there, a bounded amount: unread, it would turn closing into a reset. */
void evtls_bev_socket_discard(evutil_socket_t fd);

/* bev_filter.c ----------------------------------------------------------------------------- */

extern const struct evtls_bev_transport evtls_bev_filter;

/* True where the lock of what is below is held, or there is none to wait for. */
bool evtls_filter_may_touch(const struct evtls_bev *conn);

/* What happened below: in from there, out to there. */
void evtls_filter_pump(struct evtls_bev *conn);

/* On the way out of a handler: lets the bufferevent below do what is wanted of it. */
void evtls_filter_apply(struct evtls_bev *conn);

/* bufferevent_setfd on a filter, and what of it waits for the loop. */
int evtls_filter_set_fd(struct evtls_bev *conn, evutil_socket_t fd);
void evtls_filter_set_waiting_fd(struct evtls_bev *conn);

/*
 * The end of an unwrap: what came out of TLS goes in front of what is below and not TLS any more.
 * Returns the bufferevent below, which is the program's again, or NULL without memory.
 */
struct bufferevent *evtls_filter_unwrap(struct evtls_bev *conn);

/* bev_enable.c ----------------------------------------------------------------------------- */

int evtls_bev_op_enable(struct bufferevent *bev, short events);
int evtls_bev_op_disable(struct bufferevent *bev, short events);
int evtls_bev_op_adj_timeouts(struct bufferevent *bev);

/* True when the program's bytes may be read now (and more can come), written now. */
bool evtls_bev_may_read(const struct evtls_bev *conn);
bool evtls_bev_may_write(const struct evtls_bev *conn);

/* True unless the program has disabled both directions, and is not closing. */
bool evtls_bev_handshake_may_run(const struct evtls_bev *conn);

/* True when the engine wants more from the descriptor now. */
bool evtls_bev_may_receive(const struct evtls_bev *conn);

/* True when ciphertext at hand may be sent now. */
bool evtls_bev_may_send(const struct evtls_bev *conn);

/* The one place that decides which events are registered. */
void evtls_bev_settle(struct evtls_bev *conn);

/* Restarts the write timeout: progress was made. */
void evtls_bev_touch_write_timer(struct evtls_bev *conn);

/* Adds an event of conn; a connection that can't be watched fails. */
void evtls_bev_add_event(struct evtls_bev *conn, struct event *event,
                         const struct timeval *timeout);

/* Starts ev_timer to fire after timeout; stops it. */
void evtls_bev_start_timer(struct evtls_bev *conn, const struct timeval *timeout);
void evtls_bev_stop_timer(struct evtls_bev *conn);

/* The handshake's clock: from a new descriptor on, stopped for good when it is complete. */
void evtls_bev_start_deadline(struct evtls_bev *conn);

/* bev_limit.c ------------------------------------------------------------------------------ */

/*
 * How many of want bytes the rate limits leave for one read, one write; and the charge for them.
 */
size_t evtls_bev_clip_read(struct evtls_bev *conn, size_t want);
size_t evtls_bev_clip_write(struct evtls_bev *conn, size_t want);
void evtls_bev_charge_read(struct evtls_bev *conn, size_t bytes);
void evtls_bev_charge_write(struct evtls_bev *conn, size_t bytes);

/*
 * How many of want bytes may be given to the program at once. What was read is charged to the rate
 * limits already: with little left in a bucket it would else come in crumbs, a loop turn each.
 */
size_t evtls_bev_clip_delivery(const struct evtls_bev *conn, size_t want);

/* bev_read.c ------------------------------------------------------------------------------- */

extern const struct evtls_port_ops evtls_bev_port;

void evtls_bev_on_readable(evutil_socket_t fd, short what, void *bev);

/* Reads from the transport and moves what was read, within the budget of an event. */
void evtls_bev_read(struct evtls_bev *conn);

/* Lets the engine work on the input at hand, up to what the program may be given. */
void evtls_bev_advance(struct evtls_bev *conn);

/* Keeps what is left of the read scratch; frees what is kept. */
void evtls_bev_hold_input(struct evtls_bev *conn);
void evtls_bev_drop_input(struct evtls_bev *conn);

/* Reads and throws away what is there, at most max bytes: how many came. Notes the end. */
size_t evtls_bev_discard(struct evtls_bev *conn, size_t max);

/* True when something read and not delivered could be delivered now. */
bool evtls_bev_has_input(const struct evtls_bev *conn);

/* bev_write.c ------------------------------------------------------------------------------ */

void evtls_bev_on_sendable(evutil_socket_t fd, short what, void *bev);
void evtls_bev_on_write_timeout(evutil_socket_t fd, short what, void *bev);
void evtls_bev_on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *conn);
int evtls_bev_op_flush(struct bufferevent *bev, short iotype, enum bufferevent_flush_mode mode);

/* Ciphertext from the engine: takes all of it, 0, or -1 without memory. */
int evtls_bev_add_output(struct evtls_bev *conn, const unsigned char *data, size_t len);

/* Encrypts and sends as much as may be and the descriptor takes. */
void evtls_bev_flush(struct evtls_bev *conn);

/* The same now, or after the program has been told what it is about to be told. */
void evtls_bev_send_later(struct evtls_bev *conn);

/* Sends what is encrypted: true when all of it was taken. */
bool evtls_bev_send(struct evtls_bev *conn);

/* The transport has given bytes to the kernel: lets go of the output that they carried. */
void evtls_bev_drain_sent(struct evtls_bev *conn);

/* Bytes of ciphertext that the kernel has not taken. */
size_t evtls_bev_get_unsent(const struct evtls_bev *conn);
void evtls_bev_drop_output(struct evtls_bev *conn);

/* bev_notify.c ----------------------------------------------------------------------------- */

/* Tells the program what is pending, now or, with deferred callbacks, from the queue. */
void evtls_bev_tell(struct evtls_bev *conn);

/* bev_plain.c ------------------------------------------------------------------------------ */

/* A new descriptor, in plaintext; connected: by a connector, which nobody has told yet. */
void evtls_bev_begin_plain(struct evtls_bev *conn, bool connected);

/*
 * A call of bufferevent_socket_connect looks to us like bufferevent_setfd, and on loopback the
 * socket is connected by then. But libevent goes on to add ev_write, which nobody else does before
 * the next thing happens; so whatever happens next calls this first.
 */
void evtls_bev_note_connect(struct evtls_bev *conn);

/* The descriptor is writable: the connect that was under way has ended, one way or the other. */
void evtls_bev_finish_connect(struct evtls_bev *conn);

/* n bytes of plaintext have left the output: TLS begins behind the last that was owed. */
void evtls_bev_plain_sent(struct evtls_bev *conn, size_t n);

/* True while the output leaves as it is. */
bool evtls_bev_is_plain(const struct evtls_bev *conn);

/* bev_end.c -------------------------------------------------------------------------------- */

void evtls_bev_on_timer(evutil_socket_t fd, short what, void *bev);

/* The engine has failed by itself: lets its alert out, then raises what. */
void evtls_bev_engine_failed(struct evtls_bev *conn, short what);

/* Ends the connection for a reason of the transport's, and raises what. */
void evtls_bev_fail(struct evtls_bev *conn, enum evtls_status status, const char *reason,
                    short what);
void evtls_bev_fail_with(struct evtls_bev *conn, const struct evtls_error *err, short what);
void evtls_bev_fail_errno(struct evtls_bev *conn, int sys_errno, short what);

/* The peer's close_notify (in plaintext: FIN) was read. */
void evtls_bev_peer_ended(struct evtls_bev *conn);

/* A send failed: decides whether reading outlives it. */
void evtls_bev_send_failed(struct evtls_bev *conn, int sys_errno);

/* True when reading goes on, now or once the program's pause is over. */
bool evtls_bev_reads_on(const struct evtls_bev *conn);

/* False while all that failed could be the connect. */
bool evtls_bev_is_connected(const struct evtls_bev *conn);

/* How many forks lie between this process and the first use of evtls. */
unsigned evtls_bev_get_fork_count(void);

/* Goes on with an ending after input, output or time moved. */
void evtls_bev_go_on_ending(struct evtls_bev *conn);

/* Output and then close_notify are to be sent, nothing can be added: 0, or EVTLS_ERR_USAGE. */
int evtls_bev_end_writing(struct evtls_bev *conn);

/* At free: true when there are last words, which stand in the output then. */
bool evtls_bev_farewell(struct evtls_bev *conn);

#endif
