/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection in memory that follows a script (script.h): two directions of bytes between side 0
 * and side 1, with a clock of its own.
 *
 * Reads and writes return a count, 0 for an end of file, or a negative errno (-EAGAIN, -EINTR,
 * -ECONNRESET, -EPIPE), as sockets do: what arrived before an end or a reset is read first; a reset
 * is told once, after it reads give 0 and writes -EPIPE. A refusal by the script may come at any
 * call; that transport_readable is true means only that trying makes sense.
 *
 *     struct script script = script_make(seed);
 *     struct transport *t = transport_new(&script);
 *     do {
 *         ... transport_read and transport_write on both sides ...
 *     } while (something moved || transport_tick(t));
 *
 * The script is copied. With EVTLS_SCRIPT_TRACE=1 in the environment every call is printed.
 */
#ifndef EVTLS_TESTS_SUPPORT_SCRIPT_TRANSPORT_H
#define EVTLS_TESTS_SUPPORT_SCRIPT_TRANSPORT_H

#include <sys/types.h>

#include "peer.h"
#include "script.h"

struct evbuffer;
struct transport;

struct transport *transport_new(const struct script *script);
void transport_free(struct transport *t);

ssize_t transport_read(struct transport *t, unsigned side, void *data, size_t size);
ssize_t transport_write(struct transport *t, unsigned side, const void *data, size_t len);

/* The same for an evbuffer: adds what was read; drains what was written. */
ssize_t transport_read_buffer(struct transport *t, unsigned side, struct evbuffer *in);
ssize_t transport_write_buffer(struct transport *t, unsigned side, struct evbuffer *out);

/* One write of a peer's output and one read of its input, if it has any; returns the bytes moved.
 * An end or a reset becomes the end of the peer's input. */
size_t transport_step_peer(struct transport *t, unsigned side, struct peer *peer);

/* A side sends an end of file; closes (a reset where it leaves bytes unread); resets. */
void transport_shutdown(struct transport *t, unsigned side);
void transport_close(struct transport *t, unsigned side);
void transport_reset(struct transport *t, unsigned side);

/* As poll says it. */
bool transport_readable(const struct transport *t, unsigned side);
bool transport_writable(const struct transport *t, unsigned side);

/* Moves the clock to the next arrival; false where nothing is on its way. */
bool transport_tick(struct transport *t);
void transport_advance_ms(struct transport *t, uint64_t ms);
uint64_t transport_now_ms(const struct transport *t);

/* Bytes that a side has written (as the transport took them), and that are not yet read. */
uint64_t transport_sent(const struct transport *t, unsigned side);
size_t transport_in_flight(const struct transport *t, unsigned side);

#endif
