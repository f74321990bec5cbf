/* Drives checkout sagas. See drive.h. */
#include "order/drive.h"

#include "checkout/begin.h"
#include "order/stats.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "saga/answer.h"

#define LOOKS_MAX 4 /* at the journal, for one event */

void checkout_unreadable(const struct journal_record *record)
{
    stat_add(order_stats()->unreadable, 1);
    log_error("journal_unreadable", "order=%.*s state=%s", SLICE_ARG(record->entity),
              log_quote(record->state));
}

/* Everybody who asked for this saga is told of its end. */
static void tell_waiters(struct consumer *consumer, const struct journal_record *record)
{
    log_debug("saga_ended", "saga=%.*s order=%.*s state=%.*s reason=%s", SLICE_ARG(record->saga),
              SLICE_ARG(record->entity), SLICE_ARG(record->state), log_quote(record->reason));
    stat_add(slice_is(record->state, checkout_definition.completed) ? order_stats()->paid
                                                                    : order_stats()->failed,
             1);
    struct slice waiters = record->waiters, waiter;
    while (slice_cut(&waiters, ',', &waiter)) {
        struct slice gateway;
        if (slice_cut(&waiter, '/', &gateway) && waiter.data != NULL) {
            struct message outcome = checkout_outcome(record, waiter);
            if (message_is_valid(&outcome)) {
                consumer_tell(consumer, gateway, &outcome);
            } else {
                checkout_unreadable(record); /* who asks again is told so */
            }
        }
    }
}

void checkout_follow(struct consumer *consumer, struct consumer_work *work,
                     const struct journal_record *record)
{
    static struct buf id, other;
    struct message command;
    enum topology_queue queue;
    int err = checkout_command(record, &id, &other, &command, &queue);
    if (err == -ERR_TRANSITION) {
        tell_waiters(consumer, record);
    } else if (err != 0) {
        checkout_unreadable(record);
    } else if (work != NULL) {
        consumer_send(work, queue, &command);
    } else {
        consumer_resend(consumer, queue, &command, NULL, NULL);
    }
}

/* ---- order.checkout ---- */

int checkout_record(struct consumer_work *work, struct redis_command *call)
{
    checkout_begin(work->in, work->bucket, consumer_conf(work->consumer), call);
    return 0;
}

enum consumer_next checkout_answer(struct consumer_work *work, const struct redis_reply *reply)
{
    static struct buf id, other;
    struct checkout_begun begun;
    if (checkout_begun(work->in, redis_reply_at(reply, 0), &id, &other, &begun) != 0) {
        return CONSUMER_UNREADABLE;
    }
    if (begun.command.type != MESSAGE_NONE) {
        consumer_send(work, begun.queue, &begun.command);
    }
    return begun.answer.type != MESSAGE_NONE ? answer_send(work, &begun.answer) : CONSUMER_DONE;
}

/* ---- transitions ---- */

int checkout_move(struct consumer *consumer, struct journal_move move, struct saga_event event,
                  struct redis_command *call)
{
    struct saga_output output;
    int err = saga_step(&checkout_definition, move.from, event, &output);
    if (err != 0) {
        return err;
    }
    move.to = output.next;
    move.resend_ms = consumer_conf(consumer)->saga_resend_ms;
    return journal_advance(&checkout_journal, &checkout_definition, &move, call);
}

/* ---- answers to saga commands ---- */

int checkout_event_record(struct consumer_work *work, struct redis_command *call)
{
    const struct message *in = work->in;
    struct saga_command command;
    struct saga_event event = {0};
    if (!checkout_event(in->type, &event.kind) ||
        !saga_command_parse(&checkout_definition, in->id, &command)) {
        return -ERR_FIELD;
    }
    event.row = command.row;
    if (work->round == 0) {
        work->state = saga_awaits(&checkout_definition, event);
    }
    const struct journal_move move = {.entity = in->order,
                                      .saga = command.saga,
                                      .attempt = command.attempt,
                                      .from = work->state,
                                      .reason = in->reason};
    int err = checkout_move(work->consumer, move, event, call);
    return err == -ERR_TRANSITION ? -ERR_FIELD : err; /* its step can never give this answer */
}

/* Is the answer for the saga that the record tells of? Then work->state is where that is. */
static bool is_of_record(struct consumer_work *work, const struct journal_record *record,
                         struct saga_event *ret_event)
{
    struct saga_command command;
    if (!checkout_event(work->in->type, &ret_event->kind) ||
        !saga_command_parse(&checkout_definition, work->in->id, &command) ||
        !slice_equal(command.saga, record->saga) ||
        !slice_equal(command.attempt, record->attempt) ||
        !saga_state_parse(&checkout_definition, record->state, &work->state)) {
        return false;
    }
    ret_event->row = command.row;
    return true;
}

/* The journal was not where the event expected it: does the event fit where it is? */
static bool is_fit(struct consumer_work *work, const struct journal_record *record)
{
    struct saga_event event = {0};
    struct saga_output output;
    return is_of_record(work, record, &event) &&
           saga_step(&checkout_definition, work->state, event, &output) == 0;
}

/* An answer that cannot be by what the journal knows: a participant's store has lost what it had
 * said. Most of that the replay mends before anybody asks. */
static void answer_look(struct consumer_work *work, const struct journal_record *record)
{
    struct saga_event event = {0};
    if (is_of_record(work, record, &event) && checkout_is_denial(work->state, event)) {
        stat_add(order_stats()->denied, 1);
        log_error("replay_refused", "saga=%.*s order=%.*s state=%.*s answer=%s reason=%s",
                  SLICE_ARG(record->saga), SLICE_ARG(record->entity), SLICE_ARG(record->state),
                  message_type_text(work->in->type), log_quote(work->in->reason));
    }
}

enum consumer_next checkout_event_answer(struct consumer_work *work,
                                         const struct redis_reply *reply)
{
    struct journal_record record;
    if (!journal_record_at(&checkout_journal, reply, 0, &record)) {
        return CONSUMER_UNREADABLE;
    }
    if (slice_is(record.outcome, "moved")) {
        checkout_follow(work->consumer, work, &record);
        return CONSUMER_DONE;
    }
    if (work->round + 1 < LOOKS_MAX && is_fit(work, &record)) {
        return CONSUMER_AGAIN;
    }
    answer_look(work, &record);
    stat_add(order_stats()->stale, 1);
    return CONSUMER_DONE;
}
