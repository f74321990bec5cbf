/* The call that begins a checkout, and what follows from each reply to it (checkout/begin). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "checkout/begin.h"
#include "runtime/err.h"

#define REQUEST "0193abcd-ef12-7000-8000-000000000001"
#define OTHER   "0193abcd-ef12-7000-8000-000000000002"
#define JOURNAL(saga, state, reason)                                                               \
    saga "|1|" state "|1734191477736|0|" reason "|gw/" saga "|user_1|15|a*1,b*2|"                  \
         "CHARGING:1734191476736:0"

static struct checkout_begun begun; /* its ids are used again and again */

static int teardown(void **state)
{
    (void)state;
    saga_outgoing_free(&begun.command);
    begun = (struct checkout_begun){0};
    return 0;
}

static struct message request_of(bool is_async)
{
    struct message request = {.type = MESSAGE_ORDER_CHECKOUT};
    message_set(&request, id, SLICE_TEXT(REQUEST));
    message_set(&request, gateway, SLICE_TEXT("gw"));
    message_set(&request, order, SLICE_TEXT("order_7"));
    if (is_async) {
        message_set(&request, async, 1);
    }
    return request;
}

static void begun_of(const struct message *request, const char *text)
{
    assert_int_equal(checkout_begun(request, slice_from(text), &begun), 0);
}

/* The library looks for three states by their names, which are the definition's. */
static void library_knows_the_states(void **state)
{
    (void)state;
    const struct saga_definition *def = &checkout_definition;
    char line[128];
    snprintf(line, sizeof(line), "local FIRST, PAID, FAILED = '%s', '%s', '%s'\n",
             saga_state_text(def, saga_begin(def).next), def->completed, def->aborted);
    assert_non_null(strstr(order_library.source, line));
}

/* The call names the bucket; its row is the request. */
static void call_of_a_request(void **state)
{
    (void)state;
    static struct args call;
    struct message request = request_of(false);
    const struct begin_conf conf = {.saga_resend_ms = 1000};
    checkout_begin(&request, "0193abcde", &conf, &call);
    char expected[512];
    int bytes = snprintf(expected, sizeof(expected),
                         "FCALLorder_checkout_%s3order:once:0193abcdeorder:openorder:"
                         "recent1000300000" REQUEST "order_7gw",
                         order_library.hash);
    assert_int_equal(call.bytes.bytes, bytes);
    assert_memory_equal(call.bytes.data, expected, (size_t)bytes);
    assert_int_equal(call.count, 11);
    assert_int_equal(call.row, 8);
    args_free(&call);
}

/* Begun: the charge goes out, with the slip; the client is told nothing yet. */
static void begun_sends_the_charge(void **state)
{
    (void)state;
    struct message request = request_of(false);
    begun_of(&request, "begun|order_7|" JOURNAL(REQUEST, "CHARGING", ""));
    assert_int_equal(begun.command.message.type, MESSAGE_PAYMENT_CHARGE);
    assert_int_equal(begun.command.queue, QUEUE_PAYMENT);
    assert_true(slice_is(begun.command.message.id, REQUEST ":1:charge"));
    assert_true(slice_is(begun.command.message.next, REQUEST ":1:take"));
    assert_true(slice_is(begun.command.message.user, "user_1"));
    assert_int_equal(begun.command.message.amount, 15);
    assert_true(slice_is(begun.command.message.lines, "a*1,b*2"));
    assert_int_equal(begun.answer.type, MESSAGE_NONE);
}

/* Begun for one who asked for 202: both. */
static void begun_tells_who_does_not_wait(void **state)
{
    (void)state;
    struct message request = request_of(true);
    begun_of(&request, "begun|order_7|" JOURNAL(REQUEST, "CHARGING", ""));
    assert_int_equal(begun.command.message.type, MESSAGE_PAYMENT_CHARGE);
    assert_int_equal(begun.answer.type, MESSAGE_SAGA_RUNNING);
    assert_true(slice_is(begun.answer.id, REQUEST));
    assert_true(slice_is(begun.answer.saga, REQUEST));
    assert_true(slice_is(begun.answer.state, "CHARGING"));
}

/* One that runs already is not sent again: its own due time sees to that. */
static void running_sends_nothing(void **state)
{
    (void)state;
    struct message request = request_of(false);
    begun_of(&request, "running|order_7|" JOURNAL(OTHER, "REFUNDING", "x"));
    assert_int_equal(begun.command.message.type, MESSAGE_NONE);
    assert_int_equal(begun.answer.type, MESSAGE_SAGA_RUNNING);
    assert_true(slice_is(begun.answer.id, REQUEST));
    assert_true(slice_is(begun.answer.saga, OTHER));
    assert_true(slice_is(begun.answer.state, "REFUNDING"));
}

/* What has ended is told as it ended, under the request's own id. */
static void ended_is_told(void **state)
{
    (void)state;
    struct message request = request_of(true);
    begun_of(&request, "paid|order_7|" JOURNAL(OTHER, "PAID", ""));
    assert_int_equal(begun.command.message.type, MESSAGE_NONE);
    assert_int_equal(begun.answer.type, MESSAGE_SAGA_PAID);
    assert_true(slice_is(begun.answer.id, REQUEST));
    assert_int_equal(begun.answer.total, 15);
    begun_of(&request, "failed|order_7|" JOURNAL(REQUEST, "FAILED", "out of stock"));
    assert_int_equal(begun.command.message.type, MESSAGE_NONE);
    assert_int_equal(begun.answer.type, MESSAGE_REFUSED);
    assert_true(slice_is(begun.answer.reason, "out of stock"));
}

static void unknown_is_told(void **state)
{
    (void)state;
    struct message request = request_of(false);
    begun_of(&request, "unknown");
    assert_int_equal(begun.command.message.type, MESSAGE_NONE);
    assert_int_equal(begun.answer.type, MESSAGE_UNKNOWN);
    assert_true(slice_is(begun.answer.reason, "unknown order"));
}

/* From a text that no version of ours gives, nothing follows. */
static void unreadable_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "begun",
        "unknown|order_7",
        "begun|order_7|" JOURNAL(REQUEST, "PAID", ""), /* then nothing is outstanding */
        "begun|order_7|" JOURNAL(REQUEST, "WAITING", ""),
        "begun|order_7|" REQUEST "|1|CHARGING|1|0||gw/r|user_1|much|a*1|CHARGING:1:0",
        "running|order_7",
        "paid|order_7|" REQUEST "|1|PAID|0|0||gw/r|user_1|-1|a*1|PAID:1:0",
        "paid|order_7|" JOURNAL(REQUEST, "CHARGING", ""),
        "failed|order_7",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct message request = request_of(i % 2 == 1);
        assert_int_equal(checkout_begun(&request, slice_from(texts[i]), &begun), -ERR_RECORD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_knows_the_states), cmocka_unit_test(call_of_a_request),
        cmocka_unit_test(begun_sends_the_charge),   cmocka_unit_test(begun_tells_who_does_not_wait),
        cmocka_unit_test(running_sends_nothing),    cmocka_unit_test(ended_is_told),
        cmocka_unit_test(unknown_is_told),          cmocka_unit_test(unreadable_is_refused),
    };
    return cmocka_run_group_tests_name("checkout/begin", tests, NULL, teardown);
}
