/* The pure step: every transition of every saga is in this file, and nowhere else. */
#include "saga/step.h"

#include <assert.h>
#include <string.h>

#include "runtime/err.h"

static const struct saga_row *row_at(const struct saga_definition *def, unsigned row)
{
    assert(row < def->row_count);
    return &def->rows[row];
}

static struct saga_output output_send(enum saga_phase phase, unsigned row, int command)
{
    return (struct saga_output){
        .next = {.phase = phase, .row = row}, .send = command, .send_row = row};
}

static struct saga_output output_end(enum saga_phase phase)
{
    return (struct saga_output){.next = {.phase = phase}, .has_ended = true};
}

static struct saga_output step_forward(const struct saga_definition *def, unsigned row)
{
    if (row == def->row_count) {
        return output_end(SAGA_COMPLETED);
    }
    return output_send(SAGA_ACTING, row, row_at(def, row)->action);
}

/* Compensates steps below `end`, the latest first. */
static struct saga_output step_backward(const struct saga_definition *def, unsigned end)
{
    if (end == 0) {
        return output_end(SAGA_ABORTED);
    }
    return output_send(SAGA_COMPENSATING, end - 1, row_at(def, end - 1)->compensation);
}

static bool is_past_pivot(const struct saga_definition *def, unsigned row)
{
    for (unsigned i = 0; i < row; i++) {
        if (!row_at(def, i)->compensating) {
            return true;
        }
    }
    return false;
}

/* Does `row` come with the slip of `first`? */
static bool is_on_slip(const struct saga_definition *def, unsigned first, unsigned row)
{
    while (first < row && row_at(def, first)->passes_on) {
        first++;
    }
    return first == row;
}

/* The answer may be that of a later step of the slip: those before it have acted. */
static int step_acting(const struct saga_definition *def, unsigned row, struct saga_event event,
                       struct saga_output *ret_output)
{
    switch (event.kind) {
    case SAGA_EVENT_ACTED:
        if (event.row + 1 < def->row_count && !row_at(def, event.row + 1)->acting) {
            return -ERR_TRANSITION; /* passed on: its own answer says so */
        }
        *ret_output = step_forward(def, event.row + 1);
        return 0;
    case SAGA_EVENT_REFUSED:
        if (is_past_pivot(def, event.row)) {
            return -ERR_TRANSITION; /* a definition's fault: behind the pivot nothing refuses */
        }
        *ret_output = step_backward(def, event.row);
        return 0;
    case SAGA_EVENT_CANCEL:
        if (is_past_pivot(def, row)) {
            return -ERR_TRANSITION;
        }
        /* nobody knows how far the slip has come: so ask the last step that can be stopped */
        while (row_at(def, row)->compensating && row_at(def, row)->passes_on) {
            row++;
        }
        /* the compensation of a step that has not acted leaves a tombstone */
        *ret_output = row_at(def, row)->compensating
                          ? step_backward(def, row + 1)
                          : output_send(SAGA_CANCELLING, row, row_at(def, row)->cancel);
        return 0;
    default:
        return -ERR_TRANSITION;
    }
}

static int step_cancelling(const struct saga_definition *def, unsigned row, struct saga_event event,
                           struct saga_output *ret_output)
{
    switch (event.kind) {
    case SAGA_EVENT_ACTED: /* the pivot was passed before the cancel came: only forward now */
        *ret_output = step_forward(def, row + 1);
        return 0;
    case SAGA_EVENT_REFUSED:
    case SAGA_EVENT_CANCELLED:
        *ret_output = step_backward(def, row);
        return 0;
    default:
        return -ERR_TRANSITION;
    }
}

static int step_compensating(const struct saga_definition *def, unsigned row,
                             struct saga_event event, struct saga_output *ret_output)
{
    switch (event.kind) {
    case SAGA_EVENT_COMPENSATED:
        *ret_output = step_backward(def, row);
        return 0;
    case SAGA_EVENT_STICK:
        *ret_output = (struct saga_output){.next = {.phase = SAGA_STUCK, .row = row}};
        return 0;
    default:
        return -ERR_TRANSITION;
    }
}

/* The outstanding command is named by the state: that is all a re-send needs. */
static int step_due(const struct saga_definition *def, struct saga_state now,
                    struct saga_output *ret_output)
{
    const struct saga_row *row = row_at(def, now.row);
    switch (now.phase) {
    case SAGA_ACTING:
        *ret_output = output_send(now.phase, now.row, row->action);
        return 0;
    case SAGA_CANCELLING:
        *ret_output = output_send(now.phase, now.row, row->cancel);
        return 0;
    case SAGA_COMPENSATING:
    case SAGA_STUCK: /* what stuck it may have been mended meanwhile */
        *ret_output = output_send(SAGA_COMPENSATING, now.row, row->compensation);
        ret_output->next.phase = now.phase;
        return 0;
    default:
        return -ERR_TRANSITION;
    }
}

int saga_step(const struct saga_definition *def, struct saga_state now, struct saga_event event,
              struct saga_output *ret_output)
{
    if (event.kind == SAGA_EVENT_DUE) {
        return step_due(def, now, ret_output);
    }
    bool is_answer = event.kind != SAGA_EVENT_CANCEL && event.kind != SAGA_EVENT_STICK;
    bool is_awaited = now.phase == SAGA_ACTING
                          ? event.row < def->row_count && is_on_slip(def, now.row, event.row)
                          : event.row == now.row;
    if (is_answer && !is_awaited) {
        return -ERR_TRANSITION;
    }
    switch (now.phase) {
    case SAGA_ACTING:
        return step_acting(def, now.row, event, ret_output);
    case SAGA_CANCELLING:
        return step_cancelling(def, now.row, event, ret_output);
    case SAGA_COMPENSATING:
        return step_compensating(def, now.row, event, ret_output);
    case SAGA_STUCK:
        return event.kind == SAGA_EVENT_STICK ? -ERR_TRANSITION
                                              : step_compensating(def, now.row, event, ret_output);
    default:
        return -ERR_TRANSITION;
    }
}

