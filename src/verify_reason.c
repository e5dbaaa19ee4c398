/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "verify_reason.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "certificate.h"
#include "error.h"
#include "hostname.h"
#include "verify_names.h"

/*
 * 2026-01-01. A clock that shows an earlier day is wrong: the library is younger. A constant, so
 * that builds of one source are the same.
 */
#define YOUNGER_THAN 1767225600

/* A name in a message; three of them must leave room for words. */
#define NAME_SIZE 112

#define TIME_SIZE 40

#define TRUST_IT "load it with evtls_context_load_verify_locations"

/* A refusal that is being written down. */
struct refusal {
    X509_STORE_CTX *store_ctx;
    const struct evtls_hostname *host;
    enum evtls_role role; /* ours */
    X509 *at;             /* the certificate at fault; NULL where it is none */
    int depth;            /* 0: the peer's own */
    int code;
    char text[1024]; /* before it is cut */
    size_t len;
};

static const char *peer_of(const struct refusal *refusal)
{
    return refusal->role == EVTLS_CLIENT ? "server" : "client";
}

EVTLS_PRINTF(2, 3)
static void say(struct refusal *refusal, const char *fmt, ...)
{
    size_t room = sizeof(refusal->text) - refusal->len;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(refusal->text + refusal->len, room, fmt, args);
    va_end(args);
    if (n > 0)
        refusal->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* " (", and which certificate it is about where that is not the peer's own. */
static void say_whose(struct refusal *refusal)
{
    char name[NAME_SIZE];

    say(refusal, " (");
    if (refusal->depth > 0)
        say(refusal, "CA certificate %s: ", evtls_x509_describe(name, sizeof(name), refusal->at));
}

/* ---- Chains ----------------------------------------------------------------------------- */

static X509 *find_by_name(const STACK_OF(X509) * list, const X509_NAME *name)
{
    for (int i = 0; i < sk_X509_num(list); i++) {
        X509 *x509 = sk_X509_value(list, i);

        if (X509_NAME_cmp(X509_get_subject_name(x509), name) == 0)
            return x509;
    }
    return NULL;
}

/* What the peer sent beside its own certificate. */
static int count_others(const struct refusal *refusal)
{
    const STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(refusal->store_ctx);
    const X509 *own = X509_STORE_CTX_get0_cert(refusal->store_ctx);
    int n = 0;

    for (int i = 0; i < sk_X509_num(sent); i++)
        n += X509_cmp(sk_X509_value(sent, i), own) != 0;
    return n;
}

/* Why a certificate that has the name of the issuer is not taken for it. */
static const char *why_no_issuer(X509 *namesake, X509 *x509)
{
    int code = X509_check_issued(namesake, x509);

    return code == X509_V_OK ? "it is not valid" : X509_verify_cert_error_string(code);
}

/* Has the missing issuer a namesake among what was sent, or what we trust? */
static bool say_namesake(struct refusal *refusal)
{
    const X509_NAME *name = X509_get_issuer_name(refusal->at);
    STACK_OF(X509) * trusted;
    X509 *namesake = find_by_name(X509_STORE_CTX_get0_untrusted(refusal->store_ctx), name);

    if (namesake != NULL) {
        say(refusal, "; a certificate of that name was sent, but did not issue it: %s",
            why_no_issuer(namesake, refusal->at));
        return true;
    }
    trusted = X509_STORE_CTX_get1_certs(refusal->store_ctx, name);
    namesake = sk_X509_num(trusted) > 0 ? sk_X509_value(trusted, 0) : NULL;
    if (namesake != NULL)
        say(refusal, "; a CA of that name is trusted, but did not issue it: %s",
            why_no_issuer(namesake, refusal->at));
    sk_X509_pop_free(trusted, X509_free);
    return namesake != NULL;
}

/* The chain ends at a certificate that the peer sent. */
static void explain_gap(struct refusal *refusal)
{
    bool alone = count_others(refusal) == 0;
    char issuer[NAME_SIZE];

    say(refusal, " (the %s sent %s; missing issuer %s)", peer_of(refusal),
        alone                 ? "only its own certificate"
        : refusal->depth == 0 ? "a chain that does not belong to its own certificate"
                              : "a chain",
        evtls_x509_describe_issuer(issuer, sizeof(issuer), refusal->at));
    if (say_namesake(refusal))
        return;
    if (alone)
        say(refusal, "; if that is an intermediate, the %s has to send it; if a root, to trust it,",
            peer_of(refusal));
    else
        say(refusal, "; to trust it,");
    say(refusal, " " TRUST_IT);
}

/* The chain ends at one of ours, which is no root. */
static void explain_unrooted(struct refusal *refusal)
{
    char name[NAME_SIZE], issuer[NAME_SIZE];

    say(refusal, " (%s is trusted, but is no root; missing issuer %s); " TRUST_IT " too",
        evtls_x509_describe(name, sizeof(name), refusal->at),
        evtls_x509_describe_issuer(issuer, sizeof(issuer), refusal->at));
}

static void say_digest(struct refusal *refusal)
{
    unsigned char digest[EVTLS_CERTIFICATE_DIGEST_LENGTH];

    if (evtls_x509_digest(refusal->at, digest) != 0)
        return;
    say(refusal, "SHA-256 ");
    for (size_t i = 0; i < sizeof(digest); i++)
        say(refusal, "%02x", digest[i]);
}

static void explain_self_signed(struct refusal *refusal)
{
    say_whose(refusal);
    say_digest(refusal);
    say(refusal, "); to trust it, " TRUST_IT);
}

static void explain_signature(struct refusal *refusal)
{
    char name[NAME_SIZE], issuer[NAME_SIZE];

    say(refusal, " (%s was changed, or not made by %s)",
        evtls_x509_describe(name, sizeof(name), refusal->at),
        evtls_x509_describe_issuer(issuer, sizeof(issuer), refusal->at));
}

/* ---- Time ------------------------------------------------------------------------------- */

static void format_time(char text[TIME_SIZE], const struct tm *tm)
{
    snprintf(text, TIME_SIZE, "%04d-%02d-%02d %02d:%02d:%02d UTC", tm->tm_year + 1900,
             tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec);
}

static void say_limit(struct refusal *refusal, const char *which, const ASN1_TIME *limit)
{
    char text[TIME_SIZE] = "?";
    struct tm tm;

    if (ASN1_TIME_to_tm(limit, &tm) == 1)
        format_time(text, &tm);
    say_whose(refusal);
    say(refusal, "%s %s)", which, text);
}

static bool clock_is_wrong(void)
{
    return time(NULL) < (time_t)YOUNGER_THAN;
}

static void say_clock(struct refusal *refusal)
{
    char text[TIME_SIZE] = "?";
    time_t now = time(NULL);
    struct tm tm;

    if (gmtime_r(&now, &tm) != NULL)
        format_time(text, &tm);
    say(refusal, "check the clock (now %s%s)", text,
        clock_is_wrong() ? ", long before this library was made" : "");
}

static void explain_not_yet(struct refusal *refusal)
{
    say_limit(refusal, "not before", X509_get0_notBefore(refusal->at));
    say(refusal, "; ");
    say_clock(refusal);
}

static void explain_expired(struct refusal *refusal)
{
    say_limit(refusal, "not after", X509_get0_notAfter(refusal->at));
    say(refusal, "; ");
    if (!clock_is_wrong())
        say(refusal, "it has to be renewed; if it was, ");
    say_clock(refusal);
}

/* ---- Purpose ---------------------------------------------------------------------------- */

#define KEY_USAGE_OF_TLS (KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)

static bool signs_certificates_only(X509 *x509)
{
    return X509_check_ca(x509) != 0 && (X509_get_key_usage(x509) & KEY_USAGE_OF_TLS) == 0;
}

/* Their short names, which are OpenSSL's, or numbers. */
static void say_extended_key_usage(struct refusal *refusal)
{
    EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(refusal->at, NID_ext_key_usage, NULL, NULL);
    const int most = 4;

    for (int i = 0; i < sk_ASN1_OBJECT_num(usage) && i < most; i++) {
        const ASN1_OBJECT *object = sk_ASN1_OBJECT_value(usage, i);
        int nid = OBJ_obj2nid(object);
        char text[64];

        if (nid != NID_undef)
            snprintf(text, sizeof(text), "%s", OBJ_nid2sn(nid));
        else
            OBJ_obj2txt(text, sizeof(text), object, 1);
        say(refusal, "%s%s", i > 0 ? ", " : "", text);
    }
    if (sk_ASN1_OBJECT_num(usage) > most)
        say(refusal, " and %d more", sk_ASN1_OBJECT_num(usage) - most);
    sk_ASN1_OBJECT_pop_free(usage, ASN1_OBJECT_free);
}

/* Names the purpose as an extended key usage does. */
static void say_need(struct refusal *refusal)
{
    say(refusal, "); the %s needs a certificate for %s", peer_of(refusal),
        refusal->role == EVTLS_CLIENT ? "serverAuth" : "clientAuth");
}

static void explain_purpose(struct refusal *refusal)
{
    uint32_t wanted = refusal->role == EVTLS_CLIENT ? XKU_SSL_SERVER : XKU_SSL_CLIENT;

    if (refusal->depth == 0 && signs_certificates_only(refusal->at)) {
        say(refusal,
            " (it is a CA's certificate, for signing others); the %s needs one of its own, "
            "issued by that CA",
            peer_of(refusal));
        return;
    }
    say_whose(refusal);
    if ((X509_get_extended_key_usage(refusal->at) & wanted) == 0) {
        say(refusal, "its extended key usage is ");
        say_extended_key_usage(refusal);
        say_need(refusal);
        say(refusal, refusal->depth > 0 ? ", from a CA that may issue it" : "");
    } else {
        say(refusal, "its key usage does not allow TLS");
        say_need(refusal);
    }
}

static void explain_no_ca(struct refusal *refusal)
{
    bool is_ca = (X509_get_extension_flags(refusal->at) & EXFLAG_CA) != 0;
    char name[NAME_SIZE];

    say(refusal, " (%s %s)", evtls_x509_describe(name, sizeof(name), refusal->at),
        is_ca ? "may not issue others: its key usage lacks keyCertSign"
              : "is no CA's, and can't issue others");
}

/* ---- Strength ---------------------------------------------------------------------------- */

static void explain_small_key(struct refusal *refusal)
{
    const EVP_PKEY *key = X509_get0_pubkey(refusal->at);

    say_whose(refusal);
    say(refusal, "its key has %d bits)", key != NULL ? EVP_PKEY_get_bits(key) : 0);
}

static void explain_weak_digest(struct refusal *refusal)
{
    say_whose(refusal);
    say(refusal, "signed with %s)", OBJ_nid2ln(X509_get_signature_nid(refusal->at)));
}

/* ---- Names ------------------------------------------------------------------------------- */

static void explain_name(struct refusal *refusal)
{
    char names[EVTLS_VERIFY_NAMES_SIZE];
    const char *host = refusal->host != NULL ? refusal->host->text : "";
    bool is_ip = refusal->host != NULL && refusal->host->is_ip;
    enum evtls_verify_namesake namesake = evtls_verify_find_namesake(refusal->at, host);

    evtls_verify_list_names(names, refusal->at);
    say(refusal, " (%s)", names);
    if (namesake == EVTLS_VERIFY_NO_NAMESAKE)
        return;
    say(refusal, "; '%s' %s: it has to be an alternative name of type %s", host,
        namesake == EVTLS_VERIFY_AS_DNS_NAME ? "stands there as a DNS name"
                                             : "is its common name only",
        is_ip ? "IP" : "DNS");
}

/* ---- All of it --------------------------------------------------------------------------- */

static void explain_place(struct refusal *refusal)
{
    char name[NAME_SIZE];

    say(refusal, " (%s%s)", refusal->depth > 0 ? "CA certificate " : "",
        evtls_x509_describe(name, sizeof(name), refusal->at));
}

static const struct {
    int code;
    void (*explain)(struct refusal *refusal);
} explanations[] = {
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, explain_gap},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, explain_gap},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, explain_unrooted},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, explain_self_signed},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, explain_self_signed},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, explain_signature},
    {X509_V_ERR_CERT_NOT_YET_VALID, explain_not_yet},
    {X509_V_ERR_CERT_HAS_EXPIRED, explain_expired},
    {X509_V_ERR_INVALID_PURPOSE, explain_purpose},
    {X509_V_ERR_INVALID_CA, explain_no_ca},
    {X509_V_ERR_EE_KEY_TOO_SMALL, explain_small_key},
    {X509_V_ERR_CA_KEY_TOO_SMALL, explain_small_key},
    {X509_V_ERR_CA_MD_TOO_WEAK, explain_weak_digest},
    {X509_V_ERR_HOSTNAME_MISMATCH, explain_name},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, explain_name},
};

