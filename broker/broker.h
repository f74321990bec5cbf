/* A process's way to the broker: send commands durably, take deliveries, acknowledge them.
 *
 *   broker_send --> open envelope of that queue --turn end--> publish (persistent, mandatory)
 *                                                   '--> confirm window --> on_confirm, for each
 *   broker_consume <-- deliveries <-- prefetch;  broker_ack(tag): multiple, at the turn's end
 *
 * Nothing that was sent is given up: envelopes that were returned, nacked or in flight when the
 * connection went are published again, as they were. Two connections, one to publish and one to
 * consume, so that a broker that blocks publishers still gets its acknowledgements.
 * The hand-shake and declarations block and therefore run on a helper thread (loop_work).
 * Source: protocol.md, "The broker"; RabbitMQ manual: Publisher Confirms, Consumers, Quorum
 * Queues. */
#ifndef KASSA_BROKER_BROKER_H
#define KASSA_BROKER_BROKER_H

#include "broker/envelope.h"
#include "broker/topology.h"
#include "broker/conf.h"
#include "runtime/loop.h"

struct broker;

/* Starts connecting; never fails for an absent broker, keeps trying with jitter. What can be said
 * is in `schema`, where it goes in `topology`: a queue is a row of that. All outlive the broker. */
struct broker *broker_new(struct loop *loop, const struct broker_conf *conf, const char *service,
                          const struct envelope_schema *schema, const struct topology *topology);
/* Closes politely what can be closed at once. Anything unconfirmed is forgotten: drain first. */
void broker_free(struct broker *b); /* NULL is fine */

bool broker_is_up(const struct broker *b); /* publisher connected and not blocked */

typedef void broker_on_confirm(void *ctx);
/* Puts a copy of the command into the open envelope for `queue`. on_confirm (may be NULL) runs
 * once, when a broker quorum has it. Not bounded here: each caller bounds what it has in flight
 * (prefetch, pending table). */
void broker_send(struct broker *b, unsigned queue, const struct message *m,
                 broker_on_confirm *on_confirm, void *ctx);

/* Sends a message's bytes as they came to <queue>.parked, with `reason` in header
 * x-kassa-reason. */
void broker_park(struct broker *b, unsigned queue, struct slice body, const char *reason,
                 broker_on_confirm *on_confirm, void *ctx);

/* Sends a message's bytes as they came to the end of its queue, with `returns`, how often that was
 * done, in header x-kassa-returns. */
void broker_give_back(struct broker *b, unsigned queue, struct slice body, unsigned returns,
                      broker_on_confirm *on_confirm, void *ctx);

/* Commands sent and not yet confirmed. */
uint64_t broker_unconfirmed(const struct broker *b);

/* One delivery. `epoch` changes with each consuming connection: a tag of an older epoch is void,
 * the broker will deliver that message again. body is borrowed for the call. */
struct broker_delivery {
    unsigned queue;
    uint64_t tag;
    uint64_t epoch;
    bool redelivered;
    unsigned returns; /* how often it was given back */
    struct slice body;
};
/* Is the connection of this epoch over? */
bool broker_is_void(const struct broker *b, uint64_t epoch);

typedef void broker_on_delivery(void *ctx, const struct broker_delivery *delivery);
/* Before the first turn, once for each queue; subscribed at every connect with a fresh tag. */
void broker_consume(struct broker *b, unsigned queue, broker_on_delivery *on_delivery, void *ctx);

/* Everything of this epoch up to and including tag, over all queues of this process, is done.
 * Ignored when the epoch is not the current one. */
void broker_ack_up_to(struct broker *b, uint64_t epoch, uint64_t tag);

/* Only this one is done, while an older one is not: for stragglers, since it is a frame for each.
 */
void broker_ack_one(struct broker *b, uint64_t epoch, uint64_t tag);

/* Cancels the subscriptions: nothing new arrives after the deliveries already on their way
 * have been given to on_delivery. */
void broker_consume_stop(struct broker *b);

#endif
