/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "support/bev_pair.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <evtls/certificate.h>

#include "support/loop.h"
#include "support/require.h"

static void note(struct bev_side *side, const char *word)
{
    size_t len = strlen(side->log);
    const char *last = strrchr(side->log, ' ');

    last = last ? last + 1 : side->log;
    if (strcmp(last, word) != 0) {
        snprintf(side->log + len, sizeof(side->log) - len, "%s%s", len ? " " : "", word);
    }
    if (side->free_at && strcmp(side->free_at, word) == 0) {
        bev_side_free(side);
    }
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct bev_side *side = arg;

    if (side->got) {
        evbuffer_add_buffer(side->got, bufferevent_get_input(bev));
    }
    note(side, "read");
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct bev_side *side = arg;

    (void)bev;
    side->n_write++;
    note(side, "write");
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct bev_side *side = arg;
    char word[64];

    (void)bev;
    snprintf(word, sizeof(word), "%s%s%s%s%s%s", what & BEV_EVENT_CONNECTED ? "connected" : "",
             what & BEV_EVENT_READING ? "r" : "", what & BEV_EVENT_WRITING ? "w" : "",
             what & BEV_EVENT_TIMEOUT ? "timeout" : "", what & BEV_EVENT_EOF ? "eof" : "",
             what & BEV_EVENT_ERROR ? "error" : "");
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        side->ended = true;
        side->n_ended++;
    }
    note(side, word);
}

static void on_handshake(struct bufferevent *bev, void *arg)
{
    (void)bev;
    note(arg, "handshake");
}

static void on_alpn(struct bufferevent *bev, const char *protocol, size_t len, void *arg)
{
    char word[64];

    (void)bev;
    snprintf(word, sizeof(word), "alpn(%.*s)", (int)len, protocol ? protocol : "");
    note(arg, word);
}

static void on_close_notify(struct bufferevent *bev, void *arg)
{
    (void)bev;
    note(arg, "close_notify");
}

static void on_session(struct bufferevent *bev, struct evtls_session *session, void *arg)
{
    struct bev_side *side = arg;

    (void)bev;
    evtls_session_free(side->session);
    side->session = evtls_session_incref(session);
    side->n_sessions++;
}

static void on_error(struct bufferevent *bev, const struct evtls_error *err, void *arg)
{
    struct bev_side *side = arg;

    (void)bev;
    side->error = *err;
    note(side, "failed");
}

static const struct evtls_callbacks callbacks = {
    .handshake = on_handshake,
    .alpn = on_alpn,
    .close_notify = on_close_notify,
    .session = on_session,
    .error = on_error,
};

void bev_pair_make_contexts(struct bev_pair *pair)
{
    static const char *const names[] = {"localhost"};
    struct evtls_error err;
    const char *pem;
    size_t len;

    if (pair->server.ctx) {
        return;
    }
    pair->server.ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_SERVER, &err);
    pair->client.ctx = evtls_context_new(EVTLS_PROTOCOL_TLS_CLIENT, &err);
    support_require(pair->server.ctx && pair->client.ctx);
    support_require(evtls_context_use_self_signed(pair->server.ctx, names, 1, &err) == 0);
    pem = evtls_certificate_get_pem(evtls_context_get_certificate(pair->server.ctx), &len);
    support_require(evtls_context_load_verify_locations_data(pair->client.ctx, pem, len, &err) ==
                    0);
}

/* ---- What carries them ---------------------------------------------------------------------- */

static enum bufferevent_filter_result flip_bits(struct evbuffer *src, struct evbuffer *dst,
                                                ev_ssize_t limit, enum bufferevent_flush_mode mode,
                                                void *ctx)
{
    unsigned char buf[4096];
    size_t want = limit < 0 || (size_t)limit > sizeof(buf) ? sizeof(buf) : (size_t)limit;
    int n = evbuffer_remove(src, buf, want);

    (void)mode;
    (void)ctx;
    for (int i = 0; i < n; i++) {
        buf[i] ^= 0x55;
    }
    return n > 0 && evbuffer_add(dst, buf, (size_t)n) == 0 ? BEV_OK : BEV_NEED_MORE;
}

