/* What must hold of a saga and of an entity. For each state two answers, must the order's credit
 * be charged and must its pieces be taken (RECORD_STATES), give the sentence and the numbers;
 * the table of rows below is the whole truth about which records may stand beside each other. */
#include "audit/check.h"

#include <string.h>

static const struct {
    const char *name;
    const char *what;
} checks[CHECK_COUNT] = {
#define X(check, name, what) [CHECK_##check] = {name, what},
    CHECKS(X)
#undef X
};

const char *check_name(enum check check)
{
    return checks[check].name;
}

const char *check_what(enum check check)
{
    return checks[check].what;
}

void check_number(__int128 value, char ret_text[CHECK_DIGITS])
{
    char digits[CHECK_DIGITS];
    unsigned count = 0;
    bool is_negative = value < 0;
    do {
        int digit = (int)(value % 10);
        digits[count++] = (char)('0' + (digit < 0 ? -digit : digit));
        value /= 10;
    } while (value != 0);
    if (is_negative) {
        *ret_text++ = '-';
    }
    while (count > 0) {
        *ret_text++ = digits[--count];
    }
    *ret_text = '\0';
}

/* ---- which records may stand beside each other ---- */

/* Sets of outcomes. */
enum {
    N = 1u << OUTCOME_NONE,
    D = 1u << OUTCOME_DONE,
    R = 1u << OUTCOME_REFUSED,
    C = 1u << OUTCOME_CANCELLED,
};

static const struct row {
    enum record_state state;
    unsigned charge, refund, take;
} rows[] = {
    {STATE_CHARGING, N | R, N, N},
    {STATE_CHARGING, D, N, N | D | R},   /* payment sends the take on */
    {STATE_CANCELLING, N | R, N, N | C}, /* cancelled before it was charged */
    {STATE_CANCELLING, D, N, N | D | R | C},
    {STATE_REFUNDING, D, N, R},         /* the pieces were refused */
    {STATE_REFUNDING, N | D | R, N, C}, /* or the take was cancelled */
    {STATE_REFUNDING, D, D, R | C},     /* refunded, and the journal does not know yet */
    {STATE_REFUNDING, R | C, R, C},     /* there was nothing to give back */
    {STATE_REFUNDING, C, R, R},         /* or it was lost; the replay left a tombstone */
    {STATE_PAID, D, N, D},
    {STATE_FAILED, R, N, N},
    {STATE_FAILED, D, D, R | C},
    {STATE_FAILED, R | C, R, N | C}, /* the replay undoes a refused charge, too */
    {STATE_FAILED, C, R, R},         /* the charge was lost before it was undone */
    {STATE_GONE, D, N, D},
    {STATE_GONE, N, N, N}, /* it had no lines */
};

static bool is_allowed(const struct book_saga *s)
{
    unsigned state = s->state == STATE_STUCK ? STATE_REFUNDING : s->state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].state == state && (rows[i].charge & 1u << s->charge) != 0 &&
            (rows[i].refund & 1u << s->refund) != 0 && (rows[i].take & 1u << s->take) != 0) {
            return true;
        }
    }
    return false;
}
/* ---- a saga ---- */

enum must { NO, YES, MAY };

static const struct {
    enum must charge, take;
} musts[STATE_COUNT] = {[STATE_NONE] = {NO, NO},
                        [STATE_GONE] = {MAY, MAY},
#define X(state, charge, take, is_open) [STATE_##state] = {charge, take},
                        RECORD_STATES(X)
#undef X
};

struct faults {
    struct fault *list;
    unsigned count;
};

static void fault_add(struct faults *f, enum check check, enum fault_entity entity,
                      const char *text, __int128 found, __int128 wanted)
{
    if (f->count < FAULTS_MAX) {
        f->list[f->count++] = (struct fault){check, entity, text, found, wanted};
    }
}

/* An order without lines is paid without any command. */
static bool is_empty_paid(const struct book_saga *s)
{
    return s->state == STATE_PAID && s->pieces == 0 && s->charge == OUTCOME_NONE &&
           s->refund == OUTCOME_NONE && s->take == OUTCOME_NONE;
}

/* The order is frozen as long as its saga is open, and for ever when it is paid. */
static bool is_frozen(const struct book_saga *s)
{
    return (s->flags & SAGA_HAS_USER) != 0 &&
           (s->state == STATE_PAID || record_state_is_open((enum record_state)s->state));
}

