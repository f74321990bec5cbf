/* The audit on a real store: what Kassa's own functions leave is clean, in every state; and one
 * wrong number, record, journal or index entry is found and named with its saga and entity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "audit/audit.h"
#include "audit/packed.h"
#include "idempotency/once.h"
#include "store/address.h"
#include "store/conf.h"
#include "test/lib/orders.h"
#include "test/lib/rig.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

extern const struct library payment_library;
extern const struct library stock_library;
extern const struct library order_library;

#define SERVICES 3
static const char *const services[SERVICES] = {"payment", "stock", "order"};
static const struct library *const libraries[SERVICES] = {&payment_library, &stock_library,
                                                          &order_library};

/* paid, refunded (out of stock), refused (no credit), begun, and charged (both open). */
enum { PAID, REFUNDED, REFUSED, CHARGING, CHARGED, SAGAS };

static struct {
    struct rig *store;
    char saga[SAGAS][40];
    int64_t now_ms; /* one for the whole run: a bucket of records lasts only four seconds */
    struct buf text;
} w;

static const char *order_of(int i)
{
    return text_of("order-%d", i);
}

static const char *command(int i, const char *step)
{
    return text_of("%s:1:%s", w.saga[i], step);
}

static const char *bucket(const char *service, int i)
{
    return bucket_of(service, w.saga[i]);
}

static void charge(int i, const char *user, const char *amount)
{
    rig_ask(w.store, "FCALL", "payment_charge", "1", bucket("payment", i), command(i, "charge"),
            user, amount);
}

static void take(int i, const char *item, const char *pieces)
{
    rig_ask(w.store, "FCALL", "stock_take", "1", bucket("stock", i), command(i, "take"),
            text_of("%s*%s", item, pieces));
}

static void refund(int i, const char *user)
{
    rig_ask(w.store, "FCALL", "payment_refund", "2", bucket("payment", i),
            text_of("payment:user:%s", user), command(i, "charge-undo"), command(i, "charge"));
}

static void move(int i, const char *from, const char *to)
{
    assert_string_equal(orders_move(w.store, order_of(i), w.saga[i], "1", from, to, "", w.now_ms),
                        "moved");
}

static void begin(int i, const char *user, const char *item, const char *pieces, const char *cost)
{
    const char *id = id_at(w.now_ms);
    snprintf(w.saga[i], sizeof(w.saga[i]), "%s", id_at(w.now_ms));
    orders_create(w.store, id, order_of(i), user);
    orders_add(w.store, id_at(w.now_ms), order_of(i), item, pieces, cost);
    orders_checkout(w.store, w.saga[i], order_of(i), w.now_ms);
}

/* Every kind of saga, as the functions leave it. */
static void world_make(void)
{
    rig_ask(w.store, "FLUSHALL");
    for (int n = 0; n < 2; n++) {
        const char *user = id_at(w.now_ms), *item = id_at(w.now_ms);
        rig_ask(w.store, "FCALL", "payment_create", "2", bucket_of("payment", user),
                text_of("payment:user:user-%d", n), user);
        rig_ask(w.store, "FCALL", "stock_create", "2", bucket_of("stock", item),
                text_of("stock:item:item-%d", n), item, "5");
    }
    const char *id = id_at(w.now_ms);
    rig_ask(w.store, "FCALL", "payment_fund", "2", bucket_of("payment", id), "payment:user:user-0",
            id, "100");
    rig_ask(w.store, "FCALL", "stock_add", "2", bucket_of("stock", id), "stock:item:item-0", id,
            "10");
    id = id_at(w.now_ms);
    rig_ask(w.store, "FCALL", "payment_pay", "2", bucket_of("payment", id), "payment:user:user-0",
            id, "user-0", "3");
    rig_ask(w.store, "FCALL", "stock_subtract", "2", bucket_of("stock", id), "stock:item:item-0",
            id, "item-0", "1");
    begin(PAID, "user-0", "item-0", "2", "10");
    charge(PAID, "user-0", "10");
    take(PAID, "item-0", "2");
    move(PAID, "CHARGING", "PAID");
    begin(REFUNDED, "user-0", "item-1", "1", "5");
    charge(REFUNDED, "user-0", "5");
    take(REFUNDED, "item-1", "1");
    move(REFUNDED, "CHARGING", "REFUNDING");
    refund(REFUNDED, "user-0");
    move(REFUNDED, "REFUNDING", "FAILED");
    begin(REFUSED, "user-1", "item-0", "1", "5");
    charge(REFUSED, "user-1", "5");
    move(REFUSED, "CHARGING", "FAILED");
    begin(CHARGING, "user-0", "item-0", "1", "5");
    begin(CHARGED, "user-0", "item-0", "1", "5");
    charge(CHARGED, "user-0", "5");
}

