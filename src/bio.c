/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdatomic.h>
#include <string.h>

#include "bio.h"

#define TYPE_APPLICATION_DATA 23

/*
 * A handshake record in the clear with nothing in it. On an encrypted connection that is always
 * fatal: an unexpected_message with TLS 1.3, a bad_record_mac before.
 */
static const unsigned char poison[] = {22, 3, 3, 0, 1, 0};

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t evtls_bio_link_peek(const struct evtls_bio_link *link, const unsigned char **span)
{
    if (link->cut)
        return 0;
    return link->port.ops->peek_input(link->port.arg, span);
}

bool evtls_bio_link_at_boundary(const struct evtls_bio_link *link)
{
    return link->header_len == 0 && link->body_left == 0;
}

static size_t body_length(const unsigned char *header)
{
    return (size_t)header[3] << 8 | header[4];
}

size_t evtls_bio_link_next_record(const struct evtls_bio_link *link)
{
    const unsigned char *span;
    size_t len = evtls_bio_link_peek(link, &span);

    if (link->body_left > 0) { /* the rest of one; its header stays known */
        return link->header[0] == TYPE_APPLICATION_DATA && link->body_left <= len
                   ? body_length(link->header)
                   : 0;
    }
    if (link->header_len > 0 || len < EVTLS_RECORD_HEADER_LENGTH ||
        span[0] != TYPE_APPLICATION_DATA)
        return 0;
    return body_length(span) <= len - EVTLS_RECORD_HEADER_LENGTH ? body_length(span) : 0;
}

/* Follows the records in the bytes that OpenSSL takes. */
static void track(struct evtls_bio_link *link, const unsigned char *data, size_t len)
{
    size_t n = min_size(len, sizeof(link->first) - link->first_len);

    if (n > 0) {
        memcpy(link->first + link->first_len, data, n);
        link->first_len = (unsigned char)(link->first_len + n);
    }
    while (len > 0) {
        if (link->body_left > 0) {
            n = min_size(len, link->body_left);
            link->body_left = (uint16_t)(link->body_left - n);
        } else {
            n = min_size(len, EVTLS_RECORD_HEADER_LENGTH - link->header_len);
            memcpy(link->header + link->header_len, data, n);
            link->header_len = (unsigned char)(link->header_len + n);
            if (link->header_len == EVTLS_RECORD_HEADER_LENGTH) {
                link->body_left = (uint16_t)body_length(link->header);
                link->header_len = 0;
            }
        }
        data += n;
        len -= n;
    }
}

static size_t take_input(struct evtls_bio_link *link, unsigned char *data, size_t len)
{
    const unsigned char *span;
    size_t taken = 0;
    size_t n;

    while (taken < len && (n = evtls_bio_link_peek(link, &span)) > 0) {
        n = min_size(n, len - taken);
        memcpy(data + taken, span, n);
        link->port.ops->drain_input(link->port.arg, n);
        track(link, data + taken, n);
        taken += n;
    }
    return taken;
}

static int bio_read(BIO *bio, char *data, size_t len, size_t *taken)
{
    struct evtls_bio_link *link = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (link->poisoned) {
        *taken = min_size(len, sizeof(poison));
        memcpy(data, poison, *taken);
    } else {
        *taken = take_input(link, (unsigned char *)data, len);
    }
    if (*taken > 0)
        return 1;
    BIO_set_retry_read(bio);
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *taken)
{
    struct evtls_bio_link *link = BIO_get_data(bio);
    const struct evtls_port *port = &link->port;

    BIO_clear_retry_flags(bio);
    *taken = len;
    if (link->cut)
        return 1;
    if (!link->exhausted && port->ops->add_output(port->arg, (const unsigned char *)data, len) == 0)
        return 1;
    link->exhausted = true;
    *taken = 0;
    BIO_set_retry_write(bio);
    return 0;
}

/* BIO_CTRL_EOF is asked after each read that gives nothing: it is never the end. */
static long bio_ctrl(BIO *bio, int command, long num, void *ptr)
{
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "evtls");

    if (method == NULL)
        return NULL;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    return method;
}

/* Made once a process, by the first to succeed, and never freed. */
static BIO_METHOD *get_method(void)
{
    static _Atomic(BIO_METHOD *) shared;
    BIO_METHOD *known = atomic_load(&shared);
    BIO_METHOD *made;

    if (known != NULL)
        return known;
    made = make_method();
    if (made == NULL || atomic_compare_exchange_strong(&shared, &known, made))
        return made;
    BIO_meth_free(made);
    return known;
}

BIO *evtls_bio_new(struct evtls_bio_link *link)
{
    BIO_METHOD *method = get_method();
    BIO *bio = method != NULL ? BIO_new(method) : NULL;

    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, link);
    BIO_set_init(bio, 1);
    return bio;
}

void evtls_bio_link_reset(struct evtls_bio_link *link)
{
    struct evtls_port port = link->port;

    *link = (struct evtls_bio_link){.port = port};
}
