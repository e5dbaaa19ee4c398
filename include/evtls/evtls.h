/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/evtls.h - everything but evtls/openssl.h.
 *
 *     application
 *         |   bufferevent_write, bufferevent_read, evhttp ...
 *         v
 *     struct bufferevent      evtls made it, libevent's calls work on it   (evtls/bufferevent.h)
 *         |
 *         v
 *     struct evtls_engine     one TLS connection without I/O               (evtls/engine.h)
 *         |
 *         v
 *     struct evtls_context    what connections share                       (evtls/context.h)
 */
#ifndef EVTLS_EVTLS_H
#define EVTLS_EVTLS_H

#include <evtls/bufferevent.h>
#include <evtls/certificate.h>
#include <evtls/connect.h>
#include <evtls/context.h>
#include <evtls/engine.h>
#include <evtls/error.h>
#include <evtls/evhttp.h>
#include <evtls/session.h>
#include <evtls/version.h>

#endif
