/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that the secrets of connections are appended to (NSS key log format).
 *
 * Reference counted; any thread may write. Lines are written whole: each by one write() on a
 * descriptor opened for appending, under one lock, so that several processes can share a file.
 */
#ifndef EVTLS_SRC_KEYLOG_H
#define EVTLS_SRC_KEYLOG_H

#include "error.h"

struct evtls_keylog;

/*
 * Opens path for appending; a new file gets mode 0600, an empty one a first line that says what
 * it is. NULL with EVTLS_ERR_CONFIG (path, sys_errno; neither a regular file nor a character
 * device), EVTLS_ERR_USAGE (NULL or empty) or EVTLS_ERR_NOMEM.
 */
struct evtls_keylog *evtls_keylog_open(const char *path, struct evtls_error *err);

struct evtls_keylog *evtls_keylog_incref(struct evtls_keylog *keylog);
void evtls_keylog_free(struct evtls_keylog *keylog);

/* Appends line and a newline. 0, or the errno of the failed write (ENOSPC ...). */
int evtls_keylog_write(struct evtls_keylog *keylog, const char *line);

/* The path as given to evtls_keylog_open; borrowed. */
const char *evtls_keylog_get_path(const struct evtls_keylog *keylog);

#endif
