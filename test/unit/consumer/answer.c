/* Records taken apart, and the mark of a batch (consumer/answer): the parts that need no service.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "consumer/answer.h"
#include "consumer/batch.h"

/* A record has an outcome and as many details as were written. */
static void record_read_fields(void **state)
{
    (void)state;
    struct record record = record_read(SLICE_TEXT("charged|user_1|15|0193a000-0000"));
    assert_true(slice_is(record.outcome, "charged"));
    assert_true(slice_is(record.detail[0], "user_1"));
    assert_true(slice_is(record.detail[1], "15"));
    assert_true(slice_is(record.detail[2], "0193a000-0000"));
    assert_null(record.detail[3].data);
}

/* An outcome alone has no details, and an empty detail is not an absent one. */
static void record_read_absent_and_empty(void **state)
{
    (void)state;
    struct record record = record_read(SLICE_TEXT("cancelled"));
    assert_true(slice_is(record.outcome, "cancelled"));
    assert_null(record.detail[0].data);
    record = record_read(SLICE_TEXT("charged|u|5|"));
    assert_true(slice_is(record.detail[2], ""));
    assert_non_null(record.detail[2].data);
    assert_null(record.detail[3].data);
    record = record_read(SLICE_TEXT("||x"));
    assert_true(slice_is(record.outcome, ""));
    assert_true(slice_is(record.detail[0], ""));
    assert_true(slice_is(record.detail[1], "x"));
}

/* No record at all is an absent outcome; an empty one is an empty outcome. */
static void record_read_nothing(void **state)
{
    (void)state;
    struct record record = record_read((struct slice){0});
    assert_null(record.outcome.data);
    assert_null(record.detail[0].data);
    record = record_read(SLICE_TEXT(""));
    assert_true(slice_is(record.outcome, ""));
    assert_null(record.detail[0].data);
}

/* The text need not be terminated, and nothing behind its end is read. */
static void record_read_borrowed(void **state)
{
    (void)state;
    char *text = malloc(6); /* of its own, so that ASan sees a byte too many */
    memcpy(text, "user|7", 6);
    struct record record = record_read((struct slice){text, 6});
    assert_true(slice_is(record.outcome, "user"));
    assert_true(slice_is(record.detail[0], "7"));
    free(text);
}

/* More details than a record may have are left out. */
static void record_read_too_many(void **state)
{
    (void)state;
    struct record record = record_read(SLICE_TEXT("o|0|1|2|3|4|5|6|7|8|9"));
    for (unsigned i = 0; i < RECORD_DETAILS_MAX; i++) {
        char digit[2] = {(char)('0' + i), '\0'};
        assert_true(slice_is(record.detail[i], digit));
    }
}

/* Details that are numbers are exact over the whole of int64; what is none, no message can have. */
static void record_int_exact(void **state)
{
    (void)state;
    assert_true(record_int(SLICE_TEXT("0")) == 0);
    assert_true(record_int(SLICE_TEXT("9007199254740993")) == INT64_C(9007199254740993));
    assert_true(record_int(SLICE_TEXT("9223372036854775807")) == INT64_MAX);
    const char *const others[] = {"-1", "", "1x", "9223372036854775808", "nil"};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct message user = {.type = MESSAGE_USER};
        message_set(&user, id, SLICE_TEXT("c1"));
        message_set(&user, credit, 0);
        assert_true(message_is_valid(&user));
        message_set(&user, credit, record_int(slice_from(others[i])));
        assert_false(message_is_valid(&user));
    }
    assert_int_equal(record_int((struct slice){0}), -1);
}

/* A batch is marked with the time of its command, which every chunk and every repeat shares. */
static void batch_gen_is_the_time(void **state)
{
    (void)state;
    struct message in = {.type = MESSAGE_PAYMENT_INIT};
    message_set(&in, id, SLICE_TEXT("0193a0bc-1def-7000-8000-000000000001"));
    assert_true(slice_is(batch_gen(&in), "0193a0bc-1def"));
    message_set(&in, id, SLICE_TEXT("short"));
    assert_true(slice_is(batch_gen(&in), "short"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_read_fields),    cmocka_unit_test(record_read_absent_and_empty),
        cmocka_unit_test(record_read_nothing),   cmocka_unit_test(record_read_borrowed),
        cmocka_unit_test(record_read_too_many),  cmocka_unit_test(record_int_exact),
        cmocka_unit_test(batch_gen_is_the_time),
    };
    return cmocka_run_group_tests_name("consumer/answer", tests, NULL, NULL);
}
