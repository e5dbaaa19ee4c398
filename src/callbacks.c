/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "callbacks.h"

int evtls_callbacks_copy(struct evtls_callbacks *dst, const struct evtls_callbacks *cb)
{
    static const struct evtls_callbacks none;

    if (cb == NULL)
        cb = &none;
    for (size_t i = 0; i < sizeof(cb->reserved) / sizeof(cb->reserved[0]); i++) {
        if (cb->reserved[i] != NULL)
            return EVTLS_ERR_USAGE;
    }
    *dst = *cb;
    return EVTLS_OK;
}
