/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "base.h"

#include <pthread.h>
#include <stdlib.h>

#include "bev.h"

/* Spare blocks kept by a base: enough that a busy one never goes back to the allocator. */
#define MAX_SPARE_BLOCKS 4

struct evtls_queue {
    struct evtls_base *shared;
    struct event *event;
    struct evtls_bev_list list;
    size_t length;
    bool armed;
    bool running;
};

struct evtls_base {
    LIST_ENTRY(evtls_base) link;
    struct event_base *base;
    unsigned refs; /* under registry_lock */
    pthread_mutex_t lock;
    struct evtls_bev_list connections;
    size_t n_closing;
    unsigned char *scratch;
    struct evtls_block *spare;
    unsigned n_spare;
    int n_queues;
    struct evtls_queue *queues[]; /* by priority; NULL where none is in use */
};

static LIST_HEAD(, evtls_base) registry = LIST_HEAD_INITIALIZER(registry);
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;

static struct evtls_base *find_locked(struct event_base *base)
{
    struct evtls_base *shared;

    LIST_FOREACH(shared, &registry, link)
    {
        if (shared->base == base) {
            break;
        }
    }
    return shared;
}

static struct evtls_base *make_locked(struct event_base *base)
{
    int n = event_base_get_npriorities(base);
    struct evtls_base *shared = calloc(1, sizeof(*shared) + (size_t)n * sizeof(shared->queues[0]));

    if (!shared) {
        return NULL;
    }
    if (pthread_mutex_init(&shared->lock, NULL) != 0) {
        free(shared);
        return NULL;
    }
    shared->base = base;
    shared->n_queues = n;
    TAILQ_INIT(&shared->connections);
    LIST_INSERT_HEAD(&registry, shared, link);
    return shared;
}

struct evtls_base *evtls_base_get(struct event_base *base)
{
    struct evtls_base *shared;

    pthread_mutex_lock(&registry_lock);
    shared = find_locked(base);
    if (!shared) {
        shared = make_locked(base);
    }
    if (shared) {
        shared->refs++;
    }
    pthread_mutex_unlock(&registry_lock);
    return shared;
}

struct evtls_base *evtls_base_find(struct event_base *base)
{
    struct evtls_base *shared;

    pthread_mutex_lock(&registry_lock);
    shared = find_locked(base);
    pthread_mutex_unlock(&registry_lock);
    return shared;
}

