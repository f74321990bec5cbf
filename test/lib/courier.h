/* Commands on their way through a real RabbitMQ: RABBITMQ_NODES, _USER, _PASSWORD, _VHOST tell
 * where. The virtual host must be the test's own: its queues are purged and deleted here.
 *
 *   tested: struct broker --> RabbitMQ <-- side: a plain connection of the test's own, that looks
 *   at queues, deletes them and puts odd messages into them */
#ifndef KASSA_TEST_COURIER_H
#define KASSA_TEST_COURIER_H

#include <amqp.h>

#include "broker/broker.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"

#define COURIER_COMMANDS_MAX 200000
#define COURIER_PATIENCE_MS  20000

struct courier {
    struct broker_conf conf;
    int port; /* of the node, to find its connections */
    struct loop *loop;
    struct loop_timer *tick; /* so that waiting for a turn always ends */
    struct broker *broker;
    amqp_connection_state_t side;

    bool is_acking;
    unsigned sent;
    unsigned confirmed;
    unsigned seen[COURIER_COMMANDS_MAX]; /* how often the command of this number was delivered */
    unsigned seen_distinct;
    unsigned in_order; /* commands 0..in_order-1 arrived first in this order */
    unsigned deliveries;
    unsigned redeliveries;
    struct broker_delivery last;
};

/* For cmocka: *state is the courier. It acknowledges what it gets, and has no broker yet. */
int courier_setup(void **state);
int courier_teardown(void **state);

/* Declares every queue and empties it; then the broker is up. */
void courier_begin(struct courier *c);
/* The same, and the broker consumes `queue`. */
void courier_begin_consuming(struct courier *c, enum queue queue);

/* Sends commands, numbered on from the last. */
void courier_send(struct courier *c, enum queue queue, unsigned count);
/* What the broker calls; ctx is the courier. */
void courier_on_confirm(void *ctx);
void courier_on_delivery(void *ctx, const struct broker_delivery *delivery);

/* Turns the loop until `claim` is true; fails the test, by cmocka and with the line of the caller,
 * when it is not within COURIER_PATIENCE_MS. */
#define courier_turn_until(c, claim)                                                               \
    do {                                                                                           \
        int64_t until_ms = courier_clock_ms() + COURIER_PATIENCE_MS;                               \
        while (!(claim) && courier_clock_ms() < until_ms) {                                        \
            loop_turn((c)->loop, true);                                                            \
        }                                                                                          \
        if (!(claim)) {                                                                            \
            fail_msg("never: %s (sent %u, confirmed %u, seen %u)", #claim, (c)->sent,              \
                     (c)->confirmed, (c)->seen_distinct);                                          \
        }                                                                                          \
    } while (0)
void courier_turn_for(struct courier *c, int64_t ms);
int64_t courier_clock_ms(void);
int64_t courier_stat(const char *name); /* of a counter without labels */

/* Breaks every connection of this process to the node but the side's, without a goodbye. Returns
 * how many. */
unsigned courier_cut(struct courier *c);

/* By the side connection. Whatever it is refused fails the test. */
void courier_delete(struct courier *c, const char *queue);
unsigned courier_count(struct courier *c, const char *queue);
void courier_put(struct courier *c, const char *queue, const void *data, size_t bytes);
/* Takes one message that must be there within some seconds; gives its reason ("" for none). */
void courier_take(struct courier *c, const char *queue, bool is_rejected, struct buf *ret_body,
                  struct buf *ret_reason);

#endif
