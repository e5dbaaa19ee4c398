/*
 * Everything that evtls offers but for evtls/openssl.h, which shows OpenSSL's own types.
 */
#ifndef EVTLS_EVTLS_H
#define EVTLS_EVTLS_H

#include <evtls/version.h>

#endif
