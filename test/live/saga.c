/* Checkouts in a real server: begun once, attached to, asked about again, advanced by
 * compare-and-set, archived and told. Lists of them: sagas.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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
    orders_with_line(store, "o");
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
    orders_with_line(store, "o");
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
    orders_with_line(store, "o");
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
    orders_with_line(store, "o");
    checkout(first, "o");
    orders_pay(store, "o", first, "1");
    for (int i = 0; i < 2; i++) {
        checkout(later, "o");
        assert_record("paid", first, "1", "PAID");
        assert_story("CHARGING:0:0,CANCELLING:5:0,PAID:9:0");
    }
    checkout(first, "o");
    assert_record("paid", first, "1", "PAID");
    assert_string_equal(rig_ask(store, "EXISTS", "order:open"), "0");
}

/* A key that met a paid order never pays for it, also when a batch has made the order anew: it is
 * told that its saga is not known any more, at worst. Without a key there is nothing to remember.
 */
static void key_of_a_paid_order(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS), *plain = id_at(NOW_MS), *key = id_kept_at(NOW_MS);
    orders_init(store, id_at(NOW_MS), 1, 5, 5, "2", 1);
    checkout(first, "0");
    orders_pay(store, "0", first, "1");
    for (int i = 0; i < 2; i++) {
        checkout(key, "0");
        assert_record("paid", first, "1", "PAID");
        checkout(plain, "0");
        assert_record("paid", first, "1", "PAID");
    }
    assert_string_equal(rig_ask(store, "HEXISTS", bucket_of("order", plain), plain), "0");
    orders_init(store, id_at(NOW_MS), 1, 5, 5, "2", 2);
    assert_string_equal(checkout(key, "0"), "unknown");
    assert_string_equal(rig_ask(store, "HEXISTS", "order:order:0", "journal"), "0");
    assert_string_equal(checkout(plain, "0"), "begun");
    assert_string_equal(checkout(key, "0"), "unknown");
}

/* A second checkout of an order attaches to the saga that runs, is told with the first, once. */
static void attach(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS), *second = id_at(NOW_MS + MINUTE_MS);
    orders_with_line(store, "o");
    checkout(first, "o");
    checkout(second, "o");
    assert_record("running", first, "1", "CHARGING");
    checkout(second, "o");
    assert_record("running", first, "1", "CHARGING");
    assert_string_equal(at(RECORD_WAITERS), text_of("gw/%s,gw/%s", first, second));
    orders_pay(store, "o", first, "1");
    assert_string_equal(at(RECORD_WAITERS), text_of("gw/%s,gw/%s", first, second));
    checkout(second, "o");
    assert_record("paid", first, "1", "PAID");
}

/* Waiters are bounded: one too many is not told, and hears the outcome when it asks again. */
static void attach_too_many(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS);
    orders_with_line(store, "o");
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
    orders_fail(store, "o", first, "1", "no");
    checkout(late, "o");
    assert_record("failed", first, "1", "FAILED");
}

/* A failed checkout tells its reason to whoever asks again, until a new request begins anew. */
static void again_after_failure(void **state)
{
    (void)state;
    const char *first = id_at(NOW_MS), *second = id_at(NOW_MS);
    orders_with_line(store, "o");
    checkout(first, "o");
    orders_fail(store, "o", first, "1", "insufficient credit");
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
    orders_with_line(store, "o");
    checkout(first, "o");
    checkout(attached, "o");
    orders_fail(store, "o", first, "1", "insufficient credit");
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
            orders_pay(store, "o", second, "2");
        }
    }
}

/* Only the state, attempt and saga that the caller thinks of may be advanced: else stale, with
 * what is, and nothing is changed. */
static void advance_stale(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS), *other = id_at(NOW_MS);
    orders_with_line(store, "o");
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
    orders_with_line(store, "o");
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
    orders_with_line(store, "o");
    assert_string_equal(saga_tell(first), "unknown");
    checkout(first, "o");
    saga_tell(first);
    assert_record("saga", first, "1", "CHARGING");
    checkout(attached, "o");
    assert_string_equal(saga_tell(attached), "unknown"); /* a request, but no saga */
    orders_fail(store, "o", first, "1", "no");
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
    orders_pay(store, "0", paid, "1");
    checkout(failed, "1");
    orders_fail(store, "1", failed, "1", "no");
    orders_init(store, id_at(NOW_MS), 2, 5, 5, "2", 2);
    assert_string_equal(saga_tell(paid), "unknown");
    saga_tell(failed);
    assert_record("saga", failed, "1", "FAILED");
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
        TEST(key_of_a_paid_order),
        TEST(attach),
        TEST(attach_too_many),
        TEST(again_after_failure),
        TEST(again_after_another_attempt),
        TEST(advance_stale),
        TEST(advance_back),
        TEST(tell_one),
        TEST(tell_after_batch),
    };
    return cmocka_run_group_tests_name("saga", tests, group_setup, group_teardown);
}
