/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <evtls/version.h>

const char *evtls_version(void)
{
    return EVTLS_VERSION;
}

uint32_t evtls_version_number(void)
{
    return EVTLS_VERSION_NUMBER;
}
