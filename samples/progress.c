/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>

#define LARGE_BYTES (1024 * 1024)
#define SLOW_MS 1000
#define REDRAW_MS 100
#define MAX_WIDTH 250

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One column less than there are: in the last one some terminals start a new line. */
static int terminal_width(int fd)
{
    struct winsize size;

    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 79;
    return size.ws_col <= MAX_WIDTH ? size.ws_col - 1 : MAX_WIDTH;
}

void progress_start(struct progress *progress, int fd)
{
    memset(progress, 0, sizeof(*progress));
    progress->fd = fd >= 0 && isatty(fd) ? fd : -1;
    progress->started_ms = now_ms();
}

/* A line that could not be written whole is no reason to stop. */
static void put(const struct progress *progress, const char *line, int len)
{
    if (write(progress->fd, line, (size_t)len) < 0)
        return;
}

/* "12.3 MiB" */
static int format_bytes(char *out, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1000 && unit < sizeof(units) / sizeof(units[0]) - 1) {
        value /= 1024;
        unit++;
    }
    return snprintf(out, size, "%.*f %s", unit > 0, value, units[unit]);
}

/* "[=====>     ]  45%   12.3 MiB", and without the bar where there is no room for it. */
static int format_bar(const struct progress *progress, char *line, size_t size, int width)
{
    char bytes[32];
    int fraction = (int)((double)progress->done / (double)progress->total * 1000);
    int room = width - 18, filled, n = 0;

    fraction = fraction > 1000 ? 1000 : fraction;
    if (room >= 5) {
        filled = room * fraction / 1000;
        line[n++] = '[';
        memset(line + n, '=', (size_t)filled);
        memset(line + n + filled, ' ', (size_t)(room - filled));
        if (filled < room)
            line[n + filled] = '>';
        n += room;
        line[n++] = ']';
    }
    format_bytes(bytes, sizeof(bytes), progress->done);
    return n +
           snprintf(line + n, size - (size_t)n, "%4d%%  %*s", fraction / 10, n > 0 ? 9 : 0, bytes);
}

static void draw(struct progress *progress)
{
    char line[MAX_WIDTH + 64];
    int width = terminal_width(progress->fd);
    int n = 1;

    line[0] = '\r';
    if (progress->total > 0)
        n += format_bar(progress, line + 1, sizeof(line) - 1, width);
    else
        n += format_bytes(line + 1, sizeof(line) - 1, progress->done);
    n = n > width + 1 ? width + 1 : n;
    while (n <= progress->width && n <= width) /* what was longer before */
        line[n++] = ' ';
    put(progress, line, n);
    progress->width = n - 1;
    progress->drawn_ms = now_ms();
}

void progress_tick(struct progress *progress)
{
    int64_t now = now_ms();

    if (progress->fd < 0)
        return;
    if (progress->drawn_ms > 0 ? now - progress->drawn_ms >= REDRAW_MS
                               : progress->total > LARGE_BYTES || progress->done > LARGE_BYTES ||
                                     now - progress->started_ms >= SLOW_MS)
        draw(progress);
}

void progress_set(struct progress *progress, uint64_t done, uint64_t total)
{
    progress->done = done;
    progress->total = total;
    progress_tick(progress);
}

void progress_clear(struct progress *progress)
{
    char blanks[MAX_WIDTH + 2];
    int width = progress->width;

    if (progress->drawn_ms == 0)
        return;
    memset(blanks, ' ', sizeof(blanks));
    blanks[0] = '\r';
    blanks[width + 1] = '\r';
    put(progress, blanks, width + 2);
    progress->drawn_ms = 0;
    progress->width = 0;
}
