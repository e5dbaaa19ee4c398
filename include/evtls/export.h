/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EVTLS_EXPORT marks each function that the library exports. Nothing in this header is for
 * programs.
 */
#ifndef EVTLS_EXPORT_H
#define EVTLS_EXPORT_H

#if defined(__GNUC__)
#define EVTLS_EXPORT __attribute__((visibility("default")))
#else
#define EVTLS_EXPORT
#endif

#endif
