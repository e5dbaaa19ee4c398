/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "input.h"

#define FIRST_READ 4096u /* where the size is not known: a pipe, a file of /proc */
#define NAME_SHOWN 256u

static void set_name(struct evtls_input *input, const char *path)
{
    size_t len = strlen(path);

    /* The end of a long path says more than its beginning. */
    if (len > NAME_SHOWN)
        snprintf(input->name, sizeof(input->name), "'...%s'", path + len - NAME_SHOWN);
    else
        snprintf(input->name, sizeof(input->name), "'%s'", path);
}

void evtls_input_from_data(struct evtls_input *input, const char *name, const void *bytes,
                           size_t len)
{
    memset(input, 0, sizeof(*input));
    snprintf(input->name, sizeof(input->name), "%s", name);
    input->bytes = bytes;
    input->len = len;
}

void evtls_input_cleanup(struct evtls_input *input)
{
    if (input->owned != NULL) {
        OPENSSL_cleanse(input->owned, input->owned_size);
        free(input->owned);
    }
    memset(input, 0, sizeof(*input));
}

/* Not realloc: it would leave a copy behind. */
static int grow(struct evtls_input *input, size_t size)
{
    unsigned char *bytes = malloc(size);

    if (bytes == NULL)
        return -1;
    if (input->owned != NULL) {
        memcpy(bytes, input->owned, input->len);
        OPENSSL_cleanse(input->owned, input->owned_size);
        free(input->owned);
    }
    input->owned = bytes;
    input->bytes = bytes;
    input->owned_size = size;
    return 0;
}

static int too_large(const struct evtls_input *input, struct evtls_error *err)
{
    return evtls_error_set_errno(err, EVTLS_ERR_CONFIG, EFBIG, "%s has more than 8 MB",
                                 input->name);
}

/* One byte more than the size is asked for, so that the end shows without another growth. */
static int read_all(struct evtls_input *input, int fd, size_t size_hint, struct evtls_error *err)
{
    if (grow(input, size_hint + 1) != 0)
        return evtls_error_set_nomem(err);
    for (;;) {
        ssize_t got = read(fd, input->owned + input->len, input->owned_size - input->len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return evtls_error_set_errno(err, EVTLS_ERR_CONFIG, errno, "%s", input->name);
        if (got == 0)
            return evtls_error_set_ok(err);
        input->len += (size_t)got;
        if (input->len > EVTLS_INPUT_MAX_BYTES)
            return too_large(input, err);
        if (input->len == input->owned_size && grow(input, 2 * input->owned_size) != 0)
            return evtls_error_set_nomem(err);
    }
}

/* Takes fd over. */
static int read_open_file(struct evtls_input *input, int fd, struct evtls_error *err)
{
    struct stat st;
    int status;

    if (fstat(fd, &st) != 0) {
        status = evtls_error_set_errno(err, EVTLS_ERR_CONFIG, errno, "%s", input->name);
    } else if (S_ISDIR(st.st_mode)) {
        status = evtls_error_set_errno(err, EVTLS_ERR_CONFIG, EISDIR, "%s", input->name);
    } else if (S_ISREG(st.st_mode) && st.st_size > (off_t)EVTLS_INPUT_MAX_BYTES) {
        status = too_large(input, err);
    } else {
        size_t hint = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : FIRST_READ;

        status = read_all(input, fd, hint, err);
    }
    close(fd);
    if (status != EVTLS_OK)
        evtls_input_cleanup(input);
    return status;
}

int evtls_input_read_file(struct evtls_input *input, const char *path, struct evtls_error *err)
{
    int fd;

    evtls_input_from_data(input, "", NULL, 0);
    set_name(input, path);
    /* Non-blocking for the open alone, which would wait for somebody to write into a FIFO. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return evtls_error_set_errno(err, EVTLS_ERR_CONFIG, errno, "%s", input->name);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return read_open_file(input, fd, err);
}