static enum audit_verdict audit(void)
{
    struct conf conf;
    struct buf sentence = {0};
    struct audit_options options = {0};
    assert_int_equal(conf_load(&conf, audit_tables, (conf_lookup *)getenv, &sentence), 0);
    buf_free(&sentence);
    for (const struct conf_table *const *table = audit_tables; *table != &store_conf_table;
         table++) {
        struct address_conf *address = conf_values(&conf, *table);
        snprintf(address->node, sizeof(address->node), "%s", rig_node(w.store));
    }
    ((struct store_conf *)conf_values(&conf, &store_conf_table))->redis_password[0] = '\0';
    buf_reset(&w.text);
    return audit_stores(&conf, &options, &w.text);
}

static void assert_clean(void)
{
    if (audit() != AUDIT_CLEAN) {
        fail_msg("%s", w.text.data);
    }
}

/* One finding names the check, the entity and (unless NULL) the saga. */
static void assert_found(const char *check, const char *entity, const char *saga)
{
    const char *begin = text_of("\n%-4s  %s", check, entity);
    assert_int_equal(audit(), AUDIT_VIOLATIONS);
    for (const char *at = w.text.data; (at = strstr(at, begin)) != NULL; at++) {
        size_t line = strcspn(at + 1, "\n");
        const char *named = saga ? strstr(at, saga) : at;
        if (named != NULL && named < at + 1 + line) {
            return;
        }
    }
    fail_msg("no %s of %s, saga %s, in:\n%s", check, entity, saga ? saga : "-", w.text.data);
}

#define plant(...) rig_ask(w.store, __VA_ARGS__)

/* What the functions leave is clean: ended, refused, refunded, open before and behind the charge.
 */
static void clean(void **state)
{
    (void)state;
    world_make();
    assert_clean();
    assert_non_null(strstr(w.text.data, "sagas: 5, of these PAID 1, FAILED 2, open 2"));
}

/* An empty store is clean, too. */
static void empty(void **state)
{
    (void)state;
    rig_ask(w.store, "FLUSHALL");
    assert_clean();
}

/* C1 and C2: an amount that nothing explains. */
static void amounts(void **state)
{
    (void)state;
    world_make();
    plant("HINCRBY", "payment:user:user-0", "credit", "1");
    assert_found("C1", "user user-0", NULL);
    assert_non_null(strstr(w.text.data, "and funded: 101, should be 100"));
    world_make();
    plant("HINCRBY", "stock:item:item-0", "quantity", "-1");
    assert_found("C1", "item item-0", NULL);
    assert_non_null(strstr(w.text.data, "and added: 9, should be 10"));
    world_make();
    plant("HINCRBY", "payment:user:user-1", "credit", "-4");
    plant("HINCRBY", "payment:user:user-1", "funded", "-4");
    assert_found("C2", "user user-1", NULL);
    world_make();
    plant("DEL", "stock:item:item-0");
    assert_found("C1", "item item-0", NULL);
}

