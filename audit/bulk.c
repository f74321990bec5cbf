/* The first reading, of everything, while the system may be at work.
 *
 *   SCAN order:*  -> journals            (before any record: an end is written after its effects)
 *   HGETALL of each bucket of paid orders (paid.c)
 *   SCAN stock:*, payment:* -> names of buckets, items, users
 *   HLEN, HSCAN of each bucket -> records
 *   HMGET of each item and user          (after the records) */
#include "audit/reading.h"
#include "catalogue/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idempotency/once.h"

#define SCAN_COUNT       "2000" /* keys of one step: the store is held for a few milliseconds */
#define RECORDS_COUNT    "1000"
#define CALLS_MAX        5000 /* out at once */
#define BUCKET_CALLS_MAX 64

struct scan {
    struct audit *audit;
    enum audit_store store;
};

struct entity_call {
    struct audit *audit;
    enum audit_store store;
    uint32_t entity;
};

/* ---- orders and their journals ---- */

void reading_fault(struct audit *a, const char *text, struct slice saga, struct slice order)
{
    struct fault fault = {.check = CHECK_C3, .text = text, .found = 1};
    report_add(&a->report, &fault, saga, order, "order", order);
}

void reading_enter_order(struct audit *a, uint32_t order, const struct record_journal *j)
{
    struct record_key key;
    bool is_read = record_key_parse(j->saga, &key);
    if (is_read && record_key_bucket(&key) >= a->keep_from) {
        struct book_saga *s = book_saga(&a->book, &key);
        s->order = order;
        is_read = saga_set_journal(s, j);
    }
    if (!is_read) {
        reading_fault(a, "journals that cannot be read", j->saga,
                      slice_from(book_entity_name(&a->book.orders, order)));
    }
}

static void on_order(void *ctx, int err, struct texts reply)
{
    struct entity_call *call = ctx;
    struct audit *a = call->audit;
    uint32_t order = call->entity;
    free(call);
    if (!reading_is_answer(a, err, reply) || texts_at(reply, 0).data == NULL) {
        return;
    }
    struct slice head[3];
    record_journal_cut(texts_at(reply, 0), head);
    const struct record_journal j = {
        head[0], head[1], head[2], texts_at(reply, 1), texts_at(reply, 2), texts_at(reply, 3)};
    reading_enter_order(a, order, &j);
}

static void order_read(struct audit *a, struct slice name)
{
    size_t before = a->book.orders.entity_count;
    uint32_t order = book_entity(&a->book.orders, name);
    if (order < before) {
        return; /* SCAN tells some keys twice */
    }
    struct entity_call *call = mem_new(sizeof(*call));
    char key[320];
    *call = (struct entity_call){a, STORE_ORDER, order};
    snprintf(key, sizeof(key), "%s%.*s", KEY.order_order, SLICE_ARG(name));
    reading_call(a, STORE_ORDER, on_order, call, "HMGET", key, "journal", "user", "total", "lines");
    reading_progress(a, "orders", 1);
}

/* ---- keys ---- */

static bool cut_prefix(struct slice *key, const char *prefix)
{
    size_t bytes = strlen(prefix);
    if (key->bytes < bytes || memcmp(key->data, prefix, bytes) != 0) {
        return false;
    }
    key->data += bytes;
    key->bytes -= bytes;
    return true;
}

static bool bucket_number(struct slice name, int64_t *ret_number)
{
    int64_t number = 0;
    for (size_t i = 0; i < name.bytes; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = memchr(digits, name.data[i], 16);
        if (digit == NULL) {
            return false;
        }
        number = number << 4 | (digit - digits);
    }
    *ret_number = number;
    return name.bytes == ONCE_BUCKET_TEXT_BYTES;
}

static void bucket_enter(struct audit *a, enum audit_store store, struct slice name)
{
    int64_t number;
    if (bucket_number(name, &number)) {
        bucket_at(a, store, number);
        return;
    }
    struct fault fault = {.check = CHECK_C5, .text = "buckets that are none of ours", .found = 1};
    report_add(&a->report, &fault, (struct slice){0}, (struct slice){0}, reading_prefix(store),
               name);
}

/* One of packed orders: it is read in its turn. */
static void paid_enter(struct audit *a, struct slice number)
{
    int64_t bucket;
    if (slice_int64(number, &bucket) && bucket >= 0 && (uint64_t)bucket >= a->paid_last) {
        a->paid_last = (uint64_t)bucket + 1;
    }
}

static void key_enter(struct audit *a, enum audit_store store, struct slice key)
{
    static const char *const entities[STORE_COUNT] = {
        [STORE_ORDER] = KEY.order_order,
        [STORE_STOCK] = KEY.stock_item,
        [STORE_PAYMENT] = KEY.payment_user,
    };
    struct slice record = key;
    if (cut_prefix(&record, reading_prefix(store)) && cut_prefix(&record, PART.once)) {
        bucket_enter(a, store, record);
    } else if (store == STORE_ORDER && cut_prefix(&key, KEY.order_paid_bucket)) {
        paid_enter(a, key);
    } else if (cut_prefix(&key, entities[store]) && store == STORE_ORDER) {
        order_read(a, key);
    } else if (store != STORE_ORDER && memchr(key.data, ':', key.bytes) == NULL) {
        book_entity(store == STORE_STOCK ? &a->book.items : &a->book.users, key);
        reading_progress(a, store == STORE_STOCK ? "items" : "users", 1);
    }
}

static void on_keys(void *ctx, int err, struct texts reply);

