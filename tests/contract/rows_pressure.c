/* Back-pressure: a writer that is faster than its reader, both ways and through a proxy. */
#include "rows.h"
#include "world.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define MIB ((size_t)1 << 20)

/* What the kernel holds of one direction. Bytes that are acknowledged late count twice, which is on
 * the safe side here. */
static size_t kernel_holds(const struct end *from, const struct end *to)
{
    int queued = 0, unread = 0;
    ck_assert_int_eq(ioctl(bufferevent_getfd(from->bev), SIOCOUTQ, &queued), 0);
    ck_assert_int_eq(ioctl(bufferevent_getfd(to->bev), FIONREAD, &unread), 0);
    return (size_t)queued + (size_t)unread;
}

/* The output may shrink only by what the kernel has taken: a program counts on it to bound its
 * memory. */
static void paused_reader(struct contract *c)
{
    c->buffer_size = 131072;
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_READ);
    end_send(&c->server, 4 * MIB);
    contract_settle(c, 60);
    size_t taken = 4 * MIB - end_output(&c->server);
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_le(taken, kernel_holds(&c->server, &c->client));
    ck_assert_uint_eq(c->server.writes, 0);
    ck_assert_uint_eq(c->client.received, 0);
    bufferevent_enable(c->client.bev, EV_READ);
    contract_wait_bytes(c, &c->client, 4 * MIB);
    contract_wait(c, &c->server.writes, 1, "the write callback");
}

/* The same with a high watermark: the reader's own memory is bounded by it. */
static void reader_at_its_watermark(struct contract *c)
{
    c->buffer_size = 32768;
    contract_pair(c);
    c->client.hold = true;
    bufferevent_setwatermark(c->client.bev, EV_READ, 0, 50000);
    end_send(&c->server, 4 * MIB);
    contract_settle(c, 60);
    ck_assert_uint_eq(end_input(&c->client), 50000);
    size_t taken = 4 * MIB - end_output(&c->server);
    /* A TLS reader may hold one record more than what it has shown. */
    size_t record = c->t->traits & CONTRACT_TLS ? 16384 : 0;
    ck_assert_uint_le(taken, kernel_holds(&c->server, &c->client) + 50000 + record);
    c->client.hold = false;
    end_take(&c->client, SIZE_MAX);
    contract_wait_bytes(c, &c->client, 4 * MIB);
}

static void both_write_first(struct contract *c)
{
    c->unix_pair = true;
    c->buffer_size = 4096;
    contract_pair(c);
    end_send(&c->client, 16 * MIB);
    end_send(&c->server, 16 * MIB);
    contract_wait_bytes(c, &c->client, 16 * MIB);
    contract_wait_bytes(c, &c->server, 16 * MIB);
    contract_drain(c);
    ck_assert_uint_eq(end_output(&c->client) + end_output(&c->server), 0);
}

static void both_write_first_tcp(struct contract *c)
{
    c->buffer_size = 65536;
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_READ);
    bufferevent_disable(c->server.bev, EV_READ);
    end_send(&c->client, 4 * MIB);
    end_send(&c->server, 4 * MIB);
    contract_settle(c, 20);
    bufferevent_enable(c->client.bev, EV_READ);
    bufferevent_enable(c->server.bev, EV_READ);
    contract_wait_bytes(c, &c->client, 4 * MIB);
    contract_wait_bytes(c, &c->server, 4 * MIB);
}

/* An echo server that reads no more while its answers are stuck, as many servers do. */
static void choke(struct end *e)
{
    evbuffer_add_buffer(bufferevent_get_output(e->bev), bufferevent_get_input(e->bev));
    if (end_output(e) > 65536)
        bufferevent_disable(e->bev, EV_READ);
}

static void unchoke(struct end *e)
{
    bufferevent_enable(e->bev, EV_READ);
}

static void echo_with_choking(struct contract *c)
{
    c->buffer_size = 16384;
    contract_pair(c);
    c->server.hold = true;
    c->server.on_read = choke;
    c->server.on_write = unchoke;
    end_send(&c->client, 4 * MIB);
    contract_wait_bytes(c, &c->client, 4 * MIB);
}

/* --- le-proxy: two connections joined, each choked by the other; freed when the partner's output
 * is empty --- */

#define MAX_OUTPUT 65536

struct proxy {
    struct end user, backend;   /* the outer ends: they send and check */
    struct end inward, outward; /* the proxy's own */
};

static struct end *partner(struct end *e)
{
    return e->arg;
}

static void proxy_drained(struct end *e)
{
    e->on_write = NULL;
    bufferevent_setwatermark(e->bev, EV_WRITE, 0, 0);
    if (partner(e)->bev != NULL)
        bufferevent_enable(partner(e)->bev, EV_READ);
}

static void proxy_read(struct end *e)
{
    struct end *to = partner(e);
    if (to->bev == NULL) {
        evbuffer_drain(bufferevent_get_input(e->bev), end_input(e));
        return;
    }
    evbuffer_add_buffer(bufferevent_get_output(to->bev), bufferevent_get_input(e->bev));
    if (end_output(to) < MAX_OUTPUT)
        return;
    to->on_write = proxy_drained;
    bufferevent_setwatermark(to->bev, EV_WRITE, MAX_OUTPUT / 2, MAX_OUTPUT);
    bufferevent_disable(e->bev, EV_READ);
}

