/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/bufferevent.h - a bufferevent that speaks TLS.
 *
 * The functions here make a real `struct bufferevent *` on which libevent's own calls work:
 * bufferevent_read and _write, _enable and _disable, watermarks, timeouts, rate limits,
 * priorities, locks, bufferevent_setfd, bufferevent_socket_connect and _connect_hostname, and
 * bufferevent_free. What it reads is plaintext, what is written to it is encrypted. What only TLS
 * knows is asked of its engine (evtls/engine.h).
 *
 * Promises:
 *  - Once made, not one byte of what is written is sent before the handshake is complete or after
 *    TLS ended, whatever is called on the bufferevent, but where evtls_bufferevent_unwrap asked to
 *    go on in plaintext.
 *  - One terminal event for a connection, after all plaintext that came before it.
 *  - A byte leaves the output buffer only when the record that carries it has been taken by the
 *    kernel: when it is empty, nothing is owed to the peer, and the write callback follows that.
 *  - No callback runs inside the call that registered it. A bufferevent may be freed in any
 *    callback.
 *  - Memory is bounded: beyond the program's own input and output buffers a connection holds at
 *    most 64 KiB of ciphertext to send and, while it may not be delivered, 64 KiB received.
 *
 * Events, in order: alpn, handshake, then BEV_EVENT_CONNECTED, alone, once; close_notify, then
 * BEV_EVENT_READING|BEV_EVENT_EOF; or error, then BEV_EVENT_ERROR with the direction that met it
 * (without one where connecting failed). A free in the first of a pair suppresses the second.
 * After an end of file one may go on writing; where what is still owed then cannot be sent,
 * BEV_EVENT_WRITING|BEV_EVENT_ERROR follows. An end of file without close_notify is
 * BEV_EVENT_READING|BEV_EVENT_ERROR with status EVTLS_ERR_TRUNCATED. libevent's read and write
 * timeouts stay its own non-terminal events. A handshake that takes too long ends with
 * BEV_EVENT_TIMEOUT|BEV_EVENT_ERROR and status EVTLS_ERR_TIMEOUT; its clock runs from the
 * connected descriptor (or from evtls_bufferevent_connect_hostname) on and stands while both
 * directions are disabled.
 *
 * The handshake starts from the loop, also when EV_READ is disabled, and stands still while both
 * EV_READ and EV_WRITE are. All callbacks obey BEV_OPT_DEFER_CALLBACKS and _UNLOCK_CALLBACKS.
 *
 * Where libevent itself calls back without asking the bufferevent: a failed name lookup, socket()
 * or immediate connect of bufferevent_socket_connect* gives BEV_EVENT_ERROR without `error`, and
 * an AF_UNIX connect runs the write callback before the handshake.
 * evtls_bufferevent_connect_hostname (evtls/connect.h) has none of that, and tries every address.
 *
 * Five ways to end:
 *
 *   call                             owed to the peer                 then
 *   bufferevent_free                 what is encrypted and            no event
 *                                    close_notify, in one try
 *   evtls_bufferevent_close          all output, close_notify,        no event; evtls frees it;
 *                                    bounded drain                    counted until gone
 *   evtls_bufferevent_shutdown       all output, close_notify; the    EOF, or TIMEOUT|ERROR; the
 *                                    peer's is awaited                program frees it
 *   evtls_bufferevent_shutdown_write all output, close_notify         reading goes on
 *   evtls_bufferevent_unwrap         all output, close_notify both    callback with the plaintext
 *                                    ways                             bufferevent
 *
 * After bufferevent_free of an unbroken connection its session stays resumable. A received
 * close_notify does not send ours: that is the program's to decide. bufferevent_flush with
 * BEV_FLUSH encrypts and sends now, as far as the socket takes it; BEV_FINISHED adds what
 * evtls_bufferevent_shutdown_write does.
 *
 * After a fork, only the process that made a connection sends anything for it: in the child,
 * bufferevent_free is silent. As always with libevent, a child calls event_reinit before it
 * touches the base. bufferevent_base_set fails: a bufferevent of evtls stays with its base.
 *
 * Threads: as libevent has it: with BEV_OPT_THREADSAFE and libevent's threading set up, calls may
 * come from any thread; callbacks run on the loop's thread. Engine calls need the lock of the
 * bufferevent (bufferevent_lock).
 */
