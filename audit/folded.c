/* The sagas whose records were dropped, by the sums that the sweep has kept of them, per period:
 *
 *   orders' store: PAID   =   payment: charged, not refunded   =   stock: taken
 *
 * Below the floors of all three stores every saga has ended, so these sums stand still but for what
 * is being dropped: such records are read at one instant with the sums. A period is compared when
 * it lies below all floors and none of the stores is older than its sums.
 * Source: protocol.md, "What was dropped is summed up"; idempotency/folded.lua. */
#include "audit/reading.h"
#include "catalogue/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "idempotency/once.h"

#define PERIOD_BUCKETS 64 /* idempotency/folded.lua */
#define PERIODS_MERGED 256
#define LEFT_MAX       16   /* buckets that are being dropped, read at once */
#define SETTLE_MS      2000 /* a sweep comes by each second */
#define PAUSE_MS       50

struct period {
    int64_t key; /* n, of one; -1 - n, of the n-th that were merged */
    int64_t sums[STORE_COUNT][SUMS];
    UT_hash_handle hh;
};

struct store_call {
    struct folded *folded;
    enum audit_store store;
};

struct folded {
    struct audit *audit;
    struct store_call calls[STORE_COUNT]; /* contexts */
    struct period *periods;
    int64_t floor[STORE_COUNT], exact[STORE_COUNT];
    int64_t left[STORE_COUNT][LEFT_MAX]; /* numbers of buckets below the floor */
    unsigned left_count[STORE_COUNT];
    bool has_moved; /* what was read does not belong together */
};

/* ---- sums ---- */

static struct period *period_at(struct folded *f, int64_t key)
{
    struct period *p;
    HASH_FIND(hh, f->periods, &key, sizeof(key), p);
    if (p == NULL) {
        p = mem_new(sizeof(*p));
        p->key = key;
        HASH_ADD(hh, f->periods, key, sizeof(p->key), p);
    }
    return p;
}

static void period_free(struct folded *f, struct period *p)
{
    HASH_DEL(f->periods, p);
    free(p);
}

static void sums_add(int64_t sums[SUMS], const int64_t add[SUMS], int sign)
{
    for (unsigned i = 0; i < SUMS; i++) {
        sums[i] = (sums[i] + sign * (add[i] % SUM_MODULUS) + SUM_MODULUS) % SUM_MODULUS;
    }
}

static int64_t key_tail(const struct record_key *key)
{
    int64_t tail = 0;
    for (unsigned i = 10; i < 16; i++) {
        tail = tail << 8 | key->bytes[i];
    }
    return tail;
}

/* A record that is there yet, as the sweep will enter it. */
static void record_sum(struct folded *f, enum audit_store store, struct slice id,
                       struct slice record)
{
    struct record_command command;
    struct record_payment payment;
    struct record_stock stock;
    int64_t add[SUMS] = {[SUM_SAGAS] = 1}, pieces;
    int sign = 1;
    if (!record_command_parse(id, &command)) {
        return; /* the first reading has said so */
    }
    if (store == STORE_PAYMENT &&
        (command.kind == RECORD_CHARGE || command.kind == RECORD_REFUND) &&
        record_payment_parse(record, &payment) && payment.outcome == OUTCOME_DONE) {
        add[SUM_CREDITS] = payment.amount;
        sign = payment.is_refund ? -1 : 1;
    } else if (store == STORE_STOCK && command.kind == RECORD_TAKE &&
               record_stock_parse(record, &stock) && stock.outcome == OUTCOME_DONE) {
        struct slice rest = stock.lines, item, gen;
        while (record_taken_next(&rest, &item, &pieces, &gen)) {
            add[SUM_PIECES] = (add[SUM_PIECES] + pieces % SUM_MODULUS) % SUM_MODULUS;
        }
    } else {
        return;
    }
    add[SUM_IDS] = key_tail(&command.key);
    struct period *p = period_at(f, record_key_bucket(&command.key) / PERIOD_BUCKETS);
    sums_add(p->sums[store], add, sign);
}

/* One field of <service>:folded. */
static void field_enter(struct folded *f, enum audit_store store, struct slice name,
                        struct slice value)
{
    int64_t number, sums[SUMS];
    if (slice_is(name, "exact")) {
        slice_int64(value, &f->exact[store]);
        return;
    }
    bool is_merged = name.bytes > 1 && name.data[0] == 'c';
    struct slice digits = {name.data + 1, name.bytes - 1}, part;
    if (name.bytes < 2 || (!is_merged && name.data[0] != 'p') || !slice_int64(digits, &number)) {
        return; /* merged */
    }
    for (unsigned i = 0; i < SUMS; i++) {
        if (!slice_cut(&value, '|', &part) || !slice_int64(part, &sums[i])) {
            sums[i] = 0; /* what is damaged differs from the others */
        }
    }
    sums_add(period_at(f, is_merged ? -1 - number : number)->sums[store], sums, 1);
}