/* Deferred callbacks of libevent's own, which is below, are another matter. */
static int without_deferral(int options)
{
    return options & ~(BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
}

static struct bufferevent *plain_socket(struct bev_pair *pair, int fd, int options)
{
    struct bufferevent *bev;

    evutil_make_socket_nonblocking(fd); /* first: libevent's debug mode looks at it */
    bev = bufferevent_socket_new(pair->base, fd, BEV_OPT_CLOSE_ON_FREE | without_deferral(options));
    support_require(bev);
    return bev;
}

static struct bufferevent *rate_limited(struct bev_pair *pair, int fd, int options)
{
    static const struct timeval tick = {0, 20000};
    struct bufferevent *bev = plain_socket(pair, fd, options);

    if (!pair->rate) {
        pair->rate = ev_token_bucket_cfg_new(16384, 16384, 16384, 16384, &tick);
    }
    support_require(bufferevent_set_rate_limit(bev, pair->rate) == 0);
    return bev;
}

/* TLS below TLS uses the same contexts; nothing listens to it but the filter. */
static struct bufferevent *inner_tls(struct bev_pair *pair, struct bev_side *side,
                                     enum evtls_role role, int options)
{
    struct bufferevent *bev;

    options |= BEV_OPT_CLOSE_ON_FREE;
    if (pair->over == BEV_OVER_TLS) {
        bev = evtls_bufferevent_socket_new(pair->base, side->fd, side->ctx, role, options, NULL);
    } else {
        bev = evtls_bufferevent_filter_new(plain_socket(pair, side->fd, options), side->ctx, role,
                                           options, NULL);
    }
    support_require(bev);
    if (role == EVTLS_CLIENT) {
        support_require(evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(bev),
                                                         "localhost", NULL) == 0);
    }
    return bev;
}

static struct bufferevent *make_below(struct bev_pair *pair, struct bev_side *side,
                                      enum evtls_role role, int options)
{
    switch (pair->over) {
    case BEV_OVER_BEV_SOCKETS:
        return plain_socket(pair, side->fd, options);
    case BEV_OVER_LIBEVENT_FILTER:
        return bufferevent_filter_new(plain_socket(pair, side->fd, options), flip_bits, flip_bits,
                                      BEV_OPT_CLOSE_ON_FREE | without_deferral(options), NULL,
                                      NULL);
    case BEV_OVER_RATE_LIMITED:
        return rate_limited(pair, side->fd, options);
    case BEV_OVER_TLS:
    case BEV_OVER_TLS_FILTER:
        return inner_tls(pair, side, role, options);
    default:
        return NULL;
    }
}

static void make_all_below(struct bev_pair *pair, int options)
{
    struct bufferevent *halves[2];

    if (pair->over == BEV_OVER_PAIR) {
        support_require(bufferevent_pair_new(pair->base,
                                             BEV_OPT_CLOSE_ON_FREE | without_deferral(options),
                                             halves) == 0);
        pair->client.below = halves[0];
        pair->server.below = halves[1];
        return;
    }
    pair->client.below = make_below(pair, &pair->client, EVTLS_CLIENT, options);
    pair->server.below = make_below(pair, &pair->server, EVTLS_SERVER, options);
}

static void make_sockets(struct bev_pair *pair)
{
    int fds[2] = {-1, -1};

    if (pair->over != BEV_OVER_PAIR) {
        support_require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    }
    pair->client.fd = fds[0];
    pair->server.fd = fds[1];
}

/* ---- The pair ------------------------------------------------------------------------------- */

void bev_pair_listen(struct bev_side *side)
{
    side->got = side->got ? side->got : evbuffer_new();
    bufferevent_setcb(side->bev, on_read, on_write, on_event, side);
    support_require(evtls_bufferevent_setcb(side->bev, &callbacks, side) == 0);
    bufferevent_enable(side->bev, EV_READ | EV_WRITE);
}

