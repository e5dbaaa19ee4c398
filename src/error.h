/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filling in error values. Each function here accepts err NULL and returns the status it was
 * given, so that `return evtls_error_set(...)` reads well.
 */
#ifndef EVTLS_SRC_ERROR_H
#define EVTLS_SRC_ERROR_H

#include <stddef.h>

#include <evtls/error.h>

#include "private.h"

#if defined(__GNUC__)
#define EVTLS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define EVTLS_PRINTF(fmt, args)
#endif

/* A failure of our own finding. */
EVTLS_PRIVATE int evtls_error_set(struct evtls_error *err, enum evtls_status status,
                                  const char *fmt, ...) EVTLS_PRINTF(3, 4);

/* A failed system call: the message gets ": " and the text of sys_errno. */
EVTLS_PRIVATE int evtls_error_set_errno(struct evtls_error *err, enum evtls_status status,
                                        int sys_errno, const char *fmt, ...) EVTLS_PRINTF(4, 5);

/*
 * A failed OpenSSL call: takes library, reason and code from the first entry of the thread's
 * error queue and clears it. The message is "[LIB: REASON] reason text: " and what fmt says; fmt
 * NULL: nothing more. An empty queue leaves the message to fmt alone. An entry that means out of
 * memory turns the status into EVTLS_ERR_NOMEM.
 */
int evtls_error_set_ossl(struct evtls_error *err, enum evtls_status status, const char *fmt, ...)
    EVTLS_PRINTF(3, 4);

/*
 * A failure that OpenSSL has a name for, but found by us: ossl_library and ossl_reason (ERR_LIB_*,
 * *_R_*) as if it were the first entry of the queue. What the queue holds is dropped, unless it
 * means out of memory.
 */
int evtls_error_set_reason(struct evtls_error *err, enum evtls_status status, int ossl_library,
                           int ossl_reason, const char *fmt, ...) EVTLS_PRINTF(5, 6);

/* Short for EVTLS_ERR_NOMEM. */
int evtls_error_set_nomem(struct evtls_error *err);

/* Resets err to EVTLS_OK and returns 0. */
int evtls_error_set_ok(struct evtls_error *err);

/* Copies src over dst (either may be NULL) and returns its status. */
int evtls_error_copy(struct evtls_error *dst, const struct evtls_error *src);

/*
 * Escapes len bytes from a peer for a message (see struct evtls_error) into dst, which gets a NUL
 * and is cut where it is full. Returns dst.
 */
char *evtls_escape(char *dst, size_t size, const char *src, size_t len);

/* Copies text, which is escaped, or as much as fits and "...", never a part of an escape. */
void evtls_copy_cut(char *dst, size_t size, const char *text);

/* Mnemonics of an OpenSSL error code, by number, the same on every version: "SSL", "PEM" ... */
void evtls_ossl_mnemonics(unsigned long code, char *library, size_t library_size, char *reason,
                          size_t reason_size);

/* The alert that an error code stands for ("received a fatal alert"), or -1. */
int evtls_ossl_alert(unsigned long code);

/* Empties the thread's OpenSSL error queue; cheap when it is empty. */
void evtls_ossl_clear_queue(void);

#endif
