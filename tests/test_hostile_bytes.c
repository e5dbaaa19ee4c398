/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers that are no TLS, or go wrong in their first flight. support/hostile.h says what is looked
 * at after each row; the label of a row (tests/README.md) is the beginning of its name.
 */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <event2/thread.h>
#include <openssl/crypto.h>

#include "support/hello.h"
#include "support/hostile.h"
#include "support/loop.h"
#include "support/rng.h"
#include "support/vclock.h"

#define BYTES(string) .data = string, .len = sizeof(string) - 1
#define NOT_OVER_PAIR (1U << HOSTILE_PAIR)

static const char refused[] = "failed rerror";
static const char connected[] = "handshake connected";

/* ---- Ways to send -------------------------------------------------------------------------- */

static void play_bytes(struct hostile *h)
{
    if (h->row->step) {
        hostile_send_in_steps(h, h->row->data, h->row->len, h->row->step, 0);
    } else {
        hostile_send(h, h->row->data, h->row->len);
    }
}

/* The other side keeps its end open: the failure is told after a second. */
static void play_bytes_stubbornly(struct hostile *h)
{
    int64_t before = vclock_elapsed_ms();

    h->stubborn = true;
    play_bytes(h);
    hostile_wait_end(h);
    ck_assert_int_ge(h->elapsed_ms - before, 990);
    ck_assert_int_le(h->elapsed_ms - before, 1200);
}

static void send_random(struct hostile *h, const char *start, size_t n)
{
    unsigned char bytes[8192];
    struct rng rng;

    rng_init(&rng, 7);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)rng_below(&rng, 256);
    }
    memcpy(bytes, start, 3);
    hostile_send(h, bytes, n);
}

static void play_random(struct hostile *h)
{
    send_random(h, "\x99\x88\x77", 4096);
}

/* The record that is claimed never ends, but its peer does. */
static void play_random_record(struct hostile *h)
{
    unsigned char bytes[1000] = {0x16, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xf0};

    hostile_send(h, bytes, sizeof(bytes));
    hostile_finish(h);
}

static void play_zeros(struct hostile *h)
{
    char *zeros = calloc(1, 65536);

    hostile_send(h, zeros, 65536);
    free(zeros);
}

/* ---- Nothing, or the end ------------------------------------------------------------------- */

static void play_close(struct hostile *h)
{
    hostile_finish(h);
}

static void play_many_closes(struct hostile *h)
{
    for (int i = 0; i < 30; i++) {
        hostile_finish(h);
        hostile_wait_end(h);
        hostile_again(h);
    }
    hostile_finish(h);
}

static void play_reset(struct hostile *h)
{
    hostile_reset(h);
}

static void two_seconds(struct hostile *h)
{
    evtls_context_set_handshake_timeout(h->side.ctx, &(struct timeval){2, 0}, NULL);
}

static void wait_two_seconds(struct hostile *h, int64_t before)
{
    hostile_wait_end(h);
    ck_assert_int_ge(h->elapsed_ms - before, 1990);
    ck_assert_int_le(h->elapsed_ms - before, 2200);
}

static void play_silence(struct hostile *h)
{
    wait_two_seconds(h, vclock_elapsed_ms());
}

/* A pair does not tell that its other half is gone: the deadline does. */
static void play_half_gone(struct hostile *h)
{
    int64_t before = vclock_elapsed_ms();

    hostile_send(h, "\x16\x03\x01", 3);
    hostile_settle(h);
    bufferevent_free(h->raw);
    h->raw = NULL;
    wait_two_seconds(h, before);
}

/* ---- ClientHellos -------------------------------------------------------------------------- */

/* The hello that a peer makes, in steps; then the peer goes on. */
static void play_slow_hello(struct hostile *h, const struct peer_options *options, size_t step,
                            long ms)
{
    unsigned char hello[4096];
    size_t n;

    h->peer = peer_new(options);
    h->held = true;
    peer_handshake(h->peer);
    n = peer_take(h->peer, hello, sizeof(hello));
    hostile_send_in_steps(h, hello, n, step, ms);
    h->held = false;
    peer_step(h->peer);
    hostile_flush_peer(h);
}

static void play_byte_by_byte(struct hostile *h)
{
    play_slow_hello(h, &(struct peer_options){0}, 1, 0);
    hostile_wait(h, "connected");
    hostile_settle(h);
    hostile_expect_alive(h);
}

