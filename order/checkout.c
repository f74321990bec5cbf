/* The checkout saga on the engine of saga/. Every transition is: step (pure), compare-and-set in
 * the journal, then follow the state that the journal now has. */
#include "order/checkout.h"

#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "saga/answer.h"

#define LOOKS_MAX 4 /* at the journal, for one event */

enum { ROW_CHARGE, ROW_TAKE };

static const struct saga_row checkout_rows[] = {
    [ROW_CHARGE] = {.name = "charge",
                    .acting = "CHARGING",
                    .compensating = "REFUNDING",
                    .stuck = "STUCK",
                    .action = MESSAGE_PAYMENT_CHARGE,
                    .compensation = MESSAGE_PAYMENT_REFUND,
                    .passes_on = true},
    [ROW_TAKE] = {.name = "take",
                  .cancelling = "CANCELLING",
                  .action = MESSAGE_STOCK_TAKE,
                  .cancel = MESSAGE_STOCK_CANCEL},
};

const struct saga_definition checkout_definition = {
    .name = "checkout",
    .completed = "PAID",
    .aborted = "FAILED",
    .rows = checkout_rows,
    .row_count = 2,
};

/* Names in the store, and what order.lua freezes. */
enum { FROZEN_USER, FROZEN_TOTAL, FROZEN_LINES, FROZEN_COUNT };

const struct journal checkout_journal = {
    .library = "order",
    .entity_prefix = "order:order:",
    .frozen_count = FROZEN_COUNT,
};

bool checkout_event(enum message_type type, enum saga_event_kind *ret_kind)
{
    switch (type) {
    case MESSAGE_STOCK_TAKEN:
        *ret_kind = SAGA_EVENT_ACTED;
        return true;
    case MESSAGE_PAYMENT_REFUSED:
    case MESSAGE_STOCK_REFUSED:
        *ret_kind = SAGA_EVENT_REFUSED;
        return true;
    case MESSAGE_PAYMENT_REFUNDED:
        *ret_kind = SAGA_EVENT_COMPENSATED;
        return true;
    case MESSAGE_STOCK_CANCELLED:
        *ret_kind = SAGA_EVENT_CANCELLED;
        return true;
    default:
        return false;
    }
}

/* Who carries out a row's commands. */
static const struct {
    const char *service;
    enum topology_queue queue;
} participants[] = {
    [ROW_CHARGE] = {"payment", QUEUE_PAYMENT},
    [ROW_TAKE] = {"stock", QUEUE_STOCK},
};

bool checkout_row(struct slice service, unsigned *ret_row)
{
    for (unsigned row = 0; row < checkout_definition.row_count; row++) {
        if (slice_is(service, participants[row].service)) {
            *ret_row = row;
            return true;
        }
    }
    return false;
}

/* The command that `output` names, with its fields from the record. */
static int command_make(const struct journal_record *record, const struct saga_output *output,
                        struct buf *id, struct buf *other, struct message *ret_command,
                        enum topology_queue *ret_queue)
{
    const struct saga_definition *def = &checkout_definition;
    struct message command = {0};
    int64_t total;
    bool is_compensation = output->send == def->rows[output->send_row].compensation;
    buf_reset(id);
    saga_command_text(def, record->saga, record->attempt, output->send_row, is_compensation, id);
    command.type = (enum message_type)output->send;
    message_set(&command, id, buf_slice(id));
    message_set(&command, order, record->entity);
    switch (command.type) {
    case MESSAGE_PAYMENT_CHARGE:
        if (!slice_int64(record->frozen[FROZEN_TOTAL], &total)) {
            return -ERR_RECORD;
        }
        message_set(&command, user, record->frozen[FROZEN_USER]);
        message_set(&command, amount, total);
        buf_reset(other);
        saga_command_text(def, record->saga, record->attempt, ROW_TAKE, false, other);
        message_set(&command, next, buf_slice(other));
        message_set(&command, lines, record->frozen[FROZEN_LINES]);
        break;
    case MESSAGE_PAYMENT_REFUND:
        buf_reset(other);
        saga_command_text(def, record->saga, record->attempt, output->send_row, false, other);
        message_set(&command, user, record->frozen[FROZEN_USER]);
        message_set(&command, undoes, buf_slice(other));
        break;
    case MESSAGE_STOCK_TAKE: /* only for a store that may have lost it */
        message_set(&command, lines, record->frozen[FROZEN_LINES]);
        break;
    default:
        break;
    }
    if (!message_is_valid(&command)) {
        return -ERR_RECORD;
    }
    *ret_queue = participants[output->send_row].queue;
    *ret_command = command;
    return 0;
}

