/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blocks of a PEM text (RFC 7468), one after the other, and what is in them.
 *
 * OpenSSL's own reader skips what it does not understand and reports "PEM lib" for much of the
 * rest. Here the text is cut into blocks first, so that each error says which block it means, and a
 * block that is damaged is never passed over.
 */
#ifndef EVTLS_SRC_PEM_H
#define EVTLS_SRC_PEM_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#include "error.h"
#include "input.h"

enum evtls_pem_kind {
    EVTLS_PEM_CERTIFICATE,
    EVTLS_PEM_TRUSTED_CERTIFICATE, /* OpenSSL's own form: with trust settings behind it */
    EVTLS_PEM_CRL,
    EVTLS_PEM_PRIVATE_KEY,
    EVTLS_PEM_OTHER /* parameters, requests, public keys ... */
};

struct evtls_pem_block {
    enum evtls_pem_kind kind;
    const char *text; /* from its BEGIN to its END line; within the input's bytes */
    size_t len;
    const char *label; /* "RSA PRIVATE KEY"; not terminated */
    size_t label_len;
    unsigned number; /* certificates, CRLs, keys and others are counted each from 1 */
};

struct evtls_pem_cursor {
    const struct evtls_input *input;
    size_t offset;
    unsigned counts[4];
};

/*
 * Begins with a text. Errors: EVTLS_ERR_CONFIG when there is no block in it, with what it is
 * instead (empty, UTF-16, DER).
 */
int evtls_pem_begin(struct evtls_pem_cursor *cursor, const struct evtls_input *input,
                    struct evtls_error *err);

/*
 * The next block: 1, or 0 at the end, or EVTLS_ERR_CONFIG when it is not whole (cut, a BEGIN or END
 * line that is not one).
 */
int evtls_pem_next(struct evtls_pem_cursor *cursor, struct evtls_pem_block *block,
                   struct evtls_error *err);

/* "certificate 2 in 'chain.pem'", for messages. Returns dst. */
char *evtls_pem_describe(char *dst, size_t size, const struct evtls_input *input,
                         const struct evtls_pem_block *block);

/*
 * Decodes a certificate (with its trust settings, if it has any) or a CRL; the caller owns the
 * result. Errors: EVTLS_ERR_CONFIG, EVTLS_ERR_NOMEM.
 */
int evtls_pem_get_certificate(X509 **x509, const struct evtls_input *input,
                              const struct evtls_pem_block *block, struct evtls_error *err);
int evtls_pem_get_crl(X509_CRL **crl, const struct evtls_input *input,
                      const struct evtls_pem_block *block, struct evtls_error *err);

/* The bytes of a block. has_header: it begins with lines such as "Proc-Type: 4,ENCRYPTED". */
struct evtls_pem_content {
    unsigned char *der;
    long len;
    bool has_header;
};

/* Errors: EVTLS_ERR_CONFIG (bad base64), EVTLS_ERR_NOMEM; content then needs no clean-up. */
int evtls_pem_decode(struct evtls_pem_content *content, const struct evtls_input *input,
                     const struct evtls_pem_block *block, struct evtls_error *err);

/* Wipes and frees. */
void evtls_pem_content_cleanup(struct evtls_pem_content *content);

#endif
