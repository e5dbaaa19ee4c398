/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "verify_names.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "error.h"

#define MOST_NAMES 4

/* One name as it stands in a list: a host name that is longer than this is cut. */
#define NAME_SIZE 64

/* ---- Single names ------------------------------------------------------------------------ */

/* Escaped; with "..." where it is cut. */
static void put_string(char text[NAME_SIZE], const ASN1_STRING *value)
{
    size_t len = (size_t)ASN1_STRING_length(value);
    char escaped[4 * NAME_SIZE + 1];

    evtls_escape(escaped, sizeof(escaped), (const char *)ASN1_STRING_get0_data(value),
                 len < NAME_SIZE ? len : NAME_SIZE);
    evtls_copy_cut(text, NAME_SIZE, escaped);
}

static void put_address(char text[NAME_SIZE], const ASN1_STRING *value)
{
    int len = ASN1_STRING_length(value);
    int family = len == 4 ? AF_INET : len == 16 ? AF_INET6 : AF_UNSPEC;

    if (family == AF_UNSPEC ||
        inet_ntop(family, ASN1_STRING_get0_data(value), text, NAME_SIZE) == NULL)
        snprintf(text, NAME_SIZE, "an address of %d bytes", len);
}

static bool put_name(char text[NAME_SIZE], const GENERAL_NAME *name)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

    if (value == NULL || (type != GEN_DNS && type != GEN_IPADD))
        return false;
    if (type == GEN_DNS)
        put_string(text, value);
    else
        put_address(text, value);
    return true;
}

/* The last common name, which is the one that OpenSSL would compare; NULL: none. */
static const ASN1_STRING *get_common_name(const X509 *x509)
{
    const X509_NAME *subject = X509_get_subject_name(x509);
    int at = -1, next;

    while ((next = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
        at = next;
    return at >= 0 ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)) : NULL;
}

/* ---- All of them -------------------------------------------------------------------------- */

/* False where it has no room any more. */
static bool add_name(char text[EVTLS_VERIFY_NAMES_SIZE], const char *name, int n)
{
    const size_t more = strlen(" and 123456789 more");
    size_t len = strlen(text);
    const char *separator = n > 0 ? ", " : "";

    if (len + strlen(separator) + strlen(name) + more >= EVTLS_VERIFY_NAMES_SIZE)
        return false;
    snprintf(text + len, EVTLS_VERIFY_NAMES_SIZE - len, "%s%s", separator, name);
    return true;
}

static void list_alternative_names(char text[EVTLS_VERIFY_NAMES_SIZE], const GENERAL_NAMES *names)
{
    int shown = 0, left_out = 0;

    snprintf(text, EVTLS_VERIFY_NAMES_SIZE, "it is for ");
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char name[NAME_SIZE];

        if (!put_name(name, sk_GENERAL_NAME_value(names, i)))
            continue;
        if (left_out == 0 && shown < MOST_NAMES && add_name(text, name, shown))
            shown++;
        else
            left_out++;
    }
    if (left_out > 0)
        snprintf(text + strlen(text), EVTLS_VERIFY_NAMES_SIZE - strlen(text), " and %d more",
                 left_out);
    if (shown + left_out == 0)
        text[0] = '\0';
}

void evtls_verify_list_names(char text[EVTLS_VERIFY_NAMES_SIZE], const X509 *x509)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    const ASN1_STRING *common_name = get_common_name(x509);
    char name[NAME_SIZE] = "";

    list_alternative_names(text, names);
    GENERAL_NAMES_free(names);
    if (text[0] != '\0')
        return;
    if (common_name != NULL)
        put_string(name, common_name);
    snprintf(text, EVTLS_VERIFY_NAMES_SIZE, "it has no alternative names%s%s",
             common_name != NULL ? ", only the common name " : "", name);
}

/* ---- Namesakes ---------------------------------------------------------------------------- */

static bool is_host(const ASN1_STRING *value, const char *host)
{
    size_t len = strlen(host);

    return value != NULL && (size_t)ASN1_STRING_length(value) == len &&
           strncasecmp((const char *)ASN1_STRING_get0_data(value), host, len) == 0;
}

enum evtls_verify_namesake evtls_verify_find_namesake(const X509 *x509, const char *host)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    enum evtls_verify_namesake found = EVTLS_VERIFY_NO_NAMESAKE;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);

        if (type == GEN_DNS && is_host(value, host))
            found = EVTLS_VERIFY_AS_DNS_NAME;
    }
    GENERAL_NAMES_free(names);
    if (found == EVTLS_VERIFY_NO_NAMESAKE && is_host(get_common_name(x509), host))
        found = EVTLS_VERIFY_AS_COMMON_NAME;
    return found;
}
