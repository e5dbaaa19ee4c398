/* SPDX-License-Identifier: BSD-3-Clause */
#include "rng.h"

void rng_init(struct rng *rng, uint64_t seed)
{
    rng->state = seed;
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
    return n == 0 ? 0 : rng_next(rng) % n;
}

bool rng_chance(struct rng *rng, unsigned per_mille)
{
    return rng_below(rng, 1000) < per_mille;
}

size_t rng_size(struct rng *rng, size_t max)
{
    unsigned bits = 0;
    size_t limit;

    while (bits < 63 && (size_t)1 << bits < max)
        bits++;
    limit = (size_t)1 << rng_below(rng, bits + 1);
    return 1 + (size_t)rng_below(rng, limit < max ? limit : max);
}

void rng_fill(struct rng *rng, void *data, size_t len)
{
    unsigned char *p = data;

    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)rng_next(rng);
}
