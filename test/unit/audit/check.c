/* The audit's rules against the engine's: every combination of journal and records that the saga
 * can be in passes, and no other does (audit/check). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "audit/check.h"
#include "checkout/checkout.h"
#include "saga/step.h"

enum { ROW_CHARGE, ROW_TAKE };
enum { SENT_CHARGE = 1, SENT_REFUND = 2, SENT_TAKE = 4, SENT_CANCEL = 8, SENT_ALL = 16 };

/* A saga and its records; any command that was sent may arrive at any later time, again too. */
struct model {
    struct saga_state state;
    unsigned charge, refund, take, sent;
};

static bool has_seen[STATE_COUNT][4][4][4][SENT_ALL];
static bool is_reachable[STATE_COUNT][4][4][4];

static void explore(struct model m);

static void arrive(struct model m)
{
    for (unsigned outcome = OUTCOME_DONE; outcome <= OUTCOME_REFUSED; outcome++) {
        struct model charged = m, taken = m;
        charged.charge = outcome;
        charged.sent |= outcome == OUTCOME_DONE ? SENT_TAKE : 0; /* payment passes it on */
        taken.take = outcome;
        if ((m.sent & SENT_CHARGE) != 0 && m.charge == OUTCOME_NONE) {
            explore(charged);
        }
        if ((m.sent & SENT_TAKE) != 0 && m.take == OUTCOME_NONE) {
            explore(taken);
        }
    }
    struct model refunded = m, cancelled = m;
    if ((m.sent & SENT_REFUND) != 0 && m.refund == OUTCOME_NONE) {
        refunded.charge = m.charge == OUTCOME_NONE ? OUTCOME_CANCELLED : m.charge;
        refunded.refund = m.charge == OUTCOME_DONE ? OUTCOME_DONE : OUTCOME_REFUSED;
        explore(refunded);
    }
    if ((m.sent & SENT_CANCEL) != 0 && m.take == OUTCOME_NONE) {
        cancelled.take = OUTCOME_CANCELLED;
        explore(cancelled);
    }
}

static void happen(struct model m, enum saga_event_kind kind, unsigned row)
{
    struct saga_output output;
    if (saga_step(&checkout_definition, m.state, (struct saga_event){kind, row}, &output) == 0) {
        m.state = output.next;
        m.sent |= output.send == MESSAGE_PAYMENT_CHARGE   ? SENT_CHARGE
                  : output.send == MESSAGE_PAYMENT_REFUND ? SENT_REFUND
                  : output.send == MESSAGE_STOCK_TAKE     ? SENT_TAKE
                  : output.send == MESSAGE_STOCK_CANCEL   ? SENT_CANCEL
                                                          : 0;
        explore(m);
    }
}

/* A participant's store loses records, and what the replay says is carried out there at once. A
 * charge and a take that stood are not refused when they come again. */
static void replay(struct model m, unsigned row)
{
    struct saga_output again;
    if (saga_replay(&checkout_definition, m.state, row, &again) != 0 ||
        (row == ROW_TAKE && (m.sent & SENT_TAKE) == 0)) {
        return;
    }
    if (again.send == MESSAGE_PAYMENT_CHARGE) {
        m.charge = m.charge == OUTCOME_NONE ? OUTCOME_DONE : m.charge;
        m.sent |= m.charge == OUTCOME_DONE ? SENT_TAKE : 0;
    } else if (again.send == MESSAGE_PAYMENT_REFUND) {
        m.charge = m.charge == OUTCOME_NONE ? OUTCOME_CANCELLED : m.charge;
        m.refund = m.charge == OUTCOME_DONE ? OUTCOME_DONE : OUTCOME_REFUSED;
    } else if (again.send == MESSAGE_STOCK_TAKE) {
        m.take = m.take == OUTCOME_NONE ? OUTCOME_DONE : m.take;
    } else {
        m.take = m.take == OUTCOME_NONE ? OUTCOME_CANCELLED : m.take;
    }
    explore(m);
}

static void lose(struct model m)
{
    struct model without_take = m;
    without_take.take = OUTCOME_NONE;
    replay(without_take, ROW_TAKE);
    m.refund = OUTCOME_NONE;
    replay(m, ROW_CHARGE);
    m.charge = OUTCOME_NONE;
    replay(m, ROW_CHARGE);
}

static unsigned state_of(const struct model *m)
{
    unsigned state =
        record_state_parse(slice_from(saga_state_text(&checkout_definition, m->state)));
    assert_int_not_equal(state, STATE_NONE); /* the audit knows every state of the saga */
    return state;
}

