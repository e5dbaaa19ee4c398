/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strptime, timegm */
#endif
#include "static_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

int static_files_open_root(const char *dir)
{
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Decodes one component up to '/' or the end into out, which has room for size bytes with the
 * NUL. Returns how much of text it used, or the negative HTTP status that refuses it.
 */
static int decode_component(const char *text, char *out, size_t size)
{
    size_t used = 0;
    int i = 0;

    while (text[i] != '\0' && text[i] != '/') {
        char byte = text[i++];

        if (byte == '%') {
            int high = hex_digit(text[i]);
            int low = high < 0 ? -1 : hex_digit(text[i + 1]);

            if (low < 0)
                return -400;
            byte = (char)(high << 4 | low);
            i += 2;
            if (byte == '\0')
                return -400;
            if (byte == '/')
                return -404; /* no file name has one; some other program would split here */
        }
        if (used + 1 >= size)
            return -404;
        out[used++] = byte;
    }
    out[used] = '\0';
    return strcmp(out, ".") == 0 || strcmp(out, "..") == 0 ? -404 : i;
}

/* Decodes target to a tidy absolute path. Returns 200 or the status that refuses it. */
static int decode_path(const char *target, char *path, size_t size, int *ends_in_slash)
{
    size_t used = 0;

    if (*target != '/')
        return 400;
    *ends_in_slash = 1;
    while (*target) {
        int n;

        if (*target == '/') {
            *ends_in_slash = 1;
            target++;
            continue;
        }
        if (used + 2 >= size)
            return 404;
        path[used] = '/';
        n = decode_component(target, path + used + 1, size - used - 1);
        if (n < 0)
            return -n;
        used += 1 + strlen(path + used + 1);
        target += n;
        *ends_in_slash = 0;
    }
    path[used] = '\0';
    return 200;
}

/* One component below dir; O_NONBLOCK so that a FIFO does not hold the server. */
static int open_component(int dir, const char *name)
{
    return openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Opens path, one component after the other, below root. Returns a descriptor or -1. */
static int open_below(int root, const char *path)
{
    int dir = fcntl(root, F_DUPFD_CLOEXEC, 0);
    char name[256];

    while (dir >= 0 && *path == '/') {
        size_t len = strcspn(++path, "/");
        int next;

        if (len == 0)
            break;
        if (len >= sizeof(name)) {
            close(dir);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path, len);
        name[len] = '\0';
        path += len;
        next = open_component(dir, name);
        close(dir);
        dir = next;
    }
    return dir;
}

static int open_index(struct static_file *file)
{
    int index = open_component(file->fd, "index.html");

    close(file->fd);
    file->fd = index;
    file->type = static_files_type("index.html");
    return index >= 0 && fstat(index, &file->st) == 0 && S_ISREG(file->st.st_mode) ? 200 : 404;
}

static int open_decoded(int root, struct static_file *file, int ends_in_slash)
{
    file->fd = open_below(root, file->path);
    if (file->fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO ? 500 : 404;
    if (fstat(file->fd, &file->st) < 0)
        return 500;
    if (S_ISDIR(file->st.st_mode))
        return ends_in_slash ? open_index(file) : 301;
    file->type = static_files_type(file->path);
    return S_ISREG(file->st.st_mode) && !ends_in_slash ? 200 : 404;
}

int static_files_open(int root, const char *target, struct static_file *file)
{
    int ends_in_slash = 0;
    int status;

    memset(file, 0, sizeof(*file));
    file->fd = -1;
    status = decode_path(target, file->path, sizeof(file->path), &ends_in_slash);
    if (status == 200)
        status = open_decoded(root, file, ends_in_slash);
    if (status != 200 && file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
    return status;
}

const char *static_files_type(const char *name)
{
    static const struct {
        const char *end;
        const char *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".htm", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".md", "text/markdown; charset=utf-8"},
        {".json", "application/json"},
        {".xml", "application/xml"},
        {".pdf", "application/pdf"},
        {".wasm", "application/wasm"},
        {".gz", "application/gzip"},
        {".zip", "application/zip"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
        {".ico", "image/vnd.microsoft.icon"},
        {".woff2", "font/woff2"},
        {".mp4", "video/mp4"},
        {".webm", "video/webm"},
        {".mp3", "audio/mpeg"},
    };
    size_t len = strlen(name);

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        size_t end = strlen(types[i].end);

        if (len > end && strcasecmp(name + len - end, types[i].end) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

int static_files_encode(char *out, size_t size, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/-._~!$&'()*+,;=:@";
    size_t used = 0;

    for (; *path; path++) {
        int keep = strchr(plain, *path) != NULL;

        if (used + 4 > size)
            return -1;
        if (keep)
            out[used++] = *path;
        else
            used += (size_t)sprintf(out + used, "%%%02X", (unsigned char)*path);
    }
    if (used >= size)
        return -1;
    out[used] = '\0';
    return 0;
}

int static_files_parse_date(const char *text, time_t *when)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm;
        const char *end;

        memset(&tm, 0, sizeof(tm));
        end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            *when = timegm(&tm);
            return 0;
        }
    }
    return -1;
}

void static_files_format_date(char *out, size_t size, time_t when)
{
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL || strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
        *out = '\0';
}

/* Digits only, and as many as fit: strtoll alone would take signs and blanks. */
static const char *parse_offset(const char *text, off_t *value)
{
    *value = 0;
    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (*value > (((off_t)1 << (sizeof(off_t) * 8 - 2)) - 10) / 10)
            return NULL;
        *value = *value * 10 + (*text - '0');
    }
    return text;
}

/* "-N": the last N bytes. */
static int suffix_range(const char *spec, off_t size, off_t *first, off_t *last)
{
    off_t n;
    const char *end = parse_offset(spec, &n);

    if (end == NULL || *end != '\0')
        return 200;
    if (n == 0 || size == 0)
        return 416;
    *first = n < size ? size - n : 0;
    *last = size - 1;
    return 206;
}

/* "A-B", "A-": from A to B or to the end. */
static int plain_range(const char *spec, off_t size, off_t *first, off_t *last)
{
    off_t from, to = size - 1;

    spec = parse_offset(spec, &from);
    if (spec == NULL || *spec++ != '-')
        return 200;
    if (*spec != '\0') {
        spec = parse_offset(spec, &to);
        if (spec == NULL || *spec != '\0' || to < from)
            return 200;
    }
    if (from >= size)
        return 416;
    *first = from;
    *last = to < size ? to : size - 1;
    return 206;
}

int static_files_parse_range(const char *header, off_t size, off_t *first, off_t *last)
{
    if (header == NULL || strncasecmp(header, "bytes=", 6) != 0)
        return 200;
    if (header[6] == '-')
        return suffix_range(header + 7, size, first, last);
    return plain_range(header + 6, size, first, last);
}
