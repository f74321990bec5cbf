/* Calls and their waiting, and what one record means to the books. */
#include "audit/reading.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalogue/names.h"
#include "runtime/err.h"

/* ---- calls ---- */

static const char *const prefixes[STORE_COUNT] = {"order", "stock", "payment"};

const char *reading_prefix(enum audit_store store)
{
    return prefixes[store];
}

void reading_call_words(struct audit *a, enum audit_store store, texts_on_reply *on_reply,
                        void *ctx, const char *const *words)
{
    args_reset(&a->call);
    for (; *words != NULL; words++) {
        args_text(&a->call, *words);
    }
    store_call(a->stores[store], &a->call, on_reply, ctx);
}

static unsigned outstanding(const struct audit *a)
{
    unsigned count = 0;
    for (int i = 0; i < STORE_COUNT; i++) {
        count += store_outstanding(a->stores[i]);
    }
    return count;
}

bool reading_wait(struct audit *a, unsigned left)
{
    while (outstanding(a) > left && !a->has_failed) {
        loop_turn(a->loop, true);
    }
    return !a->has_failed;
}

bool reading_is_answer(struct audit *a, int err, struct texts reply)
{
    if (err == 0) {
        return !a->has_failed;
    }
    if (!a->has_failed) {
        a->has_failed = true;
        snprintf(a->reason, sizeof(a->reason), "%s%s%.*s", err_text(err),
                 reply.count > 0 ? ": " : "", SLICE_ARG(texts_at(reply, 0)));
    }
    return false;
}

struct reading_kept {
    struct reading_kept *next;
    reading_on_end *on_end;
    _Alignas(max_align_t) unsigned char bytes[];
};

void *reading_keep(struct audit *a, size_t bytes, reading_on_end *on_end)
{
    struct reading_kept *kept = mem_new(sizeof(*kept) + bytes);
    kept->on_end = on_end;
    kept->next = a->kept;
    a->kept = kept;
    return kept->bytes;
}

void reading_free_kept(struct audit *a)
{
    while (a->kept) {
        struct reading_kept *kept = a->kept;
        a->kept = kept->next;
        if (kept->on_end) {
            kept->on_end(kept->bytes);
        }
        free(kept);
    }
}

void reading_progress(struct audit *a, const char *what, int64_t count)
{
    a->done += count;
    if (a->is_progress && (count == 0 || a->done % 4096 < count)) {
        fprintf(stderr, "\r\033[K%s: %" PRId64, what, a->done);
    }
}

/* ---- buckets ---- */

struct bucket *bucket_at(struct audit *a, enum audit_store store, int64_t number)
{
    struct bucket *b;
    HASH_FIND(hh, a->buckets[store], &number, sizeof(number), b);
    if (b == NULL) {
        b = mem_new(sizeof(*b));
        b->number = number;
        b->is_old = number < a->keep_from;
        HASH_ADD(hh, a->buckets[store], number, sizeof(b->number), b);
    }
    return b;
}

void bucket_key(enum audit_store store, int64_t number, char ret_key[BUCKET_KEY_BYTES])
{
    snprintf(ret_key, BUCKET_KEY_BYTES, "%s%s%09" PRIx64, reading_prefix(store), PART.once,
             (uint64_t)number & UINT64_C(0xfffffffff));
}

/* ---- one record ---- */

static void misfit(struct audit *a, enum audit_store store, struct slice id, const char *text,
                   __int128 found, __int128 wanted)
{
    struct fault fault = {.check = CHECK_C5, .text = text, .found = found, .wanted = wanted};
    char what[32];
    struct slice saga = id;
    saga.bytes = saga.bytes > 36 ? 36 : saga.bytes;
    snprintf(what, sizeof(what), "%s command", reading_prefix(store));
    report_add(&a->report, &fault, saga, (struct slice){0}, what, id);
}

/* The saga of a command, for the record of its attempt; NULL when it was entered already, by this
 * or another reading, or is that of another attempt. *ret_is_new: it counts in the books. */
