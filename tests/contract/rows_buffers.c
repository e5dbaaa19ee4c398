/* The two evbuffers of a bufferevent, as programs use them directly. */
#include "rows.h"
#include "world.h"

#include <sys/mman.h>
#include <unistd.h>

static void write_buffer(struct contract *c)
{
    size_t length;
    const char *period = contract_pattern_period(&length);
    struct evbuffer *buffer = evbuffer_new();
    contract_pair(c);
    for (size_t at = 0; at < 50000; at += 500)
        evbuffer_add_reference(buffer, period + at, 500, NULL, NULL);
    ck_assert_int_eq(bufferevent_write_buffer(c->client.bev, buffer), 0);
    ck_assert_uint_eq(evbuffer_get_length(buffer), 0);
    evbuffer_free(buffer);
    contract_wait_bytes(c, &c->server, 50000);
}

static void on_reference_done(const void *data, size_t n, void *arg)
{
    (*(size_t *)arg)++;
}

static void add_reference(struct contract *c)
{
    size_t length, done = 0;
    const void *period = contract_pattern_period(&length);
    c->buffer_size = 16384;
    contract_pair(c);
    struct evbuffer *output = bufferevent_get_output(c->client.bev);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(evbuffer_add_reference(output, period, length, on_reference_done, &done),
                         0);
    contract_wait_bytes(c, &c->server, 3 * length);
    contract_drain(c);
    ck_assert_uint_eq(done, 3);
}

/* Memory that the program lent comes back when the bufferevent is freed with it unsent. */
static void reference_unsent(struct contract *c)
{
    size_t length, done = 0;
    const void *period = contract_pattern_period(&length);
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_WRITE);
    evbuffer_add_reference(bufferevent_get_output(c->client.bev), period, length, on_reference_done,
                           &done);
    end_free(&c->client);
    contract_drain(c);
    ck_assert_uint_eq(done, 1);
}

static int pattern_file(size_t periods)
{
    size_t length;
    const void *period = contract_pattern_period(&length);
    int fd = memfd_create("contract", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < periods; i++)
        ck_assert_int_eq(write(fd, period, length), (ssize_t)length);
    return fd;
}

/* libevent may send a file by sendfile, past everything that the bufferevent does with its bytes.
 */
static void add_file(struct contract *c)
{
    size_t length;
    contract_pattern_period(&length);
    contract_pair(c);
    ck_assert_int_eq(evbuffer_add_file(bufferevent_get_output(c->client.bev), pattern_file(8), 0,
                                       (ev_off_t)(8 * length)),
                     0);
    contract_wait_bytes(c, &c->server, 8 * length);
    ck_assert_uint_eq(end_output(&c->client), 0);
}

static void add_file_between_bytes(struct contract *c)
{
    contract_pair(c);
    end_send(&c->client, 1000);
    evbuffer_add_file(bufferevent_get_output(c->client.bev), pattern_file(2), 1000, 100000);
    c->client.sent += 100000;
    end_send(&c->client, 70000);
    contract_wait_bytes(c, &c->server, 171000);
}

static void add_file_segment(struct contract *c)
{
    size_t length;
    contract_pattern_period(&length);
    struct evbuffer_file_segment *seg =
        evbuffer_file_segment_new(pattern_file(1), 0, (ev_off_t)length, EVBUF_FS_CLOSE_ON_FREE);
    ck_assert_ptr_nonnull(seg);
    contract_pair(c);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(evbuffer_add_file_segment(bufferevent_get_output(c->client.bev), seg, 0,
                                                   (ev_off_t)length),
                         0);
    evbuffer_file_segment_free(seg);
    contract_wait_bytes(c, &c->server, 3 * length);
}

static void printf_to_output(struct contract *c)
{
    char text[32];
    contract_pair(c);
    c->server.hold = true;
    evbuffer_add_printf(bufferevent_get_output(c->client.bev), "%s %d\r\n", "HELO", 42);
    contract_wait(c, &c->server.reads, 1, "a line");
    ck_assert_uint_eq(end_input(&c->server), 9);
    bufferevent_read(c->server.bev, text, sizeof(text));
    ck_assert_mem_eq(text, "HELO 42\r\n", 9);
}

/* Space reserved in the output by the program itself. */
static void reserve_and_commit(struct contract *c)
{
    struct evbuffer_iovec vec[1];
    size_t length;
    const void *period = contract_pattern_period(&length);
    contract_pair(c);
    struct evbuffer *output = bufferevent_get_output(c->client.bev);
    ck_assert_int_eq(evbuffer_reserve_space(output, 20000, vec, 1), 1);
    memcpy(vec[0].iov_base, period, 20000);
    vec[0].iov_len = 20000;
    ck_assert_int_eq(evbuffer_commit_space(output, vec, 1), 0);
    contract_wait_bytes(c, &c->server, 20000);
}

/* The front of the output and the end of the input belong to the bufferevent. */
static void output_front_is_frozen(struct contract *c)
{
    char byte;
    contract_pair(c);
    bufferevent_disable(c->client.bev, EV_WRITE);
    end_send(&c->client, 100);
    struct evbuffer *output = bufferevent_get_output(c->client.bev);
    ck_assert_int_eq(evbuffer_drain(output, 10), -1);
    ck_assert_int_eq(evbuffer_prepend(output, "x", 1), -1);
    ck_assert_int_eq(evbuffer_remove(output, &byte, 1), -1);
    ck_assert_uint_eq(evbuffer_get_length(output), 100);
    bufferevent_enable(c->client.bev, EV_WRITE);
    contract_wait_bytes(c, &c->server, 100);
    ck_assert_int_eq(evbuffer_prepend(output, "x", 1), -1);
}

