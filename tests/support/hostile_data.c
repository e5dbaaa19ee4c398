/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <string.h>

#include "hostile.h"
#include "loop.h"

unsigned char hostile_pattern[HOSTILE_PATTERN_BYTES];

void hostile_fill_pattern(void)
{
    for (size_t i = 0; i < sizeof(hostile_pattern); i++) {
        hostile_pattern[i] = (unsigned char)(i * 31 + (i >> 8) * 7);
    }
}

void hostile_write_pattern(struct hostile *h, size_t len)
{
    for (size_t n; len > 0; len -= n) {
        n = len < HOSTILE_PATTERN_BYTES ? len : HOSTILE_PATTERN_BYTES;
        evbuffer_add_reference(bufferevent_get_output(h->side.bev), hostile_pattern, n, NULL, NULL);
    }
}

void hostile_peer_write_pattern(struct hostile *h, size_t len)
{
    for (size_t n; len > 0; len -= n) {
        n = len < HOSTILE_PATTERN_BYTES ? len : HOSTILE_PATTERN_BYTES;
        ck_assert_int_eq(peer_write(h->peer, hostile_pattern, n), PEER_OK);
        hostile_flush_peer(h);
    }
}

struct target {
    struct hostile *h;
    size_t len;
};

static bool peer_has(void *arg)
{
    struct target *target = arg;

    return hostile_peer_got(target->h) >= target->len;
}

static void check_pattern(const unsigned char *data, size_t len)
{
    for (size_t at = 0, n; at < len; at += n) {
        n = len - at < HOSTILE_PATTERN_BYTES ? len - at : HOSTILE_PATTERN_BYTES;
        ck_assert(memcmp(data + at, hostile_pattern, n) == 0);
    }
}

void hostile_expect_at_peer(struct hostile *h, size_t len)
{
    struct target target = {h, len};
    size_t got;

    ck_assert_msg(loop_until(h->base, peer_has, &target, 60000), "%s: %zu of %zu", h->row->name,
                  hostile_peer_got(h), len);
    check_pattern(peer_received(h->peer, &got), len);
    ck_assert_uint_eq(got, len);
}

void hostile_expect_at_side(struct hostile *h, size_t len)
{
    bev_pair_wait_bytes(&h->beside, &h->side, len);
    ck_assert_uint_eq(evbuffer_get_length(h->side.got), len);
    check_pattern(evbuffer_pullup(h->side.got, -1), len);
    evbuffer_drain(h->side.got, len);
}
