/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * https-get: fetches pages over HTTPS, verifies the server, and tells a whole answer from one that
 * was cut off.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <evtls/evtls.h>

#include "addresses.h"
#include "http_response.h"
#include "https_url.h"
#include "sample_address.h"
#include "sample_util.h"

static const char usage[] =
    "Usage: https-get [OPTION]... URL...\n"
    "Fetches each https URL, until one fails, and writes its body to standard output.\n"
    "  --cafile FILE           trust these CAs in place of the system's\n"
    "  --insecure              accept any certificate\n"
    "  --alpn LIST             protocols to offer, separated by commas; default http/1.1\n"
    "  --tls-min V, --tls-max V   1.2 or 1.3\n"
    "  --cert FILE, --key FILE    our own certificate, for servers that ask for one\n"
    "  --connect-to HOST:PORT  connect there, whatever the URL says; the URL's host is verified\n"
    "  --timeout SECONDS       for each URL, in all; default 30\n"
    "  --verbose               show the handshake and what is called back, on standard error\n"
    "  --help\n"
    "Exit status: 0; 1 other failure; 2 wrong usage; 7 could not connect; 18 the answer was cut\n"
    "off; 28 timeout; 35 TLS failed; 60 the server's certificate was refused;\n"
    "128 and its number after a signal.\n";

#define MAX_TIMEOUT 86400

enum {
    EXIT_CONNECT = 7,
    EXIT_TRUNCATED = 18,
    EXIT_TIMEOUT = 28,
    EXIT_TLS = 35,
    EXIT_CERTIFICATE = 60
};

struct options {
    const char *cafile, *alpn, *tls_min, *tls_max, *cert, *key, *connect_to, *timeout;
    int insecure, verbose;
};

struct fetch {
    struct options options;
    struct event_base *base;
    struct evdns_base *dns;
    struct evtls_context *ctx;
    struct evtls_session *session; /* of the connection before */
    struct sample_signals signals;
    struct sample_endpoint connect_to;
    struct sample_names alpn;
    long timeout_seconds;
    struct addresses addresses;
    struct https_url url;
    struct http_response response;
    struct bufferevent *bev;
    int whole;  /* the answer is complete */
    int done;   /* the first end counts: more callbacks may come in the same turn of the loop */
    int status; /* exit status of the URL at hand */
};

/* ---- The context ------------------------------------------------------------------------ */

static int parse_version(const char *text, enum evtls_tls_version *version)
{
    if (strcmp(text, "1.2") == 0) {
        *version = EVTLS_TLS_1_2;
    } else if (strcmp(text, "1.3") == 0) {
        *version = EVTLS_TLS_1_3;
    } else {
        return -1;
    }
    return 0;
}

static int set_versions(struct evtls_context *ctx, const struct options *options,
                        struct evtls_error *err)
{
    enum evtls_tls_version version;
    int rc = 0;

    if (options->tls_min && parse_version(options->tls_min, &version) == 0) {
        rc = evtls_context_set_min_version(ctx, version, err);
    }
    if (rc == 0 && options->tls_max && parse_version(options->tls_max, &version) == 0) {
        rc = evtls_context_set_max_version(ctx, version, err);
    }
    return rc;
}

static struct evtls_context *make_context(const struct options *options,
                                          const struct sample_names *alpn, struct evtls_error *err)
{
    struct evtls_ca ca = {.file = options->cafile};
    struct evtls_context *ctx = evtls_context_new_default(EVTLS_PURPOSE_SERVER_AUTH, &ca, err);
    int rc;

    if (!ctx) {
        return NULL;
    }
    rc = set_versions(ctx, options, err);
    if (rc == 0 && options->insecure) {
        rc = evtls_context_set_insecure_no_verify(ctx, err);
    }
    if (rc == 0 && options->cert) {
        rc = evtls_context_load_cert_chain(ctx, options->cert, options->key, NULL, err);
    }
    if (rc == 0) {
        rc = evtls_context_set_alpn(ctx, alpn->list, alpn->n);
        evtls_error_init(err);
        snprintf(err->message, sizeof(err->message), "--alpn: the list is too long");
    }
    if (rc == 0 && evtls_context_seal(ctx, err) == 0) {
        return ctx;
    }
    evtls_context_free(ctx);
    return NULL;
}

/* ---- The end of a fetch ----------------------------------------------------------------- */

static void finish(struct fetch *fetch, int status, const char *why)
{
    if (fetch->done) {
        return;
    }
    fetch->done = 1;
    if (why) {
        sample_error("%s: %s", fetch->url.authority, why);
    }
    fetch->status = status;
    event_base_loopbreak(fetch->base);
}

