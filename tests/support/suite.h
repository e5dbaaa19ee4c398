/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The main function of a Check program.
 *
 *     int main(void) { return suite_run(thing_suite()); }
 */
#ifndef EVTLS_TESTS_SUPPORT_SUITE_H
#define EVTLS_TESTS_SUPPORT_SUITE_H

#include <check.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Runs the suite (which it takes over) as CK_* in the environment says; returns main's status. */
int suite_run(Suite *suite);

/*
 * Says that the test that calls it cannot run on this machine, and why; the test then returns at
 * once. It counts as skipped, not as passed. At most one call a test.
 */
void test_skip(const char *why);

#endif
