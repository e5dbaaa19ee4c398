/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file_reply.h - sends a file as the body of an evhttp reply, a piece at a time: memory stays
 * small however large the file and however slow the reader is. The file is read, not mapped: one
 * that shrinks meanwhile ends the connection early, which the client sees, and not the process.
 */
#ifndef FILE_REPLY_H
#define FILE_REPLY_H

#include <sys/types.h>

#include <event2/http.h>

/*
 * Replies with length bytes (more than 0) of fd from offset on. The reply's headers, Content-Length
 * among them, must be there. Takes over req, as evhttp_send_reply does, and fd.
 */
void file_reply_send(struct evhttp_request *req, int status, const char *reason, int fd,
                     off_t offset, off_t length);

#endif
