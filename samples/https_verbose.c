/* SPDX-License-Identifier: BSD-3-Clause */
#include "https_verbose.h"

#include <stdio.h>

#include <evtls/evtls.h>

static const char *or_none(const char *text)
{
    return text ? text : "none";
}

static void show_certificate(const struct evtls_certificate *certificate)
{
    if (!certificate) {
        fprintf(stderr, "*   peer: no certificate\n");
        return;
    }
    fprintf(stderr, "*   peer: %s\n", evtls_certificate_get_subject(certificate));
    fprintf(stderr, "*   issuer: %s\n", evtls_certificate_get_issuer(certificate));
    fprintf(stderr, "*   SHA-256: %s\n", evtls_certificate_get_sha256(certificate));
}

void https_verbose_handshake(struct bufferevent *bev)
{
    const struct evtls_engine *engine = evtls_bufferevent_get_engine(bev);
    int auth = evtls_engine_get_peer_auth(engine);

    fprintf(stderr, "* handshake: %s, %s, group %s, ALPN %s\n",
            or_none(evtls_engine_get_version(engine)), or_none(evtls_engine_get_cipher(engine)),
            or_none(evtls_engine_get_group(engine)), or_none(evtls_engine_get_alpn(engine, NULL)));
    show_certificate(evtls_engine_get_peer_certificate(engine));
    fprintf(stderr, "*   verified: %s\n", auth == EVTLS_PEER_CERTIFICATE_HOST ? "yes" : "no");
    fprintf(stderr, "*   resumed: %s\n", evtls_engine_get_session_reused(engine) ? "yes" : "no");
}

void https_verbose_alpn(const char *protocol)
{
    fprintf(stderr, "* alpn: %s\n", or_none(protocol));
}
