/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names that a certificate is for, in words for a message.
 */
#ifndef EVTLS_SRC_VERIFY_NAMES_H
#define EVTLS_SRC_VERIFY_NAMES_H

#include <openssl/x509.h>

#define EVTLS_VERIFY_NAMES_SIZE 192

/*
 * "it is for a.test, *.b.test, 192.0.2.1 and 3 more": the first few of its DNS names and addresses,
 * escaped, or that it has none, with its common name then.
 */
void evtls_verify_list_names(char text[EVTLS_VERIFY_NAMES_SIZE], const X509 *x509);

/* Where a name stands that a certificate was refused for: none of these counts. */
enum evtls_verify_namesake {
    EVTLS_VERIFY_NO_NAMESAKE,
    EVTLS_VERIFY_AS_DNS_NAME, /* an address */
    EVTLS_VERIFY_AS_COMMON_NAME
};

enum evtls_verify_namesake evtls_verify_find_namesake(const X509 *x509, const char *host);

#endif
