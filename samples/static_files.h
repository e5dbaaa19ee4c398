/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * static_files.h - from the path of a request to an open file below one folder, and the small
 * pieces of HTTP that go with files: types, dates, ranges. No TLS and no event loop here.
 *
 * There is no way out of the folder: "..", encoded slashes and NUL bytes are refused before
 * anything is opened, and each component is opened from the one before without following symbolic
 * links, so neither a link nor a rename in between leads elsewhere.
 */
#ifndef STATIC_FILES_H
#define STATIC_FILES_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct static_file {
    int fd; /* the caller closes it; -1 where the result is not 200 */
    struct stat st;
    const char *type; /* the Content-Type */
    char path[1024];  /* decoded and tidy: "/a/b.html"; a folder for 301, without the last slash */
};

/* Opens the folder that is served. Returns a descriptor, or -1 with errno. */
int static_files_open_root(const char *dir);

/*
 * Opens what target, the path of a request without its query, names below root. A folder's
 * index.html is served under the folder's name with a slash at the end.
 *
 * Returns an HTTP status: 200; 301 (a folder named without the slash); 400 (not a path, or a
 * broken escape); 404 (nothing there that may be served); 500.
 */
int static_files_open(int root, const char *target, struct static_file *file);

/* The type that goes with the end of a file's name. */
const char *static_files_type(const char *name);

/* Encodes a path for a header. Returns 0, or -1 where it does not fit. */
int static_files_encode(char *out, size_t size, const char *path);

/* An HTTP date in any of its three forms (RFC 9110, section 5.6.7). Returns 0, or -1. */
int static_files_parse_date(const char *text, time_t *when);

/* Writes the preferred form. size: at least 30. */
void static_files_format_date(char *out, size_t size, time_t when);

/*
 * What a Range header asks of a file of size bytes (RFC 9110, section 14.1.2). Returns 206 with
 * the first and the last byte, which are not touched otherwise; 416 where the range lies outside;
 * 200 for all of the file: no header, several ranges, another unit, or nonsense, all of which a
 * server may ignore.
 */
int static_files_parse_range(const char *header, off_t size, off_t *first, off_t *last);

#endif
