/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>

#include "utf8.h"

/* First and last of each run of code points that must not reach a terminal or a log. */
static const struct {
    uint32_t first, last;
} unprintable[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f},   {0x061c, 0x061c}, /* C0, C1; Arabic letter mark */
    {0x200b, 0x200f}, {0x2028, 0x202e},                     /* invisible, separators, bidi */
    {0x2060, 0x206f}, {0xd800, 0xdfff},   {0xfeff, 0xfeff}, /* bidi isolates; surrogates; BOM */
    {0xfff9, 0xfffb}, {0xe0000, 0xe007f},                   /* annotations, tags */
};

static bool is_printable(uint32_t code)
{
    for (size_t i = 0; i < sizeof(unprintable) / sizeof(unprintable[0]); i++) {
        if (code >= unprintable[i].first && code <= unprintable[i].last)
            return false;
    }
    return code <= 0x10ffff;
}

size_t evtls_utf8_printable(const unsigned char *bytes, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size;
    uint32_t code;

    if (len == 0)
        return 0;
    if (bytes[0] < 0x80)
        return is_printable(bytes[0]) ? 1 : 0;
    size = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || len < size)
        return 0;
    code = bytes[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    return code >= least[size] && is_printable(code) ? size : 0;
}