/* A byte every 100 ms: each is in time, all together are not. */
static void play_too_slow(struct hostile *h)
{
    int64_t before = vclock_elapsed_ms();

    play_slow_hello(h, &(struct peer_options){0}, 1, 100);
    wait_two_seconds(h, before);
}

static void play_cut_hello(struct hostile *h)
{
    size_t len;
    unsigned char *hello = hello_make(&(struct hello){0}, &len);

    hostile_send(h, hello, h->row->len);
    free(hello);
    hostile_finish(h);
}

/* Says hello and no more, whatever the answer. */
static void play_stall(struct hostile *h)
{
    int64_t before = vclock_elapsed_ms();

    hostile_send_hello(h, h->row->data);
    hostile_settle(h);
    ck_assert_uint_gt(evbuffer_get_length(h->received), 0);
    wait_two_seconds(h, before);
}

/* A hello that is answered; then the deadline. */
static void play_hello_accepted(struct hostile *h)
{
    play_stall(h);
    ck_assert_int_eq(*evbuffer_pullup(h->received, 1), 22);
}

static void play_hello(struct hostile *h)
{
    hostile_send_hello(h, h->row->data);
}

/* As many bytes of the message in a record as the step says. */
static void play_hello_in_records(struct hostile *h)
{
    int64_t before = vclock_elapsed_ms();
    size_t message_len, len;
    unsigned char *message = hello_message(h->row->data, &message_len);
    unsigned char *records = hello_records(message, message_len, h->row->step, &len);

    hostile_send(h, records, len);
    free(message);
    free(records);
    hostile_settle(h);
    ck_assert_uint_gt(evbuffer_get_length(h->received), 0);
    ck_assert_int_eq(*evbuffer_pullup(h->received, 1), 22);
    wait_two_seconds(h, before);
}

/* A hello, its answer, and something that does not belong there. */
static void play_behind_hello(struct hostile *h)
{
    hostile_send_hello(h, &(struct hello){.tls12 = h->row->version == TLS1_2_VERSION});
    hostile_settle(h);
    ck_assert_uint_gt(evbuffer_get_length(h->received), 0);
    if (h->row->data) {
        hostile_send(h, h->row->data, h->row->len);
    } else {
        hostile_send_hello(h, &(struct hello){.tls12 = h->row->version == TLS1_2_VERSION});
    }
}

/* What does not belong there comes with the hello, in one write. */
static void play_with_hello(struct hostile *h)
{
    hostile_send_hello(h, &(struct hello){0});
    hostile_send(h, h->row->data, h->row->len);
}

/* Early data that we did not ask for is skipped, but not without end. */
static void play_early_data(struct hostile *h)
{
    unsigned char record[5 + 1024] = {23, 3, 3, 4, 0};

    hostile_send_hello(h, h->row->data);
    for (size_t i = 0; i < h->row->len; i++) {
        hostile_send(h, record, sizeof(record));
    }
    if (h->row->status == EVTLS_ERR_TIMEOUT) {
        hostile_wait_end(h);
    }
}

/* ---- Claims and floods --------------------------------------------------------------------- */

static size_t largest_allocation;

static void *count_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    largest_allocation = size > largest_allocation ? size : largest_allocation;
    return malloc(size);
}

static void *count_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    largest_allocation = size > largest_allocation ? size : largest_allocation;
    return realloc(p, size);
}

static void count_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* Nothing of the claimed size is allocated. */
static void play_lie(struct hostile *h)
{
    hostile_settle(h);
    largest_allocation = 0;
    play_bytes(h);
    hostile_settle(h);
    ck_assert_uint_le(largest_allocation, 40000);
    if (!h->side.ended) {
        hostile_finish(h);
    }
}

static void play_record_flood(struct hostile *h)
{
    for (int i = 0; i < 5000; i++) {
        hostile_send(h, h->row->data, h->row->len);
    }
}

/* ---- Extensions ---------------------------------------------------------------------------- */

#define EXTENSION(n, bytes)                                                                        \
    &(struct hello)                                                                                \
    {                                                                                              \
        .extensions = &(struct hello_extension){n, bytes, sizeof(bytes) - 1}, .n_extensions = 1    \
    }
#define SNI(bytes)                                                                                 \
    &(struct hello)                                                                                \
    {                                                                                              \
        .sni = bytes, .sni_len = sizeof(bytes) - 1                                                 \
    }

static unsigned char big[60000];

static const char *const protocols[] = {"h2", "http/1.1"};

