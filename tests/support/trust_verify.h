/*
 * What a trust is worth: OpenSSL's verdict on a certificate.
 */
#ifndef EVTLS_TESTS_SUPPORT_TRUST_VERIFY_H
#define EVTLS_TESTS_SUPPORT_TRUST_VERIFY_H

#include "pki.h"
#include "trust.h"

/*
 * Verifies a server's certificate with its chain as a connection of a context with this trust does;
 * flags: X509_V_FLAG_* more than PARTIAL_CHAIN. Returns X509_V_OK or the error's code.
 */
int trust_verify(const struct evtls_trust *trust, struct pki_ident *ident, unsigned long flags);

#endif
