/* A store whose memory is full, in a real server: each function that ends or frees something works
 * there, and each that begins something is refused. Which is which: protocol.md, "A store that
 * is nearly full". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "idempotency/key.h"
#include "idempotency/once.h"
#include "saga/journal.h"
#include "saga/step.h"
#include "test/lib/orders.h"

#define DAY_MS  INT64_C(86400000)
#define BUCKETS "99999999999" /* no saga is open, and all may go */

extern const struct library payment_library, stock_library, order_library;
extern const struct saga_definition checkout_definition;

static struct rig *store;
static int64_t now_ms;

static int group_setup(void **state)
{
    (void)state;
    store = rig_new(&order_library);
    rig_load(store, &payment_library);
    rig_load(store, &stock_library);
    rig_load(store, &key_library);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    rig_free(store);
    return 0;
}

/* A user, an item and an order of them; and a request of each service, for what is dropped to be
 * below. */
static int setup(void **state)
{
    (void)state;
    now_ms = (int64_t)time(NULL) * 1000;
    rig_ask(store, "CONFIG", "SET", "maxmemory", "0");
    rig_ask(store, "FLUSHALL");
    rig_ask(store, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(store, "HSET", "stock:item:i", "quantity", "10", "price", "5", "added", "10");
    orders_create(store, id_at(now_ms), "o", "u");
    orders_add(store, id_at(now_ms), "o", "i", "2", "10");
    rig_ask(store, "FCALL", "payment_create", "2", bucket_of("payment", id_at(now_ms)),
            "payment:user:v", id_at(now_ms));
    rig_ask(store, "FCALL", "stock_create", "2", bucket_of("stock", id_at(now_ms)), "stock:item:j",
            id_at(now_ms), "1");
    return 0;
}

static void fill(void)
{
    rig_ask(store, "CONFIG", "SET", "maxmemory", "1");
}

/* The last reply is a record with this outcome, of a saga in this state. */
static void assert_record(unsigned n, const char *outcome, const char *saga_state)
{
    assert_string_equal(orders_at(store, n, RECORD_OUTCOME), outcome);
    assert_string_equal(orders_at(store, n, RECORD_STATE), saga_state);
}

static void move(const char *saga, const char *from, const char *to)
{
    struct args command = {0};
    struct journal_move move = {.entity = SLICE_TEXT("o"),
                                .saga = slice_from(saga),
                                .attempt = SLICE_TEXT("1"),
                                .resend_ms = 1000};
    assert_true(saga_state_parse(&checkout_definition, slice_from(from), &move.from));
    assert_true(saga_state_parse(&checkout_definition, slice_from(to), &move.to));
    assert_int_equal(
        journal_advance(&checkout_definition.journal, &checkout_definition, &move, &command), 0);
    rig_ask_command(store, &command, NULL, NULL);
    args_free(&command);
    assert_record(0, "moved", to);
}

/* A saga that had begun is sent again, given up, and ended, and its end is archived. */
static void sagas_end(void **state)
{
    const char *saga = id_at(now_ms);
    (void)state;
    assert_string_equal(orders_checkout(store, saga, "o", now_ms), "begun");
    rig_clock(store, now_ms + 2000);
    fill();
    rig_ask(store, "FCALL", "order_lease", "1", "order:open", "10", "1000", "5000");
    assert_record(1, "due", "CHARGING");
    move(saga, "CHARGING", "CANCELLING");
    move(saga, "CANCELLING", "REFUNDING");
    move(saga, "REFUNDING", "FAILED");
    rig_ask(store, "FCALL", "order_saga", "1", bucket_of("order", saga), saga);
    assert_record(0, "saga", "FAILED");
    assert_string_equal(rig_ask(store, "ZCARD", "order:open"), "0");
}

/* What a saga asks of payment is done: charge, refund, and the tombstone of a charge that is late.
 */
static void money_comes_back(void **state)
{
    const char *saga = id_at(now_ms), *bucket = bucket_of("payment", saga);
    const char *charge = text_of("%s:1:charge", saga), *late = text_of("%s:2:charge", saga);
    (void)state;
    fill();
    assert_string_equal(rig_ask(store, "FCALL", "payment_charge", "1", bucket, charge, "u", "10"),
                        "charged|u|10|");
    assert_string_equal(rig_ask(store, "FCALL", "payment_refund", "2", bucket, "payment:user:u",
                                text_of("%s-undo", charge), charge),
                        "refunded|u|10|");
    assert_string_equal(rig_ask(store, "FCALL", "payment_refund", "2", bucket, "payment:user:u",
                                text_of("%s-undo", late), late),
                        "refunded");
    assert_string_equal(rig_ask(store, "FCALL", "payment_charge", "1", bucket, late, "u", "10"),
                        "cancelled");
    assert_string_equal(rig_ask(store, "HGET", "payment:user:u", "credit"), "100");
}

/* What a saga asks of stock is done: take, and the tombstone of a take that is late. */
static void pieces_are_taken_or_never(void **state)
{
    const char *saga = id_at(now_ms), *bucket = bucket_of("stock", saga);
    const char *take = text_of("%s:1:take", saga), *late = text_of("%s:2:take", saga);
    (void)state;
    fill();
    assert_string_equal(rig_ask(store, "FCALL", "stock_take", "1", bucket, take, "i*2"),
                        "taken|i*2*");
    assert_string_equal(rig_ask(store, "FCALL", "stock_cancel", "1", bucket, late), "cancelled");
    assert_string_equal(rig_ask(store, "FCALL", "stock_take", "1", bucket, late, "i*2"),
                        "cancelled");
    assert_string_equal(rig_ask(store, "HGET", "stock:item:i", "quantity"), "8");
}

/* A step of the sweep, as the service makes it. The number of texts: 1 when nothing is left. */
static unsigned sweep(const struct library *library, const char *seen)
{
    const char *name = text_of("%s_sweep", library->name);
    rig_ask(store, "FCALL", name, "1", text_of("%s:buckets", library->name),
            text_of("%lld", (long long)DAY_MS), BUCKETS, seen, text_of("%lld", (long long)DAY_MS),
            "500", "0", text_of("%lld", (long long)DAY_MS));
    return rig_count(store);
}

/* Records go, and so does what is kept for a client's key: that is what makes room. */
static void records_go(void **state)
{
    static const struct library *const libraries[] = {&order_library, &payment_library,
                                                      &stock_library};
    const char *old = id_kept_at(now_ms - 9 * DAY_MS);
    (void)state;
    orders_create(store, old, "p", "u");
    rig_ask(store, "FCALL", "payment_pay", "2", bucket_of("payment", old), "payment:user:u", old,
            "u", "5");
    rig_ask(store, "FCALL", "stock_subtract", "2", bucket_of("stock", old), "stock:item:i", old,
            "i", "2");
    fill();
    for (unsigned i = 0; i < 3; i++) {
        const char *service = libraries[i]->name, *bucket = bucket_of(service, old);
        assert_string_equal(rig_ask(store, "EXISTS", bucket), "1");
        for (unsigned steps = 0; sweep(libraries[i], "") > 1;) {
            assert_true(++steps < 100);
        }
        assert_string_equal(rig_ask(store, "EXISTS", bucket), "0");
        assert_string_equal(rig_ask(store, "ZCARD", text_of("%s:kept:buckets", service)), "0");
    }
    assert_string_equal(rig_ask(store, "HGET", "payment:user:u", "funded"), "95");
}

/* A key whose command will never be run is let go, and old keys are dropped. */
static void keys_go(void **state)
{
    (void)state;
    rig_ask(store, "FCALL", "key_claim", "0", "some-key", "an-id", "POST /", "7", "1");
    rig_ask(store, "SET", "kassa:keys:day", "1");
    fill();
    assert_string_equal(rig_ask(store, "FCALL", "key_release", "0", "some-key", "an-id", "7", "1"),
                        "2");
    rig_ask(store, "FCALL", "key_sweep", "0", "1", "", "0", "1024", "kassa:keys:day:1/0");
    assert_string_equal(rig_ask(store, "GET", "kassa:keys:day"), "2");
}

/* What a store has lost is sent again, from beginning to end. */
static void replays_end(void **state)
{
    const char *id = id_at(now_ms), *journal = "order:replay:payment";
    const char *last = text_of("%lld", (long long)once_bucket_number(now_ms));
    (void)state;
    fill();
    assert_string_equal(rig_ask(store, "FCALL", "order_replay_begin", "2", bucket_of("order", id),
                                journal, id, "1", "1", last, "1"),
                        "created");
    assert_string_equal(rig_ask(store, "FCALL", "order_replay_take", "1", journal, "", ""), "1");
    const char *token = text_of("%s", rig_at(store, 6));
    rig_ask(store, "FCALL", "order_replay_step", "2", journal, "order:buckets", token, "1", last,
            "0", "0", "100");
    assert_true(rig_count(store) >= 2);
    assert_string_equal(rig_ask(store, "FCALL", "order_replay_end", "1", journal, token), "done");
}

#define REFUSED(...) rig_expect(store, RIG_FULL, "FCALL", __VA_ARGS__)

/* What begins something is refused, and nothing of it is done. */
static void nothing_begins(void **state)
{
    const char *id = id_at(now_ms), *chunk = text_of("%s:0", id);
    const char *payment = bucket_of("payment", id), *stock = bucket_of("stock", id);
    const char *order = bucket_of("order", id);
    struct args command = {0};
    (void)state;
    fill();
    REFUSED("payment_create", "2", payment, "payment:user:w", id);
    REFUSED("payment_fund", "2", payment, "payment:user:u", id, "5");
    REFUSED("payment_pay", "2", payment, "payment:user:u", id, "u", "5");
    REFUSED("payment_init", "1", payment, chunk, "0", "9", "1", "g");
    REFUSED("stock_create", "2", stock, "stock:item:k", id, "1");
    REFUSED("stock_add", "2", stock, "stock:item:i", id, "5");
    REFUSED("stock_subtract", "2", stock, "stock:item:i", id, "i", "5");
    REFUSED("stock_init", "1", stock, chunk, "0", "9", "1", "1", "g");
    REFUSED("order_create", "2", order, "order:order:q", id, "u");
    REFUSED("order_add", "2", order, "order:order:o", id, "i", "1", "5", "9");
    REFUSED("order_init", "1", order, chunk, "0", "9", "9", "9", "1", "1");
    REFUSED("key_claim", "0", "some-key", "an-id", "POST /", "7", "1");
    orders_checkout_build(&command, id, "o");
    rig_expect_command(store, RIG_FULL, &command);
    rig_wait(store);
    args_free(&command);
    assert_int_equal(rig_misanswered(store), 0);
    assert_string_equal(rig_ask(store, "HGET", "payment:user:u", "credit"), "100");
    assert_string_equal(rig_ask(store, "HGET", "stock:item:i", "quantity"), "10");
    assert_string_equal(rig_ask(store, "EXISTS", "payment:user:0", "stock:item:0"), "0");
    assert_string_equal(rig_ask(store, "HGET", "order:order:o", "total"), "10");
    assert_string_equal(rig_ask(store, "HEXISTS", "order:order:o", "journal"), "0");
}

/* Who only looks is served: users, items, orders, sagas, and which of them is the oldest. */
static void everything_is_read(void **state)
{
    const char *saga = id_at(now_ms);
    (void)state;
    orders_checkout(store, saga, "o", now_ms);
    fill();
    rig_expect(store, "user|100", "FCALL", "payment_find", "2", "-", "payment:user:u", "-");
    rig_expect(store, "item|10|5", "FCALL", "stock_find", "2", "-", "stock:item:i", "-");
    rig_wait(store);
    assert_int_equal(rig_misanswered(store), 0);
    assert_string_equal(orders_find(store, "o"), "order");
    rig_ask(store, "FCALL", "order_sagas", "2", "order:recent", "order:open", "9", "open", "", "0");
    assert_record(0, "saga", "CHARGING");
    rig_ask(store, "FCALL", "order_oldest", "1", "order:open", "0", "100");
    assert_int_equal(rig_count(store), 3);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sagas_end),
        TEST(money_comes_back),
        TEST(pieces_are_taken_or_never),
        TEST(records_go),
        TEST(keys_go),
        TEST(replays_end),
        TEST(nothing_begins),
        TEST(everything_is_read),
    };
    return cmocka_run_group_tests_name("live full", tests, group_setup, group_teardown);
}
