/* SPDX-License-Identifier: BSD-3-Clause */
#include "hello.h"

#include <stdlib.h>
#include <string.h>

#include "require.h"

#define MAX_RECORD 16384

enum { EXT_SNI = 0, EXT_GROUPS = 10, EXT_SIGALGS = 13, EXT_ALPN = 16, EXT_PADDING = 21 };
enum { EXT_VERSIONS = 43, EXT_PSK_MODES = 45, EXT_KEY_SHARE = 51 };
enum { GROUP_P256 = 0x17, GROUP_X25519 = 0x1d, GROUP_UNKNOWN_PQ = 0x11ec };

struct writer {
    unsigned char *data;
    size_t len, room;
};

static void put(struct writer *w, const void *data, size_t len)
{
    if (w->len + len > w->room) {
        w->room = (w->len + len) * 2;
        w->data = realloc(w->data, w->room);
        support_require(w->data != NULL);
    }
    if (len > 0)
        memcpy(w->data + w->len, data, len);
    w->len += len;
}

static void put_number(struct writer *w, unsigned bytes, uint64_t value)
{
    while (bytes-- > 0) {
        unsigned char byte = (unsigned char)(value >> (8 * bytes));

        put(w, &byte, 1);
    }
}

/* A length of so many bytes, whose value close_length puts in. Returns where. */
static size_t open_length(struct writer *w, unsigned bytes)
{
    put_number(w, bytes, 0);
    return w->len;
}

static void close_length(struct writer *w, unsigned bytes, size_t start)
{
    size_t value = w->len - start;

    for (unsigned i = 0; i < bytes; i++)
        w->data[start - 1 - i] = (unsigned char)(value >> (8 * i));
}

static uint16_t grease(const struct hello *hello, unsigned offset)
{
    unsigned nibble = (hello->grease_value + offset) & 15;

    return (uint16_t)(nibble << 12 | 0x0a00 | nibble << 4 | 0x0a);
}

static size_t open_extension(struct writer *w, uint16_t type)
{
    put_number(w, 2, type);
    return open_length(w, 2);
}

static void put_ciphers(struct writer *w, const struct hello *hello)
{
    static const uint16_t suites[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030};
    size_t list = open_length(w, 2);

    if (hello->grease)
        put_number(w, 2, grease(hello, 0));
    if (hello->only_cipher != 0)
        put_number(w, 2, hello->only_cipher);
    for (size_t i = 0; hello->only_cipher == 0 && i < 7; i++)
        put_number(w, 2, suites[i]);
    if (hello->fallback_scsv)
        put_number(w, 2, 0x5600);
    close_length(w, 2, list);
}

static void put_sni(struct writer *w, const struct hello *hello)
{
    size_t name_len = hello->sni_len != 0 ? hello->sni_len : strlen(hello->sni);
    size_t ext = open_extension(w, EXT_SNI);
    size_t list = open_length(w, 2);

    for (unsigned i = 0; i == 0 || i < hello->sni_count; i++) {
        put_number(w, 1, 0);
        put_number(w, 2, name_len);
        put(w, hello->sni, name_len);
    }
    close_length(w, 2, list);
    close_length(w, 2, ext);
}

static void put_alpn(struct writer *w, const char *names)
{
    size_t ext = open_extension(w, EXT_ALPN);
    size_t list = open_length(w, 2);

    while (*names != '\0') {
        size_t len = strcspn(names, ",");

        put_number(w, 1, len);
        put(w, names, len);
        names += len + (names[len] == ',');
    }
    close_length(w, 2, list);
    close_length(w, 2, ext);
}

static void put_groups(struct writer *w, const struct hello *hello)
{
    size_t ext = open_extension(w, EXT_GROUPS);
    size_t list = open_length(w, 2);

    if (hello->grease)
        put_number(w, 2, grease(hello, 1));
    if (hello->pq_share)
        put_number(w, 2, GROUP_UNKNOWN_PQ);
    if (hello->only_group != 0) {
        put_number(w, 2, hello->only_group);
    } else {
        put_number(w, 2, GROUP_X25519);
        put_number(w, 2, GROUP_P256); /* TLS 1.2 asks it of an ECDSA certificate too */
    }
    close_length(w, 2, list);
    close_length(w, 2, ext);
}

static void put_share(struct writer *w, uint16_t group, const void *key, size_t len)
{
    put_number(w, 2, group);
    put_number(w, 2, len);
    put(w, key, len);
}

