/* The consuming half of a process's way to the broker: deliveries in, acknowledgements out, on a
 * connection of its own, which a process that consumes nothing does not have.
 *
 *   on_delivery <-- link <-- broker;   ack_up_to --turn end--> one basic.ack, multiple
 *
 * broker.h has the public side, and what each call promises. */
#ifndef KASSA_BROKER_SUBSCRIBER_H
#define KASSA_BROKER_SUBSCRIBER_H

#include "broker/broker.h"

struct subscriber;

struct subscriber *subscriber_new(struct loop *loop, const struct broker_conf *conf,
                                  const char *service, const struct topology *topology);
void subscriber_free(struct subscriber *s); /* NULL is fine; acknowledges what is done */

void subscriber_consume(struct subscriber *s, unsigned queue, broker_on_delivery *on_delivery,
                        void *ctx);
void subscriber_stop(struct subscriber *s);
bool subscriber_is_void(const struct subscriber *s, uint64_t epoch);
void subscriber_ack_up_to(struct subscriber *s, uint64_t epoch, uint64_t tag);
void subscriber_ack_one(struct subscriber *s, uint64_t epoch, uint64_t tag);

/* The end of a turn: what is done is acknowledged soon, or now when it is much. */
void subscriber_gather(struct subscriber *s);

#endif
