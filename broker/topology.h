/* Queues, dead letters and parking, as a table that is handed in. Who consumes a queue declares it,
 * at every connect; nobody else has to be allowed to.
 *
 *   default exchange --> <queue> ----(delivery limit 50)---> kassa.dead --> <queue>.parked
 *
 * Every queue is durable, and a quorum queue unless its row says otherwise; a message that cannot
 * be understood is parked at once, one that kills its consumer again and again after
 * TOPOLOGY_DELIVERY_LIMIT deliveries.
 * Source: protocol.md, "The broker", "Queues"; RabbitMQ manual: Quorum Queues,
 * Queue Length Limit, Streams. */
#ifndef KASSA_BROKER_TOPOLOGY_H
#define KASSA_BROKER_TOPOLOGY_H

#include <stdint.h>
#include "runtime/buf.h"

#define TOPOLOGY_DELIVERY_LIMIT 50
#define TOPOLOGY_DEAD_EXCHANGE  "kassa.dead"
#define TOPOLOGY_QUEUES_MAX     32 /* bits of a set of them */

enum topology_kind {
    TOPOLOGY_QUORUM,  /* replicated; gives a message up after the delivery limit */
    TOPOLOGY_CLASSIC, /* on one node, and gone while that is; knows no delivery limit */
    TOPOLOGY_STREAM, /* a replicated log that keeps what was read; nothing in it is a dead letter */
};

struct topology_queue {
    const char *name;
    const char *parked; /* beside it, and always a quorum queue */
    enum topology_kind kind;
    /* 0: none. Messages that it holds at most: what is over is nacked, so that its sender keeps it.
     * Of a stream bytes, and the oldest are dropped. */
    int64_t bound;
};

/* Queues go by their row; at most TOPOLOGY_QUEUES_MAX. */
struct topology {
    const struct topology_queue *queues;
    unsigned count;
};

/* An x-argument of a queue. */
struct topology_argument {
    const char *key;
    const char *text; /* NULL: a number */
    int64_t number;
};
#define TOPOLOGY_ARGUMENTS_MAX 6

/* What a queue, or its parked one, is declared with. A broker refuses to declare a queue that is
 * there with others. Returns their number. */
unsigned topology_arguments(const struct topology_queue *queue,
                            struct topology_argument ret_arguments[TOPOLOGY_ARGUMENTS_MAX]);
unsigned topology_parked_arguments(struct topology_argument ret_arguments[TOPOLOGY_ARGUMENTS_MAX]);
/* Whether the broker itself sends messages of the queue to the parked one. */
bool topology_has_dead_letters(const struct topology_queue *queue);

/* A header of ours. */
struct broker_header {
    const char *name; /* NULL: none */
    const char *value;
};
#define BROKER_HEADER_REASON  "x-kassa-reason"  /* of a parked message */
#define BROKER_HEADER_RETURNS "x-kassa-returns" /* how often it was given back to its queue */

#endif
