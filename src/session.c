/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "certificate.h"
#include "context.h"
#include "engine_ssl.h"
#include "hostname.h"
#include "session.h"

/*
 * How long what was proven once is good for. A resumption proves nothing anew, and in TLS 1.3
 * gives a new ticket: without this a chain of them would never end.
 */
struct lifetime {
    int64_t since; /* the full handshake */
    int64_t until;
};

struct evtls_session {
    atomic_uint refs;
    SSL_SESSION *session;
    struct lifetime lifetime;
    char *host; /* what was verified, or NULL */
    unsigned char policy[EVTLS_POLICY_DIGEST_LENGTH];
    unsigned char identity[EVTLS_POLICY_DIGEST_LENGTH];
};

/* ---- Lifetimes -------------------------------------------------------------------------- */

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

static void end_with_certificate(struct lifetime *lifetime, const X509 *x509)
{
    int64_t end;

    if (x509 != NULL && evtls_asn1_time_to_seconds(X509_get0_notAfter(x509), &end) &&
        end < lifetime->until)
        lifetime->until = end;
}

static struct lifetime lifetime_from_now(SSL *ssl, SSL_SESSION *session)
{
    struct lifetime lifetime = {.since = now_s()};

    lifetime.until = lifetime.since + EVTLS_SESSION_MAX_AGE;
    end_with_certificate(&lifetime, SSL_get_certificate(ssl));
    end_with_certificate(&lifetime, SSL_SESSION_get0_peer(session));
    return lifetime;
}

/* ---- A client's session ----------------------------------------------------------------- */

struct evtls_session *evtls_session_wrap(SSL_SESSION *session, SSL *ssl, struct evtls_context *ctx,
                                         const struct evtls_hostname *host,
                                         const struct evtls_session *parent)
{
    struct evtls_session *wrapped = calloc(1, sizeof(*wrapped));

    if (wrapped == NULL)
        return NULL;
    if (host != NULL) {
        wrapped->host = strdup(host->text);
        if (wrapped->host == NULL) {
            free(wrapped);
            return NULL;
        }
    }
    wrapped->refs = 1;
    wrapped->session = session;
    wrapped->lifetime = parent != NULL ? parent->lifetime : lifetime_from_now(ssl, session);
    memcpy(wrapped->policy, evtls_context_get_policy_digest(ctx), sizeof(wrapped->policy));
    memcpy(wrapped->identity, evtls_context_get_identity_digest(ctx), sizeof(wrapped->identity));
    return wrapped;
}

struct evtls_session *evtls_session_incref(struct evtls_session *session)
{
    if (session != NULL)
        session->refs++;
    return session;
}

void evtls_session_free(struct evtls_session *session)
{
    if (session == NULL || --session->refs > 0)
        return;
    SSL_SESSION_free(session->session);
    free(session->host);
    free(session);
}

SSL_SESSION *evtls_session_get_ssl_session(const struct evtls_session *session)
{
    return session->session;
}

/* The identity first: it is the more telling of the two. */
static const char *find_refusal(const struct evtls_session *session, struct evtls_context *ctx)
{
    if (memcmp(session->identity, evtls_context_get_identity_digest(ctx),
               sizeof(session->identity)) != 0)
        return "the session was made with another certificate of ours";
    if (memcmp(session->policy, evtls_context_get_policy_digest(ctx), sizeof(session->policy)) != 0)
        return "the session was made under another policy";
    if (now_s() >= session->lifetime.until)
        return "the session is past its time";
    return NULL;
}

int evtls_session_check(const struct evtls_session *session, struct evtls_context *ctx,
                        const struct evtls_hostname *host, struct evtls_error *err)
{
    const char *refusal = find_refusal(session, ctx);

    if (refusal != NULL)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "%s", refusal);
    if (host != NULL && session->host != NULL && strcmp(host->text, session->host) != 0)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "the session was verified for %s, not for %s",
                               session->host, host->text);
    if (host != NULL && session->host == NULL && evtls_context_checks_hostname(ctx))
        return evtls_error_set(err, EVTLS_ERR_USAGE, "the session was verified for no host name");
    return evtls_error_set_ok(err);
}

/* ---- A server's session ----------------------------------------------------------------- */