/* C3: charged and not PAID, or PAID and not all of it. */
static void halves(void **state)
{
    (void)state;
    world_make(); /* the refund is lost */
    plant("HDEL", bucket("payment", REFUNDED), command(REFUNDED, "charge-undo"));
    plant("HINCRBY", "payment:user:user-0", "credit", "-5");
    assert_found("C3", "user user-0", w.saga[REFUNDED]);
    assert_non_null(strstr(w.text.data, "charged and not refunded: 5, should be 0"));
    assert_null(strstr(w.text.data, "C1    user"));
    world_make(); /* PAID without the take */
    plant("HDEL", bucket("stock", PAID), command(PAID, "take"));
    plant("HINCRBY", "stock:item:item-0", "quantity", "2");
    assert_found("C3", "item item-0", w.saga[PAID]);
    assert_non_null(strstr(w.text.data, "pieces taken: 0, should be 2"));
    world_make(); /* PAID, and refunded */
    refund(PAID, "user-0");
    assert_found("C3", "user user-0", w.saga[PAID]);
    world_make(); /* FAILED, and taken after all */
    take(REFUSED, "item-0", "1");
    assert_found("C3", "item item-0", w.saga[REFUSED]);
    world_make(); /* another sum than the order's */
    plant("HSET", text_of("order:order:%s", order_of(PAID)), "total", "9");
    assert_found("C3", "user user-0", w.saga[PAID]);
    world_make(); /* one piece too few */
    plant("HSET", text_of("order:order:%s", order_of(PAID)), "lines", "item-0*3");
    assert_found("C3", "item item-0", w.saga[PAID]);
    assert_non_null(strstr(w.text.data, "2, should be 3"));
}

/* C3 of sagas that are open: their state allows some records and no others. */
static void open_sagas(void **state)
{
    (void)state;
    world_make(); /* taken before it was charged */
    take(CHARGING, "item-0", "1");
    assert_found("C3", "item item-0", w.saga[CHARGING]);
    world_make(); /* refunded while it takes: a refund that a time limit decided */
    refund(CHARGED, "user-0");
    assert_found("C3", "user user-0", w.saga[CHARGED]);
    world_make(); /* charged, refused by stock, refunded: the journal is one step behind: fine */
    take(CHARGED, "item-1", "1");
    move(CHARGED, "CHARGING", "REFUNDING");
    refund(CHARGED, "user-0");
    assert_clean();
    move(CHARGED, "REFUNDING", "STUCK");
    assert_clean();
    assert_non_null(strstr(w.text.data, text_of("STUCK saga %s", w.saga[CHARGED])));
}

/* C5: one effect for each command, and a saga for each effect. */
static void effects(void **state)
{
    (void)state;
    world_make(); /* the same take under two ids */
    plant("FCALL", "stock_take", "1", bucket("stock", PAID), text_of("%s:2:take", w.saga[PAID]),
          "item-0*2");
    assert_found("C5", "item item-0", w.saga[PAID]);
    world_make(); /* a charge for a saga that never was */
    snprintf(w.saga[PAID], sizeof(w.saga[PAID]), "%s", id_at(w.now_ms));
    charge(PAID, "user-0", "1");
    assert_found("C5", "user user-0", w.saga[PAID]);
    world_make(); /* a take for a saga that never was */
    snprintf(w.saga[PAID], sizeof(w.saga[PAID]), "%s", id_at(w.now_ms));
    take(PAID, "item-0", "1");
    assert_found("C5", "item item-0", w.saga[PAID]);
    world_make(); /* an order's journal is lost */
    plant("DEL", text_of("order:order:%s", order_of(PAID)));
    assert_found("C5", "user user-0", w.saga[PAID]);
    world_make(); /* a record in a bucket where no repeat would look */
    plant("HSET", "payment:once:000000001", command(PAID, "charge"), "charged|user-0|10|");
    assert_found("C5", "payment command", w.saga[PAID]);
    world_make(); /* a record that no function writes */
    plant("HSET", bucket("stock", PAID), command(PAID, "take"), "taken|item-0*x");
    assert_found("C5", "stock command", w.saga[PAID]);
    world_make(); /* the once-record of the checkout is lost */
    plant("HDEL", bucket("order", PAID), w.saga[PAID]);
    assert_found("C5", "order order-0", w.saga[PAID]);
}

