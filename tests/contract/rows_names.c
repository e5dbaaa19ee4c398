/* bufferevent_socket_connect_hostname, with a resolver of our own on 127.0.0.1 and with the
 * blocking one. */
#include "rows.h"
#include "world.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct names {
    struct evdns_server_port *server;
    struct evdns_base *dns;
    size_t questions;
};

/* here.test is 127.0.0.1, silent.test gets no answer, nothing else exists. */
static void on_question(struct evdns_server_request *req, void *arg)
{
    struct names *n = arg;
    struct in_addr here = {.s_addr = htonl(INADDR_LOOPBACK)};
    const char *name = req->nquestions > 0 ? req->questions[0]->name : "";
    n->questions++;
    if (evutil_ascii_strcasecmp(name, "silent.test") == 0) {
        evdns_server_request_drop(req);
    } else if (evutil_ascii_strcasecmp(name, "here.test") == 0) {
        if (req->questions[0]->type == EVDNS_TYPE_A)
            evdns_server_request_add_a_reply(req, name, 1, &here, 60);
        evdns_server_request_respond(req, 0);
    } else {
        evdns_server_request_respond(req, DNS_ERR_NOTEXIST);
    }
}

static void names_start(struct contract *c, struct names *n)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    evutil_socket_t fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    getsockname(fd, (struct sockaddr *)&sin, &len);
    n->questions = 0;
    n->server = evdns_add_server_port_with_base(c->base, fd, 0, on_question, n);
    n->dns = evdns_base_new(c->base, 0);
    ck_assert_ptr_nonnull(n->server);
    ck_assert_ptr_nonnull(n->dns);
    ck_assert_int_eq(evdns_base_nameserver_sockaddr_add(n->dns, (struct sockaddr *)&sin, len, 0),
                     0);
}

static void names_stop(struct contract *c, struct names *n)
{
    evdns_base_free(n->dns, 1);
    contract_drain(c); /* what was asked and given up is told so */
    evdns_close_server_port(n->server);
    contract_drain(c);
}

static void client_to(struct contract *c, struct evdns_base *dns, int family, const char *name)
{
    contract_make(c, &c->client, -1);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(bufferevent_socket_connect_hostname(c->client.bev, dns, family, name,
                                                         (int)contract_port(c)),
                     0);
}

static void by_resolver(struct contract *c)
{
    struct names n;
    contract_listen(c);
    names_start(c, &n);
    client_to(c, n.dns, AF_INET, "here.test");
    contract_expect_exchange(c);
    ck_assert_uint_ge(n.questions, 1);
    ck_assert_int_eq(bufferevent_socket_get_dns_error(c->client.bev), 0);
    names_stop(c, &n);
}

static void write_before_lookup(struct contract *c)
{
    struct names n;
    contract_listen(c);
    names_start(c, &n);
    contract_make(c, &c->client, -1);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    end_send(&c->client, 500);
    ck_assert_int_eq(bufferevent_socket_connect_hostname(c->client.bev, n.dns, AF_INET, "here.test",
                                                         (int)contract_port(c)),
                     0);
    end_send(&c->client, 500);
    contract_wait_bytes(c, &c->server, 1000);
    names_stop(c, &n);
}

static void unknown(struct contract *c)
{
    struct names n;
    contract_listen(c);
    names_start(c, &n);
    client_to(c, n.dns, AF_INET, "nowhere.test");
    contract_wait(c, &c->client.errors, 1, "the failed lookup");
    contract_settle(c, 20);
    ck_assert_str_eq(c->client.log, "X");
    ck_assert_int_ne(bufferevent_socket_get_dns_error(c->client.bev), 0);
    names_stop(c, &n);
}

static void unknown_freed_in_the_callback(struct contract *c)
{
    struct names n;
    contract_listen(c);
    names_start(c, &n);
    client_to(c, n.dns, AF_INET, "nowhere.test");
    c->client.on_event = end_free_on_event;
    contract_wait(c, &c->client.errors, 1, "the failed lookup");
    contract_settle(c, 20);
    ck_assert_str_eq(c->client.log, "X");
    names_stop(c, &n);
}

static void freed_during_lookup(struct contract *c)
{
    struct names n;
    contract_listen(c);
    names_start(c, &n);
    client_to(c, n.dns, AF_INET, "silent.test");
    contract_wait(c, &n.questions, 1, "the question");
    end_free(&c->client);
    contract_settle(c, 20);
    end_expect(&c->client, 0, "");
    names_stop(c, &n);
}

/* Given up for another way to connect: the answer, should it come, is nobody's business any more.
 */
