/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom we trust: CA certificates, revocation lists, and directories of them.
 *
 * A struct evtls_trust is reference counted and never changes once anyone else holds it: each
 * evtls_trust_add_* works on a handle, `struct evtls_trust **trust` (NULL in it: none yet). When
 * it succeeds *trust holds the result, a private copy where the old one is shared; when it fails
 * *trust is what it was. To add from several sources all or nothing, take a second reference,
 * add to that one, and swap at the end.
 *
 * The system's CAs are parsed once a process: handles that have nothing else share one store.
 *
 * Different handles may be used by different threads at the same time, one handle by one.
 */
#ifndef EVTLS_SRC_TRUST_H
#define EVTLS_SRC_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "error.h"

#define EVTLS_TRUST_DIGEST_LENGTH 32

struct evtls_trust;

struct evtls_trust *evtls_trust_incref(struct evtls_trust *trust);
void evtls_trust_free(struct evtls_trust *trust);

/*
 * A file of PEM certificates and CRLs; a directory of files named by hash, which need not exist;
 * the same from memory, PEM or DER certificates one after the other. Duplicates are fine.
 *
 * Errors: EVTLS_ERR_CONFIG (file, number of the certificate in it, reason; sys_errno),
 * EVTLS_ERR_USAGE (NULL or empty name; data NULL or empty), EVTLS_ERR_NOMEM.
 */
int evtls_trust_add_file(struct evtls_trust **trust, const char *file, struct evtls_error *err);
int evtls_trust_add_dir(struct evtls_trust **trust, const char *dir, struct evtls_error *err);
int evtls_trust_add_data(struct evtls_trust **trust, const void *data, size_t len,
                         struct evtls_error *err);

/*
 * The system's CAs, or what SSL_CERT_FILE and SSL_CERT_DIR name, which a set-user-ID program
 * ignores. What is missing or broken there is left out, as OpenSSL does. Errors: EVTLS_ERR_NOMEM.
 */
int evtls_trust_add_system(struct evtls_trust **trust, struct evtls_error *err);

/*
 * Makes ssl_ctx verify by this trust, by reference. trust NULL: an empty store, which trusts
 * nobody. Errors: EVTLS_ERR_NOMEM.
 */
int evtls_trust_use(const struct evtls_trust *trust, SSL_CTX *ssl_ctx, struct evtls_error *err);

/*
 * The same for the names that a server sends with its request for a certificate: the subjects of
 * certificates that came from files and data, not of the system's and not from directories.
 */
int evtls_trust_use_client_ca_names(const struct evtls_trust *trust, SSL_CTX *ssl_ctx,
                                    struct evtls_error *err);

/* How many certificates and CRLs are loaded, directories not counted. 0 for NULL. */
size_t evtls_trust_get_num_certificates(const struct evtls_trust *trust);
size_t evtls_trust_get_num_crls(const struct evtls_trust *trust);

/*
 * True when nothing could be an anchor: no certificate is loaded, and no directory has a file
 * that is named like one now. Reads the directories. True for NULL.
 */
bool evtls_trust_is_empty(const struct evtls_trust *trust);

/*
 * SHA-256 over what is trusted, whatever the order it was added in; zeros for NULL. Two handles
 * with the same certificates (and their trust settings), CRLs and directories agree.
 */
void evtls_trust_get_digest(const struct evtls_trust *trust,
                            unsigned char digest[EVTLS_TRUST_DIGEST_LENGTH]);

#endif
