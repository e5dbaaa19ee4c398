/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EVTLS_PRIVATE marks what one of our libraries offers to another and to nobody else: it stands in
 * the symbol map under a version of the exact release.
 */
#ifndef EVTLS_SRC_PRIVATE_H
#define EVTLS_SRC_PRIVATE_H

#include <evtls/export.h>

#define EVTLS_PRIVATE EVTLS_EXPORT

#endif
