/* What the client reads (gateway/reply): every answer to every command it can answer, to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/reply.h"

#define SAGA "0193a000-0000-7000-8000-000000000001"
#define LINE                                                                                       \
    SAGA "|o1|2|FAILED|1000|3|out of stock|"                                                       \
         "CHARGING:1000:0,CANCELLING:1005:1,REFUNDING:1009:0,FAILED:1012:0"
#define LINE_BODY                                                                                  \
    "{\"saga_id\":\"" SAGA "\",\"order_id\":\"o1\",\"state\":\"FAILED\",\"attempt\":2,"            \
    "\"reason\":\"out of stock\",\"began_ms\":1000,\"steps\":["                                    \
    "{\"state\":\"CHARGING\",\"at_ms\":1000,\"retries\":0},"                                       \
    "{\"state\":\"CANCELLING\",\"at_ms\":1005,\"retries\":1},"                                     \
    "{\"state\":\"REFUNDING\",\"at_ms\":1009,\"retries\":0},"                                      \
    "{\"state\":\"FAILED\",\"at_ms\":1012,\"retries\":3}]}"

static struct message command_of(enum message_type type)
{
    struct message command = {.type = type};
    message_set(&command, user, SLICE_TEXT("u1"));
    message_set(&command, item, SLICE_TEXT("i1"));
    message_set(&command, order, SLICE_TEXT("o1"));
    message_set(&command, saga, SLICE_TEXT("s1"));
    return command;
}

/* The route whose command it is; commands of none are answered as those of a route without a reply.
 */
static const struct route *route_of(const struct message *command)
{
    static const struct route none;
    for (unsigned t = 0; t < route_api.count; t++) {
        for (unsigned i = 0; i < route_api.tables[t]->count; i++) {
            if (route_api.tables[t]->routes[i].type == command->type) {
                return &route_api.tables[t]->routes[i];
            }
        }
    }
    return &none;
}

static void assert_reply(const struct message *command, const struct message *answer,
                         unsigned status, const char *body)
{
    struct reply reply;
    assert_true(reply_make(route_of(command), command, answer, &reply));
    assert_int_equal(reply.status, status);
    assert_string_equal(reply.body.data, body);
    assert_int_equal(reply.has_retry_after, status == 429 || status == 503);
    assert_true(slice_equal(reply.saga, answer->saga));
    reply_free(&reply);
}

/* What was created is named by what was asked for. */
static void reply_created(void **state)
{
    (void)state;
    static const struct {
        enum message_type type;
        const char *body;
    } rows[] = {
        {MESSAGE_PAYMENT_CREATE, "{\"user_id\":\"u1\"}"},
        {MESSAGE_STOCK_CREATE, "{\"item_id\":\"i1\"}"},
        {MESSAGE_ORDER_CREATE, "{\"order_id\":\"o1\"}"},
        {MESSAGE_PAYMENT_INIT, "{\"msg\":\"Batch init for users successful\"}"},
        {MESSAGE_STOCK_INIT, "{\"msg\":\"Batch init for stock successful\"}"},
        {MESSAGE_ORDER_INIT, "{\"msg\":\"Batch init for orders successful\"}"},
    };
    const struct message answer = {.type = MESSAGE_CREATED};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message command = command_of(rows[i].type);
        assert_reply(&command, &answer, 200, rows[i].body);
    }
}

/* A user's credit, exact over the whole of int64, in the form of what was asked. */
static void reply_user(void **state)
{
    (void)state;
    static const struct {
        enum message_type type;
        const char *body;
    } rows[] = {
        {MESSAGE_PAYMENT_FIND, "{\"user_id\":\"u1\",\"credit\":9223372036854775807}"},
        {MESSAGE_PAYMENT_FUND, "{\"done\":true,\"credit\":9223372036854775807}"},
        {MESSAGE_PAYMENT_PAY, "{\"paid\":true,\"credit\":9223372036854775807}"},
    };
    struct message answer = {.type = MESSAGE_USER};
    message_set(&answer, credit, INT64_MAX);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message command = command_of(rows[i].type);
        assert_reply(&command, &answer, 200, rows[i].body);
    }
}

/* An item's stock; its price where it was asked for, also when it is 0. */
static void reply_item(void **state)
{
    (void)state;
    struct message answer = {.type = MESSAGE_ITEM};
    message_set(&answer, stock, 0);
    struct message command = command_of(MESSAGE_STOCK_ADD);
    assert_reply(&command, &answer, 200, "{\"added\":true,\"stock\":0}");
    command = command_of(MESSAGE_STOCK_SUBTRACT);
    assert_reply(&command, &answer, 200, "{\"subtracted\":true,\"stock\":0}");
    message_set(&answer, price, 0);
    command = command_of(MESSAGE_STOCK_FIND);
    assert_reply(&command, &answer, 200, "{\"stock\":0,\"price\":0}");
    message_set(&answer, price, INT64_C(9007199254740993));
    assert_reply(&command, &answer, 200, "{\"stock\":0,\"price\":9007199254740993}");
}

