/* Every route, and what each parameter refuses (gateway/routes). Paths that should not be there
 * at all are in test/unit/gateway/paths.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gateway/routes.h"
#include "runtime/http.h"

static const struct gateway_conf conf = {.batch_max = 10000000};

struct request {
    struct route_text text;
    struct route_match match;
};

static const struct route *row_of(unsigned row)
{
    for (unsigned t = 0; t < route_api.count; t++) {
        if (row < route_api.tables[t]->count) {
            return &route_api.tables[t]->routes[row];
        }
        row -= route_api.tables[t]->count;
    }
    return NULL;
}

static const struct route_match *request_find(struct request *r, const char *method,
                                              const char *path, const char *query)
{
    const struct route_request request = {method, slice_from(path), slice_from(query), {0}};
    memset(r, 0x5a, sizeof(*r)); /* what is not set is not zero */
    route_find(&route_api, &conf, &request, &r->text, &r->match);
    return &r->match;
}

#define H(field) (UINT64_C(1) << MESSAGE_HAS_##field)

/* One good request for each route. */
static const struct {
    const char *method, *path;
    enum message_type type;
    enum queue queue;
    uint32_t has;
    enum message_field creates;
} goods[] = {
    {"POST", "/payment/create_user", MESSAGE_PAYMENT_CREATE, QUEUE_PAYMENT, 0, MESSAGE_HAS_user},
    {"GET", "/payment/find_user/u-1", MESSAGE_PAYMENT_FIND, QUEUE_PAYMENT, H(user), 0},
    {"POST", "/payment/add_funds/u-1/7", MESSAGE_PAYMENT_FUND, QUEUE_PAYMENT, H(user) | H(amount),
     0},
    {"POST", "/payment/pay/u-1/7", MESSAGE_PAYMENT_PAY, QUEUE_PAYMENT, H(user) | H(amount), 0},
    {"POST", "/payment/batch_init/1000/7", MESSAGE_PAYMENT_INIT, QUEUE_PAYMENT,
     H(count) | H(credit), 0},
    {"POST", "/stock/item/create/7", MESSAGE_STOCK_CREATE, QUEUE_STOCK, H(price), MESSAGE_HAS_item},
    {"GET", "/stock/find/i_1", MESSAGE_STOCK_FIND, QUEUE_STOCK, H(item), 0},
    {"POST", "/stock/add/i_1/7", MESSAGE_STOCK_ADD, QUEUE_STOCK, H(item) | H(quantity), 0},
    {"POST", "/stock/subtract/i_1/7", MESSAGE_STOCK_SUBTRACT, QUEUE_STOCK, H(item) | H(quantity),
     0},
    {"POST", "/stock/batch_init/1000/5/7", MESSAGE_STOCK_INIT, QUEUE_STOCK,
     H(count) | H(stock) | H(price), 0},
    {"POST", "/orders/create/u-1", MESSAGE_ORDER_CREATE, QUEUE_ORDER, H(user), MESSAGE_HAS_order},
    {"GET", "/orders/find/o1", MESSAGE_ORDER_FIND, QUEUE_ORDER, H(order), 0},
    {"POST", "/orders/addItem/o1/i_1/7", MESSAGE_STOCK_QUOTE, QUEUE_STOCK,
     H(order) | H(item) | H(quantity), 0},
    {"POST", "/orders/checkout/o1", MESSAGE_ORDER_CHECKOUT, QUEUE_ORDER, H(order), 0},
    {"POST", "/orders/batch_init/1000/10/20/7", MESSAGE_ORDER_INIT, QUEUE_ORDER,
     H(count) | H(items) | H(users) | H(price), 0},
    {"GET", "/sagas/s1", MESSAGE_ORDER_SAGA, QUEUE_ORDER, H(saga), 0},
    {"POST", "/sagas/s1/cancel", MESSAGE_ORDER_CANCEL, QUEUE_ORDER, H(saga) | H(async), 0},
    {"GET", "/sagas", MESSAGE_ORDER_SAGAS, QUEUE_ORDER, H(limit), 0},
    {"GET", "/health", MESSAGE_NONE, QUEUE_COUNT, 0, 0},
    {"GET", "/ready", MESSAGE_NONE, QUEUE_COUNT, 0, 0},
    {"GET", "/metrics", MESSAGE_NONE, QUEUE_COUNT, 0, 0},
};
#define GOOD_COUNT (sizeof(goods) / sizeof(goods[0]))

