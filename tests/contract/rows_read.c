/* Reading: callbacks, watermarks, pauses. */
#include "rows.h"
#include "world.h"

#define MIB ((size_t)1 << 20)

static void in_order(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 8 * MIB);
    contract_wait_bytes(c, &c->server, 8 * MIB);
    ck_assert_str_eq(c->server.log, "R");
}

static void one_callback_for_one_message(struct contract *c)
{
    contract_pair(c);
    for (size_t i = 1; i <= 20; i++) {
        end_send(&c->client, 100);
        contract_wait_bytes(c, &c->server, 100 * i);
        contract_drain(c);
        ck_assert_uint_eq(c->server.reads, i);
    }
}

/* No row here writes more before it was answered. */
static void pong(struct end *e)
{
    end_send(e, (size_t)(e->received - e->sent));
}

static void ping_pong(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = pong;
    for (size_t i = 1; i <= 1000; i++) {
        end_send(&c->client, i);
        contract_wait_bytes(c, &c->client, c->client.sent);
    }
}

static void take_100(struct end *e)
{
    end_take(e, 100);
}

/* What a callback leaves stays, and is no reason for another callback. */
static void partial_read(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    c->server.on_read = take_100;
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 100);
    contract_settle(c, 20);
    ck_assert_uint_eq(c->server.reads, 1);
    ck_assert_uint_eq(end_input(&c->server), 900);
    end_send(&c->client, 1);
    contract_wait_bytes(c, &c->server, 200);
    ck_assert_uint_eq(end_input(&c->server), 801);
}

/* --- pauses --- */

static void disabled_at_first(struct contract *c)
{
    contract_pair(c);
    ck_assert_int_eq(bufferevent_disable(c->server.bev, EV_READ), 0);
    end_send(&c->client, 1000);
    contract_settle(c, 30);
    end_expect(&c->server, 0, "");
    ck_assert_int_eq(bufferevent_enable(c->server.bev, EV_READ), 0);
    contract_wait_bytes(c, &c->server, 1000);
}

static void pause_reading(struct end *e)
{
    bufferevent_disable(e->bev, EV_READ);
}

/* Everything may already be inside TLS when reading is enabled again: no further byte will come
 * from the network. */
static void disabled_in_the_callback(struct contract *c)
{
    uint64_t before = 0;
    contract_pair(c);
    c->server.on_read = pause_reading;
    end_send(&c->client, MIB);
    while (c->server.received < MIB) {
        contract_wait_bytes(c, &c->server, before + 1);
        size_t reads = c->server.reads;
        before = c->server.received;
        contract_drain(c);
        ck_assert_uint_eq(c->server.reads, reads);
        ck_assert_uint_eq(c->server.received, before);
        ck_assert_int_eq(bufferevent_get_enabled(c->server.bev), EV_WRITE);
        bufferevent_enable(c->server.bev, EV_READ);
    }
}

static void enabled_flags(struct contract *c)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    contract_make(c, &c->client, fds[0]);
    contract_make(c, &c->server, fds[1]);
    struct bufferevent *bev = c->client.bev;
    ck_assert_int_eq(bufferevent_get_enabled(bev), EV_WRITE);
    bufferevent_enable(bev, EV_READ);
    ck_assert_int_eq(bufferevent_get_enabled(bev), EV_READ | EV_WRITE);
    bufferevent_disable(bev, EV_WRITE);
    ck_assert_int_eq(bufferevent_get_enabled(bev), EV_READ);
    bufferevent_disable(bev, EV_READ);
    ck_assert_int_eq(bufferevent_get_enabled(bev), 0);
}

/* --- watermarks --- */

static void low_watermark(struct contract *c)
{
    contract_pair(c);
    bufferevent_setwatermark(c->server.bev, EV_READ, 1000, 0);
    for (int i = 0; i < 9; i++) {
        end_send(&c->client, 111);
        contract_settle(c, 5);
    }
    end_expect(&c->server, 0, "");
    ck_assert_uint_eq(end_input(&c->server), 999);
    end_send(&c->client, 1);
    contract_wait_bytes(c, &c->server, 1000);
    ck_assert_uint_eq(c->server.reads, 1);
}

static void low_watermark_then_end(struct contract *c)
{
    contract_pair(c);
    bufferevent_setwatermark(c->server.bev, EV_READ, 1000, 0);
    c->client.on_write = end_free_when_empty;
    end_send(&c->client, 999);
    contract_wait(c, &c->server.eofs, 1, "the end");
    end_expect(&c->server, 999, "E"); /* the event callback took them */
}

static void high_watermark(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 10000);
    end_send(&c->client, 35000);
    for (uint64_t left = 35000; left > 0;) {
        size_t expected = left < 10000 ? (size_t)left : 10000;
        contract_settle(c, 10);
        ck_assert_uint_eq(end_input(&c->server), expected);
        ck_assert_uint_eq(end_take(&c->server, SIZE_MAX), expected);
        left -= expected;
    }
}

