/* Writing, and freeing a bufferevent when everything is written. */
#include "rows.h"
#include "world.h"

#define LARGE ((size_t)2 << 20)

/* --- libevent's hello-world: free in the write callback once the output is empty --- */

static void hello(struct contract *c, size_t bytes)
{
    contract_pair(c);
    c->server.on_write = end_free_when_empty;
    end_send(&c->server, bytes);
    contract_wait(c, &c->client.eofs, 1, "the end of what the server sent");
    end_expect(&c->client, bytes, "RE");
    ck_assert_ptr_null(c->server.bev);
    ck_assert_int_eq(c->client.what, BEV_EVENT_READING | BEV_EVENT_EOF);
}

static void hello_small(struct contract *c)
{
    hello(c, 14);
}

static void hello_large(struct contract *c)
{
    hello(c, LARGE);
}

/* The sample never enables reading on the connection that it answers. */
static void hello_write_only(struct contract *c)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    contract_make(c, &c->client, fds[0]);
    contract_make(c, &c->server, fds[1]);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    bufferevent_enable(c->server.bev, EV_WRITE);
    bufferevent_disable(c->server.bev, EV_READ);
    c->server.on_write = end_free_when_empty;
    end_send(&c->server, 14);
    contract_wait(c, &c->client.eofs, 1, "the end of what the server sent");
    end_expect(&c->client, 14, c->t->traits & CONTRACT_TLS ? "CRE" : "WRE");
}

static void hello_slow(struct contract *c, size_t sip)
{
    c->buffer_size = 16384;
    contract_pair(c);
    end_read_slowly(&c->client, sip, 1);
    c->server.on_write = end_free_when_empty;
    end_send(&c->server, LARGE);
    contract_wait(c, &c->client.eofs, 1, "the end of what the server sent");
    ck_assert_uint_eq(c->client.received, LARGE);
    ck_assert_uint_eq(c->client.errors, 0);
}

static void hello_slow_reader(struct contract *c)
{
    hello_slow(c, 16384);
}

static void hello_reader_that_takes_odd_bytes(struct contract *c)
{
    hello_slow(c, 10007);
}

/* A reader that stops: the writer may not think that it is done before the kernel has taken the
 * last byte. */
static void hello_paused_reader(struct contract *c)
{
    c->buffer_size = 16384;
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_READ);
    c->server.on_write = end_free_when_empty;
    end_send(&c->server, LARGE);
    contract_settle(c, 60);
    ck_assert_msg(c->server.bev != NULL,
                  "the output was called empty before anybody had read 2 MB");
    ck_assert_uint_gt(end_output(&c->server), 0);
    bufferevent_enable(c->client.bev, EV_READ);
    contract_wait(c, &c->client.eofs, 1, "the end of what the server sent");
    ck_assert_uint_eq(c->client.received, LARGE);
    ck_assert_uint_eq(c->client.errors, 0);
}

/* Written in the read callback, freed in the write callback: a server with one answer a connection.
 */
static void answer(struct end *e)
{
    e->on_write = end_free_when_empty;
    end_send(e, LARGE);
}

static void answer_and_close(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = answer;
    end_send(&c->client, 100);
    contract_wait(c, &c->client.eofs, 1, "the end of the answer");
    ck_assert_uint_eq(c->client.received, LARGE);
    ck_assert_uint_eq(c->client.errors, 0);
}

/* --- write callbacks --- */

static void one_write_one_callback(struct contract *c)
{
    contract_pair(c);
    end_send(&c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
    contract_drain(c);
    ck_assert_uint_eq(c->server.writes, 1);
    ck_assert_uint_eq(end_output(&c->server), 0);
}

static void expect_empty(struct end *e)
{
    ck_assert_uint_eq(end_output(e), 0);
}

static void callback_only_when_empty(struct contract *c)
{
    c->buffer_size = 16384;
    contract_pair(c);
    c->server.on_write = expect_empty;
    end_send(&c->server, 500000);
    contract_wait_bytes(c, &c->client, 500000);
    contract_drain(c);
    ck_assert_uint_eq(c->server.writes, 1);
}

/* The mark is so near to the top that the kernel's buffers alone get below it: nobody reads. */
#define MARK (LARGE - 20000)

static void expect_below_mark(struct end *e)
{
    ck_assert_uint_le(end_output(e), MARK);
    ck_assert_uint_gt(end_output(e), 0);
}

static void low_watermark(struct contract *c)
{
    c->buffer_size = 65536;
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_READ);
    bufferevent_setwatermark(c->server.bev, EV_WRITE, MARK, 0);
    c->server.on_write = expect_below_mark;
    end_send(&c->server, LARGE);
    contract_wait(c, &c->server.writes, 1, "the write callback");
    c->server.on_write = NULL;
    bufferevent_enable(c->client.bev, EV_READ);
    contract_wait_bytes(c, &c->client, LARGE);
}

/* A program that makes data on demand enables writing and waits to be asked. */
static void feed(struct end *e)
{
    if (e->sent < 100000)
        end_send(e, 10000);
    else
        end_free(e);
}

static void asked_when_enabled(struct contract *c)
{
    contract_pair(c);
    bufferevent_disable(c->server.bev, EV_WRITE);
    c->server.on_write = feed;
    bufferevent_enable(c->server.bev, EV_WRITE);
    contract_wait(c, &c->client.eofs, 1, "what is made on demand");
    end_expect(&c->client, 100000, "RE");
}

/* A writer that refills at each callback leaves the loop to others. (A17) So much that it takes far
 * longer than a tick, and the clock's grain. */
#define REFILL_BYTES ((size_t)64 << 20)

static void refill(struct end *e)
{
    if (e->sent < REFILL_BYTES)
        end_send(e, 65536);
}

