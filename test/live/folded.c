/* The audit on a real store, of sagas whose records were dropped: by the sums that are left of
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "idempotency/once.h"
#include "test/lib/audited.h"
#include "test/lib/orders.h"

/* Drops what a service has of more than eight days ago: all of it, or one step, from `cursor` on.
 * false: nothing is left. */
static bool sweep_step(int service, int64_t limit, char cursor[24])
{
    static struct args c;
    rig_clock(audited.store, audited.now_ms);
    args_reset(&c);
    once_sweep(&c, audited_libraries[service],
               (struct once_life){8 * AUDITED_DAY_MS, 8 * AUDITED_DAY_MS}, "99999999999", "", 0,
               limit, cursor);
    rig_ask_command(audited.store, &c, NULL, NULL);
    if (rig_count(audited.store) < 2) {
        return false;
    }
    snprintf(cursor, 24, "%s", rig_at(audited.store, 1));
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
    for (int i = 0; i < AUDITED_SERVICES; i++) {
        sweep_service(i);
    }
}

/* The stores began empty, and their sweeps have been there since. */
static void sums_begin(void)
{
    for (int i = 0; i < AUDITED_SERVICES; i++) {
        audited_plant("HSET", text_of("%s:folded", audited_services[i]), "exact", "0");
    }
}

/* All of it happened nine days ago and has ended; a record of today, which the floor follows. */
static void world_make_old(void)
{
    audited.now_ms -= 9 * AUDITED_DAY_MS;
    audited_make();
    sums_begin();
    audited_charge(CHARGING, "user-0", "5");
    for (int i = CHARGING; i <= CHARGED; i++) {
        audited_take(i, "item-0", "1");
        audited_move(i, "CHARGING", "PAID");
    }
    audited.now_ms += 9 * AUDITED_DAY_MS;
    for (int i = 0; i < AUDITED_SERVICES; i++) {
        const char *id = id_at(audited.now_ms);
        rig_ask(audited.store, "FCALL", text_of("%s_create", audited_services[i]), "2",
                bucket_of(audited_services[i], id), "any", id, "1");
        audited_plant("DEL", "any");
    }
}

/* A fault of ours: the store acts on a command whose record may have been dropped. */
static void without_floor(void (*act)(void))
{
    char floors[AUDITED_SERVICES][24];
    for (int i = 0; i < AUDITED_SERVICES; i++) {
        const char *key = text_of("%s:floor", audited_services[i]);
        snprintf(floors[i], sizeof(floors[i]), "%s", rig_ask(audited.store, "GET", key));
        audited_plant("DEL", key);
    }
    act();
    for (int i = 0; i < AUDITED_SERVICES; i++) {
        audited_plant("SET", text_of("%s:floor", audited_services[i]), floors[i]);
    }
}

static void charge_again(void)
{
    audited_charge(PAID, "user-0", "10");
}

static void take_again(void)
{
    audited_take(CHARGED, "item-0", "1");
}

/* The same, after the order was refunded: nobody gives it back. */
static void charge_late(void)
{
    audited_charge(REFUNDED, "user-0", "7");
}

/* What was charged or taken twice is seen after its records were dropped, and after both were. */
static void folded(void **state)
{
    (void)state;
    world_make_old();
    audited_assert_clean();
    sweep_all();
    assert_string_equal(rig_ask(audited.store, "ZCARD", "payment:buckets"), "1");
    audited_assert_clean();
    assert_non_null(strstr(audited.text.data, "folded         1  ok"));
    without_floor(charge_again);
    for (int round = 0; round < 2; round++, sweep_all()) {
        audited_assert_found("folded", "sagas begun 20", NULL);
        assert_non_null(strstr(audited.text.data, "and those PAID: 4, should be 3"));
        assert_non_null(strstr(audited.text.data, "and those paid: 30, should be 20"));
        assert_non_null(strstr(audited.text.data, "\n2 violations"));
    }
    world_make_old();
    sweep_all();
    without_floor(take_again);
    for (int round = 0; round < 2; round++, sweep_all()) {
        audited_assert_found("folded", "sagas begun 20", NULL);
        assert_non_null(strstr(audited.text.data, "of the paid orders: 5, should be 4"));
    }
    world_make_old();
    sweep_all();
    without_floor(charge_late);
    audited_assert_found("folded", "sagas begun 20", NULL);
    sweep_all();
    audited_assert_found("folded", "sagas begun 20", NULL);
    assert_non_null(strstr(audited.text.data, "and those paid: 27, should be 20"));
}

/* While the sweep is at work nothing seems to be wrong, wherever in a bucket it is. */
static void folding(void **state)
{
    (void)state;
    char cursor[24] = "0";
    unsigned steps = 0;
    audited_plant("CONFIG", "SET", "hash-max-listpack-entries",
                  "0"); /* or a bucket goes in one step */
    world_make_old();
    audited_assert_clean();
    for (int i = AUDITED_SERVICES - 1; i > 0; i--) {
        sweep_service(i);
        audited_assert_clean();
    }
    while (sweep_step(0, 1, cursor)) {
        audited_assert_clean();
        steps++;
    }
    audited_plant("CONFIG", "SET", "hash-max-listpack-entries", "128");
    assert_true(steps > 4);
    assert_non_null(strstr(audited.text.data, "folded         1  ok"));
}

