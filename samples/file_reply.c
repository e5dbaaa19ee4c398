/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>

#define PIECE_BYTES (256 * 1024)

struct file_reply {
    struct evhttp_request *req;
    struct evbuffer *piece;
    int fd;
    off_t offset;
    off_t left;
};

static void free_reply(struct file_reply *reply)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(reply->req);

    if (evcon != NULL)
        evhttp_connection_set_closecb(evcon, NULL, NULL);
    evbuffer_free(reply->piece);
    close(reply->fd);
    free(reply);
}

/*
 * evhttp's way to say that the client is gone. Where it has taken the request off the connection
 * the request is ours to end; else (evhttp_free) it goes with the connection.
 */
static void connection_closed(struct evhttp_connection *evcon, void *arg)
{
    struct file_reply *reply = arg;
    struct evhttp_request *req = reply->req;
    int ours = evhttp_request_get_connection(req) == NULL;

    evhttp_connection_set_closecb(evcon, NULL, NULL);
    free_reply(reply);
    if (ours)
        evhttp_send_reply_end(req);
}

/* Returns how many bytes were read, 0 at an end that came too early, or -1. */
static ssize_t read_piece(struct file_reply *reply)
{
    size_t want = reply->left < PIECE_BYTES ? (size_t)reply->left : PIECE_BYTES;
    struct evbuffer_iovec space;
    ssize_t n;

    if (evbuffer_reserve_space(reply->piece, (ev_ssize_t)want, &space, 1) != 1)
        return -1;
    do
        n = pread(reply->fd, space.iov_base, want, reply->offset);
    while (n < 0 && errno == EINTR);
    space.iov_len = n > 0 ? (size_t)n : 0;
    if (evbuffer_commit_space(reply->piece, &space, 1) < 0)
        return -1;
    return n;
}

/* Runs once for the first piece, then whenever the piece before has been taken by the socket. */
static void send_piece(struct evhttp_connection *evcon, void *arg)
{
    struct file_reply *reply = arg;
    struct evhttp_request *req = reply->req;
    ssize_t n = read_piece(reply);

    if (n <= 0) { /* the length was promised: only a broken connection tells the truth now */
        free_reply(reply);
        evhttp_connection_free(evcon);
        return;
    }
    reply->offset += n;
    reply->left -= n;
    if (reply->left > 0) {
        evhttp_send_reply_chunk_with_cb(req, reply->piece, send_piece, reply);
        return;
    }
    evhttp_send_reply_chunk(req, reply->piece);
    free_reply(reply);
    evhttp_send_reply_end(req);
}

void file_reply_send(struct evhttp_request *req, int status, const char *reason, int fd,
                     off_t offset, off_t length)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(req);
    struct file_reply *reply = calloc(1, sizeof(*reply));

    if (reply == NULL || (reply->piece = evbuffer_new()) == NULL) {
        free(reply);
        close(fd);
        evhttp_connection_free(evcon);
        return;
    }
    reply->req = req;
    reply->fd = fd;
    reply->offset = offset;
    reply->left = length;
    evhttp_connection_set_closecb(evcon, connection_closed, reply);
    evhttp_send_reply_start(req, status, reason);
    send_piece(evcon, reply);
}
