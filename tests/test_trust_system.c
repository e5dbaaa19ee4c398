#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "library.h"
#include "support/pki.h"
#include "support/suite.h"
#include "support/tmpdir.h"
#include "support/trust_verify.h"
#include "trust.h"

static struct pki *pki;
static struct tmpdir *dir;
static struct pki_ident *leaf, *foreign;

static void set_up(void)
{
    ck_assert_int_eq(evtls_library_init(NULL), 0);
    pki = pki_new();
    leaf = pki_issue(pki, &(struct pki_spec){0});
    foreign = pki_issue(pki, &(struct pki_spec){.by = PKI_BY_OTHER});
}

static void tear_down(void)
{
    pki_free(pki);
}

static void make_dir(void)
{
    dir = tmpdir_new();
    setenv("SSL_CERT_FILE", tmpdir_path(dir, "none.pem"), 1);
    setenv("SSL_CERT_DIR", tmpdir_path(dir, "none"), 1);
}

static void free_dir(void)
{
    tmpdir_free(dir);
}

/* R the root, O the other root, c the root cut, b and e something broken, x no PEM. */
static const char *content_of(const char *pattern)
{
    static char text[65536];
    const char *root = pki_cert_pem(pki_root(pki));
    char *end = text;

    *end = '\0';
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == 'R')
            end = stpcpy(end, root);
        else if (*pattern == 'O')
            end = stpcpy(end, pki_cert_pem(pki_other_root(pki)));
        else if (*pattern == 'c')
            end += sprintf(end, "%.*s", (int)(strstr(root, "-----END") - root), root);
        else if (*pattern == 'b')
            end = stpcpy(end, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        else if (*pattern == 'e')
            end = stpcpy(end, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END C\n");
        else
            end = stpcpy(end, "no PEM\n");
    }
    return text;
}

static struct evtls_trust *load_system(const char *pattern)
{
    struct evtls_trust *trust = NULL;
    struct evtls_error err;
    const char *path = tmpdir_path(dir, "system.pem");

    if (pattern != NULL) {
        path = tmpdir_write_text(dir, "system.pem", content_of(pattern));
        setenv("SSL_CERT_FILE", path, 1);
    }
    ck_assert_msg(evtls_trust_add_system(&trust, &err) == 0, "%s", err.message);
    return trust;
}

START_TEST(trust_system__is_parsed_once_and_shared)
{
    struct evtls_trust *one = load_system("R"), *two = load_system(NULL), *three;

    ck_assert_ptr_eq(one, two);
    ck_assert_int_eq(trust_verify(one, leaf, 0), X509_V_OK);
    evtls_trust_free(two);

    /* Another content, another store; the old one stays for those who have it. */
    three = load_system("OOO");
    ck_assert_ptr_ne(one, three);
    ck_assert_int_ne(trust_verify(three, leaf, 0), X509_V_OK);
    ck_assert_int_eq(trust_verify(one, leaf, 0), X509_V_OK);
    evtls_trust_free(one);
    evtls_trust_free(three);
}
END_TEST

START_TEST(trust_system__is_copied_when_more_is_added)
{
    struct evtls_trust *shared = load_system("R"), *own = load_system(NULL), *reverse;
    const char *other = pki_cert_pem(pki_other_root(pki));
    unsigned char one[EVTLS_TRUST_DIGEST_LENGTH], two[EVTLS_TRUST_DIGEST_LENGTH];

    ck_assert_int_eq(evtls_trust_add_data(&own, other, strlen(other), NULL), 0);
    ck_assert_int_eq(trust_verify(own, foreign, 0), X509_V_OK);
    ck_assert_int_eq(trust_verify(own, leaf, 0), X509_V_OK);
    ck_assert_int_ne(trust_verify(shared, foreign, 0), X509_V_OK);

    reverse = NULL;
    ck_assert_int_eq(evtls_trust_add_data(&reverse, other, strlen(other), NULL), 0);
    ck_assert_int_eq(evtls_trust_add_system(&reverse, NULL), 0);
    ck_assert_int_eq(trust_verify(reverse, leaf, 0), X509_V_OK);
    evtls_trust_get_digest(own, one);
    evtls_trust_get_digest(reverse, two);
    ck_assert_int_eq(memcmp(one, two, sizeof(one)), 0);
    evtls_trust_free(reverse);
    evtls_trust_free(shared);
    evtls_trust_free(own);
}
END_TEST

