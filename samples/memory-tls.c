/* SPDX-License-Identifier: BSD-3-Clause */
/* memory-tls: both sides of a TLS connection in one process, without a socket or a loop. */
#include <stdio.h>
#include <string.h>
#include <event2/buffer.h>
#include <evtls/evtls.h>
#include "sample_util.h"

static const char usage[] =
    "Usage: memory-tls [--name NAME] [TEXT]\n"
    "Runs a TLS client and server on two buffers in memory: TEXT (\"hello\") goes there and back.\n"
    "  --name NAME  what the client wants to find in the certificate, which is for localhost\n"
    "Exit status: 0; 1 TLS failed; 2 wrong usage.\n";

static struct evtls_engine *client, *server;
static struct evtls_error err;
static char line[16384]; /* the most that one record holds, and one read gives */

static void count(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *total)
{
    *(size_t *)total += info->n_added;
}

static int make_engines(const char *name, struct evbuffer *to_server, struct evbuffer *to_client)
{
    struct evtls_context *ours = evtls_context_new_default(EVTLS_PURPOSE_CLIENT_AUTH, NULL, &err);
    struct evtls_context *theirs = NULL;
    struct evtls_ca ca = {NULL};

    if (ours && evtls_context_use_self_signed(ours, &(const char *){"localhost"}, 1, &err) == 0) {
        ca.data = evtls_certificate_get_pem(evtls_context_get_certificate(ours), &ca.data_len);
        theirs = evtls_context_new_default(EVTLS_PURPOSE_SERVER_AUTH, &ca, &err);
    }
    if (theirs != NULL) { /* each takes from one buffer what the other one put there */
        server = evtls_engine_new(ours, EVTLS_SERVER, to_server, to_client, &err);
        client = evtls_engine_new(theirs, EVTLS_CLIENT, to_client, to_server, &err);
    }
    evtls_context_free(ours); /* the engines have references of their own */
    evtls_context_free(theirs);
    return client && server ? evtls_engine_set_server_hostname(client, name, &err) : -1;
}

static int say(struct evtls_engine *from, struct evtls_engine *to, const char *text)
{
    ev_ssize_t n = evtls_engine_write(from, text, strlen(text));

    if (n < 0 || (n = evtls_engine_read(to, line, sizeof(line))) < 0)
        return -1;
    return printf("%s: %.*s\n", from == client ? "client" : "server", (int)n, line) < 0;
}

static int converse(const char *text)
{
    int rc, other;

    do { /* one that fails leaves an alert for the other, which is why that gets its turn */
        rc = evtls_engine_handshake(client);
        other = evtls_engine_handshake(server);
    } while (rc == EVTLS_ERR_WANT_READ || (rc == 0 && other == EVTLS_ERR_WANT_READ));
    if (rc != 0 || other != 0)
        return -1;
    printf("agreed: %s, %s\n", evtls_engine_get_version(client), evtls_engine_get_cipher(client));
    if (say(client, server, text) != 0 || say(server, client, text) != 0)
        return -1;
    if (evtls_engine_shutdown(client) != EVTLS_ERR_WANT_READ || /* not all is read */
        evtls_engine_read(server, line, 1) != EVTLS_ERR_CLOSED ||
        evtls_engine_shutdown(server) != 0 || evtls_engine_shutdown(client) != 0)
        return -1;
    return printf("close_notify: both ways\n") < 0;
}

int main(int argc, char **argv)
{
    const char *name = "localhost", *text;
    const struct sample_option options[] = {{.name = "name", .value = &name}, {.name = NULL}};
    struct evbuffer *to_server = evbuffer_new(), *to_client = evbuffer_new();
    size_t sent = 0, received = 0;
    int first, status;

    sample_init(argv[0]);
    status = sample_parse_options(argc, argv, options, usage, &first);
    text = status == SAMPLE_GO_ON && first < argc ? argv[first] : "hello";
    if (status == SAMPLE_GO_ON && (argc - first > 1 || !*text || strlen(text) > sizeof(line)))
        status = sample_usage_error("one TEXT, of 1 to %zu bytes", sizeof(line));
    if (status == SAMPLE_GO_ON) {
        evbuffer_add_cb(to_server, count, &sent);
        evbuffer_add_cb(to_client, count, &received);
        status = make_engines(name, to_server, to_client) || converse(text);
        const struct evtls_error *failed = evtls_engine_get_error(client);
        if (status != 0)
            sample_error("%s", failed ? failed->message : *err.message ? err.message : "no output");
        printf("ciphertext: %zu bytes to the server, %zu to the client\n", sent, received);
    }
    evtls_engine_free(client);
    evtls_engine_free(server);
    evbuffer_free(to_server);
    evbuffer_free(to_client);
    return status;
}
