#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check_main.h"

void test_skip(const char *why)
{
    char line[512];
    int n = snprintf(line, sizeof(line), "\n# SKIP %s\n", why);

    /* One write, so that a forked test never leaves half a line in a shared buffer. */
    if (n < 0 || write(STDOUT_FILENO, line, strlen(line)) < 0) {
        abort();
    }
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : NULL;
    Suite *suite = test_suite();
    SRunner *runner = srunner_create(suite);
    int failed = 0;

    if (wanted && !suite_tcase(suite, wanted)) {
        fprintf(stderr, "%s: no test case \"%s\"\n", argv[0], wanted);
        failed = 1;
    } else {
        srunner_run(runner, NULL, wanted, CK_ENV);
        failed = srunner_ntests_failed(runner);
    }
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
