/* Sagas of every kind, by the functions of the libraries, and what the audit says of them. */
#include "test/lib/audited.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/address.h"
#include "store/conf.h"
#include "test/lib/orders.h"

extern const struct library payment_library, stock_library, order_library;

const char *const audited_services[AUDITED_SERVICES] = {"payment", "stock", "order"};
const struct library *const audited_libraries[AUDITED_SERVICES] = {&payment_library, &stock_library,
                                                                   &order_library};

struct audited audited;

const char *audited_order(int i)
{
    return text_of("order-%d", i);
}

const char *audited_command(int i, const char *step)
{
    return text_of("%s:1:%s", audited.saga[i], step);
}

const char *audited_bucket(const char *service, int i)
{
    return bucket_of(service, audited.saga[i]);
}

void audited_charge(int i, const char *user, const char *amount)
{
    rig_ask(audited.store, "FCALL", "payment_charge", "1", audited_bucket("payment", i),
            audited_command(i, "charge"), user, amount);
}

void audited_take(int i, const char *item, const char *pieces)
{
    rig_ask(audited.store, "FCALL", "stock_take", "1", audited_bucket("stock", i),
            audited_command(i, "take"), text_of("%s*%s", item, pieces));
}

void audited_refund(int i, const char *user)
{
    rig_ask(audited.store, "FCALL", "payment_refund", "2", audited_bucket("payment", i),
            text_of("payment:user:%s", user), audited_command(i, "charge-undo"),
            audited_command(i, "charge"));
}

void audited_move(int i, const char *from, const char *to)
{
    assert_string_equal(orders_move(audited.store, audited_order(i), audited.saga[i], "1", from, to,
                                    "", audited.now_ms),
                        "moved");
}

void audited_begin(int i, const char *user, const char *item, const char *pieces, const char *cost)
{
    const char *id = id_at(audited.now_ms);
    snprintf(audited.saga[i], sizeof(audited.saga[i]), "%s", id_at(audited.now_ms));
    orders_create(audited.store, id, audited_order(i), user);
    orders_add(audited.store, id_at(audited.now_ms), audited_order(i), item, pieces, cost);
    orders_checkout(audited.store, audited.saga[i], audited_order(i), audited.now_ms);
}

void audited_make(void)
{
    rig_ask(audited.store, "FLUSHALL");
    for (int n = 0; n < 2; n++) {
        const char *user = id_at(audited.now_ms), *item = id_at(audited.now_ms);
        rig_ask(audited.store, "FCALL", "payment_create", "2", bucket_of("payment", user),
                text_of("payment:user:user-%d", n), user);
        rig_ask(audited.store, "FCALL", "stock_create", "2", bucket_of("stock", item),
                text_of("stock:item:item-%d", n), item, "5");
    }
    const char *id = id_at(audited.now_ms);
    rig_ask(audited.store, "FCALL", "payment_fund", "2", bucket_of("payment", id),
            "payment:user:user-0", id, "100");
    rig_ask(audited.store, "FCALL", "stock_add", "2", bucket_of("stock", id), "stock:item:item-0",
            id, "10");
    id = id_at(audited.now_ms);
    rig_ask(audited.store, "FCALL", "payment_pay", "2", bucket_of("payment", id),
            "payment:user:user-0", id, "user-0", "3");
    rig_ask(audited.store, "FCALL", "stock_subtract", "2", bucket_of("stock", id),
            "stock:item:item-0", id, "item-0", "1");
    audited_begin(PAID, "user-0", "item-0", "2", "10");
    audited_charge(PAID, "user-0", "10");
    audited_take(PAID, "item-0", "2");
    audited_move(PAID, "CHARGING", "PAID");
    audited_begin(REFUNDED, "user-0", "item-1", "1", "5");
    audited_charge(REFUNDED, "user-0", "5");
    audited_take(REFUNDED, "item-1", "1");
    audited_move(REFUNDED, "CHARGING", "REFUNDING");
    audited_refund(REFUNDED, "user-0");
    audited_move(REFUNDED, "REFUNDING", "FAILED");
    audited_begin(REFUSED, "user-1", "item-0", "1", "5");
    audited_charge(REFUSED, "user-1", "5");
    audited_move(REFUSED, "CHARGING", "FAILED");
    audited_begin(CHARGING, "user-0", "item-0", "1", "5");
    audited_begin(CHARGED, "user-0", "item-0", "1", "5");
    audited_charge(CHARGED, "user-0", "5");
}

enum audit_verdict audited_run(void)
{
    struct conf conf;
    struct buf sentence = {0};
    struct audit_options options = {0};
    assert_int_equal(conf_load(&conf, audit_tables, (conf_lookup *)getenv, &sentence), 0);
    buf_free(&sentence);
    for (const struct conf_table *const *table = audit_tables; *table != &store_conf_table;
         table++) {
        struct address_conf *address = conf_values(&conf, *table);
        snprintf(address->node, sizeof(address->node), "%s", rig_node(audited.store));
    }
    ((struct store_conf *)conf_values(&conf, &store_conf_table))->redis_password[0] = '\0';
    buf_reset(&audited.text);
    return audit_stores(&conf, &options, &audited.text);
}

void audited_assert_clean(void)
{
    if (audited_run() != AUDIT_CLEAN) {
        fail_msg("%s", audited.text.data);
    }
}

void audited_assert_found(const char *check, const char *entity, const char *saga)
{
    const char *begin = text_of("\n%-4s  %s", check, entity);
    assert_int_equal(audited_run(), AUDIT_VIOLATIONS);
    for (const char *at = audited.text.data; (at = strstr(at, begin)) != NULL; at++) {
        size_t line = strcspn(at + 1, "\n");
        const char *named = saga ? strstr(at, saga) : at;
        if (named != NULL && named < at + 1 + line) {
            return;
        }
    }
    fail_msg("no %s of %s, saga %s, in:\n%s", check, entity, saga ? saga : "-", audited.text.data);
}

int audited_setup(void **state)
{
    (void)state;
    audited.now_ms = (int64_t)time(NULL) * 1000;
    audited.store = rig_new(&payment_library);
    rig_load(audited.store, &stock_library);
    rig_load(audited.store, &order_library);
    return 0;
}

int audited_teardown(void **state)
{
    (void)state;
    buf_free(&audited.text);
    rig_free(audited.store);
    return 0;
}