/* NULL: libevent's socket() or connect() failed at once. A reset came from someone who was there.
 */
static int could_not_connect(const struct evtls_error *err)
{
    return !err ||
           (err->status == EVTLS_ERR_IO && err->sys_errno != ECONNRESET && err->sys_errno != EPIPE);
}

static void finish_by_error(struct fetch *fetch, const struct evtls_error *err)
{
    static const struct {
        enum evtls_status status;
        int code;
    } codes[] = {
        {EVTLS_ERR_CERTIFICATE, EXIT_CERTIFICATE},
        {EVTLS_ERR_TIMEOUT, EXIT_TIMEOUT},
        {EVTLS_ERR_TRUNCATED, EXIT_TRUNCATED},
    };
    int connected = evtls_engine_is_handshake_done(evtls_bufferevent_get_engine(fetch->bev));
    int code = could_not_connect(err) ? EXIT_CONNECT : EXIT_TLS;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (err->status == codes[i].status) {
            code = codes[i].code;
        }
    }
    if (connected && (err->status == EVTLS_ERR_TRUNCATED || err->status == EVTLS_ERR_IO)) {
        finish(fetch, EXIT_TRUNCATED, "the answer is truncated: the connection was cut off");
    } else {
        finish(fetch, err->status == EVTLS_ERR_TRUNCATED ? EXIT_TLS : code, err->message);
    }
}

/* The answer is whole, so nothing that follows matters; but we part as TLS asks. */
static void part(struct fetch *fetch)
{
    static const struct timeval linger = {0, 500000};

    fetch->whole = 1;
    if (evtls_bufferevent_shutdown(fetch->bev, &linger) != 0) {
        finish(fetch, EXIT_SUCCESS, NULL);
    }
}

static void look_at_response(struct fetch *fetch)
{
    if (fetch->whole || fetch->done) {
        return;
    }
    if (fetch->response.state == HTTP_COMPLETE) {
        part(fetch);
    } else if (fetch->response.state == HTTP_BAD) {
        finish(fetch, EXIT_FAILURE,
               fetch->response.problem ? fetch->response.problem : "cannot write the output");
    }
}

/* ---- Callbacks -------------------------------------------------------------------------- */

static int write_body(const void *data, size_t len, void *arg)
{
    return fwrite(data, 1, len, stdout) == len ? 0 : -1;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct fetch *fetch = arg;

    http_response_read(&fetch->response, bufferevent_get_input(bev));
    look_at_response(fetch);
}

static int try_next(struct fetch *fetch);

/* Returns 1 when there is another address and its turn has come. */
static int goes_elsewhere(struct fetch *fetch, const struct evtls_error *err)
{
    struct evtls_engine *engine = evtls_bufferevent_get_engine(fetch->bev);

    return !evtls_engine_is_handshake_done(engine) && could_not_connect(err) && try_next(fetch);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct fetch *fetch = arg;
    const struct evtls_error *err = evtls_engine_get_error(evtls_bufferevent_get_engine(bev));

    if (what & BEV_EVENT_CONNECTED) {
        return;
    }
    if (fetch->whole) {
        finish(fetch, EXIT_SUCCESS, NULL);
    } else if (what & BEV_EVENT_EOF) {
        if (http_response_end(&fetch->response)) {
            finish(fetch, EXIT_SUCCESS, NULL);
        } else {
            finish(fetch, EXIT_TRUNCATED, "the answer is truncated: the server ended it early");
        }
    } else if (goes_elsewhere(fetch, err)) {
        return; /* bev is gone */
    } else if (err) {
        finish_by_error(fetch, err);
    } else {
        finish(fetch, EXIT_CONNECT, "could not connect");
    }
}

static void on_time_up(evutil_socket_t fd, short what, void *arg)
{
    struct fetch *fetch = arg;

    if (fetch->whole) { /* only the server's close_notify is still awaited */
        finish(fetch, EXIT_SUCCESS, NULL);
    } else {
        finish(fetch, EXIT_TIMEOUT, "timeout");
    }
}

/* ---- --verbose -------------------------------------------------------------------------- */

static void show_certificate(const struct evtls_certificate *certificate)
{
    if (!certificate) {
        fprintf(stderr, "*   peer: no certificate\n");
        return;
    }
    fprintf(stderr, "*   peer: %s\n", evtls_certificate_get_subject(certificate));
    fprintf(stderr, "*   issuer: %s\n", evtls_certificate_get_issuer(certificate));
    fprintf(stderr, "*   SHA-256: %s\n", evtls_certificate_get_sha256(certificate));
}

static const char *or_none(const char *text)
{
    return text ? text : "none";
}

