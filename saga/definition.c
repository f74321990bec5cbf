/* The rules of definition.h, as sentences. */
#include "saga/definition.h"

static bool is_past_pivot(const struct saga_definition *def, unsigned row)
{
    for (unsigned i = 0; i < row; i++) {
        if (!def->rows[i].compensating) {
            return true;
        }
    }
    return false;
}

static bool are_parts(const struct saga_definition *def, const struct saga_field *fields)
{
    unsigned count = 0;
    while (count < SAGA_FIELDS_MAX && fields[count].field != MESSAGE_FIELD_COUNT) {
        if (fields[count].part >= def->journal.frozen_count) {
            return false;
        }
        count++;
    }
    return fields[count].field == MESSAGE_FIELD_COUNT;
}

/* NULL: nothing is. */
static const char *fault_of_row(const struct saga_definition *def, unsigned i)
{
    const struct saga_row *row = &def->rows[i];
    bool is_passed_on = i > 0 && def->rows[i - 1].passes_on;
    if (!row->name || row->action == 0 || (!row->acting && !is_passed_on)) {
        return "it needs a name, an action and, unless it is passed on, a state";
    }
    if ((row->compensating == NULL) != (row->compensation == 0) ||
        (row->compensating == NULL) != (row->stuck == NULL)) {
        return "a compensation needs its command and its two states, or none of them";
    }
    if ((row->cancelling == NULL) != (row->cancel == 0)) {
        return "a cancel needs its command and its state, or neither";
    }
    if (!row->compensating && !row->cancelling && !is_past_pivot(def, i)) {
        return "the pivot needs a cancel, every step before it a compensation";
    }
    if (row->compensating && is_past_pivot(def, i)) {
        return "a step behind the pivot is never compensated";
    }
    if (row->passes_on && i + 1 == def->row_count) {
        return "the last step has nothing to pass on";
    }
    if (!row->participant) {
        return "nobody carries it out";
    }
    if (!are_parts(def, row->fields) || !are_parts(def, row->undo_fields)) {
        return "a field of its commands is filled from a part that nobody freezes";
    }
    return NULL;
}

static const char *fault_of_whole(const struct saga_definition *def)
{
    if (def->row_count == 0 || def->row_count > SAGA_STEPS_MAX) {
        return "a saga has 1 to 8 steps";
    }
    if (!def->completed || !def->aborted) {
        return "both ends need a name";
    }
    if (def->answer_count == 0) {
        return "no answer is known";
    }
    if (!are_parts(def, def->completion_fields)) {
        return "a field of the good end is filled from a part that nobody freezes";
    }
    return NULL;
}

const char *saga_definition_fault(const struct saga_definition *def, struct buf *text)
{
    const char *fault = fault_of_whole(def);
    buf_reset(text);
    if (fault) {
        buf_addf(text, "saga %s: %s", def->name, fault);
        return text->data;
    }
    for (unsigned i = 0; i < def->row_count; i++) {
        fault = fault_of_row(def, i);
        if (fault) {
            const char *name = def->rows[i].name;
            buf_addf(text, "saga %s, step %u (%s): %s", def->name, i + 1, name ? name : "", fault);
            return text->data;
        }
    }
    return NULL;
}
