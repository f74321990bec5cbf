/* Lists of sagas that come in parts (order/sagas): the newest, each once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "order/sagas.h"

static void assert_newest(const char *lines, unsigned limit, const char *expected)
{
    struct buf text = {0};
    buf_add_text(&text, lines);
    sagas_newest(&text, limit);
    assert_string_equal(text.bytes > 0 ? text.data : "", expected);
    buf_free(&text);
}

/* Whatever the order they come in. */
static void newest_first(void **state)
{
    (void)state;
    assert_newest("", 5, "");
    assert_newest("1|a|x", 5, "1|a|x");
    assert_newest("1|a|x\n3|c|z\n2|b|y", 5, "3|c|z\n2|b|y\n1|a|x");
    assert_newest("1|a|x\n3|c|z\n2|b|y", 2, "3|c|z\n2|b|y");
}

/* What moved from one part of the list to the next is there once, in one of its versions. */
static void each_once(void **state)
{
    (void)state;
    assert_newest("2|b|CHARGING\n1|a|x\n2|b|CHARGING", 5, "2|b|CHARGING\n1|a|x");
    assert_newest("2|b|x\n2|b|x\n1|a|x", 2, "2|b|x\n1|a|x");
}

/* Those whose journal cannot be read have no id; they are different orders all the same. */
static void the_damaged(void **state)
{
    (void)state;
    assert_newest("|a|\n1|c|x\n|b|", 5, "1|c|x\n|b|\n|a|");
    assert_newest("no line at all\n1|c|x\n", 5, "no line at all\n1|c|x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_first),
        cmocka_unit_test(each_once),
        cmocka_unit_test(the_damaged),
    };
    return cmocka_run_group_tests_name("order/sagas", tests, NULL, NULL);
}
