/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "error.h"
#include "utf8.h"

/* ---- Names ------------------------------------------------------------------------------ */

const char *evtls_status_name(int status)
{
    switch (status) {
#define STATUS_NAME(value, name, text)                                                             \
    case value:                                                                                    \
        return #name;
        EVTLS_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
    }
    return "ERR_UNKNOWN";
}

const char *evtls_status_text(int status)
{
    switch (status) {
#define STATUS_TEXT(value, name, text)                                                             \
    case value:                                                                                    \
        return text;
        EVTLS_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

const char *evtls_alert_name(int alert)
{
    switch (alert) {
#define ALERT_NAME(value, name, text)                                                              \
    case value:                                                                                    \
        return text;
        EVTLS_ALERT_MAP(ALERT_NAME)
#undef ALERT_NAME
    }
    return "unknown_alert";
}

/* ---- Life and members ------------------------------------------------------------------- */

void evtls_error_init(struct evtls_error *err)
{
    if (err == NULL)
        return;
    memset(err, 0, sizeof(*err));
    err->status = EVTLS_OK;
    err->alert = -1;
}

struct evtls_error *evtls_error_new(const struct evtls_error *src)
{
    struct evtls_error *err = malloc(sizeof(*err));

    if (err == NULL)
        return NULL;
    if (src != NULL)
        *err = *src;
    else
        evtls_error_init(err);
    return err;
}

void evtls_error_free(struct evtls_error *err)
{
    free(err);
}

int evtls_error_get_status(const struct evtls_error *err)
{
    return err != NULL ? (int)err->status : (int)EVTLS_OK;
}

int evtls_error_get_sys_errno(const struct evtls_error *err)
{
    return err != NULL ? err->sys_errno : 0;
}

int evtls_error_get_resolve_code(const struct evtls_error *err)
{
    return err != NULL ? err->resolve_code : 0;
}

int evtls_error_get_verify_code(const struct evtls_error *err)
{
    return err != NULL ? err->verify_code : 0;
}

int evtls_error_get_alert(const struct evtls_error *err)
{
    return err != NULL ? err->alert : -1;
}

unsigned long evtls_error_get_ossl_code(const struct evtls_error *err)
{
    return err != NULL ? err->ossl_code : 0;
}

const char *evtls_error_get_library(const struct evtls_error *err)
{
    return err != NULL ? err->library : "";
}

const char *evtls_error_get_reason(const struct evtls_error *err)
{
    return err != NULL ? err->reason : "";
}

const char *evtls_error_get_message(const struct evtls_error *err)
{
    return err != NULL ? err->message : "";
}

int evtls_error_copy(struct evtls_error *dst, const struct evtls_error *src)
{
    if (dst == src)
        return evtls_error_get_status(src);
    if (src == NULL)
        return evtls_error_set_ok(dst);
    if (dst != NULL)
        *dst = *src;
    return src->status;
}

/* ---- Messages --------------------------------------------------------------------------- */

/* Room for a message before its unprintable bytes are spelled out. */
#define DRAFT_SIZE 1024

static const char cut_mark[] = "...";

/* Writes one byte as \xHH. */
static void put_hex(char out[4], unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 0xf];
}

/*
 * Copies a draft into a message so that it is one printable line of UTF-8 whatever a file name or
 * a library's text brought in. A message that does not fit ends in "...", never within a character.
 */
static void finish_message(char *message, size_t size, const char *draft, const char *if_empty)
{
    size_t used = 0, last_fit = 0;

    if (*draft == '\0')
        draft = if_empty;
    while (*draft != '\0') {
        size_t in = evtls_utf8_printable((const unsigned char *)draft, strlen(draft));
        size_t out = in != 0 ? in : 4;

        if (used + out >= size) {
            memcpy(message + last_fit, cut_mark, sizeof(cut_mark));
            return;
        }
        if (in != 0)
            memcpy(message + used, draft, in);
        else
            put_hex(message + used, (unsigned char)*draft);
        used += out;
        draft += in != 0 ? in : 1;
        if (used + sizeof(cut_mark) <= size)
            last_fit = used;
    }
    message[used] = '\0';
}

char *evtls_escape(char *dst, size_t size, const char *src, size_t len)
{
    size_t used = 0;

    if (size == 0)
        return dst;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)src[i];
        bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\';

        if (used + (plain ? 1 : 4) >= size)
            break;
        if (plain)
            dst[used++] = (char)byte;
        else {
            put_hex(dst + used, byte);
            used += 4;
        }
    }
    dst[used] = '\0';
    return dst;
}

void evtls_copy_cut(char *dst, size_t size, const char *text)
{
    const size_t escape = strlen("\\xHH");
    size_t len = strlen(text), end;

    if (len >= size) {
        len = end = size > sizeof(cut_mark) ? size - sizeof(cut_mark) : 0;
        for (size_t i = end; i > 0 && end - i < escape - 1; i--) {
            if (text[i - 1] == '\\')
                len = i - 1;
        }
    }
    snprintf(dst, size, "%.*s%s", (int)len, text, text[len] != '\0' ? cut_mark : "");
}

EVTLS_PRINTF(2, 0)
static void format_draft(char draft[DRAFT_SIZE], const char *fmt, va_list args)
{
    if (vsnprintf(draft, DRAFT_SIZE, fmt, args) < 0)
        draft[0] = '\0';
}

/* The text of errno whichever strerror_r the C library has: GNU's returns it, POSIX's fills buf. */
static const char *errno_text_posix(int result, const char *buf)
{
    return result == 0 ? buf : "unknown error";
}

