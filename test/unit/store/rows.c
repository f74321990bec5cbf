/* Commands that travel together (store/rows): what is gathered into one call, and who is told
 * which answer. The store is this test; its replies are read as in a service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/err.h"
#include "store/reader.h"
#include "store/rows.h"
#include "store/wire.h"

#define CALLERS_MAX 1024
#define CALLS_MAX   64

struct caller {
    unsigned told;
    int err;
    unsigned count;
    char text[32];     /* "-": nil, "": no reply */
    const char *again; /* what it adds when it is told */
};

struct call {
    char text[16384]; /* its arguments, a space behind each */
    unsigned args, row;
    texts_on_reply *on_reply;
    void *ctx;
};

static struct {
    struct rows *rows;
    struct args command;
    struct call call[CALLS_MAX];
    unsigned calls;
    struct caller caller[CALLERS_MAX];
    unsigned callers;
    char order[CALLERS_MAX * 8]; /* who was told, in this order */
} w;

static void on_send(void *ctx, const struct args *c, texts_on_reply *on_reply, void *reply_ctx)
{
    struct buf text = {0};
    assert_ptr_equal(ctx, &w);
    assert_in_range(w.calls, 0, CALLS_MAX - 1);
    struct call *call = &w.call[w.calls++];
    for (unsigned i = 0; i < c->count; i++) {
        buf_add_slice(&text, args_at(c, i));
        buf_add_text(&text, " ");
    }
    assert_in_range(text.bytes, 1, sizeof(call->text) - 1);
    *call = (struct call){.args = c->count, .row = c->row, .on_reply = on_reply, .ctx = reply_ctx};
    memcpy(call->text, text.data, text.bytes);
    call->text[text.bytes] = '\0';
    buf_free(&text);
}

static void add(const char *head, const char *row);

static void on_reply(void *ctx, int err, struct texts reply)
{
    struct caller *caller = ctx;
    size_t bytes = strlen(w.order);
    snprintf(w.order + bytes, sizeof(w.order) - bytes, "%d ", (int)(caller - w.caller));
    caller->told++;
    caller->err = err;
    if (reply.count > 0) {
        struct slice text = texts_at(reply, 0);
        caller->count = reply.count;
        snprintf(caller->text, sizeof(caller->text), "%.*s", text.data ? (int)text.bytes : 1,
                 text.data ? text.data : "-");
    }
    if (caller->again != NULL) {
        add("f b", caller->again);
    }
}

static void words_add(const char *text)
{
    struct slice rest = slice_from(text), word;
    while (slice_cut(&rest, ' ', &word)) {
        args_add(&w.command, word);
    }
}

/* One more caller adds its command. */
static void add(const char *head, const char *row)
{
    args_reset(&w.command);
    words_add(head);
    args_row_begins(&w.command);
    words_add(row);
    assert_in_range(w.callers, 0, CALLERS_MAX - 1);
    rows_add(w.rows, &w.command, on_reply, &w.caller[w.callers++]);
}

/* The n-th call is answered with these bytes. */
static void answer_bytes(unsigned n, const char *bytes)
{
    struct reader *reader = reader_new();
    struct texts reply;
    bool is_error;
    reader_feed(reader, bytes, strlen(bytes));
    assert_int_equal(reader_next(reader, &reply, &is_error), READER_REPLY);
    assert_in_range(n, 0, w.calls - 1);
    w.call[n].on_reply(w.call[n].ctx, 0, reply);
    reader_free(reader);
}

