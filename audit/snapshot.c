/* C1 exactly, while the system runs: credit (or pieces) of what is in question, read at one
 * instant together with every record that existed at that instant.
 *
 *   versions of all buckets --> which have changed --> MULTI, these buckets, the entities, EXEC
 *        ^                                                            |
 *        '--- one of the other buckets has changed meanwhile: again --'--> same versions: decided
 *
 * In question is whom the first reading does not explain, and whoever has a record that came after
 * its bucket was read. All others are proved by the first reading: between the reading of their
 * records and that of their credit nothing was added.
 * Records that the sweep drops are taken off `funded` in the same call: so buckets that are so old
 * are read anew, all together, whenever one of them has changed. */
#include "audit/reading.h"
#include "catalogue/names.h"

#include <stdio.h>
#include <stdlib.h>

#include "idempotency/once.h"

#define ENTITIES_MAX    10000 /* of one instant */
#define OLD_RECORDS_MAX 50000 /* of one instant; more than that waits for the sweep to get on */
#define CALLS_MAX       5000
#define RECENT_BUCKETS  150 /* ten minutes: a bucket's name may be registered after its records */
#define PAUSE_MS        20

struct snapshot {
    struct audit *audit;
    enum audit_store store;
    struct book_ledger *ledger;
    uint32_t entity_count; /* that the first reading knows */
    uint32_t *suspects;
    size_t suspect_count, asked; /* at this instant: the last `asked` */
    struct bucket **changed;
    size_t changed_count;
    bool has_old; /* one of the changed is old, so all old ones are among them */
    bool is_read;
    uint32_t instant; /* counts them */
    struct loop_timer *pause;
};

/* ---- versions ---- */

static void on_names(void *ctx, int err, struct texts reply)
{
    struct snapshot *s = ctx;
    int64_t number;
    if (!reading_is_answer(s->audit, err, reply)) {
        return;
    }
    for (unsigned i = 0; i + 1 < reply.count; i += 2) {
        if (slice_int64(texts_at(reply, i + 1), &number) && number >= 0) {
            bucket_at(s->audit, s->store, number);
        }
    }
}

struct length_call {
    struct audit *audit;
    struct bucket *bucket;
};

static void on_length(void *ctx, int err, struct texts reply)
{
    struct length_call *call = ctx;
    if (reading_is_answer(call->audit, err, reply)) {
        slice_int64(texts_at(reply, 0), &call->bucket->now);
    }
    free(call);
}

/* How many records each bucket has now. */
static bool lengths_read(struct snapshot *s)
{
    struct audit *a = s->audit;
    struct bucket *b, *next;
    char names[32], key[BUCKET_KEY_BYTES];
    snprintf(names, sizeof(names), "%s%s", reading_prefix(s->store), PART.buckets);
    reading_call(a, s->store, on_names, s, "ZRANGE", names, "0", "-1", "WITHSCORES");
    if (!reading_wait(a, 0)) {
        return false;
    }
    int64_t newest = once_bucket_number(store_wall_ms(a->stores[s->store])) + 1;
    for (int64_t n = newest - RECENT_BUCKETS; n <= newest; n++) {
        bucket_at(a, s->store, n);
    }
    HASH_ITER(hh, a->buckets[s->store], b, next)
    {
        struct length_call *call = mem_new(sizeof(*call));
        *call = (struct length_call){a, b};
        bucket_key(s->store, b->number, key);
        reading_call(a, s->store, on_length, call, "HLEN", key);
        if (!reading_wait(a, CALLS_MAX)) {
            return false;
        }
    }
    return reading_wait(a, 0);
}

/* Those whose records are not the ones we have; with one old one, all old ones. */
static void changed_collect(struct snapshot *s)
{
    struct bucket *b, *next;
    int64_t newest = once_bucket_number(store_wall_ms(s->audit->stores[s->store]));
    free(s->changed);
    s->changed = mem_new((HASH_COUNT(s->audit->buckets[s->store]) + 1) * sizeof(*s->changed));
    s->changed_count = 0;
    s->has_old = false;
    HASH_ITER(hh, s->audit->buckets[s->store], b, next)
    {
        s->has_old = s->has_old || (b->is_old && b->now != b->version);
    }
    HASH_ITER(hh, s->audit->buckets[s->store], b, next)
    {
        bool is_current = b->number >= newest - 1 && b->number <= newest + 1;
        if (b->is_old ? s->has_old : b->now != b->version || is_current) {
            s->changed[s->changed_count++] = b;
        }
    }
}

/* ---- one instant ---- */

static unsigned bucket_read(struct snapshot *s, struct bucket *b, struct texts reply, unsigned at)
{
    int64_t records = 0;
    slice_int64(texts_at(reply, at++), &records);
    for (int64_t i = 0; i < records; i++, at += 2) {
        reading_enter(s->audit, s->store, b, texts_at(reply, at), texts_at(reply, at + 1));
    }
    b->version = records;
    b->instant = s->instant;
    return at;
}

static void on_instant(void *ctx, int err, struct texts reply)
{
    struct snapshot *s = ctx;
    unsigned at = 0;
    if (!reading_is_answer(s->audit, err, reply)) {
        return;
    }
    if (s->has_old) {
        book_forget_old(s->ledger);
    }
    for (size_t i = 0; i < s->changed_count; i++) {
        at = bucket_read(s, s->changed[i], reply, at);
    }
    for (size_t i = 0; i < s->asked; i++, at += 3) {
        reading_enter_entity(s->audit, s->store, s->suspects[s->suspect_count - 1 - i], reply, at);
    }
    s->is_read = true;
}

