/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "hostile.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "engines.h"
#include "loop.h"
#include "net.h"
#include "require.h"
#include "vclock.h"

struct pki *hostile_pki;
struct pki_ident *hostile_ident;

void hostile_set_up(void)
{
    hostile_fill_pattern();
    hostile_pki = pki_new();
    hostile_ident = pki_issue(hostile_pki, &(struct pki_spec){0});
    pki_chain_pem(hostile_ident);
    pki_key_pem(hostile_ident);
}

void hostile_tear_down(void)
{
    pki_free(hostile_pki);
}

/* ---- The other side ------------------------------------------------------------------------ */

void hostile_send(struct hostile *h, const void *data, size_t len)
{
    if (h->raw) {
        support_require(bufferevent_write(h->raw, data, len) == 0);
    }
}

void hostile_flush_peer(struct hostile *h)
{
    size_t len;
    const unsigned char *out = peer_peek(h->peer, &len);

    if (len > 0) {
        hostile_send(h, out, len);
        peer_discard(h->peer);
    }
}

static void on_raw_read(struct bufferevent *bev, void *arg)
{
    struct hostile *h = arg;
    struct evbuffer *input = bufferevent_get_input(bev);

    if (h->peer) {
        size_t len = evbuffer_get_length(input);

        peer_feed(h->peer, evbuffer_pullup(input, -1), len);
        if (!h->held) {
            peer_step(h->peer);
            hostile_flush_peer(h);
        }
    }
    evbuffer_add_buffer(h->received, input);
}

static bool is_sent(void *raw)
{
    return evbuffer_get_length(bufferevent_get_output(raw)) == 0;
}

static void finish_now(struct hostile *h)
{
    if (h->raw_sock >= 0) {
        shutdown(h->raw_sock, SHUT_WR);
    } else {
        bufferevent_flush(h->raw, EV_WRITE, BEV_FINISHED);
    }
}

/* Its own end follows ours, once all that it has to say is out. */
static void finish_if_sent(struct hostile *h)
{
    if (h->raw_eof && !h->stubborn && !h->finished && is_sent(h->raw)) {
        h->finished = true; /* first: a pair calls back at once */
        finish_now(h);
    }
}

static void on_raw_write(struct bufferevent *bev, void *arg)
{
    (void)bev;
    finish_if_sent(arg);
}

static void on_raw_event(struct bufferevent *bev, short what, void *arg)
{
    struct hostile *h = arg;

    (void)bev;
    if (what & BEV_EVENT_EOF) {
        h->raw_eof = true;
        finish_if_sent(h);
    }
    if (what & BEV_EVENT_ERROR) {
        h->raw_errno = EVUTIL_SOCKET_ERROR();
    }
}

void hostile_send_in_steps(struct hostile *h, const void *data, size_t len, size_t step, long ms)
{
    for (size_t at = 0; at < len && !h->side.ended; at += step) {
        hostile_send(h, (const char *)data + at, len - at < step ? len - at : step);
        loop_until(h->base, is_sent, h->raw, 1000);
        if (ms > 0) {
            loop_turns(h->base, ms);
        } else {
            loop_drain(h->base, 20);
        }
    }
}

void hostile_send_hello(struct hostile *h, const struct hello *hello)
{
    size_t len;
    unsigned char *bytes = hello_make(hello, &len);

    hostile_send(h, bytes, len);
    free(bytes);
}

void hostile_stop_reading(struct hostile *h)
{
    bufferevent_disable(h->raw, EV_READ);
}

void hostile_read_on(struct hostile *h)
{
    bufferevent_enable(h->raw, EV_READ);
}

void hostile_finish(struct hostile *h)
{
    support_require(loop_until(h->base, is_sent, h->raw, 10000));
    finish_now(h);
}

