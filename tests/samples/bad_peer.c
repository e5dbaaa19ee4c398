/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An HTTPS server that ends its answers well or badly, for tests of https-get. Serves one
 * connection and ends.
 *
 *     bad_peer CERT-AND-KEY MODE     prints its port, then waits
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <openssl/ssl.h>

enum close_by { FIN, RESET, NOTIFY, NOTIFY_AND_STAY, STAY };

static const struct {
    const char *name;
    const char *answer;
    enum close_by close_by;
} modes[] = {
    {"length-fin", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", FIN},
    {"nolength-fin", "HTTP/1.1 200 OK\r\n\r\nhello", FIN},
    {"chunked-reset",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", RESET},
    {"nolength-notify", "HTTP/1.1 200 OK\r\n\r\nhello", NOTIFY_AND_STAY},
    {"short-notify", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", NOTIFY},
    {"silent", "", STAY},
};

static int listen_anywhere(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sin, len) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&sin, &len) != 0) {
        perror("bad_peer");
        exit(1);
    }
    printf("%d\n", ntohs(sin.sin_port));
    fflush(stdout);
    return fd;
}

static void end(SSL *ssl, int fd, enum close_by close_by)
{
    struct linger reset = {1, 0};

    if (close_by == NOTIFY || close_by == NOTIFY_AND_STAY)
        SSL_shutdown(ssl);
    if (close_by == RESET) {
        sleep(1); /* the answer arrives first */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    if (close_by == NOTIFY_AND_STAY || close_by == STAY)
        sleep(20);
    close(fd);
}

int main(int argc, char **argv)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char request[4096];
    int listener, fd;
    SSL *ssl;

    if (argc != 3 || SSL_CTX_use_certificate_chain_file(ctx, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, argv[1], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "usage: bad_peer CERT-AND-KEY MODE\n");
        return 2;
    }
    alarm(30);
    listener = listen_anywhere();
    fd = accept(listener, NULL, NULL);
    ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) != 1 || SSL_read(ssl, request, sizeof(request)) <= 0)
        return 1;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[2], modes[i].name) == 0) {
            if (modes[i].answer[0])
                SSL_write(ssl, modes[i].answer, (int)strlen(modes[i].answer));
            end(ssl, fd, modes[i].close_by);
        }
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return 0;
}
