/* Second looks at sagas: those that were in motion, and those that something seems to be wrong
 * with. Order, payment and stock may be three stores, so there is no instant for all of them:
 *
 *   journal and once-record, at one instant --> charge, refund, take --> journal again
 *                    ^                                                     |
 *                    '-------- it moved between: look once more -----------'
 *
 * Did it stand still, then the records were what they are while the saga was in that state. */
#include "audit/reading.h"
#include "catalogue/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKS_AT_ONCE 1000
#define LOOK_PAUSE_MS 20 /* before what has moved is looked at again */

/* Texts of a reply, kept; the first three are of the journal, whose other parts a lease changes. */
enum { SAGA, ATTEMPT, STATE, USER, TOTAL, LINES, ONCE, SCORE, TEXTS };
struct sight {
    struct buf bytes;
    size_t begin[TEXTS + 1];
    bool is_there[TEXTS];
};

struct look {
    struct audit *audit;
    uint32_t saga; /* of the book */
    char id[37];
    int64_t bucket;
    char *order; /* NULL: not known */
    bool is_after;
    struct sight before, after;
    char *charge, *refund, *take; /* NULL: none */
};

static void sight_keep(struct sight *t, struct texts reply)
{
    struct slice head[3];
    buf_reset(&t->bytes);
    record_journal_cut(texts_at(reply, 0), head);
    for (unsigned i = 0; i < TEXTS; i++) {
        struct slice text = i < USER ? head[i] : texts_at(reply, i - USER + 1);
        t->begin[i] = t->bytes.bytes;
        t->is_there[i] = text.data != NULL;
        if (i != SCORE) { /* it changes with each lease */
            buf_add_slice(&t->bytes, text);
        }
    }
    t->begin[TEXTS] = t->bytes.bytes;
    buf_add(&t->bytes, "", 1);
}

static struct slice sight_at(const struct sight *t, unsigned i)
{
    return t->bytes.data != NULL && t->is_there[i]
               ? (struct slice){t->bytes.data + t->begin[i], t->begin[i + 1] - t->begin[i]}
               : (struct slice){NULL, 0};
}

static bool sight_equal(const struct sight *a, const struct sight *b)
{
    return memcmp(a->begin, b->begin, sizeof(a->begin)) == 0 &&
           memcmp(a->is_there, b->is_there, sizeof(a->is_there)) == 0 &&
           slice_equal(buf_slice(&a->bytes), buf_slice(&b->bytes));
}

/* ---- the calls of a look ---- */

static void on_journal(void *ctx, int err, struct texts reply)
{
    struct look *l = ctx;
    if (reading_is_answer(l->audit, err, reply)) {
        sight_keep(l->is_after ? &l->after : &l->before, reply);
    }
}

static void look_journal(struct look *l)
{
    char key[320], bucket[BUCKET_KEY_BYTES];
    if (l->order == NULL) {
        return;
    }
    bucket_key(STORE_ORDER, l->bucket, bucket);
    snprintf(key, sizeof(key), "%s%s", KEY.order_order, l->order);
    reading_call(l->audit, STORE_ORDER, NULL, NULL, "MULTI");
    reading_call(l->audit, STORE_ORDER, NULL, NULL, "HMGET", key, "journal", "user", "total",
                 "lines");
    reading_call(l->audit, STORE_ORDER, NULL, NULL, "HGET", bucket, l->id);
    reading_call(l->audit, STORE_ORDER, NULL, NULL, "ZSCORE", KEY.order_open, l->order);
    reading_call(l->audit, STORE_ORDER, on_journal, l, "EXEC");
}

/* Which order is it of? Its once-record says so. */
static void on_once(void *ctx, int err, struct texts reply)
{
    struct look *l = ctx;
    struct record_order record;
    if (reading_is_answer(l->audit, err, reply) && texts_at(reply, 0).data != NULL &&
        record_order_parse(texts_at(reply, 0), &record) && record.order.data != NULL &&
        l->order == NULL) {
        l->order = mem_text(record.order);
    }
}

