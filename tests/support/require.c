/* SPDX-License-Identifier: BSD-3-Clause */
#include "require.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

void support_require_at(bool ok, const char *what, const char *file, int line)
{
    if (ok)
        return;
    fprintf(stderr, "%s:%d: test support: %s does not hold\n", file, line, what);
    ERR_print_errors_fp(stderr);
    abort();
}
