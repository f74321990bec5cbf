/* The call that begins a checkout, and what follows from each reply to it (checkout/begin). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "checkout/begin.h"
#include "runtime/err.h"

#define REQUEST "0193abcd-ef12-7000-8000-000000000001"
#define OTHER   "0193abcd-ef12-7000-8000-000000000002"
#define JOURNAL(saga, state, reason)                                                               \
    saga "|1|" state "|1734191477736|0|" reason "|gw/" saga "|user_1|15|a*1,b*2|"                  \
         "CHARGING:1734191476736:0"

static struct buf id, other;

static int teardown(void **state)
{
    (void)state;
    buf_free(&id);
    buf_free(&other);
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

static struct checkout_begun begun_of(const struct message *request, const char *text)
{
    struct checkout_begun begun;
    assert_int_equal(checkout_begun(request, slice_from(text), &id, &other, &begun), 0);
    return begun;
}

/* The call names the bucket, the states of a new saga and of the ends; its row is the request. */
static void call_of_a_request(void **state)
{
    (void)state;
    static struct redis_command call;
    struct message request = request_of(false);
    const struct conf conf = {.saga_resend_ms = 1000};
    checkout_begin(&request, "0193abcde", &conf, &call);
    char expected[512];
    int bytes = snprintf(expected, sizeof(expected),
                         "FCALLorder_checkout_%s3order:once:0193abcdeorder:openorder:"
                         "recent1000300000"
                         "CHARGINGPAIDFAILED" REQUEST "order_7gw",
                         order_library.hash);
    assert_int_equal(call.bytes.bytes, bytes);
    assert_memory_equal(call.bytes.data, expected, (size_t)bytes);
    assert_int_equal(call.count, 14);
    assert_int_equal(call.row, 11);
    redis_command_free(&call);
}

/* Begun: the charge goes out, with the slip; the client is told nothing yet. */
static void begun_sends_the_charge(void **state)
{
    (void)state;
    struct message request = request_of(false);
    struct checkout_begun begun =
        begun_of(&request, "begun|order_7|" JOURNAL(REQUEST, "CHARGING", ""));
    assert_int_equal(begun.command.type, MESSAGE_PAYMENT_CHARGE);
    assert_int_equal(begun.queue, QUEUE_PAYMENT);
    assert_true(slice_is(begun.command.id, REQUEST ":1:charge"));
    assert_true(slice_is(begun.command.next, REQUEST ":1:take"));
    assert_true(slice_is(begun.command.user, "user_1"));
    assert_int_equal(begun.command.amount, 15);
    assert_true(slice_is(begun.command.lines, "a*1,b*2"));
    assert_int_equal(begun.answer.type, MESSAGE_NONE);
}

/* Begun for one who asked for 202: both. */
static void begun_tells_who_does_not_wait(void **state)
{
    (void)state;
    struct message request = request_of(true);
    struct checkout_begun begun =
        begun_of(&request, "begun|order_7|" JOURNAL(REQUEST, "CHARGING", ""));
    assert_int_equal(begun.command.type, MESSAGE_PAYMENT_CHARGE);
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
    struct checkout_begun begun =
        begun_of(&request, "running|order_7|" JOURNAL(OTHER, "REFUNDING", "x"));
    assert_int_equal(begun.command.type, MESSAGE_NONE);
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
    struct checkout_begun begun = begun_of(&request, "paid|order_7|" JOURNAL(OTHER, "PAID", ""));
    assert_int_equal(begun.command.type, MESSAGE_NONE);
    assert_int_equal(begun.answer.type, MESSAGE_SAGA_PAID);
    assert_true(slice_is(begun.answer.id, REQUEST));
    assert_int_equal(begun.answer.total, 15);
    begun = begun_of(&request, "failed|order_7|" JOURNAL(REQUEST, "FAILED", "out of stock"));
    assert_int_equal(begun.command.type, MESSAGE_NONE);
    assert_int_equal(begun.answer.type, MESSAGE_REFUSED);
    assert_true(slice_is(begun.answer.reason, "out of stock"));
}

static void unknown_is_told(void **state)
{
    (void)state;
    struct message request = request_of(false);
    struct checkout_begun begun = begun_of(&request, "unknown");
    assert_int_equal(begun.command.type, MESSAGE_NONE);
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
        struct checkout_begun begun;
        struct message request = request_of(i % 2 == 1);
        assert_int_equal(checkout_begun(&request, slice_from(texts[i]), &id, &other, &begun),
                         -ERR_RECORD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_of_a_request),
        cmocka_unit_test(begun_sends_the_charge),
        cmocka_unit_test(begun_tells_who_does_not_wait),
        cmocka_unit_test(running_sends_nothing),
        cmocka_unit_test(ended_is_told),
        cmocka_unit_test(unknown_is_told),
        cmocka_unit_test(unreadable_is_refused),
    };
    return cmocka_run_group_tests_name("checkout/begin", tests, NULL, teardown);
}