/* The index of open sagas, both ways. */
static void index_orphans(void **state)
{
    (void)state;
    world_make();
    plant("ZADD", "order:open", "1", order_of(PAID));
    assert_found("open", text_of("order %s", order_of(PAID)), w.saga[PAID]);
    world_make();
    plant("ZADD", "order:open", "1", "nobody");
    assert_found("open", "order nobody", NULL);
    world_make();
    plant("ZREM", "order:open", order_of(CHARGED));
    assert_found("open", text_of("order %s", order_of(CHARGED)), w.saga[CHARGED]);
}

/* A bucket of records that is not in the index of its store: no sweep and no replay finds it. */
static void index_of_buckets(void **state)
{
    (void)state;
    for (int i = 0; i < SERVICES; i++) {
        world_make();
        const char *name = strrchr(bucket(services[i], PAID), ':') + 1;
        plant("ZREM", text_of("%s:buckets", services[i]), name);
        assert_found("C5", text_of("%s %s", services[i], name), NULL);
        plant("ZADD", text_of("%s:buckets", services[i]), "1", name);
        assert_clean();
    }
}

/* A saga that stays open keeps the floor behind itself: that is as it should be. One below it is
 * not, for nothing can be done about it any more. */
static void open_at_floor(void **state)
{
    (void)state;
    int64_t number;
    world_make();
    number = once_bucket_number(w.now_ms);
    plant("SET", "payment:floor", text_of("%lld", (long long)number));
    plant("SET", "order:floor", text_of("%lld", (long long)number));
    assert_clean();
    plant("SET", "payment:floor", text_of("%lld", (long long)number + 1));
    assert_found("open", text_of("order %s", order_of(CHARGING)), w.saga[CHARGING]);
}

/* A journal that is none, or a part of one, wherever it is cut off: it is named. */
static void journals(void **state)
{
    (void)state;
    static const char *const damaged[] = {"", "garbage", "|||||||||||"};
    const char *key = text_of("order:order:%s", order_of(PAID));
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        world_make();
        plant("HSET", key, "journal", damaged[i]);
        assert_found("C3", text_of("order %s", order_of(PAID)), NULL);
    }
    world_make();
    const char *whole = text_of("%s", rig_ask(w.store, "HGET", key, "journal"));
    for (const char *bar = strchr(whole, '|'); bar != NULL; bar = strchr(bar + 1, '|')) {
        plant("HSET", key, "journal", text_of("%.*s", (int)(bar - whole), whole));
        assert_found("C3", text_of("order %s", order_of(PAID)), NULL);
    }
    world_make(); /* the story of one that failed and was followed by another */
    plant("HSET", bucket("order", REFUSED), w.saga[REFUSED], "ended|order-2|garbage");
    assert_found("C5", "order command", w.saga[REFUSED]);
}

/* A batch makes entities anew: what was taken from the earlier ones does not count, and a paid
 * order that is made anew leaves its records behind. */
static void batches(void **state)
{
    (void)state;
    rig_ask(w.store, "FLUSHALL");
    for (int round = 0; round < 2; round++) {
        const char *id = id_at(w.now_ms + round);
        rig_ask(w.store, "FCALL", "payment_init", "1", bucket_of("payment", id),
                text_of("%s:0", id), "0", "2", "50", text_of("g%d", round));
        rig_ask(w.store, "FCALL", "stock_init", "1", bucket_of("stock", id), text_of("%s:0", id),
                "0", "2", "50", "1", text_of("g%d", round));
        orders_init(w.store, id, 1, 2, 2, "2", 7);
        snprintf(w.saga[PAID], sizeof(w.saga[PAID]), "%s", id);
        assert_clean();
        const char *lines = text_of("%s", rig_ask(w.store, "HGET", "order:order:0", "lines"));
        const char *user = text_of("%s", rig_ask(w.store, "HGET", "order:order:0", "user"));
        orders_checkout(w.store, w.saga[PAID], "0", w.now_ms);
        charge(PAID, user, "2");
        rig_ask(w.store, "FCALL", "stock_take", "1", bucket("stock", PAID), command(PAID, "take"),
                lines);
        orders_move(w.store, "0", w.saga[PAID], "1", "CHARGING", "PAID", "", w.now_ms);
        assert_clean();
    }
    assert_non_null(strstr(w.text.data, "of orders made anew by a batch 1"));
    plant("HINCRBY", "stock:item:1", "quantity", "1"); /* of the new generation */
    assert_found("C1", "item 1", NULL);
}

