/* The audit on a real store: what Kassa's own functions leave is clean, in every state; and one
 * wrong number, record, journal or index entry is found and named with its saga and entity. What
 * was dropped: folded.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "audit/packed.h"
#include "idempotency/once.h"
#include "test/lib/audited.h"
#include "test/lib/orders.h"

extern const struct library payment_library, order_library;

/* What the functions leave is clean: ended, refused, refunded, open before and behind the charge.
 */
static void clean(void **state)
{
    (void)state;
    audited_make();
    audited_assert_clean();
    assert_non_null(strstr(audited.text.data, "sagas: 5, of these PAID 1, FAILED 2, open 2"));
}

/* An empty store is clean, too. */
static void empty(void **state)
{
    (void)state;
    rig_ask(audited.store, "FLUSHALL");
    audited_assert_clean();
}

/* C1 and C2: an amount that nothing explains. */
static void amounts(void **state)
{
    (void)state;
    audited_make();
    audited_plant("HINCRBY", "payment:user:user-0", "credit", "1");
    audited_assert_found("C1", "user user-0", NULL);
    assert_non_null(strstr(audited.text.data, "and funded: 101, should be 100"));
    audited_make();
    audited_plant("HINCRBY", "stock:item:item-0", "quantity", "-1");
    audited_assert_found("C1", "item item-0", NULL);
    assert_non_null(strstr(audited.text.data, "and added: 9, should be 10"));
    audited_make();
    audited_plant("HINCRBY", "payment:user:user-1", "credit", "-4");
    audited_plant("HINCRBY", "payment:user:user-1", "funded", "-4");
    audited_assert_found("C2", "user user-1", NULL);
    audited_make();
    audited_plant("DEL", "stock:item:item-0");
    audited_assert_found("C1", "item item-0", NULL);
}

/* C3: charged and not PAID, or PAID and not all of it. */
static void halves(void **state)
{
    (void)state;
    audited_make(); /* the refund is lost */
    audited_plant("HDEL", audited_bucket("payment", REFUNDED),
                  audited_command(REFUNDED, "charge-undo"));
    audited_plant("HINCRBY", "payment:user:user-0", "credit", "-5");
    audited_assert_found("C3", "user user-0", audited.saga[REFUNDED]);
    assert_non_null(strstr(audited.text.data, "charged and not refunded: 5, should be 0"));
    assert_null(strstr(audited.text.data, "C1    user"));
    audited_make(); /* PAID without the take */
    audited_plant("HDEL", audited_bucket("stock", PAID), audited_command(PAID, "take"));
    audited_plant("HINCRBY", "stock:item:item-0", "quantity", "2");
    audited_assert_found("C3", "item item-0", audited.saga[PAID]);
    assert_non_null(strstr(audited.text.data, "pieces taken: 0, should be 2"));
    audited_make(); /* PAID, and refunded */
    audited_refund(PAID, "user-0");
    audited_assert_found("C3", "user user-0", audited.saga[PAID]);
    audited_make(); /* FAILED, and taken after all */
    audited_take(REFUSED, "item-0", "1");
    audited_assert_found("C3", "item item-0", audited.saga[REFUSED]);
    audited_make(); /* another sum than the order's */
    audited_plant("HSET", text_of("order:order:%s", audited_order(PAID)), "total", "9");
    audited_assert_found("C3", "user user-0", audited.saga[PAID]);
    audited_make(); /* one piece too few */
    audited_plant("HSET", text_of("order:order:%s", audited_order(PAID)), "lines", "item-0*3");
    audited_assert_found("C3", "item item-0", audited.saga[PAID]);
    assert_non_null(strstr(audited.text.data, "2, should be 3"));
}

/* C3 of sagas that are open: their state allows some records and no others. */
static void open_sagas(void **state)
{
    (void)state;
    audited_make(); /* taken before it was charged */
    audited_take(CHARGING, "item-0", "1");
    audited_assert_found("C3", "item item-0", audited.saga[CHARGING]);
    audited_make(); /* refunded while it takes: a refund that a time limit decided */
    audited_refund(CHARGED, "user-0");
    audited_assert_found("C3", "user user-0", audited.saga[CHARGED]);
    audited_make(); /* charged, refused by stock, refunded: the journal is one step behind: fine */
    audited_take(CHARGED, "item-1", "1");
    audited_move(CHARGED, "CHARGING", "REFUNDING");
    audited_refund(CHARGED, "user-0");
    audited_assert_clean();
    audited_move(CHARGED, "REFUNDING", "STUCK");
    audited_assert_clean();
    assert_non_null(strstr(audited.text.data, text_of("STUCK saga %s", audited.saga[CHARGED])));
}

