/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "engine_state.h"

#define NEW EVTLS_ENGINE_NEW
#define HANDSHAKE EVTLS_ENGINE_HANDSHAKE
#define CLIENT_HELLO EVTLS_ENGINE_AWAIT_CLIENT_HELLO
#define CERTIFICATE EVTLS_ENGINE_AWAIT_CERTIFICATE
#define VERIFY EVTLS_ENGINE_AWAIT_VERIFY
#define OPEN EVTLS_ENGINE_OPEN
#define WRITE_CLOSED EVTLS_ENGINE_WRITE_CLOSED
#define READ_CLOSED EVTLS_ENGINE_READ_CLOSED
#define CLOSED EVTLS_ENGINE_CLOSED
#define FAILED EVTLS_ENGINE_FAILED
#define NO (-1)

/* Any state: a failure and a reset. */
#define ALWAYS [EVTLS_ENGINE_ON_FAIL] = FAILED, [EVTLS_ENGINE_ON_RESET] = NEW

/*
 * A line for each state: where each event leads from there, in the order of enum
 * evtls_engine_event: STEP, ASK_CLIENT_HELLO, ASK_CERTIFICATE, ASK_VERIFY, COMPLETE, CLOSE_SENT,
 * CLOSE_RECEIVED. An open connection may still be asked for a certificate (authentication after
 * the handshake), which suspends the call and not the connection.
 */
static const signed char transitions[EVTLS_ENGINE_N_STATES][EVTLS_ENGINE_N_EVENTS] = {
    /* clang-format off */
    [NEW] =          {HANDSHAKE, NO, NO, NO, NO, NO, NO, ALWAYS},
    [HANDSHAKE] =    {HANDSHAKE, CLIENT_HELLO, CERTIFICATE, VERIFY, OPEN, NO, NO, ALWAYS},
    [CLIENT_HELLO] = {HANDSHAKE, NO, NO, NO, NO, NO, NO, ALWAYS},
    [CERTIFICATE] =  {HANDSHAKE, NO, NO, NO, NO, NO, NO, ALWAYS},
    [VERIFY] =       {HANDSHAKE, NO, NO, NO, NO, NO, NO, ALWAYS},
    [OPEN] =         {NO, NO, OPEN, OPEN, NO, WRITE_CLOSED, READ_CLOSED, ALWAYS},
    [WRITE_CLOSED] = {NO, NO, WRITE_CLOSED, WRITE_CLOSED, NO, NO, CLOSED, ALWAYS},
    [READ_CLOSED] =  {NO, NO, NO, NO, NO, CLOSED, NO, ALWAYS},
    [CLOSED] =       {NO, NO, NO, NO, NO, NO, NO, ALWAYS},
    [FAILED] =       {NO, NO, NO, NO, NO, NO, NO, ALWAYS},
    /* clang-format on */
};

bool evtls_engine_state_move(enum evtls_engine_state *state, enum evtls_engine_event event)
{
    int next = transitions[*state][event];

    if (next == NO)
        return false;
    *state = (enum evtls_engine_state)next;
    return true;
}

bool evtls_engine_state_is_early(enum evtls_engine_state state)
{
    return state <= EVTLS_ENGINE_AWAIT_VERIFY;
}

const char *evtls_engine_state_name(enum evtls_engine_state state)
{
    static const char *const names[EVTLS_ENGINE_N_STATES] = {
        [NEW] = "new",
        [HANDSHAKE] = "handshake",
        [CLIENT_HELLO] = "await-client-hello",
        [CERTIFICATE] = "await-certificate",
        [VERIFY] = "await-verify",
        [OPEN] = "open",
        [WRITE_CLOSED] = "write-closed",
        [READ_CLOSED] = "read-closed",
        [CLOSED] = "closed",
        [FAILED] = "failed",
    };

    return (unsigned)state < EVTLS_ENGINE_N_STATES ? names[state] : "unknown";
}