static void explore(struct model m)
{
    unsigned state = state_of(&m);
    bool *seen = &has_seen[state][m.charge][m.refund][m.take][m.sent];
    if (*seen) {
        return;
    }
    *seen = true;
    is_reachable[state][m.charge][m.refund][m.take] = true;
    arrive(m);
    lose(m);
    if (m.charge != OUTCOME_NONE) {
        happen(m, m.charge == OUTCOME_DONE ? SAGA_EVENT_ACTED : SAGA_EVENT_REFUSED, ROW_CHARGE);
    }
    if (m.refund != OUTCOME_NONE) {
        happen(m, SAGA_EVENT_COMPENSATED, ROW_CHARGE);
    }
    if (m.take != OUTCOME_NONE) {
        happen(m,
               m.take == OUTCOME_DONE      ? SAGA_EVENT_ACTED
               : m.take == OUTCOME_REFUSED ? SAGA_EVENT_REFUSED
                                           : SAGA_EVENT_CANCELLED,
               ROW_TAKE);
    }
    happen(m, SAGA_EVENT_CANCEL, 0);
    happen(m, SAGA_EVENT_STICK, 0);
}

static struct book_saga saga_in(unsigned state, unsigned charge, unsigned refund, unsigned take)
{
    unsigned once = state == STATE_FAILED ? SAGA_HAS_ENDED : SAGA_HAS_BEGUN;
    return (struct book_saga){
        .state = (uint8_t)state,
        .charge = (uint8_t)charge,
        .refund = (uint8_t)refund,
        .take = (uint8_t)take,
        .flags = (uint8_t)(SAGA_HAS_JOURNAL | SAGA_HAS_USER | once),
        .attempt = 1,
        .total = 10,
        .amount = 10,
        .pieces = 3,
        .taken_pieces = 3,
    };
}

/* 7 states x 4 charges x 4 refunds x 4 takes: reachable and clean are the same. */
static void reachable_is_clean(void **state)
{
    struct fault faults[FAULTS_MAX];
    unsigned reachable = 0;
    (void)state;
    explore((struct model){.state = saga_begin(&checkout_definition).next, .sent = SENT_CHARGE});
    for (unsigned n = 0; n < STATE_COUNT * 64; n++) {
        unsigned now = n / 64, charge = n / 16 % 4, refund = n / 4 % 4, take = n % 4;
        if (now == STATE_NONE || now == STATE_GONE) {
            continue;
        }
        struct book_saga s = saga_in(now, charge, refund, take);
        bool is_clean = check_saga(&s, faults) == 0;
        reachable += is_reachable[now][charge][refund][take];
        if (is_clean != is_reachable[now][charge][refund][take]) {
            fail_msg("%s, charge %u, refund %u, take %u: %s", record_state_text(now), charge,
                     refund, take, is_clean ? "clean, but cannot be" : "can be, but not clean");
        }
    }
    assert_in_range(reachable, 20, 50);
}

/* Who was charged how much, what was taken, what was refunded: the order's, all of it. */
static void amounts_and_lines(void **state)
{
    struct fault faults[FAULTS_MAX];
    (void)state;
    struct book_saga s = saga_in(STATE_PAID, OUTCOME_DONE, OUTCOME_NONE, OUTCOME_DONE);
    assert_int_equal(check_saga(&s, faults), 0);
    s.amount = 11;
    assert_int_equal(check_saga(&s, faults), 1);
    assert_true(faults[0].found == 11 && faults[0].wanted == 10);
    s.amount = 10;
    s.charged_user = 7;
    assert_int_equal(check_saga(&s, faults), 1);
    s.charged_user = 0;
    s.taken_lines = 7;
    assert_int_equal(check_saga(&s, faults), 1);
    s = saga_in(STATE_FAILED, OUTCOME_DONE, OUTCOME_DONE, OUTCOME_REFUSED);
    s.amount = 99; /* the order may have changed since it failed */
    assert_int_equal(check_saga(&s, faults), 0);
    s.refund_tail = 7;
    assert_int_equal(check_saga(&s, faults), 1);
    s = saga_in(STATE_PAID, OUTCOME_NONE, OUTCOME_NONE, OUTCOME_NONE);
    s.pieces = 0; /* an order without lines is paid without commands */
    assert_int_equal(check_saga(&s, faults), 0);
}

