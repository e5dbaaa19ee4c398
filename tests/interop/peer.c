/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "peer.h"

static const char usage[] =
    "Usage: peer client --connect PORT [OPTION]...\n"
    "       peer server [OPTION]...\n"
    "       peer free-port\n"
    "       peer probe --connect PORT\n"
    "A TLS peer on 127.0.0.1 that says what was agreed and how it ended.\n"
    "  --cert FILE, --key FILE   our certificate chain\n"
    "  --ca FILE                 whom to trust; a server then asks for a certificate\n"
    "  --optional                the server goes on without one\n"
    "  --tls 1.2|1.3             that version alone\n"
    "  --alpn NAME               may be repeated\n"
    "  --plain                   without TLS\n"
    "  --host NAME               the client: the name to verify\n"
    "  --send FILE, --save FILE  the client: what goes out, and what came in\n"
    "  --wait-end                the client: read until the server ends, not until all came back\n"
    "  --no-end                  the client: free the connection once all came back\n"
    "  --times N                 the client: N connections, each with the session of the last\n"
    "  --sni NAME=CERT=KEY       the server: another certificate for a name; may be repeated\n"
    "  --http                    the client: a request with what is to be sent as its body;\n"
    "                            the server: it answers with the request's body\n"
    "The server sends back what it gets; after a first line \"cut\" it ends without "
    "close_notify.\n";

void peer_die(const char *what, const struct evtls_error *err)
{
    fprintf(stderr, "peer: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
    exit(3);
}

static const char *or_none(const char *text)
{
    return text != NULL && *text ? text : "-";
}

void peer_say_connected(struct bufferevent *bev)
{
    const struct evtls_engine *engine = evtls_bufferevent_get_engine(bev);
    const struct evtls_certificate *peer = evtls_engine_get_peer_certificate(engine);

    printf("connected version=%s cipher=%s group=%s alpn=%s sni=%s reused=%d auth=%d peer=\"%s\"\n",
           or_none(evtls_engine_get_version(engine)), or_none(evtls_engine_get_cipher(engine)),
           or_none(evtls_engine_get_group(engine)), or_none(evtls_engine_get_alpn(engine, NULL)),
           or_none(evtls_engine_get_server_name(engine)), evtls_engine_get_session_reused(engine),
           evtls_engine_get_peer_auth(engine), evtls_certificate_get_subject(peer));
}

void peer_say_ended(struct bufferevent *bev, const struct evtls_error *err)
{
    if (err == NULL)
        printf("ended status=CLOSED alert=- verify=0 message=\"\"\n");
    else
        printf("ended status=%s alert=%s verify=%d message=\"%s\"\n",
               evtls_status_name(err->status), err->alert < 0 ? "-" : evtls_alert_name(err->alert),
               err->verify_code, err->message);
}

void peer_set_up(struct evtls_context *ctx, const struct peer_options *options)
{
    struct evtls_error err;

    if (options->tls != NULL) {
        enum evtls_tls_version version =
            strcmp(options->tls, "1.2") == 0 ? EVTLS_TLS_1_2 : EVTLS_TLS_1_3;

        if (evtls_context_set_max_version(ctx, version, &err) < 0 ||
            evtls_context_set_min_version(ctx, version, &err) < 0)
            peer_die("--tls", &err);
    }
    if (evtls_context_set_alpn(ctx, options->alpn, options->n_alpn) < 0)
        peer_die("--alpn", NULL);
    if (options->cert != NULL &&
        evtls_context_load_cert_chain(ctx, options->cert, options->key, NULL, &err) < 0)
        peer_die("--cert", &err);
}

enum { HELP = 1, CONNECT, HOST, CA, CERT, KEY, TLS, SEND, SAVE, ALPN, SNI, TIMES };

static void repeated(const char **list, size_t *n)
{
    if (*n == PEER_MAX_NAMES)
        peer_die("too many names", NULL);
    list[(*n)++] = optarg;
}

static void set_option(struct peer_options *options, int option)
{
    const char **texts[] = {
        [CONNECT] = &options->connect, [HOST] = &options->host, [CA] = &options->ca,
        [CERT] = &options->cert,       [KEY] = &options->key,   [TLS] = &options->tls,
        [SEND] = &options->send,       [SAVE] = &options->save};

    if (option == HELP) {
        fputs(usage, stdout);
        exit(0);
    }
    if (option == '?') {
        fputs(usage, stderr);
        exit(2);
    }
    if (option == ALPN)
        repeated(options->alpn, &options->n_alpn);
    else if (option == SNI)
        repeated(options->sni, &options->n_sni);
    else if (option == TIMES)
        options->times = strtoul(optarg, NULL, 10);
    else
        *texts[option] = optarg;
}

static void parse(struct peer_options *options, int argc, char **argv)
{
    const struct option known[] = {
        {"help", no_argument, NULL, HELP},
        {"connect", required_argument, NULL, CONNECT},
        {"host", required_argument, NULL, HOST},
        {"ca", required_argument, NULL, CA},
        {"cert", required_argument, NULL, CERT},
        {"key", required_argument, NULL, KEY},
        {"tls", required_argument, NULL, TLS},
        {"send", required_argument, NULL, SEND},
        {"save", required_argument, NULL, SAVE},
        {"alpn", required_argument, NULL, ALPN},
        {"sni", required_argument, NULL, SNI},
        {"times", required_argument, NULL, TIMES},
        {"plain", no_argument, &options->plain, 1},
        {"http", no_argument, &options->http, 1},
        {"wait-end", no_argument, &options->wait_end, 1},
        {"no-end", no_argument, &options->no_end, 1},
        {"optional", no_argument, &options->optional, 1},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        if (option != 0)
            set_option(options, option);
    if (optind != argc)
        set_option(options, '?');
}

/* One that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        peer_die("no free port", NULL);
    close(fd);
    printf("%d\n", ntohs(address.sin_port));
    return 0;
}

/* Whether somebody listens there. */
static int probe(const struct peer_options *options)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), failed;

    to.sin_port = htons((unsigned short)strtoul(options->connect, NULL, 10));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    failed = fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0;
    close(fd);
    return failed;
}

/* libevent keeps one object for its debug mode and its signals, where it is told to give it up. */
static int run(const struct peer_options *options,
               int (*side)(const struct peer_options *, struct event_base *))
{
    struct event_base *base = event_base_new();
    int status;

    if (base == NULL)
        peer_die("no event base", NULL);
    status = side(options, base);
    event_base_free(base);
    libevent_global_shutdown();
    return status;
}

int main(int argc, char **argv)
{
    struct peer_options options = {.host = "localhost", .times = 1};

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "client") == 0) {
        parse(&options, argc - 1, argv + 1);
        if (options.connect != NULL)
            return run(&options, peer_client);
    } else if (argc > 1 && strcmp(argv[1], "server") == 0) {
        parse(&options, argc - 1, argv + 1);
        return run(&options, peer_server);
    } else if (argc > 1 && strcmp(argv[1], "probe") == 0) {
        parse(&options, argc - 1, argv + 1);
        if (options.connect != NULL)
            return probe(&options);
    } else if (argc > 1 && strcmp(argv[1], "free-port") == 0) {
        return free_port();
    } else if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    fputs(usage, stderr);
    return 2;
}
