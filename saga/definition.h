/* What a saga is made of: a table of steps, with the commands of each. The engine reads
 * nothing else: such a table, and a library with its entity (journal.lua), make a
 * saga.
 *
 *   rows      the steps: names of states, commands, participants             (step.h, pure)
 *   fields    which part of the frozen entity fills which field of a command (command.h)
 *   answers   which event an answer of a participant is
 *   ends      what the waiters get
 *
 * Source: protocol.md, "Principles", "The states". */
#ifndef KASSA_SAGA_DEFINITION_H
#define KASSA_SAGA_DEFINITION_H

#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "store/library.h"

#define SAGA_STEPS_MAX  8
#define SAGA_FIELDS_MAX 4

/* A field of a message, and the part of the frozen entity that it has; SAGA_FIELD_NONE ends them.
 */
struct saga_field {
    enum message_field field;
    unsigned part;
};
#define SAGA_FIELD_NONE                                                                            \
    {                                                                                              \
        MESSAGE_FIELD_COUNT, 0                                                                     \
    }

/* A step. The first one without compensation is the pivot: once it has
 * acted the saga only goes forward. It must have a cancel; steps after it refuse nothing and
 * need none. */
struct saga_row {
    const char *name;   /* in command ids: saga:attempt:<name> */
    const char *acting; /* names of the states, as they stand in the journal; NULL: there is no
                         * such state, because the step before passes this one on */
    const char *compensating; /* NULL: cannot be undone */
    const char *cancelling;   /* NULL: cancelled by its compensation */
    const char *stuck;        /* its compensation does not succeed; NULL: has none */
    int action;               /* message types; 0: none */
    int compensation;
    int cancel;
    bool passes_on; /* the participant sends the next step's action when it has acted */

    const char *participant; /* the service that carries it out */
    enum queue queue;
    struct saga_field fields[SAGA_FIELDS_MAX + 1];      /* of its action */
    struct saga_field undo_fields[SAGA_FIELDS_MAX + 1]; /* of its compensation */
};

/* X(name, wire, meaning) */
#define SAGA_EVENTS(X)                                                                             \
    X(ACTED, "acted", "the step's action is done, durably")                                        \
    X(REFUSED, "refused", "the step's action was refused, for good")                               \
    X(COMPENSATED, "compensated", "the step's action is undone, or will never be done")            \
    X(CANCELLED, "cancelled", "the step's action was not done and never will be")                  \
    X(DUE, "due", "no answer yet: send the outstanding command again")                             \
    X(CANCEL, "cancel", "give the saga up: its deadline has passed, or an operator says so")       \
    X(STICK, "stick", "too many retries: raise the alarm and keep retrying")

enum saga_event_kind {
#define X(name, wire, meaning) SAGA_EVENT_##name,
    SAGA_EVENTS(X)
#undef X
        SAGA_EVENT_COUNT
};

struct saga_answer {
    enum message_type type;
    enum saga_event_kind kind;
};

/* The saga's fixed names in the store. */
struct journal {
    const struct library *library;
    const char *entity_prefix; /* of the entity's key: KEY.order_order */
    unsigned frozen_count;
};

struct saga_definition {
    const char *name;
    const char *completed; /* state names of the ends */
    const char *aborted;
    const struct saga_row *rows;
    unsigned row_count;

    enum message_field entity; /* in which messages name the entity */
    struct journal journal;
    const struct saga_answer *answers;
    unsigned answer_count;
    enum message_type
        completion; /* that tells a gateway of the good end; the other one is refused */
    struct saga_field completion_fields[SAGA_FIELDS_MAX + 1];
};

/* Checks a definition's rules; NULL when it is sound, else a sentence: which step, and what is
 * wrong with it. Borrowed until the next call with the same `text`. */
const char *saga_definition_fault(const struct saga_definition *def, struct buf *text);

#endif
