/* The checkout saga: its table, what answers mean to it, its commands, its ends, its recovery.
 *
 *   CHARGING -taken-> PAID                 charge first, take stock last: all lines of an order are
 *      |   '-stock refused-> REFUNDING     taken in one step, the pivot, so only the charge is ever
 *      |credit refused          |          compensated. Payment sends the take on to stock itself:
 *      '------> FAILED <-refunded          CHARGING stands for both
 * Source: protocol.md sections 1.6, 1.7 and 2. */
#ifndef KASSA_ORDER_CHECKOUT_H
#define KASSA_ORDER_CHECKOUT_H

#include "saga/consumer.h"
#include "saga/journal.h"

extern const struct saga_definition checkout_definition;
extern const struct journal checkout_journal;

/* Which event an answer is. Errors: false for a type that is not an answer to the saga. */
bool checkout_event(enum message_type type, enum saga_event_kind *ret_kind);

/* The command that a saga's state asks for, and its queue. Errors: -ERR_TRANSITION when it has
 * ended, -ERR_RECORD. Borrows from the record and the two bufs. */
int checkout_command(const struct journal_record *record, struct buf *id, struct buf *other,
                     struct message *ret_command, enum topology_queue *ret_queue);

/* Builds the compare-and-set of a saga's journal from move.from to where the event leads. The other
 * fields of move that are needed: entity, saga, attempt, reason.
 * Errors: -ERR_TRANSITION when the event does not fit move.from; those of journal_advance. */
int checkout_move(struct consumer *consumer, struct journal_move move, struct saga_event event,
                  struct redis_command *call);

/* The row that a service carries out. Errors: false for one that has no part in a checkout. */
bool checkout_row(struct slice service, unsigned *ret_row);

/* The command that a row's participant is told again when its store may have lost its tail
 * (saga_replay). Errors: -ERR_TRANSITION when there is none, -ERR_RECORD. Borrows likewise. */
int checkout_replay(const struct journal_record *record, unsigned row, struct buf *id,
                    struct buf *other, struct message *ret_command, enum topology_queue *ret_queue);

/* Does an answer that does not fit deny what an ended saga has had done? Pure. */
bool checkout_is_denial(struct saga_state state, struct saga_event event);

/* What an ended saga tells the waiter `request`. */
struct message checkout_outcome(const struct journal_record *record, struct slice request);

/* Handlers: order.checkout, and every answer to a saga command. */
int checkout_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next checkout_answer(struct consumer_work *work, const struct redis_reply *reply);
int checkout_event_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next checkout_event_answer(struct consumer_work *work,
                                         const struct redis_reply *reply);

/* Handler: order.cancel, by an operator. Cancel-or-tell: it either starts the way back, or answers
 * that there is none any more. */
int checkout_cancel_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next checkout_cancel_answer(struct consumer_work *work,
                                          const struct redis_reply *reply);

/* The call that reads one saga by its id; for order.saga, too. */
void checkout_look(struct consumer_work *work, struct redis_command *call);

/* Handler: order.replay, a participant whose store may have lost its tail (order/replay.c). */
int checkout_replay_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next checkout_replay_answer(struct consumer_work *work,
                                          const struct redis_reply *reply);

/* Sends what the journal says is outstanding, or tells the waiters of the end. work NULL: outside
 * a delivery (recovery). */
void checkout_follow(struct consumer *consumer, struct consumer_work *work,
                     const struct journal_record *record);

#endif
