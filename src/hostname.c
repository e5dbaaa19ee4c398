/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "error.h"
#include "hostname.h"

#define NAME_MAX_LENGTH 253 /* RFC 1035, section 2.3.4, without the root's dot */
#define LABEL_MAX_LENGTH 63
#define ZONE_MAX_LENGTH 63

/* Not the ctype functions: those follow the locale. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_name_char(char c)
{
    c = to_lower(c);
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* Reads an address of this family and writes it in its canonical spelling. */
static bool parse_address(int family, const char *text, char *out, size_t size)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(family, text, address) == 1 &&
           inet_ntop(family, address, out, (socklen_t)size) != NULL;
}

static int refuse(struct evtls_error *err, const char *name, const char *why)
{
    return evtls_error_set(err, EVTLS_ERR_USAGE, "host name '%.120s': %s", name, why);
}

/*
 * True when the last label is a number, decimal or hexadecimal, as in 127.1 or 0x7f000001: some
 * resolvers take those for addresses, and no domain name ends in one (RFC 1123, section 2.1).
 */
static bool ends_in_number(const char *name, size_t len)
{
    size_t start = len;

    while (start > 0 && name[start - 1] != '.')
        start--;
    if (len - start >= 2 && name[start] == '0' && to_lower(name[start + 1]) == 'x') {
        start += 2;
        while (start < len && (is_digit(name[start]) ||
                               (to_lower(name[start]) >= 'a' && to_lower(name[start]) <= 'f')))
            start++;
        return start == len;
    }
    while (start < len && is_digit(name[start]))
        start++;
    return start == len;
}

static const char *wrong_char(char c)
{
    if ((unsigned char)c > 0x7e)
        return "not ASCII; an internationalised name is given by its A-labels (xn--...)";
    if (c == '*')
        return "a wildcard is not a host name";
    if (c == '%')
        return "only an IPv6 address has a zone";
    return "it has a character that no host name has";
}

/* Why len bytes of name are no DNS name, or NULL. */
static const char *check_dns_name(const char *name, size_t len)
{
    size_t label = 0;

    for (size_t i = 0; i < len; i++) {
        if (name[i] == '.') {
            if (label == 0)
                return i == 0 ? "it begins with a dot" : "it has an empty label";
            label = 0;
        } else if (!is_name_char(name[i])) {
            return wrong_char(name[i]);
        } else if (++label > LABEL_MAX_LENGTH) {
            return "it has a label of more than 63 bytes";
        }
    }
    if (label == 0)
        return "it has an empty label";
    if (len > NAME_MAX_LENGTH)
        return "it has more than 253 bytes";
    if (ends_in_number(name, len))
        return "it looks like an IPv4 address, but is not one";
    return NULL;
}

static int parse_dns_name(struct evtls_hostname *host, const char *name, struct evtls_error *err)
{
    size_t len = strlen(name);
    const char *why;

    if (len > 1 && name[len - 1] == '.')
        len--;
    why = check_dns_name(name, len);
    if (why != NULL)
        return refuse(err, name, why);
    host->is_ip = false;
    for (size_t i = 0; i < len; i++)
        host->text[i] = to_lower(name[i]);
    host->text[len] = '\0';
    return evtls_error_set_ok(err);
}

/* A zone (RFC 4007, section 11) is a name of an interface or a number; nothing here looks it up. */
static bool is_zone(const char *zone)
{
    size_t len = strlen(zone);

    for (size_t i = 0; i < len; i++) {
        if (zone[i] <= 0x20 || zone[i] == 0x7f || strchr("%[]/", zone[i]) != NULL)
            return false;
    }
    return len > 0 && len <= ZONE_MAX_LENGTH;
}

/* ADDRESS, ADDRESS%ZONE, [ADDRESS], [ADDRESS%ZONE] or, as in URIs (RFC 6874), [ADDRESS%25ZONE]. */
static bool parse_ipv6(struct evtls_hostname *host, const char *name)
{
    char text[INET6_ADDRSTRLEN + 3 + ZONE_MAX_LENGTH + 3];
    size_t len = strlen(name);
    bool bracketed = name[0] == '[';
    char *zone;

    if (bracketed && (len < 2 || name[len - 1] != ']'))
        return false;
    len -= bracketed ? 2 : 0;
    if (len >= sizeof(text))
        return false;
    memcpy(text, name + (bracketed ? 1 : 0), len);
    text[len] = '\0';
    zone = strchr(text, '%');
    if (zone != NULL) {
        *zone++ = '\0';
        if (bracketed && strncmp(zone, "25", 2) == 0 && zone[2] != '\0')
            zone += 2;
        if (!is_zone(zone))
            return false;
    }
    return parse_address(AF_INET6, text, host->text, sizeof(host->text));
}

int evtls_hostname_parse(struct evtls_hostname *host, const char *name, struct evtls_error *err)
{
    struct evtls_hostname parsed = {.is_ip = true};

    if (name == NULL || name[0] == '\0')
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no host name was given");
    if (name[0] == '[' || strchr(name, ':') != NULL) {
        if (!parse_ipv6(&parsed, name))
            return refuse(err, name, "not an IPv6 address (a port is not part of a host name)");
    } else if (!parse_address(AF_INET, name, parsed.text, sizeof(parsed.text))) {
        int status = parse_dns_name(&parsed, name, err);

        if (status != EVTLS_OK)
            return status;
    }
    *host = parsed;
    return evtls_error_set_ok(err);
}

/* RFC 6066, section 3: addresses are not permitted in server_name; some clients send them. */
static bool is_any_address(const char *name)
{
    struct evtls_hostname host;
    char text[INET_ADDRSTRLEN];

    return parse_address(AF_INET, name, text, sizeof(text)) ||
           ((name[0] == '[' || strchr(name, ':') != NULL) && parse_ipv6(&host, name));
}

int evtls_hostname_from_wire(char out[256], const unsigned char *name, size_t len)
{
    if (len > 1 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > NAME_MAX_LENGTH || name[0] == '.')
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < 0x21 || name[i] > 0x7e)
            return -1;
        out[i] = to_lower((char)name[i]);
    }
    out[len] = '\0';
    return is_any_address(out) ? 0 : 1;
}
