/* Rate limits, limits of a single read or write, priorities. */
#include "rows.h"
#include "world.h"

#define KIB ((size_t)1 << 10)

static const struct timeval tick = {0, 20000};

/* What the limit lets through: `rate` bytes a tick of 20 ms, twice as much at once. */
static struct ev_token_bucket_cfg *limit(size_t rate)
{
    struct ev_token_bucket_cfg *cfg =
        ev_token_bucket_cfg_new(rate, 2 * rate, rate, 2 * rate, &tick);
    ck_assert_ptr_nonnull(cfg);
    return cfg;
}

/* Runs until `to` has it all and checks that it took no less time than the limit asks for. */
static void expect_pace(struct contract *c, const struct end *to, size_t bytes, size_t rate)
{
    double start = contract_now_s();
    contract_wait_bytes(c, to, bytes);
    double took = contract_now_s() - start;
    /* The burst, and ticks that are counted from a round time, are on the house. */
    double least = ((double)bytes / (double)rate - 4) * 0.02;
    ck_assert_msg(took >= least, "%zu bytes took %.3f s, not %.3f", bytes, took, least);
}

static void write_rate(struct contract *c)
{
    struct ev_token_bucket_cfg *cfg = limit(16 * KIB);
    contract_pair(c);
    ck_assert_int_eq(bufferevent_set_rate_limit(c->client.bev, cfg), 0);
    end_send(&c->client, 256 * KIB);
    expect_pace(c, &c->server, 256 * KIB, 16 * KIB);
    contract_drain(c);
    ck_assert_uint_eq(end_output(&c->client), 0);
    bufferevent_set_rate_limit(c->client.bev, NULL);
    ev_token_bucket_cfg_free(cfg);
}

static void read_rate(struct contract *c)
{
    struct ev_token_bucket_cfg *cfg = limit(16 * KIB);
    contract_pair(c);
    ck_assert_int_eq(bufferevent_set_rate_limit(c->server.bev, cfg), 0);
    end_send(&c->client, 256 * KIB);
    expect_pace(c, &c->server, 256 * KIB, 16 * KIB);
    bufferevent_set_rate_limit(c->server.bev, NULL);
    ev_token_bucket_cfg_free(cfg);
}

/* Taken away in the middle of a wait, the rest goes at once. */
static void rate_removed(struct contract *c)
{
    struct ev_token_bucket_cfg *cfg = limit(KIB);
    contract_pair(c);
    bufferevent_set_rate_limit(c->client.bev, cfg);
    bufferevent_set_rate_limit(c->server.bev, cfg);
    end_send(&c->client, 1024 * KIB);
    contract_settle(c, 50);
    ck_assert_uint_lt(c->server.received, 512 * KIB);
    bufferevent_set_rate_limit(c->client.bev, NULL);
    bufferevent_set_rate_limit(c->server.bev, NULL);
    contract_wait_bytes(c, &c->server, 1024 * KIB);
    ev_token_bucket_cfg_free(cfg);
}

static void rate_and_end(struct contract *c)
{
    struct ev_token_bucket_cfg *cfg = limit(16 * KIB);
    contract_pair(c);
    bufferevent_set_rate_limit(c->client.bev, cfg);
    c->client.on_write = end_free_when_empty;
    end_send(&c->client, 100 * KIB);
    contract_wait(c, &c->server.eofs, 1, "the end");
    ck_assert_uint_eq(c->server.received, 100 * KIB);
    ck_assert_uint_eq(c->server.errors, 0);
    contract_drain(c);
    ev_token_bucket_cfg_free(cfg);
}

