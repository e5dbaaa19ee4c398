/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * https_url.h - the parts of an https URL.
 */
#ifndef HTTPS_URL_H
#define HTTPS_URL_H

struct https_url {
    const char *text;    /* as it was given; borrowed */
    char host[256];      /* without brackets */
    char authority[280]; /* for the Host header: with brackets, and the port unless it is 443 */
    char path[2048];     /* with the query; at least "/" */
    int port;
};

/* Returns 0, or -1 for text that is no https URL with a host. */
int https_url_parse(struct https_url *url, const char *text);

#endif
