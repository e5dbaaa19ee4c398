/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The BIO between OpenSSL and a port. OpenSSL sees no end and no failure of the transport: where
 * there is no input, or output cannot be taken, it is told to try again, and the engine knows why.
 * (Told of an end of file it would fail with an alert of its own and spoil the session.)
 */
#ifndef EVTLS_SRC_BIO_H
#define EVTLS_SRC_BIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/bio.h>

#include "port.h"

#define EVTLS_RECORD_HEADER_LENGTH 5
#define EVTLS_RECORD_MAX_PLAINTEXT 16384

struct evtls_bio_link {
    struct evtls_port port;
    uint16_t body_left;                               /* of the record that is coming in */
    unsigned char header[EVTLS_RECORD_HEADER_LENGTH]; /* its header, as far as it is there */
    unsigned char header_len;
    unsigned char first[EVTLS_RECORD_HEADER_LENGTH]; /* the first bytes of the connection */
    unsigned char first_len;
    bool cut;       /* the port is gone: no input, and output vanishes */
    bool exhausted; /* there was no memory for output, or for what a callback had to keep */
    bool poisoned;  /* in place of input OpenSSL gets a record that it must refuse */
};

/* A BIO over *link, which is borrowed and must outlive it; NULL when memory is exhausted. */
BIO *evtls_bio_new(struct evtls_bio_link *link);

/* Forgets a connection; the port stays. */
void evtls_bio_link_reset(struct evtls_bio_link *link);

/* The next contiguous input. */
size_t evtls_bio_link_peek(const struct evtls_bio_link *link, const unsigned char **span);

/* True where the input stands between two records. */
bool evtls_bio_link_at_boundary(const struct evtls_bio_link *link);

/*
 * Where the next input is a whole record of application data (as its header says), the length of
 * what is encrypted in it, else 0.
 */
size_t evtls_bio_link_next_record(const struct evtls_bio_link *link);

#endif
