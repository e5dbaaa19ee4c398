/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deaf_peer: what never reads. Written with plain OpenSSL, so that it shares nothing with what it
 * tests.
 *
 *   deaf_peer server              prints "port N"; sends to each plaintext client without end
 *   deaf_peer client PORT         sends over TLS without end, until it is held up
 *   deaf_peer client PORT TEXT    sends TEXT over TLS, once
 *
 * A client says "held after N bytes" when nothing could be sent for a second, "not held after N
 * bytes" when the other side takes whatever it gets, or "sent"; then it keeps the connection until
 * it is ended by SIGTERM.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

/* No process outlives its test by more than this. */
#define LIFE_SECONDS 60

#define HELD_MS 1000

/* Far more than the sockets between two programs hold. */
#define ENOUGH (128LL * 1024 * 1024)

static char block[65536];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void flood(int fd)
{
    while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
        ;
}

static void run_server(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 ||
        listen(listener, 5) < 0 || getsockname(listener, (struct sockaddr *)&address, &len) < 0)
        die("listen");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd >= 0 && fork() == 0) {
            alarm(LIFE_SECONDS);
            flood(fd);
            _exit(0);
        }
        if (fd >= 0)
            close(fd);
    }
}

static SSL *connect_tls(int port)
{
    struct sockaddr_in address = loopback(port);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1) {
        fprintf(stderr, "deaf_peer: no handshake\n");
        exit(1);
    }
    return ssl;
}

/* Writes until nothing could be sent for HELD_MS, or ENOUGH was. Returns how much was. */
static long long send_on(SSL *ssl)
{
    struct pollfd pfd = {.fd = SSL_get_fd(ssl), .events = POLLOUT};
    long long total = 0;

    if (fcntl(pfd.fd, F_SETFL, O_NONBLOCK) < 0)
        die("fcntl");
    while (total < ENOUGH) {
        int n = SSL_write(ssl, block, sizeof(block));

        if (n > 0) {
            total += n;
            continue;
        }
        if (SSL_get_error(ssl, n) != SSL_ERROR_WANT_WRITE) {
            fprintf(stderr, "deaf_peer: the connection ended\n");
            exit(1);
        }
        if (poll(&pfd, 1, HELD_MS) == 0)
            break;
    }
    return total;
}

static void run_client(int port, const char *text)
{
    SSL *ssl;
    long long total;

    alarm(LIFE_SECONDS);
    ssl = connect_tls(port);
    if (text == NULL) {
        total = send_on(ssl);
        printf("%sheld after %lld bytes\n", total < ENOUGH ? "" : "not ", total);
    } else if (SSL_write(ssl, text, (int)strlen(text)) > 0) {
        printf("sent\n");
    }
    fflush(stdout);
    pause();
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "server") == 0)
        run_server();
    else if ((argc == 3 || argc == 4) && strcmp(argv[1], "client") == 0)
        run_client(atoi(argv[2]), argv[3]);
    return 2;
}
