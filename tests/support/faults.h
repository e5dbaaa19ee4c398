/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults and observation of the system calls on chosen descriptors.
 *
 * A test program that uses this defines recv, send, readv, writev, close, connect and their
 * relatives itself, so that calls by evtls, by libevent's and by OpenSSL's shared library all pass
 * here. Descriptors that nobody attached go straight through.
 *
 *     struct faults *f = faults_attach(fd);
 *     faults_limit(f, FAULTS_WRITE, 1);                        every write takes one byte
 *     faults_fail(f, FAULTS_READ, 3, ECONNRESET);              the third read from now fails
 *     ...
 *     ck_assert_uint_eq(faults_calls(f, FAULTS_WRITE), ...);
 *     faults_reset();
 *
 * The kernel's state stays real. A faulted EAGAIN leaves the descriptor ready, so a level-triggered
 * loop comes back at once: give EAGAIN to single calls, not to all. Where a rule ends the input,
 * the descriptor is really shut for reading, so that the loop notices.
 *
 * Objects stay valid after the descriptor is closed, until faults_reset. Any thread
 * may make the calls; decide functions and on_connect run in the thread of the call.
 */
#ifndef EVTLS_TESTS_SUPPORT_FAULTS_H
#define EVTLS_TESTS_SUPPORT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum faults_call {
    FAULTS_READ,  /* recv, recvfrom, recvmsg, read, readv */
    FAULTS_WRITE, /* send, sendto, sendmsg, write, writev, sendfile */
    FAULTS_CONNECT,
    FAULTS_SO_ERROR, /* getsockopt(SO_ERROR): the injected error is its answer */
    FAULTS_ACCEPT,   /* accept, accept4, on the listener */
    FAULTS_SHUTDOWN,
    FAULTS_CLOSE, /* the descriptor is closed whatever is injected */
    FAULTS_CALLS
};

struct faults;

struct faults *faults_attach(int fd);

/* Frees every object, and ends faults_watch and faults_on_connect. */
void faults_reset(void);

/* Reads or writes move at most this many bytes a call; 0: no limit. */
void faults_limit(struct faults *f, enum faults_call call, size_t max);

/* The n-th call from now (1: the next) fails with this errno: it alone; it and all after it; every
 * n-th. One rule a kind of call: a new one replaces the last, error 0 takes it away. EPIPE raises
 * SIGPIPE too where the real call would. */
void faults_fail(struct faults *f, enum faults_call call, uint64_t nth, int error);
void faults_fail_from(struct faults *f, enum faults_call call, uint64_t nth, int error);
void faults_fail_every(struct faults *f, enum faults_call call, uint64_t n, int error);

/* The input ends when this many bytes were read in all: by end of file (error 0) or by an error. */
void faults_end_input_at(struct faults *f, uint64_t bytes, int error);

/* Writing fails with this error once so many bytes were written in all. */
void faults_end_output_at(struct faults *f, uint64_t bytes, int error);

/* Decides each read and write by itself, before the rules above. */
struct faults_verdict {
    int error;  /* not 0: the call fails with it */
    bool end;   /* a read gives 0 */
    size_t max; /* else at most so many bytes; 0: as many as asked for */
};
typedef struct faults_verdict (*faults_decide_fn)(enum faults_call call, size_t len, void *arg);
void faults_decide(struct faults *f, faults_decide_fn decide, void *arg);

/* What happened. Failed calls count too; bytes are those that the kernel took or gave. */
uint64_t faults_calls(const struct faults *f, enum faults_call call);
uint64_t faults_bytes(const struct faults *f, enum faults_call call);
bool faults_is_closed(const struct faults *f);
bool faults_is_shut_for_writing(const struct faults *f);

/* Write calls that would raise SIGPIPE on a broken connection (no MSG_NOSIGNAL). */
uint64_t faults_unsafe_writes(const struct faults *f);

/* Keeps what is written from now on. */
void faults_record(struct faults *f);
const unsigned char *faults_recorded(const struct faults *f, size_t *len);
bool faults_recorded_contains(const struct faults *f, const char *text);

/*
 * Looks for a text (up to 64 bytes) in whatever the process writes to any socket, attached or not,
 * also where it is spread over several writes; counts how often it was seen.
 */
void faults_watch(const char *text);
unsigned faults_watch_count(void);

/* Attaches each descriptor that is not attached when connect is called on it, and tells. */
typedef void (*faults_connect_fn)(struct faults *f, int fd, void *arg);
void faults_on_connect(faults_connect_fn fn, void *arg);

/* Sees each connect and close of the process before it happens; NULL: no longer. */
struct sockaddr;
struct faults_observer {
    void (*connect)(int fd, const struct sockaddr *sa);
    void (*close)(int fd);
};
void faults_observe(const struct faults_observer *observer);

#endif