/* Periods that are long over are merged, in one store earlier than in another. */
static void folded_merged(void **state)
{
    (void)state;
    world_make_old();
    sweep_all();
    long long period = once_bucket_number(audited.now_ms - 9 * AUDITED_DAY_MS) / 64;
    const char *field = text_of("p%lld", period);
    const char *sums = text_of("%s", rig_ask(audited.store, "HGET", "payment:folded", field));
    audited_plant("HDEL", "payment:folded", field);
    audited_plant("HSET", "payment:folded", text_of("c%lld", period / 256), sums);
    audited_assert_clean();
    assert_non_null(strstr(audited.text.data, "folded         1  ok"));
    audited_plant("HSET", "payment:folded", text_of("c%lld", period / 256),
                  "3|1|20|0|0"); /* other ids */
    audited_assert_found("folded", "sagas begun 20", NULL);
    assert_non_null(strstr(audited.text.data, "others than those PAID: 1, should be 0"));
}

/* What an earlier version has dropped it has not summed up: what is older than the sums is not held
 * against anybody, what is newer is. */
static void folded_since(void **state)
{
    (void)state;
    world_make_old();
    for (int i = 0; i < AUDITED_SERVICES; i++) {
        audited_plant("DEL", text_of("%s:folded", audited_services[i]));
    }
    audited_plant(
        "DEL",
        audited_bucket("payment", PAID)); /* as that version dropped it: with the books kept */
    audited_plant("ZREM", "payment:buckets",
                  audited_bucket("payment", PAID) + strlen("payment:once:"));
    audited_plant("HINCRBY", "payment:user:user-0", "funded", "-23");
    sweep_all();
    audited_assert_clean();
    assert_non_null(strstr(audited.text.data, "folded         0  ok"));
    assert_true(strtoll(rig_ask(audited.store, "HGET", "payment:folded", "exact"), NULL, 10) >
                once_bucket_number(audited.now_ms));
}

static void order_paid(const char *id, const char *user, const char *lines)
{
    snprintf(audited.saga[PAID], sizeof(audited.saga[PAID]), "%s", id);
    orders_checkout(audited.store, id, "0", audited.now_ms);
    audited_charge(PAID, user, "2");
    rig_ask(audited.store, "FCALL", "stock_take", "1", audited_bucket("stock", PAID),
            audited_command(PAID, "take"), lines);
    orders_move(audited.store, "0", id, "1", "CHARGING", "PAID", "", audited.now_ms);
}

/* A batch makes a paid order anew, before its records are dropped and after that: it counts once.
 */
static void folded_batch(void **state)
{
    (void)state;
    for (int is_late = 0; is_late < 2; is_late++) {
        world_make_old();
        audited.now_ms -= 9 * AUDITED_DAY_MS;
        const char *id = text_of("%s", id_at(audited.now_ms));
        rig_ask(audited.store, "FCALL", "payment_init", "1", bucket_of("payment", id),
                text_of("%s:0", id), "0", "2", "50", "g1");
        rig_ask(audited.store, "FCALL", "stock_init", "1", bucket_of("stock", id),
                text_of("%s:0", id), "0", "2", "50", "1", "g1");
        orders_init(audited.store, id, 1, 2, 2, "2", 7);
        const char *lines = text_of("%s", rig_ask(audited.store, "HGET", "order:order:0", "lines"));
        const char *user = text_of("%s", rig_ask(audited.store, "HGET", "order:order:0", "user"));
        order_paid(id_at(audited.now_ms), user, lines);
        audited.now_ms += 9 * AUDITED_DAY_MS;
        rig_clock(audited.store, audited.now_ms);
        if (is_late) {
            sweep_all();
        }
        orders_init(audited.store, id_at(audited.now_ms), 1, 2, 2, "2", 8);
        audited_assert_clean();
        sweep_all();
        audited_assert_clean();
        assert_non_null(strstr(audited.text.data, "folded         1  ok"));
    }
}

/* The batch of an earlier version says nothing of what it has made anew: what the order has cost is
 * not known, but that it was one. */
static void folded_unknown(void **state)
{
    (void)state;
    world_make_old();
    audited_plant("HDEL", text_of("order:order:%s", audited_order(PAID)), "journal");
    sweep_all();
    audited_assert_clean();
    without_floor(charge_again);
    audited_assert_found("folded", "sagas begun 20", NULL);
}

/* What is swept while the audit reads is no violation: it reads again. */
static void overtaken(void **state)
{
    (void)state;
    world_make_old();
    rig_ask(audited.store, "EVAL",
            "for n = 1, 50000 do redis.call('HSET', 'order:order:' .. n, 'user', 'user-0', "
            "'total', 0, 'lines', '') end",
            "0");
    rig_ask(audited.store, "CONFIG", "RESETSTAT");
    pid_t sweeper = fork(); /* with the connection, which nobody here uses meanwhile */
    if (sweeper == 0) {
        while (strstr(rig_ask(audited.store, "INFO", "commandstats"), "cmdstat_scan") == NULL) {
        }
        sweep_all();
        _exit(0);
    }
    int status = -1;
    audited_assert_clean();
    assert_int_equal(waitpid(sweeper, &status, 0), sweeper);
    assert_int_equal(status, 0);
    assert_string_not_equal(rig_ask(audited.store, "GET", "payment:floor"), "");
    audited_assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded),         cmocka_unit_test(folding),
        cmocka_unit_test(folded_since),   cmocka_unit_test(folded_batch),
        cmocka_unit_test(folded_unknown), cmocka_unit_test(folded_merged),
        cmocka_unit_test(overtaken),
    };
    return cmocka_run_group_tests_name("folded", tests, audited_setup, audited_teardown);
}
