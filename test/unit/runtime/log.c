/* The log, with standard error caught in a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/loop.h"

struct fixture {
    struct loop *loop;
    int caught; /* what standard error goes to */
    int stderr_kept;
    char text[400000];
};

static int log_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->loop = loop_new();
    f->caught = memfd_create("stderr", 0);
    f->stderr_kept = dup(STDERR_FILENO);
    dup2(f->caught, STDERR_FILENO);
    *state = f;
    return 0;
}

static int log_teardown(void **state)
{
    struct fixture *f = *state;
    log_stop();
    dup2(f->stderr_kept, STDERR_FILENO);
    close(f->stderr_kept);
    close(f->caught);
    loop_free(f->loop);
    free(f);
    return 0;
}

static const char *caught(struct fixture *f)
{
    ssize_t bytes = pread(f->caught, f->text, sizeof(f->text) - 1, 0);
    f->text[bytes > 0 ? bytes : 0] = '\0';
    return f->text;
}

/* Before the start a line is written at once, and it has no service. */
static void log_before_start_test(void **state)
{
    log_info("hello", "n=%d", 1);
    const char *text = caught(*state);
    assert_memory_equal(text, "ts=20", 5);
    assert_int_equal(text[3 + 10], 'T');
    assert_int_equal(text[3 + 23], 'Z');
    assert_string_equal(text + 3 + 24, " level=info event=hello n=1\n");
}

/* After it lines wait for the end of the turn and leave together, in order. */
static void log_turn_test(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(log_start(f->loop, "order", "info"), 0);
    log_info("one", "a=1");
    log_warn("two", "b=2");
    assert_string_equal(caught(f), "");
    loop_turn(f->loop, false);
    const char *one = strstr(caught(f), " level=info service=order event=one a=1\n");
    const char *two = strstr(f->text, " level=warn service=order event=two b=2\n");
    assert_non_null(one);
    assert_non_null(two);
    assert_true(one < two);
}

/* Below the level nothing is written. */
static void log_level_test(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(log_start(f->loop, "x", "loud"), -ERR_CONFIG);
    assert_int_equal(log_start(f->loop, "x", "warn"), 0);
    assert_false(log_is_on(LOG_INFO));
    assert_true(log_is_on(LOG_WARN));
    log_info("no", "a=1");
    log_error("yes", "a=1");
    log_stop();
    assert_null(strstr(caught(f), "event=no"));
    assert_non_null(strstr(f->text, "level=error service=x event=yes"));
}

/* A turn that logs a lot is written in between: the buffer stays bounded. */
static void log_much_test(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(log_start(f->loop, "x", "debug"), 0);
    for (int i = 0; i < 2000; i++) {
        log_debug("line", "i=%d pad=%050d", i, 0);
    }
    assert_true(strlen(caught(f)) > 65536);
    log_stop();
    assert_non_null(strstr(caught(f), "i=1999"));
}

/* Of one event so many lines a second, whatever comes; the next one says how many were left out,
 * and other events are written all the while. */
static void log_flood_test(void **state)
{
    struct fixture *f = *state;
    unsigned lines = 0;
    assert_int_equal(log_start(f->loop, "x", "info"), 0);
    for (int i = 0; i < 2000; i++) {
        log_warn("flood", "i=%d", i);
    }
    log_warn("other", "a=1");
    int64_t until_ms = loop_now_ms(f->loop) + 1100;
    loop_turn(f->loop, false);
    for (const char *at = caught(f); (at = strstr(at, "event=flood")) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, LOG_EVENT_LINES);
    assert_null(strstr(f->text, "lines_left_out="));
    assert_non_null(strstr(f->text, "event=other a=1\n"));
    while (loop_now_ms(f->loop) < until_ms) {
        usleep(20000);
        loop_turn(f->loop, false);
    }
    log_warn("flood", "i=again");
    log_warn("flood", "i=more");
    log_stop();
    assert_non_null(strstr(caught(f), "event=flood i=again lines_left_out=1990\n"));
    assert_non_null(strstr(f->text, "event=flood i=more\n"));
}

/* Nothing can make two lines of one, and a line has an end. */
static void log_forged_test(void **state)
{
    struct fixture *f = *state;
    char *huge = malloc(100000);
    memset(huge, 'y', 99999);
    huge[99999] = '\0';
    log_info("forged", "a=%s", "x\nts=2000 level=error \x1b[31m");
    log_info("huge", "a=%s", huge);
    free(huge);
    const char *text = caught(f);
    const char *first_end = strchr(text, '\n');
    assert_non_null(strstr(text, "a=x?ts=2000 level=error ?[31m\n"));
    const char *second_end = strchr(first_end + 1, '\n');
    assert_true(second_end - first_end < 3000);
    assert_int_equal(second_end[1], '\0');
}

static void quoted(struct slice text, const char *expected)
{
    struct buf out = {0};
    log_value(&out, text);
    assert_string_equal(out.data, expected);
    assert_string_equal(log_quote(text), expected);
    buf_free(&out);
}

/* A value is bare when nobody could misread it. */
static void log_value_test(void **state)
{
    (void)state;
    quoted(SLICE_TEXT("/orders/find/1"), "/orders/find/1");
    quoted(SLICE_TEXT(""), "\"\"");
    quoted((struct slice){NULL, 0}, "\"\"");
    quoted(SLICE_TEXT("a b"), "\"a b\"");
    quoted(SLICE_TEXT("a=b"), "\"a=b\"");
    quoted(SLICE_TEXT("a\"b\\"), "\"a\\\"b\\\\\"");
    quoted(SLICE_TEXT("a\r\n\t\x1b\x7f"), "\"a\\r\\n\\t\\x1b\\x7f\"");
    quoted((struct slice){"\0\xc2\x9b", 3}, "\"\\x00\\xc2\\x9b\"");
}

/* A long one is cut to 200 bytes and says so, whatever its bytes are. */
static void log_value_long_test(void **state)
{
    (void)state;
    char text[300];
    const char fills[] = {'a', '"', '\n', '\x01'};
    for (size_t i = 0; i < sizeof(fills); i++) {
        memset(text, fills[i], sizeof(text));
        const char *value = log_quote((struct slice){text, sizeof(text)});
        size_t bytes = strlen(value);
        assert_true(bytes <= 200 && bytes > 190);
        assert_string_equal(value + bytes - 4, "...\"");
        assert_int_equal(value[0], '"');
    }
    memset(text, 'a', sizeof(text));
    assert_int_equal(strlen(log_quote((struct slice){text, 200})), 200);
}

/* Four quotes live at the same time. */
static void log_quote_ring_test(void **state)
{
    (void)state;
    const char *a = log_quote(SLICE_TEXT("a"));
    const char *b = log_quote(SLICE_TEXT("b"));
    const char *c = log_quote(SLICE_TEXT("c"));
    const char *d = log_quote(SLICE_TEXT("d"));
    assert_string_equal(a, "a");
    assert_string_equal(b, "b");
    assert_string_equal(c, "c");
    assert_string_equal(d, "d");
}

#define LOG_TEST(test) cmocka_unit_test_setup_teardown(test, log_setup, log_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(log_before_start_test),
        LOG_TEST(log_turn_test),
        LOG_TEST(log_level_test),
        LOG_TEST(log_much_test),
        LOG_TEST(log_flood_test),
        LOG_TEST(log_forged_test),
        cmocka_unit_test(log_value_test),
        cmocka_unit_test(log_value_long_test),
        cmocka_unit_test(log_quote_ring_test),
    };
    return cmocka_run_group_tests_name("runtime/log", tests, NULL, NULL);
}
