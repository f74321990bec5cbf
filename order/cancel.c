/* order.cancel: an operator gives a saga up. Nobody guesses: the journal moves to the way back only
 * from where there is one, and the participants then undo, or tell that it is too late.
 *
 *   round 0: look --ended--> 409     round 1: compare-and-set --moved--> refund or stock.cancel
 *              |--on its way back--> 202                         |--overtaken--> look again
 *              '--can be cancelled--> round 1
 * Source: protocol.md section 2, "Cancel-or-tell". */
#include <stdio.h>

#include "idempotency/once.h"
#include "order/drive.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "saga/answer.h"

#define REASON_CANCELLED "the checkout was cancelled"
#define LOOKS_MAX        8 /* an even round looks, an odd one moves */

void checkout_look(struct consumer_work *work, struct redis_command *call)
{
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    const struct message *in = work->in;
    redis_function(call, &order_library, "order_saga", 1);
    if (once_bucket(in->saga, bucket) == 0) {
        redis_argf(call, "order:once:%s", bucket);
    } else {
        redis_arg_text(call, "order:once:none"); /* not an id of ours: unknown */
    }
    redis_arg(call, in->saga);
}

int checkout_cancel_record(struct consumer_work *work, struct redis_command *call)
{
    struct slice seen = slice_from(work->note), order;
    if (work->round % 2 == 0) {
        checkout_look(work, call);
        return 0;
    }
    slice_cut(&seen, '|', &order);
    const struct journal_move move = {.entity = order,
                                      .saga = work->in->saga,
                                      .attempt = seen,
                                      .from = work->state,
                                      .reason = SLICE_TEXT(REASON_CANCELLED)};
    int err =
        checkout_move(work->consumer, move, (struct saga_event){.kind = SAGA_EVENT_CANCEL}, call);
    return err == -ERR_TRANSITION ? -ERR_RECORD : err; /* round 0 has looked that it fits */
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
    struct saga_output output;
    if (!saga_state_parse(&checkout_definition, record->state, &work->state)) {
        return CONSUMER_UNREADABLE;
    }
    if (work->state.phase == SAGA_COMPLETED || work->state.phase == SAGA_ABORTED) {
        return cancel_refuse(work, MESSAGE_CONFLICT, "the saga has ended");
    }
    if (saga_step(&checkout_definition, work->state, (struct saga_event){.kind = SAGA_EVENT_CANCEL},
                  &output) != 0) {
        return cancel_accept(work, record); /* on its way back already */
    }
    crash_point("cancel.looked");
    snprintf(work->note, sizeof(work->note), "%.*s|%.*s", SLICE_ARG(record->entity),
             SLICE_ARG(record->attempt));
    return CONSUMER_AGAIN;
}

enum consumer_next checkout_cancel_answer(struct consumer_work *work,
                                          const struct redis_reply *reply)
{
    struct journal_record record;
    if (!journal_record_at(&checkout_journal, reply, 0, &record) || record.entity.bytes == 0) {
        return answer_outcome(work, record_of(reply), "unknown saga");
    }
    if (work->round % 2 == 0) {
        return cancel_looked(work, &record);
    }
    if (slice_is(record.outcome, "moved")) {
        crash_point("cancel.moved");
        checkout_follow(work->consumer, work, &record);
        return cancel_accept(work, &record);
    }
    if (work->round >= LOOKS_MAX) {
        return cancel_refuse(work, MESSAGE_CONFLICT, "the saga moves too fast, try again");
    }
    return CONSUMER_AGAIN; /* overtaken by an answer: look again */
}