static void check_charge(const struct book_saga *s, struct faults *f)
{
    enum must must = musts[s->state].charge;
    bool is_charged = s->charge == OUTCOME_DONE && s->refund != OUTCOME_DONE;
    __int128 net = is_charged ? s->amount : 0;
    if (must == YES && !is_charged) {
        fault_add(f, CHECK_C3, FAULT_USER, "credits charged and not refunded", net, s->total);
    } else if (must == NO && is_charged) {
        fault_add(f, CHECK_C3, FAULT_USER, "credits charged and not refunded", net, 0);
    } else if (is_charged && is_frozen(s) && s->amount != s->total) {
        fault_add(f, CHECK_C3, FAULT_USER, "credits charged, and the order's total", net, s->total);
    }
    if (is_charged && is_frozen(s) && s->charged_user != s->user) {
        fault_add(f, CHECK_C3, FAULT_USER, "charges of another user than the order's", 1, 0);
    }
    if (s->refund == OUTCOME_DONE && s->charge == OUTCOME_DONE &&
        s->refund_tail != s->charge_tail) {
        fault_add(f, CHECK_C3, FAULT_USER, "refunds of another user, amount or generation", 1, 0);
    }
    if (s->refund != OUTCOME_NONE &&
        (s->state == STATE_CHARGING || s->state == STATE_CANCELLING || s->state == STATE_GONE)) {
        fault_add(f, CHECK_C3, FAULT_USER, "refunds of a saga that has not turned back", 1, 0);
    }
    if (s->refund == OUTCOME_DONE && s->charge != OUTCOME_DONE) {
        fault_add(f, CHECK_C3, FAULT_USER, "refunds without a charge", 1, 0);
    }
}

static void check_take(const struct book_saga *s, struct faults *f)
{
    enum must must = musts[s->state].take;
    bool is_taken = s->take == OUTCOME_DONE;
    __int128 pieces = is_taken ? s->taken_pieces : 0;
    if (must == YES && !is_taken) {
        fault_add(f, CHECK_C3, FAULT_ITEM, "pieces taken", 0, s->pieces);
    } else if (must == NO && is_taken) {
        fault_add(f, CHECK_C3, FAULT_ITEM, "pieces taken", pieces, 0);
    } else if (is_taken && s->charge != OUTCOME_DONE) {
        fault_add(f, CHECK_C3, FAULT_ITEM, "pieces taken and not paid for", pieces, 0);
    } else if (is_taken && is_frozen(s) && s->taken_lines != s->lines) {
        fault_add(f, CHECK_C3, FAULT_ITEM,
                  s->taken_pieces == s->pieces ? "pieces taken, of other items than the order's"
                                               : "pieces taken, and those of the order",
                  pieces, s->pieces);
    }
}

/* Records that no saga wants. */
static unsigned check_orphan(const struct book_saga *s, struct faults *f)
{
    if (s->charge == OUTCOME_DONE || s->refund == OUTCOME_DONE) {
        fault_add(f, CHECK_C5, FAULT_USER, "credits charged for a saga that no order has",
                  s->charge == OUTCOME_DONE && s->refund != OUTCOME_DONE ? s->amount : 0, 0);
    }
    if (s->take == OUTCOME_DONE) {
        fault_add(f, CHECK_C5, FAULT_ITEM, "pieces taken for a saga that no order has",
                  s->taken_pieces, 0);
    }
    if (f->count == 0 &&
        (s->charge != OUTCOME_NONE || s->refund != OUTCOME_NONE || s->take != OUTCOME_NONE)) {
        fault_add(f, CHECK_C5, FAULT_ORDER, "records of a saga that no order has", 1, 0);
    }
    if (f->count == 0) {
        fault_add(f, CHECK_C5, FAULT_ORDER, "sagas begun without a journal", 1, 0);
    }
    return f->count;
}

unsigned check_saga(const struct book_saga *s, struct fault ret_faults[FAULTS_MAX])
{
    struct faults f = {ret_faults, 0};
    if (s->state == STATE_NONE) {
        return check_orphan(s, &f);
    }
    if (is_empty_paid(s)) {
        return 0;
    }
    check_charge(s, &f);
    check_take(s, &f);
    if (f.count == 0 && !is_allowed(s)) {
        fault_add(&f, CHECK_C3, FAULT_ORDER, "records that do not fit the state", 1, 0);
    }
    if ((s->flags & SAGA_HAS_JOURNAL) != 0 && s->state != STATE_GONE) {
        bool has_ended = (s->flags & SAGA_HAS_ENDED) != 0;
        if ((s->flags & (SAGA_HAS_BEGUN | SAGA_HAS_ENDED)) == 0) {
            fault_add(&f, CHECK_C5, FAULT_ORDER, "records of the checkout that began the saga", 0,
                      1);
        } else if (has_ended != (s->state == STATE_FAILED)) {
            fault_add(&f, CHECK_C5, FAULT_ORDER, "records that the saga has failed", has_ended,
                      s->state == STATE_FAILED);
        }
    }
    return f.count;
}

