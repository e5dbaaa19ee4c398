/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evperr.h>
#include <openssl/pem.h>
#include <openssl/pemerr.h>

#include "pem_key.h"

enum password_state { NOT_ASKED, NONE_GIVEN, TOO_LONG, GIVEN };

/* What the callback gives OpenSSL, which may ask more than once. */
struct password_cache {
    const struct evtls_password *source;
    enum password_state state;
    size_t len;
    char bytes[EVTLS_PASSWORD_MAX_BYTES + 1]; /* one more, to see that there is more */
};

static void ask_password(struct password_cache *cache)
{
    const struct evtls_password *source = cache->source;

    cache->state = NONE_GIVEN;
    if (source == NULL)
        return;
    if (source->get != NULL) {
        ssize_t len = source->get(cache->bytes, sizeof(cache->bytes), source->arg);

        if (len < 0)
            return;
        cache->len = (size_t)len;
    } else if (source->bytes != NULL) {
        cache->len = source->len;
        if (cache->len <= EVTLS_PASSWORD_MAX_BYTES)
            memcpy(cache->bytes, source->bytes, cache->len);
    } else {
        return;
    }
    cache->state = cache->len <= EVTLS_PASSWORD_MAX_BYTES ? GIVEN : TOO_LONG;
}

/* Always given to OpenSSL, whose default would read from the terminal. */
static int give_password(char *buf, int size, int writing, void *arg)
{
    struct password_cache *cache = arg;

    (void)writing;
    if (cache->state == NOT_ASKED)
        ask_password(cache);
    if (cache->state != GIVEN || size < 0 || cache->len > (size_t)size)
        return -1;
    memcpy(buf, cache->bytes, cache->len);
    return (int)cache->len;
}

enum queue_says { OTHER, NO_CIPHER, NO_MEMORY };

/* Empties the queue. Decoders that failed in turn leave many entries; one tells. */
static enum queue_says read_queue(void)
{
    static const struct {
        int library, reason;
    } reasons[] = {
        {ERR_LIB_EVP, ERR_R_UNSUPPORTED},
        {ERR_LIB_EVP, EVP_R_UNKNOWN_PBE_ALGORITHM},
        {ERR_LIB_EVP, EVP_R_UNSUPPORTED_CIPHER},
        {ERR_LIB_EVP, EVP_R_UNSUPPORTED_ALGORITHM},
        {ERR_LIB_PEM, PEM_R_UNSUPPORTED_ENCRYPTION},
        {ERR_LIB_PEM, PEM_R_UNSUPPORTED_CIPHER},
    };
    enum queue_says says = OTHER;
    unsigned long code;

    while ((code = ERR_get_error()) != 0) {
        if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
            says = NO_MEMORY;
        for (size_t i = 0; says == OTHER && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
            if (ERR_GET_LIB(code) == reasons[i].library &&
                ERR_GET_REASON(code) == reasons[i].reason)
                says = NO_CIPHER;
        }
    }
    return says;
}

static int report_decryption(struct evtls_error *err, const char *what)
{
    switch (read_queue()) {
    case NO_MEMORY:
        return evtls_error_set_nomem(err);
    case NO_CIPHER:
        return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM,
                                      PEM_R_UNSUPPORTED_ENCRYPTION,
                                      "%s is encrypted with a cipher that this OpenSSL does not "
                                      "offer (its legacy provider may)",
                                      what);
    case OTHER:
        break;
    }
    return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, PEM_R_BAD_DECRYPT,
                                  "wrong password for %s, or it is broken", what);
}

static int report_key(struct evtls_error *err, const char *what, const struct password_cache *cache)
{
    switch (cache->state) {
    case NOT_ASKED:
        return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "%s is broken", what);
    case NONE_GIVEN:
        return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ,
                                      "%s is encrypted, and no password was given", what);
    case TOO_LONG:
        return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM,
                                      PEM_R_PROBLEMS_GETTING_PASSWORD,
                                      "the password of %s has more than 1024 bytes", what);
    case GIVEN:
        break;
    }
    return report_decryption(err, what);
}

static bool is_openssh(const struct evtls_pem_block *block)
{
    static const char label[] = "OPENSSH PRIVATE KEY";

    return block->label_len == sizeof(label) - 1 &&
           memcmp(block->label, label, block->label_len) == 0;
}

int evtls_pem_get_private_key(EVP_PKEY **key, const struct evtls_input *input,
                              const struct evtls_pem_block *block,
                              const struct evtls_password *password, struct evtls_error *err)
{
    struct password_cache cache = {.source = password, .state = NOT_ASKED};
    struct evtls_pem_content content;
    char what[384];
    BIO *bio = NULL;
    int status;

    *key = NULL;
    evtls_pem_describe(what, sizeof(what), input, block);
    if (is_openssh(block))
        return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM,
                                      PEM_R_UNSUPPORTED_KEY_COMPONENTS,
                                      "%s is in OpenSSH's format, not PKCS#8", what);
    /* OpenSSL's decoders would call bad base64 "unsupported". */
    status = evtls_pem_decode(&content, input, block, err);
    if (status != EVTLS_OK)
        return status;
    evtls_pem_content_cleanup(&content);
    bio = BIO_new_mem_buf(block->text, (int)block->len);
    if (bio == NULL)
        status = evtls_error_set_nomem(err);
    else
        *key = PEM_read_bio_PrivateKey_ex(bio, NULL, give_password, &cache, NULL, NULL);
    if (bio != NULL && *key == NULL)
        status = report_key(err, what, &cache);
    BIO_free(bio);
    OPENSSL_cleanse(&cache, sizeof(cache));
    evtls_ossl_clear_queue();
    return status;
}
