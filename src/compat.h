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

#include <openssl/opensslv.h>
#include <openssl/ssl.h>

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