#ifndef EVTLS_BUFFEREVENT_H
#define EVTLS_BUFFEREVENT_H

#include <stdio.h>

#include <event2/bufferevent.h>
#include <evtls/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A TLS connection over a stream socket.
 *
 * fd: a connected socket, which is made non-blocking; or -1, to be given later by
 * bufferevent_setfd or one of bufferevent_socket_connect*. ctx: sealed if it is not, and
 * referenced. bev_options: BEV_OPT_*; with BEV_OPT_CLOSE_ON_FREE the descriptor is closed with
 * the bufferevent. A client needs evtls_engine_set_server_hostname on
 * evtls_bufferevent_get_engine(bev) before the loop runs.
 *
 * Returns the bufferevent, freed with bufferevent_free, EV_WRITE enabled as libevent does; or
 * NULL, and fd stays the caller's: EVTLS_ERR_USAGE (NULL argument, wrong role, fd not a stream
 * socket), EVTLS_ERR_CONFIG (as evtls_context_seal; a client that neither verifies nor was told
 * not to), EVTLS_ERR_UNSUPPORTED (a libevent whose bufferevents evtls does not know),
 * EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT struct bufferevent *evtls_bufferevent_socket_new(struct event_base *base,
                                                              evutil_socket_t fd,
                                                              struct evtls_context *ctx,
                                                              enum evtls_role role, int bev_options,
                                                              struct evtls_error *err);

/*
 * A TLS connection over another bufferevent: a socket, a pair, a filter of libevent's, one of
 * evtls (TLS in TLS). underlying may be connecting still, and may have plaintext in its output,
 * which leaves first; what stands in its input is taken for TLS. The handshake begins at once,
 * from the loop. ctx, role and bev_options as above, with these differences:
 *
 *  - underlying belongs to the filter while that lives: its callbacks and its read watermark are
 *    the filter's, which enables and disables its reading. Nothing may be written to it. When the
 *    filter is freed, or has unwrapped, callbacks, watermark and EV_READ are again what they were,
 *    unless the program has set other callbacks meanwhile.
 *  - With BEV_OPT_CLOSE_ON_FREE underlying is freed with the filter: after its output is out, for
 *    at most 5 seconds (counted by evtls_event_base_get_num_closing), and a
 *    bufferevent_flush(underlying, EV_WRITE, BEV_FINISHED). Without it, it stays the program's.
 *  - A byte leaves the filter's output when its record has left the underlying one's output, and
 *    where that is a filter of libevent's, the output of what is below that.
 *  - bufferevent_get_underlying gives underlying; bufferevent_getfd its descriptor.
 *    bufferevent_setfd passes a descriptor on to it, for another connection from the start; -1
 *    ends this connection and leaves underlying's descriptor alone.
 *  - The underlying one's end of file and errors are the filter's; where it is one of evtls, the
 *    error says why that one failed. Its timeouts, where the program has set any, are told as the
 *    filter's.
 *  - libevent's own sockets raise SIGPIPE when the peer is gone: ignore it, as with libevent alone.
 *  - Locks: underlying's is taken before the filter's. Who holds the filter's must not ask for the
 *    other. Filters of libevent's own take their locks in either order: use such ones from one
 *    thread.
 *
 * Errors: NULL, and underlying is as it was: EVTLS_ERR_USAGE (NULL, no event base, wrong role),
 * EVTLS_ERR_CONFIG, EVTLS_ERR_UNSUPPORTED, EVTLS_ERR_NOMEM, as above.
 */
EVTLS_EXPORT struct bufferevent *evtls_bufferevent_filter_new(struct bufferevent *underlying,
                                                              struct evtls_context *ctx,
                                                              enum evtls_role role, int bev_options,
                                                              struct evtls_error *err);

