/* SPDX-License-Identifier: BSD-3-Clause */
#include "seal.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>

#include "require.h"

#define TAG_LEN 16
#define MAX_PLAIN 65400

struct seal {
    struct peer *peer;
    bool tls13;
    const EVP_CIPHER *cipher;
    const EVP_MD *md;
    uint64_t sequence;
    unsigned char secret[EVP_MAX_MD_SIZE];
    size_t secret_len;
    unsigned char key[EVP_MAX_KEY_LENGTH];
    unsigned char iv[12]; /* TLS 1.2: the first four */
};

static void derive(const char *kdf_name, OSSL_PARAM *params, unsigned char *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, kdf_name, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

    support_require(EVP_KDF_derive(ctx, out, len, params) == 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

/* RFC 8446, 7.1: HKDF-Expand-Label without a context. */
static void expand_label(const struct seal *seal, const char *label, unsigned char *out, size_t len)
{
    unsigned char info[64] = {(unsigned char)(len >> 8), (unsigned char)len,
                              (unsigned char)(6 + strlen(label))};
    size_t info_len = 3 + 6 + strlen(label) + 1;
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM params[5];

    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, strlen(label));
    params[0] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                                 (char *)EVP_MD_get0_name(seal->md), 0);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)seal->secret,
                                                  seal->secret_len);
    params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len);
    params[4] = OSSL_PARAM_construct_end();
    derive("HKDF", params, out, len);
}

static void set_tls13_keys(struct seal *seal)
{
    expand_label(seal, "key", seal->key, (size_t)EVP_CIPHER_get_key_length(seal->cipher));
    expand_label(seal, "iv", seal->iv, sizeof seal->iv);
    seal->sequence = 0;
}

/* RFC 5246, 6.3, and RFC 5288, 3: no MAC keys, a key and four bytes of the nonce for each side. */
static void set_tls12_keys(struct seal *seal)
{
    SSL *ssl = peer_ssl(seal->peer);
    size_t key_len = (size_t)EVP_CIPHER_get_key_length(seal->cipher);
    bool server = SSL_is_server(ssl) == 1;
    char label[] = "key expansion";
    unsigned char master[48], seed[64], block[2 * EVP_MAX_KEY_LENGTH + 8];
    OSSL_PARAM params[5];

    support_require(SSL_SESSION_get_master_key(SSL_get_session(ssl), master, 48) == 48);
    SSL_get_server_random(ssl, seed, 32);
    SSL_get_client_random(ssl, seed + 32, 32);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                                 (char *)EVP_MD_get0_name(seal->md), 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, 48);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label, strlen(label));
    params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, 64);
    params[4] = OSSL_PARAM_construct_end();
    derive("TLS1-PRF", params, block, 2 * key_len + 8);
    memcpy(seal->key, block + (server ? key_len : 0), key_len);
    memcpy(seal->iv, block + 2 * key_len + (server ? 4 : 0), 4);
    seal->sequence = 1; /* Finished was the first record */
}

struct seal *seal_new(struct peer *peer)
{
    struct seal *seal = calloc(1, sizeof *seal);
    SSL *ssl = peer_ssl(peer);
    const SSL_CIPHER *suite = SSL_get_current_cipher(ssl);

    support_require(seal != NULL && peer_is_open(peer));
    seal->peer = peer;
    seal->tls13 = SSL_version(ssl) == TLS1_3_VERSION;
    seal->cipher = EVP_get_cipherbynid(SSL_CIPHER_get_cipher_nid(suite));
    seal->md = SSL_CIPHER_get_handshake_digest(suite);
    support_require(seal->cipher != NULL && EVP_CIPHER_get_mode(seal->cipher) == EVP_CIPH_GCM_MODE);
    if (seal->tls13) {
        seal->secret_len = peer_traffic_secret(peer, seal->secret, sizeof seal->secret);
        support_require(seal->secret_len == (size_t)EVP_MD_get_size(seal->md));
        set_tls13_keys(seal);
    } else {
        set_tls12_keys(seal);
    }
    return seal;
}

void seal_free(struct seal *seal)
{
    free(seal);
}