static void destroy(struct evtls_base *shared)
{
    for (int i = 0; i < shared->n_queues; i++) {
        if (shared->queues[i]) {
            event_free(shared->queues[i]->event);
            free(shared->queues[i]);
        }
    }
    while (shared->spare) {
        struct evtls_block *block = shared->spare;

        shared->spare = block->next;
        free(block);
    }
    free(shared->scratch);
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

void evtls_base_put(struct evtls_base *shared)
{
    bool last;

    pthread_mutex_lock(&registry_lock);
    last = --shared->refs == 0;
    if (last) {
        LIST_REMOVE(shared, link);
    }
    pthread_mutex_unlock(&registry_lock);
    if (last) {
        destroy(shared);
    }
}

void evtls_base_add(struct evtls_base *shared, struct evtls_bev *conn)
{
    pthread_mutex_lock(&shared->lock);
    TAILQ_INSERT_TAIL(&shared->connections, conn, all);
    pthread_mutex_unlock(&shared->lock);
}

void evtls_base_remove(struct evtls_base *shared, struct evtls_bev *conn)
{
    pthread_mutex_lock(&shared->lock);
    TAILQ_REMOVE(&shared->connections, conn, all);
    pthread_mutex_unlock(&shared->lock);
}

void evtls_base_visit(struct evtls_base *shared, void (*visit)(struct evtls_bev *, void *),
                      void *arg)
{
    struct evtls_bev *conn;

    pthread_mutex_lock(&shared->lock);
    conn = TAILQ_FIRST(&shared->connections);
    pthread_mutex_unlock(&shared->lock);
    while (conn) {
        visit(conn, arg);
        pthread_mutex_lock(&shared->lock);
        conn = TAILQ_NEXT(conn, all);
        pthread_mutex_unlock(&shared->lock);
    }
}

void evtls_base_count_closing(struct evtls_base *shared, int change)
{
    pthread_mutex_lock(&shared->lock);
    shared->n_closing += (size_t)change;
    pthread_mutex_unlock(&shared->lock);
}

size_t evtls_base_get_num_closing(struct evtls_base *shared)
{
    size_t n;

    pthread_mutex_lock(&shared->lock);
    n = shared->n_closing;
    pthread_mutex_unlock(&shared->lock);
    return n;
}

unsigned char *evtls_base_get_scratch(struct evtls_base *shared)
{
    if (!shared->scratch) {
        shared->scratch = malloc(EVTLS_READ_SCRATCH_BYTES);
    }
    return shared->scratch;
}

struct evtls_block *evtls_base_take_block(struct evtls_base *shared)
{
    struct evtls_block *block;

    pthread_mutex_lock(&shared->lock);
    block = shared->spare;
    if (block) {
        shared->spare = block->next;
        shared->n_spare--;
    }
    pthread_mutex_unlock(&shared->lock);
    return block ? block : malloc(sizeof(*block));
}

void evtls_base_give_block(struct evtls_base *shared, struct evtls_block *block)
{
    pthread_mutex_lock(&shared->lock);
    if (shared->n_spare < MAX_SPARE_BLOCKS) {
        block->next = shared->spare;
        shared->spare = block;
        shared->n_spare++;
        block = NULL;
    }
    pthread_mutex_unlock(&shared->lock);
    free(block);
}

/* Takes the first of the connections that were queued when the run began. */
static struct evtls_bev *queue_pop(struct evtls_queue *queue, size_t *left)
{
    struct evtls_bev *conn = NULL;

    pthread_mutex_lock(&queue->shared->lock);
    if (*left > 0) {
        (*left)--;
        conn = TAILQ_FIRST(&queue->list);
    }
    if (conn) {
        TAILQ_REMOVE(&queue->list, conn, queued);
        conn->queue = NULL;
        queue->length--;
    }
    pthread_mutex_unlock(&queue->shared->lock);
    return conn;
}

static void queue_run(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval now = {0, 0};
    struct evtls_queue *queue = arg;
    struct evtls_base *shared = queue->shared;
    struct evtls_bev *conn;
    size_t left;

    (void)fd;
    (void)what;
    pthread_mutex_lock(&shared->lock);
    queue->armed = false;
    queue->running = true;
    left = queue->length;
    pthread_mutex_unlock(&shared->lock);

    while ((conn = queue_pop(queue, &left)) != NULL) {
        evtls_bev_work(conn);
    }

    pthread_mutex_lock(&shared->lock);
    queue->running = false;
    if (queue->length > 0) {
        queue->armed = true;
        event_add(queue->event, &now);
    }
    pthread_mutex_unlock(&shared->lock);
}

static struct evtls_queue *make_queue_locked(struct evtls_base *shared, int priority)
{
    struct evtls_queue *queue = calloc(1, sizeof(*queue));

    if (!queue) {
        return NULL;
    }
    queue->event = event_new(shared->base, -1, 0, queue_run, queue);
    if (!queue->event || event_priority_set(queue->event, priority) != 0) {
        if (queue->event) {
            event_free(queue->event);
        }
        free(queue);
        return NULL;
    }
    queue->shared = shared;
    TAILQ_INIT(&queue->list);
    shared->queues[priority] = queue;
    return queue;
}

int evtls_base_make_queue(struct evtls_base *shared, int priority)
{
    bool there;

    pthread_mutex_lock(&shared->lock);
    there = shared->queues[priority] || make_queue_locked(shared, priority);
    pthread_mutex_unlock(&shared->lock);
    return there ? 0 : -1;
}

/* The queue of a priority or, where there is no memory for it, any: each connection made one. */
static struct evtls_queue *queue_for_locked(struct evtls_base *shared, int priority)
{
    if (shared->queues[priority] || make_queue_locked(shared, priority)) {
        return shared->queues[priority];
    }
    for (priority = 0; !shared->queues[priority]; priority++) {
    }
    return shared->queues[priority];
}

void evtls_base_enqueue(struct evtls_base *shared, struct evtls_bev *conn)
{
    int priority = bufferevent_get_priority(conn->bev);
    struct evtls_queue *queue = NULL;

    pthread_mutex_lock(&shared->lock);
    if (conn->queue) {
        pthread_mutex_unlock(&shared->lock);
        return;
    }
    queue = queue_for_locked(shared, priority);
    bufferevent_incref(conn->bev);
    TAILQ_INSERT_TAIL(&queue->list, conn, queued);
    conn->queue = queue;
    queue->length++;
    if (!queue->armed && !queue->running) {
        queue->armed = true;
        event_active(queue->event, EV_TIMEOUT, 1);
    }
    pthread_mutex_unlock(&shared->lock);
}

bool evtls_base_dequeue(struct evtls_base *shared, struct evtls_bev *conn)
{
    bool was_queued = false;

    pthread_mutex_lock(&shared->lock);
    if (conn->queue) {
        TAILQ_REMOVE(&conn->queue->list, conn, queued);
        conn->queue->length--;
        conn->queue = NULL;
        was_queued = true;
    }
    pthread_mutex_unlock(&shared->lock);
    return was_queued;
}
