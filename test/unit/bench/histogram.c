/* The load generator's histogram: every duration within 1 %, never too small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "bench/histogram.h"
#include "runtime/buf.h"

static int setup(void **state)
{
    *state = mem_new(sizeof(struct histogram));
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* One duration comes back as itself: max_ns is exact, and no quantile is above it. */
static void histogram_one(void **state)
{
    struct histogram *h = *state;
    assert_int_equal(histogram_quantile(h, 0.5), 0);
    histogram_add(h, 123456789);
    assert_int_equal(histogram_quantile(h, 0), 123456789);
    assert_int_equal(histogram_quantile(h, 0.5), 123456789);
    assert_int_equal(histogram_quantile(h, 1), 123456789);
    assert_int_equal(h->max_ns, 123456789);
}

/* Over all sizes: a bucket's end is at least the duration, and at most 1 % more. */
static void histogram_error(void **state)
{
    struct histogram *h = *state;
    for (int64_t ns = 0; ns < INT64_C(1) << 37; ns += 1 + ns / 97) {
        *h = (struct histogram){0};
        histogram_add(h, ns);
        histogram_add(h, INT64_C(1) << 37);
        int64_t told = histogram_quantile(h, 0.5);
        assert_in_range(told - ns, 0, ns / 100);
    }
}

/* 1..1000 ms: the share that is asked for lies at or below the answer. */
static void histogram_shares(void **state)
{
    struct histogram *h = *state;
    for (int64_t ms = 1; ms <= 1000; ms++) {
        histogram_add(h, ms * 1000000);
    }
    assert_in_range(histogram_quantile(h, 0.5), 500000000, 505000000);
    assert_in_range(histogram_quantile(h, 0.9), 900000000, 909000000);
    assert_in_range(histogram_quantile(h, 0.99), 990000000, 999900000);
    assert_in_range(histogram_quantile(h, 0.999), 999000000, 1000000000);
    assert_int_equal(h->max_ns, 1000000000);
    assert_int_equal(h->total, 1000);
}

/* What lies outside is kept within: nothing is written behind the buckets. */
static void histogram_outside(void **state)
{
    struct histogram *h = *state;
    histogram_add(h, -5);
    histogram_add(h, INT64_MAX);
    histogram_add(h, INT64_C(1) << HISTOGRAM_MAX_BITS);
    assert_int_equal(h->counts[0], 1);
    assert_int_equal(h->counts[HISTOGRAM_BUCKETS - 1], 2);
    assert_int_equal(histogram_quantile(h, 1), INT64_MAX);
}

/* Merged is as if all had been added to one. */
static void histogram_merged(void **state)
{
    struct histogram *h = *state, *other = mem_new(sizeof(*other));
    histogram_add(h, 1000);
    histogram_add(other, 9000000);
    histogram_add(other, 9000000);
    histogram_merge(h, other);
    assert_int_equal(h->total, 3);
    assert_int_equal(h->max_ns, 9000000);
    assert_int_equal(histogram_quantile(h, 0.5), 9000000);
    assert_in_range(histogram_quantile(h, 0.3), 1000, 1010);
    free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(histogram_one),     TEST(histogram_error),  TEST(histogram_shares),
        TEST(histogram_outside), TEST(histogram_merged),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