/* Records that are too old are folded into funded and added; before, within and after the sweep
 * the books balance. */
static void sweeping(void **state)
{
    (void)state;
    world_make();
    char old[40], old_bucket[64]; /* the texts' ring is shorter than the loop */
    char cursor[24] = "0";
    int steps = 0;
    snprintf(old, sizeof(old), "%s", id_at(w.now_ms - 9 * DAY_MS));
    snprintf(old_bucket, sizeof(old_bucket), "%s", bucket_of("payment", old));
    for (int n = 0; n < 300; n++) {
        rig_ask(w.store, "FCALL", "payment_pay", "2", old_bucket, "payment:user:user-0",
                text_of("%.32s%04x", old, n), "user-0", n % 8 == 0 ? "1" : "99999");
        const char *fund = id_at(w.now_ms);
        rig_ask(w.store, "FCALL", "payment_fund", "2", bucket_of("payment", fund),
                "payment:user:user-0", fund, "1");
    }
    assert_clean();
    for (;;) {
        static struct args c;
        args_reset(&c);
        once_sweep(&c, &payment_library, (struct once_life){8 * DAY_MS, 8 * DAY_MS}, "99999999999",
                   "", 0, 20, cursor);
        rig_ask_command(w.store, &c, NULL, NULL);
        if (rig_count(w.store) < 2) {
            break;
        }
        snprintf(cursor, sizeof(cursor), "%s", rig_at(w.store, 1));
        steps++;
        assert_clean();
    }
    assert_true(steps > 0);
}

/* ---- what was dropped ---- */

/* Drops what a service has of more than eight days ago: all of it, or one step, from `cursor` on.
 * false: nothing is left. */
static bool sweep_step(int service, int64_t limit, char cursor[24])
{
    static struct args c;
    rig_clock(w.store, w.now_ms);
    args_reset(&c);
    once_sweep(&c, libraries[service], (struct once_life){8 * DAY_MS, 8 * DAY_MS}, "99999999999",
               "", 0, limit, cursor);
    rig_ask_command(w.store, &c, NULL, NULL);
    if (rig_count(w.store) < 2) {
        return false;
    }
    snprintf(cursor, 24, "%s", rig_at(w.store, 1));
    return true;
}

static void sweep_service(int service)
{
    char cursor[24] = "0";
    while (sweep_step(service, 500, cursor)) {
    }
}

static void sweep_all(void)
{
    for (int i = 0; i < SERVICES; i++) {
        sweep_service(i);
    }
}

/* The stores began empty, and their sweeps have been there since. */
static void sums_begin(void)
{
    for (int i = 0; i < SERVICES; i++) {
        plant("HSET", text_of("%s:folded", services[i]), "exact", "0");
    }
}

/* All of it happened nine days ago and has ended; a record of today, which the floor follows. */
static void world_make_old(void)
{
    w.now_ms -= 9 * DAY_MS;
    world_make();
    sums_begin();
    charge(CHARGING, "user-0", "5");
    for (int i = CHARGING; i <= CHARGED; i++) {
        take(i, "item-0", "1");
        move(i, "CHARGING", "PAID");
    }
    w.now_ms += 9 * DAY_MS;
    for (int i = 0; i < SERVICES; i++) {
        const char *id = id_at(w.now_ms);
        rig_ask(w.store, "FCALL", text_of("%s_create", services[i]), "2",
                bucket_of(services[i], id), "any", id, "1");
        plant("DEL", "any");
    }
}

