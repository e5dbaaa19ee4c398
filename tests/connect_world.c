/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "connect_world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/listener.h>
#include <event2/thread.h>

#include "support/alloc_faults.h"
#include "support/connects.h"
#include "support/engines.h"
#include "support/loop.h"
#include "support/net.h"
#include "support/pki.h"
#include "support/require.h"
#include "support/tmpdir.h"

struct world world;

/* ---- Servers ------------------------------------------------------------------------------ */

static void on_server_handshake(struct bufferevent *bev, void *arg)
{
    const char *name = evtls_engine_get_server_name(evtls_bufferevent_get_engine(bev));

    (void)arg;
    snprintf(world.sni, sizeof(world.sni), "%s", name ? name : "-");
}

static void on_server_event(struct bufferevent *bev, short what, void *arg)
{
    (void)arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        bufferevent_free(bev);
    }
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
                      int len, void *arg)
{
    static const struct evtls_callbacks callbacks = {.handshake = on_server_handshake};
    struct bufferevent *bev;

    (void)listener;
    (void)sa;
    (void)len;
    (void)arg;
    alloc_faults_pause();
    bev = evtls_bufferevent_socket_new(world.base, fd, world.server_ctx, EVTLS_SERVER,
                                       BEV_OPT_CLOSE_ON_FREE, NULL);
    support_require(bev);
    alloc_faults_resume();
    world.accepted++;
    evtls_bufferevent_setcb(bev, &callbacks, NULL);
    bufferevent_setcb(bev, NULL, NULL, on_server_event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static bool is_free(const char *address, uint16_t port)
{
    int fd = listen_at(address, port);

    if (fd < 0) {
        return errno != EADDRINUSE;
    }
    close(fd);
    return true;
}

/*
 * One port for all addresses, below those that the kernel gives to whoever asks for any: what else
 * runs here would take the number on one address while it is in use on another.
 */
static void pick_port(void)
{
    static const char *const addresses[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"};
    unsigned first = (unsigned)getpid() * 101;

    for (unsigned i = 0; i < 1000 && world.port == 0; i++) {
        uint16_t port = (uint16_t)(20000 + (first + i * 37) % 12000);
        size_t n = 0;

        while (n < sizeof(addresses) / sizeof(addresses[0]) && is_free(addresses[n], port)) {
            n++;
        }
        if (n == sizeof(addresses) / sizeof(addresses[0])) {
            world.port = port;
        }
    }
    support_require(world.port);
}

bool world_serve(const char *address)
{
    int fd;

    pick_port();
    fd = listen_at(address, world.port);
    if (fd < 0) {
        return false;
    }
    net_set_nonblocking(fd, true);
    world.port = net_port(fd);
    world.listeners[world.n_listeners] =
        evconnlistener_new(world.base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd);
    support_require(world.listeners[world.n_listeners]);
    world.n_listeners++;
    return true;
}

bool world_black_hole(const char *address)
{
    pick_port();
    world.hole = black_hole_new(address, world.port);
    if (world.hole) {
        world.port = black_hole_port(world.hole);
    }
    return world.hole;
}

void world_dead_port(void)
{
    world.port = net_dead_port();
}

void world_hosts(const char *text)
{
    const char *path = tmpdir_write_text(world.dir, "hosts", text);

    support_require(evdns_base_load_hosts(dns_resolver(world.dns), path) == 0);
}

/* ---- The client --------------------------------------------------------------------------- */

static void note(const char *word)
{
    size_t len = strlen(world.log);

    connects_say(word);
    snprintf(world.log + len, sizeof(world.log) - len, "%s%s", len ? " " : "", word);
}

static void on_handshake(struct bufferevent *bev, void *arg)
{
    (void)bev;
    (void)arg;
    note("handshake");
}

static void on_error(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    (void)bev;
    (void)arg;
    world.error = *err;
    connects_say(err->message);
    note("failed");
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    int saved = errno;

    (void)bev;
    (void)arg;
    world.events++;
    world.over = true;
    world.sys_errno = saved;
    note(what == BEV_EVENT_CONNECTED                       ? "connected"
         : what == BEV_EVENT_ERROR                         ? "error"
         : what == (BEV_EVENT_TIMEOUT | BEV_EVENT_ERROR)   ? "timeout"
         : what == (BEV_EVENT_READING | BEV_EVENT_ERROR)   ? "reading-error"
         : what == (BEV_EVENT_TIMEOUT | BEV_EVENT_WRITING) ? "write-timeout"
                                                           : "other");
}

void world_clear(void)
{
    world.over = false;
    world.events = 0;
    world.log[0] = '\0';
    world.sni[0] = '\0';
    memset(&world.error, 0, sizeof(world.error));
}

static void new_client(enum evtls_role role, struct evtls_context *ctx, int options)
{
    static const struct evtls_callbacks callbacks = {.handshake = on_handshake, .error = on_error};

    if (world.bev) {
        bufferevent_free(world.bev);
    }
    world.bev = evtls_bufferevent_socket_new(world.base, -1, ctx, role,
                                             options | BEV_OPT_CLOSE_ON_FREE, NULL);
    support_require(world.bev);
    world_clear();
    evtls_bufferevent_setcb(world.bev, &callbacks, NULL);
    bufferevent_setcb(world.bev, NULL, NULL, on_event, NULL);
    bufferevent_enable(world.bev, EV_READ | EV_WRITE);
}

void world_new_client(int options)
{
    new_client(EVTLS_CLIENT, world.client_ctx, options);
}

void world_new_client_as(enum evtls_role role, struct evtls_context *ctx)
{
    new_client(role, ctx, 0);
}

/* libevent does not free what evdns_getaddrinfo has made for a question that evdns_base_free takes
 * away, or whose answer no turn of the loop brings. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:evdns_getaddrinfo\n";
}

/* evdns reports what the tests have it do. */
static void be_quiet(int severity, const char *text)
{
    (void)severity;
    (void)text;
}

void world_open(int options)
{
    event_set_log_callback(be_quiet);
    evthread_use_pthreads();
    memset(&world, 0, sizeof(world));
    world.base = event_base_new();
    world.dir = tmpdir_new();
    world.pki = pki_new();
    world.server_ctx = server_context(pki_issue(
        world.pki, &(struct pki_spec){.san = "DNS:localhost,DNS:race.test,IP:127.0.0.1,IP:::1"}));
    world.client_ctx = client_context(world.pki);
    world.dns = dns_new(world.base);
    world_new_client(options);
}

static void close_world(unsigned turns)
{
    if (!world.base) {
        return;
    }
    if (world.bev) {
        bufferevent_free(world.bev);
    }
    for (unsigned i = 0; i < world.n_listeners; i++) {
        evconnlistener_free(world.listeners[i]);
    }
    black_hole_free(world.hole);
    dns_free_resolver(world.dns, turns > 0);
    if (turns > 0) {
        loop_drain(world.base, turns); /* the servers see their peers go */
    }
    dns_free(world.dns);
    if (turns > 0) {
        loop_drain(world.base, turns);
    }
    evtls_context_free(world.client_ctx);
    evtls_context_free(world.server_ctx);
    pki_free(world.pki);
    tmpdir_free(world.dir);
    event_base_free(world.base);
    world.base = NULL;
}

void world_close(void)
{
    close_world(50);
}

void world_close_at_once(void)
{
    close_world(0);
}

void world_connect(int family, const char *host)
{
    connects_watch();
    support_require(evtls_bufferevent_connect_hostname(world.bev, dns_resolver(world.dns), family,
                                                       host, world.port) == 0);
    support_require(world.events == 0 && connects_words() == 0); /* nothing inside the call */
}

void world_wait(void)
{
    support_require(loop_until_true(world.base, &world.over, 50000));
}

static bool server_is_done(void *arg)
{
    (void)arg;
    return world.sni[0] != '\0';
}

void world_wait_for_server(void)
{
    support_require(loop_until(world.base, server_is_done, NULL, 50000));
}

void world_set_deadline(long ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    support_require(evtls_bufferevent_set_handshake_timeout(world.bev, &tv) == 0);
}