/* C5: one effect for each command, and a saga for each effect. */
static void effects(void **state)
{
    (void)state;
    audited_make(); /* the same take under two ids */
    audited_plant("FCALL", "stock_take", "1", audited_bucket("stock", PAID),
                  text_of("%s:2:take", audited.saga[PAID]), "item-0*2");
    audited_assert_found("C5", "item item-0", audited.saga[PAID]);
    audited_make(); /* a charge for a saga that never was */
    snprintf(audited.saga[PAID], sizeof(audited.saga[PAID]), "%s", id_at(audited.now_ms));
    audited_charge(PAID, "user-0", "1");
    audited_assert_found("C5", "user user-0", audited.saga[PAID]);
    audited_make(); /* a take for a saga that never was */
    snprintf(audited.saga[PAID], sizeof(audited.saga[PAID]), "%s", id_at(audited.now_ms));
    audited_take(PAID, "item-0", "1");
    audited_assert_found("C5", "item item-0", audited.saga[PAID]);
    audited_make(); /* an order's journal is lost */
    audited_plant("DEL", text_of("order:order:%s", audited_order(PAID)));
    audited_assert_found("C5", "user user-0", audited.saga[PAID]);
    audited_make(); /* a record in a bucket where no repeat would look */
    audited_plant("HSET", "payment:once:000000001", audited_command(PAID, "charge"),
                  "charged|user-0|10|");
    audited_assert_found("C5", "payment command", audited.saga[PAID]);
    audited_make(); /* a record that no function writes */
    audited_plant("HSET", audited_bucket("stock", PAID), audited_command(PAID, "take"),
                  "taken|item-0*x");
    audited_assert_found("C5", "stock command", audited.saga[PAID]);
    audited_make(); /* the once-record of the checkout is lost */
    audited_plant("HDEL", audited_bucket("order", PAID), audited.saga[PAID]);
    audited_assert_found("C5", "order order-0", audited.saga[PAID]);
}

/* The index of open sagas, both ways. */
static void index_orphans(void **state)
{
    (void)state;
    audited_make();
    audited_plant("ZADD", "order:open", "1", audited_order(PAID));
    audited_assert_found("open", text_of("order %s", audited_order(PAID)), audited.saga[PAID]);
    audited_make();
    audited_plant("ZADD", "order:open", "1", "nobody");
    audited_assert_found("open", "order nobody", NULL);
    audited_make();
    audited_plant("ZREM", "order:open", audited_order(CHARGED));
    audited_assert_found("open", text_of("order %s", audited_order(CHARGED)),
                         audited.saga[CHARGED]);
}

/* A bucket of records that is not in the index of its store: no sweep and no replay finds it. */
static void index_of_buckets(void **state)
{
    (void)state;
    for (int i = 0; i < AUDITED_SERVICES; i++) {
        audited_make();
        const char *name = strrchr(audited_bucket(audited_services[i], PAID), ':') + 1;
        audited_plant("ZREM", text_of("%s:buckets", audited_services[i]), name);
        audited_assert_found("C5", text_of("%s %s", audited_services[i], name), NULL);
        audited_plant("ZADD", text_of("%s:buckets", audited_services[i]), "1", name);
        audited_assert_clean();
    }
}

/* A saga that stays open keeps the floor behind itself: that is as it should be. One below it is
 * not, for nothing can be done about it any more. */
static void open_at_floor(void **state)
{
    (void)state;
    int64_t number;
    audited_make();
    number = once_bucket_number(audited.now_ms);
    audited_plant("SET", "payment:floor", text_of("%lld", (long long)number));
    audited_plant("SET", "order:floor", text_of("%lld", (long long)number));
    audited_assert_clean();
    audited_plant("SET", "payment:floor", text_of("%lld", (long long)number + 1));
    audited_assert_found("open", text_of("order %s", audited_order(CHARGING)),
                         audited.saga[CHARGING]);
}

