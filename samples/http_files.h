/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http_files.h - what https-server does with a request: GET and HEAD of files, with types, single
 * ranges, If-Modified-Since and index.html; one log line each. What it can't serve gets a short
 * text: 400, 404, 405, 416, 421, 500.
 */
#ifndef HTTP_FILES_H
#define HTTP_FILES_H

#include <event2/http.h>

struct vhosts;

/* For evhttp_set_gencb; arg is the struct vhosts, each of whose roots is open or -1. */
void http_files_serve(struct evhttp_request *req, void *vhosts);

/* All methods, so that those we lack get 405 here and not evhttp's 501. */
#define HTTP_FILES_METHODS                                                                         \
    (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |     \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_PATCH)

#endif
