/* SPDX-License-Identifier: BSD-3-Clause */
#include "sample_util.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

/* Above every character, so that getopt_long's '?' and ':' can't be mistaken for an option. */
#define OPTION_BASE 256

static const char *program = "sample";

void sample_init(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');

    program = slash ? slash + 1 : argv0;
    if (strncmp(program, "lt-", 3) == 0) /* libtool runs programs of the build folder so */
        program += 3;
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

SAMPLE_PRINTF(1, 0)
static void print_error(const char *format, va_list args, const char *hint)
{
    char text[1024];

    vsnprintf(text, sizeof(text), format, args);
    fprintf(stderr, "%s: %s%s\n", program, text, hint);
}

void sample_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_error(format, args, "");
    va_end(args);
}

int sample_usage_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_error(format, args, " (see --help)");
    va_end(args);
    return SAMPLE_EXIT_USAGE;
}

/* argv[optind - 1] is the word that getopt_long could not use, but for short options. */
static int bad_option(int option, char **argv)
{
    char shown[128];

    if (optopt > 0 && optopt < OPTION_BASE)
        snprintf(shown, sizeof(shown), "-%c", optopt > ' ' && optopt < 0x7f ? optopt : '?');
    else
        sample_escape(shown, sizeof(shown), argv[optind - 1]);
    if (option == ':')
        return sample_usage_error("option %s needs a value", shown);
    return sample_usage_error("unknown option %s", shown);
}

static int take_option(const struct sample_option *option)
{
    if (option->add)
        return option->add(optarg, option->arg);
    if (option->flag)
        *option->flag = 1;
    else
        *option->value = optarg;
    return SAMPLE_GO_ON;
}

int sample_parse_options(int argc, char **argv, const struct sample_option *options,
                         const char *usage, int *operands)
{
    struct option longs[SAMPLE_MAX_OPTIONS + 2];
    int n, option, status = SAMPLE_GO_ON;

    memset(longs, 0, sizeof(longs));
    for (n = 0; options[n].name && n < SAMPLE_MAX_OPTIONS; n++) {
        longs[n].name = options[n].name;
        longs[n].has_arg = options[n].flag ? no_argument : required_argument;
        longs[n].val = OPTION_BASE + n;
    }
    longs[n].name = "help";
    longs[n].val = OPTION_BASE + n;

    opterr = 0;
    while (status == SAMPLE_GO_ON && (option = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        if (option == OPTION_BASE + n)
            return fputs(usage, stdout) < 0 || fflush(stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (option < OPTION_BASE)
            return bad_option(option, argv);
        status = take_option(&options[option - OPTION_BASE]);
    }
    *operands = optind;
    return status;
}

int sample_parse_number(long *number, const char *text, long min, long max)
{
    char *end;

    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    *number = strtol(text, &end, 10);
    return *end == '\0' && errno == 0 && *number >= min && *number <= max ? 0 : -1;
}

/* The number of names in text, or 0 where one is empty or too long. */
static size_t count_names(const char *text)
{
    size_t n = 0, len;

    for (;; text += len + 1) {
        len = strcspn(text, ",");
        if (len == 0 || len > SAMPLE_NAME_MAX)
            return 0;
        n++;
        if (text[len] == '\0')
            return n;
    }
}

int sample_names_init(struct sample_names *names, const char *text)
{
    size_t n = count_names(text);
    char *save;

    memset(names, 0, sizeof(*names));
    if (*text == '\0')
        return 0;
    if (n == 0)
        return -1;
    names->text = strdup(text);
    names->list = calloc(n, sizeof(*names->list));
    if (names->text == NULL || names->list == NULL) {
        sample_names_cleanup(names);
        return -1;
    }
    for (char *name = strtok_r(names->text, ",", &save); name; name = strtok_r(NULL, ",", &save))
        names->list[names->n++] = name;
    return 0;
}

void sample_names_cleanup(struct sample_names *names)
{
    free(names->text);
    free(names->list);
    memset(names, 0, sizeof(*names));
}

const char *sample_escape(char *out, size_t size, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;

    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        int plain = byte >= 0x20 && byte < 0x7f && byte != '\\';

        if (used + (plain ? 1 : 4) >= size)
            break;
        if (plain) {
            out[used++] = (char)byte;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = hex[byte >> 4];
        out[used++] = hex[byte & 15];
    }
    out[used] = '\0';
    return out;
}

static int may_write(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};

    return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT);
}

/* A pipe that polls writable takes a line of up to PIPE_BUF (4,096) bytes without waiting. */
static int write_line(int fd, const char *line, size_t len)
{
    ssize_t n;

    if (!may_write(fd))
        return -1;
    do
        n = write(fd, line, len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

void sample_log(int fd, const char *format, ...)
{
    static unsigned long dropped;
    char line[4096];
    va_list args;
    int len;

    if (dropped > 0) {
        len =
            snprintf(line, sizeof(line), "%lu lines were not written: nobody read them\n", dropped);
        if (write_line(fd, line, (size_t)len) == 0)
            dropped = 0;
    }
    va_start(args, format);
    len = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (len < 0)
        return;
    if ((size_t)len > sizeof(line) - 2)
        len = (int)sizeof(line) - 2;
    line[len++] = '\n';
    if (write_line(fd, line, (size_t)len) < 0)
        dropped++;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct sample_signals *signals = arg;

    signals->received = (int)number;
    event_base_loopbreak(event_get_base(signals->interrupt));
}

int sample_signals_init(struct sample_signals *signals, struct event_base *base)
{
    signals->received = 0;
    signals->interrupt = evsignal_new(base, SIGINT, on_signal, signals);
    signals->terminate = evsignal_new(base, SIGTERM, on_signal, signals);
    if (signals->interrupt == NULL || signals->terminate == NULL ||
        evsignal_add(signals->interrupt, NULL) < 0 || evsignal_add(signals->terminate, NULL) < 0) {
        sample_signals_cleanup(signals);
        return -1;
    }
    return 0;
}

void sample_signals_cleanup(struct sample_signals *signals)
{
    if (signals->interrupt)
        event_free(signals->interrupt);
    if (signals->terminate)
        event_free(signals->terminate);
    signals->interrupt = NULL;
    signals->terminate = NULL;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int sample_write_file(const char *path, const void *data, size_t len)
{
    size_t size = strlen(path) + sizeof(".XXXXXX");
    char *name = malloc(size);
    int saved, fd;

    if (name == NULL)
        return -1;
    snprintf(name, size, "%s.XXXXXX", path);
    fd = mkstemp(name);
    if (fd < 0) {
        free(name);
        return -1;
    }
    if (write_all(fd, data, len) == 0 && fchmod(fd, 0644) == 0 && fsync(fd) == 0 &&
        rename(name, path) == 0) {
        close(fd);
        free(name);
        return 0;
    }
    saved = errno;
    close(fd);
    unlink(name);
    free(name);
    errno = saved;
    return -1;
}
