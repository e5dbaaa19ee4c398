/* SPDX-License-Identifier: BSD-3-Clause */
#include "https_sessions.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct https_known_host {
    struct https_known_host *next;
    struct evtls_session *session;
    char authority[];
};

static struct https_known_host *find(const struct https_sessions *sessions, const char *authority)
{
    struct https_known_host *host = sessions->first;

    while (host && strcasecmp(host->authority, authority) != 0) {
        host = host->next;
    }
    return host;
}

void https_sessions_keep(struct https_sessions *sessions, const char *authority,
                         struct evtls_session *session)
{
    struct https_known_host *host = find(sessions, authority);
    size_t size = strlen(authority) + 1;

    if (!host) {
        host = calloc(1, sizeof(*host) + size);
        if (!host) {
            return; /* the next handshake is a full one */
        }
        memcpy(host->authority, authority, size);
        host->next = sessions->first;
        sessions->first = host;
    }
    evtls_session_free(host->session);
    host->session = evtls_session_incref(session);
}

struct evtls_session *https_sessions_take(struct https_sessions *sessions, const char *authority)
{
    struct https_known_host *host = find(sessions, authority);
    struct evtls_session *session = host ? host->session : NULL;

    if (host) {
        host->session = NULL;
    }
    return session;
}

void https_sessions_cleanup(struct https_sessions *sessions)
{
    struct https_known_host *host;

    while ((host = sessions->first) != NULL) {
        sessions->first = host->next;
        evtls_session_free(host->session);
        free(host);
    }
}
