/* SPDX-License-Identifier: BSD-3-Clause */
#include "https_url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <event2/http.h>

static int fill(struct https_url *url, const struct evhttp_uri *uri)
{
    const char *host = evhttp_uri_get_host(uri);
    const char *path = evhttp_uri_get_path(uri);
    const char *query = evhttp_uri_get_query(uri);
    size_t len = host ? strlen(host) : 0;
    int brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';

    if (len == 0 || len >= sizeof(url->host)) {
        return -1;
    }
    memcpy(url->host, host + brackets, len - 2 * (size_t)brackets);
    url->host[len - 2 * (size_t)brackets] = '\0';
    url->port = evhttp_uri_get_port(uri);
    if (url->port == -1 || url->port == 443) {
        url->port = 443;
        snprintf(url->authority, sizeof(url->authority), "%s", host);
    } else {
        snprintf(url->authority, sizeof(url->authority), "%s:%d", host, url->port);
    }
    len = (size_t)snprintf(url->path, sizeof(url->path), "%s%s%s", path && *path ? path : "/",
                           query ? "?" : "", query ? query : "");
    return len < sizeof(url->path) && url->port > 0 && url->port < 65536 ? 0 : -1;
}

int https_url_parse(struct https_url *url, const char *text)
{
    struct evhttp_uri *uri = evhttp_uri_parse(text);
    const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL;
    int result = -1;

    url->text = text;
    if (scheme && strcasecmp(scheme, "https") == 0 && evhttp_uri_get_userinfo(uri) == NULL) {
        result = fill(url, uri);
    }
    if (uri) {
        evhttp_uri_free(uri);
    }
    return result;
}