static void instant_call(struct snapshot *s, size_t suspects)
{
    struct audit *a = s->audit;
    char key[320];
    s->asked = suspects;
    s->is_read = false;
    s->instant++;
    reading_call(a, s->store, NULL, NULL, "MULTI");
    for (size_t i = 0; i < s->changed_count; i++) {
        bucket_key(s->store, s->changed[i]->number, key);
        reading_call(a, s->store, NULL, NULL, "HLEN", key);
        reading_call(a, s->store, NULL, NULL, "HGETALL", key);
    }
    for (size_t i = 0; i < suspects; i++) {
        bool is_item = s->store == STORE_STOCK;
        snprintf(key, sizeof(key), "%s%s", is_item ? KEY.stock_item : KEY.payment_user,
                 book_entity_name(s->ledger, s->suspects[s->suspect_count - 1 - i]));
        reading_call(a, s->store, NULL, NULL, "HMGET", key, is_item ? "quantity" : "credit",
                     is_item ? "added" : "funded", "gen");
    }
    reading_call(a, s->store, on_instant, s, "EXEC");
}

/* ---- the first: what came after its bucket was read? ---- */

static int64_t changed_records(const struct snapshot *s, bool is_old)
{
    int64_t records = 0;
    for (size_t i = 0; i < s->changed_count; i++) {
        records += s->changed[i]->is_old == is_old ? s->changed[i]->now : 0;
    }
    return records;
}

static bool is_explained(const struct snapshot *s, uint32_t entity)
{
    struct fault faults[FAULTS_MAX];
    return check_entity(s->ledger, entity, faults) == 0;
}

/* The buckets that have changed since the first reading, one at a time: here no entity is asked
 * for, so each may have its own instant. The old ones are read here for the first time. */
static bool suspects_find(struct snapshot *s)
{
    struct audit *a = s->audit;
    if (!lengths_read(s)) {
        return false;
    }
    changed_collect(s);
    a->report.stores[s->store].old_records = changed_records(s, true);
    struct bucket **all = s->changed;
    size_t count = s->changed_count;
    book_forget_touched(s->ledger);
    book_forget_old(s->ledger);
    s->has_old = false; /* forgotten once, not before each */
    s->changed_count = 1;
    bool is_well = true;
    for (size_t i = 0; i < count && is_well; i++) {
        s->changed = &all[i];
        instant_call(s, 0);
        is_well = reading_wait(a, 0);
    }
    s->changed = all;
    s->changed_count = count;
    for (uint32_t i = 0; i < s->entity_count && is_well; i++) {
        if (book_is_touched(s->ledger, i) || !is_explained(s, i)) {
            s->suspects[s->suspect_count++] = i;
        }
    }
    return is_well;
}

/* ---- until all is decided ---- */

static void judge_entity(struct snapshot *s, uint32_t entity)
{
    struct fault faults[FAULTS_MAX];
    unsigned count = check_entity(s->ledger, entity, faults);
    for (unsigned i = 0; i < count; i++) {
        report_add(&s->audit->report, &faults[i], (struct slice){0}, (struct slice){0},
                   s->ledger->what, slice_from(book_entity_name(s->ledger, entity)));
    }
}

static bool is_still(const struct snapshot *s)
{
    struct bucket *b, *next;
    HASH_ITER(hh, s->audit->buckets[s->store], b, next)
    {
        if (b->now != b->version && b->instant != s->instant) {
            return false;
        }
    }
    return true;
}

/* Errors: false when a store has failed. *ret_is_decided: the last suspects are. */
static bool instant_try(struct snapshot *s, bool *ret_is_decided)
{
    size_t count = s->suspect_count < ENTITIES_MAX ? s->suspect_count : ENTITIES_MAX;
    s->audit->report.rounds++;
    *ret_is_decided = false;
    changed_collect(s);
    if (s->has_old && changed_records(s, true) > OLD_RECORDS_MAX) {
        return lengths_read(s);
    }
    instant_call(s, count);
    if (!reading_wait(s->audit, 0) || !lengths_read(s)) {
        return false;
    }
    if (!s->is_read || !is_still(s)) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        judge_entity(s, s->suspects[s->suspect_count - 1 - i]);
    }
    s->suspect_count -= count;
    *ret_is_decided = true;
    return true;
}

static void on_pause(void *ctx)
{
    (void)ctx;
}

static bool suspects_decide(struct snapshot *s)
{
    struct audit *a = s->audit;
    bool is_decided;
    a->report.looks += (int64_t)s->suspect_count;
    while (s->suspect_count > 0 && loop_now_ms(a->loop) < a->settle_ms) {
        if (!instant_try(s, &is_decided)) {
            return false;
        }
        if (!is_decided) {
            loop_timer_start(s->pause, PAUSE_MS, 0);
            loop_turn(a->loop, true);
        }
    }
    a->report.undecided[CHECK_C1] += (int64_t)s->suspect_count;
    return true;
}

bool snapshot_take(struct audit *a, enum audit_store store)
{
    struct snapshot *s = reading_keep(a, sizeof(*s), NULL);
    *s = (struct snapshot){.audit = a, .store = store};
    s->ledger = store == STORE_STOCK ? &a->book.items : &a->book.users;
    s->entity_count = (uint32_t)a->report.stores[store].entities;
    s->suspects = mem_new(((size_t)s->entity_count + 1) * sizeof(*s->suspects));
    s->pause = loop_timer_new(a->loop, on_pause, NULL);
    bool is_well = suspects_find(s) && lengths_read(s) && suspects_decide(s);
    a->report.checked[CHECK_C1] += s->entity_count;
    a->report.checked[CHECK_C2] += s->entity_count;
    loop_timer_free(s->pause);
    free(s->suspects);
    free(s->changed);
    return is_well;
}
