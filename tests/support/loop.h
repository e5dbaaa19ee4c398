/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running an event base until something holds, and seeing whether it is quiet.
 *
 *     ck_assert(loop_until(base, is_connected, &state, 10000));
 *     ck_assert_uint_le(loop_turns(base, 200), 2);              no spin while nothing happens
 *     ck_assert_uint_eq(fd_count(), fds_before);                no descriptor is left
 *
 * Deadlines are in milliseconds of the loop's clock, so with a virtual clock (vclock.h) long ones
 * cost nothing. A turn is a return of event_base_loop(EVLOOP_ONCE) that this helper's own timer did
 * not cause alone.
 */
#ifndef EVTLS_TESTS_SUPPORT_LOOP_H
#define EVTLS_TESTS_SUPPORT_LOOP_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;

typedef bool (*loop_condition_fn)(void *arg);

/* Runs the loop until the condition holds, and returns whether it does; at the latest after
 * timeout_ms. Looked at before the first turn and after each. */
bool loop_until(struct event_base *base, loop_condition_fn condition, void *arg, long timeout_ms);

/* The same for a variable that a callback sets, and for a counter that reaches n. */
bool loop_until_true(struct event_base *base, const bool *flag, long timeout_ms);
bool loop_until_count(struct event_base *base, const unsigned *counter, unsigned n,
                      long timeout_ms);

/* Runs the loop for so long and returns how many turns it made: 0 where nothing was ready. */
unsigned loop_turns(struct event_base *base, long duration_ms);

/* Runs what is ready now, without waiting, until nothing is; at most max turns. Returns how many.
 */
unsigned loop_drain(struct event_base *base, unsigned max);

/* Processor time that this thread used, in microseconds. */
long loop_cpu_us(void);

/* Open descriptors of the process. */
unsigned fd_count(void);

#endif