static void limits_can_be_asked(struct contract *c)
{
    static const struct timeval hour = {3600, 0}; /* no tick refills the bucket meanwhile */
    struct ev_token_bucket_cfg *cfg =
        ev_token_bucket_cfg_new(16 * KIB, 32 * KIB, 16 * KIB, 32 * KIB, &hour);
    contract_pair(c);
    ck_assert_ptr_null(bufferevent_get_token_bucket_cfg(c->client.bev));
    ck_assert_int_gt(bufferevent_get_max_to_read(c->client.bev), 1000);
    ck_assert_int_gt(bufferevent_get_max_to_write(c->client.bev), 1000);
    bufferevent_set_rate_limit(c->client.bev, cfg);
    ck_assert_ptr_eq(bufferevent_get_token_bucket_cfg(c->client.bev), cfg);
    ck_assert_int_le(bufferevent_get_read_limit(c->client.bev), (ev_ssize_t)(32 * KIB));
    ck_assert_int_gt(bufferevent_get_write_limit(c->client.bev), 0);
    /* What is sent is charged. */
    ev_ssize_t before = bufferevent_get_write_limit(c->client.bev);
    end_send(&c->client, 10 * KIB);
    contract_wait_bytes(c, &c->server, 10 * KIB);
    ck_assert_int_le(bufferevent_get_write_limit(c->client.bev), before - (ev_ssize_t)(10 * KIB));
    bufferevent_set_rate_limit(c->client.bev, NULL);
    ev_token_bucket_cfg_free(cfg);
}

/* A program that charges its own costs: the bufferevent waits until the bucket is full again. */
static void decrement(struct contract *c)
{
    struct ev_token_bucket_cfg *cfg = limit(10 * KIB);
    contract_pair(c);
    bufferevent_set_rate_limit(c->client.bev, cfg);
    bufferevent_set_rate_limit(c->server.bev, cfg);
    bufferevent_decrement_write_limit(c->client.bev, (ev_ssize_t)(200 * KIB));
    bufferevent_decrement_read_limit(c->server.bev, (ev_ssize_t)(200 * KIB));
    end_send(&c->client, 1000);
    contract_settle(c, 15);
    ck_assert_uint_eq(c->server.received, 0);
    contract_wait_bytes(c, &c->server, 1000);
    bufferevent_set_rate_limit(c->client.bev, NULL);
    bufferevent_set_rate_limit(c->server.bev, NULL);
    ev_token_bucket_cfg_free(cfg);
}

/* --- groups --- */

static int join(struct contract *c, struct end *e, struct bufferevent_rate_limit_group *group)
{
    if (c->t->add_to_rate_limit_group != NULL)
        return c->t->add_to_rate_limit_group(e->bev, group);
    return bufferevent_add_to_rate_limit_group(e->bev, group);
}

static int leave(struct contract *c, struct end *e)
{
    if (c->t->remove_from_rate_limit_group != NULL)
        return c->t->remove_from_rate_limit_group(e->bev);
    return bufferevent_remove_from_rate_limit_group(e->bev);
}

static void group(struct contract *c)
{
    struct ev_token_bucket_cfg *cfg = limit(16 * KIB);
    struct bufferevent_rate_limit_group *g = bufferevent_rate_limit_group_new(c->base, cfg);
    struct end client, server;
    contract_pair(c);
    end_init(c, &client, CONTRACT_CLIENT, "second client");
    end_init(c, &server, CONTRACT_SERVER, "second server");
    contract_pair_ends(c, &client, &server);
    contract_settle(c, 20);
    ck_assert_int_eq(join(c, &c->client, g), 0);
    ck_assert_int_eq(join(c, &client, g), 0);
    end_send(&c->client, 128 * KIB);
    end_send(&client, 128 * KIB);
    double start = contract_now_s();
    contract_wait_bytes(c, &c->server, 128 * KIB);
    contract_wait_bytes(c, &server, 128 * KIB);
    double took = contract_now_s() - start;
    ck_assert_msg(took >= (16 - 4) * 0.02, "256 KiB of two took %.3f s", took);
    ck_assert_int_eq(leave(c, &c->client), 0);
    ck_assert_int_eq(leave(c, &client), 0);
    end_send(&c->client, 1024 * KIB);
    contract_wait_bytes(c, &c->server, (128 + 1024) * KIB);
    end_free(&client);
    end_free(&server);
    bufferevent_rate_limit_group_free(g);
    ev_token_bucket_cfg_free(cfg);
}

