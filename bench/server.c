#include "server.h"
#include "common.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/x509.h>

static const char usage[] =
    "usage: bench/server --impl NAME --work NAME [--filter] [--tickets N]\n"
    "       bench/server --list\n"
    "\n"
    "A TLS server on 127.0.0.1 that counts the processor time it uses.\n"
    "\n"
    "  --impl evtls      evtls_bufferevent_socket_new\n"
    "  --impl openssl    libevent's own bufferevent_openssl\n"
    "  --impl raw        OpenSSL on epoll, without libevent\n"
    "  --work NAME       sink, source, source-adds, source-chains, echo, request, handshake, idle\n"
    "  --filter          over a socket bufferevent of libevent's (not raw)\n"
    "  --list            print the implementations, one a line\n"
    "  --tickets N       session tickets a handshake (2)\n"
    "\n"
    "The first line on standard output is a JSON object with the port. Commands on standard "
    "input,\n"
    "one a line, are answered with one: `reset` starts counting, `report` prints what was used "
    "since.\n"
    "The server ends with its standard input. bench/run drives it.\n";

static const struct {
    const char *name;
    const struct server_tls *tls; /* NULL: no libevent */
} impls[] = {
    {"evtls", &server_tls_evtls},
    {"openssl", &server_tls_openssl},
    {"raw", NULL},
};

static const struct {
    const char *name;
    enum server_work work;
    size_t piece;
    bool reference;
} works[] = {
    {"sink", SERVER_SINK, 0, false},
    {"source", SERVER_SOURCE, BENCH_RECORD, false},
    {"source-adds", SERVER_SOURCE, 1024, false},
    {"source-chains", SERVER_SOURCE, 1024, true},
    {"echo", SERVER_ECHO, 0, false},
    {"request", SERVER_REQUEST, 0, false},
    {"handshake", SERVER_ECHO, 0, false},
    {"idle", SERVER_ECHO, 0, false},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    uint64_t pages;

    if (file == NULL || fscanf(file, "%*u %" SCNu64, &pages) != 1)
        bench_die("cannot read /proc/self/statm");
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* bench/run counts the system calls between the lines that begin with "reset" and "report". */
bool server_control(struct server *server)
{
    static struct rusage start;
    struct rusage now;
    char line[64];
    ssize_t length = read(STDIN_FILENO, line, sizeof(line) - 1);

    if (length <= 0)
        return false;
    line[length] = '\0';
    getrusage(RUSAGE_SELF, &now);
    if (strcmp(line, "reset\n") == 0) {
        start = now;
        server->connections = 0;
        puts("{\"reset\": true}");
    } else if (strcmp(line, "report\n") == 0) {
        printf(
            "{\"report\": true, \"user_s\": %.6f, \"system_s\": %.6f, \"resident_bytes\": %" PRIu64
            ", \"connections\": %" PRIu64 ", \"errors\": %" PRIu64 "}\n",
            seconds(now.ru_utime) - seconds(start.ru_utime),
            seconds(now.ru_stime) - seconds(start.ru_stime), resident_bytes(), server->connections,
            server->errors);
    } else {
        puts("{\"error\": \"commands: reset, report\"}");
    }
    fflush(stdout);
    return true;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = certificate ? X509_get_subject_name(certificate) : NULL;

    if (name == NULL || !X509_set_version(certificate, X509_VERSION_3) ||
        !ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) ||
        !X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) ||
        !X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600L) ||
        !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost",
                                    -1, -1, 0) ||
        !X509_set_issuer_name(certificate, name) || !X509_set_pubkey(certificate, key) ||
        !X509_sign(certificate, key, EVP_sha256()))
        bench_die_ssl("making a certificate");
    return certificate;
}

SSL_CTX *server_ssl_ctx_new(const struct server *server)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL || !SSL_CTX_use_certificate(ctx, server->certificate) ||
        !SSL_CTX_use_PrivateKey(ctx, server->key) || !SSL_CTX_set_num_tickets(ctx, server->tickets))
        bench_die_ssl("making an SSL_CTX");
    return ctx;
}

static size_t find_impl(const char *name)
{
    for (size_t i = 0; i < COUNT(impls); i++)
        if (strcmp(impls[i].name, name) == 0)
            return i;
    bench_die("--impl: unknown implementation: %s", name);
}

static void set_work(struct server *server, const char *name)
{
    for (size_t i = 0; i < COUNT(works); i++) {
        if (strcmp(works[i].name, name) != 0)
            continue;
        server->work = works[i].work;
        server->piece = works[i].piece;
        server->reference = works[i].reference;
        return;
    }
    bench_die("--work: unknown work: %s", name);
}

static void set_up(struct server *server, uint16_t *port)
{
    signal(SIGPIPE, SIG_IGN);
    bench_raise_descriptor_limit();
    server->key = EVP_EC_gen("P-256");
    if (server->key == NULL)
        bench_die_ssl("making a P-256 key");
    server->certificate = make_certificate(server->key);
    server->data = calloc(1, server->piece + 1);
    if (server->data == NULL)
        bench_die("out of memory");
    server->listen_fd = bench_listen(port);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"impl", required_argument, NULL, 'i'},
        {"work", required_argument, NULL, 'w'},
        {"tickets", required_argument, NULL, 't'},
        {"list", no_argument, NULL, 'l'},
        {"filter", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct server server = {.tickets = 2};
    const char *impl_name = NULL, *work_name = NULL;
    size_t impl;
    uint16_t port;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'i':
            impl_name = optarg;
            break;
        case 'w':
            work_name = optarg;
            break;
        case 't':
            server.tickets = (unsigned)bench_number("--tickets", optarg, 0);
            break;
        case 'f':
            server.filter = true;
            break;
        case 'l':
            for (size_t i = 0; i < COUNT(impls); i++)
                puts(impls[i].name);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            return 2;
        }
    }
    if (impl_name == NULL || work_name == NULL || optind != argc)
        bench_die("--impl and --work are needed and nothing else; see --help");
    impl = find_impl(impl_name);
    if (server.filter && impls[impl].tls == NULL)
        bench_die("--filter: %s has no bufferevents", impl_name);
    set_work(&server, work_name);

    set_up(&server, &port);
    printf("{\"port\": %u, \"openssl\": \"%s\", \"libevent\": \"%s\"}\n", (unsigned)port,
           OpenSSL_version(OPENSSL_VERSION_STRING), event_get_version());
    fflush(stdout);

    if (impls[impl].tls != NULL)
        server_run_bufferevents(&server, impls[impl].tls);
    else
        server_run_raw(&server);

    close(server.listen_fd);
    free(server.data);
    X509_free(server.certificate);
    EVP_PKEY_free(server.key);
    return 0;
}
