/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process does once: the check of OpenSSL's version, and OpenSSL's start with its
 * configuration file.
 *
 * A configuration file that OpenSSL refuses makes only its first call fail: the next one in that
 * thread goes on without the policy in the file. So the verdict is kept here, and each call
 * of evtls_library_init gives it again.
 */
#ifndef EVTLS_SRC_LIBRARY_H
#define EVTLS_SRC_LIBRARY_H

#include <stdatomic.h>

#include "error.h"

/*
 * Wanted before the first use of OpenSSL, by each context. Any thread; cheap after the first call.
 *
 * Returns 0, EVTLS_ERR_UNSUPPORTED (the OpenSSL loaded is older than the one evtls was compiled
 * with), EVTLS_ERR_CONFIG (the configuration file, named) or EVTLS_ERR_NOMEM (not kept).
 */
int evtls_library_init(struct evtls_error *err);

/*
 * The same check as a pure function over version numbers in OpenSSL's form (0xMNN00PP0): 0 or
 * EVTLS_ERR_UNSUPPORTED.
 */
int evtls_library_check_version(unsigned long built, unsigned long loaded, struct evtls_error *err);

/*
 * The place for our data in OpenSSL's objects of a class (CRYPTO_EX_INDEX_*), kept in *index, which
 * begins as -1: made once a process. Any thread; no lock after the first call. Returns -1 without
 * memory, and the next call tries again.
 */
int evtls_library_get_ex_index(int class_index, atomic_int *index);

#endif
