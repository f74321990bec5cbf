/* What a command says is to be sent on (consumer/slip). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/slip.h"
#include "runtime/err.h"

static struct message charge_of(const char *type, const char *queue)
{
    struct message m = {.type = MESSAGE_PAYMENT_CHARGE};
    message_set(&m, id, SLICE_TEXT("s:1:charge"));
    message_set(&m, order, SLICE_TEXT("o1"));
    message_set(&m, user, SLICE_TEXT("u1"));
    message_set(&m, amount, 7);
    message_set(&m, lines, SLICE_TEXT("a*1"));
    message_set(&m, next, SLICE_TEXT("s:1:next"));
    if (type != NULL) {
        message_set(&m, next_type, slice_from(type));
    }
    if (queue != NULL) {
        message_set(&m, next_queue, slice_from(queue));
    }
    return m;
}

/* Whatever it names is sent, with what that needs of the command's fields, and only that. */
static void slip_names_what_comes_next(void **state)
{
    (void)state;
    static const struct {
        const char *type, *queue;
        enum message_type expected;
        enum queue expected_queue;
        bool has_lines, has_user;
    } rows[] = {
        {"stock.take", "kassa.stock", MESSAGE_STOCK_TAKE, QUEUE_STOCK, true, false},
        {"payment.charge", "kassa.payment", MESSAGE_PAYMENT_CHARGE, QUEUE_PAYMENT, false, true},
        {"stock.cancel", "kassa.saga", MESSAGE_STOCK_CANCEL, QUEUE_SAGA, false, false},
        {NULL, NULL, MESSAGE_STOCK_TAKE, QUEUE_STOCK, true, false}, /* of the release before */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message in = charge_of(rows[i].type, rows[i].queue), next;
        enum queue queue;
        assert_true(message_is_valid(&in));
        assert_true(slip_is_there(&in));
        assert_int_equal(slip_read(&in, &next, &queue), 0);
        assert_int_equal(next.type, rows[i].expected);
        assert_int_equal(queue, rows[i].expected_queue);
        assert_true(slice_is(next.id, "s:1:next"));
        assert_true(slice_is(next.order, "o1"));
        assert_int_equal(message_has(&next, lines), rows[i].has_lines);
        assert_int_equal(message_has(&next, user), rows[i].has_user);
        assert_false(message_has(&next, next));
    }
}

/* One that cannot be followed is found before anything is done, and leaves the outputs alone. */
static void slip_that_leads_nowhere(void **state)
{
    (void)state;
    static const struct {
        const char *type, *queue;
    } rows[] = {
        {"stock.tuke", "kassa.stock"},
        {"", "kassa.stock"},
        {"stock.take", "kassa.garage"},
        {"stock.take", NULL},
        {"stock.take", ""},
        {"payment.refund", "kassa.payment"}, /* needs undoes */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message in = charge_of(rows[i].type, rows[i].queue);
        struct message next = {.type = MESSAGE_PONG};
        enum queue queue = QUEUE_COUNT;
        assert_int_equal(slip_read(&in, &next, &queue), -ERR_FIELD);
        assert_int_equal(next.type, MESSAGE_PONG);
        assert_int_equal(queue, QUEUE_COUNT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slip_names_what_comes_next),
        cmocka_unit_test(slip_that_leads_nowhere),
    };
    return cmocka_run_group_tests_name("consumer/slip", tests, NULL, NULL);
}
