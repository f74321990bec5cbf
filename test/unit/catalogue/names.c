/* The table of the stores' keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "catalogue/names.h"
#include "runtime/buf.h"
#include "store/library.h"

extern const struct library payment_library, stock_library, order_library, key_library;

#define TEXT(name, text, what) text,
static const char *const keys[] = {NAMES_KEYS(TEXT)};
static const char *const parts[] = {NAMES_PARTS(TEXT)};
#define KEYS  (sizeof(keys) / sizeof(keys[0]))
#define PARTS (sizeof(parts) / sizeof(parts[0]))

/* No two names have one text, a key begins with who has it, and what comes behind a service's name
 * with the colon. */
static void names_are_distinct(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        assert_true(strchr(keys[i], ':') > keys[i]);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(keys[i], keys[j]);
        }
    }
    for (size_t i = 0; i < PARTS; i++) {
        assert_int_equal(parts[i][0], ':');
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(parts[i], parts[j]);
        }
    }
}

/* Keys that are named as a whole are those that the parts make. */
static void names_agree(void **state)
{
    (void)state;
    assert_string_equal(KEY.order_open, "order:open");
    assert_string_equal(KEY.order_open + strlen("order"), PART.open);
    assert_string_equal(KEY.order_once + strlen("order"), PART.once);
    assert_string_equal(KEY.kassa_day, "kassa:keys:day:");
    assert_int_equal(sizeof(PART.once), strlen(":once:") + 1);
}

/* What travels to the stores has the texts, and no name that a server does not know. */
static void names_are_embedded(void **state)
{
    (void)state;
    const struct library *const libraries[] = {&payment_library, &stock_library, &order_library,
                                               &key_library};
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        assert_null(strstr(libraries[i]->source, "KEY."));
        assert_null(strstr(libraries[i]->source, "PART."));
        assert_non_null(strstr(libraries[i]->source, "name .. ':clock'"));
    }
    assert_non_null(strstr(payment_library.source, "'payment:user:' .. user"));
    assert_non_null(strstr(order_library.source, "'order:once:' .. string.sub"));
    assert_non_null(strstr(order_library.source, "string.format('order:paid:%.0f', bucket)"));
    assert_non_null(strstr(key_library.source, "'kassa:keys:day:%.0f:%s'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_distinct),
        cmocka_unit_test(names_agree),
        cmocka_unit_test(names_are_embedded),
    };
    return cmocka_run_group_tests_name("catalogue/names", tests, NULL, NULL);
}
