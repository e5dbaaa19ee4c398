/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sample_server.h"

void vhosts_init(struct vhosts *vhosts)
{
    memset(vhosts, 0, sizeof(*vhosts));
    vhosts->n = 1;
    vhosts->hosts[0].root = -1;
}

void vhosts_cleanup(struct vhosts *vhosts)
{
    for (size_t i = 0; i < vhosts->n; i++) {
        struct vhost *host = &vhosts->hosts[i];

        free(host->name);
        free(host->cert);
        free(host->key);
        free(host->client_ca);
        free(host->dir);
        if (host->root >= 0)
            close(host->root);
    }
    evtls_context_free(vhosts->self);
}

/* Lower case, without a port and without the dot at the end. Returns 0, or -1: too long. */
static int normalise(char *out, size_t size, const char *name)
{
    const char *end = *name == '[' ? strchr(name, ']') : NULL;
    size_t len = end ? (size_t)(end - name) + 1 : strcspn(name, ":");

    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len >= size)
        return -1;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    out[len] = '\0';
    return 0;
}

static char *copy(const char *text, size_t len)
{
    return len > 0 ? strndup(text, len) : NULL;
}

int vhosts_add(struct vhosts *vhosts, const char *text)
{
    const char *equals = strchr(text, '=');
    struct vhost *host = &vhosts->hosts[vhosts->n];
    char name[256];
    const char *key, *ca;

    if (equals == NULL || equals == text || equals[1] == '\0' || vhosts->n == VHOSTS_MAX)
        return -1;
    host->name = copy(text, (size_t)(equals - text));
    if (host->name == NULL || normalise(name, sizeof(name), host->name) < 0) {
        free(host->name);
        return -1;
    }
    strcpy(host->name, name);
    key = equals + 1 + strcspn(equals + 1, ":");
    ca = *key ? key + 1 + strcspn(key + 1, ":") : key;
    host->cert = copy(equals + 1, (size_t)(key - equals - 1));
    host->key = *key ? copy(key + 1, (size_t)(ca - key - 1)) : NULL;
    host->client_ca = *ca ? copy(ca + 1, strlen(ca + 1)) : NULL;
    host->root = -1;
    vhosts->n++;
    return host->cert ? 0 : -1;
}

static struct vhost *find(const struct vhosts *vhosts, const char *name)
{
    char wanted[256];

    if (name == NULL || normalise(wanted, sizeof(wanted), name) < 0)
        return NULL;
    for (size_t i = 1; i < vhosts->n; i++)
        if (strcmp(vhosts->hosts[i].name, wanted) == 0)
            return (struct vhost *)&vhosts->hosts[i];
    return NULL;
}

int vhosts_set_dir(struct vhosts *vhosts, const char *text)
{
    const char *equals = strchr(text, '=');
    char name[256];
    struct vhost *host;

    if (equals == NULL || equals[1] == '\0' || (size_t)(equals - text) >= sizeof(name))
        return -1;
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    host = find(vhosts, name);
    if (host == NULL || host->dir != NULL)
        return -1;
    host->dir = strdup(equals + 1);
    return host->dir ? 0 : -1;
}

static const char *client_ca(const struct vhosts *vhosts, const struct vhost *host)
{
    return host->client_ca ? host->client_ca : vhosts->client_ca;
}

static const char *dir(const struct vhosts *vhosts, const struct vhost *host)
{
    return host->dir ? host->dir : vhosts->hosts[0].dir;
}

/* A copy of the context that holds the certificate made in memory, so that reloads keep it. */
static struct evtls_context *self_signed(struct vhosts *vhosts, struct evtls_error *err)
{
    if (vhosts->self == NULL) {
        vhosts->self = evtls_context_new_default(EVTLS_PURPOSE_CLIENT_AUTH, NULL, err);
        if (vhosts->self == NULL)
            return NULL;
        if (sample_load_identity(vhosts->self, NULL, NULL, err) < 0) {
            evtls_context_free(vhosts->self);
            vhosts->self = NULL;
            return NULL;
        }
    }
    return evtls_context_copy(vhosts->self, err);
}

static struct evtls_context *from_files(const struct vhost *host, struct evtls_error *err)
{
    struct evtls_context *ctx = evtls_context_new_default(EVTLS_PURPOSE_CLIENT_AUTH, NULL, err);

    if (ctx != NULL && evtls_context_load_cert_chain(ctx, host->cert, host->key, NULL, err) < 0) {
        evtls_context_free(ctx);
        return NULL;
    }
    return ctx;
}