/*
 * A connection that begins in plaintext, as a socket bufferevent of libevent's, and can change to
 * TLS: for protocols with a STARTTLS command, or a line before TLS (the PROXY protocol).
 *
 * fd and bev_options as above. bufferevent_socket_connect* and evtls_bufferevent_connect_hostname
 * connect it, with BEV_EVENT_CONNECTED when that is done. Its engine exists from the start, and has
 * no context and no answers before evtls_bufferevent_start_tls.
 *
 * In plaintext the ways to end do the same without a close_notify: shutdown and close send all
 * output and shut the socket for writing, shutdown_write too; free sends nothing more.
 *
 * Errors: NULL, and fd stays the caller's: EVTLS_ERR_USAGE, EVTLS_ERR_UNSUPPORTED, EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT struct bufferevent *evtls_bufferevent_plaintext_new(struct event_base *base,
                                                                 evutil_socket_t fd,
                                                                 int bev_options,
                                                                 struct evtls_error *err);

enum evtls_start_flags {
    /*
     * What was received and not read yet belongs to TLS: a PROXY line and the ClientHello in one
     * segment. Without it, such input refuses the step: whoever put it there, behind the command
     * that asks for TLS, has not been authenticated (an attacker's command, RFC 3207, section 5).
     */
    EVTLS_INPUT_IS_CIPHERTEXT = 1
};

/*
 * Changes to TLS. For what evtls_bufferevent_plaintext_new made, and again after an unwrap.
 *
 * Output that is there at the call leaves in plaintext, first; what is added later waits for the
 * handshake. The handshake begins from the loop when that output is gone; its time limit counts
 * from the call. A client's name is set after this call (evtls_engine_set_server_hostname),
 * unless evtls_bufferevent_connect_hostname has set it. Callbacks, watermarks and options stay; the
 * context's callbacks count where evtls_bufferevent_setcb was not called. Then all is as with a
 * bufferevent that began with TLS: alpn, handshake, BEV_EVENT_CONNECTED. From now on nothing is
 * ever sent in plaintext again but after evtls_bufferevent_unwrap; bufferevent_setfd begins a
 * connection with TLS.
 *
 * flags: 0 or EVTLS_INPUT_IS_CIPHERTEXT. Returns 0, or (nothing has changed then) EVTLS_ERR_USAGE
 * (not ours; a filter; not in plaintext; it has ended or is ending; ctx NULL; wrong role; unknown
 * flag), EVTLS_ERR_PROTOCOL (unread input), EVTLS_ERR_CONFIG (as evtls_context_seal),
 * EVTLS_ERR_BUSY, EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT int evtls_bufferevent_start_tls(struct bufferevent *bev, struct evtls_context *ctx,
                                             enum evtls_role role, int flags,
                                             struct evtls_error *err);

/*
 * Sets what evtls calls back (struct evtls_callbacks, evtls/context.h), in place of what the
 * context set for all its connections (evtls_context_set_callbacks); cb is copied, NULL clears.
 * Beside bufferevent_setcb, which is independent of it. arg stays the program's.
 * Errors: EVTLS_ERR_USAGE (not ours; a reserved member is not NULL).
 */
EVTLS_EXPORT int evtls_bufferevent_setcb(struct bufferevent *bev, const struct evtls_callbacks *cb,
                                         void *arg);

/*
 * The engine of a bufferevent: never NULL for one of ours, from its construction on, and the
 * pointer lives as long as the bufferevent. NULL for any other. bufferevent_setfd drops the
 * connection's results and error; context, host name, user data, limits and callbacks stay, and
 * the last session is offered again.
 */
EVTLS_EXPORT struct evtls_engine *evtls_bufferevent_get_engine(struct bufferevent *bev);

/*
 * The time this handshake may take, in place of its context's (evtls_context_set_
 * handshake_timeout). NULL: the context's again. Counts from the same moment on.
 * Errors: EVTLS_ERR_USAGE (not ours; zero or negative; handshake already complete).
 */
EVTLS_EXPORT int evtls_bufferevent_set_handshake_timeout(struct bufferevent *bev,
                                                         const struct timeval *timeout);

