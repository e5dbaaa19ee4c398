/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The OpenSSL object behind an engine (evtls/openssl.h); a context's is in context_ssl.c.
 */
#include "config.h"

#include <evtls/openssl.h>

#include "engine_internal.h"

SSL *evtls_engine_get_ssl(const struct evtls_engine *engine)
{
    return engine != NULL ? engine->ssl : NULL;
}
