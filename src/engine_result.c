/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an SSL call's result means. The one place that asks SSL_get_error, and the one that makes a
 * connection's error.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "engine_internal.h"
#include "verify_reason.h"

/* ---- The connection's error ------------------------------------------------------------- */

/* In place of an error that there is no memory for. */
static const struct evtls_error no_memory_for_error = {
    .status = EVTLS_ERR_NOMEM,
    .alert = -1,
    .message = "out of memory",
};

int evtls_engine_end_with(struct evtls_engine *engine, const struct evtls_error *err)
{
    if (engine->error != NULL)
        return engine->error->status;
    engine->error = evtls_error_new(err);
    if (engine->error == NULL)
        engine->error = &no_memory_for_error;
    evtls_engine_state_move(&engine->state, EVTLS_ENGINE_ON_FAIL);
    return engine->error->status;
}

int evtls_engine_end_with_nomem(struct evtls_engine *engine)
{
    return evtls_engine_end_with(engine, &no_memory_for_error);
}

void evtls_engine_drop_error(struct evtls_engine *engine)
{
    if (engine->error != &no_memory_for_error)
        evtls_error_free((struct evtls_error *)engine->error);
    engine->error = NULL;
    evtls_error_free(engine->noted);
    engine->noted = NULL;
}

void evtls_engine_fail(struct evtls_engine *engine, const struct evtls_error *err)
{
    if (engine != NULL && err != NULL)
        evtls_engine_end_with(engine, err);
}

const struct evtls_error *evtls_engine_get_error(const struct evtls_engine *engine)
{
    return engine != NULL ? engine->error : NULL;
}

/* We find it ourselves, but with OpenSSL's mnemonics. */
static int end_truncated(struct evtls_engine *engine, const char *text)
{
    struct evtls_error err;
    unsigned long code = ERR_PACK(ERR_LIB_SSL, 0, SSL_R_UNEXPECTED_EOF_WHILE_READING);

    evtls_error_init(&err);
    err.status = EVTLS_ERR_TRUNCATED;
    err.ossl_code = code;
    evtls_ossl_mnemonics(code, err.library, sizeof(err.library), err.reason, sizeof(err.reason));
    snprintf(err.message, sizeof(err.message), "[%s: %s] %s", err.library, err.reason, text);
    err.alert = engine->alert_sent;
    return evtls_engine_end_with(engine, &err);
}

/* ---- Failures --------------------------------------------------------------------------- */

static int ssl_reason(unsigned long code)
{
    return ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
}

static bool is_nomem(unsigned long code)
{
    return ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
}

static bool is_telling(unsigned long code)
{
    return ssl_reason(code) == SSL_R_CERTIFICATE_VERIFY_FAILED || evtls_ossl_alert(code) >= 0 ||
           is_nomem(code);
}

/*
 * The first entry of the queue is the cause. But what a certificate store or a provider tried in
 * vain on the way may stand before a verdict or an alert: those count more.
 */
static unsigned long find_cause(void)
{
    if (is_telling(ERR_peek_last_error())) {
        while (!is_telling(ERR_peek_error()))
            ERR_get_error();
    }
    return ERR_peek_error();
}

static enum evtls_status status_of(unsigned long code)
{
    if (evtls_ossl_alert(code) >= 0)
        return EVTLS_ERR_ALERT;
    switch (ssl_reason(code)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return EVTLS_ERR_CERTIFICATE;
    default:
        return EVTLS_ERR_PROTOCOL;
    }
}

static void set_verify_error(const struct evtls_engine *engine, struct evtls_error *err)
{
    const struct evtls_verify_reason *reason = engine->refused;
    int code = (int)SSL_get_verify_result(engine->ssl);
    char words[EVTLS_VERIFY_REASON_SIZE];

    evtls_verify_reason_put_words(words, code, engine->host);
    evtls_error_set_ossl(err, EVTLS_ERR_CERTIFICATE, "%s",
                         reason != NULL && reason->code == code ? reason->text : words);
    err->verify_code = code;
}

/* What speaks first on a connection that is not TLS; as much as OpenSSL looks at. */
#define STRANGER(start, protocol)                                                                  \
    {                                                                                              \
        start, sizeof(start) - 1, protocol                                                         \
    }