static void look_once(struct look *l)
{
    char bucket[BUCKET_KEY_BYTES];
    if (l->order == NULL) {
        bucket_key(STORE_ORDER, l->bucket, bucket);
        reading_call(l->audit, STORE_ORDER, on_once, l, "HGET", bucket, l->id);
    }
}

static char *text_kept(struct look *l, int err, struct texts reply, unsigned at)
{
    bool is_there = reading_is_answer(l->audit, err, reply) && reply.count > at &&
                    texts_at(reply, at).data != NULL;
    return is_there ? mem_text(texts_at(reply, at)) : NULL;
}

static void on_payment(void *ctx, int err, struct texts reply)
{
    struct look *l = ctx;
    l->charge = text_kept(l, err, reply, 0);
    l->refund = text_kept(l, err, reply, 1);
}

static void on_take(void *ctx, int err, struct texts reply)
{
    struct look *l = ctx;
    l->take = text_kept(l, err, reply, 0);
}

/* The attempt that the saga is, as far as anybody knows. */
static uint32_t look_attempt(const struct look *l)
{
    struct record_order once;
    int64_t attempt = 0;
    if (slice_is(sight_at(&l->before, SAGA), l->id)) {
        slice_int64(sight_at(&l->before, ATTEMPT), &attempt);
    } else if (sight_at(&l->before, ONCE).data != NULL &&
               record_order_parse(sight_at(&l->before, ONCE), &once) && once.kind == ORDER_ENDED) {
        slice_int64(once.attempt, &attempt);
    }
    if (attempt < 1 || attempt > UINT32_MAX) {
        attempt = l->audit->book.sagas[l->saga].attempt;
    }
    return attempt == 0 ? 1 : (uint32_t)attempt;
}

static void look_records(struct look *l)
{
    char bucket[BUCKET_KEY_BYTES], charge[96], refund[96], take[96];
    unsigned attempt = look_attempt(l);
    snprintf(charge, sizeof(charge), "%s:%u:charge", l->id, attempt);
    snprintf(refund, sizeof(refund), "%s:%u:charge-undo", l->id, attempt);
    snprintf(take, sizeof(take), "%s:%u:take", l->id, attempt);
    bucket_key(STORE_PAYMENT, l->bucket, bucket);
    reading_call(l->audit, STORE_PAYMENT, on_payment, l, "HMGET", bucket, charge, refund);
    bucket_key(STORE_STOCK, l->bucket, bucket);
    reading_call(l->audit, STORE_STOCK, on_take, l, "HGET", bucket, take);
}

/* ---- what it shows ---- */

static void judge_journal(const struct look *l, struct book_saga *s)
{
    const struct sight *t = &l->before;
    struct record_order once;
    int64_t attempt;
    if (sight_at(t, ONCE).data != NULL && record_order_parse(sight_at(t, ONCE), &once)) {
        s->flags |= once.kind == ORDER_ENDED   ? SAGA_HAS_ENDED
                    : once.kind == ORDER_BEGUN ? SAGA_HAS_BEGUN
                                               : 0;
    }
    if (slice_is(sight_at(t, SAGA), l->id)) {
        const struct record_journal j = {sight_at(t, SAGA),  sight_at(t, ATTEMPT),
                                         sight_at(t, STATE), sight_at(t, USER),
                                         sight_at(t, TOTAL), sight_at(t, LINES)};
        saga_set_journal(s, &j);
    } else if ((s->flags & SAGA_HAS_ENDED) != 0 && slice_int64(once.attempt, &attempt)) {
        s->state = STATE_FAILED;
        s->attempt = (uint32_t)attempt;
    } else if (l->order != NULL && book_is_gone(&l->audit->book, s, l->order)) {
        s->state = STATE_GONE;
    }
}

