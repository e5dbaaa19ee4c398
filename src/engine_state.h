/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What moves an engine from one state to the next.
 */
#ifndef EVTLS_SRC_ENGINE_STATE_H
#define EVTLS_SRC_ENGINE_STATE_H

#include <stdbool.h>

#include "engine.h"

enum evtls_engine_event {
    EVTLS_ENGINE_ON_STEP,             /* the handshake starts or goes on */
    EVTLS_ENGINE_ON_ASK_CLIENT_HELLO, /* OpenSSL waits for a decision of the program */
    EVTLS_ENGINE_ON_ASK_CERTIFICATE,
    EVTLS_ENGINE_ON_ASK_VERIFY,
    EVTLS_ENGINE_ON_COMPLETE,       /* the handshake is done */
    EVTLS_ENGINE_ON_CLOSE_SENT,     /* our close_notify stands in the output */
    EVTLS_ENGINE_ON_CLOSE_RECEIVED, /* the peer's was read, or what counts as one */
    EVTLS_ENGINE_ON_FAIL,
    EVTLS_ENGINE_ON_RESET
};

#define EVTLS_ENGINE_N_STATES (EVTLS_ENGINE_FAILED + 1)
#define EVTLS_ENGINE_N_EVENTS (EVTLS_ENGINE_ON_RESET + 1)

/* Moves *state on, or leaves it and returns false where the event cannot happen there. */
bool evtls_engine_state_move(enum evtls_engine_state *state, enum evtls_engine_event event);

/* True before the handshake is complete and nothing has failed. */
bool evtls_engine_state_is_early(enum evtls_engine_state state);

#endif
