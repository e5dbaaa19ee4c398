/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers for tests: the same from the same seed on every machine (splitmix64).
 */
#ifndef EVTLS_TESTS_SUPPORT_RNG_H
#define EVTLS_TESTS_SUPPORT_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);

/* 0 .. n - 1; 0 for n 0. */
uint64_t rng_below(struct rng *rng, uint64_t n);

/* true so many times in a thousand. */
bool rng_chance(struct rng *rng, unsigned per_mille);

/* 1 .. max, where small, middle and large numbers are equally likely. */
size_t rng_size(struct rng *rng, size_t max);

void rng_fill(struct rng *rng, void *data, size_t len);

#endif
