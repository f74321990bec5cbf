/* The order library's calls. */
#include "test/lib/orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "checkout/checkout.h"
#include "saga/journal.h"
#include "saga/step.h"
#include "test/lib/story.h"

static struct args command;

static const char *key_of(const char *order)
{
    return text_of("order:order:%s", order);
}

const char *orders_create(struct rig *s, const char *id, const char *order, const char *user)
{
    return rig_ask(s, "FCALL", "order_create", "2", bucket_of("order", id), key_of(order), id,
                   user);
}

const char *orders_find(struct rig *s, const char *order)
{
    return rig_ask(s, "FCALL", "order_find", "2", "order:once:0", key_of(order), "-");
}

const char *orders_add(struct rig *s, const char *id, const char *order, const char *item,
                       const char *pieces, const char *cost)
{
    return rig_ask(s, "FCALL", "order_add", "2", bucket_of("order", id), key_of(order), id, item,
                   pieces, cost, text_of("%d", ORDERS_LINES_MAX));
}

const char *orders_init(struct rig *s, const char *id, int end, int items, int users,
                        const char *cost, int seed)
{
    return rig_ask(s, "FCALL", "order_init", "1", bucket_of("order", id), text_of("%s:0", id), "0",
                   text_of("%d", end), text_of("%d", items), text_of("%d", users), cost,
                   text_of("%d", seed));
}

const char *orders_at(struct rig *s, unsigned n, unsigned part)
{
    return journal_part(rig_at(s, n), part);
}

const char *orders_journal_at(struct rig *s, const char *order, unsigned part)
{
    assert_true(part >= RECORD_SAGA);
    return journal_part(rig_ask(s, "HGET", key_of(order), "journal"), part - RECORD_SAGA);
}

void orders_checkout_build(struct args *c, const char *request, const char *order)
{
    args_reset(c);
    library_call(c, &order_library, "order_checkout", 3);
    args_text(c, bucket_of("order", request));
    args_text(c, "order:open");
    args_text(c, "order:recent");
    args_int(c, 1000);
    args_int(c, ORDERS_LATE_MS);
    args_row_begins(c);
    args_text(c, request);
    args_text(c, order);
    args_text(c, "gw");
}

const char *orders_checkout(struct rig *s, const char *request, const char *order, int64_t now_ms)
{
    rig_clock(s, now_ms);
    orders_checkout_build(&command, request, order);
    rig_ask_command(s, &command, NULL, NULL);
    args_free(&command);
    return orders_at(s, 0, RECORD_OUTCOME);
}

const char *orders_move(struct rig *s, const char *order, const char *saga, const char *attempt,
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
    assert_int_equal(
        journal_advance(&checkout_definition.journal, &checkout_definition, &move, &command), 0);
    rig_clock(s, now_ms);
    rig_ask_command(s, &command, NULL, NULL);
    args_free(&command);
    return orders_at(s, 0, RECORD_OUTCOME);
}

void orders_with_line(struct rig *s, const char *order)
{
    orders_create(s, id_at(ORDERS_NOW_MS), order, "u");
    orders_add(s, id_at(ORDERS_NOW_MS), order, "i", "2", "10");
}

void orders_pay(struct rig *s, const char *order, const char *saga, const char *attempt)
{
    orders_move(s, order, saga, attempt, "CHARGING", "CANCELLING", "", ORDERS_NOW_MS + 5);
    assert_string_equal(
        orders_move(s, order, saga, attempt, "CANCELLING", "PAID", "", ORDERS_NOW_MS + 9), "moved");
}

void orders_fail(struct rig *s, const char *order, const char *saga, const char *attempt,
                 const char *reason)
{
    assert_string_equal(
        orders_move(s, order, saga, attempt, "CHARGING", "FAILED", reason, ORDERS_NOW_MS + 7),
        "moved");
}

unsigned orders_lease(struct rig *s, int64_t now_ms, int64_t limit)
{
    journal_lease(&checkout_definition.journal, limit, 1000, 5000, &command);
    rig_clock(s, now_ms);
    rig_ask_command(s, &command, NULL, NULL);
    args_free(&command);
    rig_skip(s, 1); /* what time it is */
    return rig_count(s);
}