/* The usual callbacks of an end check what arrives; the proxy's only pass it on. */
static void on_proxy_read(struct bufferevent *bev, void *arg)
{
    proxy_read(arg);
}

static void on_proxy_write(struct bufferevent *bev, void *arg)
{
    struct end *e = arg;
    if (e->on_write != NULL)
        e->on_write(e);
}

static void on_proxy_event(struct bufferevent *bev, short what, void *arg)
{
    struct end *e = arg, *to = partner(e);
    if (what & BEV_EVENT_CONNECTED)
        e->connects++;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    proxy_read(e);
    if (to->bev != NULL && end_output(to) > 0) {
        to->on_write = end_free_when_empty;
        bufferevent_setwatermark(to->bev, EV_WRITE, 0, 0);
        bufferevent_disable(to->bev, EV_READ);
    } else {
        end_free(to);
    }
    end_free(e);
}

static void proxy_start(struct contract *c, struct proxy *p)
{
    end_init(c, &p->user, CONTRACT_CLIENT, "user");
    end_init(c, &p->inward, CONTRACT_SERVER, "proxy's side of the user");
    end_init(c, &p->outward, CONTRACT_CLIENT, "proxy's side of the backend");
    end_init(c, &p->backend, CONTRACT_SERVER, "backend");
    p->inward.arg = &p->outward;
    p->outward.arg = &p->inward;
    contract_pair_ends(c, &p->user, &p->inward);
    contract_pair_ends(c, &p->outward, &p->backend);
    bufferevent_setcb(p->inward.bev, on_proxy_read, on_proxy_write, on_proxy_event, &p->inward);
    bufferevent_setcb(p->outward.bev, on_proxy_read, on_proxy_write, on_proxy_event, &p->outward);
}

static void proxy_stop(struct proxy *p)
{
    end_free(&p->user);
    end_free(&p->backend);
    end_free(&p->inward);
    end_free(&p->outward);
}

static void proxy_to_slow_reader(struct contract *c)
{
    struct proxy p;
    c->buffer_size = 16384;
    proxy_start(c, &p);
    end_read_slowly(&p.user, 16384, 1);
    p.backend.on_write = end_free_when_empty;
    end_send(&p.backend, 2 * MIB);
    contract_wait(c, &p.user.eofs, 1, "the end of what came through the proxy");
    ck_assert_uint_eq(p.user.received, 2 * MIB);
    ck_assert_uint_eq(p.user.errors, 0);
    contract_drain(c);
    ck_assert_msg(p.inward.bev == NULL && p.outward.bev == NULL,
                  "the proxy freed both of its sides");
    proxy_stop(&p);
}

static void proxy_both_ways(struct contract *c)
{
    struct proxy p;
    c->buffer_size = 16384;
    proxy_start(c, &p);
    end_send(&p.user, MIB);
    end_send(&p.backend, MIB);
    contract_wait_bytes(c, &p.user, MIB);
    contract_wait_bytes(c, &p.backend, MIB);
    end_free(&p.user);
    contract_wait(c, &p.backend.eofs, 1, "the end on the other side of the proxy");
    ck_assert_uint_eq(p.backend.errors, 0);
    proxy_stop(&p);
}

/* The user goes away in the middle: the backend is told, and nothing is left over. */
static void proxy_user_leaves(struct contract *c)
{
    struct proxy p;
    c->buffer_size = 16384;
    proxy_start(c, &p);
    end_send(&p.backend, 2 * MIB);
    contract_wait_bytes(c, &p.user, MIB / 4);
    end_free(&p.user);
    contract_wait(c, &p.backend.ends, 1, "the end at the backend");
    contract_drain(c);
    ck_assert_msg(p.inward.bev == NULL && p.outward.bev == NULL,
                  "the proxy freed both of its sides");
    proxy_stop(&p);
}

const struct contract_row contract_rows_pressure[] = {
    {.name = "pressure__paused_reader", .run = paused_reader, .needs = CONTRACT_FD},
    {.name = "pressure__reader_at_its_watermark",
     .run = reader_at_its_watermark,
     .needs = CONTRACT_FD},
    {.name = "pressure__both_write_16_mib_before_reading", .run = both_write_first, .seconds = 60},
    {.name = "pressure__both_paused_then_both_read", .run = both_write_first_tcp},
    {.name = "pressure__echo_with_choking", .run = echo_with_choking},
    {.name = "pressure__proxy_to_a_slow_reader", .run = proxy_to_slow_reader},
    {.name = "pressure__proxy_to_a_slow_reader_deferred",
     .run = proxy_to_slow_reader,
     .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "pressure__proxy_both_ways", .run = proxy_both_ways},
    {.name = "pressure__proxy_user_leaves", .run = proxy_user_leaves},
    {0},
};