static int on_name(struct evtls_engine *engine, const char *name, struct evtls_context *initial,
                   void *arg)
{
    (void)engine;
    (void)initial;
    (void)arg;
    (void)name;
    return 0;
}

static void with_names(struct hostile *h)
{
    two_seconds(h);
    evtls_context_set_sni_callback(h->side.ctx, on_name, NULL, NULL);
}

static void with_alpn(struct hostile *h)
{
    two_seconds(h);
    evtls_context_set_alpn(h->side.ctx, protocols, 2);
}

static void play_long_name(struct hostile *h)
{
    char name[600];

    memset(name, 'a', sizeof(name));
    hostile_send_hello(h, &(struct hello){.sni = name, .sni_len = h->row->len});
}

/* A list of 16 kB: 255 bytes a name. */
static void play_alpn_list(struct hostile *h)
{
    unsigned char list[2 + 64 * 256];
    struct hello_extension extension = {16, list, sizeof(list)};
    int64_t before = vclock_elapsed_ms();

    memset(list, 'a', sizeof(list));
    list[0] = (sizeof(list) - 2) >> 8;
    list[1] = (sizeof(list) - 2) & 255;
    for (size_t i = 2; i < sizeof(list); i += 256) {
        list[i] = 255;
    }
    hostile_send_hello(h, &(struct hello){.extensions = &extension, .n_extensions = 1});
    hostile_settle(h);
    ck_assert_int_eq(*evbuffer_pullup(h->received, 1), 22);
    wait_two_seconds(h, before);
}

/* ---- Tables -------------------------------------------------------------------------------- */

#define REFUSED(number) .log = refused, .status = EVTLS_ERR_PROTOCOL, .alert = (number)
#define CUT .log = refused, .status = EVTLS_ERR_TRUNCATED, .alert = HOSTILE_NO_ALERT
#define SLOW .log = "failed timeouterror", .status = EVTLS_ERR_TIMEOUT, .alert = HOSTILE_NO_ALERT

