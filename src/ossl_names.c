/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mnemonics of OpenSSL's error codes, found by number: a program may compare them, so they must
 * not change when OpenSSL words its texts anew (3.5 renamed every alert, for one).
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "error.h"

/* SSL_AD_REASON_OFFSET of ssl.h: an alert received is reason 1000 and its number. */
#define ALERT_REASONS 1000

#define LIBRARY_MAP(X)                                                                             \
    X(SYS)                                                                                         \
    X(BN)                                                                                          \
    X(RSA)                                                                                         \
    X(DH)                                                                                          \
    X(EVP)                                                                                         \
    X(BUF)                                                                                         \
    X(OBJ)                                                                                         \
    X(PEM)                                                                                         \
    X(DSA)                                                                                         \
    X(X509)                                                                                        \
    X(ASN1)                                                                                        \
    X(CONF)                                                                                        \
    X(CRYPTO)                                                                                      \
    X(EC)                                                                                          \
    X(SSL)                                                                                         \
    X(BIO)                                                                                         \
    X(PKCS7)                                                                                       \
    X(X509V3)                                                                                      \
    X(PKCS12)                                                                                      \
    X(RAND)                                                                                        \
    X(DSO)                                                                                         \
    X(OCSP)                                                                                        \
    X(UI)                                                                                          \
    X(COMP)                                                                                        \
    X(ECDSA)                                                                                       \
    X(ECDH)                                                                                        \
    X(OSSL_STORE)                                                                                  \
    X(CMS)                                                                                         \
    X(TS)                                                                                          \
    X(CT)                                                                                          \
    X(ASYNC)                                                                                       \
    X(KDF)                                                                                         \
    X(SM2)                                                                                         \
    X(ESS)                                                                                         \
    X(PROP)                                                                                        \
    X(CRMF)                                                                                        \
    X(PROV)                                                                                        \
    X(CMP)                                                                                         \
    X(OSSL_ENCODER)                                                                                \
    X(OSSL_DECODER)                                                                                \
    X(HTTP)                                                                                        \
    X(USER)

/* Alerts in OpenSSL's own spelling (SSL_R_* of sslerr.h in 3.0). */
static const struct {
    unsigned char alert;
    const char *name;
} alerts[] = {
    {10, "SSLV3_ALERT_UNEXPECTED_MESSAGE"},
    {20, "SSLV3_ALERT_BAD_RECORD_MAC"},
    {21, "TLSV1_ALERT_DECRYPTION_FAILED"},
    {22, "TLSV1_ALERT_RECORD_OVERFLOW"},
    {30, "SSLV3_ALERT_DECOMPRESSION_FAILURE"},
    {40, "SSLV3_ALERT_HANDSHAKE_FAILURE"},
    {41, "SSLV3_ALERT_NO_CERTIFICATE"},
    {42, "SSLV3_ALERT_BAD_CERTIFICATE"},
    {43, "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"},
    {44, "SSLV3_ALERT_CERTIFICATE_REVOKED"},
    {45, "SSLV3_ALERT_CERTIFICATE_EXPIRED"},
    {46, "SSLV3_ALERT_CERTIFICATE_UNKNOWN"},
    {47, "SSLV3_ALERT_ILLEGAL_PARAMETER"},
    {48, "TLSV1_ALERT_UNKNOWN_CA"},
    {49, "TLSV1_ALERT_ACCESS_DENIED"},
    {50, "TLSV1_ALERT_DECODE_ERROR"},
    {51, "TLSV1_ALERT_DECRYPT_ERROR"},
    {60, "TLSV1_ALERT_EXPORT_RESTRICTION"},
    {70, "TLSV1_ALERT_PROTOCOL_VERSION"},
    {71, "TLSV1_ALERT_INSUFFICIENT_SECURITY"},
    {80, "TLSV1_ALERT_INTERNAL_ERROR"},
    {86, "TLSV1_ALERT_INAPPROPRIATE_FALLBACK"},
    {90, "TLSV1_ALERT_USER_CANCELLED"},
    {100, "TLSV1_ALERT_NO_RENEGOTIATION"},
    {109, "TLSV13_ALERT_MISSING_EXTENSION"},
    {110, "TLSV1_UNSUPPORTED_EXTENSION"},
    {111, "TLSV1_CERTIFICATE_UNOBTAINABLE"},
    {112, "TLSV1_UNRECOGNIZED_NAME"},
    {113, "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE"},
    {114, "TLSV1_BAD_CERTIFICATE_HASH_VALUE"},
    {115, "TLSV1_ALERT_UNKNOWN_PSK_IDENTITY"},
    {116, "TLSV13_ALERT_CERTIFICATE_REQUIRED"},
    {120, "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"},
};

