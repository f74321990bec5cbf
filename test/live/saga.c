/* Checkouts in a real server: begun once, attached to, asked about again, advanced by
 * compare-and-set, archived and listed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/lib/orders.h"
#include "test/lib/story.h"

extern const struct library order_library;

#define NOW_MS                   ORDERS_NOW_MS
#define WAITERS_MAX              64
#define MINUTE_MS                60000
#define at(part)                 orders_at(store, 0, part)
#define checkout(request, order) orders_checkout(store, request, order, NOW_MS)

RIG_FIXTURE(order_library)

static void order_with_line(const char *order)
{
    orders_create(store, id_at(NOW_MS), order, "u");
    orders_add(store, id_at(NOW_MS), order, "i", "2", "10");
}

static void pay(const char *order, const char *saga, const char *attempt)
{
    orders_move(store, order, saga, attempt, "CHARGING", "CANCELLING", "", NOW_MS + 5);
    assert_string_equal(
        orders_move(store, order, saga, attempt, "CANCELLING", "PAID", "", NOW_MS + 9), "moved");
}

static void fail_saga(const char *order, const char *saga, const char *attempt, const char *reason)
{
    assert_string_equal(
        orders_move(store, order, saga, attempt, "CHARGING", "FAILED", reason, NOW_MS + 7),
        "moved");
}

static void assert_record(const char *outcome, const char *saga, const char *attempt,
                          const char *saga_state)
{
    assert_int_equal(rig_count(store), 1);
    assert_string_equal(at(RECORD_OUTCOME), outcome);
    assert_string_equal(at(RECORD_SAGA), saga);
    assert_string_equal(at(RECORD_ATTEMPT), attempt);
    assert_string_equal(at(RECORD_STATE), saga_state);
}

static void assert_story(const char *from_then_on)
{
    assert_string_equal(at(RECORD_STORY), story_from(NOW_MS, from_then_on));
    assert_string_equal(at(RECORD_PARTS), ""); /* it is the last part */
}

/* A checkout freezes the order and begins the saga named by the request, due and on record. */
static void begin(void **state)
{
    (void)state;
    const char *request = id_at(NOW_MS);
    order_with_line("o");
    checkout(request, "o");
    assert_record("begun", request, "1", "CHARGING");
    assert_string_equal(at(RECORD_ORDER), "o");
    assert_string_equal(at(RECORD_DUE_MS), text_of("%lld", (long long)NOW_MS + 1000));
    assert_string_equal(at(RECORD_RETRIES), "0");
    assert_string_equal(at(RECORD_REASON), "");
    assert_string_equal(at(RECORD_WAITERS), text_of("gw/%s", request));
    assert_story("CHARGING:0:0");
    assert_string_equal(at(RECORD_USER), "u");
    assert_string_equal(at(RECORD_TOTAL), "10");
    assert_string_equal(at(RECORD_LINES), "i*2");
    assert_string_equal(rig_ask(store, "ZSCORE", "order:open", "o"),
                        text_of("%lld", (long long)NOW_MS + 1000));
    assert_string_equal(rig_ask(store, "HGET", bucket_of("order", request), request),
                        text_of("begun|o|%s", request));
}

/* Asking again is not another checkout: it hears that its saga runs, and where it is. */
static void begin_once(void **state)
{
    (void)state;
    const char *request = id_at(NOW_MS);
    order_with_line("o");
    checkout(request, "o");
    checkout(request, "o");
    assert_record("running", request, "1", "CHARGING");
    orders_move(store, "o", request, "1", "CHARGING", "CANCELLING", "", NOW_MS + 5);
    checkout(request, "o");
    assert_record("running", request, "1", "CANCELLING");
    assert_string_equal(at(RECORD_WAITERS), text_of("gw/%s", request));
    assert_string_equal(rig_ask(store, "ZCARD", "order:open"), "1");
}

