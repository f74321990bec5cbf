/* Calls of the order library, as the order service makes them, for the tests of test/live. */
#ifndef KASSA_TEST_ORDERS_H
#define KASSA_TEST_ORDERS_H

#include "test/lib/rig.h"

/* The parts of a saga's record, outcome|order|journal (saga/journal.lua). */
enum {
    RECORD_OUTCOME,
    RECORD_ORDER,
    RECORD_SAGA,
    RECORD_ATTEMPT,
    RECORD_STATE,
    RECORD_DUE_MS,
    RECORD_RETRIES,
    RECORD_REASON,
    RECORD_WAITERS,
    RECORD_USER,
    RECORD_TOTAL,
    RECORD_LINES,
    RECORD_STORY,
    RECORD_PARTS,
};

#define ORDERS_NOW_MS    INT64_C(1733754220544)
#define ORDERS_LINES_MAX 3
#define ORDERS_LATE_MS   INT64_C(900000)

/* A part of the n-th record of the last reply, which may be an outcome alone: "" for what is not
 * there. Good as text_of's. */
const char *orders_at(struct rig *s, unsigned n, unsigned part);
/* The same of the journal that lies in the order. */
const char *orders_journal_at(struct rig *s, const char *order, unsigned part);

/* Each gives the first record's outcome; the rest is in orders_at and rig_at. */
const char *orders_create(struct rig *s, const char *id, const char *order, const char *user);
const char *orders_find(struct rig *s, const char *order);
const char *orders_add(struct rig *s, const char *id, const char *order, const char *item,
                       const char *pieces, const char *cost);
const char *orders_init(struct rig *s, const char *id, int end, int items, int users,
                        const char *cost, int seed);
/* The request is also the name of its waiter, at gateway gw. */
const char *orders_checkout(struct rig *s, const char *request, const char *order, int64_t now_ms);
void orders_checkout_build(struct args *c, const char *request, const char *order);
/* saga/journal's compare-and-set, between states by name; due a second later. */
const char *orders_move(struct rig *s, const char *order, const char *saga, const char *attempt,
                        const char *from, const char *to, const char *reason, int64_t now_ms);
/* Of user u: two of item i, for 10. */
void orders_with_line(struct rig *s, const char *order);
/* From CHARGING to an end: PAID by way of CANCELLING, or FAILED; some ms after ORDERS_NOW_MS. */
void orders_pay(struct rig *s, const char *order, const char *saga, const char *attempt);
void orders_fail(struct rig *s, const char *order, const char *saga, const char *attempt,
                 const char *reason);
/* As SAGA_RESEND_MS 1000 and SAGA_RESEND_MAX_MS 5000. The number of records handed out. */
unsigned orders_lease(struct rig *s, int64_t now_ms, int64_t limit);

#endif
