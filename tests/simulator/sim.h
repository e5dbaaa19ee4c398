/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulator: both peers of a connection in one process, over a transport that a seed scripts
 * and with a program that a seed drives. Everything follows from the seed, so any failure is played
 * again by it.
 *
 * What each run checks is said where it is checked: SIM_CHECK prints the seed, the step and the
 * promise that was broken, and ends the process.
 */
#ifndef EVTLS_TESTS_SIMULATOR_SIM_H
#define EVTLS_TESTS_SIMULATOR_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evtls/context.h>
#include <evtls/session.h>

#include "support/pki.h"
#include "support/rng.h"
#include "support/script.h"

enum { SIM_CLIENT, SIM_SERVER }; /* also the transport's sides */

/* Who plays: ours against ours, or a plain OpenSSL peer on one side. */
enum sim_pairing { SIM_BOTH_OURS, SIM_PLAIN_CLIENT, SIM_PLAIN_SERVER };

/* What is made once a process. */
struct sim_world {
    struct pki *pki;
    struct pki_ident *ident; /* the server's, for "localhost" */
    struct pki_ident *client_ident;
    struct evtls_context *server[2];    /* without and with client certificates */
    struct evtls_context *client[2][2]; /* the same, and by highest version: 1.3, 1.2 */
};

void sim_world_init(struct sim_world *world);
void sim_world_cleanup(struct sim_world *world);

struct sim {
    struct sim_world *world;
    uint64_t seed;
    struct rng rng;
    struct script script;
    enum sim_pairing pairing;
    bool tls12;
    bool client_cert;
    bool cut;                      /* the script ends a direction by itself */
    struct evtls_session *session; /* offered by the client, or NULL */
    bool verbose;
    unsigned step;
};

void sim_init(struct sim *sim, struct sim_world *world, uint64_t seed, bool verbose);
void sim_cleanup(struct sim *sim);

struct evtls_context *sim_context(const struct sim *sim, int side);
struct peer *sim_plain_peer(const struct sim *sim, int side);

/* How much a side may send in a run. */
uint64_t sim_max_bytes(const struct sim *sim);

/* The two kinds of runs. */
void sim_run_engines(struct sim *sim);
void sim_run_bufferevents(struct sim *sim);

/* Stands in what a side sends, over and over, and must not be seen on the wire. */
#define SIM_MARK "plaintext-mark"

/* The protocol that both sides speak. */
#define SIM_ALPN "sim/1"

/* Byte number `at` of what a side sends. */
unsigned char sim_byte(const struct sim *sim, int side, uint64_t at);
void sim_fill(const struct sim *sim, int side, uint64_t at, unsigned char *data, size_t len);

void sim_say(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_fail(const struct sim *sim, const char *file, int line, const char *what,
              const char *format, ...) __attribute__((format(printf, 5, 6), noreturn));

#define SIM_CHECK(sim, condition, ...)                                                             \
    ((condition) ? (void)0 : sim_fail(sim, __FILE__, __LINE__, #condition, __VA_ARGS__))

/* Checks that len bytes are those that a side sent from `at` on. */
void sim_check_bytes(const struct sim *sim, int side, uint64_t at, const unsigned char *data,
                     size_t len);

#endif