/* A fault of ours: the store acts on a command whose record may have been dropped. */
static void without_floor(void (*act)(void))
{
    char floors[SERVICES][24];
    for (int i = 0; i < SERVICES; i++) {
        const char *key = text_of("%s:floor", services[i]);
        snprintf(floors[i], sizeof(floors[i]), "%s", rig_ask(w.store, "GET", key));
        plant("DEL", key);
    }
    act();
    for (int i = 0; i < SERVICES; i++) {
        plant("SET", text_of("%s:floor", services[i]), floors[i]);
    }
}

static void charge_again(void)
{
    charge(PAID, "user-0", "10");
}

static void take_again(void)
{
    take(CHARGED, "item-0", "1");
}

/* The same, after the order was refunded: nobody gives it back. */
static void charge_late(void)
{
    charge(REFUNDED, "user-0", "7");
}

/* What was charged or taken twice is seen after its records were dropped, and after both were. */
static void folded(void **state)
{
    (void)state;
    world_make_old();
    assert_clean();
    sweep_all();
    assert_string_equal(rig_ask(w.store, "ZCARD", "payment:buckets"), "1");
    assert_clean();
    assert_non_null(strstr(w.text.data, "folded         1  ok"));
    without_floor(charge_again);
    for (int round = 0; round < 2; round++, sweep_all()) {
        assert_found("folded", "sagas begun 20", NULL);
        assert_non_null(strstr(w.text.data, "and those PAID: 4, should be 3"));
        assert_non_null(strstr(w.text.data, "and those paid: 30, should be 20"));
        assert_non_null(strstr(w.text.data, "\n2 violations"));
    }
    world_make_old();
    sweep_all();
    without_floor(take_again);
    for (int round = 0; round < 2; round++, sweep_all()) {
        assert_found("folded", "sagas begun 20", NULL);
        assert_non_null(strstr(w.text.data, "of the paid orders: 5, should be 4"));
    }
    world_make_old();
    sweep_all();
    without_floor(charge_late);
    assert_found("folded", "sagas begun 20", NULL);
    sweep_all();
    assert_found("folded", "sagas begun 20", NULL);
    assert_non_null(strstr(w.text.data, "and those paid: 27, should be 20"));
}

/* While the sweep is at work nothing seems to be wrong, wherever in a bucket it is. */
static void folding(void **state)
{
    (void)state;
    char cursor[24] = "0";
    unsigned steps = 0;
    plant("CONFIG", "SET", "hash-max-listpack-entries", "0"); /* or a bucket goes in one step */
    world_make_old();
    assert_clean();
    for (int i = SERVICES - 1; i > 0; i--) {
        sweep_service(i);
        assert_clean();
    }
    while (sweep_step(0, 1, cursor)) {
        assert_clean();
        steps++;
    }
    plant("CONFIG", "SET", "hash-max-listpack-entries", "128");
    assert_true(steps > 4);
    assert_non_null(strstr(w.text.data, "folded         1  ok"));
}

/* Periods that are long over are merged, in one store earlier than in another. */
static void folded_merged(void **state)
{
    (void)state;
    world_make_old();
    sweep_all();
    long long period = once_bucket_number(w.now_ms - 9 * DAY_MS) / 64;
    const char *field = text_of("p%lld", period);
    const char *sums = text_of("%s", rig_ask(w.store, "HGET", "payment:folded", field));
    plant("HDEL", "payment:folded", field);
    plant("HSET", "payment:folded", text_of("c%lld", period / 256), sums);
    assert_clean();
    assert_non_null(strstr(w.text.data, "folded         1  ok"));
    plant("HSET", "payment:folded", text_of("c%lld", period / 256), "3|1|20|0|0"); /* other ids */
    assert_found("folded", "sagas begun 20", NULL);
    assert_non_null(strstr(w.text.data, "others than those PAID: 1, should be 0"));
}

/* What an earlier version has dropped it has not summed up: what is older than the sums is not held
 * against anybody, what is newer is. */
