/* The checkout saga's table, and what stands around it: on the engine of saga/step.h. */
#include "checkout/checkout.h"

#include "runtime/err.h"

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
    .library = &order_library,
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

const char *checkout_participant(unsigned row)
{
    return participants[row].service;
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
        int64_t total = -1; /* which no message can have */
        slice_int64(record->frozen[FROZEN_TOTAL], &total);
        message_set(&outcome, order, record->entity);
        message_set(&outcome, total, total);
    } else if (slice_is(record->state, checkout_definition.aborted)) {
        message_set(&outcome, reason, record->reason);
    }
    return outcome; /* of any other state there is none: without a reason it is not valid */
}

bool checkout_is_denial(struct saga_state state, struct saga_event event)
{
    bool is_refusal = event.kind == SAGA_EVENT_REFUSED || event.kind == SAGA_EVENT_CANCELLED;
    return (state.phase == SAGA_COMPLETED && is_refusal) ||
           (state.phase == SAGA_ABORTED && event.kind == SAGA_EVENT_ACTED);
}