static void keys_step(struct scan *s, const char *cursor)
{
    char match[32];
    snprintf(match, sizeof(match), "%s:*", reading_prefix(s->store));
    reading_call(s->audit, s->store, on_keys, s, "SCAN", cursor, "MATCH", match, "COUNT",
                 SCAN_COUNT);
}

static void on_keys(void *ctx, int err, struct texts reply)
{
    struct scan *s = ctx;
    if (!reading_is_answer(s->audit, err, reply)) {
        return;
    }
    char cursor[24];
    unsigned count = reply.count;
    snprintf(cursor, sizeof(cursor), "%.*s", SLICE_ARG(texts_at(reply, 0)));
    for (unsigned i = 1; i < count; i++) {
        key_enter(s->audit, s->store, texts_at(reply, i));
    }
    if (strcmp(cursor, "0") != 0) {
        keys_step(s, cursor);
    }
}

/* A step's HMGETs are answered before the next step's keys: what is out stays bounded. */
static bool read_keys(struct audit *a, enum audit_store store)
{
    struct scan *s = reading_keep(a, sizeof(*s), NULL);
    *s = (struct scan){a, store};
    a->done = 0;
    keys_step(s, "0");
    return reading_wait(a, 0);
}

bool reading_orders(struct audit *a)
{
    return read_keys(a, STORE_ORDER) && reading_paid(a);
}

/* ---- records ---- */

struct bucket_call {
    struct audit *audit;
    enum audit_store store;
    struct bucket *bucket;
    char key[BUCKET_KEY_BYTES];
};

static void on_records(void *ctx, int err, struct texts reply);

static void records_step(struct bucket_call *call, const char *cursor)
{
    reading_call(call->audit, call->store, on_records, call, "HSCAN", call->key, cursor, "COUNT",
                 RECORDS_COUNT);
}

static void on_records(void *ctx, int err, struct texts reply)
{
    struct bucket_call *call = ctx;
    struct audit *a = call->audit;
    if (!reading_is_answer(a, err, reply)) {
        free(call);
        return;
    }
    unsigned count = reply.count;
    char cursor[24];
    snprintf(cursor, sizeof(cursor), "%.*s", SLICE_ARG(texts_at(reply, 0)));
    for (unsigned i = 1; i + 1 < count; i += 2) {
        reading_enter(a, call->store, call->bucket, texts_at(reply, i), texts_at(reply, i + 1));
    }
    reading_progress(a, "records", count / 2);
    if (strcmp(cursor, "0") != 0) {
        records_step(call, cursor);
    } else {
        free(call);
    }
}

/* Before its first step, which is next in the line. */
static void on_version(void *ctx, int err, struct texts reply)
{
    struct bucket_call *call = ctx;
    if (reading_is_answer(call->audit, err, reply)) {
        slice_int64(texts_at(reply, 0), &call->bucket->version);
        call->audit->report.stores[call->store].records += call->bucket->version;
    }
}

/* Old buckets are read at one instant, by snapshot_take. */
static bool read_records(struct audit *a, enum audit_store store)
{
    struct bucket *b, *next;
    HASH_ITER(hh, a->buckets[store], b, next)
    {
        if (b->is_old) {
            continue;
        }
        struct bucket_call *call = mem_new(sizeof(*call));
        *call = (struct bucket_call){.audit = a, .store = store, .bucket = b};
        bucket_key(store, b->number, call->key);
        reading_call(a, store, on_version, call, "HLEN", call->key);
        records_step(call, "0");
        if (!reading_wait(a, BUCKET_CALLS_MAX)) {
            return false;
        }
    }
    a->report.stores[store].buckets = HASH_COUNT(a->buckets[store]);
    return reading_wait(a, 0);
}

bool reading_records(struct audit *a)
{
    if (!read_keys(a, STORE_STOCK) || !read_keys(a, STORE_PAYMENT)) {
        return false;
    }
    a->done = 0;
    for (int store = 0; store < STORE_COUNT; store++) {
        if (!read_records(a, (enum audit_store)store)) {
            return false;
        }
    }
    return true;
}

/* ---- users and items ---- */

static void on_entity(void *ctx, int err, struct texts reply)
{
    struct entity_call *call = ctx;
    if (reading_is_answer(call->audit, err, reply)) {
        reading_enter_entity(call->audit, call->store, call->entity, reply, 0);
    }
    free(call);
}

static bool read_entities(struct audit *a, enum audit_store store)
{
    struct book_ledger *l = store == STORE_STOCK ? &a->book.items : &a->book.users;
    a->done = 0;
    for (uint32_t i = 0; i < l->entity_count; i++) {
        struct entity_call *call = mem_new(sizeof(*call));
        char key[320];
        *call = (struct entity_call){a, store, i};
        snprintf(key, sizeof(key), "%s%s", store == STORE_STOCK ? KEY.stock_item : KEY.payment_user,
                 book_entity_name(l, i));
        reading_call(a, store, on_entity, call, "HMGET", key,
                     store == STORE_STOCK ? "quantity" : "credit",
                     store == STORE_STOCK ? "added" : "funded", "gen");
        reading_progress(a, store == STORE_STOCK ? "items" : "users", 1);
        if (i % 256 == 0 && !reading_wait(a, CALLS_MAX)) {
            return false;
        }
    }
    a->report.stores[store].entities = (int64_t)l->entity_count;
    return reading_wait(a, 0);
}

bool reading_entities(struct audit *a)
{
    a->report.stores[STORE_ORDER].entities = (int64_t)a->book.orders.entity_count;
    return read_entities(a, STORE_STOCK) && read_entities(a, STORE_PAYMENT);
}
