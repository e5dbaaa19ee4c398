/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "ticket_keys.h"

struct ticket_key {
    bool valid;
    int64_t made; /* meaningless until the first ticket */
    unsigned char name[EVTLS_TICKET_KEY_NAME_LENGTH];
    unsigned char aes[32];
    unsigned char hmac[32];
};

struct evtls_ticket_keys {
    pthread_mutex_t lock;
    bool used; /* the newest key has made a ticket: its life has begun */
    struct ticket_key newest;
    struct ticket_key previous;
    EVP_CIPHER *cipher; /* fetched once: a fetch for each ticket costs more than its encryption */
};

static int key_fill(struct ticket_key *key, int64_t now)
{
    struct ticket_key fresh = {.valid = true, .made = now};
    int ok = RAND_bytes(fresh.name, sizeof(fresh.name)) > 0 &&
             RAND_priv_bytes(fresh.aes, sizeof(fresh.aes)) > 0 &&
             RAND_priv_bytes(fresh.hmac, sizeof(fresh.hmac)) > 0;

    if (ok)
        *key = fresh;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return ok ? 0 : -1;
}

struct evtls_ticket_keys *evtls_ticket_keys_new(void)
{
    struct evtls_ticket_keys *keys = calloc(1, sizeof(*keys));

    if (keys == NULL)
        return NULL;
    if (pthread_mutex_init(&keys->lock, NULL) != 0) {
        free(keys);
        return NULL;
    }
    keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (keys->cipher == NULL || key_fill(&keys->newest, 0) < 0) {
        evtls_ticket_keys_free(keys);
        return NULL;
    }
    return keys;
}

void evtls_ticket_keys_free(struct evtls_ticket_keys *keys)
{
    if (keys == NULL)
        return;
    EVP_CIPHER_free(keys->cipher);
    pthread_mutex_destroy(&keys->lock);
    OPENSSL_cleanse(keys, sizeof(*keys));
    free(keys);
}

/* Drops what is past its time; with the lock held. */
static void expire_previous(struct evtls_ticket_keys *keys, int64_t now)
{
    if (keys->previous.valid && now - keys->previous.made >= 2 * EVTLS_TICKET_KEY_LIFETIME)
        OPENSSL_cleanse(&keys->previous, sizeof(keys->previous));
}

/* Sees to it that the newest key may make a ticket now; with the lock held. */
static int rotate(struct evtls_ticket_keys *keys, int64_t now)
{
    struct ticket_key fresh;

    if (!keys->used) {
        keys->used = true;
        keys->newest.made = now;
        return 0;
    }
    if (now - keys->newest.made < EVTLS_TICKET_KEY_LIFETIME)
        return 0;
    if (key_fill(&fresh, now) < 0)
        return -1;
    keys->previous = keys->newest;
    keys->newest = fresh;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return 0;
}

static int set_mac_key(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac, sizeof(key->hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) > 0 ? 0 : -1;
}

int evtls_ticket_keys_seal(struct evtls_ticket_keys *keys, int64_t now,
                           unsigned char name[EVTLS_TICKET_KEY_NAME_LENGTH],
                           unsigned char iv[EVTLS_TICKET_IV_LENGTH], EVP_CIPHER_CTX *cipher,
                           EVP_MAC_CTX *mac)
{
    struct ticket_key key = {.valid = false};
    int result = -1;

    pthread_mutex_lock(&keys->lock);
    if (rotate(keys, now) == 0)
        key = keys->newest;
    expire_previous(keys, now);
    pthread_mutex_unlock(&keys->lock);

    if (key.valid && RAND_bytes(iv, EVTLS_TICKET_IV_LENGTH) > 0 &&
        EVP_EncryptInit_ex(cipher, keys->cipher, NULL, key.aes, iv) > 0 &&
        set_mac_key(mac, &key) == 0) {
        memcpy(name, key.name, sizeof(key.name));
        result = 1;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return result;
}

int evtls_ticket_keys_open(struct evtls_ticket_keys *keys, int64_t now,
                           const unsigned char name[EVTLS_TICKET_KEY_NAME_LENGTH],
                           const unsigned char iv[EVTLS_TICKET_IV_LENGTH],
                           EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct ticket_key key = {.valid = false};
    int result = 0;

    /* The name is public: it stands in each ticket, so comparing it needs no constant time. */
    pthread_mutex_lock(&keys->lock);
    expire_previous(keys, now);
    if (memcmp(keys->newest.name, name, sizeof(key.name)) == 0) {
        key = keys->newest;
        result = now - key.made < EVTLS_TICKET_KEY_LIFETIME ? 1 : 2;
    } else if (keys->previous.valid && memcmp(keys->previous.name, name, sizeof(key.name)) == 0) {
        key = keys->previous;
        result = 2;
    }
    pthread_mutex_unlock(&keys->lock);

    if (result > 0 && (EVP_DecryptInit_ex(cipher, keys->cipher, NULL, key.aes, iv) <= 0 ||
                       set_mac_key(mac, &key) < 0))
        result = -1;
    OPENSSL_cleanse(&key, sizeof(key));
    return result;
}
