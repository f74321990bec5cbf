/* The saga as a table, and the pure step that drives it.
 *
 * No clock, socket, allocation or log inside: (state, event) -> (state, what to send). A saga runs
 * its steps forward up to the pivot and beyond; a refusal or a cancel before the pivot runs the
 * compensations of the finished steps backward. The engine knows no orders: definitions do.
 *
 *   ACTING 0 -acted-> ACTING 1 .. -acted-> COMPLETED
 *      |refused          |refused                 cancel: a step that can be compensated is
 *      v                 v                        compensated at once (that leaves a tombstone if
 *   ABORTED <-..- COMPENSATING 0                  it had not acted); the pivot is asked to cancel
 *                                                 or tell (CANCELLING), nobody guesses
 *
 * A routing slip saves a hop: a step that passes on carries the next step's action along, and its
 * participant, when it has acted, passes that on itself. Then ACTING 0 stands for both steps, and
 * the answer of the later one proves the earlier one.
 * Source: protocol.md, "Principles", "The states". */
#ifndef KASSA_SAGA_STEP_H
#define KASSA_SAGA_STEP_H

#include "saga/definition.h"

enum saga_phase {
    SAGA_ACTING,
    SAGA_CANCELLING,
    SAGA_COMPENSATING,
    SAGA_COMPLETED,
    SAGA_ABORTED,
    SAGA_STUCK,
};

/* row: of the step, in the definition; 0 where the phase has none. */
struct saga_state {
    enum saga_phase phase;
    unsigned row;
};

struct saga_event {
    enum saga_event_kind kind;
    unsigned row; /* whose answer it is; unused for DUE and CANCEL */
};

struct saga_output {
    struct saga_state next;
    int send;          /* message type of the command to send; 0: none */
    unsigned send_row; /* whose */
    bool has_ended;    /* tell the waiters */
};

/* Errors: -ERR_TRANSITION (STALE) when the event does not fit the state: a repeat, or overtaken.
 * DUE leaves the state as it is and names the outstanding command. */
int saga_step(const struct saga_definition *def, struct saga_state now, struct saga_event event,
              struct saga_output *ret_output);

/* The command that a replay sends to a step's participant: in a saga that
 * is `now`, the action while it stands or goes on; on the way back, and after it, the compensation
 * or, where there is none, the cancel, so that a late action finds a tombstone.
 * Errors: -ERR_TRANSITION when the saga has not come to this step. */
int saga_replay(const struct saga_definition *def, struct saga_state now, unsigned row,
                struct saga_output *ret_output);

/* The state in which an answer of this kind and step is usually awaited: where a step was passed
 * on, the one that began it. */
struct saga_state saga_awaits(const struct saga_definition *def, struct saga_event event);

/* The beginning: a new saga's state and its command. */
struct saga_output saga_begin(const struct saga_definition *def);

/* The state's name, and back. Errors: false for a name the definition does not have. */
const char *saga_state_text(const struct saga_definition *def, struct saga_state state);
bool saga_state_parse(const struct saga_definition *def, struct slice name,
                      struct saga_state *ret_state);

/* True when a stale answer contradicts an ended saga. */
bool saga_is_denial(struct saga_state now, struct saga_event event);

bool saga_has_ended(struct saga_state now);

/* Command ids are saga:attempt:name for an action, its cancel too (it speaks of that command),
 * and saga:attempt:name-undo for a compensation. Deterministic: protocol.md, "Command ids are
 * deterministic". */
struct saga_command {
    struct slice saga;
    struct slice attempt;
    unsigned row;
};
void saga_command_text(const struct saga_definition *def, struct slice saga, struct slice attempt,
                       unsigned row, bool is_compensation, struct buf *out);
/* Errors: false unless it is an id of a command of this definition. */
bool saga_command_parse(const struct saga_definition *def, struct slice id,
                        struct saga_command *ret_command);

#endif
