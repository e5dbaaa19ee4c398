/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "library.h"

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool decided;        /* verdict is final; written under init_lock, read without */
static struct evtls_error verdict; /* immutable once decided */

static unsigned version_part(unsigned long version, int shift)
{
    return (unsigned)(version >> shift & 0xff);
}

int evtls_library_check_version(unsigned long built, unsigned long loaded, struct evtls_error *err)
{
    /* The lowest four bits tell a pre-release from a release (OPENSSL_VERSION_NUMBER(3)). */
    if (loaded >> 4 >= built >> 4)
        return evtls_error_set_ok(err);
    return evtls_error_set(err, EVTLS_ERR_UNSUPPORTED,
                           "OpenSSL %u.%u.%u is loaded, but evtls was compiled with %u.%u.%u and "
                           "needs that or a later one",
                           version_part(loaded, 28) & 0xf, version_part(loaded, 20),
                           version_part(loaded, 4), version_part(built, 28) & 0xf,
                           version_part(built, 20), version_part(built, 4));
}

/* Names the file and how it was chosen; the detail is what OpenSSL's last entry adds. */
static int report_config(struct evtls_error *err)
{
    const char *data = NULL;
    int flags = 0, status;
    char detail[256], escaped[192] = "";
    char *file = CONF_get1_default_config_file();
    bool by_env = secure_getenv("OPENSSL_CONF") != NULL;

    ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);
    snprintf(detail, sizeof(detail), "%s",
             data != NULL && (flags & ERR_TXT_STRING) != 0 ? data : "");
    status = evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "OpenSSL's configuration file '%s'%s%s%s",
                                  file != NULL ? file : "openssl.cnf",
                                  by_env ? " (named by OPENSSL_CONF)" : "",
                                  detail[0] != '\0' ? ": " : "",
                                  evtls_escape(escaped, sizeof(escaped), detail, strlen(detail)));
    OPENSSL_free(file);
    return status;
}

/* Only a new SSL_CTX applies the file's system_default section. */
static int try_ssl_ctx(struct evtls_error *err)
{
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_method());

    if (ssl_ctx == NULL)
        return report_config(err);
    SSL_CTX_free(ssl_ctx);
    return EVTLS_OK;
}

static int start(struct evtls_error *err)
{
    int status = evtls_library_check_version(OPENSSL_VERSION_NUMBER, OpenSSL_version_num(), err);

    if (status != EVTLS_OK)
        return status;
    evtls_ossl_clear_queue();
    if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1)
        status = report_config(err);
    else
        status = try_ssl_ctx(err);
    evtls_ossl_clear_queue();
    return status;
}

int evtls_library_init(struct evtls_error *err)
{
    int status;

    if (atomic_load_explicit(&decided, memory_order_acquire))
        return evtls_error_copy(err, &verdict);
    pthread_mutex_lock(&init_lock);
    if (!atomic_load_explicit(&decided, memory_order_relaxed)) {
        evtls_error_init(&verdict);
        status = start(&verdict);
        atomic_store_explicit(&decided, status != EVTLS_ERR_NOMEM, memory_order_release);
    }
    status = evtls_error_copy(err, &verdict);
    pthread_mutex_unlock(&init_lock);
    return status;
}

/* A mutex and not a pthread_once: that could not try again after a failure. */
int evtls_library_get_ex_index(int class_index, atomic_int *index)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int value = atomic_load(index);

    if (value >= 0)
        return value;
    pthread_mutex_lock(&lock);
    value = atomic_load(index);
    if (value < 0) {
        value = CRYPTO_get_ex_new_index(class_index, 0, NULL, NULL, NULL, NULL);
        atomic_store(index, value);
    }
    pthread_mutex_unlock(&lock);
    return value;
}