static struct evtls_context *load_host(struct vhosts *vhosts, const struct vhost *host,
                                       struct evtls_error *err)
{
    struct evtls_context *ctx = host->cert ? from_files(host, err) : self_signed(vhosts, err);
    const char *ca = client_ca(vhosts, host);

    if (ctx == NULL)
        return NULL;
    if (ca != NULL && (evtls_context_load_verify_locations(ctx, ca, NULL, err) < 0 ||
                       evtls_context_set_verify_mode(ctx, EVTLS_VERIFY_REQUIRED, err) < 0))
        goto failed;
    if (evtls_context_set_alpn(ctx, vhosts->alpn.list, vhosts->alpn.n) < 0) {
        evtls_error_init(err);
        snprintf(err->message, sizeof(err->message), "the list of ALPN protocols is not valid");
        goto failed;
    }
    return ctx;
failed:
    evtls_context_free(ctx);
    return NULL;
}

/* What the SNI callback looks names up in; owned by the default context. */
struct table {
    size_t n;
    struct {
        char name[256];
        struct evtls_context *ctx;
    } rows[];
};

static void free_table(void *arg)
{
    struct table *table = arg;

    for (size_t i = 0; i < table->n; i++)
        evtls_context_free(table->rows[i].ctx);
    free(table);
}

static int choose_context(struct evtls_engine *engine, const char *name,
                          struct evtls_context *initial, void *arg)
{
    const struct table *table = arg;

    for (size_t i = 0; name != NULL && i < table->n; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return evtls_engine_set_context(engine, table->rows[i].ctx, NULL);
    return 0;
}

static struct table *load_table(struct vhosts *vhosts, struct evtls_error *err)
{
    struct table *table = calloc(1, sizeof(*table) + vhosts->n * sizeof(table->rows[0]));

    for (size_t i = 1; table != NULL && i < vhosts->n; i++) {
        struct evtls_context *ctx = load_host(vhosts, &vhosts->hosts[i], err);

        if (ctx == NULL || evtls_context_seal(ctx, err) < 0) {
            evtls_context_free(ctx);
            free_table(table);
            return NULL;
        }
        strcpy(table->rows[table->n].name, vhosts->hosts[i].name);
        table->rows[table->n++].ctx = ctx;
    }
    return table;
}

static void remember_key_files(struct vhosts *vhosts)
{
    for (size_t i = 0; i < vhosts->n; i++) {
        struct vhost *host = &vhosts->hosts[i];
        const char *file = host->key ? host->key : host->cert;
        struct stat st;

        if (file != NULL && stat(file, &st) == 0) {
            host->key_dev = st.st_dev;
            host->key_ino = st.st_ino;
        }
    }
}

struct evtls_context *vhosts_load(struct vhosts *vhosts, struct evtls_error *err)
{
    struct table *table = load_table(vhosts, err);
    struct evtls_context *ctx;

    if (table == NULL)
        return NULL;
    ctx = load_host(vhosts, &vhosts->hosts[0], err);
    if (ctx == NULL || evtls_context_set_sni_callback(ctx, choose_context, table, free_table) < 0) {
        free_table(table);
        evtls_context_free(ctx);
        return NULL;
    }
    if (evtls_context_seal(ctx, err) < 0) {
        evtls_context_free(ctx);
        return NULL;
    }
    remember_key_files(vhosts);
    return ctx;
}

/* The host of a name (NULL and unknown ones: the default). name may have upper case and a dot. */
static const struct vhost *find_host(const struct vhosts *vhosts, const char *name)
{
    const struct vhost *host = find(vhosts, name);

    return host ? host : &vhosts->hosts[0];
}

static int same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

const struct vhost *vhosts_choose(const struct vhosts *vhosts, const char *server_name,
                                  const char *host_header)
{
    const struct vhost *connected = find_host(vhosts, server_name);
    const struct vhost *asked = host_header ? find_host(vhosts, host_header) : connected;

    if (asked == connected)
        return asked;
    if (same(client_ca(vhosts, asked), client_ca(vhosts, connected)) &&
        same(dir(vhosts, asked), dir(vhosts, connected)))
        return asked;
    return NULL;
}

int vhosts_is_key(const struct vhosts *vhosts, dev_t dev, ino_t ino)
{
    for (size_t i = 0; i < vhosts->n; i++)
        if (vhosts->hosts[i].key_ino == ino && vhosts->hosts[i].key_dev == dev && ino != 0)
            return 1;
    return 0;
}
