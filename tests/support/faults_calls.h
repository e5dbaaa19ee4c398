/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the interposed calls (faults_calls.c) and the rules (faults.c).
 */
#ifndef EVTLS_TESTS_SUPPORT_FAULTS_CALLS_H
#define EVTLS_TESTS_SUPPORT_FAULTS_CALLS_H

#include <sys/uio.h>

#include "faults.h"

/* The C library's own. */
int faults_real_shutdown(int fd, int how);

/* Counts a call and says what becomes of it; max is SIZE_MAX where there is no limit. */
struct faults_verdict faults_before(int fd, enum faults_call call, size_t len);

/* Accounts for what a read or write moved. safe: the write could not raise SIGPIPE. */
void faults_after_read(int fd, size_t len);
void faults_after_write(int fd, const struct iovec *iov, size_t len);
void faults_note_write(int fd, bool safe);

void faults_note_shutdown(int fd, int how);
void faults_note_close(int fd);
void faults_note_connect(int fd);

#endif
