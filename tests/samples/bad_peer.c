/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bad_peer CERT KEY: servers for the tests of https-get that end an answer in every way there is.
 * Written with plain OpenSSL and blocking sockets, so that it shares nothing with what it tests.
 *
 * Prints "tls PORT plain PORT silent PORT reset PORT echo PORT" and serves each connection in a
 * child until it is ended by SIGTERM. On the TLS port the path of the request names the ending, see
 * endings[]. The echo is in plaintext, and prints how its client ended.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>

/* No child outlives its test by more than this. */
#define CHILD_SECONDS 60

#define KINDS 5

enum last {
    LAST_FIN,               /* an end of file without close_notify */
    LAST_RST,               /* a reset */
    LAST_CLOSE_NOTIFY,      /* close_notify, then an end of file */
    LAST_CLOSE_NOTIFY_OPEN, /* close_notify in the same segment as the data; TCP stays open */
    LAST_OPEN,              /* nothing: stands still */
    LAST_ALERT_AS_DATA,     /* garbage in place of a record */
    LAST_SLOW               /* a body of 1,300 bytes in 1.3 seconds, then close_notify */
};

#define OK "HTTP/1.1 200 OK\r\n"

static const struct ending {
    const char *path;
    const char *answer;
    enum last last;
} endings[] = {
    {"/length-fin", OK "Content-Length: 5\r\n\r\nhello", LAST_FIN},
    {"/length-open", OK "Content-Length: 5\r\n\r\nhello", LAST_OPEN},
    {"/length-short-fin", OK "Content-Length: 10\r\n\r\nhello", LAST_FIN},
    {"/length-short-rst", OK "Content-Length: 10\r\n\r\nhello", LAST_RST},
    {"/length-short-notify", OK "Content-Length: 10\r\n\r\nhello", LAST_CLOSE_NOTIFY},
    {"/end-fin", OK "\r\nhello", LAST_FIN},
    {"/end-rst", OK "\r\nhello", LAST_RST},
    {"/end-notify", OK "\r\nhello", LAST_CLOSE_NOTIFY},
    {"/end-notify-open", OK "\r\nhello", LAST_CLOSE_NOTIFY_OPEN},
    {"/chunked-rst", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
     LAST_RST},
    {"/chunked-cut", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", LAST_CLOSE_NOTIFY},
    {"/continue", "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n" OK "\r\nhello",
     LAST_CLOSE_NOTIFY},
    {"/no-body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", LAST_FIN},
    {"/headers-cut", OK "Content-Le", LAST_CLOSE_NOTIFY},
    {"/not-http", "SSH-2.0-peer\r\n", LAST_CLOSE_NOTIFY},
    {"/two-lengths", OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", LAST_CLOSE_NOTIFY},
    {"/bad-chunk", OK "Transfer-Encoding: chunked\r\n\r\nfive\r\nhello", LAST_CLOSE_NOTIFY},
    {"/length-notify", OK "Content-Length: 5\r\n\r\nhello", LAST_CLOSE_NOTIFY},
    {"/length-close", OK "Connection: x, Close\r\nContent-Length: 5\r\n\r\nhello", LAST_OPEN},
    {"/length-more", OK "Content-Length: 5\r\n\r\nhello" OK "Content-Length: 4\r\n\r\nevil",
     LAST_OPEN},
    {"/both-lengths",
     OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     LAST_OPEN},
    {"/old", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", LAST_OPEN},
    {"/slow-length", OK "Content-Length: 1300\r\n\r\n", LAST_SLOW},
    {"/slow-short", OK "Content-Length: 2600\r\n\r\n", LAST_SLOW},
    {"/slow-end", OK "\r\n", LAST_SLOW},
    {"/slow-chunked", OK "Transfer-Encoding: chunked\r\n\r\n", LAST_SLOW},
    {"/stall", "", LAST_OPEN},
    {"/garbage", OK "Content-Length: 10\r\n\r\nhello", LAST_ALERT_AS_DATA},
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_any(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        die("listen");
    *port = ntohs(address.sin_port);
    return fd;
}

static void reset(int fd)
{
    const struct linger now = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

/* Until the peer ends the connection. */
static void wait_for_peer(int fd)
{
    char rest[4096];

    while (read(fd, rest, sizeof(rest)) > 0)
        ;
}

/* Reads a request and finds the ending that it asks for. */
static const struct ending *read_request(SSL *ssl)
{
    char request[4096];
    size_t used = 0;

    while (used < sizeof(request) - 1) {
        int n = SSL_read(ssl, request + used, (int)(sizeof(request) - 1 - used));

        if (n <= 0)
            return NULL;
        used += (size_t)n;
        request[used] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL)
            break;
    }
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t len = strlen(endings[i].path);

        if (strncmp(request + 4, endings[i].path, len) == 0 && request[4 + len] == ' ')
            return &endings[i];
    }
    return NULL;
}

/* The answer, and the alert where there is one, in one segment. */
static void send_at_once(SSL *ssl, int fd, const struct ending *ending)
{
    BIO *out = BIO_new(BIO_s_mem());
    size_t len = strlen(ending->answer);
    char *data;
    long size;

    SSL_set0_wbio(ssl, out);
    if (len > 0)
        SSL_write(ssl, ending->answer, (int)len);
    if (ending->last == LAST_CLOSE_NOTIFY || ending->last == LAST_CLOSE_NOTIFY_OPEN)
        SSL_shutdown(ssl);
    if (ending->last == LAST_ALERT_AS_DATA)
        BIO_write(out, "\x17\x03\x03\x00\x20 not what a record looks like.....", 37);
    size = BIO_get_mem_data(out, &data);
    if (send(fd, data, (size_t)size, MSG_NOSIGNAL) != size)
        die("send");
}

static void send_slowly(SSL *ssl, const struct ending *ending)
{
    int chunked = strstr(ending->answer, "chunked") != NULL;
    char piece[128];

    SSL_write(ssl, ending->answer, (int)strlen(ending->answer));
    for (int i = 0; i < 13; i++) {
        int n = snprintf(piece, sizeof(piece), "%s%0100d%s", chunked ? "64\r\n" : "", i,
                         chunked ? "\r\n" : "");

        usleep(100000);
        SSL_write(ssl, piece, n);
    }
    if (chunked)
        SSL_write(ssl, "0\r\n\r\n", 5);
    SSL_shutdown(ssl);
}

static void serve_tls(SSL_CTX *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx);
    const struct ending *ending;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) != 1)
        return;
    ending = read_request(ssl);
    if (ending == NULL)
        return;
    if (ending->last == LAST_SLOW)
        send_slowly(ssl, ending);
    else
        send_at_once(ssl, fd, ending);
    if (ending->last == LAST_RST) {
        usleep(100000); /* the answer is to be read before the reset overtakes it */
        reset(fd);
    } else if (ending->last == LAST_CLOSE_NOTIFY_OPEN || ending->last == LAST_OPEN) {
        wait_for_peer(fd);
    }
}

