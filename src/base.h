/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the connections of one event base share: the read scratch, blocks for ciphertext, the work
 * queues and the list of connections. Made by the first connection on a base, freed by the last;
 * base addresses are re-used, so nothing here outlives its connections.
 *
 * Work queues: what must not happen inside a program's call (encrypting what it wrote, callbacks)
 * is done once a loop turn, by one event for each priority in use. A queued connection is held by
 * a reference on its bufferevent. Connections that are queued while the queue runs wait for the
 * next turn, so that a writer that refills in its write callback starves nobody.
 *
 * Locks: a connection's lock may be held when the base's is taken, never the other way round.
 */
#ifndef EVTLS_SRC_BASE_H
#define EVTLS_SRC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <event2/event.h>

#define EVTLS_READ_SCRATCH_BYTES 65536

/* Ciphertext on its way out: four full records, and a little room for alerts behind them. */
#define EVTLS_BLOCK_BYTES (65536 + 2048)

struct evtls_bev;

struct evtls_block {
    struct evtls_block *next;
    unsigned char data[EVTLS_BLOCK_BYTES];
};

TAILQ_HEAD(evtls_bev_list, evtls_bev);

struct evtls_queue;
struct evtls_base;

/* The shared state of base with one more reference, or NULL (no memory). */
struct evtls_base *evtls_base_get(struct event_base *base);

/* The same if it is there; takes no reference. For questions about a base. */
struct evtls_base *evtls_base_find(struct event_base *base);

void evtls_base_put(struct evtls_base *shared);

/* Adds to and removes from the list of connections. */
void evtls_base_add(struct evtls_base *shared, struct evtls_bev *conn);
void evtls_base_remove(struct evtls_base *shared, struct evtls_bev *conn);

/* Calls visit for each connection. On the loop's thread, where none can disappear meanwhile. */
void evtls_base_visit(struct evtls_base *shared, void (*visit)(struct evtls_bev *, void *),
                      void *arg);

/* Connections in the hands of evtls_bufferevent_close. */
void evtls_base_count_closing(struct evtls_base *shared, int change);
size_t evtls_base_get_num_closing(struct evtls_base *shared);

/*
 * EVTLS_READ_SCRATCH_BYTES for the handler that is reading; only on the loop's thread, and only
 * until the next callback. NULL without memory.
 */
unsigned char *evtls_base_get_scratch(struct evtls_base *shared);

/* A block from the spare ones or a new one (NULL: no memory), and back. Any thread. */
struct evtls_block *evtls_base_take_block(struct evtls_base *shared);
void evtls_base_give_block(struct evtls_base *shared, struct evtls_block *block);

/* Makes the queue of a priority: 0, or -1 without memory. Enqueuing there cannot fail then. */
int evtls_base_make_queue(struct evtls_base *shared, int priority);

/*
 * Queues conn for evtls_bev_work on the loop's thread, at its bufferevent's priority, unless it
 * is queued. Any thread, with the connection's lock held.
 */
void evtls_base_enqueue(struct evtls_base *shared, struct evtls_bev *conn);

/* Takes conn out of its queue: true when it was in one, and its reference passes to the caller. */
bool evtls_base_dequeue(struct evtls_base *shared, struct evtls_bev *conn);

#endif
