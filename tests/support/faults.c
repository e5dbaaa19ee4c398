/* SPDX-License-Identifier: BSD-3-Clause */
#include "faults.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "alloc_faults.h"
#include "faults_calls.h"
#include "require.h"

/* Descriptors from this number on are never looked at. */
#define MAX_FD 32768
#define MAX_MARKER 64

enum repeat { ONCE, ONWARD, EVERY };

struct rule {
    int error; /* 0: no rule */
    enum repeat repeat;
    uint64_t start; /* calls made before the rule */
    uint64_t n;
};

struct limit {
    bool set;
    uint64_t at;
    int error;
};

struct faults {
    int fd; /* -1: closed */
    uint64_t calls[FAULTS_CALLS];
    uint64_t bytes[FAULTS_CALLS];
    size_t max[FAULTS_CALLS];
    struct rule rules[FAULTS_CALLS];
    struct limit input, output;
    faults_decide_fn decide;
    void *decide_arg;
    uint64_t unsafe_writes;
    bool shut_for_writing;
    bool recording;
    unsigned char *record;
    size_t record_len, record_room;
    struct faults *next;
};

/* The end of what a socket wrote, shorter than the text that is looked for. */
struct tail {
    size_t len;
    unsigned char data[MAX_MARKER];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct faults *attached[MAX_FD];
static struct faults *all;
static struct tail *tails[MAX_FD];
static char marker[MAX_MARKER + 1];
static unsigned marker_count;
static faults_connect_fn on_connect;
static void *on_connect_arg;

static struct faults *lookup(int fd)
{
    return fd >= 0 && fd < MAX_FD ? attached[fd] : NULL;
}

struct faults *faults_attach(int fd)
{
    struct faults *f;

    alloc_faults_pause();
    f = calloc(1, sizeof *f);
    alloc_faults_resume();
    support_require(f != NULL && fd >= 0 && fd < MAX_FD);
    pthread_mutex_lock(&lock);
    support_require(attached[fd] == NULL);
    f->fd = fd;
    f->next = all;
    all = f;
    attached[fd] = f;
    pthread_mutex_unlock(&lock);
    return f;
}

static void release(struct faults *f)
{
    if (f->fd >= 0)
        attached[f->fd] = NULL;
    free(f->record);
    free(f);
}

static void stop_watching(void)
{
    marker[0] = '\0';
    marker_count = 0;
    for (int fd = 0; fd < MAX_FD; fd++) {
        free(tails[fd]);
        tails[fd] = NULL;
    }
}

void faults_reset(void)
{
    pthread_mutex_lock(&lock);
    while (all != NULL) {
        struct faults *f = all;

        all = f->next;
        release(f);
    }
    stop_watching();
    on_connect = NULL;
    pthread_mutex_unlock(&lock);
}

/* Rules. */

void faults_limit(struct faults *f, enum faults_call call, size_t max)
{
    pthread_mutex_lock(&lock);
    f->max[call] = max;
    pthread_mutex_unlock(&lock);
}

static void set_rule(struct faults *f, enum faults_call call, enum repeat repeat, uint64_t n,
                     int error)
{
    support_require(n > 0);
    pthread_mutex_lock(&lock);
    f->rules[call] =
        (struct rule){.error = error, .repeat = repeat, .start = f->calls[call], .n = n};
    pthread_mutex_unlock(&lock);
}

void faults_fail(struct faults *f, enum faults_call call, uint64_t nth, int error)
{
    set_rule(f, call, ONCE, nth, error);
}

void faults_fail_from(struct faults *f, enum faults_call call, uint64_t nth, int error)
{
    set_rule(f, call, ONWARD, nth, error);
}

void faults_fail_every(struct faults *f, enum faults_call call, uint64_t n, int error)
{
    set_rule(f, call, EVERY, n, error);
}

void faults_end_input_at(struct faults *f, uint64_t bytes, int error)
{
    pthread_mutex_lock(&lock);
    f->input = (struct limit){.set = true, .at = bytes, .error = error};
    if (f->bytes[FAULTS_READ] >= bytes)
        faults_real_shutdown(f->fd, SHUT_RD);
    pthread_mutex_unlock(&lock);
}

void faults_end_output_at(struct faults *f, uint64_t bytes, int error)
{
    pthread_mutex_lock(&lock);
    f->output = (struct limit){.set = true, .at = bytes, .error = error};
    pthread_mutex_unlock(&lock);
}

void faults_decide(struct faults *f, faults_decide_fn decide, void *arg)
{
    pthread_mutex_lock(&lock);
    f->decide = decide;
    f->decide_arg = arg;
    pthread_mutex_unlock(&lock);
}

static bool applies(const struct rule *rule, uint64_t call)
{
    uint64_t n = call - rule->start;

    if (rule->error == 0)
        return false;
    switch (rule->repeat) {
    case ONCE:
        return n == rule->n;
    case ONWARD:
        return n >= rule->n;
    case EVERY:
        break;
    }
    return n % rule->n == 0;
}

static void apply_limit(const struct limit *limit, uint64_t done, bool reading,
                        struct faults_verdict *v)
{
    if (!limit->set || v->error != 0)
        return;
    if (done < limit->at) {
        if (v->max > limit->at - done)
            v->max = (size_t)(limit->at - done);
    } else if (reading && limit->error == 0) {
        v->end = true;
    } else {
        v->error = limit->error;
    }
}

static void apply_rules(struct faults *f, enum faults_call call, struct faults_verdict *v)
{
    if (v->error == 0 && !v->end && applies(&f->rules[call], f->calls[call]))
        v->error = f->rules[call].error;
    if (f->max[call] != 0 && f->max[call] < v->max)
        v->max = f->max[call];
    if (call == FAULTS_READ)
        apply_limit(&f->input, f->bytes[FAULTS_READ], true, v);
    if (call == FAULTS_WRITE)
        apply_limit(&f->output, f->bytes[FAULTS_WRITE], false, v);
}

struct faults_verdict faults_before(int fd, enum faults_call call, size_t len)
{
    struct faults_verdict v = {.max = SIZE_MAX};
    faults_decide_fn decide = NULL;
    void *arg = NULL;
    struct faults *f;

