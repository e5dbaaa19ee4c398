/* The end of a connection, as the other side sees it. */
#include "rows.h"
#include "world.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void free_is_an_end(struct contract *c)
{
    contract_pair(c);
    end_free(&c->client);
    contract_wait(c, &c->server.eofs, 1, "the end");
    ck_assert_int_eq(c->server.what, BEV_EVENT_READING | BEV_EVENT_EOF);
    end_expect(&c->server, 0, "E");
    /* Reading is over, and says so. */
    ck_assert_int_eq(bufferevent_get_enabled(c->server.bev) & EV_READ, 0);
}

static void only_one_event(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 10);
    c->client.on_write = end_free_when_empty;
    contract_wait(c, &c->server.eofs, 1, "the end");
    contract_settle(c, 50);
    end_expect(&c->server, 10, "RE");
}

static void enabled_again_after_end(struct contract *c)
{
    contract_pair(c);
    end_free(&c->client);
    contract_wait(c, &c->server.ends, 1, "the end");
    ck_assert_uint_eq(c->server.errors, 0);
    /* A program that enables reading again hears the same at most once more, and never a different
     * story. */
    bufferevent_enable(c->server.bev, EV_READ);
    contract_settle(c, 30);
    ck_assert_uint_le(c->server.ends, 2);
    ck_assert_uint_eq(c->server.errors, 0);
}

/* All bytes are in the input before the event, however many there are. (A4) */
static void after_every_byte(struct contract *c)
{
    contract_pair(c);
    c->client.on_write = end_free_when_empty;
    end_send(&c->client, 3 * MIB + 1);
    contract_wait(c, &c->server.eofs, 1, "the end");
    end_expect(&c->server, 3 * MIB + 1, "RE");
}

/* Bytes and end in one flight, read when both are there. */
static void bytes_and_end_at_once(struct contract *c)
{
    contract_pair(c);
    bufferevent_disable(c->server.bev, EV_READ);
    c->client.on_write = end_free_when_empty;
    end_send(&c->client, 30000);
    contract_settle(c, 30);
    end_expect(&c->server, 0, "");
    bufferevent_enable(c->server.bev, EV_READ);
    contract_wait(c, &c->server.eofs, 1, "the end");
    end_expect(&c->server, 30000, "RE");
}

static void not_while_disabled(struct contract *c)
{
    contract_pair(c);
    bufferevent_disable(c->server.bev, EV_READ);
    end_free(&c->client);
    contract_settle(c, 40);
    end_expect(&c->server, 0, "");
    bufferevent_enable(c->server.bev, EV_READ);
    contract_wait(c, &c->server.eofs, 1, "the end");
}

/* A full input hides the end until the program has made room. */
static void behind_a_full_input(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 1000);
    c->client.on_write = end_free_when_empty;
    end_send(&c->client, 2500);
    for (int i = 0; i < 2; i++) {
        contract_settle(c, 20);
        end_expect(&c->server, (uint64_t)i * 1000, "R");
        ck_assert_uint_eq(end_take(&c->server, SIZE_MAX), 1000);
    }
    contract_wait(c, &c->server.eofs, 1, "the end");
    end_expect(&c->server, 2500, "RE");
}

/* Both leave at the same moment. */
static void both_free(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 1000);
    end_send(&c->server, 1000);
    end_free(&c->client);
    end_free(&c->server);
    contract_settle(c, 10);
}

/* --- errors --- */

static void connection_reset(struct contract *c)
{
    contract_pair(c);
    end_reset(&c->client);
    contract_wait(c, &c->server.ends, 1, "the reset");
    contract_settle(c, 30);
    end_expect(&c->server, 0, "X");
    ck_assert_int_eq(c->server.what, BEV_EVENT_READING | BEV_EVENT_ERROR);
}

/* (A18) */
static void errno_of_a_reset(struct contract *c)
{
    contract_pair(c);
    errno = 0;
    end_reset(&c->client);
    contract_wait(c, &c->server.ends, 1, "the reset");
    ck_assert_int_eq(c->server.err, ECONNRESET);
}

static void errno_of_a_reset_deferred(struct contract *c)
{
    c->options |= BEV_OPT_DEFER_CALLBACKS;
    errno_of_a_reset(c);
}

