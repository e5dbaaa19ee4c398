/* SPDX-License-Identifier: BSD-3-Clause */
#include "script.h"

#include <errno.h>

#define MAX_REFUSED 3

struct script script_make(uint64_t seed)
{
    static const size_t sizes[] = {1, 7, 100, 1460, 20000, 0};
    static const unsigned chances[] = {0, 10, 100, 400};
    static const unsigned delays[] = {0, 0, 3, 200};
    static const size_t capacities[] = {64, 512, 4096, 65536, 1 << 20};
    struct script script = {.seed = seed};
    struct rng rng;

    rng_init(&rng, seed);
    script.max_bytes = sizes[rng_below(&rng, 6)];
    script.again_per_mille = chances[rng_below(&rng, 4)];
    script.eintr_per_mille = chances[rng_below(&rng, 3)];
    script.max_delay_ms = delays[rng_below(&rng, 4)];
    script.capacity = capacities[rng_below(&rng, 5)];
    return script;
}

struct script script_make_cut(uint64_t seed, uint64_t within)
{
    struct script script = script_make(seed);
    struct rng rng;
    unsigned side;

    rng_init(&rng, ~seed);
    side = (unsigned)rng_below(&rng, 2);
    script.end[side].cut = rng_below(&rng, 2) == 0 ? SCRIPT_END : SCRIPT_RESET;
    script.end[side].at = rng_below(&rng, within);
    return script;
}

void script_print(const struct script *script, FILE *file)
{
    static const char *const cuts[] = {"whole", "end", "reset"};

    fprintf(file,
            "seed %#llx: at most %zu bytes a call, EAGAIN %u and EINTR %u in 1000, delay %u ms, "
            "capacity %zu, 0->1 %s at %llu, 1->0 %s at %llu\n",
            (unsigned long long)script->seed, script->max_bytes, script->again_per_mille,
            script->eintr_per_mille, script->max_delay_ms, script->capacity,
            cuts[script->end[0].cut], (unsigned long long)script->end[0].at,
            cuts[script->end[1].cut], (unsigned long long)script->end[1].at);
}

void script_play(struct script_player *player, const struct script *script, unsigned stream)
{
    player->script = script;
    player->refused = 0;
    rng_init(&player->rng, script->seed + ((uint64_t)stream << 56) + stream);
}

struct faults_verdict script_next(struct script_player *player, size_t len)
{
    const struct script *script = player->script;
    size_t most = len;

    if (player->refused < MAX_REFUSED) {
        int error = 0;

        if (rng_chance(&player->rng, script->again_per_mille))
            error = EAGAIN;
        else if (rng_chance(&player->rng, script->eintr_per_mille))
            error = EINTR;
        if (error != 0) {
            player->refused++;
            return (struct faults_verdict){.error = error};
        }
    }
    player->refused = 0;
    if (script->max_bytes != 0 && script->max_bytes < most)
        most = script->max_bytes;
    if (script->max_bytes == 0)
        return (struct faults_verdict){.max = most};
    return (struct faults_verdict){.max = rng_size(&player->rng, most)};
}

unsigned script_delay_ms(struct script_player *player)
{
    unsigned max = player->script->max_delay_ms;

    /* Most segments come at once, as on a network. */
    if (max == 0 || rng_chance(&player->rng, 700))
        return 0;
    return (unsigned)rng_below(&player->rng, max + 1);
}

static struct faults_verdict decide(enum faults_call call, size_t len, void *arg)
{
    (void)call;
    return script_next(arg, len);
}

void script_attach(struct script_player *player, const struct script *script, unsigned side,
                   struct faults *f)
{
    unsigned other = 1 - side;

    script_play(player, script, side);
    faults_decide(f, decide, player);
    if (script->end[other].cut != SCRIPT_NO_CUT)
        faults_end_input_at(f, script->end[other].at,
                            script->end[other].cut == SCRIPT_RESET ? ECONNRESET : 0);
}
