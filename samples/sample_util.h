/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sample_util.h - what the sample programs share and what has nothing to do with TLS: messages,
 * options, addresses, signals, escaped text, files written whole.
 */
#ifndef SAMPLE_UTIL_H
#define SAMPLE_UTIL_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/util.h>

#if defined(__GNUC__)
#define SAMPLE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define SAMPLE_PRINTF(text, first)
#endif

struct sockaddr;

/* Exit status of all samples for a command line that makes no sense. */
#define SAMPLE_EXIT_USAGE 2

/* Returned by functions that parse a command line: there is work to do. Else it is an exit status.
 */
#define SAMPLE_GO_ON (-1)

/*
 * Remembers the name for messages, ignores SIGPIPE (a closed stdout is an error of write, not the
 * end of the process) and makes stdout a line at a time.
 */
void sample_init(const char *argv0);

/* One line on stderr: "PROGRAM: text". */
void sample_error(const char *format, ...) SAMPLE_PRINTF(1, 2);

/* The same, with a hint at --help; returns SAMPLE_EXIT_USAGE. */
int sample_usage_error(const char *format, ...) SAMPLE_PRINTF(1, 2);

/*
 * One long option. Of value, flag and add one is set: value gets the text, flag becomes 1, add is
 * called each time and returns SAMPLE_GO_ON or an exit status.
 */
struct sample_option {
    const char *name;
    const char **value;
    int *flag;
    int (*add)(const char *text, void *arg);
    void *arg;
};

/*
 * Parses the command line up to its operands, whose first has the index *operands. options ends
 * with a NULL name; --help, which prints usage, need not be among them. Returns SAMPLE_GO_ON, or
 * an exit status, where it was wrong after one line on stderr.
 */
int sample_parse_options(int argc, char **argv, const struct sample_option *options,
                         const char *usage, int *operands);

/*
 * Copies text so that it can be shown: bytes below 0x20, 0x7f and above, and the backslash become
 * \xHH. Cut to size - 1 bytes, always terminated. Returns out.
 */
const char *sample_escape(char *out, size_t size, const char *text);

/*
 * One line of at most 4,095 bytes to a descriptor that may be a pipe nobody reads: rather than
 * wait, it drops the line, and says later how many it dropped. A newline is added.
 */
void sample_log(int fd, const char *format, ...) SAMPLE_PRINTF(2, 3);

/* ADDR:PORT, [ADDR]:PORT or :PORT (all addresses). */
struct sample_endpoint {
    char host[256]; /* without brackets; "" for all addresses */
    int port;
};

/* Returns 0, or -1 for text that is no endpoint. */
int sample_parse_endpoint(struct sample_endpoint *endpoint, const char *text);

/* "127.0.0.1:443", "[::1]:443"; a UNIX socket is "unix". */
#define SAMPLE_ADDRESS_SIZE 80
const char *sample_format_address(char *out, const struct sockaddr *address);

/* The same for the other end of a connected socket; "-" when there is none any more. */
const char *sample_format_peer(char *out, evutil_socket_t fd);

/* SIGINT and SIGTERM end the loop of a base. */
struct sample_signals {
    struct event *interrupt;
    struct event *terminate;
    int received; /* the signal that ended the loop, or 0 */
};

int sample_signals_init(struct sample_signals *signals, struct event_base *base);
void sample_signals_cleanup(struct sample_signals *signals);

/*
 * Writes a file whole or not at all: another name in the same folder first, then a rename.
 * Returns 0, or -1 with errno.
 */
int sample_write_file(const char *path, const void *data, size_t len);

#endif
