/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a trust is made of: an ordered set of certificates, CRLs and directories. A batch is filled
 * from one source completely before a trust is made of it.
 */
#ifndef EVTLS_SRC_TRUST_BATCH_H
#define EVTLS_SRC_TRUST_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#include "error.h"
#include "input.h"
#include "trust.h"

enum evtls_trust_kind { EVTLS_TRUST_CERTIFICATE, EVTLS_TRUST_CRL, EVTLS_TRUST_DIR };

struct evtls_trust_item {
    enum evtls_trust_kind kind;
    bool announced; /* a server names it to its clients */
    unsigned char
        digest[EVTLS_TRUST_DIGEST_LENGTH]; /* of DER with trust settings, or of the path */
    X509 *x509;                            /* the one that kind says; owned */
    X509_CRL *crl;
    char *dir;
};

struct evtls_trust_batch {
    struct evtls_trust_item *items;
    size_t n, allocated;
};

void evtls_trust_batch_cleanup(struct evtls_trust_batch *batch);

/* Each adds one item, unless it is there; one more reference is taken. 0 or -1: no memory. */
int evtls_trust_batch_add_certificate(struct evtls_trust_batch *batch, X509 *x509, bool announced);
int evtls_trust_batch_add_crl(struct evtls_trust_batch *batch, X509_CRL *crl);
int evtls_trust_batch_add_dir(struct evtls_trust_batch *batch, const char *dir);

/* Adds what src has. 0 or -1: no memory. */
int evtls_trust_batch_add_all(struct evtls_trust_batch *batch, const struct evtls_trust_batch *src);

size_t evtls_trust_batch_count(const struct evtls_trust_batch *batch, enum evtls_trust_kind kind);

/*
 * Adds the certificates and CRLs of a PEM text, or of DER where `der_too` and the content is.
 * Errors as evtls_trust_add_file says; the batch is then to be thrown away.
 */
int evtls_trust_batch_read(struct evtls_trust_batch *batch, const struct evtls_input *input,
                           bool der_too, struct evtls_error *err);

/* Adds those that can be read, and passes over the others. 0, or EVTLS_ERR_NOMEM. */
int evtls_trust_batch_read_leniently(struct evtls_trust_batch *batch,
                                     const struct evtls_input *input);

/* A trust over the items, which it takes over on success. NULL: no memory. */
struct evtls_trust *evtls_trust_from_batch(struct evtls_trust_batch *batch);

const struct evtls_trust_batch *evtls_trust_get_batch(const struct evtls_trust *trust);

/* Puts into *trust a new one with more items behind the old, as evtls_trust_add_* do. */
int evtls_trust_extend(struct evtls_trust **trust, const struct evtls_trust_batch *more,
                       struct evtls_error *err);

#endif
