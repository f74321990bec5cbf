/* Queues, dead letters and parking, in one const table. Who consumes a queue declares it, at every
 * connect; nobody else has to be allowed to.
 *
 *   default exchange -- kassa.order ----(delivery limit 50)---> kassa.dead --> kassa.order.parked
 *
 * Every queue is a durable quorum queue; a message that cannot be understood is parked at once,
 * one that kills its consumer again and again after TOPOLOGY_DELIVERY_LIMIT deliveries.
 * Source: protocol.md, "The broker", "Queues". */
#ifndef KASSA_BROKER_TOPOLOGY_H
#define KASSA_BROKER_TOPOLOGY_H

#include "runtime/buf.h"

#define TOPOLOGY_DELIVERY_LIMIT 50
#define TOPOLOGY_DEAD_EXCHANGE  "kassa.dead"

/* X(name, queue, consumer, what it carries) */
#define TOPOLOGY_QUEUES(X)                                                                         \
    X(ORDER, "kassa.order", "order", "commands of gateways, and order.add from stock")             \
    X(SAGA, "kassa.saga", "order",                                                                 \
      "answers to saga commands; apart, so that they never wait "                                  \
      "behind new work")                                                                           \
    X(STOCK, "kassa.stock", "stock", "commands of gateways and sagas")                             \
    X(PAYMENT, "kassa.payment", "payment", "commands of gateways and sagas")

enum topology_queue {
#define X(name, queue, consumer, what) QUEUE_##name,
    TOPOLOGY_QUEUES(X)
#undef X
        QUEUE_COUNT
};

const char *topology_queue_text(enum topology_queue queue); /* "kassa.order" */
/* Errors: false for a queue that is not in the table. */
bool topology_queue_parse(struct slice text, enum topology_queue *ret_queue);
/* A header of ours. */
struct broker_header {
    const char *name; /* NULL: none */
    const char *value;
};
#define BROKER_HEADER_REASON  "x-kassa-reason"  /* of a parked message */
#define BROKER_HEADER_RETURNS "x-kassa-returns" /* how often it was given back to its queue */

const char *topology_queue_parked_text(enum topology_queue queue); /* "kassa.order.parked" */

#endif
