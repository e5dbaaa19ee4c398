/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <evtls/evtls.h>

#include "file_reply.h"
#include "sample_util.h"
#include "static_files.h"
#include "vhosts.h"

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 416:
        return "Range Not Satisfiable";
    case 421:
        return "Misdirected Request";
    default:
        return "Internal Server Error";
    }
}

static const char *method_of(enum evhttp_cmd_type type)
{
    switch (type) {
    case EVHTTP_REQ_GET:
        return "GET";
    case EVHTTP_REQ_HEAD:
        return "HEAD";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    case EVHTTP_REQ_OPTIONS:
        return "OPTIONS";
    case EVHTTP_REQ_TRACE:
        return "TRACE";
    case EVHTTP_REQ_PATCH:
        return "PATCH";
    default:
        return "?";
    }
}

/* client, method, path, status, bytes of the body */
static void log_request(struct evhttp_request *req, int status, long long bytes)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(req);
    char shown[1024];
    char *address = NULL;
    ev_uint16_t port = 0;

    evhttp_connection_get_peer(evcon, &address, &port);
    sample_log(STDOUT_FILENO, "%s %s %s %d %lld", address ? address : "-",
               method_of(evhttp_request_get_command(req)),
               sample_escape(shown, sizeof(shown), evhttp_request_get_uri(req)), status, bytes);
}

static void add_header(struct evhttp_request *req, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static const char *request_header(struct evhttp_request *req, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

static void add_length(struct evhttp_request *req, off_t length)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)length);
    add_header(req, "Content-Length", text);
}

/* A reply that is only its status, in words. */
static void reply_status(struct evhttp_request *req, int status)
{
    struct evbuffer *body = NULL;
    int len = 0;

    if (evhttp_request_get_command(req) != EVHTTP_REQ_HEAD)
        body = evbuffer_new();
    if (body != NULL)
        len = evbuffer_add_printf(body, "%d %s\n", status, reason_of(status));
    add_header(req, "Content-Type", "text/plain; charset=utf-8");
    log_request(req, status, len);
    evhttp_send_reply(req, status, reason_of(status), body);
    if (body != NULL)
        evbuffer_free(body);
}

/* The host that the request is for, in its target or else in its one Host header; NULL: none. */
static int find_host(struct evhttp_request *req, const char **host)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
    struct evkeyval *header;
    int n = 0;

    *host = NULL;
    TAILQ_FOREACH(header, headers, next)
    {
        if (strcasecmp(header->key, "Host") == 0) {
            *host = header->value;
            n++;
        }
    }
    /* Of several, two programs could each believe another one (RFC 9112, section 3.2). */
    if (n > 1 || (n == 0 && (req->major > 1 || req->minor > 0)))
        return -1;
    if (evhttp_request_get_uri(req)[0] != '/' &&
        evhttp_uri_get_host(evhttp_request_get_evhttp_uri(req)) != NULL)
        *host = evhttp_uri_get_host(evhttp_request_get_evhttp_uri(req));
    return 0;
}

/*
 * The path of the target. evhttp takes "//name/path" for an authority and a path, so what begins
 * with a slash is cut by hand.
 */
static int find_path(struct evhttp_request *req, char *path, size_t size)
{
    const char *target = evhttp_request_get_uri(req);
    size_t len;

    if (*target != '/') {
        target = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
        if (target == NULL || *target == '\0')
            target = "/";
    }
    len = strcspn(target, "?#");
    if (len >= size)
        return -1;
    memcpy(path, target, len);
    path[len] = '\0';
    return 0;
}

static struct evtls_engine *engine_of(struct evhttp_request *req)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(req);

    return evtls_bufferevent_get_engine(evhttp_connection_get_bufferevent(evcon));
}

static void reply_moved(struct evhttp_request *req, const struct static_file *file)
{
    char location[3100];

    if (static_files_encode(location, sizeof(location) - 1, file->path) < 0) {
        reply_status(req, 404);
        return;
    }
    strcat(location, "/");
    add_header(req, "Location", location);
    reply_status(req, 301);
}