    pthread_mutex_lock(&lock);
    f = lookup(fd);
    if (f != NULL && (call == FAULTS_READ || call == FAULTS_WRITE)) {
        decide = f->decide;
        arg = f->decide_arg;
    }
    if (f != NULL)
        f->calls[call]++;
    pthread_mutex_unlock(&lock);

    if (decide != NULL) {
        v = decide(call, len, arg);
        if (v.max == 0)
            v.max = SIZE_MAX;
    }
    pthread_mutex_lock(&lock);
    f = lookup(fd);
    if (f != NULL)
        apply_rules(f, call, &v);
    pthread_mutex_unlock(&lock);
    return v;
}

void faults_after_read(int fd, size_t len)
{
    struct faults *f;

    pthread_mutex_lock(&lock);
    f = lookup(fd);
    if (f != NULL) {
        f->bytes[FAULTS_READ] += len;
        if (f->input.set && f->bytes[FAULTS_READ] >= f->input.at)
            faults_real_shutdown(fd, SHUT_RD);
    }
    pthread_mutex_unlock(&lock);
}

/* Recording and watching. */

static void append(struct faults *f, const void *data, size_t len)
{
    if (f->record_len + len > f->record_room) {
        size_t room = (f->record_len + len) * 2;
        unsigned char *bigger = realloc(f->record, room);

        support_require(bigger != NULL);
        f->record = bigger;
        f->record_room = room;
    }
    memcpy(f->record + f->record_len, data, len);
    f->record_len += len;
}

/* Counts the marker in tail and data together, and keeps the new tail. */
static void scan(struct tail *tail, const unsigned char *data, size_t len)
{
    size_t marker_len = strlen(marker);
    size_t keep = marker_len - 1;
    unsigned char joint[2 * MAX_MARKER];
    size_t front = len < keep ? len : keep;
    const unsigned char *p = data;

    memcpy(joint, tail->data, tail->len);
    memcpy(joint + tail->len, data, front);
    if (memmem(joint, tail->len + front, marker, marker_len) != NULL)
        marker_count++;
    while ((p = memmem(p, len - (size_t)(p - data), marker, marker_len)) != NULL) {
        marker_count++;
        p++;
    }
    if (len >= keep) {
        memcpy(tail->data, data + len - keep, keep);
        tail->len = keep;
    } else {
        size_t total = tail->len + front;
        size_t drop = total > keep ? total - keep : 0;

        memcpy(tail->data, joint + drop, total - drop);
        tail->len = total - drop;
    }
}

static struct tail *tail_of(int fd)
{
    struct stat st;

