#include "raw.h"
#include "common.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <openssl/err.h>

int raw_open(struct raw *raw, SSL_CTX *ctx, int fd)
{
    *raw = (struct raw){.ssl = SSL_new(ctx), .fd = fd};
    if (raw->ssl != NULL && SSL_set_fd(raw->ssl, fd) == 1)
        return 0;
    SSL_free(raw->ssl);
    raw->ssl = NULL;
    close(fd);
    return -1;
}

void raw_close(struct raw *raw)
{
    if (raw->ssl == NULL)
        return;
    if (SSL_is_init_finished(raw->ssl))
        SSL_shutdown(raw->ssl);
    SSL_free(raw->ssl);
    close(raw->fd);
    ERR_clear_error();
    *raw = (struct raw){0};
}

static enum raw_status classify(const struct raw *raw, int result)
{
    switch (SSL_get_error(raw->ssl, result)) {
    case SSL_ERROR_NONE:
        return RAW_OK;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return RAW_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return RAW_CLOSED;
    default:
        return RAW_FAILED;
    }
}

enum raw_status raw_handshake(struct raw *raw)
{
    return classify(raw, SSL_do_handshake(raw->ssl));
}

enum raw_status raw_read(struct raw *raw, void *data, size_t size, size_t *got)
{
    *got = 0;
    return classify(raw, SSL_read_ex(raw->ssl, data, size, got));
}

enum raw_status raw_write(struct raw *raw, const void *data, size_t size, size_t *written)
{
    *written = 0;
    return classify(raw, SSL_write_ex(raw->ssl, data, size, written));
}

uint32_t raw_wants(const struct raw *raw)
{
    return SSL_want_write(raw->ssl) ? EPOLLOUT : EPOLLIN;
}

void raw_watch(struct raw *raw, int epoll_fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    int operation = raw->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (raw->watched == events)
        return;
    if (epoll_ctl(epoll_fd, operation, raw->fd, &event) < 0)
        bench_die("epoll_ctl: %s", strerror(errno));
    raw->watched = events;
}
