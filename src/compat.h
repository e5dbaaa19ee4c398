/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The differences between versions of OpenSSL: the only file with #if on them.
 *
 * The floor is OpenSSL 3.0. What a later version replaces is called here by its
 * new name where it exists and by the old one elsewhere. Other rules that keep the rest free of
 * #if: variables of type X509_NAME, X509_NAME_ENTRY, ASN1_STRING are pointers to const (4.0 returns
 * those); the fields of an ASN1_STRING are reached by functions; X509_get0_notBefore/notAfter and
 * ASN1_TIME_to_tm instead of X509_cmp_time; X509_VERIFY_PARAM_set1_host instead of SSL_set1_host.
 */
#ifndef EVTLS_SRC_COMPAT_H
#define EVTLS_SRC_COMPAT_H

#include <stdint.h>
#include <time.h>

#include <openssl/opensslv.h>
#include <openssl/ssl.h>

/* When a session was made, in seconds since 1970 (the old form ends in 2038 on some machines). */
static inline int64_t evtls_compat_session_get_time(const SSL_SESSION *session)
{
#if OPENSSL_VERSION_PREREQ(3, 3)
    return (int64_t)SSL_SESSION_get_time_ex(session);
#else
    return (int64_t)SSL_SESSION_get_time(session);
#endif
}

/* Sets it: 0, or -1 on failure. */
static inline int evtls_compat_session_set_time(SSL_SESSION *session, int64_t when)
{
#if OPENSSL_VERSION_PREREQ(3, 3)
    return SSL_SESSION_set_time_ex(session, (time_t)when) != 0 ? 0 : -1;
#else
    return SSL_SESSION_set_time(session, (long)when) != 0 ? 0 : -1;
#endif
}

/* Name of the key-exchange group of a finished handshake, or NULL. */
static inline const char *evtls_compat_group_name(SSL *ssl)
{
#if OPENSSL_VERSION_PREREQ(3, 2)
    return SSL_get0_group_name(ssl);
#else
    int id = (int)SSL_get_negotiated_group(ssl);

    return id != 0 ? SSL_group_to_name(ssl, id) : NULL;
#endif
}

#endif
