/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/asn1err.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pemerr.h>

#include "pem.h"

#define DASHES "-----"
#define BEGIN_MARK "-----BEGIN "
#define END_MARK "-----END "

/* ---- Lines ------------------------------------------------------------------------------ */

struct line {
    const char *text;
    size_t len; /* without white space at its end */
};

/* The line at *offset, which moves behind it; false at the end of the text. */
static bool next_line(const struct evtls_input *input, size_t *offset, struct line *line)
{
    const char *text = (const char *)input->bytes + *offset;
    size_t left = input->len - *offset, len;
    const char *end;

    if (left == 0)
        return false;
    end = memchr(text, '\n', left);
    len = end != NULL ? (size_t)(end - text) : left;
    *offset += end != NULL ? len + 1 : len;
    /* Files that were put together keep a byte order mark in the middle. */
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    while (len > 0 && memchr(" \t\r", text[len - 1], 3) != NULL)
        len--;
    line->text = text;
    line->len = len;
    return true;
}

static bool starts_with(const struct line *line, const char *mark)
{
    size_t len = strlen(mark);

    return line->len >= len && memcmp(line->text, mark, len) == 0;
}

static bool contains(const struct line *line, const char *text)
{
    return memmem(line->text, line->len, text, strlen(text)) != NULL;
}

/* Takes MARK LABEL ----- apart. */
static bool is_boundary(const struct line *line, const char *mark, struct line *label)
{
    size_t len = strlen(mark), dashes = strlen(DASHES);

    if (!starts_with(line, mark) || line->len <= len + dashes ||
        memcmp(line->text + line->len - dashes, DASHES, dashes) != 0)
        return false;
    label->text = line->text + len;
    label->len = line->len - len - dashes;
    return true;
}

/* A line that was meant to begin something of ours: cut, indented, or with a dash too few. */
static bool is_damaged_begin(const struct line *line)
{
    size_t i = 0;

    if (starts_with(line, DASHES "B"))
        return true;

    while (i < line->len && (line->text[i] == ' ' || line->text[i] == '\t'))
        i++;
    return i < line->len && line->text[i] == '-' && contains(line, "BEGIN ") &&
           (contains(line, "CERTIFICATE") || contains(line, "X509 CRL") ||
            contains(line, "PRIVATE KEY"));
}

/* ---- Blocks ----------------------------------------------------------------------------- */

static enum evtls_pem_kind kind_of(const struct line *label)
{
    static const struct {
        const char *label;
        enum evtls_pem_kind kind;
    } kinds[] = {
        {"CERTIFICATE", EVTLS_PEM_CERTIFICATE},
        {"X509 CERTIFICATE", EVTLS_PEM_CERTIFICATE},
        {"TRUSTED CERTIFICATE", EVTLS_PEM_TRUSTED_CERTIFICATE},
        {"X509 CRL", EVTLS_PEM_CRL},
    };
    static const char key[] = "PRIVATE KEY";
    size_t key_len = sizeof(key) - 1;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (label->len == strlen(kinds[i].label) && starts_with(label, kinds[i].label))
            return kinds[i].kind;
    }
    if (label->len >= key_len && memcmp(label->text + label->len - key_len, key, key_len) == 0)
        return EVTLS_PEM_PRIVATE_KEY;
    return EVTLS_PEM_OTHER;
}

static unsigned count_block(struct evtls_pem_cursor *cursor, enum evtls_pem_kind kind)
{
    static const unsigned char counter[] = {
        [EVTLS_PEM_CERTIFICATE] = 0, [EVTLS_PEM_TRUSTED_CERTIFICATE] = 0,
        [EVTLS_PEM_CRL] = 1,         [EVTLS_PEM_PRIVATE_KEY] = 2,
        [EVTLS_PEM_OTHER] = 3,
    };

    return ++cursor->counts[counter[kind]];
}

char *evtls_pem_describe(char *dst, size_t size, const struct evtls_input *input,
                         const struct evtls_pem_block *block)
{
    static const char *const nouns[] = {
        [EVTLS_PEM_CERTIFICATE] = "certificate",
        [EVTLS_PEM_TRUSTED_CERTIFICATE] = "certificate",
        [EVTLS_PEM_CRL] = "CRL",
        [EVTLS_PEM_PRIVATE_KEY] = "private key",
        [EVTLS_PEM_OTHER] = "PEM block",
    };

    /* There is seldom more than one key in a file. */
    if (block->kind == EVTLS_PEM_PRIVATE_KEY && block->number == 1)
        snprintf(dst, size, "the private key in %s", input->name);
    else
        snprintf(dst, size, "%s %u in %s", nouns[block->kind], block->number, input->name);
    return dst;
}

