/* The order library's calls. */
#include "test/lib/orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "order/checkout.h"

static struct redis_command command;

static const char *key_of(const char *order)
{
    return text_of("order:order:%s", order);
}

const char *orders_create(struct store *s, const char *id, const char *order, const char *user)
{
    return store_ask(s, "FCALL", "order_create", "2", bucket_of("order", id), key_of(order), id,
                     user);
}

const char *orders_find(struct store *s, const char *order)
{
    return store_ask(s, "FCALL", "order_find", "2", "order:once:0", key_of(order), "-", order,
                     "PAID");
}

const char *orders_add(struct store *s, const char *id, const char *order, const char *item,
                       const char *pieces, const char *cost)
{
    return store_ask(s, "FCALL", "order_add", "2", bucket_of("order", id), key_of(order), id, item,
                     pieces, cost, text_of("%d", ORDERS_LINES_MAX), "PAID", "FAILED");
}

const char *orders_init(struct store *s, const char *id, int end, int items, int users,
                        const char *cost, int seed)
{
    return store_ask(s, "FCALL", "order_init", "1", bucket_of("order", id), text_of("%s:0", id),
                     "0", text_of("%d", end), text_of("%d", items), text_of("%d", users), cost,
                     text_of("%d", seed), "PAID", "FAILED");
}

const char *orders_checkout(struct store *s, const char *request, const char *order, int64_t now_ms)
{
    return store_ask(s, "FCALL", "order_checkout", "4", bucket_of("order", request), key_of(order),
                     "order:open", "order:recent", request, order, text_of("gw/%s", request),
                     text_of("%lld", (long long)now_ms), text_of("%lld", (long long)now_ms + 1000),
                     "CHARGING", "PAID", "FAILED");
}

const char *orders_move(struct store *s, const char *order, const char *saga, const char *attempt,
                        const char *from, const char *to, const char *reason, int64_t now_ms)
{
    struct journal_move move = {
        .entity = slice_from(order),
        .saga = slice_from(saga),
        .attempt = slice_from(attempt),
        .reason = slice_from(reason),
        .now_ms = now_ms,
        .due_ms = now_ms + 1000,
    };
    assert_true(saga_state_parse(&checkout_definition, slice_from(from), &move.from));
    assert_true(saga_state_parse(&checkout_definition, slice_from(to), &move.to));
    assert_int_equal(journal_advance(&checkout_journal, &checkout_definition, &move, &command), 0);
    store_ask_command(s, &command, NULL, NULL);
    redis_command_free(&command);
    return store_at(s, 0);
}

unsigned orders_lease(struct store *s, int64_t now_ms, int64_t limit)
{
    journal_lease(&checkout_journal, now_ms, limit, 1000, 5000, &command);
    store_ask_command(s, &command, NULL, NULL);
    redis_command_free(&command);
    assert_int_equal(store_count(s) % RECORD_WIDTH, 0);
    return store_count(s) / RECORD_WIDTH;
}
