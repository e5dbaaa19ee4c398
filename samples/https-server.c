/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * https-server: serves the files of a folder over HTTPS, with libevent's evhttp. Several host
 * names, each with its certificate; client certificates; a reload without dropped connections.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>
#include <evtls/evtls.h>

#include "http_files.h"
#include "sample_server.h"
#include "sample_util.h"
#include "static_files.h"
#include "vhosts.h"

static const char usage[] =
    "Usage: https-server [OPTION]... [DIR]\n"
    "Serves the files of DIR (else of the current folder) over HTTPS.\n"
    "  --listen ADDR:PORT    default 127.0.0.1:8443; port 0: a free one; :PORT: all addresses\n"
    "  --cert FILE           certificate chain in PEM; without it one for localhost is made in "
    "memory\n"
    "  --key FILE            its private key, where that is not in the same file\n"
    "  --sni NAME=CERT[:KEY[:CLIENT-CA]]   a certificate for one host name; may be repeated\n"
    "  --dir NAME=DIR        a folder of its own for a host of --sni; may be repeated\n"
    "  --client-ca FILE      clients must show a certificate of these CAs\n"
    "  --alpn LIST           protocols to agree on, separated by commas; default http/1.1\n"
    "  --write-cert FILE     store the certificate, without its key, so that a client can trust "
    "it\n"
    "  --help\n"
    "Signals: HUP reads certificates, keys and client CAs again (all or nothing), USR1 shows the\n"
    "connections, INT and TERM end the server.\n"
    "Exit status: 0 after a signal, 1 failure, 2 wrong usage.\n";

struct server {
    struct event_base *base;
    struct evhttp *http;
    struct evtls_context *ctx;
    struct vhosts vhosts;
    struct sample_signals signals;
    struct event *reload;
    struct event *dump;
    const char *listen;
    const char *alpn;
    const char *write_cert;
    struct sample_endpoint listen_at;
};

static int add_host(const char *text, void *arg)
{
    if (vhosts_add(arg, text) == 0)
        return SAMPLE_GO_ON;
    return sample_usage_error("--sni needs NAME=CERT[:KEY[:CLIENT-CA]]");
}

static int set_dir(const char *text, void *arg)
{
    if (vhosts_set_dir(arg, text) == 0)
        return SAMPLE_GO_ON;
    return sample_usage_error("--dir needs NAME=DIR, after the --sni of that name");
}

static int check_options(struct server *server, const char *cert, const char *key)
{
    struct vhost *first = &server->vhosts.hosts[0];

    if (key != NULL && cert == NULL)
        return sample_usage_error("--key needs --cert");
    if (sample_names_init(&server->vhosts.alpn, server->alpn) < 0)
        return sample_usage_error("--alpn needs names of 1 to 255 bytes, separated by commas");
    if (sample_parse_endpoint(&server->listen_at, server->listen) < 0)
        return sample_usage_error("--listen needs ADDR:PORT or :PORT");
    first->cert = cert ? strdup(cert) : NULL;
    first->key = key ? strdup(key) : NULL;
    return SAMPLE_GO_ON;
}

static int parse(struct server *server, int argc, char **argv)
{
    const char *cert = NULL, *key = NULL;
    const struct sample_option options[] = {
        {.name = "listen", .value = &server->listen},
        {.name = "cert", .value = &cert},
        {.name = "key", .value = &key},
        {.name = "sni", .add = add_host, .arg = &server->vhosts},
        {.name = "dir", .add = set_dir, .arg = &server->vhosts},
        {.name = "client-ca", .value = &server->vhosts.client_ca},
        {.name = "alpn", .value = &server->alpn},
        {.name = "write-cert", .value = &server->write_cert},
        {.name = NULL},
    };
    int operand, status = sample_parse_options(argc, argv, options, usage, &operand);

    if (status != SAMPLE_GO_ON)
        return status;
    if (argc - operand > 1)
        return sample_usage_error("too many arguments");
    server->vhosts.hosts[0].dir = strdup(operand < argc ? argv[operand] : ".");
    return check_options(server, cert, key);
}

static int open_folders(struct vhosts *vhosts)
{
    for (size_t i = 0; i < vhosts->n; i++) {
        struct vhost *host = &vhosts->hosts[i];

        if (host->dir == NULL)
            continue;
        host->root = static_files_open_root(host->dir);
        if (host->root < 0) {
            sample_error("%s: %s", host->dir, strerror(errno));
            return -1;
        }
    }
    return 0;
}

/* ---- Connections ------------------------------------------------------------------------ */

/* Who is at the other end, noted while that can be asked: who failed may be gone by then. */
struct peer {
    struct event *note;
    char name[SAMPLE_ADDRESS_SIZE];
};

static void free_peer(void *arg)
{
    struct peer *peer = arg;

    event_free(peer->note);
    free(peer);
}

static void note_peer(evutil_socket_t fd, short what, void *bev)
{
    struct peer *peer = evtls_engine_get_user_data(evtls_bufferevent_get_engine(bev));

    sample_format_peer(peer->name, bufferevent_getfd(bev));
}

/* evhttp gives the bufferevent its descriptor as soon as it has it. */
static void note_peer_soon(struct event_base *base, struct bufferevent *bev)
{
    struct evtls_engine *engine = evtls_bufferevent_get_engine(bev);
    struct peer *peer = engine != NULL ? calloc(1, sizeof(*peer)) : NULL;

    if (peer == NULL)
        return;
    strcpy(peer->name, "-");
    peer->note = event_new(base, -1, 0, note_peer, bev);
    if (peer->note == NULL) {
        free(peer);
        return;
    }
    event_active(peer->note, EV_TIMEOUT, 0);
    evtls_engine_set_user_data(engine, peer, free_peer);
}

