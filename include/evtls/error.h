/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/error.h - results and errors as values.
 *
 * A function of evtls that can fail returns 0, a count or a pointer on success, and a negative
 * enum evtls_status (or NULL) on failure. Those that take a `struct evtls_error *err` as their
 * last parameter also describe the failure there. err may be NULL everywhere; it is the caller's
 * memory, is filled completely on failure and reset to EVTLS_OK on success, and needs no clean-up.
 *
 * Unless a function says otherwise, a failed call has changed nothing, calls nothing back, and
 * OpenSSL's error queue of the calling thread is empty before and after it.
 *
 * Nothing here is thread-local and nothing must be fetched in time: a connection that has ended
 * keeps its error for as long as its engine lives (evtls_engine_get_error).
 */
#ifndef EVTLS_ERROR_H
#define EVTLS_ERROR_H

#include <evtls/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The closed list of results: value, name without its EVTLS_ prefix, text.
 * Values never change; new ones are only added at the end.
 */
#define EVTLS_STATUS_MAP(X)                                                                        \
    X(0, OK, "success")                                                                            \
    X(-1, ERR_WANT_READ, "more input is needed")                                                   \
    X(-2, ERR_WANT_WRITE, "output must be taken first")                                            \
    X(-3, ERR_SUSPENDED, "the handshake waits for a decision of the program")                      \
    X(-4, ERR_CLOSED, "closed cleanly by the peer's close_notify")                                 \
    X(-5, ERR_TRUNCATED, "end of file without close_notify")                                       \
    X(-6, ERR_IO, "transport failure")                                                             \
    X(-7, ERR_RESOLVE, "name lookup failed")                                                       \
    X(-8, ERR_TIMEOUT, "time limit exceeded")                                                      \
    X(-9, ERR_CERTIFICATE, "the peer's certificate was refused")                                   \
    X(-10, ERR_ALERT, "the peer sent a fatal alert")                                               \
    X(-11, ERR_PROTOCOL, "protocol violation or no common parameters")                             \
    X(-12, ERR_CONFIG, "bad configuration or bad input file")                                      \
    X(-13, ERR_USAGE, "wrong argument or wrong state for this call")                               \
    X(-14, ERR_SEALED, "the context is sealed")                                                    \
    X(-15, ERR_BUSY, "in use by a call that has not returned")                                     \
    X(-16, ERR_NOMEM, "out of memory")                                                             \
    X(-17, ERR_UNSUPPORTED, "not supported by the libraries in use")

enum evtls_status {
#define EVTLS_STATUS_ENUM(value, name, text) EVTLS_##name = (value),
    EVTLS_STATUS_MAP(EVTLS_STATUS_ENUM)
#undef EVTLS_STATUS_ENUM
};

/*
 * TLS AlertDescription: number and name (RFC 8446, section 6; RFC 5246, section 7.2;
 * IANA's registry for the others).
 */
#define EVTLS_ALERT_MAP(X)                                                                         \
    X(0, CLOSE_NOTIFY, "close_notify")                                                             \
    X(10, UNEXPECTED_MESSAGE, "unexpected_message")                                                \
    X(20, BAD_RECORD_MAC, "bad_record_mac")                                                        \
    X(21, DECRYPTION_FAILED, "decryption_failed")                                                  \
    X(22, RECORD_OVERFLOW, "record_overflow")                                                      \
    X(30, DECOMPRESSION_FAILURE, "decompression_failure")                                          \
    X(40, HANDSHAKE_FAILURE, "handshake_failure")                                                  \
    X(41, NO_CERTIFICATE, "no_certificate")                                                        \
    X(42, BAD_CERTIFICATE, "bad_certificate")                                                      \
    X(43, UNSUPPORTED_CERTIFICATE, "unsupported_certificate")                                      \
    X(44, CERTIFICATE_REVOKED, "certificate_revoked")                                              \
    X(45, CERTIFICATE_EXPIRED, "certificate_expired")                                              \
    X(46, CERTIFICATE_UNKNOWN, "certificate_unknown")                                              \
    X(47, ILLEGAL_PARAMETER, "illegal_parameter")                                                  \
    X(48, UNKNOWN_CA, "unknown_ca")                                                                \
    X(49, ACCESS_DENIED, "access_denied")                                                          \
    X(50, DECODE_ERROR, "decode_error")                                                            \
    X(51, DECRYPT_ERROR, "decrypt_error")                                                          \
    X(60, EXPORT_RESTRICTION, "export_restriction")                                                \
    X(70, PROTOCOL_VERSION, "protocol_version")                                                    \
    X(71, INSUFFICIENT_SECURITY, "insufficient_security")                                          \
    X(80, INTERNAL_ERROR, "internal_error")                                                        \
    X(86, INAPPROPRIATE_FALLBACK, "inappropriate_fallback")                                        \
    X(90, USER_CANCELED, "user_canceled")                                                          \
    X(100, NO_RENEGOTIATION, "no_renegotiation")                                                   \
    X(109, MISSING_EXTENSION, "missing_extension")                                                 \
    X(110, UNSUPPORTED_EXTENSION, "unsupported_extension")                                         \
    X(111, CERTIFICATE_UNOBTAINABLE, "certificate_unobtainable")                                   \
    X(112, UNRECOGNIZED_NAME, "unrecognized_name")                                                 \
    X(113, BAD_CERTIFICATE_STATUS_RESPONSE, "bad_certificate_status_response")                     \
    X(114, BAD_CERTIFICATE_HASH_VALUE, "bad_certificate_hash_value")                               \
    X(115, UNKNOWN_PSK_IDENTITY, "unknown_psk_identity")                                           \
    X(116, CERTIFICATE_REQUIRED, "certificate_required")                                           \
    X(120, NO_APPLICATION_PROTOCOL, "no_application_protocol")

