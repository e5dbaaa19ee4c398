/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's SNI callback, and the ClientHello that it is asked about.
 *
 * A hook is the callback with its argument, reference counted: a context may get another while
 * handshakes still use it, and copies of a context share it. The argument's destructor runs with
 * the last reference.
 */
#ifndef EVTLS_SRC_SNI_H
#define EVTLS_SRC_SNI_H

#include <openssl/ssl.h>

#include "context.h"

/* NULL when memory is exhausted; free_arg is not called then. */
struct evtls_sni_hook *evtls_sni_hook_new(evtls_sni_cb cb, void *arg, void (*free_arg)(void *));
struct evtls_sni_hook *evtls_sni_hook_incref(struct evtls_sni_hook *hook);

/* For SSL_CTX_set_client_hello_cb and SSL_CTX_set_tlsext_servername_callback. */
int evtls_sni_on_client_hello(SSL *ssl, int *alert, void *arg);
int evtls_sni_on_server_name(SSL *ssl, int *alert, void *arg);

#endif
