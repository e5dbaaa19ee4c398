/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Certificates as the library's own side makes and uses them. See evtls/certificate.h.
 *
 * The texts are made when first asked for and then kept; threads may ask at the same time.
 */
#ifndef EVTLS_SRC_CERTIFICATE_H
#define EVTLS_SRC_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include <evtls/certificate.h>

#define EVTLS_CERTIFICATE_DIGEST_LENGTH 32

/* A certificate over x509, of which it takes one more reference. NULL: no memory, or x509 NULL. */
struct evtls_certificate *evtls_certificate_from_x509(X509 *x509);

/* Borrowed; the object must not be changed. NULL for NULL. */
X509 *evtls_certificate_get_x509(const struct evtls_certificate *certificate);

/*
 * A certificate's time in seconds since 1970, 64 bits whatever time_t is: false where it is missing
 * or malformed. Empties OpenSSL's error queue.
 */
bool evtls_asn1_time_to_seconds(const ASN1_TIME *asn1, int64_t *seconds);

/* SHA-256 of the DER encoding of a certificate: 0, or -1 when there is no memory. */
int evtls_x509_digest(const X509 *x509, unsigned char digest[EVTLS_CERTIFICATE_DIGEST_LENGTH]);

/*
 * One line for a message: the subject, or the alternative names where that is empty, escaped and
 * cut to size, with "..." then. Returns dst.
 */
char *evtls_x509_describe(char *dst, size_t size, const X509 *x509);

/* The same for the issuer's name. */
char *evtls_x509_describe_issuer(char *dst, size_t size, const X509 *x509);

#endif
