/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program's connects look like from outside, and addresses that never answer.
 *
 *     connects_watch();
 *     ...
 *     ck_assert_str_eq(connects_log(), "127.0.0.2 127.0.0.1 -127.0.0.2");
 *     ck_assert_int_ge(connects_at(1) - connects_at(0), 200);
 */
#ifndef EVTLS_TESTS_SUPPORT_CONNECTS_H
#define EVTLS_TESTS_SUPPORT_CONNECTS_H

#include <stdint.h>

/* Starts anew: a word for each TCP connect of this thread's process, "-ADDRESS" when that
 * descriptor is closed. With EVTLS_RACE_LOG=1 in the environment each is printed with its time. */
void connects_watch(void);
const char *connects_log(void);

/* A line of the test's own between them. */
void connects_say(const char *text);

/* When the n-th word came, in milliseconds since connects_watch. */
int64_t connects_at(unsigned n);
int64_t connects_now(void);

/* Words so far, and descriptors of theirs that are still open. */
unsigned connects_words(void);
unsigned connects_open(void);

/* A listener at an address whose backlog is full, so that a connect gets no answer; port 0: a free
 * one. Both listeners are closed by free. */
struct black_hole;
struct black_hole *black_hole_new(const char *address, uint16_t port);
uint16_t black_hole_port(const struct black_hole *hole);
void black_hole_free(struct black_hole *hole);

/* A listener at an address, on a given port or a free one (0); -1 where that is in use, or where
 * there is no such address. */
int listen_at(const char *address, uint16_t port);

#endif
