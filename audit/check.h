/* The checks, pure: from what was read to what is wrong with it.
 *
 *   C1  credit + charges - refunds + payments = funded; quantity + taken + subtracted = added
 *   C2  nothing below zero
 *   C3  charged and not refunded <=> all lines taken <=> PAID; amounts and lines are the order's;
 *       while a saga is open, only what its state allows
 *   C5  one effect for each command id: no record twice, none for another attempt, none that no
 *       saga wants, none where it does not belong
 *   FOLDED  of sagas whose records were dropped, by their sums: charged and not refunded = all
 *       lines taken = PAID, for each period of time
 *   OPEN  the index of open sagas is exactly the journals that are open
 * Source: protocol.md, "Charge first, take stock last", "The refund comes before the refusal", "The
 * states"; operations.md, "The audit"; RECORD_STATES. */
#ifndef KASSA_AUDIT_CHECK_H
#define KASSA_AUDIT_CHECK_H

#include "audit/book.h"

/* X(check, name, what it proves) */
#define CHECKS(X)                                                                                  \
    X(C1, "C1", "what was given is there or accounted for, per user, item and generation")         \
    X(C2, "C2", "nothing is below zero")                                                           \
    X(C3, "C3", "charged and not refunded = all lines taken = PAID, per saga")                     \
    X(C5, "C5", "one effect for each command, and a saga for each effect")                         \
    X(FOLDED, "folded", "C3 of what was dropped, by its sums, per period of time")                 \
    X(OPEN, "open", "the index of open sagas = the journals that are open")

enum check {
#define X(check, name, what) CHECK_##check,
    CHECKS(X)
#undef X
        CHECK_COUNT
};
const char *check_name(enum check check);
const char *check_what(enum check check);

/* What a fault is about, besides its saga. */
enum fault_entity { FAULT_ORDER, FAULT_USER, FAULT_ITEM };

struct fault {
    enum check check;
    enum fault_entity entity;
    const char *text; /* what is wrong: of `found`, which should be `wanted` */
    __int128 found, wanted;
};

#define FAULTS_MAX 6

/* C3 and C5 of one saga, as it stands. The number of faults. */
unsigned check_saga(const struct book_saga *s, struct fault ret_faults[FAULTS_MAX]);

/* C1 and C2 of one entity, as it stands. */
unsigned check_entity(const struct book_ledger *l, uint32_t entity,
                      struct fault ret_faults[FAULTS_MAX]);

/* What the sweep has summed up of a period (idempotency/folded.lua). */
enum { SUM_SAGAS, SUM_IDS, SUM_CREDITS, SUM_PIECES, SUM_UNKNOWN, SUMS };
#define SUM_MODULUS INT64_C(1000000000000000)

/* FOLDED of one period: the sums of the orders' store, of payment's and of stock's. */
unsigned check_folded(const int64_t paid[SUMS], const int64_t charged[SUMS],
                      const int64_t taken[SUMS], struct fault ret_faults[FAULTS_MAX]);

/* Decimal; 40 digits and a sign are enough for each. */
#define CHECK_DIGITS 48
void check_number(__int128 value, char ret_text[CHECK_DIGITS]);

#endif
