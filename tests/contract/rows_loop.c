/* What a bufferevent does to its loop and its base: idle turns, exits, bases that come and go,
 * libevent's debug mode. */
#include "rows.h"
#include "world.h"

#include "support/loop.h"

/* --- no state spins --- */

/* At most two turns of the loop in 200 ms while nothing happens, and next to no processor time. */
static void expect_idle(struct contract *c)
{
    contract_settle(c, 150); /* TCP acknowledges late */
    long cpu = loop_cpu_us();
    unsigned turns = loop_turns(c->base, 200);
    cpu = loop_cpu_us() - cpu;
    ck_assert_msg(turns <= 2, "%u turns of the loop while nothing happens", turns);
    ck_assert_msg(cpu < 100000, "%ld us of processor time in 0.2 s of nothing", cpu);
}

static void idle_connected(struct contract *c)
{
    contract_pair(c);
    expect_idle(c);
}

static void idle_after_traffic(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 1000000);
    end_send(&c->server, 1000000);
    contract_wait_bytes(c, &c->server, 1000000);
    contract_wait_bytes(c, &c->client, 1000000);
    expect_idle(c);
}

static void idle_disabled(struct contract *c)
{
    contract_pair(c);
    bufferevent_disable(c->server.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 100000);
    end_send(&c->server, 100000);
    expect_idle(c);
}

static void idle_blocked_writer(struct contract *c)
{
    c->buffer_size = 32768; /* the kernel's own sizes grow for a while */
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_READ);
    end_send(&c->server, (size_t)4 << 20);
    expect_idle(c);
    ck_assert_uint_gt(end_output(&c->server), 0);
}

/* Without a read callback: libevent calls one that leaves the input full again at once, whatever
 * the transport. */
static void idle_full_input(struct contract *c)
{
    c->buffer_size = 32768;
    contract_pair(c);
    bufferevent_setcb(c->client.bev, NULL, NULL, NULL, NULL);
    bufferevent_setwatermark(c->client.bev, EV_READ, 0, 10000);
    end_send(&c->server, 1000000);
    expect_idle(c);
    ck_assert_uint_ge(end_input(&c->client), 10000);
}

static void idle_after_the_end(struct contract *c)
{
    contract_pair(c);
    end_free(&c->client);
    contract_wait(c, &c->server.ends, 1, "the end");
    expect_idle(c);
}

static void idle_after_the_end_writing(struct contract *c)
{
    contract_pair(c);
    bufferevent_disable(c->server.bev, EV_WRITE);
    end_send(&c->server, 1000);
    end_free(&c->client);
    contract_wait(c, &c->server.ends, 1, "the end");
    expect_idle(c);
}

static void idle_end_unread(struct contract *c)
{
    contract_pair(c);
    bufferevent_disable(c->server.bev, EV_READ);
    end_send(&c->client, 1000);
    c->client.on_write = end_free_when_empty;
    contract_wait(c, &c->client.writes, 1, "the write");
    expect_idle(c);
}

static void idle_unconnected(struct contract *c)
{
    contract_make(c, &c->client, -1);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 1000);
    expect_idle(c);
}

/* --- the loop ends when nothing is left to do --- */

static void exits_when_freed(struct contract *c)
{
    contract_pair(c);
    end_free(&c->client);
    end_free(&c->server);
    ck_assert_int_eq(event_base_dispatch(c->base), 1); /* 1: no events */
}

static void exits_when_disabled(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 100);
    contract_wait_bytes(c, &c->server, 100);
    contract_drain(c);
    bufferevent_disable(c->client.bev, EV_READ | EV_WRITE);
    bufferevent_disable(c->server.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(event_base_dispatch(c->base), 1);
}

static void exits_after_the_end(struct contract *c)
{
    contract_pair(c);
    end_free(&c->client);
    ck_assert_int_eq(event_base_dispatch(c->base), 1);
    ck_assert_uint_eq(c->server.ends, 1);
}