/* A journal that is none, or a part of one, wherever it is cut off: it is named. */
static void journals(void **state)
{
    (void)state;
    static const char *const damaged[] = {"", "garbage", "|||||||||||"};
    const char *key = text_of("order:order:%s", audited_order(PAID));
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        audited_make();
        audited_plant("HSET", key, "journal", damaged[i]);
        audited_assert_found("C3", text_of("order %s", audited_order(PAID)), NULL);
    }
    audited_make();
    const char *whole = text_of("%s", rig_ask(audited.store, "HGET", key, "journal"));
    for (const char *bar = strchr(whole, '|'); bar != NULL; bar = strchr(bar + 1, '|')) {
        audited_plant("HSET", key, "journal", text_of("%.*s", (int)(bar - whole), whole));
        audited_assert_found("C3", text_of("order %s", audited_order(PAID)), NULL);
    }
    audited_make(); /* the story of one that failed and was followed by another */
    audited_plant("HSET", audited_bucket("order", REFUSED), audited.saga[REFUSED],
                  "ended|order-2|garbage");
    audited_assert_found("C5", "order command", audited.saga[REFUSED]);
}

/* A batch makes entities anew: what was taken from the earlier ones does not count, and a paid
 * order that is made anew leaves its records behind. */
static void batches(void **state)
{
    (void)state;
    rig_ask(audited.store, "FLUSHALL");
    for (int round = 0; round < 2; round++) {
        const char *id = id_at(audited.now_ms + round);
        rig_ask(audited.store, "FCALL", "payment_init", "1", bucket_of("payment", id),
                text_of("%s:0", id), "0", "2", "50", text_of("g%d", round));
        rig_ask(audited.store, "FCALL", "stock_init", "1", bucket_of("stock", id),
                text_of("%s:0", id), "0", "2", "50", "1", text_of("g%d", round));
        orders_init(audited.store, id, 1, 2, 2, "2", 7);
        snprintf(audited.saga[PAID], sizeof(audited.saga[PAID]), "%s", id);
        audited_assert_clean();
        const char *lines = text_of("%s", rig_ask(audited.store, "HGET", "order:order:0", "lines"));
        const char *user = text_of("%s", rig_ask(audited.store, "HGET", "order:order:0", "user"));
        orders_checkout(audited.store, audited.saga[PAID], "0", audited.now_ms);
        audited_charge(PAID, user, "2");
        rig_ask(audited.store, "FCALL", "stock_take", "1", audited_bucket("stock", PAID),
                audited_command(PAID, "take"), lines);
        orders_move(audited.store, "0", audited.saga[PAID], "1", "CHARGING", "PAID", "",
                    audited.now_ms);
        audited_assert_clean();
    }
    assert_non_null(strstr(audited.text.data, "of orders made anew by a batch 1"));
    audited_plant("HINCRBY", "stock:item:1", "quantity", "1"); /* of the new generation */
    audited_assert_found("C1", "item 1", NULL);
}

/* Records that are too old are folded into funded and added; before, within and after the sweep
 * the books balance. */
static void sweeping(void **state)
{
    (void)state;
    audited_make();
    char old[40], old_bucket[64]; /* the texts' ring is shorter than the loop */
    char cursor[24] = "0";
    int steps = 0;
    snprintf(old, sizeof(old), "%s", id_at(audited.now_ms - 9 * AUDITED_DAY_MS));
    snprintf(old_bucket, sizeof(old_bucket), "%s", bucket_of("payment", old));
    for (int n = 0; n < 300; n++) {
        rig_ask(audited.store, "FCALL", "payment_pay", "2", old_bucket, "payment:user:user-0",
                text_of("%.32s%04x", old, n), "user-0", n % 8 == 0 ? "1" : "99999");
        const char *fund = id_at(audited.now_ms);
        rig_ask(audited.store, "FCALL", "payment_fund", "2", bucket_of("payment", fund),
                "payment:user:user-0", fund, "1");
    }
    audited_assert_clean();
    for (;;) {
        static struct args c;
        args_reset(&c);
        once_sweep(&c, &payment_library, (struct once_life){8 * AUDITED_DAY_MS, 8 * AUDITED_DAY_MS},
                   "99999999999", "", 0, 20, cursor);
        rig_ask_command(audited.store, &c, NULL, NULL);
        if (rig_count(audited.store) < 2) {
            break;
        }
        snprintf(cursor, sizeof(cursor), "%s", rig_at(audited.store, 1));
        steps++;
        audited_assert_clean();
    }
    assert_true(steps > 0);
}

