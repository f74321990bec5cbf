/* Many commands in one call, in a real server: each row is answered as if it were alone, and one
 * that is broken takes no other with it. What is gathered into a call is in
 * test/unit/store/rows.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "checkout/checkout.h"
#include "saga/journal.h"
#include "saga/step.h"
#include "store/rows.h"
#include "test/lib/orders.h"
#include "test/lib/story.h"

extern const struct library payment_library;
extern const struct library stock_library;
extern const struct library order_library;

#define NOW_MS    ORDERS_NOW_MS
#define REFUSED   "refused|insufficient credit"
#define OUT       "refused|out of stock"
#define SAGAS_MAX ROWS_MAX

static struct {
    struct rig *store;
    struct args call;
    char saga[SAGAS_MAX][40]; /* the texts' ring is shorter than some loops */
} w;

static int group_setup(void **state)
{
    (void)state;
    w.store = rig_new(&payment_library);
    rig_load(w.store, &stock_library);
    rig_load(w.store, &order_library);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    args_free(&w.call);
    rig_free(w.store);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    rig_ask(w.store, "FLUSHALL");
    rig_clock(w.store, NOW_MS);
    for (unsigned i = 0; i < SAGAS_MAX; i++) {
        snprintf(w.saga[i], sizeof(w.saga[i]), "%s", id_at(NOW_MS));
    }
    return 0;
}

static void assert_field(const char *key, const char *field, const char *value)
{
    assert_string_equal(rig_ask(w.store, "HGET", key, field), value);
}

static void user_with(const char *user, const char *credit)
{
    rig_ask(w.store, "HSET", text_of("payment:user:%s", user), "credit", credit, "funded", credit);
}

static void item_with(const char *item, const char *pieces)
{
    rig_ask(w.store, "HSET", text_of("stock:item:%s", item), "quantity", pieces, "price", "1",
            "added", pieces);
}

static void order_with_line(const char *order)
{
    orders_create(w.store, id_at(NOW_MS), order, "u");
    orders_add(w.store, id_at(NOW_MS), order, "i", "2", "10");
}

/* ---- rows of one turn: made as the services make them ---- */

static void call_begin(const struct library *library, const char *function)
{
    args_reset(&w.call);
    library_call(&w.call, library, function, 1);
    args_text(&w.call, bucket_of(library->name, w.saga[0]));
    args_row_begins(&w.call);
}

static void charge(unsigned saga, const char *user, const char *amount, const char *expected)
{
    call_begin(&payment_library, "payment_charge");
    args_format(&w.call, "%s:1:charge", w.saga[saga]);
    args_text(&w.call, user);
    args_text(&w.call, amount);
    rig_expect_command(w.store, expected, &w.call);
}

static void take(unsigned saga, const char *lines, const char *expected)
{
    call_begin(&stock_library, "stock_take");
    args_format(&w.call, "%s:1:take", w.saga[saga]);
    args_text(&w.call, lines);
    rig_expect_command(w.store, expected, &w.call);
}

static void checkout(unsigned saga, const char *order, const char *expected)
{
    orders_checkout_build(&w.call, w.saga[saga], order);
    rig_expect_command(w.store, expected, &w.call);
}

static void move(unsigned saga, const char *order, const char *to, const char *expected)
{
    struct journal_move step = {.entity = slice_from(order),
                                .saga = slice_from(w.saga[saga]),
                                .attempt = SLICE_TEXT("1"),
                                .reason = SLICE_TEXT("no"),
                                .resend_ms = 1000};
    assert_true(saga_state_parse(&checkout_definition, SLICE_TEXT("CHARGING"), &step.from));
    assert_true(saga_state_parse(&checkout_definition, slice_from(to), &step.to));
    assert_int_equal(
        journal_advance(&checkout_definition.journal, &checkout_definition, &step, &w.call), 0);
    rig_expect_command(w.store, expected, &w.call);
}

