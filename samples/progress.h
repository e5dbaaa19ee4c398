/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.h - a bar on a terminal that shows how far a transfer is.
 *
 * It appears only for what is large (more than a MiB) or slow (more than a second), is as wide as
 * the terminal, and leaves an empty line when it ends. Where the length is not known it shows
 * bytes.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stddef.h>
#include <stdint.h>

struct progress {
    int fd;         /* the terminal, or -1: nothing is shown */
    uint64_t total; /* 0: not known */
    uint64_t done;
    int64_t started_ms;
    int64_t drawn_ms; /* 0: not on the screen */
    int width;        /* of what is on the screen */
};

/* fd: the terminal to draw on; -1, or a descriptor that is no terminal, shows nothing. */
void progress_start(struct progress *progress, int fd);

/* So many bytes have arrived, of total (0: not known). Draws, though not more often than useful. */
void progress_set(struct progress *progress, uint64_t done, uint64_t total);

/* To be called now and then while nothing arrives. */
void progress_tick(struct progress *progress);

/* Takes the bar off the screen; also before anything else is written there. */
void progress_clear(struct progress *progress);

#endif
