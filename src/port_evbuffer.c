/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <event2/buffer.h>

#include "port_evbuffer.h"

static size_t peek_input(void *arg, const unsigned char **span)
{
    const struct evtls_port_evbuffer *port = arg;
    struct evbuffer_iovec vec[4];
    int n = evbuffer_peek(port->in, 1, NULL, vec, 4);

    /* A chain without data may stand before the first that has some. */
    for (int i = 0; i < n && i < 4; i++) {
        if (vec[i].iov_len > 0) {
            *span = vec[i].iov_base;
            return vec[i].iov_len;
        }
    }
    return 0;
}

static void drain_input(void *arg, size_t len)
{
    const struct evtls_port_evbuffer *port = arg;

    evbuffer_drain(port->in, len);
}

static int add_output(void *arg, const unsigned char *data, size_t len)
{
    const struct evtls_port_evbuffer *port = arg;

    return evbuffer_add(port->out, data, len);
}

static size_t get_output_length(void *arg)
{
    const struct evtls_port_evbuffer *port = arg;

    return evbuffer_get_length(port->out);
}

const struct evtls_port_ops evtls_port_evbuffer_ops = {
    .peek_input = peek_input,
    .drain_input = drain_input,
    .add_output = add_output,
    .get_output_length = get_output_length,
};
