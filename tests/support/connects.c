/* SPDX-License-Identifier: BSD-3-Clause */
#include "connects.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "require.h"

#define MAX_WORDS 128
#define MAX_FDS 1024
#define FILLERS 4

struct black_hole {
    int listener;
    int fillers[FILLERS];
    uint16_t port;
};

static char words[4096];
static int64_t started, times[MAX_WORDS];
static unsigned n_words;
static char open_to[MAX_FDS][INET6_ADDRSTRLEN]; /* "": not one of them */

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void print(const char *what, const char *address)
{
    if (getenv("EVTLS_RACE_LOG") != NULL)
        fprintf(stderr, "%6d ms  %s %s\n", (int)connects_now(), what, address);
}

static void add_word(const char *sign, const char *address)
{
    size_t len = strlen(words);

    support_require(n_words < MAX_WORDS);
    times[n_words++] = connects_now();
    snprintf(words + len, sizeof words - len, "%s%s%s", len > 0 ? " " : "", sign, address);
}

const char *connects_log(void)
{
    return words;
}

void connects_say(const char *text)
{
    print(text, "");
}

int64_t connects_now(void)
{
    return now_ms() - started;
}

int64_t connects_at(unsigned n)
{
    support_require(n < n_words);
    return times[n];
}

unsigned connects_words(void)
{
    return n_words;
}

unsigned connects_open(void)
{
    unsigned n = 0;

    for (int i = 0; i < MAX_FDS; i++)
        n += open_to[i][0] != '\0';
    return n;
}

static void note_connect(int fd, const struct sockaddr *sa)
{
    const void *address = sa->sa_family == AF_INET6
                              ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)sa)->sin_addr;
    int type = 0;
    socklen_t len = sizeof type;

    if (fd >= MAX_FDS || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6) ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM)
        return;
    inet_ntop(sa->sa_family, address, open_to[fd], sizeof open_to[fd]);
    add_word("", open_to[fd]);
    print("connect to", open_to[fd]);
}

static void note_close(int fd)
{
    if (fd < 0 || fd >= MAX_FDS || open_to[fd][0] == '\0')
        return;
    add_word("-", open_to[fd]);
    print("close", open_to[fd]);
    open_to[fd][0] = '\0';
}

static const struct faults_observer observer = {note_connect, note_close};

void connects_watch(void)
{
    memset(open_to, 0, sizeof open_to);
    words[0] = '\0';
    n_words = 0;
    started = now_ms();
    faults_observe(&observer);
}

/* ---- Addresses that don't answer ---------------------------------------------------------- */

static socklen_t fill_address(struct sockaddr_storage *sa, const char *address, uint16_t port)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;
    struct sockaddr_in *in = (struct sockaddr_in *)sa;

    memset(sa, 0, sizeof *sa);
    if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        return sizeof *in6;
    }
    support_require(inet_pton(AF_INET, address, &in->sin_addr) == 1);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    return sizeof *in;
}

static int bind_at(const char *address, uint16_t port, int backlog)
{
    struct sockaddr_storage sa;
    socklen_t len = fill_address(&sa, address, port);
    int on = 1, fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&sa, len) != 0 || listen(fd, backlog) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int listen_at(const char *address, uint16_t port)
{
    return bind_at(address, port, 128);
}

struct black_hole *black_hole_new(const char *address, uint16_t port)
{
    struct black_hole *hole = calloc(1, sizeof *hole);
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    support_require(hole != NULL);
    hole->listener = bind_at(address, port, 0);
    if (hole->listener < 0) {
        free(hole);
        return NULL;
    }
    support_require(getsockname(hole->listener, (struct sockaddr *)&sa, &len) == 0);
    hole->port = ntohs(((struct sockaddr_in *)&sa)->sin_port); /* the same place in IPv6 */
    for (int i = 0; i < FILLERS; i++) {
        hole->fillers[i] = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(hole->fillers[i], (struct sockaddr *)&sa, len);
    }
    return hole;
}

uint16_t black_hole_port(const struct black_hole *hole)
{
    return hole->port;
}

void black_hole_free(struct black_hole *hole)
{
    if (hole == NULL)
        return;
    for (int i = 0; i < FILLERS; i++)
        close(hole->fillers[i]);
    close(hole->listener);
    free(hole);
}