#define DESCRIPTION_SIZE 384

static int refuse_block(struct evtls_error *err, const struct evtls_input *input,
                        const struct evtls_pem_block *block, int library, int reason,
                        const char *what)
{
    char text[DESCRIPTION_SIZE];

    return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, library, reason, "%s %s",
                                  evtls_pem_describe(text, sizeof(text), input, block), what);
}

static int refuse_text(struct evtls_error *err, const struct evtls_input *input, const char *what)
{
    return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, PEM_R_NO_START_LINE, "%s %s",
                                  input->name, what);
}

static bool is_utf16(const unsigned char *bytes, size_t len)
{
    return len >= 4 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0 ||
                        memcmp(bytes, "-\0-\0", 4) == 0 || memcmp(bytes, "\0-\0-", 4) == 0);
}

int evtls_pem_begin(struct evtls_pem_cursor *cursor, const struct evtls_input *input,
                    struct evtls_error *err)
{
    memset(cursor, 0, sizeof(*cursor));
    cursor->input = input;
    if (input->len == 0)
        return refuse_text(err, input, "is empty");
    if (is_utf16(input->bytes, input->len))
        return refuse_text(err, input, "is UTF-16 text, not PEM");
    if (memmem(input->bytes, input->len, "BEGIN ", strlen("BEGIN ")) != NULL)
        return evtls_error_set_ok(err);
    /* A SEQUENCE with a length of more than one byte: what each certificate and key is in DER. */
    if (input->len > 4 && input->bytes[0] == 0x30 && (input->bytes[1] & 0x80) != 0)
        return refuse_text(err, input, "is DER, not PEM");
    return refuse_text(err, input, "has no PEM block in it");
}

/* Reads on to the END line that belongs to block, whose text begins at start. */
static int finish_block(struct evtls_pem_cursor *cursor, struct evtls_pem_block *block,
                        struct evtls_error *err)
{
    const struct evtls_input *input = cursor->input;
    struct line line, label;
    size_t before = cursor->offset;

    for (; next_line(input, &cursor->offset, &line); before = cursor->offset) {
        if (starts_with(&line, BEGIN_MARK)) {
            cursor->offset = before;
            break;
        }
        if (!starts_with(&line, DASHES))
            continue;
        if (!is_boundary(&line, END_MARK, &label))
            return refuse_block(err, input, block, ERR_LIB_PEM, PEM_R_BAD_END_LINE,
                                "has a damaged END line");
        if (label.len != block->label_len || memcmp(label.text, block->label, label.len) != 0)
            return refuse_block(err, input, block, ERR_LIB_PEM, PEM_R_BAD_END_LINE,
                                "ends with the END line of another kind of block");
        block->len = (size_t)(line.text + line.len - block->text);
        return 1;
    }
    return refuse_block(err, input, block, ERR_LIB_PEM, PEM_R_BAD_END_LINE,
                        "is cut: its END line is missing");
}

int evtls_pem_next(struct evtls_pem_cursor *cursor, struct evtls_pem_block *block,
                   struct evtls_error *err)
{
    struct line line, label;
    unsigned number = 0;

    memset(block, 0, sizeof(*block));
    evtls_error_set_ok(err);
    while (next_line(cursor->input, &cursor->offset, &line)) {
        if (is_boundary(&line, BEGIN_MARK, &label)) {
            block->kind = kind_of(&label);
            block->number = count_block(cursor, block->kind);
            block->text = line.text;
            block->label = label.text;
            block->label_len = label.len;
            return finish_block(cursor, block, err);
        }
        if (is_damaged_begin(&line)) {
            for (size_t i = 0; i < sizeof(cursor->counts) / sizeof(cursor->counts[0]); i++)
                number += cursor->counts[i];
            return evtls_error_set_reason(err, EVTLS_ERR_CONFIG, ERR_LIB_PEM, PEM_R_NO_START_LINE,
                                          "block %u in %s has a damaged BEGIN line", number + 1,
                                          cursor->input->name);
        }
    }
    return 0;
}

/* ---- Content ---------------------------------------------------------------------------- */

