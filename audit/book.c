/* Arrays that grow, found by open addressing: a store of millions has to fit. */
#include "audit/book.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- arrays and places ---- */

static void *grown(void *array, size_t *size, size_t count, size_t bytes)
{
    if (count < *size) {
        return array;
    }
    *size = *size == 0 ? 1024 : *size + *size / 2;
    array = realloc(array, *size * bytes);
    if (array == NULL) {
        abort(); /* as mem_new does */
    }
    return array;
}

typedef bool index_is_at(const void *owner, uint32_t place, const void *key);

static void index_grow(struct book_index *x)
{
    struct book_index old = *x;
    if (x->count * 2 < x->size) {
        return;
    }
    x->size = old.size == 0 ? 4096 : old.size * 2;
    assert(x->size <= (size_t)1 << 32); /* a tag says where an entry is to be */
    x->slots = malloc(x->size * sizeof(*x->slots));
    if (x->slots == NULL) {
        abort();
    }
    memset(x->slots, 0xff, x->size * sizeof(*x->slots));
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].place != BOOK_NONE) {
            size_t at = old.slots[i].tag & (x->size - 1);
            while (x->slots[at].place != BOOK_NONE) {
                at = (at + 1) & (x->size - 1);
            }
            x->slots[at] = old.slots[i];
        }
    }
    free(old.slots);
}

/* The slot that has the key, or is to have it: its tag is set then. */
static uint32_t *index_slot(const struct book_index *x, const void *owner, uint64_t hash,
                            index_is_at *is_at, const void *key)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    size_t at = tag & (x->size - 1);
    while (x->slots[at].place != BOOK_NONE &&
           !(x->slots[at].tag == tag && is_at(owner, x->slots[at].place, key))) {
        at = (at + 1) & (x->size - 1);
    }
    x->slots[at].tag = tag;
    return &x->slots[at].place;
}

/* ---- entities ---- */

const char *book_entity_name(const struct book_ledger *l, uint32_t entity)
{
    return l->names.data + l->entities[entity].name_at;
}

static bool entity_is(const void *owner, uint32_t place, const void *key)
{
    return slice_is(*(const struct slice *)key, book_entity_name(owner, place));
}

uint32_t book_entity(struct book_ledger *l, struct slice name)
{
    index_grow(&l->index);
    uint32_t *slot = index_slot(&l->index, l, record_hash(name), entity_is, &name);
    if (*slot != BOOK_NONE) {
        return *slot;
    }
    l->entities = grown(l->entities, &l->entity_size, l->entity_count, sizeof(*l->entities));
    l->entities[l->entity_count] =
        (struct book_entity){.name_at = l->names.bytes, .first = BOOK_NONE, .current = BOOK_NONE};
    buf_add_slice(&l->names, name);
    buf_add(&l->names, "", 1);
    l->index.count++;
    *slot = (uint32_t)l->entity_count++;
    return *slot;
}

uint32_t book_account(struct book_ledger *l, uint32_t entity, struct slice gen)
{
    uint64_t hash = gen.bytes == 0 ? 0 : record_hash(gen);
    struct book_entity *e = &l->entities[entity];
    for (uint32_t i = e->first; i != BOOK_NONE; i = l->accounts[i].next) {
        if (l->accounts[i].gen == hash) {
            return i;
        }
    }
    l->accounts = grown(l->accounts, &l->account_size, l->account_count, sizeof(*l->accounts));
    l->accounts[l->account_count] = (struct book_account){.gen = hash, .next = e->first};
    e->first = (uint32_t)l->account_count++;
    return e->first;
}

bool book_set(struct book_ledger *l, uint32_t entity, struct slice left, struct slice given,
              struct slice gen)
{
    struct book_entity *e = &l->entities[entity];
    e->current = book_account(l, entity, gen);
    return slice_int64(left, &e->left) && slice_int64(given, &e->given);
}

void book_take(struct book_ledger *l, struct slice name, struct slice gen, int64_t amount,
               bool is_old)
{
    uint32_t place = book_account(l, book_entity(l, name), gen);
    struct book_account *a = &l->accounts[place];
    if (is_old) {
        a->taken_old += amount;
    } else {
        a->taken += amount;
    }
    a->is_touched = true;
}

void book_forget_old(struct book_ledger *l)
{
    for (size_t i = 0; i < l->account_count; i++) {
        l->accounts[i].taken_old = 0;
    }
}

void book_forget_touched(struct book_ledger *l)
{
    for (size_t i = 0; i < l->account_count; i++) {
        l->accounts[i].is_touched = false;
    }
}

bool book_is_touched(const struct book_ledger *l, uint32_t entity)
{
    for (uint32_t i = l->entities[entity].first; i != BOOK_NONE; i = l->accounts[i].next) {
        if (l->accounts[i].is_touched) {
            return true;
        }
    }
    return false;
}

__int128 book_explained(const struct book_ledger *l, uint32_t entity)
{
    const struct book_entity *e = &l->entities[entity];
    const struct book_account *a = &l->accounts[e->current];
    return a->taken + a->taken_old + e->left;
}