static struct book_saga *saga_of(struct audit *a, const struct record_command *command,
                                 const char *what, struct slice name, bool *ret_is_new)
{
    struct book_saga *s = book_saga(&a->book, &command->key);
    *ret_is_new = false;
    if (s->attempt == 0) {
        s->attempt = command->attempt;
    }
    if (s->attempt != command->attempt) {
        for (unsigned i = 0; i < a->stray_count; i++) {
            const struct stray *t = &a->strays[i];
            if (record_key_equal(&t->key, &command->key) && t->kind == command->kind &&
                t->attempt == command->attempt) {
                return NULL;
            }
        }
        if (a->stray_count < READING_STRAYS_MAX) {
            a->strays[a->stray_count++] =
                (struct stray){command->key, command->kind, command->attempt};
        }
        const struct fault fault = {.check = CHECK_C5,
                                    .text = "a further record, of the saga's attempt",
                                    .found = command->attempt,
                                    .wanted = s->attempt};
        char saga[37];
        record_key_text(&command->key, saga);
        report_add(&a->report, &fault, slice_from(saga), (struct slice){0}, what, name);
        *ret_is_new = true;
        return NULL;
    }
    uint8_t was = command->kind == RECORD_CHARGE   ? s->charge
                  : command->kind == RECORD_REFUND ? s->refund
                                                   : s->take;
    *ret_is_new = was == OUTCOME_NONE;
    return *ret_is_new ? s : NULL;
}

static bool is_payment_fit(const struct record_command *command, const struct record_payment *r)
{
    bool is_done = r->outcome == OUTCOME_DONE;
    switch (command->kind) {
    case RECORD_CHARGE:
        return r->outcome != OUTCOME_OTHER && !r->is_refund && !r->is_payment;
    case RECORD_REFUND:
        return r->is_refund;
    case RECORD_PLAIN:
        return is_done ? r->is_payment : !r->is_refund && r->outcome != OUTCOME_CANCELLED;
    case RECORD_CHUNK:
        return r->outcome == OUTCOME_OTHER;
    default:
        return false;
    }
}

static void enter_payment(struct audit *a, const struct record_command *command, struct slice id,
                          struct slice record, bool is_old)
{
    struct record_payment r;
    bool is_new = true;
    if (!record_payment_parse(record, &r)) {
        misfit(a, STORE_PAYMENT, id, "records that cannot be read", 1, 0);
        return;
    }
    bool is_fit = is_payment_fit(command, &r);
    if (!is_fit) {
        misfit(a, STORE_PAYMENT, id, "records that this command cannot have", 1, 0);
    }
    if (!is_old && is_fit && command->attempt != 0) {
        struct book_saga *s = saga_of(a, command, "user", r.user, &is_new);
        if (s != NULL && command->kind == RECORD_CHARGE) {
            saga_set_charge(s, &r);
        } else if (s != NULL) {
            saga_set_refund(s, &r);
        }
    } else if (!is_old && r.outcome == OUTCOME_DONE) {
        is_new = book_plain(&a->book.users, &command->key);
    }
    if (r.outcome == OUTCOME_DONE && is_new) {
        book_take(&a->book.users, r.user, r.gen, r.is_refund ? -r.amount : r.amount, is_old);
    }
}

