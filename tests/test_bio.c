/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <string.h>

#include <event2/buffer.h>

#include "bio.h"
#include "port_evbuffer.h"
#include "support/suite.h"

struct rig {
    struct evtls_port_evbuffer buffers;
    struct evtls_bio_link link;
    BIO *bio;
};

static void rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig->buffers.in = evbuffer_new();
    rig->buffers.out = evbuffer_new();
    rig->link.port.ops = &evtls_port_evbuffer_ops;
    rig->link.port.arg = &rig->buffers;
    rig->bio = evtls_bio_new(&rig->link);
    ck_assert_ptr_nonnull(rig->bio);
}

static void rig_close(struct rig *rig)
{
    BIO_free(rig->bio);
    evbuffer_free(rig->buffers.in);
    evbuffer_free(rig->buffers.out);
}

/* Each piece becomes a chain of its own. */
static void add_chain(struct evbuffer *buf, const char *text, size_t len)
{
    ck_assert_int_eq(evbuffer_add_reference(buf, text, len, NULL, NULL), 0);
}

static size_t bio_take(struct rig *rig, size_t len, char *data)
{
    size_t n = 99;
    int ret = BIO_read_ex(rig->bio, data, len, &n);

    ck_assert_int_eq(ret, n > 0);
    return n;
}

START_TEST(bio__reads_over_chains)
{
    struct rig rig;
    char data[16] = "";

    rig_open(&rig);
    add_chain(rig.buffers.in, "ab", 2);
    add_chain(rig.buffers.in, "cde", 3);
    add_chain(rig.buffers.in, "f", 1);
    ck_assert_uint_eq(bio_take(&rig, 4, data), 4);
    ck_assert(memcmp(data, "abcd", 4) == 0);
    ck_assert_uint_eq(evbuffer_get_length(rig.buffers.in), 2);
    ck_assert_uint_eq(bio_take(&rig, 10, data), 2);
    ck_assert(memcmp(data, "ef", 2) == 0);
    rig_close(&rig);
}
END_TEST

/* No end of file and no failure, whatever the transport knows. */
START_TEST(bio__without_input_says_try_again)
{
    struct rig rig;
    char byte;
    size_t n;

    rig_open(&rig);
    ck_assert_int_eq(BIO_read_ex(rig.bio, &byte, 1, &n), 0);
    ck_assert(BIO_should_retry(rig.bio));
    ck_assert(BIO_should_read(rig.bio));
    ck_assert(!BIO_eof(rig.bio));
    rig.link.cut = true;
    add_chain(rig.buffers.in, "x", 1);
    ck_assert_int_eq(BIO_read_ex(rig.bio, &byte, 1, &n), 0);
    ck_assert(BIO_should_read(rig.bio));
    rig.link.cut = false;
    ck_assert_int_eq(BIO_read_ex(rig.bio, &byte, 1, &n), 1);
    ck_assert(!BIO_should_retry(rig.bio));
    rig_close(&rig);
}
END_TEST

