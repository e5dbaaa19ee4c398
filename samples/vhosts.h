/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhosts.h - the hosts of https-server: which certificate, which client CA and which folder each
 * has, the TLS contexts made from that, and which of them a request may ask for.
 *
 * Host 0 is the default one, used where the client named none or one that is not here. The files
 * are read as one set: either all of it is in use, or all of the set before.
 */
#ifndef VHOSTS_H
#define VHOSTS_H

#include <stddef.h>
#include <sys/types.h>

#include <evtls/evtls.h>

#include "sample_util.h"

#define VHOSTS_MAX 64

struct vhost {
    char *name; /* lower case; NULL for the default host */
    char *cert; /* NULL: the certificate made in memory */
    char *key;  /* NULL: in the file of cert */
    char *client_ca;
    char *dir; /* NULL: the folder of the default host */
    int root;  /* descriptor of dir, or -1 */
    /* The private key's file as it was last read: it is never served. */
    dev_t key_dev;
    ino_t key_ino;
};

struct vhosts {
    struct vhost hosts[VHOSTS_MAX];
    size_t n;
    const char *client_ca; /* for each host that has none of its own; may be NULL */
    struct sample_names alpn;
    struct evtls_context *self; /* holds the certificate made in memory, if one is used */
};

void vhosts_init(struct vhosts *vhosts);
void vhosts_cleanup(struct vhosts *vhosts);

/*
 * NAME=CERT[:KEY[:CLIENT-CA]]. Returns 0, or -1 where the text is none of that, or too many.
 */
int vhosts_add(struct vhosts *vhosts, const char *text);

/* NAME=DIR for a host that was added. Returns 0, or -1. */
int vhosts_set_dir(struct vhosts *vhosts, const char *text);

/*
 * Reads all certificates, keys and client CAs and makes the sealed context to serve with, which
 * chooses among the hosts by the name that the client sends. Returns it, or NULL with err. From
 * the ClientHello on the user data of a connection's engine is the client's address, as text.
 */
struct evtls_context *vhosts_load(struct vhosts *vhosts, struct evtls_error *err);

/*
 * The host that serves a request, or NULL where it must be refused with 421: its Host header
 * (may be NULL, may have a port) names a host whose rules differ from those under which this
 * connection was made. Else the client would reach, with the certificate check of one host, what
 * another protects (RFC 9110, section 15.5.20).
 */
const struct vhost *vhosts_choose(const struct vhosts *vhosts, const char *server_name,
                                  const char *host_header);

/* Whether this is the file of one of the private keys. */
int vhosts_is_key(const struct vhosts *vhosts, dev_t dev, ino_t ino);

#endif
