/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which release of evtls a program was compiled against, and which one is running.
 *
 * The macros tell the first, the functions the second. They differ where a newer shared library was
 * installed under a program that was built before.
 */
#ifndef EVTLS_VERSION_H
#define EVTLS_VERSION_H

#include <stdint.h>

#include <evtls/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EVTLS_VERSION_MAJOR 0
#define EVTLS_VERSION_MINOR 1
#define EVTLS_VERSION_PATCH 0

/* The release as text: "MAJOR.MINOR.PATCH". */
#define EVTLS_VERSION "0.1.0"

/* The release as a number that grows with each one: 0xMMmmpp00, a byte for each part. */
#define EVTLS_VERSION_NUMBER                                                                       \
    ((uint32_t)((EVTLS_VERSION_MAJOR << 24) | (EVTLS_VERSION_MINOR << 16) |                        \
                (EVTLS_VERSION_PATCH << 8)))

/*
 * Returns the EVTLS_VERSION of the library that is running, a constant string that is never freed.
 * It may be called at any time and from any thread, and calls nothing back. Since 0.1.0.
 */
EVTLS_EXPORT const char *evtls_version(void);

/*
 * Returns the EVTLS_VERSION_NUMBER of the library that is running.
 * It may be called at any time and from any thread, and calls nothing back. Since 0.1.0.
 */
EVTLS_EXPORT uint32_t evtls_version_number(void);

#ifdef __cplusplus
}
#endif

#endif