/* ---- one instant of a store ---- */

/* Buckets below the floor; false: there is one that is not among those we have. */
static bool left_is_known(const struct folded *f, enum audit_store store, int64_t number)
{
    for (unsigned i = 0; i < f->left_count[store]; i++) {
        if (f->left[store][i] == number) {
            return true;
        }
    }
    return false;
}

static void on_left(void *ctx, int err, struct texts reply)
{
    struct store_call *call = ctx;
    struct folded *f = call->folded;
    int64_t number;
    if (!reading_is_answer(f->audit, err, reply)) {
        return;
    }
    slice_int64(texts_at(reply, 0), &f->floor[call->store]);
    for (unsigned i = 1; i + 1 < reply.count; i += 2) {
        if (slice_int64(texts_at(reply, i + 1), &number) && number < f->floor[call->store]) {
            f->left[call->store][f->left_count[call->store]++] = number;
        }
    }
}

static void on_sums(void *ctx, int err, struct texts reply)
{
    struct store_call *call = ctx;
    struct folded *f = call->folded;
    int64_t count = 0, number;
    unsigned at = 0;
    if (!reading_is_answer(f->audit, err, reply)) {
        return;
    }
    slice_int64(texts_at(reply, at++), &count);
    for (; count > 0; count--, at += 2) {
        field_enter(f, call->store, texts_at(reply, at), texts_at(reply, at + 1));
    }
    for (unsigned i = 0; i < f->left_count[call->store]; i++) {
        slice_int64(texts_at(reply, at++), &count);
        for (; count > 0; count--, at += 2) {
            record_sum(f, call->store, texts_at(reply, at), texts_at(reply, at + 1));
        }
    }
    for (; at + 1 < reply.count; at += 2) {
        if (slice_int64(texts_at(reply, at + 1), &number) && number < f->floor[call->store] &&
            !left_is_known(f, call->store, number)) {
            f->has_moved = true;
        }
    }
}

/* The oldest buckets: those below the floor, if there are any, are among them. */
static void left_call(struct audit *a, enum audit_store store)
{
    char buckets[32], limit[8];
    snprintf(buckets, sizeof(buckets), "%s%s", reading_prefix(store), PART.buckets);
    snprintf(limit, sizeof(limit), "%d", LEFT_MAX);
    reading_call(a, store, NULL, NULL, "ZRANGEBYSCORE", buckets, "-inf", "+inf", "WITHSCORES",
                 "LIMIT", "0", limit);
}

static bool store_read(struct folded *f, enum audit_store store)
{
    struct audit *a = f->audit;
    char key[BUCKET_KEY_BYTES];
    f->calls[store] = (struct store_call){f, store};
    snprintf(key, sizeof(key), "%s%s", reading_prefix(store), PART.floor);
    reading_call(a, store, NULL, NULL, "MULTI");
    reading_call(a, store, NULL, NULL, "GET", key);
    left_call(a, store);
    reading_call(a, store, on_left, &f->calls[store], "EXEC");
    if (!reading_wait(a, 0)) {
        return false;
    }
    snprintf(key, sizeof(key), "%s%s", reading_prefix(store), PART.folded);
    reading_call(a, store, NULL, NULL, "MULTI");
    reading_call(a, store, NULL, NULL, "HLEN", key);
    reading_call(a, store, NULL, NULL, "HGETALL", key);
    for (unsigned i = 0; i < f->left_count[store]; i++) {
        bucket_key(store, f->left[store][i], key);
        reading_call(a, store, NULL, NULL, "HLEN", key);
        reading_call(a, store, NULL, NULL, "HGETALL", key);
    }
    left_call(a, store);
    reading_call(a, store, on_sums, &f->calls[store], "EXEC");
    return reading_wait(a, 0);
}

/* ---- comparing ---- */

/* Where one store has merged periods, those of the others are merged here. */
static void periods_merge(struct folded *f)
{
    struct period *p, *next, *into;
    HASH_ITER(hh, f->periods, p, next)
    {
        int64_t merged = -1 - p->key / PERIODS_MERGED;
        if (p->key < 0) {
            continue;
        }
        HASH_FIND(hh, f->periods, &merged, sizeof(merged), into);
        for (int i = 0; i < STORE_COUNT && into != NULL; i++) {
            sums_add(into->sums[i], p->sums[i], 1);
        }
        if (into != NULL) {
            period_free(f, p);
        }
    }
}

