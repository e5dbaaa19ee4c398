/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * chat_client.h - the client of starttls-chat: says its lines one after the other, each once the
 * one before is answered, and goes up to TLS and down again where a line asks for it.
 */
#ifndef CHAT_CLIENT_H
#define CHAT_CLIENT_H

struct sample_endpoint;

/* Returns an exit status. cafile NULL: the system's CAs. */
int chat_client_run(const struct sample_endpoint *server, const char *cafile, char **lines, int n);

#endif
