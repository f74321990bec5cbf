/* See command.h. */
#include "saga/command.h"

#include "runtime/err.h"

void saga_outgoing_free(struct saga_outgoing *out)
{
    buf_free(&out->ids[0]);
    buf_free(&out->ids[1]);
}

/* Fills a message's fields from the parts that were frozen. Errors: false: a part is no number. */
static bool fields_set(const struct saga_field *fields, const struct journal_record *record,
                       struct message *m)
{
    for (; fields->field < MESSAGE_FIELD_COUNT; fields++) {
        if (!message_put(m, fields->field, record->frozen[fields->part])) {
            return false;
        }
    }
    return true;
}

static struct slice id_of(const struct saga_definition *def, const struct journal_record *record,
                          unsigned row, bool is_compensation, struct buf *text)
{
    buf_reset(text);
    saga_command_text(def, record->saga, record->attempt, row, is_compensation, text);
    return buf_slice(text);
}

/* The command that `output` names, with its fields from the record. */
static int command_make(const struct saga_definition *def, const struct journal_record *record,
                        const struct saga_output *output, struct saga_outgoing *ret_out)
{
    unsigned at = output->send_row;
    const struct saga_row *row = &def->rows[at];
    bool is_action = output->send == row->action, is_undo = output->send == row->compensation;
    struct message m = {.type = (enum message_type)output->send};
    message_set(&m, id, id_of(def, record, at, is_undo, &ret_out->ids[0]));
    bool is_whole = message_put(&m, def->entity, record->entity) &&
                    (!is_action || fields_set(row->fields, record, &m)) &&
                    (!is_undo || fields_set(row->undo_fields, record, &m));
    if (is_undo) {
        message_set(&m, undoes, id_of(def, record, at, false, &ret_out->ids[1]));
    } else if (is_action && row->passes_on) {
        message_set(&m, next, id_of(def, record, at + 1, false, &ret_out->ids[1]));
        is_whole = is_whole && fields_set(def->rows[at + 1].fields, record, &m);
        if (MESSAGE_SLIP_IS_WRITTEN) {
            const char *type = message_type_text((enum message_type)def->rows[at + 1].action);
            message_set(&m, next_type, slice_from(type));
            message_set(&m, next_queue, slice_from(queues_text(def->rows[at + 1].queue)));
        }
    }
    if (!is_whole || !message_is_valid(&m)) {
        return -ERR_RECORD;
    }
    ret_out->message = m;
    ret_out->queue = row->queue;
    return 0;
}

int saga_command_due(const struct saga_definition *def, const struct journal_record *record,
                     struct saga_outgoing *ret_out)
{
    struct saga_state state;
    struct saga_output due;
    if (!saga_state_parse(def, record->state, &state) ||
        saga_step(def, state, (struct saga_event){.kind = SAGA_EVENT_DUE}, &due) != 0) {
        return -ERR_RECORD;
    }
    return command_make(def, record, &due, ret_out);
}

/* One that was refused before the slip came to this step has never come to it, and one that
 * ended as it began to nobody. */
static bool has_come_to(const struct saga_definition *def, const struct journal_record *record,
                        struct saga_state state, unsigned row)
{
    unsigned first = row;
    bool is_undone = false;
    while (!def->rows[first].acting) { /* passed on by the one before */
        first--;
        const char *undoing = def->rows[first].compensating;
        is_undone = is_undone || (undoing && journal_has_entered(record, undoing));
    }
    return journal_has_entered(record, def->rows[first].acting) &&
           (first == row || state.phase != SAGA_ABORTED || is_undone);
}

int saga_command_again(const struct saga_definition *def, const struct journal_record *record,
                       unsigned row, struct saga_outgoing *ret_out)
{
    struct saga_state state;
    struct saga_output again;
    if (!saga_state_parse(def, record->state, &state)) {
        return -ERR_RECORD;
    }
    int err = saga_replay(def, state, row, &again);
    if (err || !has_come_to(def, record, state, row)) {
        return -ERR_TRANSITION;
    }
    return command_make(def, record, &again, ret_out);
}

bool saga_event_of(const struct saga_definition *def, enum message_type type,
                   enum saga_event_kind *ret_kind)
{
    for (unsigned i = 0; i < def->answer_count; i++) {
        if (def->answers[i].type == type) {
            *ret_kind = def->answers[i].kind;
            return true;
        }
    }
    return false;
}

bool saga_row_of(const struct saga_definition *def, struct slice participant, unsigned *ret_row)
{
    for (unsigned row = 0; row < def->row_count; row++) {
        if (slice_is(participant, def->rows[row].participant)) {
            *ret_row = row;
            return true;
        }
    }
    return false;
}

struct message saga_outcome(const struct saga_definition *def, const struct journal_record *record,
                            struct slice request)
{
    struct message outcome = {.type = MESSAGE_REFUSED};
    message_set(&outcome, id, request);
    message_set(&outcome, saga, record->saga);
    if (slice_is(record->state, def->completed)) {
        outcome.type = def->completion;
        if (!message_put(&outcome, def->entity, record->entity) ||
            !fields_set(def->completion_fields, record, &outcome)) {
            outcome.type = MESSAGE_NONE;
        }
    } else if (slice_is(record->state, def->aborted)) {
        message_set(&outcome, reason, record->reason);
    }
    return outcome; /* of any other state there is none: without a reason it is not valid */
}