static void explain(struct refusal *refusal)
{
    for (size_t i = 0; i < sizeof(explanations) / sizeof(explanations[0]); i++) {
        if (explanations[i].code == refusal->code) {
            explanations[i].explain(refusal);
            return;
        }
    }
    explain_place(refusal);
}

void evtls_verify_reason_put_words(char text[EVTLS_VERIFY_REASON_SIZE], int code,
                                   const struct evtls_hostname *host)
{
    const char *name = host != NULL ? host->text : "";

    if (code == X509_V_ERR_HOSTNAME_MISMATCH)
        snprintf(text, EVTLS_VERIFY_REASON_SIZE,
                 "Hostname mismatch, certificate is not valid for '%s'.", name);
    else if (code == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(text, EVTLS_VERIFY_REASON_SIZE,
                 "IP address mismatch, certificate is not valid for '%s'.", name);
    else
        snprintf(text, EVTLS_VERIFY_REASON_SIZE, "%s", X509_verify_cert_error_string(code));
}

struct evtls_verify_reason *evtls_verify_reason_new(X509_STORE_CTX *store_ctx, enum evtls_role role,
                                                    const struct evtls_hostname *host)
{
    struct evtls_verify_reason *reason = malloc(sizeof(*reason));
    struct refusal refusal = {
        .store_ctx = store_ctx,
        .host = host,
        .role = role,
        .at = X509_STORE_CTX_get_current_cert(store_ctx),
        .depth = X509_STORE_CTX_get_error_depth(store_ctx),
        .code = X509_STORE_CTX_get_error(store_ctx),
    };

    if (reason == NULL)
        return NULL;
    reason->code = refusal.code;
    evtls_verify_reason_put_words(reason->text, refusal.code, host);
    say(&refusal, "%s", reason->text);
    if (refusal.at != NULL)
        explain(&refusal);
    evtls_copy_cut(reason->text, sizeof(reason->text), refusal.text);
    return reason;
}