static int not_modified(struct evhttp_request *req, const struct stat *st)
{
    const char *since = request_header(req, "If-Modified-Since");
    time_t when;

    return since != NULL && request_header(req, "If-None-Match") == NULL &&
           static_files_parse_date(since, &when) == 0 && st->st_mtime <= when;
}

/* A Range counts only while the file is the one the client has a part of: If-Range says which. */
static int find_range(struct evhttp_request *req, const char *modified, off_t size, off_t *first,
                      off_t *last)
{
    const char *if_range = request_header(req, "If-Range");

    *first = 0;
    *last = size - 1;
    if (evhttp_request_get_command(req) != EVHTTP_REQ_GET ||
        (if_range != NULL && strcmp(if_range, modified) != 0))
        return 200;
    return static_files_parse_range(request_header(req, "Range"), size, first, last);
}

static void add_content_range(struct evhttp_request *req, int status, off_t first, off_t last,
                              off_t size)
{
    char text[96];

    if (status == 206)
        snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)first, (long long)last,
                 (long long)size);
    else
        snprintf(text, sizeof(text), "bytes */%lld", (long long)size);
    add_header(req, "Content-Range", text);
}

static void send_body(struct evhttp_request *req, int status, struct static_file *file, off_t first,
                      off_t length)
{
    int head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;

    add_header(req, "Content-Type", file->type);
    add_length(req, length);
    log_request(req, status, head ? 0 : (long long)length);
    if (!head && length > 0) {
        file_reply_send(req, status, reason_of(status), file->fd, first, length);
        return;
    }
    close(file->fd);
    evhttp_send_reply(req, status, reason_of(status), NULL);
}

static void reply_file(struct evhttp_request *req, struct static_file *file)
{
    char modified[64];
    off_t first, last;
    int status;

    static_files_format_date(modified, sizeof(modified), file->st.st_mtime);
    add_header(req, "Last-Modified", modified);
    add_header(req, "Accept-Ranges", "bytes");
    add_header(req, "X-Content-Type-Options", "nosniff");
    if (not_modified(req, &file->st)) {
        close(file->fd);
        log_request(req, 304, 0);
        evhttp_send_reply(req, 304, reason_of(304), NULL);
        return;
    }
    status = find_range(req, modified, file->st.st_size, &first, &last);
    if (status != 200)
        add_content_range(req, status, first, last, file->st.st_size);
    if (status == 416) {
        close(file->fd);
        reply_status(req, status);
        return;
    }
    send_body(req, status, file, first, last - first + 1);
}

static int open_file(struct evhttp_request *req, const struct vhosts *vhosts,
                     const struct vhost *host, struct static_file *file)
{
    char path[4096];
    int root = host->root >= 0 ? host->root : vhosts->hosts[0].root;
    int status;

    if (find_path(req, path, sizeof(path)) < 0)
        return 404;
    status = static_files_open(root, path, file);
    if (status == 200 && vhosts_is_key(vhosts, file->st.st_dev, file->st.st_ino)) {
        close(file->fd);
        return 404;
    }
    return status;
}

void http_files_serve(struct evhttp_request *req, void *arg)
{
    const struct vhosts *vhosts = arg;
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    const struct vhost *host;
    const char *host_name;
    struct static_file file;
    int status;

    if (find_host(req, &host_name) < 0) {
        reply_status(req, 400);
        return;
    }
    host = vhosts_choose(vhosts, evtls_engine_get_server_name(engine_of(req)), host_name);
    if (host == NULL) {
        reply_status(req, 421);
        return;
    }
    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        add_header(req, "Allow", "GET, HEAD");
        reply_status(req, 405);
        return;
    }
    status = open_file(req, vhosts, host, &file);
    if (status == 200)
        reply_file(req, &file);
    else if (status == 301)
        reply_moved(req, &file);
    else
        reply_status(req, status);
}
