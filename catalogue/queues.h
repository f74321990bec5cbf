/* Every queue, in one table: what it is (broker/topology.h), who consumes it, what it carries.
 * Source: protocol.md, "Queues". */
#ifndef KASSA_CATALOGUE_QUEUES_H
#define KASSA_CATALOGUE_QUEUES_H

#include "broker/topology.h"

/* X(name, queue, kind, bound, consumer, what it carries) */
#define CATALOGUE_QUEUES(X)                                                                        \
    X(ORDER, "kassa.order", QUORUM, 0, "order", "commands of gateways, and order.add from stock")  \
    X(SAGA, "kassa.saga", QUORUM, 0, "order",                                                      \
      "answers to saga commands; apart, so that they never wait "                                  \
      "behind new work")                                                                           \
    X(STOCK, "kassa.stock", QUORUM, 0, "stock", "commands of gateways and sagas")                  \
    X(PAYMENT, "kassa.payment", QUORUM, 0, "payment", "commands of gateways and sagas")

enum queue {
#define X(name, queue, kind, bound, consumer, what) QUEUE_##name,
    CATALOGUE_QUEUES(X)
#undef X
        QUEUE_COUNT
};

extern const struct topology queues_topology;

const char *queues_text(enum queue queue); /* "kassa.order" */
/* Errors: false for a queue that is not in the table. */
bool queues_parse(struct slice text, enum queue *ret_queue);
const char *queues_parked_text(enum queue queue); /* "kassa.order.parked" */

#endif