/* ---- an entity ---- */

unsigned check_entity(const struct book_ledger *l, uint32_t entity,
                      struct fault ret_faults[FAULTS_MAX])
{
    struct faults f = {ret_faults, 0};
    const struct book_entity *e = &l->entities[entity];
    bool is_user = strcmp(l->what, "user") == 0;
    enum fault_entity kind = is_user ? FAULT_USER : FAULT_ITEM;
    if (e->current == BOOK_NONE) {
        __int128 taken = 0;
        for (uint32_t i = e->first; i != BOOK_NONE; i = l->accounts[i].next) {
            taken += l->accounts[i].taken + l->accounts[i].taken_old;
        }
        fault_add(&f, CHECK_C1, kind,
                  is_user ? "credits taken from a user that is not there"
                          : "pieces taken of an item that is not there",
                  taken, 0);
        return f.count;
    }
    if (book_explained(l, entity) != e->given) {
        fault_add(&f, CHECK_C1, kind,
                  is_user ? "credit + charges - refunds + payments, and funded"
                          : "quantity + taken + subtracted, and added",
                  book_explained(l, entity), e->given);
    }
    if (e->left < 0) {
        fault_add(&f, CHECK_C2, kind, is_user ? "credit" : "quantity", e->left, 0);
    }
    /* A user's may be, while the release before sweeps: it drops charges before their refunds. */
    if (e->given < 0 && !is_user) {
        fault_add(&f, CHECK_C2, kind, "added", e->given, 0);
    }
    return f.count;
}

/* ---- a period ---- */

/* What two sums differ by: they are known modulo SUM_MODULUS, and far smaller. */
static int64_t sum_difference(int64_t a, int64_t b)
{
    int64_t difference = (a - b) % SUM_MODULUS;
    if (difference > SUM_MODULUS / 2) {
        return difference - SUM_MODULUS;
    }
    return difference < -SUM_MODULUS / 2 ? difference + SUM_MODULUS : difference;
}

struct sum_texts {
    enum fault_entity entity;
    unsigned amount; /* its sum */
    const char *sagas, *amounts, *ids;
};

/* `found`, which should be `wanted` and up to `unknown` sagas more. */
static void check_sums(const struct sum_texts *t, const int64_t found[SUMS],
                       const int64_t wanted[SUMS], int64_t unknown, struct faults *f)
{
    int64_t sagas = sum_difference(found[SUM_SAGAS], wanted[SUM_SAGAS]);
    int64_t amount = sum_difference(found[t->amount], wanted[t->amount]);
    if (sagas < 0 || sagas > unknown) {
        fault_add(f, CHECK_FOLDED, t->entity, t->sagas, wanted[SUM_SAGAS] + sagas,
                  wanted[SUM_SAGAS]);
    }
    if (unknown == 0 && amount != 0) {
        fault_add(f, CHECK_FOLDED, t->entity, t->amounts, wanted[t->amount] + amount,
                  wanted[t->amount]);
    }
    if (unknown == 0 && sagas == 0 && found[SUM_IDS] != wanted[SUM_IDS]) {
        fault_add(f, CHECK_FOLDED, t->entity, t->ids, 1, 0);
    }
}

unsigned check_folded(const int64_t paid[SUMS], const int64_t charged[SUMS],
                      const int64_t taken[SUMS], struct fault ret_faults[FAULTS_MAX])
{
    static const struct sum_texts charges = {FAULT_USER, SUM_CREDITS,
                                             "sagas charged and not refunded, and those PAID",
                                             "credits charged and not refunded, and those paid",
                                             "sagas charged that are others than those PAID"};
    static const struct sum_texts takes = {FAULT_ITEM, SUM_PIECES, "sagas taken, and those PAID",
                                           "pieces taken, and those of the paid orders",
                                           "sagas taken that are others than those PAID"};
    struct faults f = {ret_faults, 0};
    check_sums(&charges, charged, paid, paid[SUM_UNKNOWN], &f);
    check_sums(&takes, taken, paid, paid[SUM_UNKNOWN], &f);
    if (f.count == 0 && paid[SUM_UNKNOWN] > 0 &&
        (charged[SUM_SAGAS] != taken[SUM_SAGAS] || charged[SUM_IDS] != taken[SUM_IDS])) {
        fault_add(&f, CHECK_FOLDED, FAULT_ITEM, "sagas taken, and those charged", taken[SUM_SAGAS],
                  charged[SUM_SAGAS]);
    }
    return f.count;
}