static void count_tick(struct end *e)
{
    (*(size_t *)e->arg)++;
}

static void refill_does_not_starve(struct contract *c)
{
    size_t ticks = 0;
    contract_pair(c);
    c->server.on_write = refill;
    c->client.arg = &ticks;
    end_every(&c->client, 1, count_tick);
    end_send(&c->server, 65536);
    contract_wait_bytes(c, &c->client, REFILL_BYTES);
    ck_assert_uint_gt(ticks, 0);
    ck_assert_uint_ge(c->server.writes, 64);
}

/* --- disabled writing --- */

static void disabled_keeps_bytes(struct contract *c)
{
    contract_pair(c);
    ck_assert_int_eq(bufferevent_disable(c->server.bev, EV_WRITE), 0);
    end_send(&c->server, 1000);
    contract_settle(c, 40);
    end_expect(&c->client, 0, "");
    ck_assert_uint_eq(end_output(&c->server), 1000);
    ck_assert_int_eq(bufferevent_enable(c->server.bev, EV_WRITE), 0);
    contract_wait_bytes(c, &c->client, 1000);
}

static void disabled_in_the_middle(struct contract *c)
{
    c->unix_pair = true;
    c->buffer_size = 16384;
    contract_pair(c);
    end_send(&c->server, LARGE);
    contract_wait_bytes(c, &c->client, LARGE / 10);
    bufferevent_disable(c->server.bev, EV_WRITE);
    size_t left = end_output(&c->server);
    contract_settle(c, 30);
    uint64_t received = c->client.received;
    contract_settle(c, 30);
    ck_assert_uint_gt(left, 0);
    ck_assert_uint_eq(end_output(&c->server), left);
    ck_assert_uint_eq(c->client.received, received);
    ck_assert_uint_eq(c->server.writes, 0);
    bufferevent_enable(c->server.bev, EV_WRITE);
    contract_wait_bytes(c, &c->client, LARGE);
}

static void disable_twice_enable_twice(struct contract *c)
{
    contract_pair(c);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(bufferevent_disable(c->server.bev, EV_READ | EV_WRITE), 0);
        ck_assert_int_eq(bufferevent_get_enabled(c->server.bev), 0);
    }
    end_send(&c->client, 10);
    end_send(&c->server, 10);
    contract_settle(c, 20);
    end_expect(&c->server, 0, "");
    end_expect(&c->client, 0, "W");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(bufferevent_enable(c->server.bev, EV_READ | EV_WRITE), 0);
        ck_assert_int_eq(bufferevent_get_enabled(c->server.bev), EV_READ | EV_WRITE);
    }
    contract_wait_bytes(c, &c->server, 10);
    contract_wait_bytes(c, &c->client, 10);
}

/* --- flush --- */

static void flush(struct contract *c, enum bufferevent_flush_mode mode)
{
    contract_pair(c);
    end_send(&c->server, 300000);
    ck_assert_int_ge(bufferevent_flush(c->server.bev, EV_READ | EV_WRITE, mode), 0);
    contract_wait_bytes(c, &c->client, 300000);
    ck_assert_uint_eq(c->client.errors + c->server.errors, 0);
    ck_assert_uint_eq(c->client.received, 300000);
}

static void flush_normal(struct contract *c)
{
    flush(c, BEV_NORMAL);
}

static void flush_flush(struct contract *c)
{
    flush(c, BEV_FLUSH);
}

static void flush_finished(struct contract *c)
{
    flush(c, BEV_FINISHED);
}

static void many_small(struct contract *c)
{
    contract_pair(c);
    size_t total = 0;
    for (size_t i = 0; i < 10000; i++) {
        end_send(&c->client, 1 + i % 97);
        total += 1 + i % 97;
    }
    contract_wait_bytes(c, &c->server, total);
}

static void one_large(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, (size_t)8 << 20);
    contract_wait_bytes(c, &c->server, (size_t)8 << 20);
    ck_assert_uint_eq(end_output(&c->client), 0);
}

const struct contract_row contract_rows_write[] = {
    {.name = "write__free_when_empty", .run = hello_small},
    {.name = "write__free_when_empty_large", .run = hello_large},
    {.name = "write__free_when_empty_reading_never_enabled", .run = hello_write_only},
    {.name = "write__free_when_empty_slow_reader", .run = hello_slow_reader},
    {.name = "write__free_when_empty_slow_reader_odd_bytes",
     .run = hello_reader_that_takes_odd_bytes},
    {.name = "write__free_when_empty_paused_reader", .run = hello_paused_reader},
    {.name = "write__free_when_empty_deferred",
     .run = hello_slow_reader,
     .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "write__free_when_empty_answer_to_a_request", .run = answer_and_close},
    {.name = "write__one_write_one_callback", .run = one_write_one_callback},
    {.name = "write__callback_only_when_output_is_empty", .run = callback_only_when_empty},
    {.name = "write__low_watermark", .run = low_watermark},
    {.name = "write__asked_for_data_when_enabled", .run = asked_when_enabled},
    {.name = "write__refill_in_callback_leaves_the_loop_to_others", .run = refill_does_not_starve},
    {.name = "write__disabled_keeps_bytes", .run = disabled_keeps_bytes},
    {.name = "write__disabled_in_the_middle", .run = disabled_in_the_middle},
    {.name = "write__disable_and_enable_twice", .run = disable_twice_enable_twice},
    {.name = "write__flush_normal", .run = flush_normal},
    {.name = "write__flush_flush", .run = flush_flush},
    {.name = "write__flush_finished", .run = flush_finished},
    {.name = "write__many_small", .run = many_small},
    {.name = "write__one_large", .run = one_large},
    {0},
};