static void serve_plain(int fd)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nplain\n";
    char first[512];

    if (read(fd, first, sizeof(first)) > 0 && send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
        die("send");
    shutdown(fd, SHUT_WR);
    wait_for_peer(fd);
}

/* In plaintext; prints "echo: N bytes, end" or "echo: N bytes, reset". */
static void serve_echo(int fd)
{
    char data[16384];
    long long total = 0;
    ssize_t n;

    while ((n = read(fd, data, sizeof(data))) > 0) {
        total += n;
        for (ssize_t sent = 0, m = 0; sent < n; sent += m) {
            m = send(fd, data + sent, (size_t)(n - sent), MSG_NOSIGNAL);
            if (m < 0) {
                n = -1;
                break;
            }
        }
    }
    printf("echo: %lld bytes, %s\n", total, n == 0 ? "end" : "reset");
    fflush(stdout);
    close(fd);
}

static void serve(int kind, SSL_CTX *ctx, int fd)
{
    if (kind == 0)
        serve_tls(ctx, fd);
    else if (kind == 1)
        serve_plain(fd);
    else if (kind == 2)
        wait_for_peer(fd);
    else if (kind == 3)
        reset(fd);
    else
        serve_echo(fd);
}

static SSL_CTX *make_context(const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "bad_peer: cannot load %s and %s\n", cert, key);
        exit(1);
    }
    return ctx;
}

static void accept_one(int kind, int listener, SSL_CTX *ctx)
{
    int fd = accept(listener, NULL, NULL);

    if (fd < 0)
        return;
    if (fork() == 0) {
        signal(SIGTERM, SIG_DFL);
        alarm(CHILD_SECONDS);
        serve(kind, ctx, fd);
        _exit(0);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"tls", "plain", "silent", "reset", "echo"};
    struct pollfd listeners[KINDS];
    SSL_CTX *ctx;

    if (argc != 3)
        return 2;
    ctx = make_context(argv[1], argv[2]);
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < KINDS; i++) {
        int port;

        listeners[i].fd = listen_any(&port);
        listeners[i].events = POLLIN;
        printf("%s%s %d", i ? " " : "", names[i], port);
    }
    printf("\n");
    fflush(stdout);
    while (poll(listeners, KINDS, -1) >= 0)
        for (int i = 0; i < KINDS; i++)
            if (listeners[i].revents & POLLIN)
                accept_one(i, listeners[i].fd, ctx);
    return 1;
}