static void group_totals(struct contract *c)
{
    struct ev_token_bucket_cfg *cfg = limit(256 * KIB);
    struct bufferevent_rate_limit_group *g = bufferevent_rate_limit_group_new(c->base, cfg);
    ev_uint64_t read = 0, written = 0;
    contract_pair(c);
    ck_assert_int_eq(join(c, &c->client, g), 0);
    ck_assert_int_eq(join(c, &c->server, g), 0);
    end_send(&c->client, 128 * KIB);
    contract_wait_bytes(c, &c->server, 128 * KIB);
    bufferevent_rate_limit_group_get_totals(g, &read, &written);
    ck_assert_uint_ge(read, 128 * KIB);
    ck_assert_uint_ge(written, 128 * KIB);
    ck_assert_int_eq(leave(c, &c->client), 0);
    ck_assert_int_eq(leave(c, &c->server), 0);
    bufferevent_rate_limit_group_free(g);
    ev_token_bucket_cfg_free(cfg);
}

/* A member that is freed leaves its group by itself. */
static void group_member_freed(struct contract *c)
{
    struct ev_token_bucket_cfg *cfg = limit(16 * KIB);
    struct bufferevent_rate_limit_group *g = bufferevent_rate_limit_group_new(c->base, cfg);
    contract_pair(c);
    ck_assert_int_eq(join(c, &c->client, g), 0);
    ck_assert_int_eq(join(c, &c->server, g), 0);
    end_send(&c->client, 512 * KIB);
    contract_settle(c, 50);
    ck_assert_uint_lt(c->server.received, 512 * KIB);
    end_free(&c->client);
    contract_settle(c, 50);
    ck_assert_int_eq(leave(c, &c->server), 0);
    end_free(&c->server);
    contract_drain(c);
    bufferevent_rate_limit_group_free(g);
    ev_token_bucket_cfg_free(cfg);
}

/* --- a single read or write --- */

static void note_most(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
    size_t *most = arg, n = info->n_added + info->n_deleted;
    *most = n > *most ? n : *most;
}

static void max_single_read(struct contract *c)
{
    size_t most = 0;
    contract_pair(c);
    c->server.hold = true;
    ck_assert_int_gt(bufferevent_get_max_single_read(c->server.bev), 0);
    ck_assert_int_eq(bufferevent_set_max_single_read(c->server.bev, 1000), 0);
    ck_assert_int_eq(bufferevent_get_max_single_read(c->server.bev), 1000);
    evbuffer_add_cb(bufferevent_get_input(c->server.bev), note_most, &most);
    end_send(&c->client, 30000);
    while (end_input(&c->server) < 30000)
        contract_wait(c, &c->server.reads, c->server.reads + 1, "bytes");
    ck_assert_uint_le(most, 1000);
    end_take(&c->server, SIZE_MAX);
}

static void max_single_write(struct contract *c)
{
    size_t most = 0;
    contract_pair(c);
    ck_assert_int_gt(bufferevent_get_max_single_write(c->client.bev), 0);
    ck_assert_int_eq(bufferevent_set_max_single_write(c->client.bev, 1000), 0);
    ck_assert_int_eq(bufferevent_get_max_single_write(c->client.bev), 1000);
    bufferevent_disable(c->client.bev, EV_WRITE);
    end_send(&c->client, 30000);
    evbuffer_add_cb(bufferevent_get_output(c->client.bev), note_most, &most);
    bufferevent_enable(c->client.bev, EV_WRITE);
    contract_wait_bytes(c, &c->server, 30000);
    ck_assert_uint_le(most, 1000);
}

/* --- priorities --- */

static void priority_get_set(struct contract *c)
{
    contract_pair(c);
    ck_assert_int_eq(bufferevent_get_priority(c->client.bev), 1); /* the middle of three */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(bufferevent_priority_set(c->client.bev, i), 0);
        ck_assert_int_eq(bufferevent_get_priority(c->client.bev), i);
    }
    end_send(&c->client, 1000);
    end_send(&c->server, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    contract_wait_bytes(c, &c->client, 1000);
    ck_assert_int_eq(bufferevent_get_priority(c->client.bev), 2);
}

