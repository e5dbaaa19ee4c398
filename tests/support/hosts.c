/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "support/hosts.h"

#include <stdio.h>
#include <string.h>

#include "support/require.h"

static int choose(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                  void *arg)
{
    struct hosts *hosts = arg;
    struct evtls_context *ctx = hosts->chosen_for_all;

    (void)initial;
    if (ctx == NULL)
        ctx = name != NULL && strcmp(name, "a.test") == 0 ? hosts->a : hosts->b;
    return evtls_engine_set_context(engine, ctx, NULL) == 0 ? 0 : -1;
}

struct pki_ident *host_ident(struct hosts *hosts, const char *name)
{
    char san[64];

    snprintf(san, sizeof(san), "DNS:%s", name);
    return pki_issue(hosts->pki, &(struct pki_spec){.cn = name, .san = san});
}

void hosts_open(struct hosts *hosts)
{
    memset(hosts, 0, sizeof(*hosts));
    hosts->pki = pki_new();
    hosts->client = pki_issue(hosts->pki, &(struct pki_spec){.cn = "client"});
    hosts->initial = server_context(pki_issue(hosts->pki, &(struct pki_spec){0}));
    support_require(evtls_context_set_sni_callback(hosts->initial, choose, hosts, NULL) == 0);
}

void hosts_close(struct hosts *hosts)
{
    evtls_context_free(hosts->initial);
    evtls_context_free(hosts->a);
    evtls_context_free(hosts->b);
    pki_free(hosts->pki);
}

struct outcome visit_context(struct hosts *hosts, struct evtls_context *ctx,
                             const struct visit *visit)
{
    struct outcome outcome = {0};
    struct end server;
    struct peer *peer = peer_new(&(struct peer_options){
        .trust = pki_root(hosts->pki),
        .sni = visit->sni,
        .ident = visit->anonymous ? NULL : hosts->client,
        .min_version = visit->version,
        .max_version = visit->version,
        .ssl_options = visit->no_tickets ? SSL_OP_NO_TICKET : 0,
        .session = visit->session,
        .alpn = "h2,http/1.1",
    });

    end_open(&server, ctx, EVTLS_SERVER);
    outcome.connected = end_connect_peer(&server, peer);
    outcome.reused = outcome.connected && peer_session_reused(peer);
    support_require(evtls_engine_get_session_reused(server.engine) == outcome.reused);
    outcome.peer_seen = evtls_engine_get_peer_certificate(server.engine) != NULL;
    outcome.session = peer_session(peer);
    if (outcome.session == NULL && outcome.connected)
        outcome.session = SSL_get_session(peer_ssl(peer));
    if (outcome.session != NULL)
        SSL_SESSION_up_ref(outcome.session);
    /* Or OpenSSL takes the session for broken. */
    SSL_set_shutdown(peer_ssl(peer), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    peer_free(peer);
    end_close(&server);
    return outcome;
}

struct outcome visit_hosts(struct hosts *hosts, const struct visit *visit)
{
    return visit_context(hosts, hosts->initial, visit);
}

SSL_SESSION *make_session(struct hosts *hosts, const struct visit *visit)
{
    struct outcome outcome = visit_hosts(hosts, visit);

    support_require(outcome.connected && !outcome.reused && outcome.session != NULL);
    return outcome.session;
}

bool is_resumed(struct hosts *hosts, SSL_SESSION *session, struct visit visit)
{
    struct outcome outcome;

    visit.session = session;
    outcome = visit_hosts(hosts, &visit);
    support_require(outcome.connected);
    SSL_SESSION_free(outcome.session);
    return outcome.reused;
}

const struct way ways[N_WAYS] = {
    {"1.2 by ticket", TLS1_2_VERSION, false},
    {"1.2 by cache", TLS1_2_VERSION, true},
    {"1.3", TLS1_3_VERSION, false},
};
