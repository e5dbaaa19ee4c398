/*
 * The main function of every Check program: it runs the suite that the program defines.
 *
 *   test_NAME           runs all test cases
 *   test_NAME CASE      runs one of them; CK_FORK=no keeps it in this process, for a debugger
 */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>

/* Defined by each test program: its suite, with a test case for each group of facts. */
Suite *test_suite(void);

/*
 * Says that the test that calls it cannot run on this machine, and why. The caller returns at once;
 * the test then counts as skipped, not as passed. To be called once in a test.
 */
void test_skip(const char *why);

#endif
