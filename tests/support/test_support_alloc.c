/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "alloc_faults.h"
#include "peer.h"
#include "suite.h"

static unsigned each_source(void)
{
    struct evbuffer *buffer = evbuffer_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *volatile text = strdup("text");
    unsigned made = (buffer != NULL) + (bio != NULL) + (text != NULL);

    if (buffer != NULL)
        evbuffer_free(buffer);
    BIO_free(bio);
    free(text);
    return made;
}

START_TEST(alloc__all_sources_are_counted)
{
    struct alloc_result result;
    unsigned made;

    alloc_faults_begin(ALLOC_COUNT, 0);
    made = each_source();
    result = alloc_faults_end();
    ck_assert_uint_eq(made, 3);
    ck_assert_uint_eq(result.failed, 0);
    ck_assert_uint_ge(result.seen, 3);
    for (unsigned source = 1; source <= ALLOC_PROGRAM; source *= 2) {
        alloc_faults_select(source);
        alloc_faults_begin(ALLOC_COUNT, 0);
        each_source();
        result = alloc_faults_end();
        ck_assert_uint_ge(result.seen, 1);
        alloc_faults_begin(ALLOC_FAIL_AT, 1);
        made = each_source();
        result = alloc_faults_end();
        ck_assert_uint_eq(made, 2);
        ck_assert_uint_eq(result.failed, 1);
    }
    alloc_faults_select(ALLOC_PROGRAM);
    alloc_faults_begin(ALLOC_COUNT, 0);
    each_source();
    ck_assert_uint_eq(alloc_faults_end().seen, 1);
}
END_TEST

START_TEST(alloc__program_functions_all_fail)
{
    char *volatile texts[4];
    char *printed;
    int len;

    alloc_faults_begin(ALLOC_FAIL_FROM, 2);
    texts[0] = malloc(8);
    texts[1] = calloc(2, 8);
    texts[2] = strndup("text", 2);
    texts[3] = realloc(NULL, 8);
    len = asprintf(&printed, "%s", "text");
    ck_assert_uint_eq(alloc_faults_end().failed, 4);
    ck_assert_ptr_nonnull(texts[0]);
    for (int i = 1; i < 4; i++)
        ck_assert_ptr_null(texts[i]);
    ck_assert_int_eq(len, -1);
    free(texts[0]);
}
END_TEST

START_TEST(alloc__pause_and_end_stop_it)
{
    void *volatile during, *volatile after;

    alloc_faults_begin(ALLOC_FAIL_FROM, 1);
    alloc_faults_pause();
    alloc_faults_pause();
    alloc_faults_resume();
    during = malloc(1);
    alloc_faults_resume();
    after = malloc(1);
    ck_assert_uint_eq(alloc_faults_end().seen, 1);
    ck_assert_ptr_nonnull(during);
    ck_assert_ptr_null(after);
    free(during);
    after = malloc(1);
    ck_assert_ptr_nonnull(after);
    free(after);
}
END_TEST

static void *in_thread(void *arg)
{
    return strdup("text");
}

START_TEST(alloc__other_threads_are_not_hit)
{
    pthread_t thread;
    void *text;

    ck_assert_int_eq(pthread_create(&thread, NULL, in_thread, NULL), 0);
    alloc_faults_begin(ALLOC_FAIL_FROM, 1);
    pthread_join(thread, &text);
    alloc_faults_end();
    ck_assert_ptr_nonnull(text);
    free(text);
}
END_TEST

/* Every allocation of OpenSSL in making a context, one after the other. */
START_TEST(alloc__every_n_is_reached)
{
    struct alloc_result result = {.failed = 1};
    uint64_t total, n;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    SSL_CTX_free(ctx);
    alloc_faults_begin(ALLOC_COUNT, 0);
    ctx = SSL_CTX_new(TLS_method());
    total = alloc_faults_end().seen;
    SSL_CTX_free(ctx);
    ck_assert_uint_gt(total, 10);
    for (n = 1; result.failed > 0; n++) {
        alloc_faults_begin(ALLOC_FAIL_AT, n);
        ctx = SSL_CTX_new(TLS_method());
        result = alloc_faults_end();
        SSL_CTX_free(ctx);
        ERR_clear_error();
        ck_assert_uint_le(result.failed, 1);
    }
    ck_assert_uint_ge(n, total);
}
END_TEST

START_TEST(alloc__peers_are_not_hit)
{
    struct pki *pki = pki_new();
    struct pki_ident *ident = pki_issue(pki, &(struct pki_spec){0});
    struct peer *server, *client;
    struct alloc_result result;

    alloc_faults_begin(ALLOC_FAIL_FROM, 1);
    server = peer_new(&(struct peer_options){.server = true, .ident = ident});
    client = peer_new(&(struct peer_options){.trust = pki_root(pki), .host = "localhost"});
    do {
        peer_step(client);
        peer_transfer(client, server, SIZE_MAX);
        peer_step(server);
    } while (peer_transfer(server, client, SIZE_MAX) > 0);
    peer_write(client, "x", 1);
    peer_key_update(client, true);
    peer_shutdown(client);
    peer_transfer(client, server, SIZE_MAX);
    peer_step(server);
    result = alloc_faults_end();
    ck_assert(peer_is_open(client) && peer_is_open(server));
    ck_assert_uint_eq(result.seen, 0);
    peer_free(client);
    peer_free(server);
    pki_free(pki);
}
END_TEST

static Suite *support_alloc_suite(void)
{
    Suite *suite = suite_create("support_alloc");
    TCase *tc = tcase_create("alloc");

    tcase_add_test(tc, alloc__all_sources_are_counted);
    tcase_add_test(tc, alloc__program_functions_all_fail);
    tcase_add_test(tc, alloc__pause_and_end_stop_it);
    tcase_add_test(tc, alloc__other_threads_are_not_hit);
    tcase_add_test(tc, alloc__every_n_is_reached);
    tcase_add_test(tc, alloc__peers_are_not_hit);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    alloc_faults_install();
    return suite_run(support_alloc_suite());
}