/* A writer whose peer is gone hears of it although it does not read. */
static void write_error(struct contract *c)
{
    c->buffer_size = 16384;
    contract_pair(c);
    bufferevent_disable(c->server.bev, EV_READ);
    end_send(&c->server, 4 * MIB);
    contract_wait_bytes(c, &c->client, 10000);
    end_reset(&c->client);
    contract_wait(c, &c->server.ends, 1, "the write error");
    contract_settle(c, 30);
    ck_assert_uint_eq(c->server.ends, 1);
    ck_assert_int_eq(c->server.what, BEV_EVENT_WRITING | BEV_EVENT_ERROR);
    ck_assert_msg(c->server.err == ECONNRESET || c->server.err == EPIPE, "errno %d", c->server.err);
}

/* --- half close --- */

static void half_close(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    shutdown(bufferevent_getfd(c->client.bev), SHUT_WR);
    contract_wait(c, &c->server.eofs, 1, "the end of one direction");
    end_send(&c->server, MIB);
    contract_wait_bytes(c, &c->client, MIB);
    ck_assert_uint_eq(c->server.ends, 1);
    ck_assert_uint_eq(c->client.ends, 0);
}

/* What was written before the peer's end arrived still goes out: the write side lives on. */
static void writes_after_the_peers_end(struct contract *c)
{
    contract_pair(c);
    shutdown(bufferevent_getfd(c->client.bev), SHUT_WR);
    contract_wait(c, &c->server.eofs, 1, "the end of one direction");
    c->server.on_write = end_free_when_empty;
    end_send(&c->server, MIB);
    contract_wait(c, &c->client.eofs, 1, "the answer and its end");
    ck_assert_uint_eq(c->client.received, MIB);
}

/* TLS knows a cut from an end: whoever cuts the stream may not make it look complete. */
static void cut_is_not_an_end(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    shutdown(bufferevent_getfd(c->client.bev), SHUT_WR);
    contract_wait(c, &c->server.ends, 1, "the cut");
    end_expect(&c->server, 1000, "RX");
}

/* Bytes that are no TLS are an error, not data and not an end. */
static void garbage_is_an_error(struct contract *c)
{
    static const char garbage[] = "\x17\x03\x03\x00\x20 no record of anybody's session";
    contract_pair(c);
    ck_assert_int_gt(send(bufferevent_getfd(c->client.bev), garbage, sizeof(garbage), MSG_NOSIGNAL),
                     0);
    contract_wait(c, &c->server.ends, 1, "the error");
    contract_settle(c, 20);
    end_expect(&c->server, 0, "X");
}

const struct contract_row contract_rows_end[] = {
    {.name = "end__free_is_an_end_for_the_peer", .run = free_is_an_end},
    {.name = "end__one_event", .run = only_one_event},
    {.name = "end__enabled_again", .run = enabled_again_after_end},
    {.name = "end__after_every_byte", .run = after_every_byte},
    {.name = "end__bytes_and_end_at_once", .run = bytes_and_end_at_once},
    {.name = "end__not_while_disabled", .run = not_while_disabled},
    {.name = "end__behind_a_full_input", .run = behind_a_full_input},
    {.name = "end__both_free", .run = both_free},
    {.name = "end__reset_is_one_error", .run = connection_reset, .needs = CONTRACT_FD},
    {.name = "end__errno_of_a_reset", .run = errno_of_a_reset, .needs = CONTRACT_FD},
    {.name = "end__errno_of_a_reset_deferred",
     .run = errno_of_a_reset_deferred,
     .needs = CONTRACT_FD},
    {.name = "end__write_error", .run = write_error, .needs = CONTRACT_FD},
    {.name = "end__half_close", .run = half_close, .needs = CONTRACT_PLAIN | CONTRACT_FD},
    {.name = "end__writes_after_the_peers_end",
     .run = writes_after_the_peers_end,
     .needs = CONTRACT_PLAIN | CONTRACT_FD},
    {.name = "end__cut_is_not_an_end",
     .run = cut_is_not_an_end,
     .needs = CONTRACT_TLS | CONTRACT_FD},
    {.name = "end__garbage_is_an_error",
     .run = garbage_is_an_error,
     .needs = CONTRACT_TLS | CONTRACT_FD},
    {0},
};
