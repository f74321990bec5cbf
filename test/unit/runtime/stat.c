/* The Prometheus text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "runtime/stat.h"

static void has(const char *line)
{
    struct buf out = {0};
    stat_print(&out);
    if (!strstr(out.data, line)) {
        print_message("missing: %s\nin:\n%s", line, out.data);
        fail();
    }
    buf_free(&out);
}

/* The same name and labels are the same value. */
static void stat_same_test(void **state)
{
    (void)state;
    struct stat_value *a = stat_counter("t_requests_total", "route=\"a\"", "Requests.");
    struct stat_value *b = stat_counter("t_requests_total", "route=\"b\"", "Requests.");
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(a, stat_counter("t_requests_total", "route=\"a\"", "Requests."));
    stat_add(a, 2);
    stat_add(a, 3);
    assert_int_equal(stat_get(a), 5);
    assert_int_equal(stat_get(b), 0);
}

/* All samples of a name stand together under one HELP and one TYPE. */
static void stat_family_test(void **state)
{
    (void)state;
    stat_add(stat_counter("t_first_total", "k=\"1\"", "First."), 1);
    stat_set(stat_gauge("t_gauge", "", "A gauge."), -4);
    stat_add(stat_counter("t_first_total", "k=\"2\"", "First."), 2);
    has("# HELP t_first_total First.\n# TYPE t_first_total counter\n"
        "t_first_total{k=\"1\"} 1\nt_first_total{k=\"2\"} 2\n");
    has("# HELP t_gauge A gauge.\n# TYPE t_gauge gauge\nt_gauge -4\n");
}

/* Buckets double, count everything up to their bound, and are in seconds. */
static void stat_histogram_test(void **state)
{
    (void)state;
    struct stat_histogram *h = stat_histogram("t_seconds", "", "Time.");
    stat_observe_ms(h, 0.25);
    stat_observe_ms(h, 0.26);
    stat_observe_ms(h, 1000);
    stat_observe_ms(h, 1e9);
    stat_observe_ms(h, -3);
    has("# TYPE t_seconds histogram\n");
    has("t_seconds_bucket{le=\"0.00025\"} 2\nt_seconds_bucket{le=\"0.0005\"} 3\n"
        "t_seconds_bucket{le=\"0.001\"} 3\n");
    has("t_seconds_bucket{le=\"0.512\"} 3\nt_seconds_bucket{le=\"1.024\"} 4\n");
    has("t_seconds_bucket{le=\"131.072\"} 4\nt_seconds_bucket{le=\"+Inf\"} 5\n");
    has("t_seconds_sum 1000001.000510\nt_seconds_count 5\n");
}

/* Labels and the bound share the braces; not-a-number spoils nothing. */
static void stat_histogram_labels_test(void **state)
{
    (void)state;
    struct stat_histogram *h = stat_histogram("t_step_seconds", "step=\"x\"", "Time.");
    stat_observe_ms(h, NAN);
    has("t_step_seconds_bucket{step=\"x\",le=\"0.00025\"} 1\n");
    has("t_step_seconds_sum{step=\"x\"} 0.000000\nt_step_seconds_count{step=\"x\"} 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_same_test),
        cmocka_unit_test(stat_family_test),
        cmocka_unit_test(stat_histogram_test),
        cmocka_unit_test(stat_histogram_labels_test),
    };
    return cmocka_run_group_tests_name("runtime/stat", tests, NULL, NULL);
}
