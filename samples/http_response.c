/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/buffer.h>

#define MAX_LINE_BYTES 16384
#define MAX_HEADER_BYTES (256 * 1024)

void http_response_init(struct http_response *response,
                        int (*sink)(const void *data, size_t len, void *arg), void *arg)
{
    memset(response, 0, sizeof(*response));
    response->sink = sink;
    response->arg = arg;
}

static void fail(struct http_response *response, const char *problem)
{
    response->state = HTTP_BAD;
    response->problem = problem;
}

/* Digits of a base up to `end`; blanks around them. Returns 0, or -1: none, others, too many. */
static int parse_number(const char *text, char end, int base, uint64_t *number)
{
    const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
    uint64_t value = 0;
    int n = 0;

    text += strspn(text, " \t");
    for (; *text; text++, n++) {
        char lower = (char)(*text >= 'A' && *text <= 'Z' ? *text | 0x20 : *text);
        const char *digit = strchr(digits, lower);

        if (digit == NULL)
            break;
        if (value > (UINT64_MAX >> 5))
            return -1;
        value = value * (unsigned)base + (uint64_t)(digit - digits);
    }
    text += strspn(text, " \t");
    *number = value;
    return n > 0 && (*text == '\0' || *text == end) ? 0 : -1;
}

/* "HTTP/1.x NNN text" */
static void take_status_line(struct http_response *response, const char *line)
{
    const char *code = line + 9;

    if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12 || line[8] != ' ' ||
        strspn(code, "0123456789") != 3 || (code[3] != ' ' && code[3] != '\0')) {
        fail(response, "the answer is not HTTP/1.1");
        return;
    }
    response->status = atoi(code);
    response->closes = line[7] == '0'; /* HTTP/1.0 */
    response->state = HTTP_HEADERS;
}

static void take_length(struct http_response *response, const char *value)
{
    uint64_t length;

    if (parse_number(value, '\0', 10, &length) < 0 ||
        (response->has_length && length != response->left)) {
        fail(response, "bad Content-Length");
        return;
    }
    response->has_length = 1;
    response->length = length;
    response->left = length;
}

/* Whether a list of words has this one (RFC 9110, section 5.6.1). */
static int has_word(const char *list, const char *word)
{
    while (*list) {
        size_t len = strcspn(list, ", \t");

        if (len == strlen(word) && strncasecmp(list, word, len) == 0)
            return 1;
        list += len + (list[len] != '\0');
    }
    return 0;
}

static void take_header(struct http_response *response, const char *line)
{
    const char *colon = strchr(line, ':');
    const char *value;
    size_t len;

    if (colon == NULL || colon == line) {
        fail(response, "a header line without a name");
        return;
    }
    len = (size_t)(colon - line);
    value = colon + 1 + strspn(colon + 1, " \t");
    if (len == 14 && strncasecmp(line, "Content-Length", len) == 0)
        take_length(response, value);
    if (len == 10 && strncasecmp(line, "Connection", len) == 0 && has_word(value, "close"))
        response->closes = 1;
    if (len == 17 && strncasecmp(line, "Transfer-Encoding", len) == 0) {
        if (strcasecmp(value, "chunked") == 0)
            response->is_chunked = 1;
        else
            fail(response, "a Transfer-Encoding other than chunked");
    }
}

static void end_headers(struct http_response *response)
{
    if (response->status >= 100 && response->status < 200) {
        response->state = HTTP_STATUS_LINE; /* "100 Continue" and the like: the answer follows */
        response->has_length = 0;
        response->is_chunked = 0;
    } else if (response->status == 204 || response->status == 304)
        response->state = HTTP_COMPLETE;
    else if (response->is_chunked)
        response->state = HTTP_CHUNK_SIZE;
    else if (!response->has_length)
        response->state = HTTP_BODY_END;
    else
        response->state = response->left > 0 ? HTTP_BODY_LENGTH : HTTP_COMPLETE;
}

static void take_chunk_size(struct http_response *response, const char *line)
{
    if (parse_number(line, ';', 16, &response->left) < 0)
        fail(response, "bad chunk size");
    else
        response->state = response->left > 0 ? HTTP_CHUNK_DATA : HTTP_TRAILERS;
}

static void take_line(struct http_response *response, const char *line)
{
    switch (response->state) {
    case HTTP_STATUS_LINE:
        take_status_line(response, line);
        break;
    case HTTP_HEADERS:
        if (*line)
            take_header(response, line);
        else
            end_headers(response);
        break;
    case HTTP_CHUNK_SIZE:
        take_chunk_size(response, line);
        break;
    case HTTP_CHUNK_NEWLINE:
        if (*line)
            fail(response, "a chunk is longer than it says");
        else
            response->state = HTTP_CHUNK_SIZE;
        break;
    default: /* HTTP_TRAILERS */
        if (*line == '\0')
            response->state = HTTP_COMPLETE;
        break;
    }
}

/* Returns 1 when a line was taken. */
static int read_line(struct http_response *response, struct evbuffer *in)
{
    size_t len;
    char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_CRLF);

    if (line == NULL) {
        if (evbuffer_get_length(in) > MAX_LINE_BYTES)
            fail(response, "a line is too long");
        return 0;
    }
    if (response->state != HTTP_CHUNK_SIZE && response->state != HTTP_CHUNK_NEWLINE)
        response->header_bytes += len + 2;
    if (len > MAX_LINE_BYTES || response->header_bytes > MAX_HEADER_BYTES)
        fail(response, "the headers are too long");
    else if (strlen(line) != len)
        fail(response, "a NUL byte in a header");
    else
        take_line(response, line);
    free(line);
    return 1;
}

/* Returns 1 when something was taken. */
static int read_body(struct http_response *response, struct evbuffer *in)
{
    size_t len = evbuffer_get_contiguous_space(in);

    if (response->state != HTTP_BODY_END && len > response->left)
        len = (size_t)response->left;
    if (len == 0)
        return 0;
    if (response->sink(evbuffer_pullup(in, (ev_ssize_t)len), len, response->arg) < 0) {
        fail(response, NULL);
        return 0;
    }
    evbuffer_drain(in, len);
    if (response->state == HTTP_BODY_END)
        return 1;
    response->left -= len;
    if (response->left == 0)
        response->state = response->state == HTTP_BODY_LENGTH ? HTTP_COMPLETE : HTTP_CHUNK_NEWLINE;
    return 1;
}

void http_response_read(struct http_response *response, struct evbuffer *in)
{
    int more = 1;

    while (more) {
        switch (response->state) {
        case HTTP_BODY_LENGTH:
        case HTTP_BODY_END:
        case HTTP_CHUNK_DATA:
            more = read_body(response, in);
            break;
        case HTTP_COMPLETE:
        case HTTP_BAD:
            more = 0;
            break;
        default:
            more = read_line(response, in);
            break;
        }
    }
}

int http_response_end(const struct http_response *response)
{
    return response->state == HTTP_COMPLETE || response->state == HTTP_BODY_END;
}

/* Both a length and chunks: what one reader takes for the end another one may not. */
int http_response_keeps_connection(const struct http_response *response)
{
    return response->state == HTTP_COMPLETE && !response->closes &&
           !(response->has_length && response->is_chunked);
}