/* What OpenSSL says of a block, behind words of ours for what happens most. */
static int report_block(struct evtls_error *err, const struct evtls_input *input,
                        const struct evtls_pem_block *block)
{
    unsigned long code = ERR_peek_error();
    char text[DESCRIPTION_SIZE];

    if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_BAD_BASE64_DECODE)
        return refuse_block(err, input, block, ERR_LIB_PEM, PEM_R_BAD_BASE64_DECODE,
                            "has bad base64 in it");
    return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "%s is broken",
                                evtls_pem_describe(text, sizeof(text), input, block));
}

static int read_content(struct evtls_pem_content *content, const struct evtls_pem_block *block)
{
    char *name = NULL, *header = NULL;
    BIO *bio = BIO_new_mem_buf(block->text, (int)block->len);
    int read;

    memset(content, 0, sizeof(*content));
    if (bio == NULL) {
        ERR_raise(ERR_LIB_BIO, ERR_R_MALLOC_FAILURE);
        return -1;
    }
    read = PEM_read_bio(bio, &name, &header, &content->der, &content->len);
    if (read == 1)
        content->has_header = header[0] != '\0';
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(bio);
    return read == 1 ? 0 : -1;
}

int evtls_pem_decode(struct evtls_pem_content *content, const struct evtls_input *input,
                     const struct evtls_pem_block *block, struct evtls_error *err)
{
    if (read_content(content, block) == 0)
        return EVTLS_OK;
    /* OpenSSL fails without a word for a block without content and where memory is short. */
    if (ERR_peek_error() == 0 && read_content(content, block) == 0)
        return EVTLS_OK;
    return report_block(err, input, block);
}

void evtls_pem_content_cleanup(struct evtls_pem_content *content)
{
    OPENSSL_clear_free(content->der, content->len > 0 ? (size_t)content->len : 0);
    memset(content, 0, sizeof(*content));
}

/* Decodes the block and says whether what read() made of it is the whole of it. */
static int get_object(void **object, const struct evtls_input *input,
                      const struct evtls_pem_block *block,
                      void *(*read)(const unsigned char **, long), struct evtls_error *err)
{
    struct evtls_pem_content content;
    const unsigned char *end;
    int status = evtls_pem_decode(&content, input, block, err);

    *object = NULL;
    if (status != EVTLS_OK)
        return status;
    end = content.der;
    if (content.has_header) {
        status = refuse_block(err, input, block, ERR_LIB_PEM, PEM_R_UNSUPPORTED_ENCRYPTION,
                              "is encrypted");
        goto out;
    }
    *object = read(&end, content.len);
    /* Bytes that are wrong leave an entry in the queue; memory that is short does not always. */
    if (*object == NULL && ERR_peek_error() == 0)
        status = evtls_error_set_nomem(err);
    else if (*object == NULL)
        status = report_block(err, input, block);
    else if (end != content.der + content.len)
        status = refuse_block(err, input, block, ERR_LIB_ASN1, ASN1_R_TOO_LONG,
                              "has more bytes than belong to it");
out:
    evtls_pem_content_cleanup(&content);
    return status;
}

static void *read_certificate(const unsigned char **der, long len)
{
    return d2i_X509(NULL, der, len);
}

static void *read_trusted_certificate(const unsigned char **der, long len)
{
    return d2i_X509_AUX(NULL, der, len);
}

static void *read_crl(const unsigned char **der, long len)
{
    return d2i_X509_CRL(NULL, der, len);
}

int evtls_pem_get_certificate(X509 **x509, const struct evtls_input *input,
                              const struct evtls_pem_block *block, struct evtls_error *err)
{
    bool trusted = block->kind == EVTLS_PEM_TRUSTED_CERTIFICATE;
    void *object;
    int status = get_object(&object, input, block,
                            trusted ? read_trusted_certificate : read_certificate, err);

    *x509 = object;
    if (status != EVTLS_OK) {
        X509_free(*x509);
        *x509 = NULL;
    }
    return status;
}

int evtls_pem_get_crl(X509_CRL **crl, const struct evtls_input *input,
                      const struct evtls_pem_block *block, struct evtls_error *err)
{
    void *object;
    int status = get_object(&object, input, block, read_crl, err);

    *crl = object;
    if (status != EVTLS_OK) {
        X509_CRL_free(*crl);
        *crl = NULL;
    }
    return status;
}
