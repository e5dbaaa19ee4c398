/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdio.h>

#include <evtls/version.h>

#include "support/suite.h"

START_TEST(version__is_that_of_the_package)
{
    ck_assert_str_eq(evtls_version(), PACKAGE_VERSION);
}
END_TEST

START_TEST(version__text_and_number_agree)
{
    uint32_t number = evtls_version_number();
    char text[32];

    snprintf(text, sizeof(text), "%u.%u.%u", (unsigned)(number >> 24),
             (unsigned)(number >> 16 & 0xff), (unsigned)(number >> 8 & 0xff));
    ck_assert_str_eq(text, evtls_version());
    ck_assert_uint_eq(number & 0xff, 0);
}
END_TEST

START_TEST(version__header_and_library_agree)
{
    ck_assert_str_eq(evtls_version(), EVTLS_VERSION);
    ck_assert_uint_eq(evtls_version_number(), EVTLS_VERSION_NUMBER);
}
END_TEST

static Suite *version_suite(void)
{
    Suite *suite = suite_create("version");
    TCase *tcase = tcase_create("version");

    tcase_add_test(tcase, version__is_that_of_the_package);
    tcase_add_test(tcase, version__text_and_number_agree);
    tcase_add_test(tcase, version__header_and_library_agree);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(version_suite());
}