static void input_end_is_frozen(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    end_send(&c->client, 100);
    contract_wait(c, &c->server.reads, 1, "bytes");
    struct evbuffer *input = bufferevent_get_input(c->server.bev);
    ck_assert_int_eq(evbuffer_add(input, "x", 1), -1);
    ck_assert_uint_eq(evbuffer_get_length(input), 100);
    ck_assert_uint_eq(end_take(&c->server, 50), 50);
    ck_assert_int_eq(evbuffer_drain(input, 10), 0);
    ck_assert_uint_eq(evbuffer_get_length(input), 40);
}

/* A parser that puts back what it read too much. */
static void prepend_to_input(struct contract *c)
{
    char data[10];
    contract_pair(c);
    c->server.hold = true;
    end_send(&c->client, 100);
    contract_wait(c, &c->server.reads, 1, "bytes");
    ck_assert_uint_eq(bufferevent_read(c->server.bev, data, sizeof(data)), sizeof(data));
    ck_assert_int_eq(evbuffer_prepend(bufferevent_get_input(c->server.bev), data, sizeof(data)), 0);
    ck_assert_uint_eq(end_take(&c->server, SIZE_MAX), 100);
}

static void count_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
    uint64_t *totals = arg;
    totals[0] += info->n_added;
    totals[1] += info->n_deleted;
}

static void callbacks_see_every_byte(struct contract *c)
{
    uint64_t out[2] = {0}, in[2] = {0};
    contract_pair(c);
    evbuffer_add_cb(bufferevent_get_output(c->client.bev), count_change, out);
    evbuffer_add_cb(bufferevent_get_input(c->server.bev), count_change, in);
    end_send(&c->client, 300000);
    contract_wait_bytes(c, &c->server, 300000);
    contract_drain(c);
    ck_assert_uint_eq(out[0], 300000);
    ck_assert_uint_eq(out[1], 300000);
    ck_assert_uint_eq(in[0], 300000);
    ck_assert_uint_eq(in[1], 300000);
}

static void read_buffer(struct contract *c)
{
    struct evbuffer *buffer = evbuffer_new();
    contract_pair(c);
    c->server.hold = true;
    end_send(&c->client, 30000);
    while (end_input(&c->server) < 30000)
        contract_wait(c, &c->server.reads, c->server.reads + 1, "bytes");
    ck_assert_int_eq(bufferevent_read_buffer(c->server.bev, buffer), 0);
    ck_assert_uint_eq(end_input(&c->server), 0);
    ck_assert_uint_eq(evbuffer_get_length(buffer), 30000);
    ck_assert(contract_pattern_is(evbuffer_pullup(buffer, -1), 30000, 0));
    evbuffer_free(buffer);
    /* The end of the input is still the bufferevent's, and it still works. */
    c->server.received = 30000;
    end_send(&c->client, 10);
    contract_wait(c, &c->server.reads, c->server.reads + 1, "more bytes");
    ck_assert_uint_eq(end_take(&c->server, SIZE_MAX), 10);
}

static void lines(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    bufferevent_write(c->client.bev, "one\r\ntwo\r\nth", 12);
    contract_wait(c, &c->server.reads, 1, "lines");
    struct evbuffer *input = bufferevent_get_input(c->server.bev);
    for (int i = 0; i < 2; i++) {
        char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
        ck_assert_str_eq(line, i == 0 ? "one" : "two");
        free(line);
    }
    ck_assert_ptr_null(evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF));
    bufferevent_write(c->client.bev, "ree\r\n", 5);
    contract_wait(c, &c->server.reads, 2, "the rest of a line");
    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
    ck_assert_str_eq(line, "three");
    free(line);
}

/* le-proxy's move: the input of one connection appended to the output of another. */
static void input_to_output(struct end *e)
{
    evbuffer_add_buffer(bufferevent_get_output(e->bev), bufferevent_get_input(e->bev));
}

static void echo_without_copying(struct contract *c)
{
    contract_pair(c);
    c->server.hold = true;
    c->server.on_read = input_to_output;
    end_send(&c->client, (size_t)1 << 20);
    contract_wait_bytes(c, &c->client, (size_t)1 << 20);
    ck_assert_uint_eq(end_input(&c->server), 0);
}

const struct contract_row contract_rows_buffers[] = {
    {.name = "buffers__write_buffer", .run = write_buffer},
    {.name = "buffers__add_reference", .run = add_reference},
    {.name = "buffers__reference_comes_back_unsent", .run = reference_unsent},
    {.name = "buffers__add_file", .run = add_file},
    {.name = "buffers__add_file_between_bytes", .run = add_file_between_bytes},
    {.name = "buffers__add_file_segment", .run = add_file_segment},
    {.name = "buffers__printf_to_output", .run = printf_to_output},
    {.name = "buffers__reserve_and_commit_in_output", .run = reserve_and_commit},
    {.name = "buffers__front_of_output_is_frozen", .run = output_front_is_frozen},
    {.name = "buffers__end_of_input_is_frozen", .run = input_end_is_frozen},
    {.name = "buffers__prepend_to_input", .run = prepend_to_input},
    {.name = "buffers__callbacks_see_every_byte", .run = callbacks_see_every_byte},
    {.name = "buffers__read_buffer", .run = read_buffer},
    {.name = "buffers__readln", .run = lines},
    {.name = "buffers__echo_without_copying", .run = echo_without_copying},
    {0},
};