/*
 * What a server has to know of a session later travels in it, in a form of its own, since tickets
 * outlive processes: a version, since, until, and the server name of its handshake, which is the
 * rest. A session is not resumed for another name, in TLS 1.2 because RFC 6066, section 3, forbids
 * it and in TLS 1.3 because nothing is gained by it.
 */
#define MARK_VERSION 1
#define MARK_LENGTH (1 + 8 + 8)
#define MARK_MAX_LENGTH (MARK_LENGTH + 255)

struct mark {
    struct lifetime lifetime;
    const char *name; /* name_len bytes, in the session */
    size_t name_len;
};

static void put_number(unsigned char *at, int64_t number)
{
    for (int i = 7; i >= 0; i--) {
        at[i] = (unsigned char)number;
        number = (int64_t)((uint64_t)number >> 8);
    }
}

static int64_t get_number(const unsigned char *at)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return (int64_t)number;
}

static bool read_mark(SSL_SESSION *session, struct mark *mark)
{
    void *data = NULL;
    const unsigned char *bytes;
    size_t len = 0;

    if (!SSL_SESSION_get0_ticket_appdata(session, &data, &len) || len < MARK_LENGTH)
        return false;
    bytes = data;
    mark->lifetime.since = get_number(bytes + 1);
    mark->lifetime.until = get_number(bytes + 9);
    mark->name = (const char *)bytes + MARK_LENGTH;
    mark->name_len = len - MARK_LENGTH;
    return bytes[0] == MARK_VERSION;
}

/* "" where the client named no host. */
static const char *get_server_name(const SSL *ssl)
{
    const char *name = evtls_engine_get_server_name(evtls_engine_from_ssl(ssl));

    return name != NULL ? name : "";
}

static int write_mark(SSL_SESSION *session, const struct lifetime *lifetime, const char *name)
{
    unsigned char bytes[MARK_MAX_LENGTH] = {MARK_VERSION};
    size_t name_len = strlen(name);

    if (name_len > sizeof(bytes) - MARK_LENGTH)
        return -1;
    put_number(bytes + 1, lifetime->since);
    put_number(bytes + 9, lifetime->until);
    memcpy(bytes + MARK_LENGTH, name, name_len);
    return SSL_SESSION_set1_ticket_appdata(session, bytes, MARK_LENGTH + name_len) ? 0 : -1;
}

/* A session that was resumed brings the mark along: OpenSSL copies it. */
int64_t evtls_session_mark(SSL *ssl, SSL_SESSION *session)
{
    struct mark mark;
    int64_t left;

    if (!SSL_session_reused(ssl) || !read_mark(session, &mark)) {
        mark.lifetime = lifetime_from_now(ssl, session);
        if (write_mark(session, &mark.lifetime, get_server_name(ssl)) < 0)
            return -1;
    }
    left = mark.lifetime.until - now_s();
    if (left < SSL_SESSION_get_timeout(session))
        SSL_SESSION_set_timeout(session, left > 0 ? (long)left : 1);
    return now_s() + SSL_SESSION_get_timeout(session);
}

bool evtls_session_may_resume(SSL *ssl, SSL_SESSION *session)
{
    const char *name = get_server_name(ssl);
    struct mark mark;

    return read_mark(session, &mark) && now_s() < mark.lifetime.until &&
           mark.name_len == strlen(name) && memcmp(mark.name, name, mark.name_len) == 0;
}

static int on_make_ticket(SSL *ssl, void *arg)
{
    return evtls_session_mark(ssl, SSL_get_session(ssl)) >= 0;
}

static SSL_TICKET_RETURN on_open_ticket(SSL *ssl, SSL_SESSION *session,
                                        const unsigned char *key_name, size_t key_name_len,
                                        SSL_TICKET_STATUS status, void *arg)
{
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!evtls_session_may_resume(ssl, session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    /* A client uses a ticket of TLS 1.3 once (RFC 8446, appendix C.4), so it needs another. OpenSSL
     * sees to that by itself only where the ticket keys are its own. */
    if (status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) >= TLS1_3_VERSION)
        return SSL_TICKET_RETURN_USE_RENEW;
    return SSL_TICKET_RETURN_USE;
}

int evtls_session_setup_ssl_ctx(SSL_CTX *ssl_ctx)
{
    return SSL_CTX_set_session_ticket_cb(ssl_ctx, on_make_ticket, on_open_ticket, NULL) ? 0 : -1;
}
