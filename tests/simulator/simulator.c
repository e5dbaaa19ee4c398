/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/thread.h>

#include "support/vclock.h"

static const char usage[] =
    "Usage: simulator [--seed N | --seeds FROM-TO] [--verbose]\n"
    "Plays connections that seeds decide: both peers in one process, over a scripted transport, "
    "with\n"
    "a program that makes random calls. Without a seed: seeds 1 to 1000, as TAP.\n"
    "  --seed N         one seed, in this process (for a debugger)\n"
    "  --seeds FROM-TO  these\n"
    "  --verbose        say what happens\n"
    "Exit status: 0 when every promise was kept, 1 when not, 2 for wrong usage.\n";

#define BLOCK 100
#define BLOCK_SECONDS 120

#define DAY 1800000000 /* 2027-01-15 */

/* The same day whenever a seed is played: the lengths of certificates' signatures follow from it.
 */
static void start_clock(void)
{
    vclock_enable();
    vclock_set(DAY);
}

static void run_seed(struct sim_world *world, uint64_t seed, bool verbose)
{
    struct sim sim;

    start_clock();
    sim_init(&sim, world, seed, verbose);
    if (seed % 2 == 0)
        sim_run_engines(&sim);
    else
        sim_run_bufferevents(&sim);
    sim_cleanup(&sim);
    vclock_disable();
}

static void run_seeds(uint64_t from, uint64_t to, bool verbose)
{
    struct sim_world world;

    start_clock();
    sim_world_init(&world);
    for (uint64_t seed = from; seed <= to; seed++)
        run_seed(&world, seed, verbose);
    sim_world_cleanup(&world);
}

/* A block runs in a child: whatever becomes of it, the others run too. */
static bool run_block(uint64_t from, uint64_t to)
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        alarm(BLOCK_SECONDS);
        run_seeds(from, to, false);
        exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int run_tap(uint64_t from, uint64_t to)
{
    uint64_t blocks = (to - from) / BLOCK + 1;
    int failed = 0;

    printf("1..%llu\n", (unsigned long long)blocks);
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t first = from + i * BLOCK;
        uint64_t last = first + BLOCK - 1 < to ? first + BLOCK - 1 : to;
        bool ok = run_block(first, last);

        printf("%sok %llu - seeds %llu to %llu\n", ok ? "" : "not ", (unsigned long long)i + 1,
               (unsigned long long)first, (unsigned long long)last);
        fflush(stdout);
        failed |= !ok;
    }
    return failed;
}

int main(int argc, char **argv)
{
    unsigned long long from = 1, to = 1000;
    bool one = false, verbose = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc &&
                   sscanf(argv[i + 1], "%llu", &from) == 1) {
            one = true;
            i++;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc &&
                   sscanf(argv[i + 1], "%llu-%llu", &from, &to) == 2 && from <= to) {
            i++;
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    evthread_use_pthreads();
    if (one) {
        run_seeds(from, from, verbose);
        return 0;
    }
    return run_tap(from, to);
}