static void on_handshake(struct bufferevent *bev, void *arg)
{
    const struct evtls_engine *engine = evtls_bufferevent_get_engine(bev);

    fprintf(stderr, "* handshake: %s, %s, group %s, ALPN %s, %s\n",
            or_none(evtls_engine_get_version(engine)), or_none(evtls_engine_get_cipher(engine)),
            or_none(evtls_engine_get_group(engine)), or_none(evtls_engine_get_alpn(engine, NULL)),
            evtls_engine_get_session_reused(engine) ? "resumed" : "not resumed");
    show_certificate(evtls_engine_get_peer_certificate(engine));
    fprintf(stderr, "*   verified: %s\n",
            evtls_engine_get_peer_auth(engine) == EVTLS_PEER_CERTIFICATE_HOST ? "yes" : "no");
}

static void on_alpn(struct bufferevent *bev, const char *protocol, size_t len, void *arg)
{
    fprintf(stderr, "* alpn: %s\n", or_none(protocol));
}

static void on_close_notify(struct bufferevent *bev, void *arg)
{
    fprintf(stderr, "* close_notify\n");
}

static void keep_session(struct bufferevent *bev, struct evtls_session *session, void *arg)
{
    struct fetch *fetch = arg;

    evtls_session_free(fetch->session);
    fetch->session = evtls_session_incref(session);
    if (fetch->options.verbose) {
        fprintf(stderr, "* session\n");
    }
}

/* ---- One URL ---------------------------------------------------------------------------- */

static int start(struct fetch *fetch, struct evtls_error *err)
{
    static const struct evtls_callbacks verbose = {.handshake = on_handshake,
                                                   .alpn = on_alpn,
                                                   .close_notify = on_close_notify,
                                                   .session = keep_session};
    static const struct evtls_callbacks quiet = {.session = keep_session};
    struct evtls_engine *engine;

    fetch->bev = evtls_bufferevent_socket_new(fetch->base, -1, fetch->ctx, EVTLS_CLIENT,
                                              BEV_OPT_CLOSE_ON_FREE, err);
    if (!fetch->bev) {
        return -1;
    }
    engine = evtls_bufferevent_get_engine(fetch->bev);
    if (evtls_engine_set_server_hostname(engine, fetch->url.host, err) != 0) {
        return -1;
    }
    /* A session of another host is refused; the handshake is then a full one. */
    evtls_engine_set_session(engine, fetch->session, NULL);
    evtls_bufferevent_setcb(fetch->bev, fetch->options.verbose ? &verbose : &quiet, fetch);
    bufferevent_setcb(fetch->bev, on_read, NULL, on_event, fetch);
    bufferevent_enable(fetch->bev, EV_READ | EV_WRITE);
    evbuffer_add_printf(bufferevent_get_output(fetch->bev),
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: https-get\r\n"
                        "Accept: */*\r\nConnection: close\r\n\r\n",
                        fetch->url.path, fetch->url.authority);
    return 0;
}

/* Connects to the next address; 0: there is none. What was tried before is freed. */
static int try_next(struct fetch *fetch)
{
    struct evtls_error err;
    int len;
    const struct sockaddr *address = addresses_next(&fetch->addresses, &len);
    char text[SAMPLE_ADDRESS_SIZE];

    if (!address) {
        return 0;
    }
    if (fetch->options.verbose) {
        fprintf(stderr, "* connecting to %s\n", sample_format_address(text, address));
    }
    if (fetch->bev) {
        bufferevent_free(fetch->bev);
        fetch->bev = NULL;
    }
    if (start(fetch, &err) != 0) {
        finish(fetch, EXIT_FAILURE, err.message);
    } else {
        bufferevent_socket_connect(fetch->bev, address, len); /* on_event hears of a failure */
    }
    return 1;
}

static void on_addresses(int error, void *arg)
{
    struct fetch *fetch = arg;

    if (error || !try_next(fetch)) {
        finish(fetch, EXIT_CONNECT, error ? evutil_gai_strerror(error) : "no address");
    }
}

static void find_addresses(evutil_socket_t fd, short what, void *arg)
{
    struct fetch *fetch = arg;
    const char *host = fetch->options.connect_to ? fetch->connect_to.host : fetch->url.host;
    int port = fetch->options.connect_to ? fetch->connect_to.port : fetch->url.port;

    addresses_find(&fetch->addresses, fetch->dns, host, port, on_addresses, fetch);
}

