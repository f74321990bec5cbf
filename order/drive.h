/* Drives checkout sagas: what comes in moves the journal, and what the journal then says is
 * followed. Every transition is: step (pure), compare-and-set, then follow the state that the
 * journal now has.
 * Source: protocol.md sections 1.1, 1.3, 1.4 and 2. */
#ifndef KASSA_ORDER_DRIVE_H
#define KASSA_ORDER_DRIVE_H

#include "checkout/checkout.h"
#include "saga/consumer.h"

/* Builds the compare-and-set of a saga's journal from move.from to where the event leads. The other
 * fields of move that are needed: entity, saga, attempt, reason.
 * Errors: -ERR_TRANSITION when the event does not fit move.from; those of journal_advance. */
int checkout_move(struct consumer *consumer, struct journal_move move, struct saga_event event,
                  struct redis_command *call);

/* Sends what the journal says is outstanding, or tells the waiters of the end. work NULL: outside
 * a delivery (recovery). */
void checkout_follow(struct consumer *consumer, struct consumer_work *work,
                     const struct journal_record *record);

/* A journal that no version of ours writes: counted and logged. */
void checkout_unreadable(const struct journal_record *record);

/* Handlers: order.checkout, from a gateway that asks again, and every answer to a saga command. */
int checkout_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next checkout_answer(struct consumer_work *work, const struct redis_reply *reply);
int checkout_event_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next checkout_event_answer(struct consumer_work *work,
                                         const struct redis_reply *reply);

/* Handler: order.cancel, by an operator. Cancel-or-tell: it either starts the way back, or answers
 * that there is none any more (order/cancel.c). */
int checkout_cancel_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next checkout_cancel_answer(struct consumer_work *work,
                                          const struct redis_reply *reply);

/* The call that reads one saga by its id; for order.saga, too. */
void checkout_look(struct consumer_work *work, struct redis_command *call);

#endif