static const char *errno_text_gnu(char *result, const char *buf)
{
    (void)buf;
    return result;
}

#define ERRNO_TEXT(call, buf)                                                                      \
    _Generic((call), int : errno_text_posix, char * : errno_text_gnu)(call, buf)

static void append_errno(char draft[DRAFT_SIZE], int sys_errno)
{
    char buf[128] = "";
    size_t len = strlen(draft);
    const char *text = ERRNO_TEXT(strerror_r(sys_errno, buf, sizeof(buf)), buf);

    snprintf(draft + len, DRAFT_SIZE - len, "%s%s", len > 0 ? ": " : "", text);
}

/* ---- Setting ---------------------------------------------------------------------------- */

int evtls_error_set_ok(struct evtls_error *err)
{
    evtls_error_init(err);
    return EVTLS_OK;
}

int evtls_error_set(struct evtls_error *err, enum evtls_status status, const char *fmt, ...)
{
    char draft[DRAFT_SIZE];
    va_list args;

    if (err == NULL)
        return status;
    evtls_error_init(err);
    err->status = status;
    va_start(args, fmt);
    format_draft(draft, fmt, args);
    va_end(args);
    finish_message(err->message, sizeof(err->message), draft, evtls_status_text(err->status));
    return status;
}

int evtls_error_set_errno(struct evtls_error *err, enum evtls_status status, int sys_errno,
                          const char *fmt, ...)
{
    char draft[DRAFT_SIZE];
    va_list args;

    if (err == NULL)
        return status;
    va_start(args, fmt);
    format_draft(draft, fmt, args);
    va_end(args);
    append_errno(draft, sys_errno);
    evtls_error_init(err);
    err->status = status;
    err->sys_errno = sys_errno;
    finish_message(err->message, sizeof(err->message), draft, evtls_status_text(err->status));
    return status;
}

int evtls_error_set_nomem(struct evtls_error *err)
{
    return evtls_error_set(err, EVTLS_ERR_NOMEM, "out of memory");
}

static bool code_is_nomem(unsigned long code)
{
    if (ERR_SYSTEM_ERROR(code))
        return ERR_GET_REASON(code) == ENOMEM;
    return ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
}

/* Takes the first entry of the queue and empties it. *nomem: some entry means out of memory. */
static unsigned long take_queue(bool *nomem)
{
    unsigned long first = ERR_get_error();
    unsigned long code = first;

    *nomem = false;
    while (code != 0) {
        *nomem |= code_is_nomem(code);
        code = ERR_get_error();
    }
    return first;
}

/* What the code says in words: OpenSSL's, but for alerts, whose words changed with 3.5. */
static void reason_text(char *text, size_t size, unsigned long code, const char *reason)
{
    const char *words = ERR_reason_error_string(code);

    if (evtls_ossl_alert(code) >= 0 || words == NULL) {
        snprintf(text, size, "%s", reason);
        for (char *p = text; *p != '\0'; p++)
            *p = *p == '_' ? ' ' : (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    } else {
        snprintf(text, size, "%s", words);
    }
}

static void describe_ossl(struct evtls_error *err, unsigned long code, const char *detail)
{
    char draft[DRAFT_SIZE], text[128];
    const char *separator = detail[0] != '\0' ? ": " : "";

    if (code == 0) {
        finish_message(err->message, sizeof(err->message), detail, evtls_status_text(err->status));
        return;
    }
    err->ossl_code = code;
    err->alert = evtls_ossl_alert(code);
    evtls_ossl_mnemonics(code, err->library, sizeof(err->library), err->reason,
                         sizeof(err->reason));
    if (ERR_SYSTEM_ERROR(code)) {
        err->sys_errno = ERR_GET_REASON(code);
        text[0] = '\0';
        snprintf(draft, sizeof(draft), "%s", detail);
        append_errno(draft, err->sys_errno);
    } else {
        reason_text(text, sizeof(text), code, err->reason);
        snprintf(draft, sizeof(draft), "[%s: %s] %s%s%s", err->library, err->reason, text,
                 separator, detail);
    }
    finish_message(err->message, sizeof(err->message), draft, evtls_status_text(err->status));
}

/* fmt NULL: no detail. */
EVTLS_PRINTF(4, 0)
static int set_with_code(struct evtls_error *err, enum evtls_status status, unsigned long code,
                         const char *fmt, va_list args)
{
    char detail[DRAFT_SIZE] = "";

    if (err == NULL)
        return status;
    evtls_error_init(err);
    err->status = status;
    if (fmt != NULL)
        format_draft(detail, fmt, args);
    describe_ossl(err, code, detail);
    return status;
}

int evtls_error_set_ossl(struct evtls_error *err, enum evtls_status status, const char *fmt, ...)
{
    bool nomem;
    unsigned long code = take_queue(&nomem);
    va_list args;
    int result;

    va_start(args, fmt);
    result = set_with_code(err, nomem ? EVTLS_ERR_NOMEM : status, code, fmt, args);
    va_end(args);
    return result;
}

int evtls_error_set_reason(struct evtls_error *err, enum evtls_status status, int ossl_library,
                           int ossl_reason, const char *fmt, ...)
{
    bool nomem;
    va_list args;
    int result;

    take_queue(&nomem);
    if (nomem)
        return evtls_error_set_nomem(err);
    va_start(args, fmt);
    result = set_with_code(err, status, ERR_PACK(ossl_library, 0, ossl_reason), fmt, args);
    va_end(args);
    return result;
}

void evtls_ossl_clear_queue(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}