static void folded_since(void **state)
{
    (void)state;
    world_make_old();
    for (int i = 0; i < SERVICES; i++) {
        plant("DEL", text_of("%s:folded", services[i]));
    }
    plant("DEL", bucket("payment", PAID)); /* as that version dropped it: with the books kept */
    plant("ZREM", "payment:buckets", bucket("payment", PAID) + strlen("payment:once:"));
    plant("HINCRBY", "payment:user:user-0", "funded", "-23");
    sweep_all();
    assert_clean();
    assert_non_null(strstr(w.text.data, "folded         0  ok"));
    assert_true(strtoll(rig_ask(w.store, "HGET", "payment:folded", "exact"), NULL, 10) >
                once_bucket_number(w.now_ms));
}

static void order_paid(const char *id, const char *user, const char *lines)
{
    snprintf(w.saga[PAID], sizeof(w.saga[PAID]), "%s", id);
    orders_checkout(w.store, id, "0", w.now_ms);
    charge(PAID, user, "2");
    rig_ask(w.store, "FCALL", "stock_take", "1", bucket("stock", PAID), command(PAID, "take"),
            lines);
    orders_move(w.store, "0", id, "1", "CHARGING", "PAID", "", w.now_ms);
}

/* A batch makes a paid order anew, before its records are dropped and after that: it counts once.
 */
static void folded_batch(void **state)
{
    (void)state;
    for (int is_late = 0; is_late < 2; is_late++) {
        world_make_old();
        w.now_ms -= 9 * DAY_MS;
        const char *id = text_of("%s", id_at(w.now_ms));
        rig_ask(w.store, "FCALL", "payment_init", "1", bucket_of("payment", id),
                text_of("%s:0", id), "0", "2", "50", "g1");
        rig_ask(w.store, "FCALL", "stock_init", "1", bucket_of("stock", id), text_of("%s:0", id),
                "0", "2", "50", "1", "g1");
        orders_init(w.store, id, 1, 2, 2, "2", 7);
        const char *lines = text_of("%s", rig_ask(w.store, "HGET", "order:order:0", "lines"));
        const char *user = text_of("%s", rig_ask(w.store, "HGET", "order:order:0", "user"));
        order_paid(id_at(w.now_ms), user, lines);
        w.now_ms += 9 * DAY_MS;
        rig_clock(w.store, w.now_ms);
        if (is_late) {
            sweep_all();
        }
        orders_init(w.store, id_at(w.now_ms), 1, 2, 2, "2", 8);
        assert_clean();
        sweep_all();
        assert_clean();
        assert_non_null(strstr(w.text.data, "folded         1  ok"));
    }
}

/* The batch of an earlier version says nothing of what it has made anew: what the order has cost is
 * not known, but that it was one. */
static void folded_unknown(void **state)
{
    (void)state;
    world_make_old();
    plant("HDEL", text_of("order:order:%s", order_of(PAID)), "journal");
    sweep_all();
    assert_clean();
    without_floor(charge_again);
    assert_found("folded", "sagas begun 20", NULL);
}

/* What is swept while the audit reads is no violation: it reads again. */
static void overtaken(void **state)
{
    (void)state;
    world_make_old();
    rig_ask(w.store, "EVAL",
            "for n = 1, 50000 do redis.call('HSET', 'order:order:' .. n, 'user', 'user-0', "
            "'total', 0, 'lines', '') end",
            "0");
    rig_ask(w.store, "CONFIG", "RESETSTAT");
    pid_t sweeper = fork(); /* with the connection, which nobody here uses meanwhile */
    if (sweeper == 0) {
        while (strstr(rig_ask(w.store, "INFO", "commandstats"), "cmdstat_scan") == NULL) {
        }
        sweep_all();
        _exit(0);
    }
    int status = -1;
    assert_clean();
    assert_int_equal(waitpid(sweeper, &status, 0), sweeper);
    assert_int_equal(status, 0);
    assert_string_not_equal(rig_ask(w.store, "GET", "payment:floor"), "");
    assert_clean();
}

static int setup(void **state)
{
    (void)state;
    w.now_ms = (int64_t)time(NULL) * 1000;
    w.store = rig_new(&payment_library);
    rig_load(w.store, &stock_library);
    rig_load(w.store, &order_library);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&w.text);
    rig_free(w.store);
    return 0;
}

