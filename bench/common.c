#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <openssl/err.h>

void bench_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

void bench_die_ssl(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    bench_die("%s: %s", what, reason ? reason : "unknown error");
}

uint64_t bench_number(const char *option, const char *text, uint64_t min)
{
    static const char suffixes[] = "KMG";
    const char *suffix;
    char *end;
    uintmax_t value;
    unsigned shift = 0;

    errno = 0;
    value = strtoumax(text, &end, 10);
    if (*end != '\0' && (suffix = strchr(suffixes, *end)) != NULL && end[1] == '\0') {
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        end++;
    }
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value > UINT64_MAX >> shift ||
        value << shift < min)
        bench_die("%s: not a number of at least %" PRIu64 ": %s", option, min, text);
    return value << shift;
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        bench_die("socket: %s", strerror(errno));
    return fd;
}

int bench_listen(uint16_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof(address);
    int fd = tcp_socket();

    if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        bench_die("listen on 127.0.0.1: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return fd;
}

int bench_connect(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = tcp_socket();

    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
        bench_die("connect to 127.0.0.1:%u: %s", (unsigned)port, strerror(errno));
    return fd;
}

void bench_raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
