/* Lines of an order, as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalogue/lines.h"

/* Lines come off one by one, the largest quantity included. */
static void lines_are_cut(void **state)
{
    (void)state;
    struct slice rest = SLICE_TEXT("a*1,b_-2*9007199254740991");
    struct slice item;
    int64_t quantity;
    assert_true(lines_are_valid(rest));
    assert_true(lines_next(&rest, &item, &quantity));
    assert_true(slice_is(item, "a") && quantity == 1);
    assert_true(lines_next(&rest, &item, &quantity));
    assert_true(slice_is(item, "b_-2") && quantity == INT64_C(9007199254740991));
    assert_false(lines_next(&rest, &item, &quantity));
    assert_true(lines_are_valid(SLICE_TEXT("")));
    assert_true(lines_are_valid((struct slice){NULL, 0}));
}

/* Anything else is refused, wherever in the text it is. */
static void lines_refuse_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ",",           "a",
        "a*",          "*1",
        "a*0",         "a*-1",
        "a*1,",        ",a*1",
        "a*1,,b*1",    "a*1 ",
        "a*1*2",       "a*1.0",
        "a b*1",       "a*9007199254740992",
        "a*1,b*1,a*1", "a*99999999999999999999",
        "a*1;b*1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(lines_are_valid(slice_from(texts[i])));
    }
}

/* At most LINES_MAX lines, each another item: as many as one command can carry. */
static void lines_are_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int i = 0; i < LINES_MAX; i++) {
        buf_addf(&text, "%si%d*1", i > 0 ? "," : "", i);
    }
    assert_true(lines_are_valid(buf_slice(&text)));
    buf_add_text(&text, ",more*1");
    assert_false(lines_are_valid(buf_slice(&text)));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut),
        cmocka_unit_test(lines_refuse_malformed),
        cmocka_unit_test(lines_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
