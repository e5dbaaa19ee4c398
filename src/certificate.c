/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "certificate.h"
#include "error.h"

struct evtls_certificate {
    atomic_uint references;
    X509 *x509;
    /* Made when first asked for; never changed again once they are not NULL. */
    _Atomic(char *) subject;
    _Atomic(char *) issuer;
    _Atomic(char *) sha256;
    _Atomic(char *) pem;
};

/* ---- Life ------------------------------------------------------------------------------- */

struct evtls_certificate *evtls_certificate_from_x509(X509 *x509)
{
    struct evtls_certificate *certificate;

    if (x509 == NULL)
        return NULL;
    certificate = calloc(1, sizeof(*certificate));
    if (certificate == NULL)
        return NULL;
    X509_up_ref(x509);
    certificate->x509 = x509;
    atomic_init(&certificate->references, 1);
    return certificate;
}

struct evtls_certificate *evtls_certificate_incref(const struct evtls_certificate *certificate)
{
    /* To the caller the object is immutable; its count is ours. */
    struct evtls_certificate *mutable = (struct evtls_certificate *)certificate;

    if (mutable != NULL)
        atomic_fetch_add_explicit(&mutable->references, 1, memory_order_relaxed);
    return mutable;
}

void evtls_certificate_free(struct evtls_certificate *certificate)
{
    if (certificate == NULL ||
        atomic_fetch_sub_explicit(&certificate->references, 1, memory_order_acq_rel) != 1)
        return;
    X509_free(certificate->x509);
    free(certificate->subject);
    free(certificate->issuer);
    free(certificate->sha256);
    free(certificate->pem);
    free(certificate);
}

X509 *evtls_certificate_get_x509(const struct evtls_certificate *certificate)
{
    return certificate != NULL ? certificate->x509 : NULL;
}

/* ---- Texts ------------------------------------------------------------------------------ */

/* The content of a memory BIO as a string of its own, or NULL without memory. */
static char *text_of_bio(BIO *bio)
{
    char *data, *text;
    long len = BIO_get_mem_data(bio, &data);

    if (len < 0)
        return NULL;
    text = malloc((size_t)len + 1);
    if (text == NULL)
        return NULL;
    if (len > 0)
        memcpy(text, data, (size_t)len);
    text[len] = '\0';
    return text;
}

/*
 * Writes what RFC 2253's notation gave, so that it is safe to print: a backslash before a special
 * character stays, one that belongs to the value becomes \x5c, as unprintable bytes become \xHH.
 */
static char *printable_name(const char *data, size_t len)
{
    char *text = malloc(len * 4 + 1), *end = text;

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        bool pair = data[i] == '\\' && i + 1 < len;

        if (pair && data[i + 1] != '\\')
            *end++ = '\\';
        i += pair ? 1 : 0;
        evtls_escape(end, 5, data + i, 1);
        end += strlen(end);
    }
    *end = '\0';
    return text;
}

/* A name as one line. Reading a certificate already refuses strings that are not what they say. */
static char *text_of_name(const X509_NAME *name)
{
    const unsigned long flags =
        XN_FLAG_RFC2253 & ~(unsigned long)(ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, flags) >= 0) {
        char *data = NULL;
        long len = BIO_get_mem_data(bio, &data);

        text = printable_name(data, len > 0 ? (size_t)len : 0);
    }
    BIO_free(bio);
    evtls_ossl_clear_queue();
    return text;
}

static char *make_subject(X509 *x509)
{
    return text_of_name(X509_get_subject_name(x509));
}

static char *make_issuer(X509 *x509)
{
    return text_of_name(X509_get_issuer_name(x509));
}

static char *make_pem(X509 *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (bio != NULL && PEM_write_bio_X509(bio, x509) == 1)
        text = text_of_bio(bio);
    BIO_free(bio);
    evtls_ossl_clear_queue();
    return text;
}

int evtls_x509_digest(const X509 *x509, unsigned char digest[EVTLS_CERTIFICATE_DIGEST_LENGTH])
{
    unsigned int len = 0;
    int done = X509_digest(x509, EVP_sha256(), digest, &len);

    evtls_ossl_clear_queue();
    return done == 1 && len == EVTLS_CERTIFICATE_DIGEST_LENGTH ? 0 : -1;
}

