/* SPDX-License-Identifier: BSD-3-Clause */
/* The checked variants of read and recv would define these functions inline. */
#undef _FORTIFY_SOURCE

#include "faults_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_IOV 1024

static struct {
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*readv)(int, const struct iovec *, int);
    ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
    ssize_t (*recvmsg)(int, struct msghdr *, int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    ssize_t (*sendfile)(int, int, off_t *, size_t);
    int (*accept4)(int, struct sockaddr *, socklen_t *, int);
    int (*connect)(int, const struct sockaddr *, socklen_t);
    int (*getsockopt)(int, int, int, void *, socklen_t *);
    int (*shutdown)(int, int);
    int (*close)(int);
} real;

static void find(void *slot, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    memcpy(slot, &symbol, sizeof symbol);
}

static void find_all(void)
{
    find(&real.read, "read");
    find(&real.readv, "readv");
    find(&real.recvfrom, "recvfrom");
    find(&real.recvmsg, "recvmsg");
    find(&real.write, "write");
    find(&real.writev, "writev");
    find(&real.sendto, "sendto");
    find(&real.sendmsg, "sendmsg");
    find(&real.sendfile, "sendfile");
    find(&real.accept4, "accept4");
    find(&real.connect, "connect");
    find(&real.getsockopt, "getsockopt");
    find(&real.shutdown, "shutdown");
    find(&real.close, "close");
}

