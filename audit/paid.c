/* The orders that are paid for good and packed (order/paid.lua). They are read behind all others:
 * one that is packed meanwhile has been met in its own hash, or is met here. Buckets are read from
 * the first to the last; an order that a split moves goes to a later one. */
#include "audit/packed.h"
#include "audit/reading.h"
#include "catalogue/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BUCKETS_AT_ONCE 64

struct bucket_of_paid {
    struct audit *audit;
    uint64_t number;
    uint64_t buckets;          /* when it was asked for */
    struct packed_order order; /* scratch */
};

struct order_of_paid {
    struct audit *audit;
    uint32_t order;
};

static void on_buckets(void *ctx, int err, struct texts reply)
{
    struct audit *a = ctx;
    int64_t buckets;
    if (reading_is_answer(a, err, reply) && slice_int64(texts_at(reply, 0), &buckets) &&
        buckets > 0) {
        a->paid_buckets = (uint64_t)buckets;
    }
}

static bool buckets_count(struct audit *a)
{
    reading_call(a, STORE_ORDER, on_buckets, a, "HGET", KEY.order_paid, "buckets");
    return reading_wait(a, 0);
}

/* Is it packed, and has it a hash of its own at the same moment? */
static void on_twice(void *ctx, int err, struct texts reply)
{
    struct order_of_paid *o = ctx;
    struct audit *a = o->audit;
    struct slice name = slice_from(book_entity_name(&a->book.orders, o->order));
    if (reading_is_answer(a, err, reply) && slice_is(texts_at(reply, 0), "1") &&
        slice_is(texts_at(reply, 1), "1")) {
        reading_fault(a, "orders that are there twice", (struct slice){0}, name);
    }
    free(o);
}

static void twice_look(struct audit *a, uint32_t order, uint64_t bucket, struct slice name)
{
    struct order_of_paid *o = mem_new(sizeof(*o));
    char key[320];
    *o = (struct order_of_paid){a, order};
    reading_call(a, STORE_ORDER, NULL, NULL, "MULTI");
    snprintf(key, sizeof(key), "%s%s", KEY.order_order, book_entity_name(&a->book.orders, order));
    reading_call(a, STORE_ORDER, NULL, NULL, "EXISTS", key);
    snprintf(key, sizeof(key), "%s%" PRIu64, KEY.order_paid_bucket, bucket);
    args_reset(&a->call);
    args_text(&a->call, "HEXISTS");
    args_text(&a->call, key);
    args_add(&a->call, name); /* bytes, no text */
    store_call(a->stores[STORE_ORDER], &a->call, NULL, NULL);
    reading_call(a, STORE_ORDER, on_twice, o, "EXEC");
}

/* `buckets` grows while we read: it has to be where it belonged at some moment since. */
static bool is_placed(const struct audit *a, const struct bucket_of_paid *b, struct slice name)
{
    for (uint64_t buckets = b->buckets; buckets <= a->paid_buckets; buckets++) {
        if (packed_bucket(name, buckets) == b->number) {
            return true;
        }
    }
    return false;
}

static void order_enter(struct audit *a, struct bucket_of_paid *b, struct slice name,
                        struct slice value)
{
    struct packed_order *packed = &b->order;
    struct record_key saga;
    if (!packed_read(name, value, packed) || !record_key_parse(packed->saga, &saga)) {
        reading_fault(a, "packed orders that cannot be read", (struct slice){0}, packed->order);
        return;
    }
    size_t before = a->book.orders.entity_count;
    uint32_t order = book_entity(&a->book.orders, packed->order);
    if (order < before) {
        twice_look(a, order, b->number, name);
    }
    if (!is_placed(a, b, name)) {
        reading_fault(a, "packed orders where nobody looks for them", packed->saga, packed->order);
    }
    if (record_key_bucket(&saga) >= a->keep_from) {
        reading_fault(a, "orders packed while the records of their saga are kept", packed->saga,
                      packed->order);
    }
    const struct record_journal j = {packed->saga, packed->attempt, SLICE_TEXT("PAID"),
                                     packed->user, packed->total,   packed->lines};
    reading_enter_order(a, order, &j);
    reading_progress(a, "paid orders", 1);
}

static void on_bucket(void *ctx, int err, struct texts reply)
{
    struct bucket_of_paid *b = ctx;
    if (reading_is_answer(b->audit, err, reply)) {
        unsigned count = reply.count;
        for (unsigned i = 0; i + 1 < count; i += 2) {
            order_enter(b->audit, b, texts_at(reply, i), texts_at(reply, i + 1));
        }
    }
    buf_free(&b->order.texts);
    free(b);
}

static bool bucket_read(struct audit *a, uint64_t number)
{
    struct bucket_of_paid *b = mem_new(sizeof(*b));
    char key[64];
    *b = (struct bucket_of_paid){.audit = a, .number = number, .buckets = a->paid_buckets};
    snprintf(key, sizeof(key), "%s%" PRIu64, KEY.order_paid_bucket, number);
    reading_call(a, STORE_ORDER, on_bucket, b, "HGETALL", key);
    reading_call(a, STORE_ORDER, on_buckets, a, "HGET", KEY.order_paid, "buckets");
    return reading_wait(a, BUCKETS_AT_ONCE);
}

bool reading_paid(struct audit *a)
{
    bool is_well = buckets_count(a);
    for (uint64_t number = 0; is_well && number < a->paid_buckets; number++) {
        is_well = bucket_read(a, number);
        if (is_well && number + 1 == a->paid_buckets) {
            is_well = reading_wait(a, 0) && buckets_count(a);
        }
    }
    if (is_well && a->paid_last > a->paid_buckets) {
        char last[24];
        snprintf(last, sizeof(last), "%" PRIu64, a->paid_last - 1);
        reading_fault(a, "buckets of paid orders in which nobody looks", (struct slice){0},
                      slice_from(last));
    }
    return is_well && reading_wait(a, 0);
}