/* A checkout of no order is unknown, for good: the repeat must not find one made since. */
static void begin_unknown(void **state)
{
    (void)state;
    const char *request = id_at(NOW_MS);
    assert_string_equal(checkout(request, "o"), "unknown");
    assert_string_equal(rig_ask(store, "EXISTS", "order:order:o", "order:open"), "0");
    order_with_line("o");
    assert_string_equal(checkout(request, "o"), "unknown");
    assert_int_equal(rig_count(store), 1);
    assert_string_equal(checkout(id_at(NOW_MS), "o"), "begun");
}

/* An order without lines is paid at once, and nothing is left open. */
static void begin_empty(void **state)
{
    (void)state;
    const char *request = id_at(NOW_MS);
    orders_create(store, id_at(NOW_MS), "o", "u");
    checkout(request, "o");
    assert_record("paid", request, "1", "PAID");
    assert_string_equal(at(RECORD_TOTAL), "0");
    assert_story("PAID:0:0");
    assert_string_equal(rig_ask(store, "EXISTS", "order:open"), "0");
    checkout(request, "o");
    assert_record("paid", request, "1", "PAID");
    checkout(id_at(NOW_MS), "o");
    assert_record("paid", request, "1", "PAID");
}

/* A paid order answers every later checkout with the saga that paid it, and begins nothing. */
static void begin_paid(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS), *later = id_at(NOW_MS + MINUTE_MS);
    order_with_line("o");
    checkout(first, "o");
    pay("o", first, "1");
    for (int i = 0; i < 2; i++) {
        checkout(later, "o");
        assert_record("paid", first, "1", "PAID");
        assert_story("CHARGING:0:0,CANCELLING:5:0,PAID:9:0");
    }
    checkout(first, "o");
    assert_record("paid", first, "1", "PAID");
    assert_string_equal(rig_ask(store, "EXISTS", "order:open"), "0");
}

/* A second checkout of an order attaches to the saga that runs, is told with the first, once. */
static void attach(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS), *second = id_at(NOW_MS + MINUTE_MS);
    order_with_line("o");
    checkout(first, "o");
    checkout(second, "o");
    assert_record("running", first, "1", "CHARGING");
    checkout(second, "o");
    assert_record("running", first, "1", "CHARGING");
    assert_string_equal(at(RECORD_WAITERS), text_of("gw/%s,gw/%s", first, second));
    pay("o", first, "1");
    assert_string_equal(at(RECORD_WAITERS), text_of("gw/%s,gw/%s", first, second));
    checkout(second, "o");
    assert_record("paid", first, "1", "PAID");
}

/* Waiters are bounded: one too many is not told, and hears the outcome when it asks again. */
static void attach_too_many(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS);
    order_with_line("o");
    checkout(first, "o");
    for (int i = 1; i < WAITERS_MAX + 5; i++) {
        assert_string_equal(checkout(id_at(NOW_MS), "o"), "running");
    }
    unsigned waiters = 1;
    for (const char *c = at(RECORD_WAITERS); *c != '\0'; c++) {
        waiters += *c == ',';
    }
    assert_int_equal(waiters, WAITERS_MAX);
    const char *late = id_at(NOW_MS);
    checkout(late, "o");
    assert_null(strstr(at(RECORD_WAITERS), late));
    fail_saga("o", first, "1", "no");
    checkout(late, "o");
    assert_record("failed", first, "1", "FAILED");
}

/* A failed checkout tells its reason to whoever asks again, until a new request begins anew. */
static void again_after_failure(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS), *second = id_at(NOW_MS);
    order_with_line("o");
    checkout(first, "o");
    fail_saga("o", first, "1", "insufficient credit");
    checkout(first, "o");
    assert_record("failed", first, "1", "FAILED");
    assert_string_equal(at(RECORD_REASON), "insufficient credit");
    checkout(second, "o");
    assert_record("begun", second, "2", "CHARGING");
    assert_string_equal(at(RECORD_REASON), "");
    assert_story("CHARGING:0:0");
}

/* A repeat of a request, begun or attached, after its saga failed and another attempt began:
 * it hears its own saga's end, and neither begins nor disturbs anything. */
