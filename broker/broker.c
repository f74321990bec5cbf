/* A process's way to the broker: a publisher, and a subscriber, each with a connection of its own.
 * What they have in common is the turn's end: acknowledgements first, then what is to be published. */
#include "broker/broker.h"

#include <stdlib.h>
#include "broker/publisher.h"
#include "broker/subscriber.h"

struct broker {
    struct loop *loop;
    struct publisher *publisher;
    struct subscriber *subscriber;
};

static void broker_on_turn_end(void *ctx)
{
    struct broker *b = ctx;
    subscriber_gather(b->subscriber);
    publisher_flush(b->publisher);
}

struct broker *broker_new(struct loop *loop, const struct broker_conf *conf, const char *service,
                          const struct envelope_schema *schema, const struct topology *topology)
{
    struct broker *b = mem_new(sizeof(*b));
    b->loop = loop;
    b->publisher = publisher_new(loop, conf, service, schema, topology);
    b->subscriber = subscriber_new(loop, conf, service, topology);
    loop_hook_add(loop, LOOP_HOOK_BROKER, broker_on_turn_end, b);
    return b;
}

void broker_free(struct broker *b)
{
    if (b == NULL) {
        return;
    }
    loop_hook_remove(b->loop, LOOP_HOOK_BROKER, broker_on_turn_end, b);
    subscriber_free(b->subscriber);
    publisher_free(b->publisher);
    free(b);
}

bool broker_is_up(const struct broker *b)
{
    return publisher_is_up(b->publisher);
}

uint64_t broker_unconfirmed(const struct broker *b)
{
    return publisher_unconfirmed(b->publisher);
}

void broker_send(struct broker *b, unsigned queue, const struct message *m,
                 broker_on_confirm *on_confirm, void *ctx)
{
    publisher_send(b->publisher, queue, m, on_confirm, ctx);
}

void broker_park(struct broker *b, unsigned queue, struct slice body, const char *reason,
                 broker_on_confirm *on_confirm, void *ctx)
{
    publisher_park(b->publisher, queue, body, reason, on_confirm, ctx);
}

void broker_give_back(struct broker *b, unsigned queue, struct slice body, unsigned returns,
                      broker_on_confirm *on_confirm, void *ctx)
{
    publisher_give_back(b->publisher, queue, body, returns, on_confirm, ctx);
}

void broker_consume(struct broker *b, unsigned queue, broker_on_delivery *on_delivery, void *ctx)
{
    subscriber_consume(b->subscriber, queue, on_delivery, ctx);
}

void broker_consume_stop(struct broker *b)
{
    subscriber_stop(b->subscriber);
}

bool broker_is_void(const struct broker *b, uint64_t epoch)
{
    return subscriber_is_void(b->subscriber, epoch);
}

void broker_ack_up_to(struct broker *b, uint64_t epoch, uint64_t tag)
{
    subscriber_ack_up_to(b->subscriber, epoch, tag);
}

void broker_ack_one(struct broker *b, uint64_t epoch, uint64_t tag)
{
    subscriber_ack_one(b->subscriber, epoch, tag);
}