static void resolve(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_all);
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static ssize_t fail_write(int error, bool safe)
{
    if (error == EPIPE && !safe)
        raise(SIGPIPE);
    return fail(error);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t iov_len(const struct iovec *iov, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += iov[i].iov_len;
    return len;
}

/* The front of a vector, at most max bytes of it; returns the number of elements used in out. */
static size_t iov_front(struct iovec *out, const struct iovec *iov, size_t n, size_t max)
{
    size_t used = 0;

    for (size_t i = 0; i < n && i < MAX_IOV && max > 0; i++) {
        out[used] = iov[i];
        out[used].iov_len = smaller(iov[i].iov_len, max);
        max -= out[used].iov_len;
        used++;
    }
    return used;
}

/* Reading. */

static ssize_t after_read(int fd, ssize_t ret)
{
    int error = errno;

    if (ret > 0)
        faults_after_read(fd, (size_t)ret);
    errno = error;
    return ret;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    struct iovec front[MAX_IOV];
    struct msghdr part = *msg;
    struct faults_verdict v;
    ssize_t ret;

    resolve();
    v = faults_before(fd, FAULTS_READ, iov_len(msg->msg_iov, msg->msg_iovlen));
    if (v.error != 0)
        return fail(v.error);
    if (v.end)
        return 0;
    part.msg_iov = front;
    part.msg_iovlen = iov_front(front, msg->msg_iov, msg->msg_iovlen, v.max);
    ret = real.recvmsg(fd, &part, flags);
    msg->msg_namelen = part.msg_namelen;
    msg->msg_controllen = part.msg_controllen;
    msg->msg_flags = part.msg_flags;
    return flags & MSG_PEEK ? ret : after_read(fd, ret);
}

ssize_t recvfrom(int fd, void *data, size_t len, int flags, struct sockaddr *sa, socklen_t *sa_len)
{
    struct faults_verdict v;
    ssize_t ret;

    resolve();
    v = faults_before(fd, FAULTS_READ, len);
    if (v.error != 0)
        return fail(v.error);
    if (v.end)
        return 0;
    ret = real.recvfrom(fd, data, smaller(len, v.max), flags, sa, sa_len);
    return flags & MSG_PEEK ? ret : after_read(fd, ret);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
    return recvfrom(fd, data, len, flags, NULL, NULL);
}

ssize_t read(int fd, void *data, size_t len)
{
    struct faults_verdict v;

    resolve();
    v = faults_before(fd, FAULTS_READ, len);
    if (v.error != 0)
        return fail(v.error);
    if (v.end)
        return 0;
    return after_read(fd, real.read(fd, data, smaller(len, v.max)));
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
    struct iovec front[MAX_IOV];
    struct faults_verdict v;
    size_t used;

    resolve();
    v = faults_before(fd, FAULTS_READ, iov_len(iov, (size_t)n));
    if (v.error != 0)
        return fail(v.error);
    if (v.end)
        return 0;
    used = iov_front(front, iov, (size_t)n, v.max);
    return after_read(fd, real.readv(fd, front, (int)used));
}

/* Writing. */

static ssize_t after_write(int fd, const struct iovec *iov, ssize_t ret)
{
    int error = errno;

    if (ret > 0)
        faults_after_write(fd, iov, (size_t)ret);
    errno = error;
    return ret;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct iovec front[MAX_IOV];
    struct msghdr part = *msg;
    bool safe = (flags & MSG_NOSIGNAL) != 0;
    struct faults_verdict v;

    resolve();
    v = faults_before(fd, FAULTS_WRITE, iov_len(msg->msg_iov, msg->msg_iovlen));
    faults_note_write(fd, safe);
    if (v.error != 0)
        return fail_write(v.error, safe);
    part.msg_iov = front;
    part.msg_iovlen = iov_front(front, msg->msg_iov, msg->msg_iovlen, v.max);
    return after_write(fd, front, real.sendmsg(fd, &part, flags));
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *sa,
               socklen_t sa_len)
{
    struct iovec iov = {(void *)data, len};
    bool safe = (flags & MSG_NOSIGNAL) != 0;
    struct faults_verdict v;

    resolve();
    v = faults_before(fd, FAULTS_WRITE, len);
    faults_note_write(fd, safe);
    if (v.error != 0)
        return fail_write(v.error, safe);
    return after_write(fd, &iov, real.sendto(fd, data, smaller(len, v.max), flags, sa, sa_len));
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    return sendto(fd, data, len, flags, NULL, 0);
}

ssize_t write(int fd, const void *data, size_t len)
{
    struct iovec iov = {(void *)data, len};
    struct faults_verdict v;

    resolve();
    v = faults_before(fd, FAULTS_WRITE, len);
    faults_note_write(fd, false);
    if (v.error != 0)
        return fail_write(v.error, false);
    return after_write(fd, &iov, real.write(fd, data, smaller(len, v.max)));
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    struct iovec front[MAX_IOV];
    struct faults_verdict v;
    size_t used;

    resolve();
    v = faults_before(fd, FAULTS_WRITE, iov_len(iov, (size_t)n));
    faults_note_write(fd, false);
    if (v.error != 0)
        return fail_write(v.error, false);
    used = iov_front(front, iov, (size_t)n, v.max);
    return after_write(fd, front, real.writev(fd, front, (int)used));
}

/* What a file gives is counted and not looked at. */
ssize_t sendfile(int fd, int in_fd, off_t *offset, size_t len)
{
    struct faults_verdict v;

    resolve();
    v = faults_before(fd, FAULTS_WRITE, len);
    faults_note_write(fd, false);
    if (v.error != 0)
        return fail_write(v.error, false);
    return after_write(fd, NULL, real.sendfile(fd, in_fd, offset, smaller(len, v.max)));
}

/* The rest. */

int accept4(int fd, struct sockaddr *sa, socklen_t *sa_len, int flags)
{
    struct faults_verdict v;

    resolve();
    v = faults_before(fd, FAULTS_ACCEPT, 0);
    return v.error != 0 ? fail(v.error) : real.accept4(fd, sa, sa_len, flags);
}

int accept(int fd, struct sockaddr *sa, socklen_t *sa_len)
{
    return accept4(fd, sa, sa_len, 0);
}

static const struct faults_observer *observer;

void faults_observe(const struct faults_observer *new_observer)
{
    observer = new_observer;
}

int connect(int fd, const struct sockaddr *sa, socklen_t sa_len)
{
    struct faults_verdict v;

    resolve();
    if (observer != NULL)
        observer->connect(fd, sa);
    faults_note_connect(fd);
    v = faults_before(fd, FAULTS_CONNECT, 0);
    return v.error != 0 ? fail(v.error) : real.connect(fd, sa, sa_len);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int ret;

    resolve();
    ret = real.getsockopt(fd, level, name, value, len);
    if (ret == 0 && level == SOL_SOCKET && name == SO_ERROR && *len == sizeof(int)) {
        struct faults_verdict v = faults_before(fd, FAULTS_SO_ERROR, 0);

        if (v.error != 0)
            memcpy(value, &v.error, sizeof v.error);
    }
    return ret;
}

int faults_real_shutdown(int fd, int how)
{
    resolve();
    return real.shutdown(fd, how);
}

int shutdown(int fd, int how)
{
    struct faults_verdict v;
    int ret;

    resolve();
    v = faults_before(fd, FAULTS_SHUTDOWN, 0);
    if (v.error != 0)
        return fail(v.error);
    ret = real.shutdown(fd, how);
    if (ret == 0)
        faults_note_shutdown(fd, how);
    return ret;
}

int close(int fd)
{
    struct faults_verdict v;
    int ret;

    resolve();
    if (observer != NULL)
        observer->close(fd);
    v = faults_before(fd, FAULTS_CLOSE, 0);
    /* Forgotten first: another thread may get the number as soon as it is free. */
    faults_note_close(fd);
    ret = real.close(fd);
    return v.error != 0 ? fail(v.error) : ret;
}

#ifdef __GLIBC__
/* What a program built with _FORTIFY_SOURCE calls where it knows the size of the buffer. */
ssize_t __read_chk(int fd, void *data, size_t len, size_t room);
ssize_t __recv_chk(int fd, void *data, size_t len, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *data, size_t len, size_t room, int flags, struct sockaddr *sa,
                       socklen_t *sa_len);

ssize_t __read_chk(int fd, void *data, size_t len, size_t room)
{
    if (len > room)
        raise(SIGABRT);
    return read(fd, data, len);
}

ssize_t __recv_chk(int fd, void *data, size_t len, size_t room, int flags)
{
    if (len > room)
        raise(SIGABRT);
    return recv(fd, data, len, flags);
}

ssize_t __recvfrom_chk(int fd, void *data, size_t len, size_t room, int flags, struct sockaddr *sa,
                       socklen_t *sa_len)
{
    if (len > room)
        raise(SIGABRT);
    return recvfrom(fd, data, len, flags, sa, sa_len);
}
#endif