START_TEST(bio__controls)
{
    struct rig rig;

    rig_open(&rig);
    ck_assert_int_eq(BIO_flush(rig.bio), 1);
    for (int command = 1; command < 100; command++) {
        if (command != BIO_CTRL_FLUSH)
            ck_assert_int_eq(BIO_ctrl(rig.bio, command, 0, NULL), 0);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(bio__takes_all_output)
{
    struct rig rig;
    char big[100000];
    size_t n;

    memset(big, 'x', sizeof(big));
    rig_open(&rig);
    ck_assert_int_eq(BIO_write_ex(rig.bio, big, sizeof(big), &n), 1);
    ck_assert_uint_eq(n, sizeof(big));
    ck_assert_uint_eq(evbuffer_get_length(rig.buffers.out), sizeof(big));
    rig_close(&rig);
}
END_TEST

/* The program has freed the buffers. */
START_TEST(bio__output_vanishes_when_cut)
{
    struct rig rig;
    size_t n;

    rig_open(&rig);
    rig.link.cut = true;
    ck_assert_int_eq(BIO_write_ex(rig.bio, "abc", 3, &n), 1);
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(evbuffer_get_length(rig.buffers.out), 0);
    rig_close(&rig);
}
END_TEST

/* Once a part of the stream is lost, nothing behind it may go. */
START_TEST(bio__refused_output_is_remembered)
{
    struct rig rig;
    size_t n;

    rig_open(&rig);
    evbuffer_freeze(rig.buffers.out, 0);
    ck_assert_int_eq(BIO_write_ex(rig.bio, "abc", 3, &n), 0);
    ck_assert(BIO_should_write(rig.bio));
    ck_assert(rig.link.exhausted);
    evbuffer_unfreeze(rig.buffers.out, 0);
    ck_assert_int_eq(BIO_write_ex(rig.bio, "def", 3, &n), 0);
    ck_assert_uint_eq(evbuffer_get_length(rig.buffers.out), 0);
    rig_close(&rig);
}
END_TEST

/* Two records, the second empty, then half a header. */
static const char stream[] = "\x16\x03\x01\x00\x04"
                             "body"
                             "\x17\x03\x03\x00\x00"
                             "\x15\x03";
static const size_t boundaries[] = {0, 9, 14};

START_TEST(bio__knows_where_records_end)
{
    size_t step = (size_t)_i;
    struct rig rig;
    char data[32];
    size_t at = 0, next = 0;

    rig_open(&rig);
    add_chain(rig.buffers.in, stream, sizeof(stream) - 1);
    while (at < sizeof(stream) - 1) {
        bool boundary = false;

        at += bio_take(&rig, step, data);
        for (next = 0; next < COUNT(boundaries); next++)
            boundary = boundary || boundaries[next] == at;
        ck_assert_msg(evtls_bio_link_at_boundary(&rig.link) == boundary, "step %zu, byte %zu", step,
                      at);
    }
    ck_assert_uint_eq(rig.link.first_len, 5);
    ck_assert(memcmp(rig.link.first, stream, 5) == 0);
    rig_close(&rig);
}
END_TEST

static const struct {
    const char *name;
    const char *input;
    size_t len, taken; /* what OpenSSL has already */
    size_t expected;
} nexts[] = {
    {"nothing", "", 0, 0, 0},
    {"half a header", "\x17\x03\x03\x00", 4, 0, 0},
    {"a whole record", "\x17\x03\x03\x00\x03xyz", 8, 0, 3},
    {"and more", "\x17\x03\x03\x00\x03xyz\x17", 9, 0, 3},
    {"a cut record", "\x17\x03\x03\x00\x04xyz", 8, 0, 0},
    {"a handshake record", "\x16\x03\x03\x00\x03xyz", 8, 0, 0},
    {"header taken", "\x17\x03\x03\x00\x03xyz", 8, 5, 3},
    {"header taken, body cut", "\x17\x03\x03\x00\x03xy", 7, 5, 0},
    {"header taken, no data", "\x16\x03\x03\x00\x03xyz", 8, 5, 0},
    {"a part of the header taken", "\x17\x03\x03\x00\x03xyz", 8, 2, 0},
    {"a claim of 65,535", "\x17\x03\x03\xff\xffxyz", 8, 0, 0},
};

START_TEST(bio__next_record)
{
    struct rig rig;
    char data[32];

    rig_open(&rig);
    if (nexts[_i].len > 0)
        add_chain(rig.buffers.in, nexts[_i].input, nexts[_i].len);
    if (nexts[_i].taken > 0)
        bio_take(&rig, nexts[_i].taken, data);
    ck_assert_msg(evtls_bio_link_next_record(&rig.link) == nexts[_i].expected, "%s",
                  nexts[_i].name);
    rig_close(&rig);
}
END_TEST

/* Whatever is asked for is a part of one bad record, and the real input stays where it is. */
START_TEST(bio__poison_comes_in_place_of_input)
{
    struct rig rig;
    char data[32];

    rig_open(&rig);
    add_chain(rig.buffers.in, "real", 4);
    rig.link.poisoned = true;
    ck_assert_uint_eq(bio_take(&rig, 5, data), 5);
    ck_assert(memcmp(data, "\x16\x03\x03\x00\x01", 5) == 0);
    ck_assert_uint_eq(bio_take(&rig, 1, data), 1);
    ck_assert_uint_eq(evbuffer_get_length(rig.buffers.in), 4);
    rig_close(&rig);
}
END_TEST

START_TEST(bio__reset_keeps_the_port_alone)
{
    struct evtls_bio_link link;
    const struct evtls_port port = {.ops = &evtls_port_evbuffer_ops, .arg = &link};

    memset(&link, 0x55, sizeof(link));
    link.port = port;
    evtls_bio_link_reset(&link);
    ck_assert_ptr_eq(link.port.ops, port.ops);
    ck_assert_ptr_eq(link.port.arg, port.arg);
    ck_assert(evtls_bio_link_at_boundary(&link));
    ck_assert(!link.cut && !link.exhausted && !link.poisoned);
    ck_assert_uint_eq(link.first_len, 0);
}
END_TEST

/* A reserve that was not used leaves such a chain. */
START_TEST(port_evbuffer__skips_an_empty_chain)
{
    struct rig rig;
    struct evbuffer_iovec vec[2];
    const unsigned char *span;
    int n;

    rig_open(&rig);
    ck_assert_int_eq(evbuffer_reserve_space(rig.buffers.in, 100, vec, 1), 1);
    n = evbuffer_reserve_space(rig.buffers.in, 100000, vec, 2);
    ck_assert_int_eq(n, 2);
    vec[0].iov_len = 0;
    memcpy(vec[1].iov_base, "yz", 2);
    vec[1].iov_len = 2;
    ck_assert_int_eq(evbuffer_commit_space(rig.buffers.in, vec, 2), 0);
    ck_assert_uint_eq(evtls_bio_link_peek(&rig.link, &span), 2);
    ck_assert(memcmp(span, "yz", 2) == 0);
    rig_close(&rig);
}
END_TEST

START_TEST(port_evbuffer__counts_output)
{
    struct rig rig;
    const struct evtls_port_ops *ops = &evtls_port_evbuffer_ops;

    rig_open(&rig);
    ck_assert_uint_eq(ops->get_output_length(&rig.buffers), 0);
    ck_assert_int_eq(ops->add_output(&rig.buffers, (const unsigned char *)"abc", 3), 0);
    ck_assert_uint_eq(ops->get_output_length(&rig.buffers), 3);
    rig_close(&rig);
}
END_TEST

static Suite *bio_suite(void)
{
    Suite *suite = suite_create("bio");
    TCase *tcase = tcase_create("bio");

    tcase_add_test(tcase, bio__reads_over_chains);
    tcase_add_test(tcase, bio__without_input_says_try_again);
    tcase_add_test(tcase, bio__controls);
    tcase_add_test(tcase, bio__takes_all_output);
    tcase_add_test(tcase, bio__output_vanishes_when_cut);
    tcase_add_test(tcase, bio__refused_output_is_remembered);
    tcase_add_loop_test(tcase, bio__knows_where_records_end, 1, 8);
    tcase_add_loop_test(tcase, bio__next_record, 0, COUNT(nexts));
    tcase_add_test(tcase, bio__poison_comes_in_place_of_input);
    tcase_add_test(tcase, bio__reset_keeps_the_port_alone);
    tcase_add_test(tcase, port_evbuffer__skips_an_empty_chain);
    tcase_add_test(tcase, port_evbuffer__counts_output);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(bio_suite());
}
