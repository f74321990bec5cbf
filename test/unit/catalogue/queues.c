/* The table of queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "catalogue/queues.h"

/* Each queue has a name, and its dead letters lie in a queue named after it. */
static void queues_names_parked_queue_after_queue(void **state)
{
    (void)state;
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        char expected[128];
        const char *queue = queues_text((enum queue)q);
        snprintf(expected, sizeof(expected), "%s.parked", queue);
        assert_int_equal(0, strncmp(queue, "kassa.", 6));
        assert_string_equal(queues_parked_text((enum queue)q), expected);
    }
    assert_string_equal(queues_text(QUEUE_PAYMENT), "kassa.payment");
}

/* No two queues share a name. */
static void queues_names_are_distinct(void **state)
{
    (void)state;
    for (unsigned a = 0; a < QUEUE_COUNT; a++) {
        for (unsigned b = a + 1; b < QUEUE_COUNT; b++) {
            assert_string_not_equal(queues_text((enum queue)a), queues_text((enum queue)b));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queues_names_parked_queue_after_queue),
        cmocka_unit_test(queues_names_are_distinct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
