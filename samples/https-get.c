/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * https-get: fetches pages over HTTPS, verifies the server, and tells a whole answer from one that
 * was cut off. The connection is in https_client.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <evtls/evtls.h>

#include "https_client.h"
#include "https_url.h"
#include "sample_address.h"
#include "sample_util.h"

static const char usage[] =
    "Usage: https-get [OPTION]... URL...\n"
    "Fetches https URLs, one after the other, and writes their bodies to standard output. URLs in "
    "a\n"
    "row of the same host and port share a connection while the server keeps it open; a later\n"
    "connection to a host resumes the session of the one before. A bar on standard error shows "
    "the\n"
    "progress of a long body, where that is a terminal and standard output is none.\n"
    "  --cafile FILE           trust these CAs in place of the system's\n"
    "  --insecure              accept any certificate\n"
    "  --alpn LIST             protocols to offer, separated by commas; default http/1.1\n"
    "  --tls-min V, --tls-max V   1.2 or 1.3\n"
    "  --cert FILE, --key FILE    our own certificate, for servers that ask for one\n"
    "  --connect-to HOST:PORT  connect there, whatever the URL says; the URL's host is verified\n"
    "  --timeout SECONDS       for each URL, in all; default 30\n"
    "  --verbose               show the handshake and what is called back, on standard error, in\n"
    "                          place of the bar\n"
    "  --help\n"
    "Exit status: 0; 1 other failure; 2 wrong usage; 7 could not connect; 18 the answer was cut\n"
    "off; 28 timeout; 35 TLS failed; 60 the server's certificate was refused;\n"
    "128 and its number after a signal. With several URLs the others are fetched all the same, "
    "and\n"
    "it is the status of the first that failed. The message says which one.\n";

#define MAX_TIMEOUT 86400

struct options {
    const char *cafile, *alpn, *tls_min, *tls_max, *cert, *key, *connect_to, *timeout;
    int insecure;
};

struct program {
    struct options options;
    struct https_client client;
    struct https_url *urls;
    int n_urls;
    struct sample_signals signals;
    struct sample_endpoint connect_to;
    struct sample_names alpn;
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

/* ---- The command line ------------------------------------------------------------------- */

static int check_options(struct program *program)
{
    const struct options *options = &program->options;
    enum evtls_tls_version version;

    if ((options->tls_min && parse_version(options->tls_min, &version) != 0) ||
        (options->tls_max && parse_version(options->tls_max, &version) != 0)) {
        return sample_usage_error("a TLS version is 1.2 or 1.3");
    }
    if (sample_parse_number(&program->client.timeout_seconds, options->timeout, 1, MAX_TIMEOUT) !=
        0) {
        return sample_usage_error("--timeout needs a number of seconds from 1 to %d", MAX_TIMEOUT);
    }
    if (options->key && !options->cert) {
        return sample_usage_error("--key needs --cert");
    }
    if (options->connect_to &&
        sample_parse_endpoint(&program->connect_to, options->connect_to) != 0) {
        return sample_usage_error("--connect-to needs HOST:PORT");
    }
    if (sample_names_init(&program->alpn, options->alpn) != 0) {
        return sample_usage_error("--alpn needs names of 1 to 255 bytes, separated by commas");
    }
    return SAMPLE_GO_ON;
}

static int parse_urls(struct program *program, int n, char **texts)
{
    program->n_urls = n;
    program->urls = calloc((size_t)n, sizeof(*program->urls));
    for (int i = 0; program->urls && i < n; i++) {
        if (https_url_parse(&program->urls[i], texts[i]) != 0) {
            return sample_usage_error("not an https URL: %s", texts[i]);
        }
    }
    return program->urls ? SAMPLE_GO_ON : EXIT_FAILURE;
}

static int parse(struct program *program, int argc, char **argv)
{
    struct options *options = &program->options;
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
        {.name = "verbose", .flag = &program->client.verbose},
        {.name = NULL},
    };
    int first, status;

    options->alpn = "http/1.1";
    options->timeout = "30";
    status = sample_parse_options(argc, argv, table, usage, &first);
    if (status == SAMPLE_GO_ON && first == argc) {
        status = sample_usage_error("a URL is needed");
    }
    if (status == SAMPLE_GO_ON) {
        status = check_options(program);
    }
    return status == SAMPLE_GO_ON ? parse_urls(program, argc - first, argv + first) : status;
}

/* ---- The program ------------------------------------------------------------------------ */

static int write_body(const void *data, size_t len)
{
    return fwrite(data, 1, len, stdout) == len ? 0 : -1;
}

static int set_up(struct program *program)
{
    struct https_client *client = &program->client;
    struct evtls_error err;

    client->ctx = make_context(&program->options, &program->alpn, &err);
    if (!client->ctx) {
        sample_error("%s", err.message);
        return -1;
    }
    client->base = event_base_new();
    if (!client->base || sample_signals_init(&program->signals, client->base) != 0) {
        sample_error("out of memory");
        return -1;
    }
    client->dns = evdns_base_new(client->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                   EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    client->connect_to = program->options.connect_to ? &program->connect_to : NULL;
    client->write_body = write_body;
    /* The body itself goes to a terminal, perhaps the same one: a bar would be in the way. */
    client->terminal = client->verbose || isatty(STDOUT_FILENO) ? -1 : STDERR_FILENO;
    return 0;
}

static int fetch_all(struct program *program)
{
    int result = EXIT_SUCCESS;

    for (int i = 0; i < program->n_urls; i++) {
        const struct https_url *next = i + 1 < program->n_urls ? &program->urls[i + 1] : NULL;
        int status = https_client_get(&program->client, &program->urls[i], next);

        if (program->signals.received) {
            return 128 + program->signals.received;
        }
        if (fflush(stdout) != 0 && status == EXIT_SUCCESS) {
            sample_error("cannot write the output");
            status = EXIT_FAILURE;
        }
        if (ferror(stdout)) {
            return result ? result : status;
        }
        result = result ? result : status;
    }
    return result;
}

static void clean_up(struct program *program)
{
    struct https_client *client = &program->client;

    https_client_cleanup(client);
    if (client->dns) {
        evdns_base_free(client->dns, 0);
    }
    sample_signals_cleanup(&program->signals);
    evtls_context_free(client->ctx);
    if (client->base) {
        event_base_free(client->base);
    }
    sample_names_cleanup(&program->alpn);
    free(program->urls);
}

int main(int argc, char **argv)
{
    struct program program;
    int status;

    sample_init(argv[0]);
    memset(&program, 0, sizeof(program));
    status = parse(&program, argc, argv);
    if (status == SAMPLE_GO_ON) {
        status = set_up(&program) == 0 ? fetch_all(&program) : EXIT_FAILURE;
    }
    clean_up(&program);
    return status;
}