static void enter_stock(struct audit *a, const struct record_command *command, struct slice id,
                        struct slice record, bool is_old)
{
    struct record_stock r;
    bool is_new = true, is_fit = false;
    if (!record_stock_parse(record, &r)) {
        misfit(a, STORE_STOCK, id, "records that cannot be read", 1, 0);
        return;
    }
    if (command->kind == RECORD_TAKE) {
        is_fit = r.outcome != OUTCOME_OTHER && !r.is_subtract;
    } else if (command->kind == RECORD_PLAIN) {
        is_fit = r.outcome == OUTCOME_DONE ? r.is_subtract : r.outcome != OUTCOME_CANCELLED;
    } else if (command->kind == RECORD_CHUNK) {
        is_fit = r.outcome == OUTCOME_OTHER;
    }
    if (!is_fit) {
        misfit(a, STORE_STOCK, id, "records that this command cannot have", 1, 0);
    }
    struct slice item = {NULL, 0}, gen, first = r.lines;
    int64_t pieces;
    if (!is_old && is_fit && command->kind == RECORD_TAKE) {
        record_taken_next(&first, &item, &pieces, &gen);
        struct book_saga *s = saga_of(a, command, "item", item, &is_new);
        if (s != NULL) {
            saga_set_take(s, &r, &a->scratch);
        }
    } else if (!is_old && r.outcome == OUTCOME_DONE) {
        is_new = book_plain(&a->book.items, &command->key);
    }
    if (r.outcome == OUTCOME_DONE && is_new) {
        struct slice rest = r.lines;
        while (record_taken_next(&rest, &item, &pieces, &gen)) {
            book_take(&a->book.items, item, gen, pieces, is_old);
        }
    }
}

static void enter_order(struct audit *a, const struct record_command *command, struct slice id,
                        struct slice record, bool is_old)
{
    struct record_order r;
    int64_t attempt;
    struct record_key saga;
    if (!record_order_parse(record, &r) || command->attempt != 0) {
        misfit(a, STORE_ORDER, id, "records that cannot be read", 1, 0);
        return;
    }
    if (command->kind == RECORD_CHUNK) {
        int64_t ms = record_key_ms(&command->key);
        a->book.batch_ms = ms > a->book.batch_ms ? ms : a->book.batch_ms;
        return;
    }
    /* begun with another saga's id: a request that attached to it */
    if (is_old || r.kind == ORDER_OTHER ||
        (r.kind == ORDER_BEGUN &&
         !(record_key_parse(r.saga, &saga) && record_key_equal(&saga, &command->key)))) {
        return;
    }
    struct book_saga *s = book_saga(&a->book, &command->key);
    s->order = book_entity(&a->book.orders, r.order);
    if (r.kind == ORDER_BEGUN) {
        s->flags |= SAGA_HAS_BEGUN;
        return;
    }
    s->flags |= SAGA_HAS_ENDED;
    if (record_state_parse(r.state) != STATE_FAILED || !slice_int64(r.attempt, &attempt) ||
        attempt < 1 || attempt > UINT32_MAX) {
        misfit(a, STORE_ORDER, id, "records that cannot be read", 1, 0);
    } else if (s->state == STATE_NONE) {
        s->state = STATE_FAILED;
        s->attempt = (uint32_t)attempt;
    }
}

void reading_enter(struct audit *a, enum audit_store store, const struct bucket *bucket,
                   struct slice id, struct slice record)
{
    struct record_command command;
    if (!record_command_parse(id, &command)) {
        misfit(a, store, id, "commands that are none of ours", 1, 0);
        return;
    }
    if (record_key_bucket(&command.key) != bucket->number) {
        misfit(a, store, id, "in the bucket", bucket->number, record_key_bucket(&command.key));
    }
    switch (store) {
    case STORE_ORDER:
        enter_order(a, &command, id, record, bucket->is_old);
        break;
    case STORE_STOCK:
        enter_stock(a, &command, id, record, bucket->is_old);
        break;
    default:
        enter_payment(a, &command, id, record, bucket->is_old);
    }
}

/* ---- one user or item: left, given, gen ---- */

void reading_enter_entity(struct audit *a, enum audit_store store, uint32_t entity,
                          struct texts reply, unsigned at)
{
    struct book_ledger *l = store == STORE_PAYMENT ? &a->book.users : &a->book.items;
    struct slice left = texts_at(reply, at), given = texts_at(reply, at + 1);
    if (left.data == NULL && given.data == NULL) {
        return; /* there is none, and book_entity.current says so */
    }
    if (!book_set(l, entity, left, given, texts_at(reply, at + 2))) {
        struct fault fault = {.check = CHECK_C2, .text = "amounts that cannot be read", .found = 1};
        report_add(&a->report, &fault, (struct slice){0}, (struct slice){0}, l->what,
                   slice_from(book_entity_name(l, entity)));
    }
}
