/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system's CAs, parsed once a process for as long as nothing about them changes.
 */
#include "config.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/x509.h>

#include "input.h"
#include "trust.h"
#include "trust_batch.h"

/* The latest one; contexts that use an older one keep that alive. */
static pthread_mutex_t system_lock = PTHREAD_MUTEX_INITIALIZER;
static struct evtls_trust *system_trust;
static char *system_key;

struct places {
    const char *file, *dir;
};

/* As X509_STORE_set_default_paths chooses them. */
static struct places find_places(void)
{
    struct places places = {
        .file = secure_getenv(X509_get_default_cert_file_env()),
        .dir = secure_getenv(X509_get_default_cert_dir_env()),
    };

    if (places.file == NULL)
        places.file = X509_get_default_cert_file();
    if (places.dir == NULL)
        places.dir = X509_get_default_cert_dir();
    return places;
}

/* Appends to *key (taken over) where a path leads and what would change with its content. */
static char *append_path(char *key, const char *path)
{
    struct stat st;
    char *resolved = realpath(path, NULL), *longer = NULL;
    const char *shown = resolved != NULL ? resolved : path;
    int len;

    if (key != NULL && stat(path, &st) == 0)
        len = asprintf(&longer, "%s%s\n%ju %ju %jd %jd.%09ld\n", key, shown, (uintmax_t)st.st_dev,
                       (uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
                       st.st_mtim.tv_nsec);
    else
        len = key != NULL ? asprintf(&longer, "%s%s\n", key, shown) : -1;
    free(resolved);
    free(key);
    return len >= 0 ? longer : NULL;
}

static char *make_key(const struct places *places)
{
    char *dirs = strdup(places->dir), *rest = dirs, *dir;
    char *key = dirs != NULL ? append_path(strdup(""), places->file) : NULL;

    while (key != NULL && (dir = strsep(&rest, ":")) != NULL)
        key = append_path(key, dir);
    free(dirs);
    return key;
}

static struct evtls_trust *parse(const struct places *places)
{
    struct evtls_trust_batch batch = {.n = 0};
    struct evtls_trust *trust = NULL;
    struct evtls_input input;
    int status = evtls_input_read_file(&input, places->file, NULL);

    if (status == EVTLS_OK) {
        status = evtls_trust_batch_read_leniently(&batch, &input);
        evtls_input_cleanup(&input);
    }
    if (status != EVTLS_ERR_NOMEM &&
        (places->dir[0] == '\0' || evtls_trust_batch_add_dir(&batch, places->dir) == 0))
        trust = evtls_trust_from_batch(&batch);
    evtls_trust_batch_cleanup(&batch);
    return trust;
}

/* A reference on the system's trust, or NULL without memory. */
static struct evtls_trust *get_system(void)
{
    struct places places = find_places();
    char *key = make_key(&places);
    struct evtls_trust *trust;

    if (key == NULL)
        return NULL;
    pthread_mutex_lock(&system_lock);
    if (system_key == NULL || strcmp(key, system_key) != 0) {
        trust = parse(&places);
        if (trust != NULL) {
            evtls_trust_free(system_trust);
            system_trust = trust;
            free(system_key);
            system_key = key;
            key = NULL;
        }
    } else {
        trust = system_trust;
    }
    evtls_trust_incref(trust);
    pthread_mutex_unlock(&system_lock);
    free(key);
    return trust;
}

int evtls_trust_add_system(struct evtls_trust **trust, struct evtls_error *err)
{
    struct evtls_trust *found = get_system();
    int status;

    if (found == NULL)
        return evtls_error_set_nomem(err);
    if (*trust == NULL) {
        *trust = found;
        return evtls_error_set_ok(err);
    }
    status = evtls_trust_extend(trust, evtls_trust_get_batch(found), err);
    evtls_trust_free(found);
    return status;
}
