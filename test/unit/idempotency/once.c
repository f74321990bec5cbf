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
#include "consumer/keep.h"
#include "saga/conf.h"
#include "test/lib/given.h"

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
    assert_int_equal(once_bucket(once_id(NOW_MS), bucket), 0);
    assert_string_equal(bucket, "0193abcde");
    assert_int_equal(once_bucket(slice_from("0193abcd-ef12-7abc-8abc-0123456789ab"), bucket), 0);
    assert_string_equal(bucket, "0193abcde");
}

/* Upper and lower case of an id name the same bucket. */
static void once_bucket_of_upper_case(void **state)
{
    (void)state;
    char bucket[10];
    struct slice id = SLICE_TEXT("0193ABCD-EF12-7ABC-8ABC-0123456789AB:1:take");
    assert_int_equal(once_bucket(id, bucket), 0);
    assert_string_equal(bucket, "0193abcde");
}

/* Ids of the same 4096 ms share a bucket, the next one begins another. */
static void once_bucket_width(void **state)
{
    (void)state;
    char first[10], last[10], next[10];
    int64_t begin_ms = NOW_MS & ~INT64_C(4095);
    assert_int_equal(once_bucket(once_id(begin_ms), first), 0);
    assert_int_equal(once_bucket(once_id(begin_ms + 4095), last), 0);
    assert_int_equal(once_bucket(once_id(begin_ms + 4096), next), 0);
    assert_string_equal(first, last);
    assert_string_not_equal(first, next);
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
        assert_int_equal(once_bucket(slice_from(texts[i]), bucket), -ERR_FIELD);
    }
    assert_int_equal(once_bucket((struct slice){NULL, 0}, bucket), -ERR_FIELD);
    assert_string_equal(bucket, "kept");
}

/* How long records live is a variable; when memory is short it is the least, but not of those that
 * a client's key stands for, which live as long as the key, and never shorter than the others. */
static void once_life_of_records(void **state)
{
    struct once_conf conf;
    struct begin_conf begin;
    struct saga_conf saga;
    (void)state;
    given_load(&once_conf_table, given_none, &conf);
    given_load(&begin_conf_table, given_none, &begin);
    given_load(&saga_conf_table, given_none, &saga);
    assert_int_equal(once_life(&conf, false).ms, 3600000);
    assert_int_equal(once_life(&conf, true).ms, ONCE_LIFE_LEAST_MS);
    assert_true(once_life(&conf, true).kept_ms > DAY_MS);
    conf.records_s = 691200;
    assert_int_equal(once_life(&conf, false).kept_ms, 8 * DAY_MS);
    assert_true(KEEP_LATE_MS > begin.deadline_ms);
    assert_true(KEEP_DELAY_MS > saga.saga_deadline_ms);
}

/* A floor says that a command never acted when it was above it since the command was made for its
 * request, however fast it may have risen since. */
static void once_never(void **state)
{
    (void)state;
    const struct once_conf conf = {.records_s = 3600, .idempotency_days = 1};
    const int64_t jump_ms = 3600000 - ONCE_LIFE_LEAST_MS; /* when memory gets tight */
    assert_true(once_never_acted(&conf, once_id(NOW_MS), NOW_MS + 9 * DAY_MS, 1000));
    assert_true(once_never_acted(&conf, once_id(NOW_MS), NOW_MS + jump_ms + 70000, 1000));
    assert_false(once_never_acted(&conf, once_id(NOW_MS), NOW_MS + jump_ms + 60000, 1000));
    assert_false(once_never_acted(&conf, once_id(NOW_MS), NOW_MS + jump_ms + 70000, 10000));
    assert_false(once_never_acted(&conf, once_id(NOW_MS), NOW_MS + 1, 0));
    assert_false(once_never_acted(&conf, SLICE_TEXT("no id"), NOW_MS, 0));
}

/* The floor is the second word of the store's error, if that is one of ours. */
static void once_floor_of_errors(void **state)
{
    (void)state;
    int64_t floor_ms = 7;
    assert_true(once_floor(SLICE_TEXT("TOOOLD 1733754220544 the record may be gone"), &floor_ms));
    assert_int_equal(floor_ms, 1733754220544);
    assert_false(once_floor(SLICE_TEXT("TOOOLD the record may be gone"), &floor_ms));
    assert_false(once_floor(SLICE_TEXT("TOOOLD"), &floor_ms));
    assert_false(once_floor((struct slice){NULL, 0}, &floor_ms));
    assert_int_equal(floor_ms, 1733754220544);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_bucket_of_time),  cmocka_unit_test(once_bucket_of_upper_case),
        cmocka_unit_test(once_bucket_width),    cmocka_unit_test(once_bucket_of_other_texts),
        cmocka_unit_test(once_life_of_records), cmocka_unit_test(once_never),
        cmocka_unit_test(once_floor_of_errors),
    };
    return cmocka_run_group_tests_name("idempotency/once", tests, NULL, NULL);
}