void hostile_reset(struct hostile *h)
{
    static const struct linger reset = {1, 0};

    support_require(h->raw_sock >= 0);
    loop_until(h->base, is_sent, h->raw, 100);
    setsockopt(h->raw_sock, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    bufferevent_free(h->raw);
    h->raw = NULL;
    h->raw_sock = -1;
}

void hostile_flush_peer_and_reset(struct hostile *h)
{
    size_t len;
    const unsigned char *out = peer_peek(h->peer, &len);

    support_require(is_sent(h->raw) && send(h->raw_sock, out, len, 0) == (ssize_t)len);
    peer_discard(h->peer);
    hostile_reset(h);
}

static bool peer_has_connected(void *arg)
{
    struct hostile *h = arg;

    return h->side.ended || (peer_is_open(h->peer) && strstr(h->side.log, "connected"));
}

void hostile_peer(struct hostile *h, const struct peer_options *options)
{
    struct peer_options all = *options;

    all.server = h->row->role == EVTLS_CLIENT;
    if (all.server && !all.ident && !all.like) {
        all.ident = hostile_ident;
    }
    for (size_t i = 0; h->peer; i++) {
        support_require(i < COUNT(h->peers));
        if (!h->peers[i]) {
            h->peers[i] = h->peer;
            h->peer = NULL;
        }
    }
    h->peer = peer_new(&all);
    peer_step(h->peer);
    hostile_flush_peer(h);
}

void hostile_connect(struct hostile *h, const struct peer_options *options)
{
    hostile_peer(h, options);
    support_require(loop_until(h->base, peer_has_connected, h, 20000));
    hostile_settle(h);
}

void hostile_connect_sealed(struct hostile *h, int version)
{
    hostile_connect(h, &(struct peer_options){.sealable = true,
                                              .no_tickets = h->row->role == EVTLS_CLIENT,
                                              .min_version = version,
                                              .max_version = version});
    support_require(!h->side.ended);
    h->seal = seal_new(h->peer);
}

size_t hostile_peer_got(const struct hostile *h)
{
    size_t len;

    peer_received(h->peer, &len);
    return len;
}

/* ---- Waiting ------------------------------------------------------------------------------- */

void hostile_run_ms(struct hostile *h, long ms)
{
    loop_turns(h->base, ms);
}

/* A jump of the clock comes after nothing has moved for its grace. */
void hostile_settle(struct hostile *h)
{
    loop_turns(h->base, 1);
    loop_turns(h->base, 1);
}

void hostile_wait(struct hostile *h, const char *word)
{
    bev_pair_wait(&h->beside, &h->side, word);
}

static bool has_ended(void *arg)
{
    const struct hostile *h = arg;

    return h->side.ended || !h->side.bev;
}

void hostile_wait_end(struct hostile *h)
{
    bool ended = loop_until(h->base, has_ended, h, 100000);

    if (!ended) {
        fprintf(stderr, "%s: no end: %s\n", h->row->name, h->side.log);
        evtls_event_base_dump(h->base, stderr);
    }
    support_require(ended);
    h->elapsed_ms = vclock_elapsed_ms();
}

static bool has_echo(void *arg)
{
    struct hostile *h = arg;
    size_t len;
    const unsigned char *text = peer_received(h->peer, &len);

    return len >= 4 && memcmp(text + len - 4, "pong", 4) == 0;
}

void hostile_expect_alive(struct hostile *h)
{
    bool there;

    evbuffer_drain(h->side.got, evbuffer_get_length(h->side.got));
    if (h->seal) {
        seal_record(h->seal, 23, "ping", 4);
    } else {
        support_require(peer_write(h->peer, "ping", 4) == PEER_OK);
    }
    hostile_flush_peer(h);
    bev_pair_expect(&h->beside, &h->side, "ping");
    bufferevent_write(h->side.bev, "pong", 4);
    there = loop_until(h->base, has_echo, h, 10000);
    if (!there) {
        fprintf(stderr, "%s: no answer for the peer: %s\n", h->row->name, h->side.log);
        evtls_event_base_dump(h->base, stderr);
    }
    support_require(there);
}

/* ---- A run --------------------------------------------------------------------------------- */

static void make_contexts(struct hostile *h)
{
    static const enum evtls_tls_version versions[] = {EVTLS_TLS_1_2, EVTLS_TLS_1_3};

    if (h->row->role == EVTLS_CLIENT) {
        h->side.ctx = client_context(hostile_pki);
    } else {
        h->side.ctx = server_context(hostile_ident);
    }
    if (h->row->version) {
        enum evtls_tls_version version = versions[h->row->version == TLS1_3_VERSION];

        evtls_context_set_min_version(h->side.ctx, version, NULL);
        evtls_context_set_max_version(h->side.ctx, version, NULL);
    }
    if (h->row->prepare) {
        h->row->prepare(h);
    }
}

static void make_ends(struct hostile *h, struct bufferevent *halves[2])
{
    int fds[2], on = 1;

    h->raw_sock = -1;
    h->side.fd = -1;
    if (h->over == HOSTILE_PAIR) {
        support_require(bufferevent_pair_new(h->base, BEV_OPT_CLOSE_ON_FREE, halves) == 0);
        return;
    }
    net_pair(NET_TCP, 0, fds);
    for (int i = 0; i < 2; i++) {
        net_set_nonblocking(fds[i], true);
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    h->raw_sock = fds[0];
    h->side.fd = fds[1];
    halves[0] = bufferevent_socket_new(h->base, fds[0], BEV_OPT_CLOSE_ON_FREE);
    if (h->over == HOSTILE_FILTER) {
        halves[1] = bufferevent_socket_new(h->base, fds[1], BEV_OPT_CLOSE_ON_FREE);
    }
}

void hostile_make_side(struct hostile *h)
{
    enum evtls_role role = h->row->role ? h->row->role : EVTLS_SERVER;
    int options = h->options | BEV_OPT_CLOSE_ON_FREE;

    if (h->side.below) {
        h->side.bev = evtls_bufferevent_filter_new(h->side.below, h->side.ctx, role, options, NULL);
    } else {
        h->side.bev =
            evtls_bufferevent_socket_new(h->base, h->side.fd, h->side.ctx, role, options, NULL);
    }
    support_require(h->side.bev);
    if (role == EVTLS_CLIENT) {
        evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(h->side.bev), "localhost",
                                         NULL);
    }
    bev_pair_listen(&h->side);
}

static void open_both(struct hostile *h)
{
    struct bufferevent *halves[2] = {NULL, NULL};

    make_ends(h, halves);
    h->raw = halves[0];
    h->side.below = halves[1];
    support_require(h->raw);
    if (!h->row->late) {
        hostile_make_side(h);
    }
    bufferevent_setcb(h->raw, on_raw_read, on_raw_write, on_raw_event, h);
    bufferevent_enable(h->raw, EV_READ | EV_WRITE);
}

static void free_raw(struct hostile *h)
{
    if (h->raw) {
        bufferevent_free(h->raw);
    }
    h->raw = NULL;
    h->raw_sock = -1;
}

void hostile_again(struct hostile *h)
{
    bev_side_free(&h->side);
    hostile_settle(h);
    free_raw(h);
    hostile_settle(h);
    seal_free(h->seal);
    h->seal = NULL;
    h->side.log[0] = '\0';
    h->side.ended = h->raw_eof = h->finished = false;
    h->side.n_ended = 0;
    h->raw_errno = 0;
    evbuffer_drain(h->received, evbuffer_get_length(h->received));
    evbuffer_drain(h->side.got, evbuffer_get_length(h->side.got));
    open_both(h);
}

static void check_beside(struct hostile *h)
{
    bufferevent_write(h->beside.client.bev, "ping", 4);
    bev_pair_expect(&h->beside, &h->beside.server, "ping");
    bufferevent_write(h->beside.server.bev, "pong!", 5);
    bev_pair_expect(&h->beside, &h->beside.client, "pong!");
}

/* The callbacks but for those that depend on how many bytes came at once. */
static void get_log(const struct hostile *h, char *dst, size_t size)
{
    char copy[sizeof(h->side.log)], *rest = copy, *word;
    size_t len = 0;

    memcpy(copy, h->side.log, sizeof(copy));
    dst[0] = '\0';
    while ((word = strsep(&rest, " "))) {
        if (word[0] && strcmp(word, "read") != 0 && strcmp(word, "write") != 0) {
            len += (size_t)snprintf(dst + len, size - len, "%s%s", len ? " " : "", word);
        }
    }
}

/* The alert in what the other side got: its own view, or the last record. */
static int find_alert(const struct hostile *h)
{
    size_t len = evbuffer_get_length(h->received), at = 0, next;
    const unsigned char *data = evbuffer_pullup(h->received, -1);
    int alert = HOSTILE_NO_ALERT;

    for (; at < len; at = next) {
        ck_assert_msg(data[at] >= 20 && data[at] <= 23 && at + 5 <= len && data[at + 1] == 3,
                      "%s: no record at %zu of %zu", h->row->name, at, len);
        next = at + 5 + (size_t)(data[at + 3] << 8 | data[at + 4]);
        if (data[at] == 21 && next == at + 7 && next <= len) {
            alert = data[at + 6];
        } else if (next == len && data[at] != 22) {
            alert = HOSTILE_PROTECTED;
        }
    }
    return h->peer ? peer_alert_received(h->peer) : alert;
}

static void check_outcome(struct hostile *h)
{
    const struct hostile_row *row = h->row;
    const struct evtls_error *err =
        h->side.bev ? evtls_engine_get_error(evtls_bufferevent_get_engine(h->side.bev)) : NULL;
    char log[sizeof(h->side.log)];
    int alert;

    get_log(h, log, sizeof(log));
    ck_assert_msg(strcmp(log, row->log) == 0, "%s: \"%s\", not \"%s\" (%s)", row->name, log,
                  row->log, err ? err->message : "");
    /* Behind an end of file a failure is told where something is still owed. */
    ck_assert_uint_le(h->side.n_ended, strstr(row->log, "reof failed") ? 2 : 1);
    ck_assert_msg(h->side.error.status == row->status ||
                      (row->or_truncated && h->side.error.status == EVTLS_ERR_TRUNCATED),
                  "%s: %s", row->name, evtls_status_name(h->side.error.status));
    if (row->message) {
        ck_assert_msg(strstr(h->side.error.message, row->message), "%s: \"%s\"", row->name,
                      h->side.error.message);
    }
    alert = find_alert(h);
    ck_assert_msg(alert == row->alert || (alert == HOSTILE_PROTECTED && row->alert == -1 &&
                                          row->status != EVTLS_ERR_PROTOCOL),
                  "%s: the other side got %d, not %d", row->name, alert, row->alert);
    if (row->alert != HOSTILE_NO_ALERT && row->status == EVTLS_ERR_PROTOCOL && !row->reset) {
        ck_assert_msg(h->raw_eof && h->raw_errno == 0, "%s: eof %d, errno %d", row->name,
                      h->raw_eof, h->raw_errno);
    }
    if (row->got) {
        ck_assert_uint_eq(evbuffer_get_length(h->side.got), strlen(row->got));
        ck_assert(memcmp(evbuffer_pullup(h->side.got, -1), row->got, strlen(row->got)) == 0);
    }
}

static void check_no_reset(struct hostile *h)
{
    socklen_t len = sizeof(int);
    int error = 0;

    if (h->raw_sock >= 0 && !h->row->reset) {
        getsockopt(h->raw_sock, SOL_SOCKET, SO_ERROR, &error, &len);
        ck_assert_msg(error == 0 && h->raw_errno == 0, "%s: the other side met errno %d",
                      h->row->name, error ? error : h->raw_errno);
    }
}

static void open_world(struct hostile *h)
{
    vclock_enable();
    bev_pair_open(&h->beside, 0);
    bev_pair_connect(&h->beside);
    h->base = h->beside.base;
    h->received = evbuffer_new();
    make_contexts(h);
    open_both(h);
}

static void close_world(struct hostile *h)
{
    free_raw(h);
    hostile_settle(h);
    if (evtls_event_base_get_num_closing(h->base) > 0) {
        loop_turns(h->base, 6000); /* a pair does not tell that its other half is gone */
    }
    seal_free(h->seal);
    peer_free(h->peer);
    for (size_t i = 0; i < COUNT(h->peers); i++) {
        peer_free(h->peers[i]);
    }
    evbuffer_free(h->received);
    evbuffer_free(h->side.got);
    evtls_session_free(h->side.session);
    evtls_context_free(h->side.ctx);
    ck_assert_uint_eq(evtls_event_base_get_num_closing(h->base), 0);
    bev_pair_close(&h->beside);
    vclock_disable();
}

void hostile_run(const struct hostile_row *rows, int i)
{
    struct hostile h = {.row = &rows[i / HOSTILE_OVER_N],
                        .over = (enum hostile_over)(i % HOSTILE_OVER_N)};
    unsigned descriptors = fd_count();

    open_world(&h);
    h.row->play(&h);
    if (h.row->status != EVTLS_OK && h.side.bev) {
        hostile_wait_end(&h);
    }
    hostile_settle(&h);
    ck_assert_msg(loop_turns(h.base, 500) <= 2, "%s: turns while nothing happens", h.row->name);
    check_outcome(&h);
    check_beside(&h);
    bev_side_free(&h.side);
    hostile_settle(&h);
    check_no_reset(&h);
    check_beside(&h);
    close_world(&h);
    ck_assert_uint_eq(fd_count(), descriptors);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

void hostile_add_rows(Suite *suite, const char *name, const TTest *test,
                      const struct hostile_row *rows, size_t n)
{
    TCase *tcase = tcase_create(name);

    tcase_add_unchecked_fixture(tcase, hostile_set_up, hostile_tear_down);
    tcase_set_timeout(tcase, 20);
    for (int i = 0; i < (int)n * HOSTILE_OVER_N; i++) {
        if (!(rows[i / HOSTILE_OVER_N].not_over & (1U << (i % HOSTILE_OVER_N)))) {
            tcase_add_loop_test(tcase, test, i, i + 1);
        }
    }
    suite_add_tcase(suite, tcase);
}
