/* Locks, other threads, unlocked callbacks, and a base a thread. */
#include "rows.h"
#include "world.h"

#include <pthread.h>
#include <time.h>

static void sleep_ms(long ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

static void start(pthread_t *thread, void *(*body)(void *), void *arg)
{
    ck_assert_int_eq(pthread_create(thread, NULL, body, arg), 0);
}

/* --- writing from other threads while the loop runs --- */

#define WRITERS 4
#define LINES 200

struct writer {
    struct bufferevent *bev;
    int number;
};

static void *write_lines(void *arg)
{
    struct writer *w = arg;
    char line[16];
    for (int i = 0; i < LINES; i++) {
        snprintf(line, sizeof(line), "%d %06d\n", w->number, i);
        bufferevent_write(w->bev, line, 9);
        if (i % 50 == 0)
            sleep_ms(1);
    }
    return NULL;
}

struct line_count {
    size_t lines;
    int next[WRITERS];
};

/* Whole lines, and each writer's in its order. */
static void check_lines(struct end *e)
{
    struct line_count *count = e->arg;
    char *line;
    while ((line = evbuffer_readln(bufferevent_get_input(e->bev), NULL, EVBUFFER_EOL_LF))) {
        int number = -1, i = -1;
        ck_assert_int_eq(sscanf(line, "%d %06d", &number, &i), 2);
        ck_assert(number >= 0 && number < WRITERS);
        ck_assert_int_eq(i, count->next[number]++);
        count->lines++;
        free(line);
    }
}

static void write_from_threads(struct contract *c)
{
    struct line_count count = {0};
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    contract_pair(c);
    c->server.hold = true;
    c->server.arg = &count;
    c->server.on_read = check_lines;
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){c->client.bev, i};
        start(&threads[i], write_lines, &writers[i]);
    }
    contract_wait(c, &count.lines, (size_t)WRITERS * LINES, "every line");
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(count.lines, (size_t)WRITERS * LINES);
}

/* The loop sleeps with nothing to do: a write from elsewhere wakes it. */
static void *write_later(void *arg)
{
    struct end *e = arg;
    sleep_ms(30);
    end_send(e, 1000);
    return NULL;
}

static void write_wakes_the_loop(struct contract *c)
{
    pthread_t thread;
    contract_pair(c);
    double before = contract_now_s();
    start(&thread, write_later, &c->client);
    contract_wait_bytes(c, &c->server, 1000);
    ck_assert_msg(contract_now_s() - before < 5, "the loop was not woken");
    pthread_join(thread, NULL);
}

static void *toggle(void *arg)
{
    struct end *e = arg;
    struct timeval tv = {10, 0};
    for (int i = 0; i < 300; i++) {
        bufferevent_disable(e->bev, i % 2 ? EV_READ : EV_WRITE);
        bufferevent_setwatermark(e->bev, EV_READ, 0, 100000 + (size_t)i);
        bufferevent_set_timeouts(e->bev, i % 3 ? &tv : NULL, NULL);
        bufferevent_enable(e->bev, EV_READ | EV_WRITE);
        if (i % 20 == 0)
            sleep_ms(1);
    }
    return NULL;
}

static void settings_from_a_thread(struct contract *c)
{
    pthread_t thread;
    contract_pair(c);
    end_send(&c->client, (size_t)4 << 20);
    start(&thread, toggle, &c->server);
    contract_wait_bytes(c, &c->server, (size_t)4 << 20);
    pthread_join(thread, NULL);
}

/* --- the lock --- */

struct holder {
    struct end *e;
    size_t held, seen, over; /* of the thread: it has the lock, what it saw, it is done */
    int patience_ms;         /* that it is given in the callback */
};

static void *hold_lock(void *arg)
{
    struct holder *h = arg;
    bufferevent_lock(h->e->bev);
    __atomic_store_n(&h->held, 1, __ATOMIC_SEQ_CST);
    sleep_ms(40);
    h->seen = __atomic_load_n(&h->e->reads, __ATOMIC_SEQ_CST);
    bufferevent_unlock(h->e->bev);
    return NULL;
}

/* While somebody else holds the lock no callback runs. */
static void lock_holds_callbacks(struct contract *c)
{
    pthread_t thread;
    contract_pair(c);
    struct holder h = {.e = &c->server};
    start(&thread, hold_lock, &h);
    while (!__atomic_load_n(&h.held, __ATOMIC_SEQ_CST))
        sleep_ms(1);
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(h.seen, 0);
    ck_assert_uint_eq(c->server.reads, 1);
}

static void lock_again(struct end *e)
{
    bufferevent_lock(e->bev);
    bufferevent_lock(e->bev);
    bufferevent_unlock(e->bev);
    bufferevent_unlock(e->bev);
}

static void lock_in_a_callback(struct contract *c)
{
    contract_pair(c);
    c->server.on_read = lock_again;
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
}