void book_ledger_free(struct book_ledger *l)
{
    buf_free(&l->names);
    free(l->index.slots);
    free(l->entities);
    free(l->accounts);
    free(l->plain.slots);
    free(l->plain_keys);
}

/* ---- sagas ---- */

void book_init(struct book *b)
{
    memset(b, 0, sizeof(*b));
    b->users.what = "user";
    b->items.what = "item";
    b->orders.what = "order";
}

void book_free(struct book *b)
{
    book_ledger_free(&b->users);
    book_ledger_free(&b->items);
    book_ledger_free(&b->orders);
    free(b->index.slots);
    free(b->sagas);
}

static uint64_t key_hash(const struct record_key *key)
{
    uint64_t high, low;
    memcpy(&high, key->bytes, sizeof(high));
    memcpy(&low, key->bytes + 8, sizeof(low));
    return (high ^ low * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool saga_is(const void *owner, uint32_t place, const void *key)
{
    return record_key_equal(&((const struct book *)owner)->sagas[place].key, key);
}

uint32_t book_saga_find(const struct book *b, const struct record_key *key)
{
    return b->index.size == 0 ? BOOK_NONE : *index_slot(&b->index, b, key_hash(key), saga_is, key);
}

struct book_saga *book_saga(struct book *b, const struct record_key *key)
{
    index_grow(&b->index);
    uint32_t *slot = index_slot(&b->index, b, key_hash(key), saga_is, key);
    if (*slot != BOOK_NONE) {
        return &b->sagas[*slot];
    }
    b->sagas = grown(b->sagas, &b->saga_size, b->saga_count, sizeof(*b->sagas));
    b->sagas[b->saga_count] = (struct book_saga){.key = *key, .order = BOOK_NONE};
    b->index.count++;
    *slot = (uint32_t)b->saga_count++;
    return &b->sagas[*slot];
}

static bool plain_is(const void *owner, uint32_t place, const void *key)
{
    return record_key_equal(&((const struct book_ledger *)owner)->plain_keys[place], key);
}

bool book_plain(struct book_ledger *l, const struct record_key *key)
{
    index_grow(&l->plain);
    uint32_t *slot = index_slot(&l->plain, l, key_hash(key), plain_is, key);
    if (*slot != BOOK_NONE) {
        return false;
    }
    l->plain_keys = grown(l->plain_keys, &l->plain_size, l->plain_count, sizeof(*l->plain_keys));
    l->plain_keys[l->plain_count] = *key;
    l->plain.count++;
    *slot = (uint32_t)l->plain_count++;
    return true;
}

bool book_is_gone(const struct book *b, const struct book_saga *s, const char *order)
{
    bool is_batch_made = order[0] != '\0' && strspn(order, "0123456789") == strlen(order);
    return (s->flags & SAGA_HAS_BEGUN) != 0 && is_batch_made &&
           b->batch_ms >= record_key_ms(&s->key);
}

bool saga_set_journal(struct book_saga *s, const struct record_journal *j)
{
    struct slice item, rest = j->lines;
    int64_t attempt, pieces;
    s->state = record_state_parse(j->state);
    s->flags |= SAGA_HAS_JOURNAL | SAGA_HAS_USER;
    s->user = record_hash(j->user);
    s->lines = record_hash(j->lines);
    s->pieces = 0;
    while (j->lines.bytes > 0 && record_line_next(&rest, &item, &pieces)) {
        s->pieces += pieces;
    }
    if (s->state == STATE_NONE || !slice_int64(j->attempt, &attempt) || attempt < 1 ||
        attempt > UINT32_MAX || !slice_int64(j->total, &s->total) ||
        (j->lines.bytes > 0 && rest.data != NULL)) {
        return false;
    }
    s->attempt = (uint32_t)attempt;
    return true;
}

void saga_set_charge(struct book_saga *s, const struct record_payment *r)
{
    s->charge = (uint8_t)r->outcome;
    s->amount = r->amount;
    s->charge_tail = r->tail;
    s->charged_user = r->user.data ? record_hash(r->user) : 0;
}

void saga_set_refund(struct book_saga *s, const struct record_payment *r)
{
    s->refund = (uint8_t)r->outcome;
    s->refund_tail = r->tail;
}

/* The lines as the order has them: without generations. */
void saga_set_take(struct book_saga *s, const struct record_stock *r, struct buf *scratch)
{
    struct slice rest = r->lines, item, gen;
    int64_t pieces;
    s->take = (uint8_t)r->outcome;
    s->taken_pieces = 0;
    buf_reset(scratch);
    while (record_taken_next(&rest, &item, &pieces, &gen)) {
        s->taken_pieces += pieces;
        buf_add_text(scratch, scratch->bytes > 0 ? "," : "");
        buf_add(scratch, item.data, (size_t)(gen.data - 1 - item.data));
    }
    s->taken_lines = record_hash(buf_slice(scratch));
}
