/* An audit at work: its stores, the calls that are out, the buckets and their versions.
 *
 *   reading_orders   orders and their journals first: what has ended then, has all its records;
 *                    then reading_paid, those that are packed
 *   reading_records  then every record, bucket by bucket
 *   reading_entities then users and items
 *   look_at_sagas    second looks: journal, records, journal again, until it stood still between
 *   look_at_folded   sums of what was dropped, where that is over
 *   snapshot_take    credit and pieces at one instant, with all the records that existed then
 *
 * A record is never changed and goes only with its whole bucket's sweep: so the number of a
 * bucket's records is its version. Same number before and after: nothing was added between.
 * Source: protocol.md, "Keys in the store", "Once-records"; operations.md, "The audit". */
#ifndef KASSA_AUDIT_READING_H
#define KASSA_AUDIT_READING_H

#include <uthash.h>

#include "audit/report.h"
#include "store/store.h"

enum audit_store { STORE_ORDER, STORE_STOCK, STORE_PAYMENT, STORE_COUNT };

struct bucket {
    int64_t number;
    int64_t version;  /* its records when its reading began; 0: none, or there is no such bucket */
    int64_t now;      /* its records at the latest look */
    uint32_t instant; /* of the snapshot that read it last; 0: none */
    bool is_old;      /* the sweep may drop it while we read: read only at one instant */
    UT_hash_handle hh;
};

/* A record that another attempt's command of the same saga left. */
struct stray {
    struct record_key key;
    enum record_kind kind;
    uint32_t attempt;
};

#define READING_SETTLE_MS  20000 /* for what is in motion, in all */
#define READING_STRAYS_MAX 1000

struct audit {
    struct loop *loop;
    struct store *stores[STORE_COUNT];
    struct args call;
    struct book book;
    struct report report;
    struct bucket *buckets[STORE_COUNT];
    struct stray strays[READING_STRAYS_MAX];
    unsigned stray_count;
    int64_t floor;         /* the highest of all stores: number of the first bucket that is kept */
    int64_t keep_from;     /* number of the first bucket that is not old */
    int64_t settle_ms;     /* monotonic: until when to look again */
    uint64_t paid_buckets; /* of packed orders, as far as known */
    uint64_t paid_last;    /* one past the last of those that have a key */
    int64_t done;          /* of the progress */
    bool is_progress;      /* shown on standard error */
    bool has_failed;       /* a store went away: nothing is proved */
    char reason[200];
    struct buf scratch;
    struct reading_kept *kept;
};

/* One call, of these words. */
#define reading_call(a, store, on_reply, ctx, ...)                                                 \
    reading_call_words(a, store, on_reply, ctx, (const char *const[]){__VA_ARGS__, NULL})
void reading_call_words(struct audit *a, enum audit_store store, texts_on_reply *on_reply,
                        void *ctx, const char *const *words);
/* Turns the loop until at most so many calls are out. Errors: false when a store has failed. */
bool reading_wait(struct audit *a, unsigned left);
/* Zeroed, for what a call's context points at: it stays until the audit is closed, for a store that
 * failed tells of its calls later. on_end, which may be NULL, frees what it owns. */
typedef void reading_on_end(void *kept);
void *reading_keep(struct audit *a, size_t bytes, reading_on_end *on_end);
void reading_free_kept(struct audit *a); /* when its stores are freed */
/* In an on_reply: false, and the audit has failed, when there is no reply. */
bool reading_is_answer(struct audit *a, int err, struct texts reply);
void reading_progress(struct audit *a, const char *what, int64_t count);
const char *reading_prefix(enum audit_store store); /* "order" */

struct bucket *bucket_at(struct audit *a, enum audit_store store, int64_t number);
#define BUCKET_KEY_BYTES 40
void bucket_key(enum audit_store store, int64_t number, char ret_key[BUCKET_KEY_BYTES]);
/* Enters one record; which store's, and the bucket it was found in. */
void reading_enter(struct audit *a, enum audit_store store, const struct bucket *bucket,
                   struct slice id, struct slice record);
void reading_enter_entity(struct audit *a, enum audit_store store, uint32_t entity,
                          struct texts reply, unsigned at);

/* One more finding of C3 about an order and its saga. */
void reading_fault(struct audit *a, const char *text, struct slice saga, struct slice order);
/* What an order and its journal say; they may be packed. */
void reading_enter_order(struct audit *a, uint32_t order, const struct record_journal *j);

/* Errors: false when a store has failed; reason says why. */
bool reading_orders(struct audit *a);
bool reading_paid(struct audit *a); /* a part of it */
bool reading_records(struct audit *a);
bool reading_entities(struct audit *a);
bool look_at_sagas(struct audit *a);
bool look_at_index(struct audit *a);
bool look_at_buckets(struct audit *a);
bool look_at_folded(struct audit *a);
bool snapshot_take(struct audit *a, enum audit_store store);

#endif