static char *make_sha256(X509 *x509)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVTLS_CERTIFICATE_DIGEST_LENGTH];
    char *text = malloc(2 * sizeof(digest) + 1);

    if (text == NULL || evtls_x509_digest(x509, digest) != 0) {
        free(text);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(digest); i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 0xf];
    }
    text[2 * sizeof(digest)] = '\0';
    return text;
}

/* Gives a text that is made once. Where threads make it at the same time, the first one stays. */
static const char *get_text(const _Atomic(char *) *const_slot, char *(*make)(X509 *), X509 *x509)
{
    _Atomic(char *) *slot = (_Atomic(char *) *)const_slot;
    char *kept = atomic_load_explicit(slot, memory_order_acquire);
    char *made;

    if (kept != NULL)
        return kept;
    made = make(x509);
    if (made == NULL)
        return "";
    if (atomic_compare_exchange_strong(slot, &kept, made))
        return made;
    free(made);
    return kept;
}

const char *evtls_certificate_get_subject(const struct evtls_certificate *certificate)
{
    if (certificate == NULL)
        return "";
    return get_text(&certificate->subject, make_subject, certificate->x509);
}

const char *evtls_certificate_get_issuer(const struct evtls_certificate *certificate)
{
    if (certificate == NULL)
        return "";
    return get_text(&certificate->issuer, make_issuer, certificate->x509);
}

const char *evtls_certificate_get_sha256(const struct evtls_certificate *certificate)
{
    if (certificate == NULL)
        return "";
    return get_text(&certificate->sha256, make_sha256, certificate->x509);
}

const char *evtls_certificate_get_pem(const struct evtls_certificate *certificate, size_t *len)
{
    const char *pem =
        certificate != NULL ? get_text(&certificate->pem, make_pem, certificate->x509) : "";

    if (len != NULL)
        *len = strlen(pem);
    return pem;
}

static bool first_dns_name(char *dst, size_t size, const X509 *x509)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);

        found = type == GEN_DNS && value != NULL;
        if (found)
            evtls_escape(dst, size, (const char *)ASN1_STRING_get0_data(value),
                         (size_t)ASN1_STRING_length(value));
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* False where the name is empty, or there is no memory for it. */
static bool describe_name(char *dst, size_t size, const X509_NAME *name)
{
    char *text = text_of_name(name);
    bool found = text != NULL && text[0] != '\0';

    if (found)
        evtls_copy_cut(dst, size, text);
    free(text);
    return found;
}

char *evtls_x509_describe(char *dst, size_t size, const X509 *x509)
{
    if (!describe_name(dst, size, X509_get_subject_name(x509)) && !first_dns_name(dst, size, x509))
        snprintf(dst, size, "(no name)");
    evtls_ossl_clear_queue();
    return dst;
}

char *evtls_x509_describe_issuer(char *dst, size_t size, const X509 *x509)
{
    if (!describe_name(dst, size, X509_get_issuer_name(x509)))
        snprintf(dst, size, "(no name)");
    return dst;
}

/* ---- Times ------------------------------------------------------------------------------ */

/*
 * Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that a
 * leap day is the last of its year.
 */
static int64_t days_since_1970(int64_t year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return 365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

/* Certificates reach the year 9999 (RFC 5280, section 4.1.2.5). */
bool evtls_asn1_time_to_seconds(const ASN1_TIME *asn1, int64_t *seconds)
{
    struct tm tm;
    bool known = asn1 != NULL && ASN1_TIME_to_tm(asn1, &tm) == 1;

    evtls_ossl_clear_queue();
    if (known)
        *seconds = days_since_1970(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) * 86400 +
                   tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
    return known;
}

static int64_t seconds_of(const ASN1_TIME *asn1)
{
    int64_t seconds;

    return evtls_asn1_time_to_seconds(asn1, &seconds) ? seconds : 0;
}

int64_t evtls_certificate_get_not_before(const struct evtls_certificate *certificate)
{
    return certificate != NULL ? seconds_of(X509_get0_notBefore(certificate->x509)) : 0;
}

int64_t evtls_certificate_get_not_after(const struct evtls_certificate *certificate)
{
    return certificate != NULL ? seconds_of(X509_get0_notAfter(certificate->x509)) : 0;
}
