/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "engine_ssl.h"
#include "hostname.h"
#include "sni.h"

/* ---- The hook --------------------------------------------------------------------------- */

struct evtls_sni_hook {
    atomic_uint refs;
    evtls_sni_cb cb;
    void *arg;
    void (*free_arg)(void *);
};

struct evtls_sni_hook *evtls_sni_hook_new(evtls_sni_cb cb, void *arg, void (*free_arg)(void *))
{
    struct evtls_sni_hook *hook = calloc(1, sizeof(*hook));

    if (hook == NULL)
        return NULL;
    hook->refs = 1;
    hook->cb = cb;
    hook->arg = arg;
    hook->free_arg = free_arg;
    return hook;
}

struct evtls_sni_hook *evtls_sni_hook_incref(struct evtls_sni_hook *hook)
{
    if (hook != NULL)
        hook->refs++;
    return hook;
}

void evtls_context_put_sni(struct evtls_sni_hook *hook)
{
    if (hook == NULL || --hook->refs > 0)
        return;
    if (hook->free_arg != NULL)
        hook->free_arg(hook->arg);
    free(hook);
}

/* ---- The name on the wire --------------------------------------------------------------- */

/*
 * The one host_name of a server_name extension (RFC 6066, section 3): its bytes, or false where
 * the extension is malformed or has another number of names.
 */
static bool parse_extension(const unsigned char *ext, size_t len, const unsigned char **name,
                            size_t *name_len)
{
    const size_t header = 5; /* length of the list, type and length of the name */

    if (len < header || (size_t)(ext[0] << 8 | ext[1]) != len - 2 ||
        ext[2] != TLSEXT_NAMETYPE_host_name || (size_t)(ext[3] << 8 | ext[4]) != len - header)
        return false;
    *name = ext + header;
    *name_len = len - header;
    return true;
}

/* As evtls_hostname_from_wire: 1, 0 for none, or the negative of an alert. */
static int get_name(SSL *ssl, char out[256])
{
    const unsigned char *ext, *name;
    size_t len, name_len;
    int rc;

    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len))
        return 0;
    if (!parse_extension(ext, len, &name, &name_len))
        return -EVTLS_ALERT_DECODE_ERROR;
    rc = evtls_hostname_from_wire(out, name, name_len);
    return rc < 0 ? -EVTLS_ALERT_UNRECOGNIZED_NAME : rc;
}

/* ---- The decision ----------------------------------------------------------------------- */

static int refuse(struct evtls_engine *engine, int *alert, int with, const char *why)
{
    struct evtls_error err;

    evtls_error_set(&err, EVTLS_ERR_PROTOCOL, "%s", why);
    err.alert = with;
    evtls_engine_note_failure(engine, &err);
    *alert = with;
    return SSL_CLIENT_HELLO_ERROR;
}

/* OpenSSL sends nothing for a number that it does not know, nor for SSL 3.0's no_certificate. */
static bool is_sendable(int alert)
{
    return strcmp(evtls_alert_name(alert), evtls_alert_name(-1)) != 0 &&
           alert != EVTLS_ALERT_NO_CERTIFICATE;
}

/* What the program's callback says: 0, or the alert to end with. */
static int alert_of(int answer)
{
    if (answer == 0)
        return 0;
    if (answer < 0)
        return EVTLS_ALERT_HANDSHAKE_FAILURE;
    return is_sendable(answer) ? answer : EVTLS_ALERT_INTERNAL_ERROR;
}

/* Asks the program, which may free the engine: 0, or the alert to end with. */
static int ask(struct evtls_engine *engine, const char *name)
{
    struct evtls_context *initial = evtls_engine_get_initial_context(engine);
    struct evtls_sni_hook *hook = evtls_context_get_sni(initial);
    int alert;

    if (hook == NULL)
        return 0;
    evtls_context_incref(initial); /* the callback may drop the program's last reference */
    alert = alert_of(hook->cb(engine, name, initial, hook->arg));
    evtls_context_free(initial);
    evtls_context_put_sni(hook);
    return alert;
}

/* Notes the name and asks, once a connection: 0, or the alert to end with. */
static int decide(struct evtls_engine *engine, const char *name)
{
    int alert = EVTLS_ALERT_INTERNAL_ERROR;

    if (name == NULL || evtls_engine_note_server_name(engine, name) == 0)
        alert = ask(engine, name);
    if (evtls_engine_end_sni(engine) < 0 && alert == 0)
        alert = EVTLS_ALERT_INTERNAL_ERROR;
    return alert;
}

/* The second ClientHello, after a HelloRetryRequest, must repeat the name (RFC 8446, section
 * 4.1.2): the choice was made for that one. */
static bool is_same_name(const struct evtls_engine *engine, const char *name)
{
    const char *first = evtls_engine_get_server_name(engine);

    return name == NULL || first == NULL ? name == first : strcmp(name, first) == 0;
}

/* Before version, session and certificate are chosen; again after a HelloRetryRequest. */
int evtls_sni_on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct evtls_engine *engine = evtls_engine_from_ssl(ssl);
    struct evtls_error err;
    char buf[256];
    const char *name;
    int rc = get_name(ssl, buf);

    if (rc < 0)
        return refuse(engine, alert, -rc, "the ClientHello has a malformed server name");
    name = rc > 0 ? buf : NULL;
    if (evtls_engine_begin_sni(engine)) {
        int with = decide(engine, name);

        if (with != 0)
            return refuse(engine, alert, with, "the SNI callback ended the handshake");
    } else if (!is_same_name(engine, name)) {
        return refuse(engine, alert, EVTLS_ALERT_ILLEGAL_PARAMETER,
                      "the second ClientHello has another server name");
    }
    if (evtls_context_switch_ssl(evtls_engine_get_context(engine), ssl, &err) < 0) {
        evtls_engine_note_failure(engine, &err);
        *alert = EVTLS_ALERT_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* The choice is made; this only says that the name was of use. */
int evtls_sni_on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct evtls_engine *engine = evtls_engine_from_ssl(ssl);

    return evtls_engine_get_server_name(engine) != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}