/* Set before the handshake, it holds after it. */
static void priority_stays(struct contract *c)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    contract_make(c, &c->client, -1);
    ck_assert_int_eq(bufferevent_priority_set(c->client.bev, 0), 0);
    ck_assert_int_eq(bufferevent_get_priority(c->client.bev), 0);
    contract_make(c, &c->server, fds[1]);
    ck_assert_int_eq(bufferevent_priority_set(c->server.bev, 2), 0);
    bufferevent_enable(c->server.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, fds[0]), 0);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    ck_assert_int_eq(bufferevent_get_priority(c->server.bev), 2);
}

struct turns {
    int n, first_high, first_low;
};

static void note_high(struct end *e)
{
    struct turns *t = e->arg;
    t->n++;
    if (t->first_high == 0)
        t->first_high = t->n;
}

static void note_low(struct end *e)
{
    struct turns *t = e->arg;
    t->n++;
    if (t->first_low == 0)
        t->first_low = t->n;
}

/* Both have something to read in the same turn: the important one comes first, whichever was made
 * first. */
static void priority_order(struct contract *c)
{
    struct turns t = {0};
    struct end client, server;
    contract_pair(c);
    end_init(c, &client, CONTRACT_CLIENT, "second client");
    end_init(c, &server, CONTRACT_SERVER, "second server");
    contract_pair_ends(c, &client, &server);
    contract_settle(c, 20);
    ck_assert_int_eq(bufferevent_priority_set(c->server.bev, 2), 0);
    ck_assert_int_eq(bufferevent_priority_set(server.bev, 0), 0);
    bufferevent_disable(c->server.bev, EV_READ);
    bufferevent_disable(server.bev, EV_READ);
    end_send(&c->client, 1000);
    end_send(&client, 1000);
    contract_settle(c, 10);
    c->server.arg = server.arg = &t;
    c->server.on_read = note_low;
    server.on_read = note_high;
    bufferevent_enable(c->server.bev, EV_READ);
    bufferevent_enable(server.bev, EV_READ);
    contract_wait_bytes(c, &server, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    ck_assert_int_lt(t.first_high, t.first_low);
    end_free(&client);
    end_free(&server);
}

const struct contract_row contract_rows_limits[] = {
    {.name = "limits__write_rate", .run = write_rate, .needs = CONTRACT_RATE},
    {.name = "limits__read_rate", .run = read_rate, .needs = CONTRACT_RATE},
    {.name = "limits__rate_removed", .run = rate_removed, .needs = CONTRACT_RATE},
    {.name = "limits__rate_and_end", .run = rate_and_end, .needs = CONTRACT_RATE},
    {.name = "limits__can_be_asked", .run = limits_can_be_asked, .needs = CONTRACT_RATE},
    {.name = "limits__decrement", .run = decrement, .needs = CONTRACT_RATE},
    {.name = "limits__group", .run = group, .needs = CONTRACT_RATE},
    {.name = "limits__group_totals", .run = group_totals, .needs = CONTRACT_RATE},
    {.name = "limits__group_member_freed", .run = group_member_freed, .needs = CONTRACT_RATE},
    {.name = "limits__max_single_read", .run = max_single_read, .needs = CONTRACT_RATE},
    {.name = "limits__max_single_write", .run = max_single_write, .needs = CONTRACT_RATE},
    {.name = "limits__priority",
     .run = priority_get_set,
     .needs = CONTRACT_PRIORITY,
     .setup = CONTRACT_PRIORITIES},
    {.name = "limits__priority_stays",
     .run = priority_stays,
     .needs = CONTRACT_PRIORITY | CONTRACT_FD,
     .setup = CONTRACT_PRIORITIES},
    {.name = "limits__priority_order",
     .run = priority_order,
     .needs = CONTRACT_PRIORITY,
     .setup = CONTRACT_PRIORITIES},
    {0},
};
