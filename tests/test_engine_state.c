/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "engine_state.h"
#include "support/suite.h"

/* Written down once more, in words: from, what happens, to. All else is refused. */
static const struct {
    enum evtls_engine_state from;
    enum evtls_engine_event event;
    enum evtls_engine_state to;
} allowed[] = {
    {EVTLS_ENGINE_NEW, EVTLS_ENGINE_ON_STEP, EVTLS_ENGINE_HANDSHAKE},
    {EVTLS_ENGINE_HANDSHAKE, EVTLS_ENGINE_ON_STEP, EVTLS_ENGINE_HANDSHAKE},
    {EVTLS_ENGINE_HANDSHAKE, EVTLS_ENGINE_ON_ASK_CLIENT_HELLO, EVTLS_ENGINE_AWAIT_CLIENT_HELLO},
    {EVTLS_ENGINE_HANDSHAKE, EVTLS_ENGINE_ON_ASK_CERTIFICATE, EVTLS_ENGINE_AWAIT_CERTIFICATE},
    {EVTLS_ENGINE_HANDSHAKE, EVTLS_ENGINE_ON_ASK_VERIFY, EVTLS_ENGINE_AWAIT_VERIFY},
    {EVTLS_ENGINE_HANDSHAKE, EVTLS_ENGINE_ON_COMPLETE, EVTLS_ENGINE_OPEN},
    {EVTLS_ENGINE_AWAIT_CLIENT_HELLO, EVTLS_ENGINE_ON_STEP, EVTLS_ENGINE_HANDSHAKE},
    {EVTLS_ENGINE_AWAIT_CERTIFICATE, EVTLS_ENGINE_ON_STEP, EVTLS_ENGINE_HANDSHAKE},
    {EVTLS_ENGINE_AWAIT_VERIFY, EVTLS_ENGINE_ON_STEP, EVTLS_ENGINE_HANDSHAKE},
    {EVTLS_ENGINE_OPEN, EVTLS_ENGINE_ON_ASK_CERTIFICATE, EVTLS_ENGINE_OPEN},
    {EVTLS_ENGINE_OPEN, EVTLS_ENGINE_ON_ASK_VERIFY, EVTLS_ENGINE_OPEN},
    {EVTLS_ENGINE_OPEN, EVTLS_ENGINE_ON_CLOSE_SENT, EVTLS_ENGINE_WRITE_CLOSED},
    {EVTLS_ENGINE_OPEN, EVTLS_ENGINE_ON_CLOSE_RECEIVED, EVTLS_ENGINE_READ_CLOSED},
    {EVTLS_ENGINE_WRITE_CLOSED, EVTLS_ENGINE_ON_ASK_CERTIFICATE, EVTLS_ENGINE_WRITE_CLOSED},
    {EVTLS_ENGINE_WRITE_CLOSED, EVTLS_ENGINE_ON_ASK_VERIFY, EVTLS_ENGINE_WRITE_CLOSED},
    {EVTLS_ENGINE_WRITE_CLOSED, EVTLS_ENGINE_ON_CLOSE_RECEIVED, EVTLS_ENGINE_CLOSED},
    {EVTLS_ENGINE_READ_CLOSED, EVTLS_ENGINE_ON_CLOSE_SENT, EVTLS_ENGINE_CLOSED},
};

/* Where event leads from a state, or -1. */
static int expected(enum evtls_engine_state from, enum evtls_engine_event event)
{
    if (event == EVTLS_ENGINE_ON_FAIL)
        return EVTLS_ENGINE_FAILED;
    if (event == EVTLS_ENGINE_ON_RESET)
        return EVTLS_ENGINE_NEW;
    for (size_t i = 0; i < COUNT(allowed); i++) {
        if (allowed[i].from == from && allowed[i].event == event)
            return (int)allowed[i].to;
    }
    return -1;
}

START_TEST(state__moves_as_the_table_says)
{
    for (int from = 0; from < EVTLS_ENGINE_N_STATES; from++) {
        for (int event = 0; event < EVTLS_ENGINE_N_EVENTS; event++) {
            enum evtls_engine_state state = (enum evtls_engine_state)from;
            int to = expected(state, (enum evtls_engine_event)event);
            bool moved = evtls_engine_state_move(&state, (enum evtls_engine_event)event);

            ck_assert_msg(moved == (to >= 0), "%s, event %d", evtls_engine_state_name(from), event);
            ck_assert_msg((int)state == (to >= 0 ? to : from), "%s, event %d leads to %s",
                          evtls_engine_state_name(from), event, evtls_engine_state_name(state));
        }
    }
}
END_TEST

START_TEST(state__names_are_all_different)
{
    for (int a = 0; a < EVTLS_ENGINE_N_STATES; a++) {
        ck_assert_str_ne(evtls_engine_state_name(a), "unknown");
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(evtls_engine_state_name(a), evtls_engine_state_name(b));
    }
    ck_assert_str_eq(evtls_engine_state_name((enum evtls_engine_state)99), "unknown");
    ck_assert_str_eq(evtls_engine_state_name((enum evtls_engine_state) - 1), "unknown");
}
END_TEST

START_TEST(state__early_means_before_open)
{
    for (int state = 0; state < EVTLS_ENGINE_N_STATES; state++)
        ck_assert_int_eq(evtls_engine_state_is_early(state), state < EVTLS_ENGINE_OPEN);
}
END_TEST

static Suite *engine_state_suite(void)
{
    Suite *suite = suite_create("engine_state");
    TCase *tcase = tcase_create("engine_state");

    tcase_add_test(tcase, state__moves_as_the_table_says);
    tcase_add_test(tcase, state__names_are_all_different);
    tcase_add_test(tcase, state__early_means_before_open);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(engine_state_suite());
}
