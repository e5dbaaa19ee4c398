/* One end of a connection: callbacks that log, count and check, and what rows do with an end. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A prime length, so that no power of two of lost bytes goes unseen. */
#define PATTERN_LENGTH 65521

static unsigned char pattern[PATTERN_LENGTH];

void contract_pattern_init(void)
{
    uint32_t x = 2463534242u; /* any seed but 0 */
    for (size_t i = 0; i < PATTERN_LENGTH; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        pattern[i] = (unsigned char)(x >> 9);
    }
}

const void *contract_pattern_period(size_t *length)
{
    *length = PATTERN_LENGTH;
    return pattern;
}

bool contract_pattern_is(const void *data, size_t n, uint64_t place)
{
    const unsigned char *p = data;
    size_t length;
    const unsigned char *period = contract_pattern_period(&length);
    while (n > 0) {
        size_t at = (size_t)(place % length);
        size_t part = n < length - at ? n : length - at;
        if (memcmp(p, period + at, part) != 0)
            return false;
        p += part;
        place += part;
        n -= part;
    }
    return true;
}

/* --- the log --- */

static void end_log(struct end *e, char letter)
{
    size_t n = strlen(e->log);
    bool runs = letter == 'R' || letter == 'W';
    if ((runs && n > 0 && e->log[n - 1] == letter) || n + 1 >= sizeof(e->log))
        return;
    e->log[n] = letter;
    e->log[n + 1] = '\0';
}

void end_forget(struct end *e)
{
    e->log[0] = '\0';
    e->reads = e->writes = e->connects = e->eofs = e->errors = e->timeouts = e->ends = 0;
    e->what = 0;
    e->err = 0;
}

void end_expect(const struct end *e, uint64_t received, const char *log)
{
    ck_assert_msg(e->received == received, "the %s received %llu bytes, not %llu (log \"%s\")",
                  e->name, (unsigned long long)e->received, (unsigned long long)received, e->log);
    ck_assert_msg(strcmp(e->log, log) == 0,
                  "the %s saw \"%s\", not \"%s\" (last event 0x%x, errno %d)", e->name, e->log, log,
                  (unsigned)e->what, e->err);
}

/* --- callbacks --- */

static void on_read(struct bufferevent *bev, void *arg)
{
    struct end *e = arg;
    ck_assert_ptr_eq(bev, e->bev);
    e->reads++;
    end_log(e, 'R');
    if (!e->hold && !e->text)
        end_take(e, SIZE_MAX);
    if (e->on_read != NULL)
        e->on_read(e);
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct end *e = arg;
    ck_assert_ptr_eq(bev, e->bev);
    e->writes++;
    end_log(e, 'W');
    if (e->on_write != NULL)
        e->on_write(e);
}

static void count_event(struct end *e, int happened, size_t *counter, char letter)
{
    if (!happened)
        return;
    (*counter)++;
    end_log(e, letter);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct end *e = arg;
    int err = errno;
    ck_assert_ptr_eq(bev, e->bev);
    e->what = what;
    e->err = err;
    count_event(e, what & BEV_EVENT_CONNECTED, &e->connects, 'C');
    count_event(e, what & BEV_EVENT_EOF, &e->eofs, 'E');
    count_event(e, what & BEV_EVENT_ERROR, &e->errors, 'X');
    count_event(e, what & BEV_EVENT_TIMEOUT, &e->timeouts, 'T');
    /* What is in the input at the end is all there will ever be. */
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        e->ends++;
        if (!e->text)
            end_take(e, SIZE_MAX);
    }
    if (e->on_event != NULL)
        e->on_event(e, what);
}

/* --- making and freeing --- */

void end_init(struct contract *c, struct end *e, enum contract_role role, const char *name)
{
    memset(e, 0, sizeof(*e));
    e->c = c;
    e->role = role;
    e->name = name;
}

void contract_make(struct contract *c, struct end *e, evutil_socket_t fd)
{
    ck_assert_ptr_null(e->bev);
    e->bev = c->t->make(c->base, fd, e->role, c->options);
    ck_assert_msg(e->bev != NULL, "the transport made no bufferevent");
    bufferevent_setcb(e->bev, on_read, on_write, on_event, e);
}

void end_free(struct end *e)
{
    struct bufferevent *bev = e->bev;
    if (e->tick != NULL)
        event_free(e->tick);
    e->tick = NULL;
    e->bev = NULL;
    if (bev != NULL)
        bufferevent_free(bev);
}

void end_reset(struct end *e)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    evutil_socket_t fd = bufferevent_getfd(e->bev);
    int null = open("/dev/null", O_RDWR);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    ck_assert_int_eq(dup2(null, fd), fd);
    close(null);
    end_free(e);
}

struct end *end_other(struct end *e)
{
    return e == &e->c->client ? &e->c->server : &e->c->client;
}

void end_free_when_empty(struct end *e)
{
    if (end_output(e) == 0)
        end_free(e);
}

void end_free_on_event(struct end *e, short what)
{
    end_free(e);
}

/* --- bytes --- */

size_t end_input(const struct end *e)
{
    return evbuffer_get_length(bufferevent_get_input(e->bev));
}

size_t end_output(const struct end *e)
{
    return evbuffer_get_length(bufferevent_get_output(e->bev));
}

void end_send(struct end *e, size_t n)
{
    size_t length;
    const unsigned char *period = contract_pattern_period(&length);
    while (n > 0) {
        size_t at = (size_t)(e->sent % length);
        size_t part = n < length - at ? n : length - at;
        ck_assert_int_eq(bufferevent_write(e->bev, period + at, part), 0);
        e->sent += part;
        n -= part;
    }
}

size_t end_take(struct end *e, size_t n)
{
    unsigned char data[16384];
    size_t total = 0;
    while (total < n) {
        size_t want = n - total < sizeof(data) ? n - total : sizeof(data);
        size_t got = bufferevent_read(e->bev, data, want);
        if (got == 0 || got == (size_t)-1)
            break;
        ck_assert_msg(contract_pattern_is(data, got, e->received),
                      "the %s received wrong bytes between %llu and %llu", e->name,
                      (unsigned long long)e->received, (unsigned long long)(e->received + got));
        e->received += got;
        total += got;
    }
    return total;
}

/* --- ticks --- */

static void tick(evutil_socket_t fd, short what, void *arg)
{
    struct end *e = arg;
    if (e->on_tick != NULL)
        e->on_tick(e);
}

void end_every(struct end *e, unsigned ms, void (*on_tick)(struct end *))
{
    struct timeval tv = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    e->on_tick = on_tick;
    e->tick = event_new(e->c->base, -1, EV_PERSIST, tick, e);
    ck_assert_ptr_nonnull(e->tick);
    event_add(e->tick, &tv);
}

static void sip(struct end *e)
{
    if (e->bev != NULL)
        end_take(e, e->sip);
}

void end_read_slowly(struct end *e, size_t bytes, unsigned ms)
{
    e->hold = true;
    e->sip = bytes;
    bufferevent_setwatermark(e->bev, EV_READ, 0, bytes);
    end_every(e, ms, sip);
}
