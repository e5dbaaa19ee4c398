/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A temporary directory of one test.
 *
 * Made under $TMPDIR (or /tmp) with mode 0700, and removed with all its content by tmpdir_free, or
 * when the process that made it ends by exit(). Paths returned belong to the directory object and
 * live as long as it does.
 */
#ifndef EVTLS_TESTS_SUPPORT_TMPDIR_H
#define EVTLS_TESTS_SUPPORT_TMPDIR_H

#include <stddef.h>

struct tmpdir;

struct tmpdir *tmpdir_new(void);
void tmpdir_free(struct tmpdir *dir);

/* The directory itself, absolute, without a slash at the end. */
const char *tmpdir_root(const struct tmpdir *dir);

/* The path of a name inside; makes nothing. */
const char *tmpdir_path(struct tmpdir *dir, const char *name);

/* Makes or replaces a file (mode 0600) and returns its path. */
const char *tmpdir_write(struct tmpdir *dir, const char *name, const void *data, size_t len);
const char *tmpdir_write_text(struct tmpdir *dir, const char *name, const char *text);

/* Makes a directory inside and returns its path. */
const char *tmpdir_mkdir(struct tmpdir *dir, const char *name);

#endif
