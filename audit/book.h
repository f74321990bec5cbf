/* What an audit has read, compactly: entities with what the records took from them, and sagas.
 *
 *   user, item   left + taken by the records of its generation = given         (C1)
 *   saga         what its journal says | what the records of its commands say  (C3, C5)
 *
 * A store of a million sagas fits into about 300 MB. Pure: no clock, no store.
 * Source: protocol.md, "Keys in the store", "Once-records", "The journal". */
#ifndef KASSA_AUDIT_BOOK_H
#define KASSA_AUDIT_BOOK_H

#include "audit/record.h"

#define BOOK_NONE UINT32_MAX /* no such entity, account or saga */

/* Places of texts or keys in arrays that grow, by hash. The tag, 32 bits of it, spares most looks
 * into the array. */
struct book_slot {
    uint32_t place; /* BOOK_NONE: free */
    uint32_t tag;
};
struct book_index {
    struct book_slot *slots;
    size_t size; /* a power of two, or 0 */
    size_t count;
};

/* What the records took from one generation of an entity. */
struct book_account {
    uint64_t gen;
    __int128 taken;
    __int128 taken_old; /* by the records that the sweep may be dropping now */
    uint32_t next;      /* of the same entity */
    bool is_touched;
};

struct book_entity {
    uint64_t name_at;
    int64_t left;
    int64_t given;
    uint32_t first;   /* account */
    uint32_t current; /* account of its generation; BOOK_NONE: the entity was not seen */
};

/* Users, or items. */
struct book_ledger {
    const char *what; /* "user" */
    struct buf names;
    struct book_index index;
    struct book_entity *entities;
    struct book_account *accounts;
    size_t entity_count, entity_size, account_count, account_size;
    struct book_index plain; /* commands outside sagas that took something */
    struct record_key *plain_keys;
    size_t plain_count, plain_size;
};

uint32_t book_entity(struct book_ledger *l, struct slice name); /* finds or makes it */
const char *book_entity_name(const struct book_ledger *l, uint32_t entity);
uint32_t book_account(struct book_ledger *l, uint32_t entity, struct slice gen);
/* What is in the store now. Errors: false for texts that are no amounts. */
bool book_set(struct book_ledger *l, uint32_t entity, struct slice left, struct slice given,
              struct slice gen);
void book_take(struct book_ledger *l, struct slice name, struct slice gen, int64_t amount,
               bool is_old);
void book_forget_old(struct book_ledger *l);
void book_forget_touched(struct book_ledger *l);
bool book_is_touched(const struct book_ledger *l, uint32_t entity);
/* left + what the records of the present generation took. */
__int128 book_explained(const struct book_ledger *l, uint32_t entity);
void book_ledger_free(struct book_ledger *l);

enum { SAGA_HAS_JOURNAL = 1, SAGA_HAS_BEGUN = 2, SAGA_HAS_ENDED = 4, SAGA_HAS_USER = 8 };

/* The state is an enum record_state, outcomes are enum record_outcome. */
struct book_saga {
    struct record_key key;
    uint32_t order;   /* entity of `orders`; BOOK_NONE: not known */
    uint32_t attempt; /* of the journal, or the first that a record has; 0: not known */
    uint8_t flags, state, charge, refund, take;
    int64_t total;                /* of the order, while it is frozen */
    int64_t amount;               /* of the charge */
    int64_t pieces, taken_pieces; /* of all lines: frozen, taken */
    uint64_t user, charged_user;  /* hashes of names */
    uint64_t charge_tail, refund_tail;
    uint64_t lines, taken_lines;
};

struct book {
    struct book_ledger users, items, orders; /* of orders only the names */
    struct book_index index;
    struct book_saga *sagas;
    size_t saga_count, saga_size;
    int64_t batch_ms; /* the newest batch of orders; 0: none. Batches make ended orders anew */
};

void book_init(struct book *b);
void book_free(struct book *b);
/* Finds or makes it. Borrowed until the next is made. */
struct book_saga *book_saga(struct book *b, const struct record_key *key);
uint32_t book_saga_find(const struct book *b, const struct record_key *key);
/* false when this command was entered before. */
bool book_plain(struct book_ledger *l, const struct record_key *key);

/* A saga that has begun, has not failed, and is not its order's any more: paid, and then the order
 * was made anew by a batch. Only the orders of batches can be: "0", "1", .. */
bool book_is_gone(const struct book *b, const struct book_saga *s, const char *order);

/* What one text of a store says about a saga. */
struct record_journal {
    struct slice saga, attempt, state, user, total, lines;
};
/* Errors: false when the journal cannot be read. */
bool saga_set_journal(struct book_saga *s, const struct record_journal *j);
void saga_set_charge(struct book_saga *s, const struct record_payment *r);
void saga_set_refund(struct book_saga *s, const struct record_payment *r);
void saga_set_take(struct book_saga *s, const struct record_stock *r, struct buf *scratch);

#endif
