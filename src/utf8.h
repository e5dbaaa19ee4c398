/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which bytes may be shown on a terminal as they are.
 */
#ifndef EVTLS_SRC_UTF8_H
#define EVTLS_SRC_UTF8_H

#include <stddef.h>

/*
 * The length of the character that len bytes begin with, when it is well-formed UTF-8 (RFC 3629)
 * and printable: no control character, no line or paragraph separator, nothing that changes the
 * direction of the text around it. 0 for anything else, and for len 0.
 */
size_t evtls_utf8_printable(const unsigned char *bytes, size_t len);

#endif