/* Each route is found by its path, and fills exactly the fields that its path has. */
static void route_every_row(void **state)
{
    struct request *r = *state;
    bool is_found[GOOD_COUNT] = {0};
    assert_int_equal(route_count(&route_api), GOOD_COUNT);
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        const struct route_match *m = request_find(r, goods[i].method, goods[i].path, NULL);
        assert_non_null(m->route);
        assert_ptr_equal(m->route, row_of(m->row));
        assert_false(is_found[m->row]);
        is_found[m->row] = true;
        assert_int_equal(m->status, 0);
        assert_string_equal(m->route->method, goods[i].method);
        assert_int_equal(m->command.type, goods[i].type);
        assert_int_equal(m->route->queue, goods[i].queue);
        assert_int_equal(m->command.has, goods[i].has);
        assert_int_equal(m->route->creates, goods[i].creates);
        assert_true(!message_has(&m->command, user) || slice_is(m->command.user, "u-1"));
        assert_true(!message_has(&m->command, item) || slice_is(m->command.item, "i_1"));
        assert_true(!message_has(&m->command, order) || slice_is(m->command.order, "o1"));
        assert_true(!message_has(&m->command, saga) || slice_is(m->command.saga, "s1"));
        assert_true(!message_has(&m->command, amount) || m->command.amount == 7);
        assert_true(!message_has(&m->command, quantity) || m->command.quantity == 7);
        assert_true(!message_has(&m->command, credit) || m->command.credit == 7);
        assert_true(!message_has(&m->command, price) || m->command.price == 7);
        assert_true(!message_has(&m->command, stock) || m->command.stock == 5);
        assert_true(!message_has(&m->command, count) || m->command.count == 1000);
        assert_true(!message_has(&m->command, items) || m->command.items == 10);
        assert_true(!message_has(&m->command, users) || m->command.users == 20);
    }
}

/* A command that its id, its gateway and what it creates are added to lacks nothing. */
static void route_makes_whole_commands(void **state)
{
    struct request *r = *state;
    struct buf text = {0};
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        struct message command = request_find(r, goods[i].method, goods[i].path, NULL)->command;
        if (command.type == MESSAGE_NONE) {
            continue;
        }
        message_set(&command, id, SLICE_TEXT("0193a000-0000-7000-8000-000000000001"));
        message_set(&command, gateway, SLICE_TEXT("gw"));
        if (goods[i].creates != MESSAGE_HAS_id) {
            message_put(&command, goods[i].creates, command.id);
        }
        struct envelope_head table = {0};
        buf_reset(&text);
        envelope_add(&message_schema, &text, &table, &command); /* asserts it */
    }
    buf_free(&text);
}

static bool same_requests(const struct route *a, const struct route *b)
{
    struct slice pa = slice_from(a->pattern), pb = slice_from(b->pattern), sa, sb;
    if (strcmp(a->method, b->method) != 0) {
        return false;
    }
    bool has_a = slice_cut(&pa, '/', &sa), has_b = slice_cut(&pb, '/', &sb);
    while (has_a && has_b) {
        bool is_any = (sa.bytes > 0 && sa.data[0] == '{') || (sb.bytes > 0 && sb.data[0] == '{');
        if (!is_any && !slice_equal(sa, sb)) {
            return false;
        }
        has_a = slice_cut(&pa, '/', &sa), has_b = slice_cut(&pb, '/', &sb);
    }
    return !has_a && !has_b;
}

/* Names of metrics are told apart. */
static void route_names_differ(void **state)
{
    (void)state;
    for (unsigned i = 0; i < route_count(&route_api); i++) {
        assert_ptr_equal(route_name(&route_api, i), row_of(i)->name);
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(route_name(&route_api, i), route_name(&route_api, j));
        }
    }
    assert_string_equal(route_name(&route_api, route_count(&route_api)), "none");
}