/* outcome|order|journal of a saga that began now; the waiters: numbers of sagas. */
static const char *record(const char *outcome, const char *order, unsigned saga, unsigned attached)
{
    const char *waiters = text_of("gw/%s", w.saga[saga]);
    if (attached != saga) {
        waiters = text_of("%s,gw/%s", waiters, w.saga[attached]);
    }
    return text_of("%s|%s|%s|1|CHARGING|%lld|0||%s|u|10|i*2|%s", outcome, order, w.saga[saga],
                   (long long)NOW_MS + 1000, waiters, story_from(NOW_MS, "CHARGING:0:0"));
}

/* Waits for all of the turn: it was so many calls to the store, and all were answered as expected.
 */
static void assert_calls(const char *count)
{
    rig_wait(w.store);
    assert_int_equal(rig_misanswered(w.store), 0);
    const char *stat = strstr(rig_ask(w.store, "INFO", "commandstats"), "cmdstat_fcall:calls=");
    assert_non_null(stat);
    stat += strlen("cmdstat_fcall:calls=");
    assert_string_equal(text_of("%.*s", (int)strcspn(stat, ","), stat), count);
    rig_ask(w.store, "CONFIG", "RESETSTAT");
}

/* What has been made until now does not count. */
static void made(void)
{
    rig_ask(w.store, "CONFIG", "RESETSTAT");
}

/* ---- one that is broken ---- */

/* A user whose credit is no amount: every other row is charged or refused, the broken one is told
 * the error, has no record, and is charged once it is mended. */
static void broken_charge(void **state)
{
    static const char *const broken[] = {
        "five", "-5", "", "007", "5.0", "9223372036854775808", "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        setup(NULL);
        user_with("a", "10");
        user_with("b", broken[i]);
        user_with("c", "3");
        made();
        for (int again = 0; again < 2; again++) {
            charge(0, "a", "4", "charged|a|4|");
            charge(1, "b", "1", RIG_ERROR);
            charge(2, "c", "9", REFUSED);
            charge(3, "nobody", "1", REFUSED);
            charge(4, "a", "6", "charged|a|6|");
            assert_calls("2");
            assert_field("payment:user:a", "credit", "0");
            assert_field("payment:user:b", "credit", broken[i]);
            assert_field("payment:user:c", "credit", "3");
            assert_string_equal(rig_ask(w.store, "HLEN", bucket_of("payment", w.saga[0])), "4");
        }
        user_with("b", "1");
        charge(1, "b", "1", "charged|b|1|");
        charge(4, "a", "6", "charged|a|6|");
        assert_calls("1");
        assert_field("payment:user:b", "credit", "0");
    }
}

/* An item whose quantity is no number, wherever it stands: the lines before it are not taken. */
static void broken_take(void **state)
{
    static const char *const broken[] = {"many", "-1", "", "007", "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        setup(NULL);
        item_with("a", "20");
        item_with("b", broken[i]);
        item_with("c", "5");
        made();
        for (int again = 0; again < 2; again++) {
            take(0, "a*1", "taken|a*1*");
            take(1, "a*2,b*1", RIG_ERROR);
            take(2, "c*9", OUT);
            take(3, "b*1,c*1", RIG_ERROR);
            take(4, "c*5,a*9", "taken|c*5*,a*9*");
            assert_calls("3");
            assert_field("stock:item:a", "quantity", "10");
            assert_field("stock:item:b", "quantity", broken[i]);
            assert_field("stock:item:c", "quantity", "0");
            assert_string_equal(rig_ask(w.store, "HLEN", bucket_of("stock", w.saga[0])), "3");
        }
    }
}

static const char *const no_journals[] = {
    "", "garbage", "|||||||", "s|1|FAILED|0|0|no|gw/r|u|10|i*2", "s|1|FAILED|0|0|no|gw/r|FAILED:1"};