    if (fd < 0 || fd >= MAX_FD || fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
        return NULL;
    if (tails[fd] == NULL)
        tails[fd] = calloc(1, sizeof *tails[fd]);
    support_require(tails[fd] != NULL);
    return tails[fd];
}

static void look_at(struct faults *f, struct tail *tail, const struct iovec *iov, size_t len)
{
    for (; len > 0; iov++) {
        size_t part = iov->iov_len < len ? iov->iov_len : len;

        if (part == 0)
            continue;
        if (f != NULL && f->recording)
            append(f, iov->iov_base, part);
        if (tail != NULL)
            scan(tail, iov->iov_base, part);
        len -= part;
    }
}

void faults_after_write(int fd, const struct iovec *iov, size_t len)
{
    struct faults *f;

    pthread_mutex_lock(&lock);
    f = lookup(fd);
    if (f != NULL)
        f->bytes[FAULTS_WRITE] += len;
    alloc_faults_pause();
    if (iov != NULL)
        look_at(f, marker[0] != '\0' ? tail_of(fd) : NULL, iov, len);
    alloc_faults_resume();
    pthread_mutex_unlock(&lock);
}

void faults_note_write(int fd, bool safe)
{
    struct faults *f;

    pthread_mutex_lock(&lock);
    f = lookup(fd);
    if (f != NULL && !safe)
        f->unsafe_writes++;
    pthread_mutex_unlock(&lock);
}

void faults_note_shutdown(int fd, int how)
{
    struct faults *f;

    pthread_mutex_lock(&lock);
    f = lookup(fd);
    if (f != NULL && (how == SHUT_WR || how == SHUT_RDWR))
        f->shut_for_writing = true;
    pthread_mutex_unlock(&lock);
}

void faults_note_close(int fd)
{
    struct faults *f;

    pthread_mutex_lock(&lock);
    f = lookup(fd);
    if (f != NULL) {
        attached[fd] = NULL;
        f->fd = -1;
    }
    if (fd >= 0 && fd < MAX_FD) {
        free(tails[fd]);
        tails[fd] = NULL;
    }
    pthread_mutex_unlock(&lock);
}

void faults_note_connect(int fd)
{
    faults_connect_fn fn = NULL;
    void *arg;

    pthread_mutex_lock(&lock);
    if (lookup(fd) == NULL)
        fn = on_connect;
    arg = on_connect_arg;
    pthread_mutex_unlock(&lock);
    if (fn != NULL)
        fn(faults_attach(fd), fd, arg);
}

void faults_on_connect(faults_connect_fn fn, void *arg)
{
    pthread_mutex_lock(&lock);
    on_connect = fn;
    on_connect_arg = arg;
    pthread_mutex_unlock(&lock);
}

void faults_watch(const char *text)
{
    support_require(strlen(text) > 1 && strlen(text) <= MAX_MARKER);
    pthread_mutex_lock(&lock);
    stop_watching();
    strcpy(marker, text);
    pthread_mutex_unlock(&lock);
}

unsigned faults_watch_count(void)
{
    unsigned count;

    pthread_mutex_lock(&lock);
    count = marker_count;
    pthread_mutex_unlock(&lock);
    return count;
}

void faults_record(struct faults *f)
{
    pthread_mutex_lock(&lock);
    f->recording = true;
    pthread_mutex_unlock(&lock);
}

const unsigned char *faults_recorded(const struct faults *f, size_t *len)
{
    *len = f->record_len;
    return f->record;
}

bool faults_recorded_contains(const struct faults *f, const char *text)
{
    return f->record_len > 0 && memmem(f->record, f->record_len, text, strlen(text)) != NULL;
}

/* Counts. */

uint64_t faults_calls(const struct faults *f, enum faults_call call)
{
    return f->calls[call];
}

uint64_t faults_bytes(const struct faults *f, enum faults_call call)
{
    return f->bytes[call];
}

bool faults_is_closed(const struct faults *f)
{
    return f->fd < 0;
}

bool faults_is_shut_for_writing(const struct faults *f)
{
    return f->shut_for_writing;
}

uint64_t faults_unsafe_writes(const struct faults *f)
{
    return f->unsafe_writes;
}
