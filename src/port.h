/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an engine gets ciphertext and gives it away: two spans. The port never fails and never
 * blocks; what happens to the transport behind it is the transport's affair.
 */
#ifndef EVTLS_SRC_PORT_H
#define EVTLS_SRC_PORT_H

#include <stddef.h>

struct evtls_port_ops {
    /* The next contiguous input: sets *span and returns its length, 0 when there is none now. */
    size_t (*peek_input)(void *arg, const unsigned char **span);
    /* Drops len bytes from the front of the input; at most what peek_input returned. */
    void (*drain_input)(void *arg, size_t len);
    /* Takes all of len bytes of output, whatever the limits: 0, or -1 when memory is exhausted. */
    int (*add_output)(void *arg, const unsigned char *data, size_t len);
    /* How many bytes of output the transport still holds. */
    size_t (*get_output_length)(void *arg);
};

struct evtls_port {
    const struct evtls_port_ops *ops;
    void *arg;
};

#endif