/* A wrong method is 405 with what is allowed; a GET may also be asked for by HEAD. */
static void route_methods(void **state)
{
    struct request *r = *state;
    static const char *const methods[] = {"GET",   "HEAD",    "POST",  "PUT",  "DELETE",
                                          "PATCH", "OPTIONS", "TRACE", "post", ""};
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        bool is_get = strcmp(goods[i].method, "GET") == 0;
        for (size_t j = 0; j < sizeof(methods) / sizeof(methods[0]); j++) {
            const struct route_match *m = request_find(r, methods[j], goods[i].path, NULL);
            bool is_head = strcmp(methods[j], "HEAD") == 0;
            if (strcmp(methods[j], goods[i].method) == 0 || (is_get && is_head)) {
                assert_string_equal(m->route->method, goods[i].method);
                assert_string_equal(m->allow, "");
                continue;
            }
            assert_null(m->route);
            assert_int_equal(m->status, 405);
            assert_string_equal(m->allow, is_get ? "GET, HEAD" : "POST");
            assert_string_equal(m->sentence, "method not allowed");
        }
    }
}

/* The API's whole numbers: digits, perhaps with a zero fraction, within int64. */
static void amount_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"007", 7},
        {"15.0", 15},
        {"15.000", 15},
        {"9007199254740993", INT64_C(9007199254740993)},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775807.0", INT64_MAX},
    };
    static const char *const bad[] = {
        "",
        ".",
        ".0",
        "1.",
        "1.5",
        "1.05",
        "1.0.0",
        "1..0",
        "-1",
        "-0",
        "+1",
        " 1",
        "1 ",
        "1e3",
        "1E3",
        "1.e0",
        "0x10",
        "1,0",
        "1_0",
        "ten",
        "NaN",
        "inf",
        "1.0a",
        "1.-0",
        "--1",
        "1/2",
        "\xd9\xa1",
        "1\n",
        "1\r",
        "9223372036854775808",
        "18446744073709551617",
        "99999999999999999999999999",
        "9223372036854775807.5",
        "-9223372036854775808",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t value = -1;
        assert_true(route_amount(slice_from(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t value = -1;
        if (route_amount(slice_from(bad[i]), &value) || value != -1) {
            fail_msg("\"%s\" was taken for an amount", bad[i]);
        }
    }
    int64_t value = -1;
    assert_false(route_amount((struct slice){0}, &value));
    assert_false(route_amount((struct slice){"1\0", 2}, &value));
}

/* What must be at least 1 is refused at 0, and what may be 0 is taken; the sentence says which. */
static void amount_minimum(void **state)
{
    struct request *r = *state;
    static const struct {
        const char *path, *refusal;
    } rows[] = {
        {"/payment/add_funds/u/0", "amount must be a whole number from 1 to 9223372036854775807"},
        {"/payment/pay/u/0", "amount must be a whole number from 1 to 9223372036854775807"},
        {"/payment/pay/u/-5", "amount must be a whole number from 1 to 9223372036854775807"},
        {"/stock/add/i/0", "quantity must be a whole number from 1 to 9223372036854775807"},
        {"/stock/subtract/i/1.5", "quantity must be a whole number from 1 to 9223372036854775807"},
        {"/orders/addItem/o/i/0", "quantity must be a whole number from 1 to 9223372036854775807"},
        {"/stock/item/create/-1", "price must be a whole number from 0 to 9223372036854775807"},
        {"/stock/item/create/x", "price must be a whole number from 0 to 9223372036854775807"},
        {"/payment/batch_init/1/9223372036854775808",
         "credit must be a whole number from 0 to 9223372036854775807"},
        {"/orders/batch_init/1/0/1/1",
         "n_items must be a whole number from 1 to 9223372036854775807"},
        {"/orders/batch_init/1/1/0/1",
         "n_users must be a whole number from 1 to 9223372036854775807"},
        {"/stock/item/create/0", NULL},
        {"/payment/batch_init/0/0", NULL},
        {"/stock/batch_init/0/0/0", NULL},
        {"/orders/batch_init/0/1/1/0", NULL},
        {"/payment/pay/u/15.0", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct route_match *m = request_find(r, "POST", rows[i].path, NULL);
        assert_int_equal(m->status, rows[i].refusal ? 400 : 0);
        assert_int_equal(m->route == NULL, rows[i].refusal != NULL);
        if (rows[i].refusal) {
            assert_string_equal(m->sentence, rows[i].refusal);
        }
    }
}

/* An amount is taken whole or refused, however long it is: its end decides too. */
static void amount_too_long(void **state)
{
    struct request *r = *state;
    char path[256];
    strcpy(path, "/payment/pay/u/5.");
    memset(path + strlen(path), '\0', sizeof(path) - strlen(path));
    memset(path + strlen("/payment/pay/u/5."), '0', 100);
    strcat(path, "7");
    assert_int_equal(request_find(r, "POST", path, NULL)->status, 400);
    memset(path + strlen("/payment/pay/u/"), '0', 100);
    assert_int_equal(request_find(r, "POST", path, NULL)->status, 400);
    memset(path + strlen("/payment/pay/u/"), '9', 100);
    assert_int_equal(request_find(r, "POST", path, NULL)->status, 400);
}

/* A batch is no larger than BATCH_MAX, and two items of its price stay within int64. */
static void batch_limits(void **state)
{
    struct request *r = *state;
    static const struct {
        const char *path;
        unsigned status;
    } rows[] = {
        {"/payment/batch_init/10000000/1", 0},
        {"/payment/batch_init/10000001/1", 400},
        {"/payment/batch_init/9223372036854775807/1", 400},
        {"/stock/batch_init/10000001/1/1", 400},
        {"/stock/batch_init/1/9223372036854775807/9223372036854775807", 0},
        {"/orders/batch_init/10000001/1/1/1", 400},
        {"/orders/batch_init/1/10000000/10000000/4611686018427387903", 0},
        {"/orders/batch_init/1/10000001/1/1", 400},
        {"/orders/batch_init/1/1/10000001/1", 400},
        {"/orders/batch_init/1/1/1/4611686018427387904", 400},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(request_find(r, "POST", rows[i].path, NULL)->status, rows[i].status);
    }
    assert_string_equal(request_find(r, "POST", rows[1].path, NULL)->sentence,
                        "n must be a whole number from 0 to 10000000");
}

/* Each row can be answered, by its service or by the gateway itself; and no two take the same
 * request, so that their order does not matter. */
static void route_rows_are_whole(void **state)
{
    (void)state;
    for (unsigned i = 0; i < route_count(&route_api); i++) {
        const struct route *a = row_of(i);
        assert_int_equal(a->type == MESSAGE_NONE, a->serve != NULL);
        assert_int_equal(a->type == MESSAGE_NONE, a->queue == QUEUE_COUNT);
        assert_true(!a->body || a->body_max > 0);
        assert_true(a->body_max <= HTTP_BODY_MAX); /* nginx lets no more through */
        for (unsigned j = 0; j < i; j++) {
            assert_false(same_requests(a, row_of(j)));
        }
    }
}

/* A kept command borrows from its new text alone, and has the same values. */
static void route_keeps_a_command(void **state)
{
    struct request *r = *state;
    struct message kept;
    struct route_text text;
    const struct route_match *m = request_find(r, "POST", "/orders/addItem/o%31/i-2/%37", NULL);
    assert_int_equal(m->status, 0);
    assert_in_range((uintptr_t)m->command.order.data, (uintptr_t)&r->text,
                    (uintptr_t)(&r->text + 1));
    route_command_keep(&m->command, &r->text, &kept, &text);
    memset(r, 0x5a, sizeof(*r));
    assert_true(slice_is(kept.order, "o1"));
    assert_true(slice_is(kept.item, "i-2"));
    assert_true(kept.quantity == 7);
    assert_int_equal(kept.has, H(order) | H(item) | H(quantity));
}

static int setup(void **state)
{
    *state = mem_new(sizeof(struct request));
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(route_every_row),      TEST(route_makes_whole_commands),
        TEST(route_names_differ),   TEST(route_methods),
        TEST(amount_table),         TEST(amount_minimum),
        TEST(amount_too_long),      TEST(batch_limits),
        TEST(route_rows_are_whole), TEST(route_keeps_a_command),
    };
    return cmocka_run_group_tests_name("gateway/routes", tests, NULL, NULL);
}