static void judge_records(const struct look *l, struct book_saga *s, struct record_payment *charge,
                          struct record_stock *take)
{
    struct record_payment refund;
    memset(charge, 0, sizeof(*charge));
    memset(take, 0, sizeof(*take));
    if (l->charge != NULL && record_payment_parse(slice_from(l->charge), charge)) {
        saga_set_charge(s, charge);
    }
    if (l->refund != NULL && record_payment_parse(slice_from(l->refund), &refund)) {
        saga_set_refund(s, &refund);
    }
    if (l->take != NULL && record_stock_parse(slice_from(l->take), take)) {
        saga_set_take(s, take, &l->audit->scratch);
    }
}

/* The first item that was taken otherwise than the order has it. */
static struct slice item_at_fault(struct slice lines, struct slice taken)
{
    struct slice item = {NULL, 0}, other = {NULL, 0}, gen;
    int64_t pieces = 0, other_pieces = 0;
    for (;;) {
        bool has = record_line_next(&lines, &item, &pieces);
        bool has_other = record_taken_next(&taken, &other, &other_pieces, &gen);
        if (!has) {
            return has_other ? other : item;
        }
        if (!has_other || pieces != other_pieces || !slice_equal(item, other)) {
            return item;
        }
    }
}

static void judge(struct look *l)
{
    struct audit *a = l->audit;
    struct book_saga s = {.key = a->book.sagas[l->saga].key, .order = BOOK_NONE};
    struct record_payment charge;
    struct record_stock take;
    struct fault faults[FAULTS_MAX];
    judge_journal(l, &s);
    judge_records(l, &s, &charge, &take);
    struct slice order = slice_from(l->order), id = slice_from(l->id);
    struct slice user = charge.user.data ? charge.user : sight_at(&l->before, USER);
    unsigned count = check_saga(&s, faults);
    for (unsigned i = 0; i < count; i++) {
        if (faults[i].entity == FAULT_USER) {
            report_add(&a->report, &faults[i], id, order, "user", user);
        } else if (faults[i].entity == FAULT_ITEM) {
            struct slice lines = (s.flags & SAGA_HAS_JOURNAL) != 0 ? sight_at(&l->before, LINES)
                                                                   : (struct slice){NULL, 0};
            report_add(&a->report, &faults[i], id, order, "item", item_at_fault(lines, take.lines));
        } else {
            report_add(&a->report, &faults[i], id, order, "order", order);
        }
    }
    if (record_state_is_open((enum record_state)s.state) && !l->before.is_there[SCORE]) {
        struct fault lost = {
            .check = CHECK_OPEN, .text = "entries of the index for an open journal", .wanted = 1};
        report_add(&a->report, &lost, id, order, "order", order);
    }
    if (s.state == STATE_STUCK) {
        bool is_owed = s.charge == OUTCOME_DONE && s.refund != OUTCOME_DONE;
        report_add_stuck(&a->report, id, order, user, is_owed ? s.amount : 0);
    }
    a->book.sagas[l->saga].state = s.state; /* for the counts */
}

static void look_free(struct look *l)
{
    buf_free(&l->before.bytes);
    buf_free(&l->after.bytes);
    free(l->order);
    free(l->charge);
    free(l->refund);
    free(l->take);
}

/* ---- many looks ---- */

#define FOR_LOOKS(l) for (struct look *l = looks; l < looks + count; l++)

static void looks_free(void *kept)
{
    struct look *looks = kept;
    size_t count = LOOKS_AT_ONCE;
    FOR_LOOKS(l)
    {
        look_free(l);
    }
}