/* One paid order, of so long ago that it is packed. */
static void packed_make(void)
{
    static struct args c;
    const int64_t later_ms = audited.now_ms + 20 * AUDITED_DAY_MS;
    const char *id = id_at(audited.now_ms), *name;
    rig_ask(audited.store, "FLUSHALL");
    rig_ask(audited.store, "FCALL", "payment_create", "2", bucket_of("payment", id),
            "payment:user:user-0", id);
    rig_ask(audited.store, "FCALL", "stock_create", "2", bucket_of("stock", id),
            "stock:item:item-0", id, "5");
    id = id_at(audited.now_ms);
    rig_ask(audited.store, "FCALL", "payment_fund", "2", bucket_of("payment", id),
            "payment:user:user-0", id, "100");
    rig_ask(audited.store, "FCALL", "stock_add", "2", bucket_of("stock", id), "stock:item:item-0",
            id, "10");
    audited_begin(PAID, "user-0", "item-0", "2", "10");
    audited_charge(PAID, "user-0", "10");
    audited_take(PAID, "item-0", "2");
    audited_move(PAID, "CHARGING", "PAID");
    rig_ask(audited.store, "SET", "order:schema", "2|2");
    rig_clock(audited.store, later_ms);
    orders_create(audited.store, id_at(later_ms), "later", "user-0");
    for (int i = 0; i < 3; i++) {
        name = text_of("%s", i == 0 ? "" : rig_ask(audited.store, "GET", "order:clock"));
        args_reset(&c);
        once_sweep(&c, &order_library, (struct once_life){8 * AUDITED_DAY_MS, 8 * AUDITED_DAY_MS},
                   "99999999999", name, 400 * AUDITED_DAY_MS, 500, "0");
        rig_ask_command(audited.store, &c, NULL, NULL);
    }
    assert_string_equal(rig_ask(audited.store, "HGET", "order:paid", "orders"), "1");
}

/* Paid orders that are packed are read like all others: and each has its place, is there once, is
 * older than the records that are kept, and can be read. */
static void packed(void **state)
{
    (void)state;
    packed_make();
    audited_assert_clean();
    assert_non_null(strstr(audited.text.data, " 2 orders"));
    audited_plant("HSET", "order:paid:0", "=order-0", "garbage");
    audited_assert_found("C3", "order order-0", NULL);
    packed_make();
    audited_plant("HSET", "order:order:order-0", "user", "user-0", "total", "10", "lines",
                  "item-0*2");
    audited_assert_found("C3", "order order-0", NULL);
    assert_non_null(strstr(audited.text.data, "there twice"));
    packed_make();
    audited_plant("HSET", "order:paid", "buckets", "2");
    if (packed_bucket(SLICE_TEXT("=order-0"), 2) == 0) {
        audited_assert_clean();
        audited_plant("RENAME", "order:paid:0", "order:paid:1");
    }
    audited_assert_found("C3", "order order-0", audited.saga[PAID]);
    packed_make();
    audited_plant("RENAME", "order:paid:0", "order:paid:7");
    audited_assert_found("C3", "order 7", NULL);
    packed_make();
    audited_plant("DEL", "order:floor");
    audited_assert_found("C3", "order order-0", audited.saga[PAID]);
    assert_non_null(strstr(audited.text.data, "records of their saga are kept"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean),         cmocka_unit_test(empty),
        cmocka_unit_test(amounts),       cmocka_unit_test(halves),
        cmocka_unit_test(open_sagas),    cmocka_unit_test(effects),
        cmocka_unit_test(index_orphans), cmocka_unit_test(index_of_buckets),
        cmocka_unit_test(open_at_floor), cmocka_unit_test(journals),
        cmocka_unit_test(batches),       cmocka_unit_test(sweeping),
        cmocka_unit_test(packed),
    };
    return cmocka_run_group_tests_name("audit", tests, audited_setup, audited_teardown);
}
