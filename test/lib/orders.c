/* The order library's calls. */
#include "test/lib/orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "checkout/checkout.h"
#include "test/lib/story.h"

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

const char *orders_at(struct store *s, unsigned n, unsigned part)
{
    return journal_part(store_at(s, n), part);
}

const char *orders_journal_at(struct store *s, const char *order, unsigned part)
{
    assert_true(part >= RECORD_SAGA);
    return journal_part(store_ask(s, "HGET", key_of(order), "journal"), part - RECORD_SAGA);
}

void orders_checkout_build(struct redis_command *c, const char *request, const char *order)
{
    redis_command_reset(c);
    redis_function(c, &order_library, "order_checkout", 3);
    redis_arg_text(c, bucket_of("order", request));
    redis_arg_text(c, "order:open");
    redis_arg_text(c, "order:recent");
    redis_arg_int(c, 1000);
    redis_arg_int(c, ORDERS_LATE_MS);
    redis_arg_text(c, "CHARGING");
    redis_arg_text(c, "PAID");
    redis_arg_text(c, "FAILED");
    redis_row_begins(c);
    redis_arg_text(c, request);
    redis_arg_text(c, order);
    redis_arg_text(c, "gw");
}

const char *orders_checkout(struct store *s, const char *request, const char *order, int64_t now_ms)
{
    store_clock(s, now_ms);
    orders_checkout_build(&command, request, order);
    store_ask_command(s, &command, NULL, NULL);
    redis_command_free(&command);
    return orders_at(s, 0, RECORD_OUTCOME);
}

const char *orders_move(struct store *s, const char *order, const char *saga, const char *attempt,
                        const char *from, const char *to, const char *reason, int64_t now_ms)
{
    struct journal_move move = {
        .entity = slice_from(order),
        .saga = slice_from(saga),
        .attempt = slice_from(attempt),
        .reason = slice_from(reason),
        .resend_ms = 1000,
    };
    assert_true(saga_state_parse(&checkout_definition, slice_from(from), &move.from));
    assert_true(saga_state_parse(&checkout_definition, slice_from(to), &move.to));
    assert_int_equal(journal_advance(&checkout_journal, &checkout_definition, &move, &command), 0);
    store_clock(s, now_ms);
    store_ask_command(s, &command, NULL, NULL);
    redis_command_free(&command);
    return orders_at(s, 0, RECORD_OUTCOME);
}

unsigned orders_lease(struct store *s, int64_t now_ms, int64_t limit)
{
    journal_lease(&checkout_journal, limit, 1000, 5000, &command);
    store_clock(s, now_ms);
    store_ask_command(s, &command, NULL, NULL);
    redis_command_free(&command);
    store_skip(s, 1); /* what time it is */
    return store_count(s);
}