/*
 * Sends all output and close_notify, then waits for the peer's. What the peer sends before that
 * is delivered as usual. Ends with READING|EOF, or, when linger has passed, with TIMEOUT|ERROR and
 * status EVTLS_ERR_TIMEOUT. Before the handshake is complete it aborts the connection: ERROR.
 * Writing fails from now on. linger: NULL is 5 seconds; zero sends what can be sent now and does
 * not wait: the terminal event follows at once. The peer's close_notify is seen only while EV_READ
 * is enabled; where it was told before, no second event comes, and the write callback tells that
 * the output is gone.
 * Errors: EVTLS_ERR_USAGE (not ours; called twice; after the end).
 */
EVTLS_EXPORT int evtls_bufferevent_shutdown(struct bufferevent *bev, const struct timeval *linger);

/*
 * Sends all output and close_notify; reading goes on (RFC 8446, section 6.1). The write callback
 * tells when the output is empty.
 * Errors: EVTLS_ERR_USAGE (not ours; after the end; twice).
 */
EVTLS_EXPORT int evtls_bufferevent_shutdown_write(struct bufferevent *bev);

/*
 * Takes the bufferevent from the program, as bufferevent_free does, but first sends all output
 * and close_notify, then discards what the peer sends until it closes, for at most linger (NULL: 5
 * seconds; zero: one try, no wait). No event and no callback comes any more. Counted by
 * evtls_event_base_get_num_closing until gone. Closes the descriptor only with
 * BEV_OPT_CLOSE_ON_FREE. NULL is fine; one that is not ours is freed.
 */
EVTLS_EXPORT void evtls_bufferevent_close(struct bufferevent *bev, const struct timeval *linger);

/* How many bufferevents of a base evtls_bufferevent_close still has in hand. */
EVTLS_EXPORT size_t evtls_event_base_get_num_closing(struct event_base *base);

/*
 * Ends TLS and goes on in plaintext on the same bufferevent. Sends all output and close_notify,
 * reads to the peer's close_notify (for at most 5 seconds), then calls back from the loop:
 *
 *   plain            the same bufferevent, now without TLS; its callbacks, watermarks and
 *                    options stay. Of a filter: the underlying one, which is the program's in
 *                    any case now, and the filter is gone
 *   protected_bytes  how many bytes at the front of its input came under TLS; what follows them
 *                    did not
 *   err              NULL, or why it failed (then plain is the bufferevent that was to unwrap,
 *                    ended as by a terminal error, and no other event is raised)
 *
 * Who is not the first to unwrap calls this in the close_notify callback: no end of file is told
 * then. evtls_bufferevent_start_tls on plain (not a filter's) starts TLS again.
 *
 * Errors: EVTLS_ERR_USAGE (not ours; not open; cb NULL; while it ends otherwise).
 */
typedef void (*evtls_unwrap_cb)(struct bufferevent *plain, size_t protected_bytes,
                                const struct evtls_error *err, void *arg);
EVTLS_EXPORT int evtls_bufferevent_unwrap(struct bufferevent *bev, evtls_unwrap_cb cb, void *arg);

/*
 * bufferevent_add_to_rate_limit_group and _remove_from_ for a bufferevent of ours: libevent's own
 * calls would obey the group's limits, but charge it nothing. Leave with the call here, before the
 * group is freed. libevent's totals of a group (bufferevent_rate_limit_group_get_totals) count
 * nothing of it.
 * Errors: EVTLS_ERR_USAGE (not ours; NULL), EVTLS_ERR_NOMEM.
 */
EVTLS_EXPORT int
evtls_bufferevent_add_to_rate_limit_group(struct bufferevent *bev,
                                          struct bufferevent_rate_limit_group *group);
EVTLS_EXPORT int evtls_bufferevent_remove_from_rate_limit_group(struct bufferevent *bev);

/*
 * Writes a line for each connection of evtls on a base: descriptor, role, state, what it waits
 * for, bytes in the input and owed to the peer, version, name, ALPN and the last error. From the
 * loop's thread; not from a signal handler (use evsignal_new).
 */
EVTLS_EXPORT void evtls_event_base_dump(struct event_base *base, FILE *out);

#ifdef __cplusplus
}
#endif

#endif
