/* An operator gives a saga up. Nobody guesses: the journal moves to the way back only
 * from where there is one, and the participants then undo, or answer that it is too late.
 *
 *   round 0: look --ended--> 409     round 1: compare-and-set --moved--> refund or stock.cancel
 *              |--on its way back--> 202                         |--overtaken--> look again
 *              '--can be cancelled--> round 1
 * Source: protocol.md, "Re-send, lease, deadline". */
#include <stdio.h>

#include "consumer/answer.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "saga/driver.h"

#define ATTEMPT_BYTES    24
#define REASON_CANCELLED "the %s was cancelled"
#define LOOKS_MAX        4

/* What it remembers from one round to the next. */
struct cancel {
    enum { CANCEL_LOOKS, CANCEL_MOVES } phase;
    unsigned looks;
    struct saga_state from; /* as it was seen, with the next two */
    char entity[ID_BYTES_MAX + 1];
    char attempt[ATTEMPT_BYTES];
};

int driver_cancel_record(struct consumer_work *work, struct args *call)
{
    struct driver *d = driver_of(work);
    const struct cancel *cancel = consumer_scratch(work, struct cancel);
    char reason[sizeof(REASON_CANCELLED) + ID_BYTES_MAX];
    if (cancel->phase == CANCEL_LOOKS) {
        driver_look(work, call);
        return 0;
    }
    snprintf(reason, sizeof(reason), REASON_CANCELLED, d->def->name);
    const struct journal_move move = {.entity = slice_from(cancel->entity),
                                      .saga = work->in->saga,
                                      .attempt = slice_from(cancel->attempt),
                                      .from = cancel->from,
                                      .reason = slice_from(reason)};
    int err = driver_move(d, move, (struct saga_event){.kind = SAGA_EVENT_CANCEL}, call);
    return err == -ERR_TRANSITION ? -ERR_RECORD : err; /* it has looked that it fits */
}

static enum consumer_next cancel_refuse(struct consumer_work *work, enum message_type type,
                                        const char *reason)
{
    struct message answer = answer_begin(work, type);
    message_set(&answer, reason, slice_from(reason));
    return answer_send(work, &answer);
}

static enum consumer_next cancel_accept(struct consumer_work *work,
                                        const struct journal_record *record)
{
    struct message answer = answer_begin(work, MESSAGE_SAGA_RUNNING);
    message_set(&answer, saga, record->saga);
    message_set(&answer, state, record->state);
    return answer_send(work, &answer);
}

static enum consumer_next cancel_looked(struct consumer_work *work,
                                        const struct journal_record *record)
{
    const struct saga_definition *def = driver_of(work)->def;
    struct cancel *cancel = consumer_scratch(work, struct cancel);
    struct saga_output output;
    cancel->looks++;
    if (!saga_state_parse(def, record->state, &cancel->from)) {
        return CONSUMER_UNREADABLE;
    }
    if (saga_has_ended(cancel->from)) {
        return cancel_refuse(work, MESSAGE_CONFLICT, "the saga has ended");
    }
    if (saga_step(def, cancel->from, (struct saga_event){.kind = SAGA_EVENT_CANCEL}, &output) !=
        0) {
        return cancel_accept(work, record); /* on its way back already */
    }
    crash_point("cancel.looked");
    slice_copy(record->entity, cancel->entity, sizeof(cancel->entity));
    slice_copy(record->attempt, cancel->attempt, sizeof(cancel->attempt));
    cancel->phase = CANCEL_MOVES;
    return CONSUMER_AGAIN;
}

enum consumer_next driver_cancel_answer(struct consumer_work *work, struct texts reply)
{
    struct driver *d = driver_of(work);
    struct cancel *cancel = consumer_scratch(work, struct cancel);
    struct journal_record record;
    if (!journal_record_at(&d->def->journal, reply, 0, &record) || record.entity.bytes == 0) {
        return answer_outcome(work, record_of(reply), "unknown saga");
    }
    if (cancel->phase == CANCEL_LOOKS) {
        return cancel_looked(work, &record);
    }
    if (slice_is(record.outcome, "moved")) {
        crash_point("cancel.moved");
        driver_follow(d, work, &record);
        return cancel_accept(work, &record);
    }
    if (cancel->looks >= LOOKS_MAX) {
        return cancel_refuse(work, MESSAGE_CONFLICT, "the saga moves too fast, try again");
    }
    cancel->phase = CANCEL_LOOKS; /* overtaken by an answer */
    return CONSUMER_AGAIN;
}