static void open_side(struct bev_pair *pair, struct bev_side *side, enum evtls_role role,
                      int options)
{
    struct evtls_error err;

    if (!pair->keep_below) {
        options |= BEV_OPT_CLOSE_ON_FREE;
    }
    if (pair->plain) {
        side->bev = evtls_bufferevent_plaintext_new(pair->base, side->fd, options, &err);
    } else if (pair->over == BEV_OVER_SOCKETS) {
        side->bev =
            evtls_bufferevent_socket_new(pair->base, side->fd, side->ctx, role, options, &err);
    } else {
        side->bev = evtls_bufferevent_filter_new(side->below, side->ctx, role, options, &err);
    }
    if (!side->bev) {
        fprintf(stderr, "%s\n", err.message);
    }
    support_require(side->bev);
    bev_pair_listen(side);
}

void bev_pair_reopen(struct bev_pair *pair, int options)
{
    make_sockets(pair);
    make_all_below(pair, options);
    pair->client.log[0] = pair->server.log[0] = '\0';
    pair->client.ended = pair->server.ended = false;
    pair->client.n_ended = pair->server.n_ended = 0;
    open_side(pair, &pair->client, EVTLS_CLIENT, options);
    open_side(pair, &pair->server, EVTLS_SERVER, options);
    support_require(pair->plain ||
                    evtls_engine_set_server_hostname(evtls_bufferevent_get_engine(pair->client.bev),
                                                     "localhost", NULL) == 0);
}

void bev_pair_open(struct bev_pair *pair, int options)
{
    pair->base = event_base_new();
    support_require(pair->base);
    bev_pair_make_contexts(pair);
    bev_pair_reopen(pair, options);
}

void bev_pair_connect(struct bev_pair *pair)
{
    bev_pair_wait(pair, &pair->client, "connected");
    bev_pair_wait(pair, &pair->server, "connected");
}

struct wait {
    const struct bev_side *side;
    const char *word;
    size_t bytes;
};

static bool has_word(void *arg)
{
    const struct wait *wait = arg;

    return strstr(wait->side->log, wait->word) != NULL;
}

static bool has_bytes(void *arg)
{
    const struct wait *wait = arg;

    return evbuffer_get_length(wait->side->got) >= wait->bytes;
}

void bev_pair_wait(struct bev_pair *pair, struct bev_side *side, const char *word)
{
    struct wait wait = {side, word, 0};
    bool there = loop_until(pair->base, has_word, &wait, 100000);

    if (!there) {
        fprintf(stderr, "no \"%s\" in: %s\n", word, side->log);
        evtls_event_base_dump(pair->base, stderr);
    }
    support_require(there);
}

void bev_pair_wait_bytes(struct bev_pair *pair, struct bev_side *side, size_t n)
{
    struct wait wait = {side, NULL, n};
    bool there = loop_until(pair->base, has_bytes, &wait, 100000);

    if (!there) {
        fprintf(stderr, "%zu bytes of %zu\n", evbuffer_get_length(side->got), n);
        evtls_event_base_dump(pair->base, stderr);
    }
    support_require(there);
}

void bev_pair_expect(struct bev_pair *pair, struct bev_side *side, const char *text)
{
    size_t len = strlen(text);

    bev_pair_wait_bytes(pair, side, len);
    support_require(evbuffer_get_length(side->got) == len);
    support_require(memcmp(evbuffer_pullup(side->got, -1), text, len) == 0);
    evbuffer_drain(side->got, len);
}

const int bev_pair_options[BEV_PAIR_N_OPTIONS] = {
    0,
    BEV_OPT_DEFER_CALLBACKS,
    BEV_OPT_THREADSAFE,
    BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS,
    BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS,
};

void bev_side_free(struct bev_side *side)
{
    struct bufferevent *bev = side->bev;

    side->bev = NULL;
    if (bev) {
        bufferevent_free(bev);
    }
}

static void cleanup_side(struct bev_side *side)
{
    bev_side_free(side);
    if (side->got) {
        evbuffer_free(side->got);
    }
    evtls_session_free(side->session);
    evtls_context_free(side->ctx);
}

void bev_pair_close(struct bev_pair *pair)
{
    cleanup_side(&pair->client);
    cleanup_side(&pair->server);
    if (pair->base) {
        for (int i = 0; i < 5; i++) {
            event_base_loop(pair->base, EVLOOP_NONBLOCK);
        }
        event_base_free(pair->base);
    }
    if (pair->rate) {
        ev_token_bucket_cfg_free(pair->rate);
    }
    memset(pair, 0, sizeof(*pair));
}