/* An order with its lines as pairs, paid or not; without lines the list is empty, not absent. */
static void reply_order(void **state)
{
    (void)state;
    struct message command = command_of(MESSAGE_ORDER_FIND);
    struct message answer = {.type = MESSAGE_ORDER};
    message_set(&answer, order, SLICE_TEXT("o1"));
    message_set(&answer, user, SLICE_TEXT("u9"));
    message_set(&answer, lines, SLICE_TEXT("a*1,b-2*9007199254740991"));
    message_set(&answer, total, INT64_C(9007199254740993));
    message_set(&answer, paid, 0);
    assert_reply(&command, &answer, 200,
                 "{\"order_id\":\"o1\",\"paid\":false,\"items\":[[\"a\",1],"
                 "[\"b-2\",9007199254740991]],\"user_id\":\"u9\",\"total_cost\":9007199254740993}");
    message_set(&answer, lines, SLICE_TEXT(""));
    message_set(&answer, total, 0);
    message_set(&answer, paid, 1);
    assert_reply(&command, &answer, 200,
                 "{\"order_id\":\"o1\",\"paid\":true,\"items\":[],\"user_id\":\"u9\","
                 "\"total_cost\":0}");
}

/* addItem is asked of the stock service, answered by the order service. */
static void reply_added(void **state)
{
    (void)state;
    struct message command = command_of(MESSAGE_STOCK_QUOTE);
    struct message answer = {.type = MESSAGE_ORDER};
    message_set(&answer, order, SLICE_TEXT("o1"));
    message_set(&answer, total, 30);
    assert_reply(&command, &answer, 200, "{\"added\":true,\"order_id\":\"o1\",\"total_cost\":30}");
}

/* A paid checkout, whoever asked and however, with the saga's id for the header. */
static void reply_paid(void **state)
{
    (void)state;
    struct message command = command_of(MESSAGE_ORDER_CHECKOUT);
    struct message answer = {.type = MESSAGE_SAGA_PAID};
    message_set(&answer, saga, SLICE_TEXT(SAGA));
    message_set(&answer, total, 0);
    assert_reply(&command, &answer, 200,
                 "{\"status\":\"paid\",\"order_id\":\"o1\",\"total_cost\":0}");
    message_set(&command, async, 1);
    assert_reply(&command, &answer, 200,
                 "{\"status\":\"paid\",\"order_id\":\"o1\",\"total_cost\":0}");
}

/* That a saga runs is an answer to who asked for that, and only progress to who waits. */
static void reply_running(void **state)
{
    (void)state;
    struct reply reply = {.status = 77};
    struct message command = command_of(MESSAGE_ORDER_CHECKOUT);
    struct message answer = {.type = MESSAGE_SAGA_RUNNING};
    message_set(&answer, saga, SLICE_TEXT(SAGA));
    message_set(&answer, state, SLICE_TEXT("CHARGING"));
    assert_false(reply_make(route_of(&command), &command, &answer, &reply));
    assert_int_equal(reply.status, 77);
    message_set(&command, async, 1);
    assert_reply(&command, &answer, 202, "{\"saga_id\":\"" SAGA "\",\"state\":\"CHARGING\"}");
}

/* Each "no" has its status whatever was asked, a short sentence and no ids in it. */
static void reply_noes(void **state)
{
    (void)state;
    static const struct {
        enum message_type type;
        unsigned status;
    } rows[] = {{MESSAGE_UNKNOWN, 404},
                {MESSAGE_REFUSED, 400},
                {MESSAGE_CONFLICT, 409},
                {MESSAGE_BROKEN, 500}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int type = MESSAGE_PAYMENT_PING; type <= MESSAGE_ORDER_SAGAS; type++) {
            struct message command = command_of((enum message_type)type);
            struct message answer = {.type = rows[i].type};
            message_set(&answer, reason, SLICE_TEXT("out of stock"));
            assert_reply(&command, &answer, rows[i].status, "{\"error\":\"out of stock\"}");
        }
    }
}

/* A refused checkout carries its saga's id, so that its story can be looked up. */
static void reply_refused_checkout(void **state)
{
    (void)state;
    struct message command = command_of(MESSAGE_ORDER_CHECKOUT);
    struct message answer = {.type = MESSAGE_REFUSED};
    message_set(&answer, saga, SLICE_TEXT(SAGA));
    message_set(&answer, reason, SLICE_TEXT("insufficient credit"));
    assert_reply(&command, &answer, 400, "{\"error\":\"insufficient credit\"}");
}