static void *take_lock(void *arg)
{
    struct holder *h = arg;
    bufferevent_lock(h->e->bev);
    bufferevent_unlock(h->e->bev);
    __atomic_store_n(&h->over, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Gives another thread some time to take the lock, inside the callback. */
static void let_another_lock(struct end *e)
{
    struct holder *h = e->arg;
    pthread_t thread;
    start(&thread, take_lock, h);
    for (int i = 0; i < h->patience_ms && !__atomic_load_n(&h->over, __ATOMIC_SEQ_CST); i++)
        sleep_ms(1);
    h->seen = __atomic_load_n(&h->over, __ATOMIC_SEQ_CST);
    if (!h->seen)
        pthread_detach(thread);
    else
        pthread_join(thread, NULL);
    e->on_read = NULL;
}

static size_t other_could_lock(struct contract *c, int patience_ms)
{
    struct holder h = {.e = &c->server, .patience_ms = patience_ms};
    contract_pair(c);
    c->server.arg = &h;
    c->server.on_read = let_another_lock;
    end_send(&c->client, 1000);
    contract_wait_bytes(c, &c->server, 1000);
    for (int i = 0; i < 1000 && !__atomic_load_n(&h.over, __ATOMIC_SEQ_CST); i++)
        sleep_ms(1);
    return h.seen;
}

static void callbacks_are_locked(struct contract *c)
{
    ck_assert_uint_eq(other_could_lock(c, 60), 0);
}

static void callbacks_are_unlocked(struct contract *c)
{
    ck_assert_uint_eq(other_could_lock(c, 5000), 1);
}

/* Of the leak checker, where the program has one. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* Deferred is what makes unlocked possible: one without the other is refused. */
static void unlocked_needs_deferred(struct contract *c)
{
    evutil_socket_t fds[2];
    contract_fds(c, fds);
    if (__lsan_disable != NULL)
        __lsan_disable(); /* libevent leaks the lock of what it refuses */
    struct bufferevent *bev =
        c->t->make(c->base, fds[0], CONTRACT_CLIENT,
                   BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE | BEV_OPT_UNLOCK_CALLBACKS);
    if (__lsan_enable != NULL)
        __lsan_enable();
    ck_assert_ptr_null(bev);
    evutil_closesocket(fds[0]); /* a refused descriptor stays the caller's */
    evutil_closesocket(fds[1]);
}

/* --- freeing from another thread --- */

static void *free_later(void *arg)
{
    struct end *e = arg;
    sleep_ms(10);
    struct bufferevent *bev = e->bev;
    bufferevent_lock(bev);
    bufferevent_incref(bev);
    bufferevent_free(bev);
    e->bev = NULL;
    bufferevent_unlock(bev);
    bufferevent_decref(bev);
    return NULL;
}

static void free_from_a_thread(struct contract *c)
{
    pthread_t thread;
    contract_pair(c);
    end_send(&c->client, (size_t)64 << 20);
    c->client.on_event = end_free_on_event;
    start(&thread, free_later, &c->server);
    contract_wait(c, &c->client.ends, 1, "the end");
    pthread_join(thread, NULL);
}

/* --- a base a thread --- */

static void *run_pair(void *arg)
{
    struct contract *c = arg;
    for (int i = 0; i < 5; i++) {
        contract_pair(c);
        end_send(&c->client, 300000);
        end_send(&c->server, 300000);
        contract_wait_bytes(c, &c->server, 300000);
        contract_wait_bytes(c, &c->client, 300000);
        contract_again(c);
    }
    return NULL;
}

static void base_a_thread(struct contract *c)
{
    static struct contract worlds[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        worlds[i] = *c;
        worlds[i].base = NULL;
        contract_again(&worlds[i]);
        start(&threads[i], run_pair, &worlds[i]);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        event_base_free(worlds[i].base);
    }
}

/* The idioms of the other files, with a lock around everything. */
static void idioms(struct contract *c)
{
    contract_pair(c);
    c->server.on_write = end_free_when_empty;
    end_send(&c->client, 1000);
    end_send(&c->server, (size_t)2 << 20);
    contract_wait(c, &c->client.ends, 1, "the end");
    ck_assert_uint_eq(c->client.received, (size_t)2 << 20);
}

#define THREADSAFE BEV_OPT_THREADSAFE
#define UNLOCKED (BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS)
#define ROW(ROW_NAME, RUN, OPTIONS)                                                                \
    {                                                                                              \
        .name = ROW_NAME, .run = RUN, .setup = CONTRACT_THREADS, .bev_options = OPTIONS            \
    }

const struct contract_row contract_rows_threads[] = {
    ROW("threads__write_from_threads", write_from_threads, THREADSAFE),
    ROW("threads__write_from_threads_unlocked", write_from_threads, UNLOCKED),
    ROW("threads__write_wakes_the_loop", write_wakes_the_loop, THREADSAFE),
    ROW("threads__settings_from_a_thread", settings_from_a_thread, THREADSAFE),
    ROW("threads__lock_holds_callbacks", lock_holds_callbacks, THREADSAFE),
    ROW("threads__lock_in_a_callback", lock_in_a_callback, THREADSAFE),
    ROW("threads__callbacks_are_locked", callbacks_are_locked, THREADSAFE),
    ROW("threads__callbacks_are_locked_deferred", callbacks_are_locked,
        THREADSAFE | BEV_OPT_DEFER_CALLBACKS),
    ROW("threads__callbacks_are_unlocked", callbacks_are_unlocked, UNLOCKED),
    ROW("threads__unlocked_needs_deferred", unlocked_needs_deferred, 0),
    ROW("threads__free_from_a_thread", free_from_a_thread, THREADSAFE),
    ROW("threads__base_a_thread", base_a_thread, 0),
    ROW("threads__idioms_locked", idioms, THREADSAFE),
    ROW("threads__idioms_unlocked", idioms, UNLOCKED),
    {0},
};