static void *load_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        struct evtls_trust *trust = NULL;

        if (evtls_trust_add_system(&trust, NULL) != 0 ||
            evtls_trust_get_num_certificates(trust) != 1)
            abort();
        evtls_trust_free(trust);
    }
    return NULL;
}

/* One thread replaces the file meanwhile by another with as many certificates. */
START_TEST(trust_system__threads_load_it_at_once)
{
    const char *path = tmpdir_path(dir, "system.pem"), *next;
    pthread_t threads[4];

    evtls_trust_free(load_system("R"));
    for (size_t i = 0; i < COUNT(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, load_often, NULL), 0);
    for (int i = 0; i < 10; i++) {
        next = tmpdir_write_text(dir, "next.pem", content_of(i % 2 ? "R" : "O"));
        ck_assert_int_eq(rename(next, path), 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
}
END_TEST

static const struct {
    const char *label, *pattern;
    size_t certificates;
} systems[] = {
    {"missing", NULL, 0},     {"empty", "", 0},      {"garbage", "x", 0},
    {"bad one", "ObR", 2},    {"cut one", "OcR", 2}, {"cut at the end", "Rc", 1},
    {"damaged END", "eR", 1},
};

START_TEST(trust_system__leaves_out_what_it_cannot_read)
{
    struct evtls_trust *trust;

    setenv("SSL_CERT_FILE", tmpdir_path(dir, "none.pem"), 1);
    trust = load_system(systems[_i].pattern);
    ck_assert_msg(evtls_trust_get_num_certificates(trust) == systems[_i].certificates, "%s: %zu",
                  systems[_i].label, evtls_trust_get_num_certificates(trust));
    ck_assert_int_eq(evtls_trust_is_empty(trust), systems[_i].certificates == 0);
    evtls_trust_free(trust);
}
END_TEST

START_TEST(trust_system__directories_are_a_list)
{
    struct evtls_trust *trust;
    char list[1024], name[64];

    snprintf(list, sizeof(list), "%s:%s", tmpdir_mkdir(dir, "a"), tmpdir_mkdir(dir, "b"));
    setenv("SSL_CERT_DIR", list, 1);
    setenv("SSL_CERT_FILE", tmpdir_path(dir, "none.pem"), 1);
    trust = load_system(NULL);
    ck_assert(evtls_trust_is_empty(trust));
    snprintf(name, sizeof(name), "b/%08lx.0",
             X509_NAME_hash_ex(X509_get_subject_name(pki_cert(pki_root(pki))), NULL, NULL, NULL));
    tmpdir_write_text(dir, name, pki_cert_pem(pki_root(pki)));
    ck_assert(!evtls_trust_is_empty(trust));
    ck_assert_int_eq(trust_verify(trust, leaf, 0), X509_V_OK);
    evtls_trust_free(trust);
}
END_TEST

static Suite *trust_system_suite(void)
{
    Suite *suite = suite_create("trust_system");
    TCase *tcase = tcase_create("trust_system");

    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_checked_fixture(tcase, make_dir, free_dir);
    tcase_add_test(tcase, trust_system__is_parsed_once_and_shared);
    tcase_add_test(tcase, trust_system__is_copied_when_more_is_added);
    tcase_add_test(tcase, trust_system__threads_load_it_at_once);
    tcase_add_loop_test(tcase, trust_system__leaves_out_what_it_cannot_read, 0, COUNT(systems));
    tcase_add_test(tcase, trust_system__directories_are_a_list);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(trust_system_suite());
}
