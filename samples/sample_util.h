/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sample_util.h - what the sample programs share and what has nothing to do with TLS: messages,
 * options, signals, escaped text, files written whole.
 */
#ifndef SAMPLE_UTIL_H
#define SAMPLE_UTIL_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#if defined(__GNUC__)
#define SAMPLE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define SAMPLE_PRINTF(text, first)
#endif

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

/* The most options that a program may have. */
#define SAMPLE_MAX_OPTIONS 32

/*
 * Parses the command line up to its operands, whose first has the index *operands. options ends
 * with a NULL name; --help, which prints usage, need not be among them. Returns SAMPLE_GO_ON, or
 * an exit status, where it was wrong after one line on stderr.
 */
int sample_parse_options(int argc, char **argv, const struct sample_option *options,
                         const char *usage, int *operands);

/* A whole number from min to max, in decimal and nothing else. Returns 0 or -1. */
int sample_parse_number(long *number, const char *text, long min, long max);

/*
 * Names separated by commas, as ALPN has them: none is empty or longer than 255 bytes. The empty
 * text is no names. Returns 0, or -1: not such a list, or no memory; there is nothing to clean up
 * then.
 */
#define SAMPLE_NAME_MAX 255
struct sample_names {
    const char **list;
    size_t n;
    char *text;
};
int sample_names_init(struct sample_names *names, const char *text);
void sample_names_cleanup(struct sample_names *names);

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