/* One saga's story: each state with its time and its retries, the last one's from the journal. */
static void reply_saga(void **state)
{
    (void)state;
    struct message command = command_of(MESSAGE_ORDER_SAGA);
    struct message answer = {.type = MESSAGE_SAGAS};
    message_set(&answer, story, SLICE_TEXT(LINE));
    assert_reply(&command, &answer, 200, LINE_BODY);
    message_set(&answer, story, SLICE_TEXT("s9|o1|1|CHARGING|5|0||CHARGING:5:0"));
    assert_reply(&command, &answer, 200,
                 "{\"saga_id\":\"s9\",\"order_id\":\"o1\",\"state\":\"CHARGING\",\"attempt\":1,"
                 "\"reason\":null,\"began_ms\":5,"
                 "\"steps\":[{\"state\":\"CHARGING\",\"at_ms\":5,\"retries\":0}]}");
}

/* A list of sagas, in the order in which they came; none is an empty list. */
static void reply_sagas(void **state)
{
    (void)state;
    struct message command = command_of(MESSAGE_ORDER_SAGAS);
    struct message answer = {.type = MESSAGE_SAGAS};
    message_set(&answer, story, SLICE_TEXT(""));
    assert_reply(&command, &answer, 200, "{\"sagas\":[]}");
    message_set(&answer, story, SLICE_TEXT(LINE));
    assert_reply(&command, &answer, 200, "{\"sagas\":[" LINE_BODY "]}");
    message_set(&answer, story, SLICE_TEXT(LINE "\ns9|o1|1|PAID|5|0||PAID:5:0"));
    assert_reply(&command, &answer, 200,
                 "{\"sagas\":[" LINE_BODY ",{\"saga_id\":\"s9\",\"order_id\":\"o1\","
                 "\"state\":\"PAID\",\"attempt\":1,\"reason\":null,\"began_ms\":5,"
                 "\"steps\":[{\"state\":\"PAID\",\"at_ms\":5,\"retries\":0}]}]}");
}

/* What is no answer to a client is not made one, and the output is untouched. */
static void reply_to_no_answer(void **state)
{
    (void)state;
    struct message command = command_of(MESSAGE_ORDER_CHECKOUT);
    static const enum message_type types[] = {MESSAGE_PONG, MESSAGE_PAYMENT_REFUNDED,
                                              MESSAGE_ORDER_CHECKOUT};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct reply reply = {.status = 77};
        struct message answer = {.type = types[i]};
        assert_false(reply_make(route_of(&command), &command, &answer, &reply));
        assert_int_equal(reply.status, 77);
    }
}

/* Each route takes the one answer that its command has, and no other: a type that is added later is
 * said by nobody until its route says it. */
static void reply_to_its_own_answer_only(void **state)
{
    (void)state;
    for (unsigned t = 0; t < route_api.count; t++) {
        for (unsigned i = 0; i < route_api.tables[t]->count; i++) {
            const struct route *route = &route_api.tables[t]->routes[i];
            struct message command = command_of(route->type);
            unsigned taken = 0;
            for (unsigned type = MESSAGE_NONE + 1; type < MESSAGE_TYPE_COUNT; type++) {
                struct message answer = {.type = type};
                struct reply reply;
                if (reply_make(route, &command, &answer, &reply)) {
                    taken += reply.status == 200;
                    reply_free(&reply);
                }
            }
            assert_int_equal(taken, route->reply ? 1 : 0);
        }
    }
}

/* An error is one sentence; 429 says when to come again, and so does the deadline's 503. */
static void reply_errors(void **state)
{
    (void)state;
    struct reply reply = reply_error(429, SLICE_TEXT("too many requests, try again"));
    assert_int_equal(reply.status, 429);
    assert_true(reply.has_retry_after);
    assert_string_equal(reply.body.data, "{\"error\":\"too many requests, try again\"}");
    reply_free(&reply);
    reply = reply_error(405, SLICE_TEXT("method not allowed"));
    assert_false(reply.has_retry_after);
    reply_free(&reply);
    reply = reply_pending();
    assert_int_equal(reply.status, 503);
    assert_true(reply.has_retry_after);
    assert_string_equal(reply.body.data, "{\"status\":\"pending\"}");
    reply_free(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_created),
        cmocka_unit_test(reply_user),
        cmocka_unit_test(reply_item),
        cmocka_unit_test(reply_order),
        cmocka_unit_test(reply_added),
        cmocka_unit_test(reply_paid),
        cmocka_unit_test(reply_running),
        cmocka_unit_test(reply_noes),
        cmocka_unit_test(reply_refused_checkout),
        cmocka_unit_test(reply_saga),
        cmocka_unit_test(reply_sagas),
        cmocka_unit_test(reply_to_no_answer),
        cmocka_unit_test(reply_to_its_own_answer_only),
        cmocka_unit_test(reply_errors),
    };
    return cmocka_run_group_tests_name("gateway/reply", tests, NULL, NULL);
}
