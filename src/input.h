/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What certificates and keys are read from: a file, taken into memory whole, or the caller's
 * bytes. Memory of ours is wiped before it is freed: a key may be in it.
 */
#ifndef EVTLS_SRC_INPUT_H
#define EVTLS_SRC_INPUT_H

#include <stddef.h>

#include "error.h"

/* Room for 2,000 certificates; a larger file is something else. */
#define EVTLS_INPUT_MAX_BYTES (8u * 1024 * 1024)

struct evtls_input {
    char name[288]; /* for messages: the path in quotes, or what the data is for */
    const unsigned char *bytes;
    size_t len;
    unsigned char *owned; /* NULL: bytes are the caller's */
    size_t owned_size;
};

/*
 * Reads a file. Errors: EVTLS_ERR_CONFIG with the file named and sys_errno (missing, unreadable, a
 * directory: EISDIR, larger than the limit: EFBIG), EVTLS_ERR_NOMEM; input then needs no clean-up.
 */
int evtls_input_read_file(struct evtls_input *input, const char *path, struct evtls_error *err);

/* Over len bytes, borrowed; name says in messages what they are. */
void evtls_input_from_data(struct evtls_input *input, const char *name, const void *bytes,
                           size_t len);

void evtls_input_cleanup(struct evtls_input *input);

#endif
