/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * https_sessions.h - the newest session of each host, to resume with when it is asked again.
 */
#ifndef HTTPS_SESSIONS_H
#define HTTPS_SESSIONS_H

#include <evtls/session.h>

struct https_known_host;

struct https_sessions {
    struct https_known_host *first;
};

/* Keeps a session of a host ("localhost:8443") in place of the one before. */
void https_sessions_keep(struct https_sessions *sessions, const char *authority,
                         struct evtls_session *session);

/*
 * Takes a host's session out, since each is used once; NULL when there is none. It is the caller's
 * to free.
 */
struct evtls_session *https_sessions_take(struct https_sessions *sessions, const char *authority);

void https_sessions_cleanup(struct https_sessions *sessions);

#endif
