/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <evtls/error.h>

#include "alpn.h"

/* RFC 7301, section 3.1: ProtocolName<1..2^8-1>, protocol_name_list<2..2^16-1>. */
#define NAME_MAX_LENGTH 255
#define LIST_MAX_LENGTH 65535

int evtls_alpn_encode(const char *const *protocols, size_t n, unsigned char **wire, size_t *len)
{
    unsigned char *list, *end;
    size_t total = 0, i;

    if (protocols == NULL && n > 0)
        return EVTLS_ERR_USAGE;
    for (i = 0; i < n; i++) {
        size_t name_len = protocols[i] != NULL ? strlen(protocols[i]) : 0;

        if (name_len == 0 || name_len > NAME_MAX_LENGTH)
            return EVTLS_ERR_USAGE;
        total += 1 + name_len;
        if (total > LIST_MAX_LENGTH)
            return EVTLS_ERR_USAGE;
    }
    if (total == 0) {
        *wire = NULL;
        *len = 0;
        return 0;
    }
    list = end = malloc(total);
    if (list == NULL)
        return EVTLS_ERR_NOMEM;
    for (i = 0; i < n; i++) {
        size_t name_len = strlen(protocols[i]);

        *end++ = (unsigned char)name_len;
        memcpy(end, protocols[i], name_len);
        end += name_len;
    }
    *wire = list;
    *len = total;
    return 0;
}

/* Takes one name off the front of a list; false at its end and where the rest is malformed. */
static bool next_name(const unsigned char **list, size_t *len, const unsigned char **name,
                      unsigned char *name_len)
{
    if (*len == 0 || **list == 0 || *len - 1 < **list)
        return false;
    *name_len = **list;
    *name = *list + 1;
    *list += 1 + (size_t)*name_len;
    *len -= 1 + (size_t)*name_len;
    return true;
}

static bool has_name(const unsigned char *list, size_t len, const unsigned char *name,
                     unsigned char name_len)
{
    const unsigned char *other;
    unsigned char other_len;

    while (next_name(&list, &len, &other, &other_len))
        if (other_len == name_len && memcmp(other, name, name_len) == 0)
            return true;
    return false;
}

bool evtls_alpn_select(const unsigned char *ours, size_t ours_len, const unsigned char *theirs,
                       size_t theirs_len, const unsigned char **name, unsigned char *name_len)
{
    while (next_name(&ours, &ours_len, name, name_len))
        if (has_name(theirs, theirs_len, *name, *name_len))
            return true;
    return false;
}