/* One paid order, of so long ago that it is packed. */
static void packed_make(void)
{
    static struct args c;
    const int64_t later_ms = w.now_ms + 20 * DAY_MS;
    const char *id = id_at(w.now_ms), *name;
    rig_ask(w.store, "FLUSHALL");
    rig_ask(w.store, "FCALL", "payment_create", "2", bucket_of("payment", id),
            "payment:user:user-0", id);
    rig_ask(w.store, "FCALL", "stock_create", "2", bucket_of("stock", id), "stock:item:item-0", id,
            "5");
    id = id_at(w.now_ms);
    rig_ask(w.store, "FCALL", "payment_fund", "2", bucket_of("payment", id), "payment:user:user-0",
            id, "100");
    rig_ask(w.store, "FCALL", "stock_add", "2", bucket_of("stock", id), "stock:item:item-0", id,
            "10");
    begin(PAID, "user-0", "item-0", "2", "10");
    charge(PAID, "user-0", "10");
    take(PAID, "item-0", "2");
    move(PAID, "CHARGING", "PAID");
    rig_ask(w.store, "SET", "order:schema", "2|2");
    rig_clock(w.store, later_ms);
    orders_create(w.store, id_at(later_ms), "later", "user-0");
    for (int i = 0; i < 3; i++) {
        name = text_of("%s", i == 0 ? "" : rig_ask(w.store, "GET", "order:clock"));
        args_reset(&c);
        once_sweep(&c, &order_library, (struct once_life){8 * DAY_MS, 8 * DAY_MS}, "99999999999",
                   name, 400 * DAY_MS, 500, "0");
        rig_ask_command(w.store, &c, NULL, NULL);
    }
    assert_string_equal(rig_ask(w.store, "HGET", "order:paid", "orders"), "1");
}

/* Paid orders that are packed are read like all others: and each has its place, is there once, is
 * older than the records that are kept, and can be read. */
static void packed(void **state)
{
    (void)state;
    packed_make();
    assert_clean();
    assert_non_null(strstr(w.text.data, " 2 orders"));
    plant("HSET", "order:paid:0", "=order-0", "garbage");
    assert_found("C3", "order order-0", NULL);
    packed_make();
    plant("HSET", "order:order:order-0", "user", "user-0", "total", "10", "lines", "item-0*2");
    assert_found("C3", "order order-0", NULL);
    assert_non_null(strstr(w.text.data, "there twice"));
    packed_make();
    plant("HSET", "order:paid", "buckets", "2");
    if (packed_bucket(SLICE_TEXT("=order-0"), 2) == 0) {
        assert_clean();
        plant("RENAME", "order:paid:0", "order:paid:1");
    }
    assert_found("C3", "order order-0", w.saga[PAID]);
    packed_make();
    plant("RENAME", "order:paid:0", "order:paid:7");
    assert_found("C3", "order 7", NULL);
    packed_make();
    plant("DEL", "order:floor");
    assert_found("C3", "order order-0", w.saga[PAID]);
    assert_non_null(strstr(w.text.data, "records of their saga are kept"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean),          cmocka_unit_test(empty),
        cmocka_unit_test(amounts),        cmocka_unit_test(halves),
        cmocka_unit_test(open_sagas),     cmocka_unit_test(effects),
        cmocka_unit_test(index_orphans),  cmocka_unit_test(index_of_buckets),
        cmocka_unit_test(open_at_floor),  cmocka_unit_test(journals),
        cmocka_unit_test(batches),        cmocka_unit_test(sweeping),
        cmocka_unit_test(folded),         cmocka_unit_test(folding),
        cmocka_unit_test(folded_since),   cmocka_unit_test(folded_batch),
        cmocka_unit_test(folded_unknown), cmocka_unit_test(folded_merged),
        cmocka_unit_test(packed),         cmocka_unit_test(overtaken),
    };
    return cmocka_run_group_tests_name("audit", tests, setup, teardown);
}
