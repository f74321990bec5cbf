/* What a store says of its memory, and when it is short of it (store/memory). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/memory.h"

#define INFO                                                                                       \
    "# Memory\r\nused_memory:900\r\nused_memory_human:900B\r\nused_memory_dataset:1\r\n"           \
    "maxmemory:1000\r\nmaxmemory_human:1000B\r\nmaxmemory_policy:noeviction\r\n"                   \
    "mem_not_counted_for_evict:100\r\nmem_fragmentation_bytes:7\r\n"

/* Used is what counts: buffers for replicas and the file do not. */
static void reads_what_counts(void **state)
{
    (void)state;
    struct memory_use use;
    assert_true(memory_read(SLICE_TEXT(INFO), &use));
    assert_int_equal(use.used, 800);
    assert_int_equal(use.limit, 1000);
}

/* What is missing, torn or no number is no answer, and changes nothing. */
static void refuses_the_rest(void **state)
{
    (void)state;
    struct memory_use use = {1, 2};
    assert_false(memory_read((struct slice){NULL, 0}, &use));
    assert_false(memory_read(SLICE_TEXT(""), &use));
    assert_false(memory_read(SLICE_TEXT("used_memory:9\r\nmaxmemory:10\r\n"), &use));
    assert_false(memory_read(
        SLICE_TEXT("used_memory:9B\r\nmaxmemory:10\r\nmem_not_counted_for_evict:0\r\n"), &use));
    assert_false(memory_read(
        SLICE_TEXT("xused_memory:9\r\nmaxmemory:10\r\nmem_not_counted_for_evict:0\r\n"), &use));
    for (size_t bytes = 0; bytes + 40 < sizeof(INFO); bytes++) {
        struct slice torn = {INFO, bytes};
        memory_read(torn, &use); /* the sanitizer looks on */
    }
    use = (struct memory_use){1, 2};
    assert_false(memory_read(SLICE_TEXT("used_memory"), &use));
    assert_int_equal(use.used, 1);
}

/* It begins at 90 % and is over below 85 %; where there is no limit it never begins. */
static void begins_later_than_it_ends(void **state)
{
    (void)state;
    const struct {
        int64_t used;
        bool was_short, is_short;
    } rows[] = {{0, false, false},   {899, false, false}, {900, false, true}, {1000, false, true},
                {2000, false, true}, {899, true, true},   {850, true, true},  {849, true, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_use use = {.used = rows[i].used, .limit = 1000};
        assert_int_equal(memory_is_short_of(use, rows[i].was_short), rows[i].is_short);
        use.limit = 0;
        assert_false(memory_is_short_of(use, rows[i].was_short));
    }
}

/* Records go earlier long before anything is refused. */
static void is_tight_before_it_is_short(void **state)
{
    struct memory_use use = {.used = 700, .limit = 1000};
    (void)state;
    assert_true(memory_is_tight_of(use, false));
    assert_false(memory_is_short_of(use, false));
    use.used = 699;
    assert_false(memory_is_tight_of(use, false));
    assert_true(memory_is_tight_of(use, true));
    use.used = 649;
    assert_false(memory_is_tight_of(use, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_counts),
        cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(begins_later_than_it_ends),
        cmocka_unit_test(is_tight_before_it_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
