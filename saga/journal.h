/* The saga journal as the orchestrator sees it: calls of its function library, sagas as records.
 *
 * The journal is the truth; nothing about a saga is kept in the process. It is one text in the hash
 * of its entity. saga/journal.lua does the work inside the store; a library built on it
 * (order/order.lua) has the functions <library>_advance, which takes a row for each saga, and
 * <library>_lease, with key <library>:open.
 * Source: protocol.md, "The journal is the truth", "Command ids are deterministic", "The
 * journal". */
#ifndef KASSA_SAGA_JOURNAL_H
#define KASSA_SAGA_JOURNAL_H

#include "saga/step.h"
#include "store/store.h"

#define JOURNAL_FROZEN_MAX 4

/* A saga as the store returns it: one text. All slices are borrowed from it. */
struct journal_record {
    struct slice outcome; /* moved, stale, due, begun, running, paid, .. */
    struct slice entity;  /* "" or absent: the outcome is all there is */
    struct slice saga;
    struct slice attempt;
    struct slice state;
    struct slice due_ms; /* 0: ended */
    struct slice retries;
    struct slice reason;
    struct slice waiters; /* gateway/request,.. */
    struct slice frozen[JOURNAL_FROZEN_MAX];
    struct slice story;    /* state:wall_ms:retries,.. */
    struct slice began_ms; /* of its first entry */
};

/* The record of a text: outcome|entity|journal, or an outcome alone. What is missing is absent. */
struct journal_record journal_record_read(const struct journal *journal, struct slice text);
/* The n-th record of a reply, which has one in each of its texts. Errors: false: there is none. */
bool journal_record_at(const struct journal *journal, struct texts reply, unsigned n,
                       struct journal_record *ret_record);

/* Begins the call of <library><what>, as journal.lua names them: keys and arguments follow. */
void journal_call(const struct journal *journal, const char *what, int key_count, struct args *c);

/* True when the saga has ever been in the state of that name. */
bool journal_has_entered(const struct journal_record *record, const char *state);

/* Builds the compare-and-set of a saga from `from` to `to`, due after resend_ms unless it ends
 * there: a row (args_row_begins). The reply is its record; the outcome is moved or stale. Errors:
 * -ERR_FIELD (POISON), from once_bucket. */
struct journal_move {
    struct slice entity;
    struct slice saga;
    struct slice attempt;
    struct saga_state from;
    struct saga_state to;
    struct slice reason; /* "" keeps what is there */
    int64_t resend_ms;
};
int journal_advance(const struct journal *journal, const struct saga_definition *def,
                    const struct journal_move *move, struct args *ret_command);

/* Builds the lease of at most `limit` due sagas. The reply is the time of the store, in ms since
 * 1970, then their records. A saga with an unreadable journal comes without its parts. */
void journal_lease(const struct journal *journal, int64_t limit, int64_t resend_ms,
                   int64_t resend_max_ms, struct args *ret_command);

#endif
