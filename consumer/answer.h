/* What every service's answers share: sending to the gateway, the common outcomes, the ping. */
#ifndef KASSA_CONSUMER_ANSWER_H
#define KASSA_CONSUMER_ANSWER_H

#include "consumer/consumer.h"
#include "consumer/record.h"

/* An answer to work's gateway, under work's command id: set its other fields, then send it. */
struct message answer_begin(const struct consumer_work *work, enum message_type type);
/* Checks for all handlers what a record said: CONSUMER_UNREADABLE, and nothing is sent, when the
 * answer is not valid. */
enum consumer_next answer_send(const struct consumer_work *work, const struct message *answer);
/* The same for what goes to a queue instead: an answer to the saga, or what follows from it. */
enum consumer_next answer_publish(struct consumer_work *work, enum queue queue,
                                  const struct message *m);

/* The outcomes that mean the same everywhere: created, unknown, refused|why, conflict|why.
 * `unknown_text` is the client's sentence for the second. Anything else: CONSUMER_UNREADABLE. */
enum consumer_next answer_outcome(const struct consumer_work *work, struct record record,
                                  const char *unknown_text);

/* payment.ping, stock.ping, order.ping: the service answers when its store does. */
int answer_ping_record(struct consumer_work *work, struct args *call);
enum consumer_next answer_ping(struct consumer_work *work, struct texts reply);

#endif
