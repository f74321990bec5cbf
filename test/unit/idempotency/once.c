/* Where records lie: the bucket of a command id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "idempotency/once.h"
#include "runtime/err.h"
#include "runtime/uuid.h"

#define DAY_MS INT64_C(86400000)
#define NOW_MS INT64_C(0x0193abcdef12)

static struct slice once_id(int64_t made_ms)
{
    static char text[64];
    snprintf(text, sizeof(text), "%s:1:charge", uuid_make(made_ms).text);
    return slice_from(text);
}

/* The bucket is the first nine hex digits of the id's time. */
static void once_bucket_of_time(void **state)
{
    (void)state;
    char bucket[10];
    assert_int_equal(once_bucket(once_id(NOW_MS), NOW_MS, bucket), 0);
    assert_string_equal(bucket, "0193abcde");
    assert_int_equal(
        once_bucket(slice_from("0193abcd-ef12-7abc-8abc-0123456789ab"), NOW_MS, bucket), 0);
    assert_string_equal(bucket, "0193abcde");
}

/* Upper and lower case of an id name the same bucket. */
static void once_bucket_of_upper_case(void **state)
{
    (void)state;
    char bucket[10];
    struct slice id = SLICE_TEXT("0193ABCD-EF12-7ABC-8ABC-0123456789AB:1:take");
    assert_int_equal(once_bucket(id, NOW_MS, bucket), 0);
    assert_string_equal(bucket, "0193abcde");
}

/* Ids of the same 4096 ms share a bucket, the next one begins another. */
static void once_bucket_width(void **state)
{
    (void)state;
    char first[10], last[10], next[10];
    int64_t begin_ms = NOW_MS & ~INT64_C(4095);
    assert_int_equal(once_bucket(once_id(begin_ms), NOW_MS, first), 0);
    assert_int_equal(once_bucket(once_id(begin_ms + 4095), NOW_MS, last), 0);
    assert_int_equal(once_bucket(once_id(begin_ms + 4096), NOW_MS, next), 0);
    assert_string_equal(first, last);
    assert_string_not_equal(first, next);
}

/* A command is run up to ONCE_RECORD_DAYS after its time, and not a millisecond longer. */
static void once_bucket_too_old(void **state)
{
    (void)state;
    char bucket[10] = "kept";
    int64_t limit_ms = NOW_MS - ONCE_RECORD_DAYS * DAY_MS;
    assert_int_equal(once_bucket(once_id(limit_ms - 1), NOW_MS, bucket), -ERR_TOO_OLD);
    assert_string_equal(bucket, "kept");
    assert_int_equal(once_bucket(once_id(limit_ms), NOW_MS, bucket), 0);
}

/* An id from more than a day ahead is made up. */
static void once_bucket_from_the_future(void **state)
{
    (void)state;
    char bucket[10] = "kept";
    assert_int_equal(once_bucket(once_id(NOW_MS + DAY_MS + 1), NOW_MS, bucket), -ERR_FIELD);
    assert_string_equal(bucket, "kept");
    assert_int_equal(once_bucket(once_id(NOW_MS + DAY_MS), NOW_MS, bucket), 0);
}

/* What does not begin with a UUIDv7 has no bucket. */
static void once_bucket_of_other_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "7",
        "0193abcd-ef12-7abc-8abc-0123456789a",
        "0193abcd-ef12-4abc-8abc-0123456789ab",
        "0193abcdxef12-7abc-8abc-0123456789ab",
        " 0193abcd-ef12-7abc-8abc-0123456789ab",
        "g193abcd-ef12-7abc-8abc-0123456789ab",
    };
    char bucket[10] = "kept";
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(once_bucket(slice_from(texts[i]), NOW_MS, bucket), -ERR_FIELD);
    }
    assert_int_equal(once_bucket((struct slice){NULL, 0}, NOW_MS, bucket), -ERR_FIELD);
    assert_string_equal(bucket, "kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_bucket_of_time),         cmocka_unit_test(once_bucket_of_upper_case),
        cmocka_unit_test(once_bucket_width),           cmocka_unit_test(once_bucket_too_old),
        cmocka_unit_test(once_bucket_from_the_future), cmocka_unit_test(once_bucket_of_other_texts),
    };
    return cmocka_run_group_tests_name("idempotency/once", tests, NULL, NULL);
}
