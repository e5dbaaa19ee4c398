/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the hooks (alloc_faults.c, alloc_wrap.c) and the decision (alloc_guard.c).
 */
#ifndef EVTLS_TESTS_SUPPORT_ALLOC_GUARD_H
#define EVTLS_TESTS_SUPPORT_ALLOC_GUARD_H

#include <stdbool.h>

#include "alloc_faults.h"

/* Counts one allocation; true: it fails. file may be NULL. */
bool alloc_guard_fails(enum alloc_source source, const char *file, int line);

#endif
