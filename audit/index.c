/* The index of open sagas: each of its orders has a journal that is open. (That each open journal
 * is in the index, look.c has seen.) And that of buckets: each one with records is in it, or no
 * replay and no sweep would ever find them. Both are in one store, so one instant shows it. */
#include "audit/reading.h"
#include "catalogue/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_AT_ONCE 256 /* calls */

struct member {
    struct audit *audit;
    char *order;
};

static void on_member(void *ctx, int err, struct texts reply)
{
    struct member *m = ctx;
    struct audit *a = m->audit;
    struct slice order = slice_from(m->order);
    if (reading_is_answer(a, err, reply) && reply.count == 2 && texts_at(reply, 1).data != NULL) {
        struct slice head[3];
        record_journal_cut(texts_at(reply, 0), head);
        struct slice saga = head[0], state = head[2];
        struct fault fault = {.check = CHECK_OPEN, .found = 1};
        struct record_key key;
        if (!record_state_is_open(record_state_parse(state))) {
            fault.text = "entries of the index without an open journal";
            report_add(&a->report, &fault, saga, order, "order", order);
        } else if (record_key_parse(saga, &key) && record_key_bucket(&key) < a->floor) {
            fault.text = "sagas still open though their records are too old to act on";
            report_add(&a->report, &fault, saga, order, "order", order);
        }
    }
    free(m->order);
    free(m);
}

static void member_look(struct audit *a, const char *order)
{
    struct member *m = mem_new(sizeof(*m));
    char key[320];
    *m = (struct member){a, mem_text(slice_from(order))};
    snprintf(key, sizeof(key), "%s%s", KEY.order_order, order);
    reading_call(a, STORE_ORDER, NULL, NULL, "MULTI");
    reading_call(a, STORE_ORDER, NULL, NULL, "HGET", key, "journal");
    reading_call(a, STORE_ORDER, NULL, NULL, "ZSCORE", KEY.order_open, order);
    reading_call(a, STORE_ORDER, on_member, m, "EXEC");
}

static void on_index(void *ctx, int err, struct texts reply)
{
    struct audit *a = ctx;
    if (!reading_is_answer(a, err, reply)) {
        return;
    }
    unsigned count = reply.count;
    a->report.checked[CHECK_OPEN] += count;
    for (unsigned i = 0; i < count; i++) {
        char *order = mem_text(texts_at(reply, i));
        member_look(a, order);
        free(order);
    }
}

bool look_at_index(struct audit *a)
{
    a->report.checked[CHECK_OPEN] = a->report.open;
    reading_call(a, STORE_ORDER, on_index, a, "ZRANGE", KEY.order_open, "0", "-1");
    return reading_wait(a, 0);
}

struct named {
    struct audit *audit;
    enum audit_store store;
    int64_t number;
};

static void on_named(void *ctx, int err, struct texts reply)
{
    struct named *n = ctx;
    int64_t records;
    if (reading_is_answer(n->audit, err, reply) && slice_int64(texts_at(reply, 0), &records) &&
        records > 0 && texts_at(reply, 1).data == NULL) {
        char key[BUCKET_KEY_BYTES];
        const struct fault fault = {
            .check = CHECK_C5, .text = "buckets of records that are in no index", .found = 1};
        bucket_key(n->store, n->number, key);
        report_add(&n->audit->report, &fault, (struct slice){0}, (struct slice){0},
                   reading_prefix(n->store), slice_from(strrchr(key, ':') + 1));
    }
    free(n);
}

static void bucket_look(struct audit *a, enum audit_store store, int64_t number)
{
    struct named *n = mem_new(sizeof(*n));
    char key[BUCKET_KEY_BYTES], index[32];
    *n = (struct named){a, store, number};
    bucket_key(store, number, key);
    snprintf(index, sizeof(index), "%s%s", reading_prefix(store), PART.buckets);
    reading_call(a, store, NULL, NULL, "MULTI");
    reading_call(a, store, NULL, NULL, "HLEN", key);
    reading_call(a, store, NULL, NULL, "ZSCORE", index, strrchr(key, ':') + 1);
    reading_call(a, store, on_named, n, "EXEC");
}

bool look_at_buckets(struct audit *a)
{
    struct bucket *b, *next;
    for (int store = 0; store < STORE_COUNT; store++) {
        HASH_ITER(hh, a->buckets[store], b, next)
        {
            bucket_look(a, (enum audit_store)store, b->number);
            if (!reading_wait(a, BUCKETS_AT_ONCE)) {
                return false;
            }
        }
    }
    return reading_wait(a, 0);
}
