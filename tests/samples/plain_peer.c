/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plain_peer: speaks lines in clear, for the tests of starttls-chat.
 *
 *   plain_peer say PORT TEXT...    waits for a line, sends the first TEXT in one piece, waits for a
 *                                  line, sends the next; then prints all that came until the end
 *   plain_peer serve TEXT...       prints "port N"; sends the first TEXT to one client, and the
 * next ones each after a line of it plain_peer flood PORT TEXT     sends TEXT without end and reads
 * nothing, until it is held up
 *
 * In a TEXT "\n" stands for the end of a line. Exit status of say: 0 an end of file, 3 a reset.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* No process outlives its test by more than this. */
#define LIFE_SECONDS 60
#define HELD_MS 1000
#define ENOUGH (64LL * 1024 * 1024)

static char received[262144];
static size_t n_received;

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

static int connect_to(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    return fd;
}

static int accept_one(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    int fd, listener = socket(AF_INET, SOCK_STREAM, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 ||
        listen(listener, 5) < 0 || getsockname(listener, (struct sockaddr *)&address, &len) < 0)
        die("listen");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    fd = accept(listener, NULL, NULL);
    if (fd < 0)
        die("accept");
    return fd;
}

static size_t unescape(char *out, size_t size, const char *text)
{
    size_t n = 0;

    while (*text && n + 2 < size) {
        if (text[0] == '\\' && text[1] == 'n') {
            out[n++] = '\r';
            out[n++] = '\n';
            text += 2;
        } else {
            out[n++] = *text++;
        }
    }
    return n;
}

static void send_text(int fd, const char *text)
{
    static char bytes[131072];
    size_t n = unescape(bytes, sizeof(bytes), text);

    if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
        die("send");
}

/* Returns what read returned. */
static ssize_t receive(int fd)
{
    ssize_t n = read(fd, received + n_received, sizeof(received) - n_received);

    n_received += n > 0 ? (size_t)n : 0;
    return n;
}

/* Until a line more is there than before. Returns -1 at an end. */
static int wait_for_line(int fd, size_t from)
{
    while (memchr(received + from, '\n', n_received - from) == NULL)
        if (receive(fd) <= 0)
            return -1;
    return 0;
}

static int say(int fd, char **texts, int n)
{
    size_t from = 0;
    ssize_t last;

    for (int i = 0; i < n && wait_for_line(fd, from) == 0; i++) {
        from = n_received;
        send_text(fd, texts[i]);
    }
    while ((last = receive(fd)) > 0)
        ;
    fwrite(received, 1, n_received, stdout);
    return last == 0 ? 0 : 3;
}

static int serve(int fd, char **texts, int n)
{
    send_text(fd, texts[0]);
    for (int i = 1; i < n; i++) {
        size_t from = n_received;

        if (wait_for_line(fd, from) < 0)
            break;
        send_text(fd, texts[i]);
    }
    while (receive(fd) > 0)
        n_received = 0;
    return 0;
}

static int flood(int fd, const char *text)
{
    static char bytes[65536];
    size_t n = 0;
    long long total = 0;
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};

    while (n + strlen(text) < sizeof(bytes))
        n += unescape(bytes + n, sizeof(bytes) - n, text);
    while (total < ENOUGH && poll(&pfd, 1, HELD_MS) == 1) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno != EAGAIN)
            die("send");
        total += sent > 0 ? sent : 0;
    }
    printf("%sheld after %lld bytes\n", total < ENOUGH ? "" : "not ", total);
    fflush(stdout);
    pause();
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    alarm(LIFE_SECONDS);
    if (argc > 3 && strcmp(argv[1], "say") == 0)
        return say(connect_to(atoi(argv[2])), argv + 3, argc - 3);
    if (argc > 2 && strcmp(argv[1], "serve") == 0)
        return serve(accept_one(), argv + 2, argc - 2);
    if (argc == 4 && strcmp(argv[1], "flood") == 0)
        return flood(connect_to(atoi(argv[2])), argv[3]);
    return 2;
}
