/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <string.h>

#include "support/suite.h"
#include "ticket_keys.h"

#define LIFETIME EVTLS_TICKET_KEY_LIFETIME

/* What a ticket is encrypted and authenticated with. */
struct protection {
    unsigned char name[EVTLS_TICKET_KEY_NAME_LENGTH], iv[EVTLS_TICKET_IV_LENGTH];
    unsigned char encrypted[32], mac[32];
};

static const unsigned char plain[16] = "a session's text";

static void authenticate(EVP_MAC_CTX *mac, const unsigned char *data, unsigned char out[32])
{
    size_t len;

    ck_assert(EVP_MAC_init(mac, NULL, 0, NULL));
    ck_assert(EVP_MAC_update(mac, data, 32));
    ck_assert(EVP_MAC_final(mac, out, &len, 32));
    ck_assert_uint_eq(len, 32);
}

static EVP_MAC_CTX *new_mac(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);

    ck_assert_ptr_nonnull(mac);
    EVP_MAC_free(hmac);
    return mac;
}

static struct protection seal(struct evtls_ticket_keys *keys, int64_t now)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_MAC_CTX *mac = new_mac();
    struct protection p;
    int len;

    ck_assert_int_eq(evtls_ticket_keys_seal(keys, now, p.name, p.iv, cipher, mac), 1);
    ck_assert(EVP_EncryptUpdate(cipher, p.encrypted, &len, plain, sizeof(plain)));
    ck_assert_int_eq(len, 16);
    ck_assert(EVP_EncryptFinal_ex(cipher, p.encrypted + 16, &len));
    authenticate(mac, p.encrypted, p.mac);
    EVP_CIPHER_CTX_free(cipher);
    EVP_MAC_CTX_free(mac);
    return p;
}

/* What evtls_ticket_keys_open answers, and that it opens what was sealed. */
static int open_it(struct evtls_ticket_keys *keys, int64_t now, const struct protection *p)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_MAC_CTX *mac = new_mac();
    int answer = evtls_ticket_keys_open(keys, now, p->name, p->iv, cipher, mac), len;
    unsigned char out[48], code[32];

    if (answer > 0) {
        authenticate(mac, p->encrypted, code);
        ck_assert_mem_eq(code, p->mac, sizeof(code));
        ck_assert(EVP_DecryptUpdate(cipher, out, &len, p->encrypted, sizeof(p->encrypted)));
        ck_assert_mem_eq(out, plain, sizeof(plain));
    }
    EVP_CIPHER_CTX_free(cipher);
    EVP_MAC_CTX_free(mac);
    return answer;
}

START_TEST(ticket_keys__open_what_they_sealed)
{
    struct evtls_ticket_keys *keys = evtls_ticket_keys_new();
    struct protection first = seal(keys, 1000), second = seal(keys, 1001);

    ck_assert_int_eq(open_it(keys, 1000, &first), 1);
    ck_assert_int_eq(open_it(keys, 1000 + LIFETIME - 1, &second), 1);
    ck_assert_mem_eq(first.name, second.name, sizeof(first.name));
    ck_assert_mem_ne(first.iv, second.iv, sizeof(first.iv));
    evtls_ticket_keys_free(keys);
}
END_TEST

START_TEST(ticket_keys__are_replaced_and_forgotten)
{
    struct evtls_ticket_keys *keys = evtls_ticket_keys_new();
    struct protection old = seal(keys, 1000), new;

    new = seal(keys, 1000 + LIFETIME);
    ck_assert_mem_ne(old.name, new.name, sizeof(old.name));
    ck_assert_int_eq(open_it(keys, 1000 + LIFETIME, &old), 2);
    ck_assert_int_eq(open_it(keys, 1000 + LIFETIME, &new), 1);
    ck_assert_int_eq(open_it(keys, 1000 + 2 * LIFETIME - 1, &old), 2);
    ck_assert_int_eq(open_it(keys, 1000 + 2 * LIFETIME, &old), 0);
    ck_assert_int_eq(open_it(keys, 1000 + 2 * LIFETIME, &new), 2);
    seal(keys, 1000 + 2 * LIFETIME);
    seal(keys, 1000 + 3 * LIFETIME);
    ck_assert_int_eq(open_it(keys, 1000 + 3 * LIFETIME, &new), 0);
    evtls_ticket_keys_free(keys);
}
END_TEST

START_TEST(ticket_keys__do_not_age_before_their_first_ticket)
{
    struct evtls_ticket_keys *keys = evtls_ticket_keys_new();
    struct protection late = seal(keys, 100 * LIFETIME);

    ck_assert_int_eq(open_it(keys, 101 * LIFETIME - 1, &late), 1);
    evtls_ticket_keys_free(keys);
}
END_TEST

/* B29 */
START_TEST(ticket_keys__others_are_unknown)
{
    struct evtls_ticket_keys *keys = evtls_ticket_keys_new(), *others = evtls_ticket_keys_new();
    struct protection theirs = seal(others, 1000);

    seal(keys, 1000);
    ck_assert_int_eq(open_it(keys, 1000, &theirs), 0);
    memset(theirs.name, 0, sizeof(theirs.name)); /* the name of a key that is not there yet */
    ck_assert_int_eq(open_it(keys, 1000, &theirs), 0);
    evtls_ticket_keys_free(keys);
    evtls_ticket_keys_free(others);
    evtls_ticket_keys_free(NULL);
}
END_TEST

static Suite *ticket_keys_suite(void)
{
    Suite *suite = suite_create("ticket_keys");
    TCase *tcase = tcase_create("ticket_keys");

    tcase_add_test(tcase, ticket_keys__open_what_they_sealed);
    tcase_add_test(tcase, ticket_keys__are_replaced_and_forgotten);
    tcase_add_test(tcase, ticket_keys__do_not_age_before_their_first_ticket);
    tcase_add_test(tcase, ticket_keys__others_are_unknown);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(ticket_keys_suite());
}