/* With these texts, a space between two of them; "-" is nil. */
static void answer(unsigned n, const char *texts)
{
    struct slice rest = slice_from(texts), text;
    struct buf list = {0}, bytes = {0};
    unsigned count = 0;
    for (; slice_cut(&rest, ' ', &text); count++) {
        if (slice_is(text, "-")) {
            buf_add_text(&list, "$-1\r\n");
        } else {
            char head[24];
            snprintf(head, sizeof(head), "$%zu\r\n", text.bytes);
            buf_add_text(&list, head);
            buf_add_slice(&list, text);
            buf_add_text(&list, "\r\n");
        }
    }
    char head[24];
    snprintf(head, sizeof(head), "*%u\r\n", count);
    buf_add_text(&bytes, head);
    buf_add_slice(&bytes, buf_slice(&list));
    answer_bytes(n, bytes.data);
    buf_free(&list);
    buf_free(&bytes);
}

static void answer_error(unsigned n, int err)
{
    assert_in_range(n, 0, w.calls - 1);
    w.call[n].on_reply(w.call[n].ctx, err, (struct texts){NULL, 0});
}

static void assert_call(unsigned n, const char *text)
{
    assert_in_range(n, 0, w.calls - 1);
    assert_string_equal(w.call[n].text, text);
}

/* The n-th caller was told once: this text, and only that. */
static void assert_told(unsigned n, const char *text)
{
    assert_int_equal(w.caller[n].told, 1);
    assert_int_equal(w.caller[n].err, 0);
    assert_int_equal(w.caller[n].count, 1);
    assert_string_equal(w.caller[n].text, text);
}

static void assert_failed(unsigned n, int err)
{
    assert_int_equal(w.caller[n].told, 1);
    assert_int_equal(w.caller[n].err, err);
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.rows = rows_new(on_send, &w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rows_free(w.rows);
    args_free(&w.command);
    return 0;
}

/* Rows of one head become one call at the end of the turn; each caller is told its own answer. */
static void one_call(void **state)
{
    (void)state;
    add("f b", "1 ann");
    add("f b", "2 bob");
    add("f b", "3 eve");
    assert_int_equal(w.calls, 0);
    assert_int_equal(rows_gathered(w.rows), 3);
    rows_flush(w.rows);
    assert_int_equal(w.calls, 1);
    assert_int_equal(rows_gathered(w.rows), 0);
    assert_call(0, "f b 1 ann 2 bob 3 eve ");
    answer(0, "x y z");
    assert_told(0, "x");
    assert_told(1, "y");
    assert_told(2, "z");
    assert_string_equal(w.order, "0 1 2 ");
    rows_flush(w.rows);
    assert_int_equal(w.calls, 1);
}

/* Only what is the same to the byte, cut in the same places, is one head. */
static void heads(void **state)
{
    (void)state;
    add("f b", "1");
    add("f c", "2");
    add("f bc", "3");
    add("fb", "4");
    add("f b", "5");
    add("f c", "6");
    rows_flush(w.rows);
    assert_int_equal(w.calls, 4);
    assert_call(0, "f b 1 5 ");
    assert_call(1, "f c 2 6 ");
    assert_call(2, "f bc 3 ");
    assert_call(3, "fb 4 ");
    answer(1, "p q");
    answer(0, "r s");
    answer(3, "t");
    answer(2, "u");
    assert_told(0, "r");
    assert_told(1, "p");
    assert_told(2, "u");
    assert_told(3, "t");
    assert_told(4, "s");
    assert_told(5, "q");
}

/* Heads that differ only in where an argument ends are two. */
static void heads_cut_elsewhere(void **state)
{
    (void)state;
    add("fa b", "1");
    add("f ab", "2");
    rows_flush(w.rows);
    assert_int_equal(w.calls, 2);
    assert_call(0, "fa b 1 ");
    assert_call(1, "f ab 2 ");
    answer(0, "x");
    answer(1, "y");
}

/* More heads than are kept open: the oldest goes out early, and a row of it that comes later goes
 * with another call. Nobody is forgotten, and nobody's row is in two. */
static void many_heads(void **state)
{
    (void)state;
    char head[16], row[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10; i++) {
            snprintf(head, sizeof(head), "f b%d", i);
            snprintf(row, sizeof(row), "%d", 10 * round + i);
            add(head, row);
        }
    }
    assert_in_range(w.calls, 1, 19);
    assert_call(0, "f b0 0 ");
    assert_int_equal(w.calls + rows_gathered(w.rows), 20);
    rows_flush(w.rows);
    assert_int_equal(w.calls, 20);
    for (unsigned n = 0; n < 20; n++) {
        char text[32];
        snprintf(text, sizeof(text), "f b%u %u ", n % 10, n);
        assert_call(n, text);
        snprintf(text, sizeof(text), "a%u", n);
        answer(n, text);
        assert_told(n, text);
    }
}