static void setfd_during_lookup(struct contract *c)
{
    struct names n;
    contract_listen(c);
    names_start(c, &n);
    client_to(c, n.dns, AF_INET, "silent.test");
    contract_wait(c, &n.questions, 1, "the question");
    ck_assert_int_eq(bufferevent_setfd(c->client.bev, -1), 0);
    contract_settle(c, 20);
    ck_assert_int_eq(end_connect(&c->client), 0);
    contract_expect_exchange(c);
    names_stop(c, &n);
}

static void refused_after_lookup(struct contract *c)
{
    struct names n;
    contract_listen(c);
    contract_stop_listening(c);
    names_start(c, &n);
    client_to(c, n.dns, AF_INET, "here.test");
    contract_wait(c, &c->client.errors, 1, "the refusal");
    contract_settle(c, 20);
    ck_assert_str_eq(c->client.log, "X");
    ck_assert_int_eq(bufferevent_socket_get_dns_error(c->client.bev), 0);
    names_stop(c, &n);
}

static void numeric_by_resolver(struct contract *c)
{
    struct names n;
    contract_listen(c);
    names_start(c, &n);
    client_to(c, n.dns, AF_UNSPEC, "127.0.0.1");
    contract_expect_exchange(c);
    ck_assert_uint_eq(n.questions, 0);
    names_stop(c, &n);
}

static void numeric_blocking(struct contract *c)
{
    contract_listen(c);
    client_to(c, NULL, AF_UNSPEC, "127.0.0.1");
    contract_expect_exchange(c);
}

static void localhost_blocking(struct contract *c)
{
    contract_listen(c);
    client_to(c, NULL, AF_INET, "localhost");
    contract_expect_exchange(c);
}

/* An IPv4 address is no IPv6 host: the lookup fails without asking anybody. */
static void wrong_family_blocking(struct contract *c)
{
    contract_listen(c);
    contract_make(c, &c->client, -1);
    bufferevent_enable(c->client.bev, EV_READ | EV_WRITE);
    bufferevent_socket_connect_hostname(c->client.bev, NULL, AF_INET6, "127.0.0.1",
                                        (int)contract_port(c));
    contract_wait(c, &c->client.errors, 1, "the failed lookup");
    contract_settle(c, 20);
    ck_assert_str_eq(c->client.log, "X");
    ck_assert_int_ne(bufferevent_socket_get_dns_error(c->client.bev), 0);
}

static void bad_arguments(struct contract *c)
{
    contract_make(c, &c->client, -1);
    ck_assert_int_eq(
        bufferevent_socket_connect_hostname(c->client.bev, NULL, AF_INET, "127.0.0.1", 0), -1);
    ck_assert_int_eq(
        bufferevent_socket_connect_hostname(c->client.bev, NULL, AF_INET, "127.0.0.1", 65536), -1);
    ck_assert_int_eq(
        bufferevent_socket_connect_hostname(c->client.bev, NULL, AF_UNIX, "127.0.0.1", 80), -1);
    contract_settle(c, 10);
    ck_assert_str_eq(c->client.log, "");
}

const struct contract_row contract_rows_names[] = {
    {.name = "names__by_resolver", .run = by_resolver, .needs = CONTRACT_FD},
    {.name = "names__by_resolver_deferred",
     .run = by_resolver,
     .needs = CONTRACT_FD,
     .bev_options = BEV_OPT_DEFER_CALLBACKS},
    {.name = "names__write_before_lookup", .run = write_before_lookup, .needs = CONTRACT_FD},
    {.name = "names__unknown", .run = unknown, .needs = CONTRACT_FD},
    {.name = "names__unknown_freed_in_the_callback",
     .run = unknown_freed_in_the_callback,
     .needs = CONTRACT_FD},
    {.name = "names__freed_during_lookup", .run = freed_during_lookup, .needs = CONTRACT_FD},
    {.name = "names__setfd_during_lookup", .run = setfd_during_lookup, .needs = CONTRACT_FD},
    {.name = "names__refused_after_lookup", .run = refused_after_lookup, .needs = CONTRACT_FD},
    {.name = "names__numeric_by_resolver", .run = numeric_by_resolver, .needs = CONTRACT_FD},
    {.name = "names__numeric_blocking", .run = numeric_blocking, .needs = CONTRACT_FD},
    {.name = "names__localhost_blocking", .run = localhost_blocking, .needs = CONTRACT_FD},
    {.name = "names__wrong_family_blocking", .run = wrong_family_blocking, .needs = CONTRACT_FD},
    {.name = "names__bad_arguments", .run = bad_arguments, .needs = CONTRACT_FD},
    {0},
};
