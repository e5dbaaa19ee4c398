/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How test support code fails: by a message and abort().
 *
 * Helpers here have no error returns that a test would have to look at. What must not fail goes
 * through support_require; a failure names the place, the expression and OpenSSL's queue.
 */
#ifndef EVTLS_TESTS_SUPPORT_REQUIRE_H
#define EVTLS_TESTS_SUPPORT_REQUIRE_H

#include <stdbool.h>

#define support_require(condition) support_require_at((condition), #condition, __FILE__, __LINE__)

/* Prints and aborts where ok is false. */
void support_require_at(bool ok, const char *what, const char *file, int line);

#endif