/* Looks at `count` sagas; those that moved come back to the front of `sagas`. Errors: false. */
static bool look_batch(struct audit *a, struct look *looks, uint32_t *sagas, size_t count,
                       size_t *ret_moved)
{
    FOR_LOOKS(l)
    {
        const struct book_saga *s = &a->book.sagas[sagas[l - looks]];
        *l = (struct look){
            .audit = a, .saga = sagas[l - looks], .bucket = record_key_bucket(&s->key)};
        record_key_text(&s->key, l->id);
        if (s->order != BOOK_NONE) {
            l->order = mem_text(slice_from(book_entity_name(&a->book.orders, s->order)));
        }
        look_once(l);
    }
    bool is_well = reading_wait(a, 0);
    FOR_LOOKS(l)
    {
        look_journal(l);
    }
    is_well = is_well && reading_wait(a, 0);
    FOR_LOOKS(l)
    {
        look_records(l);
    }
    is_well = is_well && reading_wait(a, 0);
    FOR_LOOKS(l)
    {
        l->is_after = true;
        look_once(l);
        look_journal(l);
    }
    is_well = is_well && reading_wait(a, 0);
    *ret_moved = 0;
    if (!is_well) {
        return false; /* what is out still speaks of the looks: they are left to looks_free */
    }
    FOR_LOOKS(l)
    {
        if (sight_equal(&l->before, &l->after)) {
            judge(l);
        } else {
            sagas[(*ret_moved)++] = l->saga;
        }
        look_free(l);
        *l = (struct look){0};
    }
    a->report.looks += (int64_t)count;
    return true;
}

static void on_pause(void *ctx)
{
    (void)ctx;
}

/* One round over all of `sagas`. */
static bool look_round(struct audit *a, struct look *looks, uint32_t *sagas, size_t *count)
{
    size_t left = 0, moved;
    for (size_t at = 0; at < *count; at += LOOKS_AT_ONCE) {
        size_t batch = *count - at < LOOKS_AT_ONCE ? *count - at : LOOKS_AT_ONCE;
        if (!look_batch(a, looks, sagas + at, batch, &moved)) {
            return false;
        }
        memmove(sagas + left, sagas + at, moved * sizeof(*sagas));
        left += moved;
        reading_progress(a, "sagas looked at again", (int64_t)batch);
    }
    *count = left;
    return true;
}

static bool look_all(struct audit *a, uint32_t *sagas, size_t count)
{
    bool is_well = true;
    struct look *looks = reading_keep(a, LOOKS_AT_ONCE * sizeof(*looks), looks_free);
    struct loop_timer *pause = loop_timer_new(a->loop, on_pause, NULL);
    a->done = 0;
    while (count > 0 && loop_now_ms(a->loop) < a->settle_ms) {
        a->report.rounds++;
        is_well = look_round(a, looks, sagas, &count);
        if (!is_well || count == 0) {
            break;
        }
        loop_timer_start(pause, LOOK_PAUSE_MS, 0);
        loop_turn(a->loop, true);
    }
    loop_timer_free(pause);
    a->report.undecided[CHECK_C3] += (int64_t)count;
    return is_well;
}

/* The first reading is proof enough: its journal had ended before the records were read. */
static bool is_proved(struct audit *a, struct book_saga *s)
{
    struct fault faults[FAULTS_MAX];
    if (s->state == STATE_NONE && s->order != BOOK_NONE && (s->flags & SAGA_HAS_JOURNAL) == 0 &&
        book_is_gone(&a->book, s, book_entity_name(&a->book.orders, s->order))) {
        struct book_saga gone = *s;
        gone.state = STATE_GONE;
        if (check_saga(&gone, faults) == 0) {
            s->state = STATE_GONE;
            return true;
        }
    }
    return !record_state_is_open((enum record_state)s->state) && check_saga(s, faults) == 0;
}

bool look_at_sagas(struct audit *a)
{
    size_t count = 0;
    uint32_t *sagas = mem_new((a->book.saga_count + 1) * sizeof(*sagas));
    for (uint32_t i = 0; i < a->book.saga_count; i++) {
        if (!is_proved(a, &a->book.sagas[i])) {
            sagas[count++] = i;
        }
    }
    bool is_well = look_all(a, sagas, count);
    free(sagas);
    a->report.sagas = (int64_t)a->book.saga_count;
    a->report.checked[CHECK_C3] = (int64_t)a->book.saga_count;
    for (size_t i = 0; i < a->book.saga_count; i++) {
        enum record_state state = (enum record_state)a->book.sagas[i].state;
        a->report.paid += state == STATE_PAID;
        a->report.failed += state == STATE_FAILED;
        a->report.gone += state == STATE_GONE;
        a->report.open += record_state_is_open(state);
    }
    return is_well;
}