static int64_t period_first(const struct period *p)
{
    return p->key >= 0 ? p->key * PERIOD_BUCKETS : (-1 - p->key) * PERIOD_BUCKETS * PERIODS_MERGED;
}

static int64_t period_end(const struct period *p)
{
    return period_first(p) + PERIOD_BUCKETS * (p->key >= 0 ? 1 : PERIODS_MERGED);
}

/* Everything of it is over, in all stores, and was summed up from its beginning on. */
static bool period_is_over(const struct folded *f, const struct period *p)
{
    for (int i = 0; i < STORE_COUNT; i++) {
        if (period_end(p) > f->floor[i] || period_first(p) < f->exact[i]) {
            return false;
        }
    }
    return true;
}

/* What is dropped in the orders' store we do not sum up ourselves; and of too many buckets not all
 * were read. */
static bool period_is_moving(const struct folded *f, const struct period *p)
{
    for (int i = 0; i < STORE_COUNT; i++) {
        unsigned count = f->left_count[i];
        if (count == LEFT_MAX && f->left[i][count - 1] < period_end(p)) {
            return true;
        }
        for (unsigned n = 0; n < count && i == STORE_ORDER; n++) {
            if (f->left[i][n] >= period_first(p) && f->left[i][n] < period_end(p)) {
                return true;
            }
        }
    }
    return false;
}

static void period_judge(struct audit *a, const struct period *p)
{
    struct fault faults[FAULTS_MAX];
    char from[32], to[32], name[72];
    struct tm tm;
    time_t at = (time_t)((period_first(p) << ONCE_BUCKET_SHIFT) / 1000);
    strftime(from, sizeof(from), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
    at = (time_t)((period_end(p) << ONCE_BUCKET_SHIFT) / 1000);
    strftime(to, sizeof(to), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
    snprintf(name, sizeof(name), "%s to %s", from, to);
    unsigned count =
        check_folded(p->sums[STORE_ORDER], p->sums[STORE_PAYMENT], p->sums[STORE_STOCK], faults);
    for (unsigned i = 0; i < count; i++) {
        report_add(&a->report, &faults[i], (struct slice){0}, (struct slice){0}, "sagas begun",
                   slice_from(name));
    }
    a->report.checked[CHECK_FOLDED]++;
}

static void folded_clear(struct folded *f)
{
    struct audit *a = f->audit;
    struct period *p, *next;
    HASH_ITER(hh, f->periods, p, next)
    {
        period_free(f, p);
    }
    *f = (struct folded){.audit = a};
    for (int i = 0; i < STORE_COUNT; i++) {
        f->exact[i] = INT64_MAX; /* nobody has begun */
    }
}

/* How many periods are to be looked at again; -1: a store has failed. */
static int64_t folded_read(struct folded *f)
{
    int64_t moving = 0;
    folded_clear(f);
    for (int i = 0; i < STORE_COUNT; i++) {
        if (!store_read(f, (enum audit_store)i)) {
            return -1;
        }
    }
    periods_merge(f);
    for (struct period *p = f->periods; p != NULL; p = p->hh.next) {
        moving += period_is_over(f, p) && (f->has_moved || period_is_moving(f, p));
    }
    return moving;
}

static void on_pause(void *ctx)
{
    (void)ctx;
}

bool look_at_folded(struct audit *a)
{
    struct folded *f = reading_keep(a, sizeof(*f), NULL);
    int64_t until_ms = loop_now_ms(a->loop) + SETTLE_MS, moving;
    struct loop_timer *pause = loop_timer_new(a->loop, on_pause, NULL);
    f->audit = a;
    while ((moving = folded_read(f)) > 0 && loop_now_ms(a->loop) < until_ms) {
        loop_timer_start(pause, PAUSE_MS, 0);
        loop_turn(a->loop, true);
    }
    loop_timer_free(pause);
    for (struct period *p = f->periods; moving >= 0 && p != NULL; p = p->hh.next) {
        if (period_is_over(f, p) && !f->has_moved && !period_is_moving(f, p)) {
            period_judge(a, p);
        }
    }
    a->report.undecided[CHECK_FOLDED] += f->has_moved && moving > 0 ? moving : 0;
    folded_clear(f);
    return moving >= 0;
}