static void again_after_another_attempt(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS), *attached = id_at(NOW_MS + MINUTE_MS);
    const char *second = id_at(NOW_MS - MINUTE_MS);
    order_with_line("o");
    checkout(first, "o");
    checkout(attached, "o");
    fail_saga("o", first, "1", "insufficient credit");
    assert_string_equal(checkout(second, "o"), "begun");
    for (int is_paid = 0; is_paid < 2; is_paid++) {
        const char *mine[] = {first, attached};
        for (int i = 0; i < 2; i++) {
            checkout(mine[i], "o");
            assert_record("failed", first, "1", "FAILED");
            assert_string_equal(at(RECORD_ORDER), "o");
            assert_string_equal(at(RECORD_REASON), "insufficient credit");
            assert_story("CHARGING:0:0,FAILED:7:0");
        }
        checkout(second, "o");
        assert_record(is_paid ? "paid" : "running", second, "2", is_paid ? "PAID" : "CHARGING");
        assert_string_equal(at(RECORD_WAITERS), text_of("gw/%s", second));
        if (!is_paid) {
            pay("o", second, "2");
        }
    }
}

/* Only the state, attempt and saga that the caller thinks of may be advanced: else stale, with
 * what is, and nothing is changed. */
static void advance_stale(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS), *other = id_at(NOW_MS);
    order_with_line("o");
    checkout(saga, "o");
    orders_move(store, "o", saga, "1", "CHARGING", "CANCELLING", "", NOW_MS + 5);
    assert_record("moved", saga, "1", "CANCELLING");
    const struct {
        const char *saga, *attempt, *from, *to;
    } rows[] = {
        {saga, "1", "CHARGING", "CANCELLING"},
        {saga, "2", "CANCELLING", "PAID"},
        {other, "1", "CANCELLING", "PAID"},
        {saga, "1", "PAID", "FAILED"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        orders_move(store, "o", rows[i].saga, rows[i].attempt, rows[i].from, rows[i].to, "no",
                    NOW_MS + 20);
        assert_record("stale", saga, "1", "CANCELLING");
        assert_string_equal(at(RECORD_REASON), "");
        assert_story("CHARGING:0:0,CANCELLING:5:0");
        assert_string_equal(orders_journal_at(store, "o", RECORD_DUE_MS),
                            text_of("%lld", (long long)NOW_MS + 1005));
    }
    orders_move(store, "none", saga, "1", "CANCELLING", "PAID", "", NOW_MS);
    assert_string_equal(at(RECORD_OUTCOME), "stale");
    assert_string_equal(rig_ask(store, "EXISTS", "order:order:none"), "0");
}

/* The way back: the first reason stays through the compensation, and the story tells it all. */
static void advance_back(void **state)
{
    (void)state;
    static const char story[] = "CHARGING:0:0,CANCELLING:5:0,REFUNDING:9:0,FAILED:12:0";
    const char *saga = id_at(NOW_MS);
    order_with_line("o");
    checkout(saga, "o");
    orders_move(store, "o", saga, "1", "CHARGING", "CANCELLING", "", NOW_MS + 5);
    orders_move(store, "o", saga, "1", "CANCELLING", "REFUNDING", "out of stock", NOW_MS + 9);
    assert_string_equal(rig_ask(store, "ZCARD", "order:open"), "1");
    orders_move(store, "o", saga, "1", "REFUNDING", "FAILED", "", NOW_MS + 12);
    assert_record("moved", saga, "1", "FAILED");
    assert_string_equal(at(RECORD_REASON), "out of stock");
    assert_story(story);
    assert_string_equal(rig_ask(store, "EXISTS", "order:open"), "0");
    assert_string_equal(rig_ask(store, "HGET", bucket_of("order", saga), saga),
                        text_of("ended|o|%s|1|FAILED|0|0|out of stock|gw/%s|u|10|i*2|%s", saga,
                                saga, story_from(NOW_MS, story)));
    orders_move(store, "o", saga, "1", "REFUNDING", "FAILED", "", NOW_MS + 15);
    assert_record("stale", saga, "1", "FAILED");
}

static const char *saga_tell(const char *saga)
{
    return rig_ask(store, "FCALL", "order_saga", "1", bucket_of("order", saga), saga);
}

