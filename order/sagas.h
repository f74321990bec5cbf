/* Sagas as clients see them: one, or a list of the newest.
 *
 *   order_sagas, cursor 0 --> a few records, cursor --> order_sagas, cursor --> .. --> answer
 *
 * A store does one thing after the other, so a list is read in parts of about a
 * millisecond each, and other calls get their turn in between. */
#ifndef KASSA_ORDER_SAGAS_H
#define KASSA_ORDER_SAGAS_H

#include "consumer/consumer.h"

int sagas_one_record(struct consumer_work *work, struct args *call);
enum consumer_next sagas_one_answer(struct consumer_work *work, struct texts reply);

int sagas_record(struct consumer_work *work, struct args *call);
enum consumer_next sagas_answer(struct consumer_work *work, struct texts reply);

/* A list of lines that begin with saga|order|. The newest `limit` of them, newest first, each saga
 * of an order once. */
void sagas_newest(struct buf *lines, unsigned limit);

#endif