static const struct {
    char start[EVTLS_RECORD_HEADER_LENGTH + 1];
    size_t len;
    const char *protocol;
} strangers[] = {
    STRANGER("GET ", "plain HTTP"),
    STRANGER("HEAD ", "plain HTTP"),
    STRANGER("POST ", "plain HTTP"),
    STRANGER("PUT ", "plain HTTP"),
    STRANGER("DELET", "plain HTTP"),
    STRANGER("OPTIO", "plain HTTP"),
    STRANGER("PATCH", "plain HTTP"),
    STRANGER("CONNE", "plain HTTP, as to a proxy"),
    STRANGER("PRI *", "plain HTTP/2"),
    STRANGER("HTTP/", "plain HTTP"),
    STRANGER("SSH-", "SSH"),
    STRANGER("PROXY", "the PROXY protocol"),
    STRANGER("\r\n\r\n\0", "the PROXY protocol"),
    STRANGER("220 ", "SMTP or FTP in the clear"),
    STRANGER("220-", "SMTP or FTP in the clear"),
    STRANGER("* OK ", "IMAP in the clear"),
    STRANGER("+OK ", "POP3 in the clear"),
    STRANGER("EHLO ", "SMTP in the clear"),
};

static const char *find_stranger(const unsigned char *first)
{
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        if (memcmp(first, strangers[i].start, strangers[i].len) == 0)
            return strangers[i].protocol;
    }
    return NULL;
}

/* Before the first good message: do the first bytes begin no record (nor an SSLv2 hello)? */
static bool is_stranger(const struct evtls_engine *engine)
{
    const unsigned char *first = engine->link.first;

    if (engine->heard || engine->link.first_len < EVTLS_RECORD_HEADER_LENGTH)
        return false;
    if ((first[0] & 0x80) != 0 && first[2] == SSL2_MT_CLIENT_HELLO)
        return false;
    return first[0] < SSL3_RT_CHANGE_CIPHER_SPEC || first[0] > SSL3_RT_APPLICATION_DATA ||
           first[1] != SSL3_VERSION_MAJOR;
}

static void set_stranger_error(const struct evtls_engine *engine, struct evtls_error *err)
{
    const unsigned char *first = engine->link.first;
    const char *protocol = find_stranger(first);

    if (protocol != NULL)
        evtls_error_set_ossl(err, EVTLS_ERR_PROTOCOL, "the peer speaks %s, not TLS", protocol);
    else
        evtls_error_set_ossl(err, EVTLS_ERR_PROTOCOL,
                             "the peer does not speak TLS: its first bytes are "
                             "%02x %02x %02x %02x %02x",
                             first[0], first[1], first[2], first[3], first[4]);
}