int checkout_command(const struct journal_record *record, struct buf *id, struct buf *other,
                     struct message *ret_command, enum topology_queue *ret_queue)
{
    struct saga_state state;
    struct saga_output due;
    if (!saga_state_parse(&checkout_definition, record->state, &state)) {
        return -ERR_RECORD;
    }
    int err =
        saga_step(&checkout_definition, state, (struct saga_event){.kind = SAGA_EVENT_DUE}, &due);
    return err != 0 ? err : command_make(record, &due, id, other, ret_command, ret_queue);
}

/* A saga that payment refused has never come to stock, and an order without lines to nobody. */
static bool has_come_to(const struct journal_record *record, struct saga_state state, unsigned row)
{
    const struct saga_row *charge = &checkout_rows[ROW_CHARGE];
    bool is_refused =
        state.phase == SAGA_ABORTED && !journal_has_entered(record, charge->compensating);
    return journal_has_entered(record, charge->acting) && (row == ROW_CHARGE || !is_refused);
}

int checkout_replay(const struct journal_record *record, unsigned row, struct buf *id,
                    struct buf *other, struct message *ret_command, enum topology_queue *ret_queue)
{
    struct saga_state state;
    struct saga_output again;
    if (!saga_state_parse(&checkout_definition, record->state, &state)) {
        return -ERR_RECORD;
    }
    int err = saga_replay(&checkout_definition, state, row, &again);
    if (err != 0 || !has_come_to(record, state, row)) {
        return -ERR_TRANSITION;
    }
    return command_make(record, &again, id, other, ret_command, ret_queue);
}

struct message checkout_outcome(const struct journal_record *record, struct slice request)
{
    struct message outcome = {.type = MESSAGE_REFUSED};
    message_set(&outcome, id, request);
    message_set(&outcome, saga, record->saga);
    if (slice_is(record->state, checkout_definition.completed)) {
        outcome.type = MESSAGE_SAGA_PAID;
        message_set(&outcome, order, record->entity);
        message_set(&outcome, total, record_int(record->frozen[FROZEN_TOTAL]));
    } else if (slice_is(record->state, checkout_definition.aborted)) {
        message_set(&outcome, reason, record->reason);
    }
    return outcome; /* of any other state there is none: without a reason it is not valid */
}

static struct stat_value *ended_stat(struct slice state)
{
    static struct stat_value *paid, *failed;
    if (paid == NULL) {
        paid = stat_counter("kassa_sagas_ended_total", "state=\"PAID\"", "sagas that ended");
        failed = stat_counter("kassa_sagas_ended_total", "state=\"FAILED\"", "sagas that ended");
    }
    return slice_is(state, checkout_definition.completed) ? paid : failed;
}

