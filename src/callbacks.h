/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What connections call back: set on a context, copied to each connection made on it, replaced
 * there by evtls_bufferevent_setcb. Knows neither OpenSSL nor the event loop, since both sides use
 * it; and so has the one number that both need.
 */
#ifndef EVTLS_SRC_CALLBACKS_H
#define EVTLS_SRC_CALLBACKS_H

#include <evtls/context.h>

/* Where a context sets no other, and where there is no context yet. */
#define EVTLS_HANDSHAKE_TIMEOUT_S 30

/* Copies cb (NULL: none) to dst: 0, or EVTLS_ERR_USAGE where a reserved member is set. */
int evtls_callbacks_copy(struct evtls_callbacks *dst, const struct evtls_callbacks *cb);

/* Those of a sealed context, with their argument. Borrowed; they don't change any more. */
const struct evtls_callbacks *evtls_context_get_callbacks(const struct evtls_context *ctx,
                                                          void **arg);

#endif