static int fetch_url(struct fetch *fetch, const char *text)
{
    const struct timeval limit = {fetch->timeout_seconds, 0}, at_once = {0, 0};
    struct event *time_up;

    if (https_url_parse(&fetch->url, text) != 0) {
        return sample_usage_error("not an https URL: %s", text);
    }
    time_up = evtimer_new(fetch->base, on_time_up, fetch);
    http_response_init(&fetch->response, write_body, fetch);
    fetch->whole = 0;
    fetch->done = 0;
    fetch->status = EXIT_FAILURE;
    event_add(time_up, &limit);
    /* From the loop, so that whatever happens at once can end it. */
    event_base_once(fetch->base, -1, EV_TIMEOUT, find_addresses, fetch, &at_once);
    event_base_dispatch(fetch->base);
    if (fetch->signals.received) {
        fetch->status = 128 + fetch->signals.received;
    }
    addresses_cancel(&fetch->addresses, fetch->base);
    if (fetch->bev) {
        bufferevent_free(fetch->bev);
    }
    fetch->bev = NULL;
    event_free(time_up);
    if (fflush(stdout) != 0 && fetch->status == EXIT_SUCCESS) {
        sample_error("cannot write the output");
        fetch->status = EXIT_FAILURE;
    }
    return fetch->status;
}

/* ---- The program ------------------------------------------------------------------------ */

static int check_options(struct fetch *fetch)
{
    const struct options *options = &fetch->options;
    enum evtls_tls_version version;

    if ((options->tls_min && parse_version(options->tls_min, &version) != 0) ||
        (options->tls_max && parse_version(options->tls_max, &version) != 0)) {
        return sample_usage_error("a TLS version is 1.2 or 1.3");
    }
    if (sample_parse_number(&fetch->timeout_seconds, options->timeout, 1, MAX_TIMEOUT) != 0) {
        return sample_usage_error("--timeout needs a number of seconds from 1 to %d", MAX_TIMEOUT);
    }
    if (options->key && !options->cert) {
        return sample_usage_error("--key needs --cert");
    }
    if (options->connect_to &&
        sample_parse_endpoint(&fetch->connect_to, options->connect_to) != 0) {
        return sample_usage_error("--connect-to needs HOST:PORT");
    }
    if (sample_names_init(&fetch->alpn, options->alpn) != 0) {
        return sample_usage_error("--alpn needs names of 1 to 255 bytes, separated by commas");
    }
    return SAMPLE_GO_ON;
}

static int parse(struct fetch *fetch, int argc, char **argv, int *first)
{
    struct options *options = &fetch->options;
    const struct sample_option table[] = {
        {.name = "cafile", .value = &options->cafile},
        {.name = "insecure", .flag = &options->insecure},
        {.name = "alpn", .value = &options->alpn},
        {.name = "tls-min", .value = &options->tls_min},
        {.name = "tls-max", .value = &options->tls_max},
        {.name = "cert", .value = &options->cert},
        {.name = "key", .value = &options->key},
        {.name = "connect-to", .value = &options->connect_to},
        {.name = "timeout", .value = &options->timeout},
        {.name = "verbose", .flag = &options->verbose},
        {.name = NULL},
    };
    int status;

    options->alpn = "http/1.1";
    options->timeout = "30";
    status = sample_parse_options(argc, argv, table, usage, first);
    if (status == SAMPLE_GO_ON && *first == argc) {
        status = sample_usage_error("a URL is needed");
    }
    return status == SAMPLE_GO_ON ? check_options(fetch) : status;
}

static int set_up(struct fetch *fetch)
{
    struct evtls_error err;

    fetch->ctx = make_context(&fetch->options, &fetch->alpn, &err);
    if (!fetch->ctx) {
        sample_error("%s", err.message);
        return -1;
    }
    fetch->base = event_base_new();
    if (!fetch->base || sample_signals_init(&fetch->signals, fetch->base) != 0) {
        sample_error("out of memory");
        return -1;
    }
    /* Without one (no /etc/resolv.conf) libevent asks the system's resolver, and waits for it. */
    fetch->dns = evdns_base_new(fetch->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    return 0;
}

static void clean_up(struct fetch *fetch)
{
    sample_names_cleanup(&fetch->alpn);
    evtls_session_free(fetch->session);
    if (fetch->dns) {
        evdns_base_free(fetch->dns, 0);
    }
    sample_signals_cleanup(&fetch->signals);
    evtls_context_free(fetch->ctx);
    if (fetch->base) {
        event_base_free(fetch->base);
    }
}

int main(int argc, char **argv)
{
    struct fetch fetch;
    int first, status;

    sample_init(argv[0]);
    memset(&fetch, 0, sizeof(fetch));
    status = parse(&fetch, argc, argv, &first);
    if (status != SAMPLE_GO_ON) {
        return status;
    }
    status = set_up(&fetch) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    for (int i = first; i < argc && status == EXIT_SUCCESS; i++) {
        status = fetch_url(&fetch, argv[i]);
    }
    clean_up(&fetch);
    return status;
}
