#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "library.h"
#include "support/suite.h"
#include "support/tmpdir.h"

static struct tmpdir *dir;
static const char *conf_path;

static void set_up(void)
{
    dir = tmpdir_new();
}

static void tear_down(void)
{
    tmpdir_free(dir);
}

/* O19: what OpenSSL refuses is refused by each call, with the file named; the rest is accepted. */
static const struct configuration {
    const char *name, *text;
    int status;
    const char *reason, *detail;
} configurations[] = {
    {"conf-good.cnf", "x = y\n", EVTLS_OK, "", ""},
    {"conf-section.cnf", "openssl_conf = no_such_section\n", EVTLS_OK, "", ""},
    {"conf-missing.cnf", NULL, EVTLS_OK, "", ""},
    {"conf-diag.cnf", "config_diagnostics = 1\nopenssl_conf = no_such_section\n", EVTLS_ERR_CONFIG,
     "OPENSSL_CONF_REFERENCES_MISSING_SECTION", "openssl_conf=no_such_section"},
    {"conf-module.cnf", "config_diagnostics = 1\nopenssl_conf = a\n[a]\nno\\tsuch = zz\n",
     EVTLS_ERR_CONFIG, NULL, "module=no"},
};

static void use_configuration(const struct configuration *row)
{
    if (row->text != NULL)
        tmpdir_write_text(dir, row->name, row->text);
    conf_path = tmpdir_path(dir, row->name);
    ck_assert_int_eq(setenv("OPENSSL_CONF", conf_path, 1), 0);
}

static void check_init(const struct configuration *row)
{
    struct evtls_error err;

    ck_assert_msg(evtls_library_init(&err) == row->status, "%s: %s", row->name, err.message);
    ck_assert_int_eq(err.status, row->status);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    if (row->status == EVTLS_OK)
        return;
    if (row->reason != NULL)
        ck_assert_str_eq(err.reason, row->reason);
    ck_assert_msg(strstr(err.message, conf_path) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, "OPENSSL_CONF") != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, row->detail) != NULL, "%s", err.message);
}

static bool one_process_for_all_tests(void)
{
    const char *fork = getenv("CK_FORK");

    if (fork == NULL || strcmp(fork, "no") != 0)
        return false;
    test_skip("OpenSSL starts once a process, and CK_FORK=no keeps all tests in one");
    return true;
}

START_TEST(library__a_broken_configuration_is_reported_each_time)
{
    if (one_process_for_all_tests())
        return;
    use_configuration(&configurations[_i]);
    for (int i = 0; i < 3; i++)
        check_init(&configurations[_i]);
}
END_TEST

static void *init_in_thread(void *arg)
{
    for (int i = 0; i < 3; i++)
        check_init(arg);
    return NULL;
}

START_TEST(library__a_broken_configuration_is_reported_in_each_thread)
{
    pthread_t threads[4];

    if (one_process_for_all_tests())
        return;
    use_configuration(&configurations[_i]);
    for (size_t i = 0; i < COUNT(threads); i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, init_in_thread, (void *)&configurations[_i]), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
}
END_TEST

static const struct {
    unsigned long built, loaded;
    int status;
} versions[] = {
    {0x30000160L, 0x30000160L, EVTLS_OK},
    {0x30000160L, 0x30500090L, EVTLS_OK},
    {0x30000160L, 0x40000000L, EVTLS_OK},
    {0x30000000L, 0x3000000fL, EVTLS_OK},
    {0x3000000fL, 0x30000000L, EVTLS_OK},
    {0x30000160L, 0x30000150L, EVTLS_ERR_UNSUPPORTED},
    {0x30500000L, 0x30000160L, EVTLS_ERR_UNSUPPORTED},
    {0x40000000L, 0x30600050L, EVTLS_ERR_UNSUPPORTED},
    {0x30000000L, 0x1010117fL, EVTLS_ERR_UNSUPPORTED},
};

START_TEST(library__an_openssl_older_than_the_build_is_refused)
{
    ck_assert_int_eq(evtls_library_check_version(versions[_i].built, versions[_i].loaded, NULL),
                     versions[_i].status);
}
END_TEST

START_TEST(library__the_refusal_says_both_versions)
{
    struct evtls_error err;

    evtls_library_check_version(0x30500090L, 0x30000160L, &err);
    ck_assert_str_eq(err.message, "OpenSSL 3.0.22 is loaded, but evtls was compiled with 3.5.9 and "
                                  "needs that or a later one");
}
END_TEST

static Suite *library_suite(void)
{
    Suite *suite = suite_create("library");
    TCase *tcase = tcase_create("library");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, library__a_broken_configuration_is_reported_each_time, 0,
                        COUNT(configurations));
    tcase_add_loop_test(tcase, library__a_broken_configuration_is_reported_in_each_thread, 0,
                        COUNT(configurations));
    tcase_add_loop_test(tcase, library__an_openssl_older_than_the_build_is_refused, 0,
                        COUNT(versions));
    tcase_add_test(tcase, library__the_refusal_says_both_versions);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(library_suite());
}