static void put_sequence(unsigned char *out, uint64_t sequence)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(sequence >> (8 * (7 - i)));
}

static void put_length(unsigned char *out, size_t len)
{
    out[0] = (unsigned char)(len >> 8);
    out[1] = (unsigned char)len;
}

/* out: ciphertext and tag. */
static void encrypt(const struct seal *seal, const unsigned char nonce[12],
                    const unsigned char *aad, size_t aad_len, const unsigned char *plain,
                    size_t len, unsigned char *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;

    support_require(EVP_EncryptInit_ex(ctx, seal->cipher, NULL, seal->key, nonce) == 1);
    support_require(EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1);
    support_require(EVP_EncryptUpdate(ctx, out, &n, plain, (int)len) == 1);
    support_require(EVP_EncryptFinal_ex(ctx, out + len, &n) == 1);
    support_require(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, out + len) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

/* RFC 8446, 5.2 and 5.3. record has room; returns its length. */
static size_t seal_tls13(const struct seal *seal, const unsigned char *inner, size_t inner_len,
                         unsigned char *record)
{
    unsigned char nonce[12] = {0};

    put_sequence(nonce + 4, seal->sequence);
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] ^= seal->iv[i];
    memcpy(record, "\x17\x03\x03", 3);
    put_length(record + 3, inner_len + TAG_LEN);
    encrypt(seal, nonce, record, 5, inner, inner_len, record + 5);
    return 5 + inner_len + TAG_LEN;
}

/* RFC 5246, 6.2.3.3, and RFC 5288, 3: the sequence number serves as the explicit nonce. */
static size_t seal_tls12(const struct seal *seal, uint8_t type, const unsigned char *plain,
                         size_t len, unsigned char *record)
{
    unsigned char nonce[12], aad[13];

    memcpy(nonce, seal->iv, 4);
    put_sequence(nonce + 4, seal->sequence);
    put_sequence(aad, seal->sequence);
    aad[8] = type;
    memcpy(aad + 9, "\x03\x03", 2);
    put_length(aad + 11, len);
    record[0] = type;
    memcpy(record + 1, "\x03\x03", 2);
    put_length(record + 3, 8 + len + TAG_LEN);
    memcpy(record + 5, nonce + 4, 8);
    encrypt(seal, nonce, aad, sizeof aad, plain, len, record + 13);
    return 13 + len + TAG_LEN;
}

static void send_record(struct seal *seal, uint8_t type, const void *data, size_t len, size_t pad,
                        bool broken)
{
    unsigned char *plain = calloc(1, MAX_PLAIN);
    unsigned char *record = malloc(MAX_PLAIN + 64);
    size_t record_len;

    support_require(plain != NULL && record != NULL && len + 1 + pad <= MAX_PLAIN);
    if (len > 0)
        memcpy(plain, data, len);
    plain[len] = type;
    if (seal->tls13)
        record_len = seal_tls13(seal, plain, len + 1 + pad, record);
    else
        record_len = seal_tls12(seal, type, plain, len, record);
    if (broken)
        record[record_len - 1] ^= 1;
    peer_inject(seal->peer, record, record_len);
    seal->sequence++;
    free(plain);
    free(record);
}

void seal_record(struct seal *seal, uint8_t type, const void *data, size_t len)
{
    send_record(seal, type, data, len, 0, false);
}

void seal_padded_record(struct seal *seal, uint8_t type, const void *data, size_t len, size_t pad)
{
    support_require(seal->tls13);
    send_record(seal, type, data, len, pad, false);
}

void seal_broken_record(struct seal *seal, uint8_t type, const void *data, size_t len)
{
    send_record(seal, type, data, len, 0, true);
}

void seal_key_update(struct seal *seal, bool request)
{
    unsigned char message[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, request};
    unsigned char next[EVP_MAX_MD_SIZE];

    support_require(seal->tls13);
    seal_record(seal, SSL3_RT_HANDSHAKE, message, sizeof message);
    expand_label(seal, "traffic upd", next, seal->secret_len);
    memcpy(seal->secret, next, seal->secret_len);
    set_tls13_keys(seal);
}
