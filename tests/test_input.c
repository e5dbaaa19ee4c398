#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"
#include "support/suite.h"
#include "support/tmpdir.h"

static struct tmpdir *dir;

static void set_up(void)
{
    dir = tmpdir_new();
}

static void tear_down(void)
{
    tmpdir_free(dir);
}

static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000, EVTLS_INPUT_MAX_BYTES};

START_TEST(input__a_file_is_read_whole)
{
    size_t size = sizes[_i];
    char *data = malloc(size + 1);
    struct evtls_input input;
    struct evtls_error err;

    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 7 + i / 256);
    ck_assert_int_eq(evtls_input_read_file(&input, tmpdir_write(dir, "f", data, size), &err), 0);
    ck_assert_uint_eq(input.len, size);
    ck_assert_int_eq(memcmp(input.bytes, data, size), 0);
    ck_assert_ptr_nonnull(strstr(input.name, tmpdir_path(dir, "f")));
    evtls_input_cleanup(&input);
    ck_assert_ptr_null(input.bytes);
    free(data);
}
END_TEST

/* Where the size is not known: a pipe that is filled in pieces, as `<(command)` of a shell is. */
START_TEST(input__a_pipe_is_read_to_its_end)
{
    struct evtls_input input;
    struct evtls_error err;
    char path[64];
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    if (fork() == 0) {
        static char block[10000];

        memset(block, 'x', sizeof(block));
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq((int)write(fds[1], block, sizeof(block)), (int)sizeof(block));
            usleep(2000);
        }
        _exit(0);
    }
    snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
    if (access(path, R_OK) != 0) {
        test_skip("no /dev/fd");
        return;
    }
    /* The child has its own copy of the other end. */
    close(fds[1]);
    ck_assert_int_eq(evtls_input_read_file(&input, path, &err), 0);
    ck_assert_uint_eq(input.len, 30000);
    evtls_input_cleanup(&input);
    close(fds[0]);
}
END_TEST

static const struct {
    const char *label, *name;
    int sys_errno;
} refused[] = {
    {"B1 missing", "none", ENOENT},      {"B1 directory", "dir", EISDIR},
    {"B1 unreadable", "secret", EACCES}, {"in a file", "secret/x", ENOTDIR},
    {"too large", "large", EFBIG},       {"endless", "/dev/zero", EFBIG},
};

START_TEST(input__a_refusal_names_file_and_reason)
{
    const char *path =
        refused[_i].name[0] == '/' ? refused[_i].name : tmpdir_path(dir, refused[_i].name);
    struct evtls_input input;
    struct evtls_error err;

    if (refused[_i].sys_errno == EACCES && geteuid() == 0) {
        test_skip("root may read everything");
        return;
    }
    tmpdir_mkdir(dir, "dir");
    chmod(tmpdir_write_text(dir, "secret", "x"), 0);
    ck_assert_int_eq(truncate(tmpdir_write_text(dir, "large", ""), EVTLS_INPUT_MAX_BYTES + 1), 0);
    ck_assert_int_eq(evtls_input_read_file(&input, path, &err), EVTLS_ERR_CONFIG);
    ck_assert_msg(err.sys_errno == refused[_i].sys_errno, "%s: %s", refused[_i].label, err.message);
    ck_assert_msg(strstr(err.message, path) != NULL, "%s: %s", refused[_i].label, err.message);
}
END_TEST

START_TEST(input__a_fifo_that_nobody_fills_is_empty)
{
    struct evtls_input input;
    const char *path = tmpdir_path(dir, "fifo");

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(evtls_input_read_file(&input, path, NULL), 0);
    ck_assert_uint_eq(input.len, 0);
    evtls_input_cleanup(&input);
}
END_TEST

/* The reason must stay in sight behind a long path. */
START_TEST(input__a_long_path_is_shown_by_its_end)
{
    struct evtls_input input;
    struct evtls_error err;
    char path[2000] = "";

    while (strlen(path) < 1900)
        strcat(path, "/a-folder");
    ck_assert_int_eq(evtls_input_read_file(&input, path, &err), EVTLS_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "a-folder': No such file or directory"));
}
END_TEST

START_TEST(input__data_is_borrowed)
{
    struct evtls_input input;

    evtls_input_from_data(&input, "cert", "abc", 3);
    ck_assert_uint_eq(input.len, 3);
    ck_assert_str_eq(input.name, "cert");
    evtls_input_cleanup(&input);
}
END_TEST

static Suite *input_suite(void)
{
    Suite *suite = suite_create("input");
    TCase *tcase = tcase_create("input");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, input__a_file_is_read_whole, 0, COUNT(sizes));
    tcase_add_test(tcase, input__a_pipe_is_read_to_its_end);
    tcase_add_loop_test(tcase, input__a_refusal_names_file_and_reason, 0, COUNT(refused));
    tcase_add_test(tcase, input__a_fifo_that_nobody_fills_is_empty);
    tcase_add_test(tcase, input__a_long_path_is_shown_by_its_end);
    tcase_add_test(tcase, input__data_is_borrowed);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(input_suite());
}