/* An order whose journal is no journal: nobody knows what was done for it, so nothing new is. */
static void broken_checkout(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(no_journals) / sizeof(no_journals[0]); i++) {
        setup(NULL);
        order_with_line("o0");
        order_with_line("o1");
        order_with_line("o2");
        rig_ask(w.store, "HSET", "order:order:o1", "journal", no_journals[i]);
        made();
        checkout(0, "o0", record("begun", "o0", 0, 0));
        checkout(1, "o1", RIG_ERROR);
        checkout(2, "o2", record("begun", "o2", 2, 2));
        checkout(3, "none", "unknown");
        assert_calls("2");
        assert_field("order:order:o1", "journal", no_journals[i]);
        assert_field(bucket_of("order", w.saga[1]), w.saga[1], "");
        assert_string_equal(rig_ask(w.store, "ZCARD", "order:open"), "2");
        assert_string_equal(rig_ask(w.store, "LLEN", "order:recent"), "2");
        assert_string_equal(rig_ask(w.store, "ZSCORE", "order:open", "o1"), "");
    }
}

/* A journal of which nothing but the beginning is left is not moved on. */
static void broken_move(void **state)
{
    (void)state;
    const char *rests[] = {"|", "|1733754221544", "|x|0||g/r|u|10|i*2|CHARGING:1:0",
                           "|1733754221544|x||g/r|u|10|i*2|CHARGING:1:0"};
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        setup(NULL);
        const char *broken = text_of("%s|1|CHARGING%s", w.saga[1], rests[i]);
        for (unsigned n = 0; n < 3; n++) {
            order_with_line(text_of("o%u", n));
            orders_checkout(w.store, w.saga[n], text_of("o%u", n), NOW_MS);
        }
        rig_ask(w.store, "HSET", "order:order:o1", "journal", broken);
        made();
        for (unsigned n = 0; n < 3; n++) {
            const char *moved =
                text_of("moved|o%u|%s|1|FAILED|0|0|no|gw/%s|u|10|i*2|%s", n, w.saga[n], w.saga[n],
                        story_from(NOW_MS, "CHARGING:0:0,FAILED:0:0"));
            move(n, text_of("o%u", n), "FAILED", n == 1 ? RIG_ERROR : moved);
        }
        assert_calls("2");
        assert_field("order:order:o1", "journal", broken);
        assert_field(bucket_of("order", w.saga[1]), w.saga[1], text_of("begun|o1|%s", w.saga[1]));
        assert_string_equal(rig_ask(w.store, "ZRANGE", "order:open", "0", "-1"), "o1");
        assert_int_equal(rig_count(w.store), 1);
    }
}

/* ---- rows that concern the same ---- */

/* The same command twice in one call acts once, and both hear the same. */
static void same_command_twice(void **state)
{
    (void)state;
    user_with("a", "10");
    item_with("i", "10");
    order_with_line("o");
    made();
    charge(0, "a", "4", "charged|a|4|");
    charge(0, "a", "4", "charged|a|4|");
    charge(1, "a", "9", REFUSED);
    charge(1, "a", "9", REFUSED);
    take(0, "i*3", "taken|i*3*");
    take(0, "i*3", "taken|i*3*");
    checkout(0, "o", record("begun", "o", 0, 0));
    checkout(0, "o", record("running", "o", 0, 0));
    assert_calls("3");
    assert_field("payment:user:a", "credit", "6");
    assert_field("stock:item:i", "quantity", "7");
    assert_string_equal(rig_ask(w.store, "LLEN", "order:recent"), "1");
}

/* Two charges of one user of which only one is covered: the first is, the second is refused, for
 * good. So with pieces. */
static void one_is_covered(void **state)
{
    (void)state;
    user_with("a", "5");
    item_with("i", "5");
    made();
    charge(0, "a", "3", "charged|a|3|");
    charge(1, "a", "3", REFUSED);
    charge(2, "a", "2", "charged|a|2|");
    take(0, "i*3", "taken|i*3*");
    take(1, "i*3", OUT);
    take(2, "i*2", "taken|i*2*");
    assert_calls("2");
    user_with("a", "5");
    item_with("i", "5");
    charge(1, "a", "3", REFUSED);
    take(1, "i*3", OUT);
    assert_calls("2");
    assert_field("payment:user:a", "credit", "5");
    assert_field("stock:item:i", "quantity", "5");
}

