/* The checkout saga: its table, what answers mean to it, its commands, its ends. Pure.
 *
 *   CHARGING -taken-> PAID                 charge first, take stock last: all lines of an order are
 *      |   '-stock refused-> REFUNDING     taken in one step, the pivot, so only the charge is ever
 *      |credit refused          |          compensated. Payment sends the take on to stock itself:
 *      '------> FAILED <-refunded          CHARGING stands for both
 * Gateways begin it (checkout/begin.h), order services drive it to its end (order/drive.h).
 * Source: protocol.md sections 1.6, 1.7 and 2. */
#ifndef KASSA_CHECKOUT_CHECKOUT_H
#define KASSA_CHECKOUT_CHECKOUT_H

#include "broker/message.h"
#include "broker/topology.h"
#include "saga/journal.h"

extern const struct saga_definition checkout_definition;
extern const struct journal checkout_journal;
extern const struct redis_library order_library; /* saga/journal.lua and order/order.lua */

/* Which event an answer is. Errors: false for a type that is not an answer to the saga. */
bool checkout_event(enum message_type type, enum saga_event_kind *ret_kind);

/* The command that a saga's state asks for, and its queue. Errors: -ERR_TRANSITION when it has
 * ended, -ERR_RECORD. Borrows from the record and the two bufs. */
int checkout_command(const struct journal_record *record, struct buf *id, struct buf *other,
                     struct message *ret_command, enum topology_queue *ret_queue);

/* The row that a service carries out. Errors: false for one that has no part in a checkout. */
bool checkout_row(struct slice service, unsigned *ret_row);
const char *checkout_participant(unsigned row); /* the other way round */

/* The command that a row's participant is told again when its store may have lost its tail
 * (saga_replay). Errors: -ERR_TRANSITION when there is none, -ERR_RECORD. Borrows likewise. */
int checkout_replay(const struct journal_record *record, unsigned row, struct buf *id,
                    struct buf *other, struct message *ret_command, enum topology_queue *ret_queue);

/* Does an answer that does not fit deny what an ended saga has had done? */
bool checkout_is_denial(struct saga_state state, struct saga_event event);

/* What an ended saga tells the waiter `request`; of any other, not valid. */
struct message checkout_outcome(const struct journal_record *record, struct slice request);

#endif