/* Draining anywhere, not only in the read callback, starts reading again. */
static void high_watermark_drained_outside(struct contract *c)
{
    contract_pair(c);
    end_read_slowly(&c->server, 4096, 1);
    end_send(&c->client, 300000);
    contract_wait_bytes(c, &c->server, 300000);
}

static void high_watermark_raised(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 5000);
    end_send(&c->client, 30000);
    contract_settle(c, 20);
    ck_assert_uint_eq(end_input(&c->server), 5000);
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 12000);
    contract_settle(c, 20);
    ck_assert_uint_eq(end_input(&c->server), 12000);
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 0);
    contract_settle(c, 20);
    ck_assert_uint_eq(end_input(&c->server), 30000);
    end_take(&c->server, SIZE_MAX);
}

static void high_watermark_lowered(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    end_send(&c->client, 20000);
    while (end_input(&c->server) < 20000)
        contract_wait(c, &c->server.reads, c->server.reads + 1, "bytes");
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 5000);
    end_send(&c->client, 20000);
    contract_settle(c, 20);
    ck_assert_uint_eq(end_input(&c->server), 20000);
    end_take(&c->server, SIZE_MAX);
    contract_settle(c, 20);
    ck_assert_uint_eq(end_input(&c->server), 5000);
}

/* A callback that takes a little of a full input is called again, until there is room. */
static void called_again_while_full(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    c->server.on_read = take_100;
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 1000);
    end_send(&c->client, 5000);
    contract_wait_bytes(c, &c->server, 4100);
    contract_settle(c, 10);
    ck_assert_uint_eq(end_input(&c->server), 5000 - c->server.received);
}

/* A pause and a full input are two reasons: reading goes on only when both are gone. */
static void watermark_and_pause(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    bufferevent_setwatermark(c->server.bev, EV_READ, 0, 1000);
    end_send(&c->client, 3000);
    contract_settle(c, 10);
    bufferevent_disable(c->server.bev, EV_READ);
    ck_assert_uint_eq(end_take(&c->server, SIZE_MAX), 1000);
    contract_settle(c, 10);
    ck_assert_uint_eq(end_input(&c->server), 0);
    bufferevent_enable(c->server.bev, EV_READ);
    contract_settle(c, 10);
    ck_assert_uint_eq(end_take(&c->server, SIZE_MAX), 1000);
    contract_settle(c, 10);
    ck_assert_uint_eq(end_take(&c->server, SIZE_MAX), 1000);
}

static void get_watermarks(struct contract *c)
{
    size_t low = 1, high = 1;
    contract_pair(c);
    struct bufferevent *bev = c->client.bev;
    ck_assert_int_eq(bufferevent_getwatermark(bev, EV_READ, &low, &high), 0);
    ck_assert_uint_eq(low + high, 0);
    bufferevent_setwatermark(bev, EV_READ, 10, 20);
    bufferevent_setwatermark(bev, EV_WRITE, 30, 40);
    ck_assert_int_eq(bufferevent_getwatermark(bev, EV_READ, &low, &high), 0);
    ck_assert(low == 10 && high == 20);
    ck_assert_int_eq(bufferevent_getwatermark(bev, EV_WRITE, &low, NULL), 0);
    ck_assert_int_eq(bufferevent_getwatermark(bev, EV_WRITE, NULL, &high), 0);
    ck_assert(low == 30 && high == 40);
    ck_assert_int_eq(bufferevent_getwatermark(bev, EV_READ | EV_WRITE, &low, &high), -1);
}

const struct contract_row contract_rows_read[] = {
    {.name = "read__every_byte_in_order", .run = in_order},
    {.name = "read__one_callback_for_one_message", .run = one_callback_for_one_message},
    {.name = "read__ping_pong", .run = ping_pong},
    {.name = "read__ping_pong_deferred", .run = ping_pong, .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "read__what_a_callback_leaves_stays", .run = partial_read},
    {.name = "read__disabled_at_first", .run = disabled_at_first},
    {.name = "read__disabled_in_the_callback", .run = disabled_in_the_callback},
    {.name = "read__get_enabled", .run = enabled_flags},
    {.name = "read__low_watermark_withholds_the_callback", .run = low_watermark},
    {.name = "read__low_watermark_then_end", .run = low_watermark_then_end},
    {.name = "read__high_watermark_bounds_the_input", .run = high_watermark},
    {.name = "read__high_watermark_drained_outside_a_callback",
     .run = high_watermark_drained_outside},
    {.name = "read__high_watermark_raised_and_removed", .run = high_watermark_raised},
    {.name = "read__high_watermark_lowered", .run = high_watermark_lowered},
    {.name = "read__called_again_while_at_the_high_watermark", .run = called_again_while_full},
    {.name = "read__high_watermark_and_pause", .run = watermark_and_pause},
    {.name = "read__get_watermarks", .run = get_watermarks},
    {0},
};