/* The second checkout of an order attaches to the saga that the first has begun in the same call.
 */
static void two_checkouts(void **state)
{
    (void)state;
    order_with_line("o");
    made();
    checkout(0, "o", record("begun", "o", 0, 0));
    checkout(1, "o", record("running", "o", 0, 1));
    assert_calls("1");
    assert_string_equal(orders_journal_at(w.store, "o", RECORD_WAITERS),
                        text_of("gw/%s,gw/%s", w.saga[0], w.saga[1]));
    for (unsigned i = 0; i < 2; i++) {
        assert_field(bucket_of("order", w.saga[i]), w.saga[i], text_of("begun|o|%s", w.saga[0]));
    }
    assert_string_equal(rig_ask(w.store, "ZCARD", "order:open"), "1");
    assert_string_equal(rig_ask(w.store, "LLEN", "order:recent"), "1");
}

/* Two answers to one saga in one call: the first moves it, the second is told where it is. */
static void two_moves(void **state)
{
    (void)state;
    order_with_line("o");
    orders_checkout(w.store, w.saga[0], "o", NOW_MS);
    made();
    const char *now = text_of("o|%s|1|FAILED|0|0|no|gw/%s|u|10|i*2|%s", w.saga[0], w.saga[0],
                              story_from(NOW_MS, "CHARGING:0:0,FAILED:0:0"));
    move(0, "o", "FAILED", text_of("moved|%s", now));
    move(0, "o", "FAILED", text_of("stale|%s", now));
    move(1, "o", "FAILED", text_of("stale|%s", now));
    move(1, "none", "FAILED", "stale");
    assert_calls("1");
    assert_string_equal(rig_ask(w.store, "EXISTS", "order:open", "order:order:none"), "0");
}

/* ---- many ---- */

static void many_charges(void **state)
{
    (void)state;
    user_with("a", text_of("%d", ROWS_MAX - 1));
    made();
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        charge(i, "a", "1", i < ROWS_MAX - 1 ? "charged|a|1|" : REFUSED);
    }
    assert_calls("1");
    assert_field("payment:user:a", "credit", "0");
    assert_string_equal(rig_ask(w.store, "HLEN", bucket_of("payment", w.saga[0])),
                        text_of("%d", ROWS_MAX));
}

static void many_takes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        item_with(text_of("i%u", i), "1");
    }
    made();
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        take(i, text_of("i%u*1", i), text_of("taken|i%u*1*", i));
    }
    assert_calls("1");
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        assert_field(text_of("stock:item:i%u", i), "quantity", "0");
    }
}

static void many_sagas(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        order_with_line(text_of("o%u", i));
    }
    made();
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        const char *order = text_of("o%u", i);
        checkout(i, order, record("begun", order, i, i));
    }
    assert_calls("1");
    assert_string_equal(rig_ask(w.store, "ZCARD", "order:open"), text_of("%d", ROWS_MAX));
    assert_string_equal(rig_ask(w.store, "LINDEX", "order:recent", "0"),
                        text_of("%s|o%d", w.saga[ROWS_MAX - 1], ROWS_MAX - 1));
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        move(i, text_of("o%u", i), "FAILED",
             text_of("moved|o%u|%s|1|FAILED|0|0|no|gw/%s|u|10|i*2|%s", i, w.saga[i], w.saga[i],
                     story_from(NOW_MS, "CHARGING:0:0,FAILED:0:0")));
    }
    assert_calls("1");
    assert_string_equal(rig_ask(w.store, "EXISTS", "order:open"), "0");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(broken_charge),      TEST(broken_take),    TEST(broken_checkout), TEST(broken_move),
        TEST(same_command_twice), TEST(one_is_covered), TEST(two_checkouts),   TEST(two_moves),
        TEST(many_charges),       TEST(many_takes),     TEST(many_sagas),
    };
    return cmocka_run_group_tests_name("rows", tests, group_setup, group_teardown);
}