/* A call is sent at once when it is full, and the next row begins another. */
static void rows_limit(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2 * ROWS_MAX + 1; n++) {
        add("f b", n == ROWS_MAX ? "second" : "i");
        assert_int_equal(w.calls, (n + 1) / ROWS_MAX);
    }
    assert_int_equal(w.call[0].args, 2 + ROWS_MAX);
    rows_flush(w.rows);
    assert_int_equal(w.calls, 3);
    assert_int_equal(w.call[1].args, 2 + ROWS_MAX);
    assert_memory_equal(w.call[1].text, "f b second i ", 13);
    assert_call(2, "f b i ");
    for (unsigned n = 0; n < 3; n++) {
        answer_error(n, -ERR_STORE_DOWN);
    }
}

/* Wide rows fill a call before there are ROWS_MAX of them: no argument too many, none lost. */
static void arguments_limit(void **state)
{
    (void)state;
    enum { WIDTH = 100, FIT = (ARGS_MAX - 2) / WIDTH };
    char row[2 * WIDTH + 1] = "";
    for (int i = 0; i < WIDTH; i++) {
        strcat(row, i > 0 ? " x" : "x");
    }
    for (int n = 0; n < FIT + 1; n++) {
        add("f b", row);
    }
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.call[0].args, 2 + FIT * WIDTH);
    rows_flush(w.rows);
    assert_int_equal(w.call[1].args, 2 + WIDTH);
    answer_error(0, -ERR_STORE_DOWN);
    answer_error(1, -ERR_STORE_DOWN);
}

/* A row that fills a command to the last argument goes too, alone. */
static void widest_row(void **state)
{
    (void)state;
    args_text(&w.command, "f");
    args_row_begins(&w.command);
    while (w.command.count < ARGS_MAX) {
        args_text(&w.command, "x");
    }
    rows_add(w.rows, &w.command, on_reply, &w.caller[0]);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.call[0].args, ARGS_MAX);
    answer(0, "a");
    assert_told(0, "a");
}

/* What goes wrong for the call goes wrong for each of its rows, once. */
static void error_for_all(void **state)
{
    (void)state;
    static const int errs[] = {-ERR_STORE_DOWN, -ERR_STORE_TIMEOUT, -ERR_STORE_REPLY};
    for (unsigned i = 0; i < 3; i++) {
        add("f b", "1");
        add("f b", "2");
        rows_flush(w.rows);
        answer_error(i, errs[i]);
        assert_failed(2 * i, errs[i]);
        assert_failed(2 * i + 1, errs[i]);
    }
    assert_int_equal(w.calls, 3);
}

/* A row that failed is called again, without the others; they are not told twice. What it hears
 * then is its own, be it an error, or an answer after all. */
static void nil_is_called_alone(void **state)
{
    (void)state;
    add("f b", "1 ann");
    add("f b", "2 bob");
    add("f b", "3 eve");
    add("f b", "4 joe");
    rows_flush(w.rows);
    answer(0, "x - y -");
    assert_told(0, "x");
    assert_told(2, "y");
    assert_int_equal(w.caller[1].told + w.caller[3].told, 0);
    assert_int_equal(w.calls, 3);
    assert_call(1, "f b 2 bob ");
    assert_call(2, "f b 4 joe ");
    assert_int_equal(w.call[1].row, 2);
    answer_error(1, -ERR_STORE_REPLY);
    assert_failed(1, -ERR_STORE_REPLY);
    answer(2, "z");
    assert_told(3, "z");
    assert_int_equal(w.calls, 3);
}