static void put_shares(struct writer *w, const struct hello *hello)
{
    /* The curve's base point: a valid public key. */
    static const unsigned char x25519[32] = {9};
    unsigned char pq[1216];
    size_t ext = open_extension(w, EXT_KEY_SHARE);
    size_t list = open_length(w, 2);

    if (hello->grease)
        put_share(w, grease(hello, 1), "", 1);
    memset(pq, 0x5a, sizeof pq);
    if (hello->pq_share)
        put_share(w, GROUP_UNKNOWN_PQ, pq, sizeof pq);
    if (!hello->no_share && hello->only_group == 0)
        put_share(w, GROUP_X25519, x25519, sizeof x25519);
    close_length(w, 2, list);
    close_length(w, 2, ext);
}

static void put_versions(struct writer *w, const struct hello *hello)
{
    size_t ext = open_extension(w, EXT_VERSIONS);
    size_t list = open_length(w, 1);

    if (hello->grease)
        put_number(w, 2, grease(hello, 2));
    put_number(w, 2, 0x0304);
    put_number(w, 2, 0x0303);
    close_length(w, 1, list);
    close_length(w, 2, ext);
}

static void put_raw(struct writer *w, uint16_t type, const void *data, size_t len)
{
    size_t ext = open_extension(w, type);

    put(w, data, len);
    close_length(w, 2, ext);
}

static void put_padding(struct writer *w, size_t len)
{
    size_t ext = open_extension(w, EXT_PADDING);

    for (size_t i = 0; i < len; i++)
        put_number(w, 1, 0);
    close_length(w, 2, ext);
}

/* The key share, the largest, comes first: the name then lies deep in the message. */
static void put_extensions(struct writer *w, const struct hello *hello)
{
    static const unsigned char sigalgs[] = {0, 14, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 8, 6, 6, 1};
    static const unsigned char psk_modes[] = {1, 1};
    size_t list = open_length(w, 2);

    if (hello->grease)
        put_raw(w, grease(hello, 3), NULL, 0);
    if (!hello->tls12) {
        put_shares(w, hello);
        put_versions(w, hello);
        put_raw(w, EXT_PSK_MODES, psk_modes, sizeof psk_modes);
    }
    put_groups(w, hello);
    put_raw(w, EXT_SIGALGS, sigalgs, sizeof sigalgs);
    if (hello->alpn != NULL)
        put_alpn(w, hello->alpn);
    if (hello->sni != NULL)
        put_sni(w, hello);
    if (hello->padding != 0)
        put_padding(w, hello->padding);
    for (size_t i = 0; i < hello->n_extensions; i++)
        put_raw(w, hello->extensions[i].type, hello->extensions[i].data, hello->extensions[i].len);
    if (hello->grease)
        put_raw(w, grease(hello, 4), "", 1);
    close_length(w, 2, list);
}

unsigned char *hello_message(const struct hello *hello, size_t *len)
{
    struct writer w = {0};
    unsigned char bytes[32];
    size_t body;

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i + 1);
    put_number(&w, 1, 1); /* client_hello */
    body = open_length(&w, 3);
    put_number(&w, 2, 0x0303);
    put(&w, bytes, sizeof bytes); /* random */
    put_number(&w, 1, sizeof bytes);
    put(&w, bytes, sizeof bytes); /* session id */
    put_ciphers(&w, hello);
    put_number(&w, 2, 0x0100); /* one compression method: none */
    put_extensions(&w, hello);
    close_length(&w, 3, body);
    *len = w.len;
    return w.data;
}

static void put_record(struct writer *w, uint8_t type, const void *data, size_t data_len,
                       uint16_t claimed_len)
{
    put_number(w, 1, type);
    put_number(w, 2, 0x0301);
    put_number(w, 2, claimed_len);
    put(w, data, data_len);
}

unsigned char *hello_record(uint8_t type, const void *data, size_t data_len, uint16_t claimed_len,
                            size_t *len)
{
    struct writer w = {0};

    put_record(&w, type, data, data_len, claimed_len);
    *len = w.len;
    return w.data;
}

unsigned char *hello_records(const unsigned char *message, size_t message_len, size_t per_record,
                             size_t *len)
{
    struct writer w = {0};

    if (per_record == 0)
        per_record = MAX_RECORD;
    for (size_t at = 0; at < message_len; at += per_record) {
        size_t part = message_len - at < per_record ? message_len - at : per_record;

        put_record(&w, 22, message + at, part, (uint16_t)part);
    }
    *len = w.len;
    return w.data;
}

unsigned char *hello_make(const struct hello *hello, size_t *len)
{
    size_t message_len;
    unsigned char *message = hello_message(hello, &message_len);
    unsigned char *records = hello_records(message, message_len, 0, len);

    free(message);
    return records;
}