enum evtls_alert {
#define EVTLS_ALERT_ENUM(value, name, text) EVTLS_ALERT_##name = (value),
    EVTLS_ALERT_MAP(EVTLS_ALERT_ENUM)
#undef EVTLS_ALERT_ENUM
};

/*
 * What went wrong, as a value that may be copied and kept.
 *
 * message is one printable line without a newline, in UTF-8. Text in it that came from the peer
 * or from a certificate is escaped: bytes below 0x20, 0x7f and above, and the backslash appear
 * as \xHH. It names the file, the host or the alert concerned, and says the remedy where one is
 * known. For a refused certificate (EVTLS_ERR_CERTIFICATE) it is OpenSSL's text, the facts in
 * parentheses (what the peer sent, dates, names, purposes) and, behind a semicolon, what helps:
 *
 *   [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid (not
 *   before 2027-01-31 00:00:00 UTC); check the clock (now 1970-01-01 00:00:07 UTC, ...)
 *
 * It is for people and may change; programs look at status and codes.
 */
struct evtls_error {
    enum evtls_status status;
    int sys_errno;           /* errno of a failed system call, or 0 */
    int resolve_code;        /* EVUTIL_EAI_* of a failed lookup, or 0 */
    int verify_code;         /* OpenSSL's X509_V_ERR_* of a refused certificate, or 0 */
    int alert;               /* AlertDescription received or sent (RFC 8446, section 6), or -1 */
    unsigned long ossl_code; /* first entry of OpenSSL's error queue, or 0 */
    char library[16];        /* mnemonic, such as "SSL" or "X509", or "" */
    char reason[64];         /* mnemonic, such as "CERTIFICATE_VERIFY_FAILED", or "" */
    char message[512];
    void *reserved[4]; /* NULL */
};

/*
 * Resets *err to EVTLS_OK with no detail (alert is -1). err may be NULL.
 */
EVTLS_EXPORT void evtls_error_init(struct evtls_error *err);

/*
 * A heap copy of an error value, for callers that cannot lay out the struct themselves.
 * src NULL gives a fresh value as evtls_error_init makes it. The result belongs to the caller
 * and is freed with evtls_error_free; NULL when memory is exhausted.
 */
EVTLS_EXPORT struct evtls_error *evtls_error_new(const struct evtls_error *src);
EVTLS_EXPORT void evtls_error_free(struct evtls_error *err);

/*
 * The members of an error value, for foreign-function use. err NULL answers as EVTLS_OK does.
 * Strings are never NULL, borrowed from err, and valid as long as it is.
 */
EVTLS_EXPORT int evtls_error_get_status(const struct evtls_error *err);
EVTLS_EXPORT int evtls_error_get_sys_errno(const struct evtls_error *err);
EVTLS_EXPORT int evtls_error_get_resolve_code(const struct evtls_error *err);
EVTLS_EXPORT int evtls_error_get_verify_code(const struct evtls_error *err);
EVTLS_EXPORT int evtls_error_get_alert(const struct evtls_error *err);
EVTLS_EXPORT unsigned long evtls_error_get_ossl_code(const struct evtls_error *err);
EVTLS_EXPORT const char *evtls_error_get_library(const struct evtls_error *err);
EVTLS_EXPORT const char *evtls_error_get_reason(const struct evtls_error *err);
EVTLS_EXPORT const char *evtls_error_get_message(const struct evtls_error *err);

/*
 * Name ("ERR_TIMEOUT") and text ("time limit exceeded") of a status. Never NULL: an unknown
 * value is "ERR_UNKNOWN" and "unknown status". Static strings.
 */
EVTLS_EXPORT const char *evtls_status_name(int status);
EVTLS_EXPORT const char *evtls_status_text(int status);

/* Name of an alert ("handshake_failure"), or "unknown_alert". A static string. */
EVTLS_EXPORT const char *evtls_alert_name(int alert);

#ifdef __cplusplus
}
#endif

#endif