/* A client that sends and hears the answer to its end: libevent programs often end by running out
 * of events. */
static void answer_and_free(struct end *e)
{
    e->on_write = end_free_when_empty;
    end_send(e, 5000);
}

static void exits_when_work_is_done(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = answer_and_free;
    c->client.on_event = end_free_on_event;
    end_send(&c->client, 5000);
    ck_assert_int_eq(event_base_dispatch(c->base), 1);
    ck_assert_uint_eq(c->client.received, 5000);
    ck_assert_ptr_null(c->server.bev);
    ck_assert_ptr_null(c->client.bev);
}

/* --- bases --- */

static void thousand_bases(struct contract *c)
{
    for (int i = 0; i < 1000; i++) {
        c->unix_pair = i % 2;
        contract_pair(c);
        end_send(&c->client, 100);
        contract_wait_bytes(c, &c->server, 100);
        contract_again(c);
    }
}

/* Freed a moment before the base: the last of it happens inside event_base_free. */
static void base_freed_right_after(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    end_send(&c->client, 1000);
    end_free(&c->client);
    end_free(&c->server);
    event_base_free(c->base);
    c->base = NULL;
}

/* hello-world's end: the base goes and connections are left. Their memory is lost, as with
 * libevent's own. */
static struct bufferevent *volatile left_behind[2]; /* so that leak checkers find it */

static void base_freed_with_connections(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 100000);
    contract_wait_bytes(c, &c->server, 1000);
    left_behind[0] = c->client.bev;
    left_behind[1] = c->server.bev;
    c->client.bev = NULL;
    c->server.bev = NULL;
    event_base_free(c->base);
    c->base = NULL;
    c->fds_before += 2; /* nobody closes these */
}

static void two_bases(struct contract *c)
{
    struct contract other;
    contract_pair(c);
    struct event_base *mine = c->base;
    c->base = event_base_new();
    other = *c;
    end_init(&other, &other.client, CONTRACT_CLIENT, "other client");
    end_init(&other, &other.server, CONTRACT_SERVER, "other server");
    contract_pair(&other);
    c->base = mine;
    for (int i = 1; i <= 20; i++) {
        end_send(&c->client, 1000);
        end_send(&other.client, 1000);
        contract_wait_bytes(&other, &other.server, (uint64_t)i * 1000);
        contract_wait_bytes(c, &c->server, (uint64_t)i * 1000);
    }
    end_free(&other.client);
    end_free(&other.server);
    contract_drain(&other);
    event_base_free(other.base);
}

const struct contract_row contract_rows_loop[] = {
    {.name = "loop__idle_when_connected", .run = idle_connected},
    {.name = "loop__idle_after_traffic", .run = idle_after_traffic},
    {.name = "loop__idle_when_disabled", .run = idle_disabled},
    {.name = "loop__idle_with_a_blocked_writer", .run = idle_blocked_writer},
    {.name = "loop__idle_with_a_full_input", .run = idle_full_input},
    {.name = "loop__idle_after_the_end", .run = idle_after_the_end},
    {.name = "loop__idle_after_the_end_with_output", .run = idle_after_the_end_writing},
    {.name = "loop__idle_with_the_end_unread", .run = idle_end_unread},
    {.name = "loop__idle_when_unconnected", .run = idle_unconnected, .needs = CONTRACT_FD},
    {.name = "loop__exits_when_freed", .run = exits_when_freed},
    {.name = "loop__exits_when_disabled", .run = exits_when_disabled},
    {.name = "loop__exits_after_the_end", .run = exits_after_the_end},
    {.name = "loop__exits_when_work_is_done", .run = exits_when_work_is_done},
    {.name = "loop__thousand_bases", .run = thousand_bases, .seconds = 60},
    {.name = "loop__base_freed_right_after", .run = base_freed_right_after},
    {.name = "loop__base_freed_with_connections", .run = base_freed_with_connections},
    {.name = "loop__two_bases", .run = two_bases},
    {0},
};