/* The failure that stands in OpenSSL's error queue, which may be empty. */
static int end_with_queue(struct evtls_engine *engine)
{
    struct evtls_error err;
    unsigned long code = find_cause();
    enum evtls_status status = status_of(code);

    if (is_nomem(code))
        return evtls_engine_end_with_nomem(engine);
    if (code == 0) {
        evtls_error_set(&err, EVTLS_ERR_PROTOCOL, "OpenSSL failed and gave no reason");
        err.alert = engine->alert_sent;
    } else if (status == EVTLS_ERR_ALERT) {
        int alert = evtls_ossl_alert(code);

        evtls_error_set_ossl(&err, status, "the peer sent the alert %s (%d)",
                             evtls_alert_name(alert), alert);
        err.alert = alert;
    } else {
        if (ssl_reason(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
            set_verify_error(engine, &err);
        else if (is_stranger(engine))
            set_stranger_error(engine, &err);
        else
            evtls_error_set_ossl(&err, status, NULL);
        err.alert = engine->alert_sent;
    }
    return evtls_engine_end_with(engine, &err);
}

static int end_with_flood(struct evtls_engine *engine)
{
    struct evtls_error err;

    evtls_error_set(&err, EVTLS_ERR_PROTOCOL, "the peer sent too many %s", engine->flood);
    err.alert = engine->alert_sent;
    return evtls_engine_end_with(engine, &err);
}

/*
 * A callback has failed without a way to tell OpenSSL. A record that OpenSSL must refuse makes it
 * send an alert, so that the peer is not left with a bare end of file.
 */
static int end_with_noted(struct evtls_engine *engine)
{
    struct evtls_error err = *engine->noted;
    unsigned char byte;
    size_t n;

    if (engine->alert_sent < 0 && engine->alert_received < 0 && !engine->link.cut) {
        engine->link.poisoned = true;
        evtls_ossl_clear_queue();
        SSL_peek_ex(engine->ssl, &byte, 1, &n); /* in the middle of a handshake goes on with it */
    }
    err.alert = engine->alert_sent;
    return evtls_engine_end_with(engine, &err);
}

/* ---- Other results ---------------------------------------------------------------------- */

/*
 * The input has ended and OpenSSL wants more. In mid-record it was cut off, whatever the program
 * says about ragged ends.
 */
static int end_of_input(struct evtls_engine *engine)
{
    if (evtls_engine_state_is_early(engine->state))
        return end_truncated(engine, "end of file during the handshake");
    if (!evtls_bio_link_at_boundary(&engine->link))
        return end_truncated(engine, "end of file in the middle of a record");
    if (!engine->ragged_eof)
        return end_truncated(engine, "end of file without close_notify");
    evtls_engine_state_move(&engine->state, EVTLS_ENGINE_ON_CLOSE_RECEIVED);
    return EVTLS_ERR_CLOSED;
}

static int input_wanted(struct evtls_engine *engine)
{
    if (engine->input_ended && !engine->link.cut)
        return end_of_input(engine);
    engine->starved = true;
    return EVTLS_ERR_WANT_READ;
}

static int close_received(struct evtls_engine *engine)
{
    struct evtls_error err;

    if (evtls_engine_state_move(&engine->state, EVTLS_ENGINE_ON_CLOSE_RECEIVED))
        return EVTLS_ERR_CLOSED;
    evtls_error_set(&err, EVTLS_ERR_ALERT, "the peer sent the alert %s during the handshake",
                    evtls_alert_name(EVTLS_ALERT_CLOSE_NOTIFY));
    err.alert = EVTLS_ALERT_CLOSE_NOTIFY;
    return evtls_engine_end_with(engine, &err);
}

static int suspend(struct evtls_engine *engine, enum evtls_engine_event event)
{
    if (evtls_engine_state_move(&engine->state, event))
        return EVTLS_ERR_SUSPENDED;
    return end_with_queue(engine);
}

/*
 * OpenSSL takes a close_notify behind a user_canceled for no end that it knows (always since 3.2),
 * though it notes it; RFC 8446, section 6.1, has them come together.
 */
static bool is_close_unnamed(const struct evtls_engine *engine)
{
    return (SSL_get_shutdown(engine->ssl) & SSL_RECEIVED_SHUTDOWN) != 0 &&
           engine->alert_received < 0 && ERR_peek_error() == 0;
}

/* What OpenSSL says in full, where nothing of ours has gone wrong. */
static int settle_by_code(struct evtls_engine *engine, int code)
{
    switch (code) {
    case SSL_ERROR_NONE:
        return EVTLS_OK;
    case SSL_ERROR_WANT_READ:
        return input_wanted(engine);
    case SSL_ERROR_ZERO_RETURN:
        return close_received(engine);
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        return suspend(engine, EVTLS_ENGINE_ON_ASK_CLIENT_HELLO);
    case SSL_ERROR_WANT_X509_LOOKUP:
        return suspend(engine, EVTLS_ENGINE_ON_ASK_CERTIFICATE);
    case SSL_ERROR_WANT_RETRY_VERIFY:
        return suspend(engine, EVTLS_ENGINE_ON_ASK_VERIFY);
    case SSL_ERROR_SYSCALL:
        return is_close_unnamed(engine) ? close_received(engine) : end_with_queue(engine);
    default:
        return end_with_queue(engine);
    }
}

int evtls_engine_settle(struct evtls_engine *engine, int ret)
{
    int code = SSL_get_error(engine->ssl, ret);
    int status;

    engine->starved = false;
    if (engine->noted != NULL)
        status = end_with_noted(engine);
    else if (engine->link.exhausted)
        status = evtls_engine_end_with_nomem(engine);
    else if (engine->flood != NULL && code != SSL_ERROR_NONE)
        status = end_with_flood(engine);
    else
        status = settle_by_code(engine, code);
    evtls_ossl_clear_queue();
    return status;
}
