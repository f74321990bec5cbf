/* A saga's commands to participants and notices to waiters, made from its journal: the tables of
 * the definition say which command, which fields, which queue. Pure. */
#ifndef KASSA_SAGA_COMMAND_H
#define KASSA_SAGA_COMMAND_H

#include "saga/journal.h"
#include "saga/step.h"

/* A command, and where it goes. Zero-initialised is valid. Its texts are borrowed from the record
 * and from `ids`. Owns: ids, until saga_outgoing_free. */
struct saga_outgoing {
    struct message message;
    enum queue queue;
    struct buf ids[2]; /* its own, and that of the command that it undoes, or that comes next */
};
void saga_outgoing_free(struct saga_outgoing *out);

/* The command that a saga's state asks for. Errors: -ERR_RECORD: the record cannot be read; and the
 * saga must not have ended. */
int saga_command_due(const struct saga_definition *def, const struct journal_record *record,
                     struct saga_outgoing *ret_out);

/* The command that a replay sends to a step's participant (saga_replay).
 * Errors: -ERR_TRANSITION when there is none, -ERR_RECORD. */
int saga_command_again(const struct saga_definition *def, const struct journal_record *record,
                       unsigned row, struct saga_outgoing *ret_out);

/* Which event an answer is. Errors: false for a type that is not an answer to this saga. */
bool saga_event_of(const struct saga_definition *def, enum message_type type,
                   enum saga_event_kind *ret_kind);

/* The step that a service carries out. Errors: false for a service without one. */
bool saga_row_of(const struct saga_definition *def, struct slice participant, unsigned *ret_row);

/* The notice of an ended saga for the waiter `request`; of any other, not valid. */
struct message saga_outcome(const struct saga_definition *def, const struct journal_record *record,
                            struct slice request);

#endif