/* One saga is told from its order's journal, or from the archive when another attempt followed. */
static void tell_one(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS), *attached = id_at(NOW_MS), *second = id_at(NOW_MS);
    order_with_line("o");
    assert_string_equal(saga_tell(first), "unknown");
    checkout(first, "o");
    saga_tell(first);
    assert_record("saga", first, "1", "CHARGING");
    checkout(attached, "o");
    assert_string_equal(saga_tell(attached), "unknown"); /* a request, but no saga */
    fail_saga("o", first, "1", "no");
    saga_tell(first);
    assert_record("saga", first, "1", "FAILED");
    assert_string_equal(at(RECORD_TOTAL), "10"); /* still the order's newest */
    checkout(second, "o");
    saga_tell(first);
    assert_record("saga", first, "1", "FAILED");
    assert_string_equal(at(RECORD_REASON), "no");
    saga_tell(second);
    assert_record("saga", second, "2", "CHARGING");
}

/* A saga whose order was made anew by a batch is forgotten, unless it was archived. */
static void tell_after_batch(void **state)
{
    (void)state;
    const char *paid = id_at(NOW_MS), *failed = id_at(NOW_MS);
    orders_init(store, id_at(NOW_MS), 2, 5, 5, "2", 1);
    checkout(paid, "0");
    pay("0", paid, "1");
    checkout(failed, "1");
    fail_saga("1", failed, "1", "no");
    orders_init(store, id_at(NOW_MS), 2, 5, 5, "2", 2);
    assert_string_equal(saga_tell(paid), "unknown");
    saga_tell(failed);
    assert_record("saga", failed, "1", "FAILED");
}

/* One part of a list: its records; the cursor stands behind them. */
static unsigned list_from(const char *limit, const char *saga_state, const char *order,
                          const char *cursor)
{
    rig_ask(store, "FCALL", "order_sagas", "2", "order:recent", "order:open", limit, saga_state,
            order, cursor);
    return rig_count(store) - 1;
}

static const char *list_cursor(void)
{
    return rig_at(store, rig_count(store) - 1);
}

/* A list that has one part. */
static unsigned list(const char *limit, const char *saga_state, const char *order)
{
    unsigned count = list_from(limit, saga_state, order, "0");
    assert_string_equal(list_cursor(), "");
    return count;
}

static void assert_listed(unsigned n, const char *saga)
{
    assert_string_equal(orders_at(store, n, RECORD_SAGA), saga);
}

/* Lists: the newest first, over many buckets; by state, by order, the open ones; bounded. */
static void lists(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    char saga[COUNT][64];
    assert_int_equal(list("10", "", ""), 0);
    for (int i = 0; i < COUNT; i++) { /* two in each bucket of 4096 ms */
        snprintf(saga[i], sizeof(saga[i]), "%s", id_at(NOW_MS + i / 2 * 5000 + i % 2));
        order_with_line(text_of("o%d", i % 5)); /* the sixth is the second attempt of o0 */
        assert_string_equal(checkout(saga[i], text_of("o%d", i % 5)), "begun");
        if (i == 0 || i == 3) {
            fail_saga(text_of("o%d", i), saga[i], "1", "no");
        } else if (i == 1) {
            pay("o1", saga[i], "1");
        }
    }
    assert_int_equal(list("10", "", ""), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_listed(i, saga[COUNT - 1 - i]);
    }
    assert_int_equal(list("2", "", ""), 2);
    assert_listed(1, saga[4]);
    assert_int_equal(list("10", "FAILED", ""), 2);
    assert_listed(0, saga[3]);
    assert_listed(1, saga[0]);
    assert_int_equal(list("10", "PAID", ""), 1);
    assert_listed(0, saga[1]);
    assert_int_equal(list("10", "REFUNDING", ""), 0);
    assert_int_equal(list("10", "open", ""), 3); /* by due time: the newest are picked later */
    assert_listed(0, saga[5]);
    assert_listed(1, saga[2]);
    assert_listed(2, saga[4]);
    assert_int_equal(list("10", "", "o0"), 1);
    assert_listed(0, saga[5]);
    assert_int_equal(list("10", "CHARGING", "o0"), 1);
    assert_int_equal(list("10", "open", "o0"), 1);
    assert_int_equal(list("10", "FAILED", "o0"), 0);
    assert_int_equal(list("10", "open", "o1"), 0);
    assert_int_equal(list("10", "PAID", "o1"), 1);
    assert_int_equal(list("10", "", "none"), 0);
}

