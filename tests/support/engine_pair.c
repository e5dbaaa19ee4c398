/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "support/engine_pair.h"

#include <stdlib.h>
#include <string.h>

#include "support/require.h"
#include "support/suite.h"

void pair_prepare(struct pair *pair, int version)
{
    memset(pair, 0, sizeof(*pair));
    pair->pki = pki_new();
    pair->server_ctx = server_context(pki_issue(pair->pki, &(struct pki_spec){0}));
    pair->client_ctx = client_context(pair->pki);
    if (version != 0) {
        enum evtls_tls_version v = (enum evtls_tls_version)version;

        support_require(evtls_context_set_max_version(pair->client_ctx, v, NULL) == 0);
        support_require(evtls_context_set_min_version(pair->client_ctx, v, NULL) == 0);
    }
}

void pair_open(struct pair *pair)
{
    end_open(&pair->client, pair->client_ctx, EVTLS_CLIENT);
    end_open(&pair->server, pair->server_ctx, EVTLS_SERVER);
    support_require(evtls_engine_set_server_hostname(pair->client.engine, "localhost", NULL) == 0);
}

static void close_ends(struct pair *pair)
{
    if (pair->client.in != NULL)
        end_close(&pair->client);
    if (pair->server.in != NULL)
        end_close(&pair->server);
}

void pair_reopen(struct pair *pair)
{
    close_ends(pair);
    pair_open(pair);
}

void pair_close(struct pair *pair)
{
    close_ends(pair);
    evtls_context_free(pair->client_ctx);
    evtls_context_free(pair->server_ctx);
    pki_free(pair->pki);
}

bool pair_connect(struct pair *pair)
{
    return ends_connect(&pair->client, &pair->server);
}

void pair_open_connected(struct pair *pair, int version)
{
    pair_prepare(pair, version);
    pair_open(pair);
    support_require(pair_connect(pair));
}

size_t carry(struct end *from, struct end *to, size_t max)
{
    size_t length = evbuffer_get_length(from->out);
    size_t n = max < length ? max : length;

    support_require(evbuffer_remove_buffer(from->out, to->in, n) == (int)n);
    return n;
}

void drop_output(struct end *end)
{
    evbuffer_drain(end->out, evbuffer_get_length(end->out));
}

void write_text(struct end *end, const char *text)
{
    ck_assert_int_eq(evtls_engine_write(end->engine, text, strlen(text)), (int)strlen(text));
}

int read_text(struct end *end, const char *expected)
{
    size_t len = strlen(expected), got = 0;
    char *data = malloc(len + 1);
    ev_ssize_t n;

    support_require(data != NULL);
    while ((n = evtls_engine_read(end->engine, data + got, len + 1 - got)) > 0)
        got += (size_t)n;
    ck_assert_uint_eq(got, len);
    ck_assert(memcmp(data, expected, len) == 0);
    free(data);
    return (int)n;
}

/* Calls see for each record of an end's output. */
static void each_record(const struct end *end,
                        void (*see)(unsigned char type, size_t len, bool whole, void *arg),
                        void *arg)
{
    size_t left = evbuffer_get_length(end->out);
    const unsigned char *at = evbuffer_pullup(end->out, -1);

    while (left > 0) {
        size_t len = left >= 5 ? (size_t)at[3] << 8 | at[4] : 0;
        bool whole = left >= 5 && left - 5 >= len;

        see(at[0], len, whole, arg);
        if (!whole)
            return;
        at += 5 + len;
        left -= 5 + len;
    }
}

struct letters {
    char *dst;
    size_t size, len;
};

static void add_letter(unsigned char type, size_t len, bool whole, void *arg)
{
    static const char letters[] = "cahd";
    struct letters *list = arg;

    if (list->len + 1 < list->size)
        list->dst[list->len++] = whole && type >= 20 && type <= 23 ? letters[type - 20] : '?';
}

char *list_records(const struct end *end, char *dst, size_t size)
{
    struct letters list = {.dst = dst, .size = size};

    each_record(end, add_letter, &list);
    dst[list.len] = '\0';
    return dst;
}

static void keep_longest(unsigned char type, size_t len, bool whole, void *arg)
{
    size_t *longest = arg;

    if (type == 23 && len > *longest)
        *longest = len;
}

size_t longest_record(const struct end *end)
{
    size_t longest = 0;

    each_record(end, keep_longest, &longest);
    return longest;
}