static const struct hostile_row not_tls[] = {
    {"b12__plain_http", play_bytes, REFUSED(-1), BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
     .message = "plain HTTP"},
    {"b12__plain_http_and_an_open_end", play_bytes_stubbornly, REFUSED(-1),
     BYTES("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), .message = "plain HTTP"},
    {"b12__plain_http_reply", play_bytes, REFUSED(-1), BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"),
     .role = EVTLS_CLIENT, .message = "plain HTTP"},
    {"b13__random_kilobytes", play_random, REFUSED(-1), .message = "first bytes are 99 88 77"},
    {"b13__random_record", play_random_record, CUT},
    {"b13__zeros_of_64_kb", play_zeros, REFUSED(-1), .message = "first bytes are 00 00"},
    {"b13__ssh_banner", play_bytes, REFUSED(-1), BYTES("SSH-2.0-OpenSSH_9.2p1\r\n"),
     .message = "SSH"},
    {"b13__ssh_banner_of_a_server", play_bytes, REFUSED(-1), BYTES("SSH-2.0-OpenSSH_9.2p1\r\n"),
     .role = EVTLS_CLIENT, .message = "SSH"},
    {"b13__sslv2_hello", play_bytes, REFUSED(70),
     BYTES("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x03\x00\x80\x07"
           "\x00\xc0\x06\x00\x40\x02\x00\x80\x04\x00\x80\x00\x00\x00"
           "0123456789abcdef")},
    {"b13__proxy_line", play_bytes, REFUSED(-1), BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
     .message = "PROXY protocol"},
    {"b13__smtp_greeting", play_bytes, REFUSED(-1), BYTES("220 mail.test ESMTP\r\n"),
     .role = EVTLS_CLIENT, .message = "SMTP"},
    {"b13__a_byte_a_segment", play_bytes, REFUSED(-1), BYTES("SSH-2.0-OpenSSH_9.2p1\r\n"),
     .step = 1, .message = "SSH"},
    {"b14__connects_that_close", play_many_closes, CUT},
    {"b14__client_whose_server_closes", play_close, CUT, .role = EVTLS_CLIENT},
    {"b14__silence", play_silence, SLOW, .prepare = two_seconds},
    {"b14__client_whose_server_is_silent", play_silence, SLOW, .prepare = two_seconds,
     .role = EVTLS_CLIENT},
    {"b14__other_half_is_gone", play_half_gone, SLOW, .prepare = two_seconds,
     .not_over = 1U << HOSTILE_SOCKET | 1U << HOSTILE_FILTER},
    {"b15__reset_after_accept", play_reset, .log = refused, .status = EVTLS_ERR_IO,
     .alert = HOSTILE_NO_ALERT, .not_over = NOT_OVER_PAIR},
};

static const struct hello plain_hello = {0}, tls12_hello = {.tls12 = true},
                          grease_hello = {.grease = true, .grease_value = 7, .pq_share = true};

static const struct hostile_row hellos[] = {
    {"b16__a_byte_a_segment", play_byte_by_byte, .log = connected, .alert = HOSTILE_NO_ALERT},
    {"b16__a_byte_at_times", play_too_slow, SLOW, .prepare = two_seconds},
    {"o9__a_byte_a_record", play_hello_in_records, SLOW, .prepare = two_seconds,
     .data = &plain_hello, .step = 1},
    {"o9__first_three_bytes_alone", play_hello_in_records, SLOW, .prepare = two_seconds,
     .data = &grease_hello, .step = 3},
    {"o10__reserved_values", play_hello_accepted, SLOW, .prepare = two_seconds,
     .data = &grease_hello},
    {"b17__cut_in_the_record_header", play_cut_hello, CUT, .len = 3},
    {"b17__cut_in_the_message_header", play_cut_hello, CUT, .len = 7},
    {"b17__cut_in_the_middle", play_cut_hello, CUT, .len = 100},
    {"b18__stall_after_server_hello", play_stall, SLOW, .prepare = two_seconds,
     .data = &plain_hello},
    {"b18__stall_after_server_hello_of_1_2", play_stall, SLOW, .prepare = two_seconds,
     .data = &tls12_hello},
    {"b19__record_of_65535", play_lie, REFUSED(22), BYTES("\x16\x03\x01\xff\xff\x01")},
    {"b19__record_of_2_14_and_257", play_lie, CUT, BYTES("\x16\x03\x01\x41\x01\x01")},
    {"b19__message_of_2_24", play_lie, REFUSED(47), BYTES("\x16\x03\x01\x00\x04\x01\xff\xff\xff")},
    {"b19__session_id_of_255", play_lie, REFUSED(50),
     BYTES("\x16\x03\x01\x00\x2a\x01\x00\x00\x26\x03\x03"
           "0123456789abcdef0123456789abcdef"
           "\xff\x01\x02\x03")},
    {"b20__empty_records", play_record_flood, REFUSED(10), BYTES("\x16\x03\x01\x00\x00")},
    {"b21__warning_alerts", play_record_flood, REFUSED(10), BYTES("\x15\x03\x01\x00\x02\x01\x5a")},
    {"b22__change_cipher_spec_first", play_bytes, REFUSED(10), BYTES("\x14\x03\x03\x00\x01\x01")},
    {"b22__change_cipher_spec_early_in_1_2", play_behind_hello, REFUSED(10),
     BYTES("\x14\x03\x03\x00\x01\x01"), .version = TLS1_2_VERSION},
    {"b22__change_cipher_spec_of_two_bytes", play_behind_hello, REFUSED(HOSTILE_PROTECTED),
     BYTES("\x14\x03\x03\x00\x02\x01\x01")},
    {"b22__change_cipher_spec_flood", play_record_flood, REFUSED(10),
     BYTES("\x14\x03\x03\x00\x01\x01")},
    {"b23__two_hellos", play_behind_hello, REFUSED(HOSTILE_PROTECTED)},
    {"b23__two_hellos_in_1_2", play_behind_hello, REFUSED(70), .version = TLS1_2_VERSION},
    {"b23__garbage_behind_a_hello", play_behind_hello, REFUSED(HOSTILE_PROTECTED),
     BYTES("\x99\x98\x97\x96\x95\x94\x93\x92\x91\x90")},
    {"b23__garbage_with_a_hello", play_with_hello, REFUSED(HOSTILE_PROTECTED),
     BYTES("\x99\x98\x97\x96\x95\x94\x93\x92\x91\x90")},
    {"b23__data_in_the_clear_behind_a_hello", play_behind_hello, REFUSED(HOSTILE_PROTECTED),
     BYTES("\x17\x03\x03\x00\x20"
           "0123456789abcdef0123456789abcdef")},
    {"b23__finished_too_early", play_behind_hello, REFUSED(10),
     BYTES("\x16\x03\x03\x00\x04\x14\x00\x00\x00"), .version = TLS1_2_VERSION},
};

static const struct hostile_row offers[] = {
    {"b26__no_common_version", play_hello, REFUSED(70), .data = &tls12_hello,
     .version = TLS1_3_VERSION},
    {"b26__no_common_cipher", play_hello, REFUSED(40),
     .data = &(struct hello){.only_cipher = 0x1a1a}},
    {"b26__no_common_group", play_hello, REFUSED(40),
     .data = &(struct hello){.only_group = 0x0a0a}},
    {"b26__no_common_protocol", play_hello_accepted, SLOW, .prepare = with_alpn,
     .data = &(struct hello){.alpn = "zz"}},
    {"b27__fallback", play_hello, REFUSED(86),
     .data = &(struct hello){.tls12 = true, .fallback_scsv = true}},
    {"b28__early_data_which_is_off", play_hello_accepted, SLOW, .prepare = two_seconds,
     .data = EXTENSION(42, "")},
    {"b28__early_data_is_skipped", play_early_data, SLOW, .prepare = two_seconds,
     .data = EXTENSION(42, ""), .len = 8},
    {"b28__early_data_without_end", play_early_data, REFUSED(HOSTILE_PROTECTED),
     .data = EXTENSION(42, ""), .len = 40},
    {"b29__ticket_of_60_kb", play_hello_accepted, SLOW, .prepare = two_seconds,
     .data = &(struct hello){.tls12 = true,
                             .extensions = &(struct hello_extension){35, big, sizeof(big)},
                             .n_extensions = 1}},
    {"b29__no_ticket_at_all", play_hello_accepted, SLOW, .prepare = two_seconds,
     .data = EXTENSION(41, "\0\x16\0\x10"
                           "0123456789abcdef"
                           "\0\0\0\0\0\x21\x20"
                           "0123456789abcdef0123456789abcdef")},
    {"b31__nul", play_hello, REFUSED(112), .prepare = with_names, .data = SNI("a.test\0.b.test")},
    {"b31__0xff", play_hello, REFUSED(112), .prepare = with_names, .data = SNI("a\xff.test")},
    {"b31__256_bytes", play_long_name, REFUSED(112), .prepare = with_names, .len = 256},
    {"b31__599_bytes", play_long_name, REFUSED(112), .prepare = with_names, .len = 599},
    {"b31__empty", play_hello, REFUSED(112), .prepare = with_names,
     .data = EXTENSION(0, "\0\x03\0\0\0")},
    {"b31__two_names", play_hello, REFUSED(50), .prepare = with_names,
     .data = &(struct hello){.sni = "a.test", .sni_count = 2}},
    {"b31__address", play_hello_accepted, SLOW, .prepare = with_names, .data = SNI("192.0.2.1")},
    {"b31__trailing_dot_and_upper_case", play_hello_accepted, SLOW, .prepare = with_names,
     .data = SNI("WWW.Example.ORG.")},
    {"b31__list_that_is_cut", play_hello, REFUSED(50), .prepare = with_names,
     .data = EXTENSION(0, "\0\x09\0\0\x09"
                          "a.test")},
    {"b32__empty_name", play_hello, REFUSED(50), .prepare = with_alpn,
     .data = EXTENSION(16, "\0\x04\x02h2\0")},
    {"b32__list_that_is_cut", play_hello, REFUSED(50), .prepare = with_alpn,
     .data = EXTENSION(16, "\0\x03\x05h2")},
    {"b32__empty_list", play_hello, REFUSED(50), .prepare = with_alpn,
     .data = EXTENSION(16, "\0\0")},
    {"b32__list_of_16_kb", play_alpn_list, SLOW, .prepare = with_alpn},
};

START_TEST(hostile__not_tls)
{
    hostile_run(not_tls, _i);
}
END_TEST

START_TEST(hostile__hellos)
{
    hostile_run(hellos, _i);
}
END_TEST

START_TEST(hostile__offers)
{
    hostile_run(offers, _i);
}
END_TEST

static Suite *hostile_bytes_suite(void)
{
    Suite *suite = suite_create("hostile_bytes");

    hostile_add_rows(suite, "not_tls", hostile__not_tls, not_tls, COUNT(not_tls));
    hostile_add_rows(suite, "hellos", hostile__hellos, hellos, COUNT(hellos));
    hostile_add_rows(suite, "offers", hostile__offers, offers, COUNT(offers));
    return suite;
}

int main(void)
{
    CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
    evthread_use_pthreads();
    signal(SIGPIPE, SIG_IGN); /* libevent's own sockets, the other side among them */
    return suite_run(hostile_bytes_suite());
}