struct saga_state saga_awaits(const struct saga_definition *def, struct saga_event event)
{
    struct saga_state state = {.phase = event.kind == SAGA_EVENT_COMPENSATED ? SAGA_COMPENSATING
                                        : event.kind == SAGA_EVENT_CANCELLED ? SAGA_CANCELLING
                                                                             : SAGA_ACTING,
                               .row = event.row};
    while (state.phase == SAGA_ACTING && state.row > 0 && row_at(def, state.row - 1)->passes_on) {
        state.row--;
    }
    return state;
}

int saga_replay(const struct saga_definition *def, struct saga_state now, unsigned row,
                struct saga_output *ret_output)
{
    const struct saga_row *at = row_at(def, row);
    int command = at->action;
    if (now.phase == SAGA_ACTING && is_on_slip(def, now.row, row)) {
        return step_due(def, now, ret_output); /* the slip comes to this step again */
    }
    if ((now.phase == SAGA_ACTING || now.phase == SAGA_CANCELLING) && row > now.row) {
        return -ERR_TRANSITION;
    }
    if (now.phase == SAGA_CANCELLING && row == now.row) {
        command = at->cancel;
    } else if (now.phase == SAGA_ABORTED ||
               ((now.phase == SAGA_COMPENSATING || now.phase == SAGA_STUCK) && row >= now.row)) {
        command = at->compensation != 0 ? at->compensation : at->cancel;
    }
    if (command == 0) {
        return -ERR_TRANSITION; /* behind the pivot, which this saga has not passed */
    }
    *ret_output = output_send(now.phase, row, command);
    ret_output->next = now;
    return 0;
}

struct saga_output saga_begin(const struct saga_definition *def)
{
    return step_forward(def, 0);
}

const char *saga_state_text(const struct saga_definition *def, struct saga_state state)
{
    switch (state.phase) {
    case SAGA_ACTING:
        return row_at(def, state.row)->acting;
    case SAGA_CANCELLING:
        return row_at(def, state.row)->cancelling;
    case SAGA_COMPENSATING:
        return row_at(def, state.row)->compensating;
    case SAGA_COMPLETED:
        return def->completed;
    case SAGA_ABORTED:
        return def->aborted;
    case SAGA_STUCK:
        return row_at(def, state.row)->stuck;
    }
    return NULL;
}

bool saga_state_parse(const struct saga_definition *def, struct slice name,
                      struct saga_state *ret_state)
{
    static const enum saga_phase of_rows[] = {SAGA_ACTING, SAGA_CANCELLING, SAGA_COMPENSATING,
                                              SAGA_STUCK};
    for (unsigned row = 0; row < def->row_count; row++) {
        for (unsigned i = 0; i < sizeof(of_rows) / sizeof(of_rows[0]); i++) {
            struct saga_state state = {.phase = of_rows[i], .row = row};
            const char *text = saga_state_text(def, state);
            if (text && slice_is(name, text)) {
                *ret_state = state;
                return true;
            }
        }
    }
    if (slice_is(name, def->completed)) {
        *ret_state = (struct saga_state){.phase = SAGA_COMPLETED};
        return true;
    }
    if (slice_is(name, def->aborted)) {
        *ret_state = (struct saga_state){.phase = SAGA_ABORTED};
        return true;
    }
    return false;
}

bool saga_has_ended(struct saga_state now)
{
    return now.phase == SAGA_COMPLETED || now.phase == SAGA_ABORTED;
}

bool saga_is_denial(struct saga_state now, struct saga_event event)
{
    bool is_refusal = event.kind == SAGA_EVENT_REFUSED || event.kind == SAGA_EVENT_CANCELLED;
    return (now.phase == SAGA_COMPLETED && is_refusal) ||
           (now.phase == SAGA_ABORTED && event.kind == SAGA_EVENT_ACTED);
}

#define UNDO_SUFFIX "-undo"

void saga_command_text(const struct saga_definition *def, struct slice saga, struct slice attempt,
                       unsigned row, bool is_compensation, struct buf *out)
{
    buf_add_slice(out, saga);
    buf_add(out, ":", 1);
    buf_add_slice(out, attempt);
    buf_add(out, ":", 1);
    buf_add_text(out, row_at(def, row)->name);
    if (is_compensation) {
        buf_add_text(out, UNDO_SUFFIX);
    }
}

bool saga_command_parse(const struct saga_definition *def, struct slice id,
                        struct saga_command *ret_command)
{
    struct saga_command command = {0};
    struct slice name;
    int64_t attempt;
    if (!slice_cut(&id, ':', &command.saga) || !slice_cut(&id, ':', &command.attempt) ||
        !slice_cut(&id, ':', &name) || id.data || !slice_is_id(command.saga) ||
        !slice_int64(command.attempt, &attempt) || attempt < 1) {
        return false;
    }
    const size_t undo_bytes = sizeof(UNDO_SUFFIX) - 1;
    bool is_undo = name.bytes > undo_bytes &&
                   memcmp(name.data + name.bytes - undo_bytes, UNDO_SUFFIX, undo_bytes) == 0;
    if (is_undo) {
        name.bytes -= undo_bytes;
    }
    for (command.row = 0; command.row < def->row_count; command.row++) {
        if (slice_is(name, def->rows[command.row].name)) {
            if (is_undo && def->rows[command.row].compensation == 0) {
                return false; /* nothing undoes this step */
            }
            *ret_command = command;
            return true;
        }
    }
    return false;
}
