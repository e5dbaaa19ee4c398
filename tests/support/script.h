/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a network does, decided by a seed: short counts, EAGAIN, EINTR, delays, an end or a reset
 * after so many bytes.
 *
 * A struct script is the recipe of one connection; script_transport.h plays it in memory, wire.h
 * between two descriptors, and script_attach on the system calls of one descriptor. Two runs from
 * the same script and the same calls are the same, byte by byte.
 */
#ifndef EVTLS_TESTS_SUPPORT_SCRIPT_H
#define EVTLS_TESTS_SUPPORT_SCRIPT_H

#include <stdio.h>

#include "faults.h"
#include "rng.h"

enum script_cut { SCRIPT_NO_CUT, SCRIPT_END, SCRIPT_RESET };

struct script {
    uint64_t seed;
    size_t max_bytes; /* most that one call moves; 0: no limit; below it, any number from 1 */
    unsigned again_per_mille;
    unsigned eintr_per_mille;
    unsigned max_delay_ms;
    size_t capacity; /* bytes that one direction holds; 0: 65,536 */

    /* How a direction ends after so many bytes: [0] what side 0 sends, [1] what side 1 sends. */
    struct {
        enum script_cut cut;
        uint64_t at;
    } end[2];
};

/* All chosen by the seed; no cuts, so that everything arrives. */
struct script script_make(uint64_t seed);

/* The same, with one cut in one direction, somewhere in the first within bytes. */
struct script script_make_cut(uint64_t seed, uint64_t within);

/* One line, for the message of a test that failed. */
void script_print(const struct script *script, FILE *file);

/* A script being played on one call after the other. */
struct script_player {
    const struct script *script; /* borrowed */
    struct rng rng;
    unsigned refused; /* calls in a row that got EAGAIN or EINTR */
};

void script_play(struct script_player *player, const struct script *script, unsigned stream);

/* What becomes of a call for len bytes. No more than three are refused in a row. */
struct faults_verdict script_next(struct script_player *player, size_t len);
unsigned script_delay_ms(struct script_player *player);

/*
 * Plays the script (short counts, EAGAIN, EINTR; for the incoming direction the cut) on the calls
 * of a real descriptor, which is side 0 or 1. player and script live as long as the faults.
 */
void script_attach(struct script_player *player, const struct script *script, unsigned side,
                   struct faults *f);

#endif