/* Numbers beyond 64 bits, and the smallest one, are printed as they are. */
static void numbers(void **state)
{
    char text[CHECK_DIGITS];
    (void)state;
    check_number(0, text);
    assert_string_equal(text, "0");
    check_number((__int128)INT64_MAX * 10 + 3, text);
    assert_string_equal(text, "92233720368547758073");
    check_number(-(__int128)INT64_MAX - 2, text);
    assert_string_equal(text, "-9223372036854775809");
    check_number(-((__int128)1 << 126) - ((__int128)1 << 126), text);
    assert_string_equal(text, "-170141183460469231731687303715884105728");
}

/* What was taken from an earlier generation does not count. */
static void generations(void **state)
{
    struct book b;
    struct fault faults[FAULTS_MAX];
    (void)state;
    book_init(&b);
    struct slice name = SLICE_TEXT("7"), old = SLICE_TEXT("a"), now = SLICE_TEXT("b");
    book_take(&b.users, name, old, 5, false);
    book_take(&b.users, name, now, 3, false);
    book_take(&b.users, name, now, 2, true);
    uint32_t user = book_entity(&b.users, name);
    assert_int_equal(check_entity(&b.users, user, faults), 1); /* nobody has made it */
    assert_true(book_set(&b.users, user, SLICE_TEXT("95"), SLICE_TEXT("100"), now));
    assert_int_equal(check_entity(&b.users, user, faults), 0);
    book_forget_old(&b.users);
    assert_int_equal(check_entity(&b.users, user, faults), 1);
    assert_true(faults[0].found == 98 && faults[0].wanted == 100);
    assert_false(book_set(&b.users, user, SLICE_TEXT("x"), SLICE_TEXT("100"), now));
    book_free(&b);
}

/* Sums of a period: as much charged and taken as was paid, by the same sagas; whatever differs is
 * named with what it should be, also where the sums have gone round. */
static void sums(void **state)
{
    static const int64_t paid[SUMS] = {3, 700, 30, 4, 0};
    static const struct {
        int64_t charged[SUMS], taken[SUMS], unknown;
        unsigned faults;
        int64_t found;
    } rows[] = {
        {{3, 700, 30}, {3, 700, 0, 4}, 0, 0, 0},
        {{4, 900, 40}, {3, 700, 0, 4}, 0, 2, 4},               /* charged twice */
        {{3, 700, 29}, {3, 700, 0, 4}, 0, 1, 29},              /* too little */
        {{3, 701, 30}, {3, 700, 0, 4}, 0, 1, 1},               /* one twice, another not at all */
        {{3, 700, 30}, {2, 600, 0, 4}, 0, 1, 2},               /* not taken */
        {{3, 700, SUM_MODULUS - 1}, {3, 700, 0, 4}, 0, 1, -1}, /* gone round */
        {{5, 900, 70}, {5, 900, 0, 9}, 2, 0, 0},               /* two were made anew */
        {{6, 990, 80}, {6, 990, 0, 9}, 2, 2, 6},               /* three */
        {{2, 500, 20}, {2, 500, 0, 2}, 2, 2, 2},
        {{5, 900, 70}, {4, 800, 0, 9}, 2, 1, 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fault faults[FAULTS_MAX];
        int64_t orders[SUMS];
        memcpy(orders, paid, sizeof(orders));
        orders[SUM_UNKNOWN] = rows[i].unknown;
        assert_int_equal(check_folded(orders, rows[i].charged, rows[i].taken, faults),
                         rows[i].faults);
        if (rows[i].faults > 0) {
            assert_true(faults[0].found == rows[i].found);
        }
    }
}

/* A hundred thousand names and sagas are found again. */
static void many(void **state)
{
    struct book b;
    char name[24];
    struct record_key key = {{0}};
    (void)state;
    book_init(&b);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 100000; i++) {
            int bytes = snprintf(name, sizeof(name), "%u", i);
            assert_int_equal(book_entity(&b.items, (struct slice){name, (size_t)bytes}), i);
            memcpy(key.bytes + 12, &i, sizeof(i));
            const struct book_saga *saga = book_saga(&b, &key); /* may move the others */
            assert_ptr_equal(saga, &b.sagas[i]);
            assert_int_equal(book_plain(&b.users, &key), round == 0);
        }
    }
    assert_int_equal(b.saga_count, 100000);
    book_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reachable_is_clean),
        cmocka_unit_test(amounts_and_lines),
        cmocka_unit_test(numbers),
        cmocka_unit_test(generations),
        cmocka_unit_test(sums),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
