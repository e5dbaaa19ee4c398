/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ClientHello messages and records made by hand, well-formed and not.
 *
 *     struct hello hello = {.sni = "a.test", .alpn = "h2,http/1.1", .pq_share = true};
 *     size_t len;
 *     unsigned char *message = hello_message(&hello, &len);
 *     unsigned char *wire = hello_records(message, len, 1, &len);      a byte a record
 *
 * Zero and NULL in a struct hello leave things out; a plain {0} is a hello for TLS 1.3 and 1.2 with
 * an X25519 share that OpenSSL answers with a ServerHello. Results are malloc'ed, the caller frees.
 */
#ifndef EVTLS_TESTS_SUPPORT_HELLO_H
#define EVTLS_TESTS_SUPPORT_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of an extension that is put in as it stands. */
struct hello_extension {
    uint16_t type;
    const void *data;
    size_t len;
};

struct hello {
    const char *sni;
    size_t sni_len;       /* 0: strlen(sni); a name of any bytes */
    unsigned sni_count;   /* so many entries of it; 0: 1 */
    const char *alpn;     /* "h2,http/1.1" */
    bool tls12;           /* no TLS 1.3 */
    bool no_share;        /* TLS 1.3 without a key share: HelloRetryRequest */
    bool grease;          /* reserved values in each list */
    uint8_t grease_value; /* 0 .. 15: which of them */
    bool pq_share;        /* an unknown key share of 1,216 bytes first */
    bool fallback_scsv;
    uint16_t only_cipher;                     /* not 0: the only suite offered */
    uint16_t only_group;                      /* not 0: the only group offered, without a share */
    size_t padding;                           /* not 0: a padding extension with so many bytes */
    const struct hello_extension *extensions; /* more of them, behind the others */
    size_t n_extensions;
};

/* The handshake message, with its four bytes of header. */
unsigned char *hello_message(const struct hello *hello, size_t *len);

/* Handshake records with so many bytes of the message in each; 0: 16,384. */
unsigned char *hello_records(const unsigned char *message, size_t message_len, size_t per_record,
                             size_t *len);

/* Both at once, in one record if it fits. */
unsigned char *hello_make(const struct hello *hello, size_t *len);

/* One record; claimed_len is what its header says, whatever len is. */
unsigned char *hello_record(uint8_t type, const void *data, size_t data_len, uint16_t claimed_len,
                            size_t *len);

#endif
