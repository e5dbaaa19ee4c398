/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * https_verbose.h - tells on standard error what is known about a connection once its handshake is
 * complete.
 */
#ifndef HTTPS_VERBOSE_H
#define HTTPS_VERBOSE_H

struct bufferevent;

void https_verbose_handshake(struct bufferevent *bev);

/* protocol NULL: none was agreed. */
void https_verbose_alpn(const char *protocol);

#endif