/* A journal that cannot be read hides no other in a list, and is in it itself, without a state. */
static void list_with_the_damaged(void **state)
{
    (void)state;
    char saga[3][64];
    for (int i = 0; i < 3; i++) {
        snprintf(saga[i], sizeof(saga[i]), "%s", id_at(NOW_MS + i));
        order_with_line(text_of("o%d", i));
        checkout(saga[i], text_of("o%d", i));
    }
    rig_ask(store, "HSET", "order:order:o1", "journal", "garbage");
    assert_int_equal(list("10", "", ""), 3);
    assert_listed(0, saga[2]);
    assert_listed(1, saga[1]);
    assert_string_equal(orders_at(store, 1, RECORD_ORDER), "o1");
    assert_string_equal(orders_at(store, 1, RECORD_STATE), "");
    assert_listed(2, saga[0]);
    assert_int_equal(list("10", "CHARGING", ""), 2);
    assert_int_equal(list("10", "open", ""), 3);
    assert_listed(0, saga[0]);
    assert_string_equal(rig_at(store, 1), "saga|o1|");
    assert_listed(2, saga[2]);
}

/* The list of recent sagas is bounded, and the newest are never those that are cut off. */
static void list_is_bounded(void **state)
{
    char newest[64];
    (void)state;
    for (int i = 0; i < 2500; i++) {
        snprintf(newest, sizeof(newest), "%s", id_at(NOW_MS + i));
        order_with_line(text_of("o%d", i));
        assert_string_equal(checkout(newest, text_of("o%d", i)), "begun");
        assert_true(atoi(rig_ask(store, "LLEN", "order:recent")) <= 2000);
    }
    assert_int_equal(list_from("20", "", "", "0"), 20);
    assert_listed(0, newest);
    assert_string_equal(list_cursor(), "");
    assert_int_equal(list_from("100", "", "", "0"), 50);
    assert_listed(0, newest);
    assert_string_equal(list_cursor(), "50");
    assert_int_equal(list_from("100", "", "", "50"), 50);
    assert_string_equal(orders_at(store, 0, RECORD_ORDER), "o2449");
}

/* No call looks at more than a few, whatever is asked for: each one would be waited for by all who
 * need the store. All calls of a list together look at the newest 1000 and no others. */
static void list_is_asked_for_in_parts(void **state)
{
    (void)state;
    for (int i = 0; i < 1200; i++) {
        order_with_line(text_of("o%d", i));
        assert_string_equal(checkout(id_at(NOW_MS + i), text_of("o%d", i)), "begun");
    }
    static const struct {
        const char *state;
        unsigned found;
    } lists[] = {{"STUCK", 0}, {"CHARGING", 1000}, {"open", 1000}};
    for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char cursor[32] = "0";
        unsigned calls = 0, found = 0;
        for (; cursor[0] != '\0'; calls++) {
            unsigned count = list_from("100", lists[i].state, "", cursor);
            assert_true(count <= 50);
            found += count;
            snprintf(cursor, sizeof(cursor), "%s", list_cursor());
        }
        assert_int_equal(calls, 20);
        assert_int_equal(found, lists[i].found);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(begin),
        TEST(begin_once),
        TEST(begin_unknown),
        TEST(begin_empty),
        TEST(begin_paid),
        TEST(attach),
        TEST(attach_too_many),
        TEST(again_after_failure),
        TEST(again_after_another_attempt),
        TEST(advance_stale),
        TEST(advance_back),
        TEST(tell_one),
        TEST(tell_after_batch),
        TEST(lists),
        TEST(list_with_the_damaged),
        TEST(list_is_bounded),
        TEST(list_is_asked_for_in_parts),
    };
    return cmocka_run_group_tests_name("saga", tests, group_setup, group_teardown);
}
