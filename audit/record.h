/* The records of the stores, as texts, and what they mean. Pure.
 *
 * Source: protocol.md, "Command ids", "Once-records", "The journal"; payment.lua, stock.lua,
 * order.lua. */
#ifndef KASSA_AUDIT_RECORD_H
#define KASSA_AUDIT_RECORD_H

#include "runtime/buf.h"

/* A UUID in 16 bytes: a saga, a request. */
struct record_key {
    unsigned char bytes[16];
};
bool record_key_parse(struct slice text, struct record_key *ret_key); /* lower case only */
void record_key_text(const struct record_key *key, char ret_text[37]);
bool record_key_equal(const struct record_key *a, const struct record_key *b);
int64_t record_key_ms(const struct record_key *key);
int64_t record_key_bucket(const struct record_key *key); /* idempotency/once.h */

/* For names: equal texts have equal hashes, different ones differ for all we will ever see. */
uint64_t record_hash(struct slice text);

enum record_kind {
    RECORD_PLAIN,  /* <uuid> */
    RECORD_CHUNK,  /* <uuid>:<n> */
    RECORD_CHARGE, /* <saga>:<attempt>:charge */
    RECORD_REFUND, /* <saga>:<attempt>:charge-undo */
    RECORD_TAKE,   /* <saga>:<attempt>:take */
};
struct record_command {
    enum record_kind kind;
    struct record_key key;
    uint32_t attempt; /* 0: not a saga's */
};
/* Errors: false for what is no command id of ours. */
bool record_command_parse(struct slice id, struct record_command *ret_command);

/* Of a saga's command. NONE: there is no record. */
enum record_outcome {
    OUTCOME_NONE,
    OUTCOME_DONE,      /* charged, refunded with an amount, taken */
    OUTCOME_REFUSED,   /* refused; of a refund: there was nothing to give back */
    OUTCOME_CANCELLED, /* a tombstone */
    OUTCOME_OTHER,     /* an answer without an effect, to a command outside sagas */
};

struct record_payment {
    enum record_outcome outcome;
    bool is_refund, is_payment; /* else a charge, when it is DONE */
    struct slice user, gen;
    int64_t amount;
    uint64_t tail; /* hash of user|amount|gen */
};
/* Errors: false for a record that payment.lua does not write. */
bool record_payment_parse(struct slice record, struct record_payment *ret_payment);

struct record_stock {
    enum record_outcome outcome;
    bool is_subtract; /* else a take, when it is DONE */
    struct slice lines;
};
bool record_stock_parse(struct slice record, struct record_stock *ret_stock);
/* item*pieces*gen,.. */
bool record_taken_next(struct slice *rest, struct slice *ret_item, int64_t *ret_pieces,
                       struct slice *ret_gen);
/* item*pieces,.. */
bool record_line_next(struct slice *rest, struct slice *ret_item, int64_t *ret_pieces);

enum record_order_kind { ORDER_OTHER, ORDER_BEGUN, ORDER_ENDED };
struct record_order {
    enum record_order_kind kind;
    struct slice order, saga, attempt, state;
};
bool record_order_parse(struct slice record, struct record_order *ret_order);

/* The beginning of an order's journal (saga/journal.lua): its saga, attempt, state. Absent ones
 * when there is none, or one that is torn. */
#define JOURNAL_PARTS 11
void record_journal_cut(struct slice journal, struct slice ret_head[3]);

/* X(state, charge must, take must, is open). YES, NO, or MAY. The states of checkout/checkout.c. */
#define RECORD_STATES(X)                                                                           \
    X(CHARGING, MAY, MAY, true)                                                                    \
    X(CANCELLING, MAY, MAY, true)                                                                  \
    X(REFUNDING, MAY, NO, true)                                                                    \
    X(STUCK, MAY, NO, true)                                                                        \
    X(PAID, YES, YES, false)                                                                       \
    X(FAILED, NO, NO, false)

enum record_state {
    STATE_NONE, /* no journal speaks of the saga */
#define X(state, charge, take, is_open) STATE_##state,
    RECORD_STATES(X)
#undef X
        STATE_GONE, /* its order was paid, and made anew by a batch since */
    STATE_COUNT
};
enum record_state record_state_parse(struct slice state); /* STATE_NONE for an unknown one */
const char *record_state_text(enum record_state state);
bool record_state_is_open(enum record_state state);

#endif
