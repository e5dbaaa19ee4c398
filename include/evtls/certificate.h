/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evtls/certificate.h - an X.509 certificate, as far as a connection needs to show it.
 *
 * Certificates are immutable. Those that a context or an engine returns are borrowed and live as
 * long as their owner says; evtls_certificate_incref keeps one longer. The count is atomic.
 * Every function accepts NULL and answers "none".
 */
#ifndef EVTLS_CERTIFICATE_H
#define EVTLS_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#include <evtls/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evtls_certificate;

EVTLS_EXPORT struct evtls_certificate *
evtls_certificate_incref(const struct evtls_certificate *certificate);
EVTLS_EXPORT void evtls_certificate_free(struct evtls_certificate *certificate);

/*
 * Subject and issuer as one line in the order of RFC 2253 ("CN=www.example.org,O=Example"),
 * escaped so that it is safe to print (see struct evtls_error). "" when the name is empty or the
 * certificate is NULL. Borrowed, valid as long as the certificate.
 */
EVTLS_EXPORT const char *evtls_certificate_get_subject(const struct evtls_certificate *certificate);
EVTLS_EXPORT const char *evtls_certificate_get_issuer(const struct evtls_certificate *certificate);

/* The ends of the validity period in seconds since 1970, UTC; 0 for NULL. */
EVTLS_EXPORT int64_t evtls_certificate_get_not_before(const struct evtls_certificate *certificate);
EVTLS_EXPORT int64_t evtls_certificate_get_not_after(const struct evtls_certificate *certificate);

/*
 * SHA-256 of the DER encoding, as 64 lower-case hexadecimal digits; "" for NULL. Borrowed, valid
 * as long as the certificate.
 */
EVTLS_EXPORT const char *evtls_certificate_get_sha256(const struct evtls_certificate *certificate);

/*
 * The certificate in PEM (RFC 7468), NUL-terminated; "" for NULL. *len, where len is not NULL,
 * gets the length without the NUL. Borrowed, valid as long as the certificate.
 */
EVTLS_EXPORT const char *evtls_certificate_get_pem(const struct evtls_certificate *certificate,
                                                   size_t *len);

#ifdef __cplusplus
}
#endif

#endif