/* A client that goes away without close_notify after a reply is no news; the rest is. */
static void log_failure(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    struct evtls_engine *engine = evtls_bufferevent_get_engine(bev);
    const struct peer *peer = evtls_engine_get_user_data(engine);

    if (evtls_engine_is_handshake_done(engine) &&
        (err->status == EVTLS_ERR_TRUNCATED || err->status == EVTLS_ERR_IO))
        return;
    sample_log(STDERR_FILENO, "%s: %s", peer ? peer->name : "-", err->message);
}

/* What evhttp_set_bevcb gets: evtls_evhttp_bevcb, and a line for each connection that fails. */
static struct bufferevent *make_connection(struct event_base *base, void *ctx)
{
    static const struct evtls_callbacks callbacks = {.error = log_failure};
    struct bufferevent *bev = evtls_evhttp_bevcb(base, ctx);

    if (bev != NULL) {
        evtls_bufferevent_setcb(bev, &callbacks, NULL);
        note_peer_soon(base, bev);
    }
    return bev;
}

/* New connections use the new context, the others keep theirs: it is counted. */
static void use_context(struct server *server, struct evtls_context *ctx)
{
    evhttp_set_bevcb(server->http, make_connection, ctx);
    evtls_context_free(server->ctx);
    server->ctx = ctx;
}

static void on_reload(evutil_socket_t number, short what, void *arg)
{
    struct server *server = arg;
    struct evtls_error err;
    struct evtls_context *ctx = vhosts_load(&server->vhosts, &err);

    if (ctx == NULL) {
        sample_log(STDERR_FILENO, "reload failed, the old certificates stay in use: %s",
                   err.message);
        return;
    }
    use_context(server, ctx);
    sample_log(STDERR_FILENO, "certificates read again");
}

static void on_dump(evutil_socket_t number, short what, void *arg)
{
    struct server *server = arg;

    evtls_event_base_dump(server->base, stderr);
}

/* ---- Start and end ---------------------------------------------------------------------- */

static int start_loop(struct server *server)
{
    server->base = event_base_new();
    if (server->base == NULL || sample_signals_init(&server->signals, server->base) < 0)
        return -1;
    server->http = evhttp_new(server->base);
    server->reload = evsignal_new(server->base, SIGHUP, on_reload, server);
    server->dump = evsignal_new(server->base, SIGUSR1, on_dump, server);
    if (server->http == NULL || server->reload == NULL || server->dump == NULL ||
        evsignal_add(server->reload, NULL) < 0 || evsignal_add(server->dump, NULL) < 0)
        return -1;
    evhttp_set_allowed_methods(server->http, HTTP_FILES_METHODS);
    evhttp_set_max_headers_size(server->http, 32 * 1024);
    evhttp_set_max_body_size(server->http, 64 * 1024);
    evhttp_set_timeout(server->http, 60);
    evhttp_set_gencb(server->http, http_files_serve, &server->vhosts);
    return 0;
}

static int start_listening(struct server *server)
{
    const struct sample_endpoint *endpoint = &server->listen_at;
    const char *host = endpoint->host[0] ? endpoint->host : NULL;
    const char *shown = host ? host : "::";
    int brackets = strchr(shown, ':') != NULL;
    struct evtls_error err;

    if (evtls_evhttp_bind(server->http, server->ctx, host, endpoint->port, &err) < 0) {
        sample_error("%s", err.message);
        return -1;
    }
    evhttp_set_bevcb(server->http, make_connection, server->ctx);
    printf("listening on https://%s%s%s:%d/\n", brackets ? "[" : "", shown, brackets ? "]" : "",
           evtls_evhttp_get_port(server->http));
    printf("certificate SHA-256 %s\n",
           evtls_certificate_get_sha256(evtls_context_get_certificate(server->ctx)));
    fflush(stdout);
    return 0;
}

static int run(struct server *server)
{
    struct evtls_error err;

    if (start_loop(server) < 0) {
        sample_error("out of memory");
        return EXIT_FAILURE;
    }
    if (open_folders(&server->vhosts) < 0)
        return EXIT_FAILURE;
    server->ctx = vhosts_load(&server->vhosts, &err);
    if (server->ctx == NULL) {
        sample_error("%s", err.message);
        return EXIT_FAILURE;
    }
    if (sample_write_certificate(server->ctx, server->write_cert) < 0 ||
        start_listening(server) < 0)
        return EXIT_FAILURE;
    return event_base_dispatch(server->base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void cleanup(struct server *server)
{
    if (server->http)
        evhttp_free(server->http);
    if (server->reload)
        event_free(server->reload);
    if (server->dump)
        event_free(server->dump);
    sample_signals_cleanup(&server->signals);
    evtls_context_free(server->ctx);
    vhosts_cleanup(&server->vhosts);
    sample_names_cleanup(&server->vhosts.alpn);
    if (server->base)
        event_base_free(server->base);
}

int main(int argc, char **argv)
{
    struct server server;
    int status;

    sample_init(argv[0]);
    memset(&server, 0, sizeof(server));
    vhosts_init(&server.vhosts);
    server.listen = "127.0.0.1:8443";
    server.alpn = "http/1.1";
    status = parse(&server, argc, argv);
    if (status == SAMPLE_GO_ON)
        status = run(&server);
    cleanup(&server);
    return status;
}