/* Everybody who asked for this saga is told of its end. */
static void tell_waiters(struct consumer *consumer, const struct journal_record *record)
{
    log_debug("saga_ended", "saga=%.*s order=%.*s state=%.*s reason=%s", SLICE_ARG(record->saga),
              SLICE_ARG(record->entity), SLICE_ARG(record->state), log_quote(record->reason));
    stat_add(ended_stat(record->state), 1);
    struct slice waiters = record->waiters, waiter;
    while (slice_cut(&waiters, ',', &waiter)) {
        struct slice gateway;
        if (slice_cut(&waiter, '/', &gateway) && waiter.data != NULL) {
            struct message outcome = checkout_outcome(record, waiter);
            if (message_is_valid(&outcome)) { /* otherwise who asks again is told so */
                consumer_tell(consumer, gateway, &outcome);
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
        log_error("journal_unreadable", "order=%.*s state=%s", SLICE_ARG(record->entity),
                  log_quote(record->state));
    } else if (work != NULL) {
        consumer_send(work, queue, &command);
    } else {
        consumer_resend(consumer, queue, &command);
    }
}

/* ---- order.checkout ---- */

int checkout_record(struct consumer_work *work, struct redis_command *call)
{
    const struct message *in = work->in;
    int64_t now_ms = consumer_now_ms(work->consumer);
    consumer_call(work, call, "order_checkout", 3);
    redis_arg_text(call, "order:open");
    redis_arg_text(call, "order:recent");
    redis_arg_int(call, now_ms);
    redis_arg_int(call, now_ms + consumer_conf(work->consumer)->saga_resend_ms);
    redis_arg_text(call,
                   saga_state_text(&checkout_definition, saga_begin(&checkout_definition).next));
    redis_arg_text(call, checkout_definition.completed);
    redis_arg_text(call, checkout_definition.aborted);
    redis_row_begins(call);
    redis_arg(call, in->id);
    redis_arg(call, in->order);
    redis_arg(call, in->gateway);
    return 0;
}

static enum consumer_next tell_running(struct consumer_work *work,
                                       const struct journal_record *record)
{
    struct message running = answer_begin(work, MESSAGE_SAGA_RUNNING);
    message_set(&running, saga, record->saga);
    message_set(&running, state, record->state);
    return answer_send(work, &running);
}

enum consumer_next checkout_answer(struct consumer_work *work, const struct redis_reply *reply)
{
    struct journal_record record;
    if (!journal_record_at(&checkout_journal, reply, 0, &record) || record.entity.bytes == 0) {
        return answer_outcome(work, record_of(reply), "unknown order");
    }
    if (slice_is(record.outcome, "begun")) {
        checkout_follow(work->consumer, work, &record);
        return message_has(work->in, async) ? tell_running(work, &record) : CONSUMER_DONE;
    }
    if (slice_is(record.outcome, "running")) {
        return tell_running(work, &record);
    }
    struct message outcome = checkout_outcome(&record, work->in->id);
    return answer_send(work, &outcome);
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
    move.now_ms = consumer_now_ms(consumer);
    move.due_ms = move.now_ms + consumer_conf(consumer)->saga_resend_ms;
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

bool checkout_is_denial(struct saga_state state, struct saga_event event)
{
    bool is_refusal = event.kind == SAGA_EVENT_REFUSED || event.kind == SAGA_EVENT_CANCELLED;
    return (state.phase == SAGA_COMPLETED && is_refusal) ||
           (state.phase == SAGA_ABORTED && event.kind == SAGA_EVENT_ACTED);
}

/* An answer that cannot be by what the journal knows: a participant's store has lost what it had
 * said. Most of that the replay mends before anybody asks. */
static void answer_look(struct consumer_work *work, const struct journal_record *record)
{
    static struct stat_value *denied;
    struct saga_event event = {0};
    if (denied == NULL) {
        denied = stat_counter("kassa_replay_refused_total", "",
                              "answers that deny what a saga has done: a store lost more than "
                              "could be mended, look here");
    }
    if (is_of_record(work, record, &event) && checkout_is_denial(work->state, event)) {
        stat_add(denied, 1);
        log_error("replay_refused", "saga=%.*s order=%.*s state=%.*s answer=%s reason=%s",
                  SLICE_ARG(record->saga), SLICE_ARG(record->entity), SLICE_ARG(record->state),
                  message_type_text(work->in->type), log_quote(work->in->reason));
    }
}

enum consumer_next checkout_event_answer(struct consumer_work *work,
                                         const struct redis_reply *reply)
{
    static struct stat_value *stale;
    struct journal_record record;
    if (stale == NULL) {
        stale = stat_counter("kassa_saga_events_stale_total", "",
                             "answers that did not fit the saga's state: repeats, mostly");
    }
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
    stat_add(stale, 1);
    return CONSUMER_DONE;
}