/* Reasons whose text does not lead to their name in OpenSSL's headers. */
static const struct {
    int library;
    int reason;
    const char *name;
} exceptions[] = {
    {ERR_LIB_SSL, 158, "AT_LEAST_TLS_1_2_NEEDED_IN_SUITEB_MODE"},
    {ERR_LIB_SSL, 330, "NO_GOST_CERTIFICATE_SENT_BY_PEER"},
    {ERR_LIB_SSL, 358, "MISSING_SRP_PARAM"},
    {ERR_LIB_SSL, 361, "SRP_A_CALC"},
    {ERR_LIB_SSL, 380, "ILLEGAL_SUITEB_DIGEST"},
    {ERR_LIB_EVP, 142, "EXPECTING_A_EC_KEY"},
    {ERR_LIB_EVP, 162, "PARTIALLY_OVERLAPPING"},
    {ERR_LIB_EVP, 219, "EXPECTING_A_ECX_KEY"},
    {ERR_LIB_RSA, 135, "SLEN_RECOVERY_FAILED"},
    {ERR_LIB_RSA, 136, "SLEN_CHECK_FAILED"},
    {ERR_LIB_DH, 102, "INVALID_PUBKEY"},
    {ERR_LIB_DSA, 110, "SEED_LEN_SMALL"},
    {ERR_LIB_RAND, 101, "FUNC_NOT_IMPLEMENTED"},
    {ERR_LIB_RAND, 123, "FWRITE_ERROR"},
};

int evtls_ossl_alert(unsigned long code)
{
    int reason = ERR_GET_REASON(code);

    if (ERR_SYSTEM_ERROR(code) || ERR_GET_LIB(code) != ERR_LIB_SSL || reason < ALERT_REASONS ||
        reason > ALERT_REASONS + 255)
        return -1;
    return reason - ALERT_REASONS;
}

static const char *library_name(unsigned long code)
{
    switch (ERR_GET_LIB(code)) {
#define LIBRARY_NAME(name)                                                                         \
    case ERR_LIB_##name:                                                                           \
        return #name;
        LIBRARY_MAP(LIBRARY_NAME)
#undef LIBRARY_NAME
    }
    return "";
}

/* Names that are found by number, or NULL. */
static const char *fixed_reason(unsigned long code)
{
    int alert = evtls_ossl_alert(code);

    for (size_t i = 0; alert >= 0 && i < sizeof(alerts) / sizeof(alerts[0]); i++) {
        if (alerts[i].alert == alert)
            return alerts[i].name;
    }
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
        if (ERR_GET_LIB(code) == exceptions[i].library &&
            ERR_GET_REASON(code) == exceptions[i].reason)
            return exceptions[i].name;
    }
    return NULL;
}

static char mnemonic_char(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
}

void evtls_ossl_mnemonics(unsigned long code, char *library, size_t library_size, char *reason,
                          size_t reason_size)
{
    const char *text = fixed_reason(code);

    snprintf(library, library_size, "%s", library_name(code));
    if (text == NULL)
        text = ERR_SYSTEM_ERROR(code) ? NULL : ERR_reason_error_string(code);
    if (text == NULL && evtls_ossl_alert(code) >= 0)
        snprintf(reason, reason_size, "TLS_ALERT_%d", evtls_ossl_alert(code));
    else if (text == NULL && !ERR_SYSTEM_ERROR(code))
        snprintf(reason, reason_size, "REASON_%d", ERR_GET_REASON(code));
    else
        snprintf(reason, reason_size, "%s", text != NULL ? text : "");
    for (char *p = reason; *p != '\0'; p++)
        *p = mnemonic_char(*p);
}