/* Who is alone and is answered nothing hears that: there is no third time. */
static void nil_alone(void **state)
{
    (void)state;
    add("f b", "1");
    rows_flush(w.rows);
    answer(0, "-");
    assert_told(0, "-");
    assert_int_equal(w.calls, 1);
}

/* As many texts as rows, or nobody knows whose answer is whose: least of all is one given to
 * somebody else. */
static void wrong_number_of_texts(void **state)
{
    (void)state;
    static const char *const replies[] = {"*0\r\n", "*1\r\n+x\r\n", "*3\r\n+x\r\n+y\r\n+z\r\n",
                                          "+x\r\n", "$-1\r\n"};
    for (unsigned i = 0; i < 5; i++) {
        add("f b", "1");
        add("f b", "2");
        rows_flush(w.rows);
        answer_bytes(i, replies[i]);
        assert_failed(2 * i, -ERR_STORE_REPLY);
        assert_failed(2 * i + 1, -ERR_STORE_REPLY);
    }
    add("f b", "1");
    rows_flush(w.rows);
    answer(5, "x y");
    assert_failed(10, -ERR_STORE_REPLY);
    assert_int_equal(w.calls, 6);
}

/* Who is told may call again at once: that is another call, with another's answer. */
static void adds_again(void **state)
{
    (void)state;
    w.caller[0].again = "again-0";
    w.caller[1].again = "again-1";
    add("f b", "0");
    add("f b", "1");
    add("f b", "2");
    rows_flush(w.rows);
    answer(0, "x - z");
    assert_told(2, "z");
    assert_call(1, "f b 1 ");
    assert_int_equal(rows_gathered(w.rows), 1);
    answer(1, "y");
    assert_told(1, "y");
    assert_int_equal(w.calls, 2);
    rows_flush(w.rows);
    assert_call(2, "f b again-0 again-1 ");
    answer(2, "p q");
    assert_told(3, "p");
    assert_told(4, "q");
}

/* Nobody need be told: an answer to nobody is no reason to ask again for ever. */
static void nobody_is_told(void **state)
{
    (void)state;
    words_add("f b");
    args_row_begins(&w.command);
    words_add("1");
    rows_add(w.rows, &w.command, NULL, NULL);
    add("f b", "2");
    rows_flush(w.rows);
    answer(0, "x y");
    assert_told(0, "y");
}

/* At the end those who were gathered hear that the store is not there. */
static void free_tells(void **state)
{
    (void)state;
    add("f b", "1");
    add("f c", "2");
    add("f b", "3");
    rows_free(w.rows);
    w.rows = NULL;
    for (unsigned n = 0; n < 3; n++) {
        assert_failed(n, -ERR_STORE_DOWN);
    }
    assert_int_equal(w.calls, 0);
    rows_free(NULL);
}

/* Calls are used again, more of them out at once than are kept: nothing of the last use is left. */
static void many_out(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned i = 0; i < 20; i++) {
            add("f b", turn == 0 ? "long-1 long-2" : "1");
            rows_flush(w.rows);
        }
        for (unsigned n = 20 * turn; n < 20 * turn + 20; n++) {
            assert_call(n, turn == 0 ? "f b long-1 long-2 " : "f b 1 ");
            answer(n, "x");
            assert_told(n, "x");
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_call),       TEST(heads),         TEST(heads_cut_elsewhere),
        TEST(many_heads),     TEST(rows_limit),    TEST(arguments_limit),
        TEST(widest_row),     TEST(error_for_all), TEST(nil_is_called_alone),
        TEST(nil_alone),      TEST(adds_again),    TEST(wrong_number_of_texts),
        TEST(nobody_is_told), TEST(free_tells),    TEST(many_out),
    };
    return cmocka_run_group_tests_name("store/rows", tests, NULL, NULL);
}
