/* Deliveries and their acknowledgements. See subscriber.h. */
#include "broker/subscriber.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "broker/link.h"
#include "runtime/crash.h"
#include "runtime/log.h"
#include "runtime/stat.h"

/* Each acknowledgement is an entry of a quorum queue's log, with its own way through the broker.
 * Nobody waits for one, so they are gathered: for so long, or until so many deliveries are done. A
 * crash brings that many more repeats. */
#define SUBSCRIBER_ACK_MS  25
#define SUBSCRIBER_ACK_MAX 64

/* The broker parks by itself, too, and tells nobody: so its parked queues are looked at. */
#define SUBSCRIBER_LOOK_MS 15000

#define SUBSCRIBER_STATS(X)                                                                        \
    X(counter, delivered, "kassa_broker_delivered_envelopes_total", "envelopes received")          \
    X(counter, reconnects, "kassa_broker_reconnects_total", "connections made after the first")

struct subscriber_stats {
#define X(kind, field, name, help) struct stat_value *field;
    SUBSCRIBER_STATS(X)
#undef X
};

struct subscriber_queue {
    broker_on_delivery *on_delivery; /* NULL: this queue is not consumed */
    void *ctx;
    struct stat_value *parked; /* messages beside it */
};

struct subscriber {
    struct loop *loop;
    const struct broker_conf *conf;
    const char *service;
    const struct topology *topology;
    struct subscriber_stats stats;
    struct link *link; /* NULL: nothing is consumed */
    bool is_consuming; /* false after subscriber_stop */
    bool was_connected;
    bool is_failure_logged; /* of the attempts, since it was up last */
    struct subscriber_queue queues[TOPOLOGY_QUEUES_MAX];
    uint64_t epoch;
    uint64_t acked_tag;   /* of this epoch: told to the broker */
    uint64_t settled_tag; /* done; told when the timer ends, or when they are many */
    struct loop_timer *ack;
    bool is_ack_timed;
    struct loop_timer *look; /* at the parked queues */
};

static void subscriber_on_delivery(void *ctx, unsigned queue, uint64_t tag, bool is_redelivered,
                                   unsigned returns, struct slice body)
{
    struct subscriber *s = ctx;
    struct broker_delivery delivery = {
        .queue = queue,
        .tag = tag,
        .epoch = s->epoch,
        .redelivered = is_redelivered,
        .returns = returns,
        .body = body,
    };
    stat_add(s->stats.delivered, 1);
    s->queues[queue].on_delivery(s->queues[queue].ctx, &delivery);
}

static void subscriber_on_parked(void *ctx, unsigned queue, uint32_t count)
{
    struct subscriber *s = ctx;
    if (s->queues[queue].parked != NULL) {
        stat_set(s->queues[queue].parked, count);
    }
}

static void subscriber_look(void *ctx)
{
    struct subscriber *s = ctx;
    for (unsigned q = 0; q < s->topology->count; q++) {
        struct amqp_peer *peer = link_peer(s->link);
        if (peer != NULL && s->queues[q].on_delivery != NULL) {
            link_sent(s->link, amqp_peer_count_parked(peer, q));
        }
    }
}

static void subscriber_on_up(void *ctx)
{
    struct subscriber *s = ctx;
    s->is_failure_logged = false;
    if (s->was_connected) {
        stat_add(s->stats.reconnects, 1);
    }
    s->was_connected = true;
    s->epoch++;
    s->acked_tag = 0;
    s->settled_tag = 0;
    log_info("broker_up", "connection=consumer epoch=%llu", (unsigned long long)s->epoch);
    for (unsigned q = 0; q < s->topology->count && s->is_consuming; q++) {
        struct amqp_peer *peer = link_peer(s->link);
        if (peer != NULL && s->queues[q].on_delivery != NULL) {
            link_sent(s->link, amqp_peer_consume(peer, q));
        }
    }
    subscriber_look(s);
}

static void subscriber_on_down(void *ctx, const char *why)
{
    struct subscriber *s = ctx;
    s->epoch++; /* tags that are out are void from now on */
    s->acked_tag = 0;
    s->settled_tag = 0;
    link_log_down("consumer", why, &s->is_failure_logged);
}

static const struct link_owner subscriber_owner = {
    .on_up = subscriber_on_up,
    .on_down = subscriber_on_down,
    .events = {.on_delivery = subscriber_on_delivery, .on_parked = subscriber_on_parked},
};

static void subscriber_flush_acks(struct subscriber *s)
{
    if (s->link == NULL || s->settled_tag <= s->acked_tag) {
        return;
    }
    struct amqp_peer *peer = link_peer(s->link);
    if (peer != NULL) {
        crash_point("broker.ack.before");
        link_sent(s->link, amqp_peer_ack(peer, s->settled_tag, true));
        s->acked_tag = s->settled_tag;
        crash_sent("broker.ack.after");
    }
}

static void subscriber_on_ack(void *ctx)
{
    struct subscriber *s = ctx;
    s->is_ack_timed = false;
    subscriber_flush_acks(s);
}

void subscriber_gather(struct subscriber *s)
{
    uint64_t count = s->settled_tag > s->acked_tag ? s->settled_tag - s->acked_tag : 0;
    if (count >= SUBSCRIBER_ACK_MAX) {
        subscriber_flush_acks(s);
    } else if (count > 0 && !s->is_ack_timed) {
        s->is_ack_timed = true;
        loop_timer_start(s->ack, SUBSCRIBER_ACK_MS, 0);
    }
}

struct subscriber *subscriber_new(struct loop *loop, const struct broker_conf *conf,
                                  const char *service, const struct topology *topology)
{
    assert(topology->count <= TOPOLOGY_QUEUES_MAX);
    struct subscriber *s = mem_new(sizeof(*s));
    s->loop = loop;
    s->conf = conf;
    s->service = service;
    s->topology = topology;
    s->is_consuming = true;
#define X(kind, field, name, help) s->stats.field = stat_##kind(name, "", help);
    SUBSCRIBER_STATS(X)
#undef X
    s->ack = loop_timer_new(loop, subscriber_on_ack, s);
    s->look = loop_timer_new(loop, subscriber_look, s);
    return s;
}

void subscriber_free(struct subscriber *s)
{
    if (s == NULL) {
        return;
    }
    subscriber_flush_acks(s);
    link_free(s->link);
    loop_timer_free(s->ack);
    loop_timer_free(s->look);
    free(s);
}

static struct stat_value *subscriber_parked_gauge(const char *parked)
{
    char labels[80];
    snprintf(labels, sizeof(labels), "queue=\"%s\"", parked);
    return stat_gauge("kassa_parked_messages", labels, "messages that wait for a person");
}

void subscriber_consume(struct subscriber *s, unsigned queue, broker_on_delivery *on_delivery,
                        void *ctx)
{
    assert(queue < s->topology->count && s->queues[queue].on_delivery == NULL);
    assert(s->epoch == 0); /* before the first connection */
    s->queues[queue] = (struct subscriber_queue){on_delivery, ctx, NULL};
    if (s->link == NULL) {
        s->link = link_new(s->loop, s->conf, s->service, s->topology, false, &subscriber_owner, s);
        loop_timer_start(s->look, SUBSCRIBER_LOOK_MS, SUBSCRIBER_LOOK_MS);
    }
    s->queues[queue].parked = subscriber_parked_gauge(s->topology->queues[queue].parked);
    link_declare(s->link, queue);
}

bool subscriber_is_void(const struct subscriber *s, uint64_t epoch)
{
    return epoch != s->epoch;
}

void subscriber_ack_up_to(struct subscriber *s, uint64_t epoch, uint64_t tag)
{
    if (epoch == s->epoch && tag > s->settled_tag) {
        s->settled_tag = tag;
    }
}

void subscriber_ack_one(struct subscriber *s, uint64_t epoch, uint64_t tag)
{
    struct amqp_peer *peer = s->link != NULL ? link_peer(s->link) : NULL;
    if (epoch == s->epoch && tag > s->acked_tag && peer != NULL) {
        link_sent(s->link, amqp_peer_ack(peer, tag, false));
    }
}

void subscriber_stop(struct subscriber *s)
{
    if (!s->is_consuming || s->link == NULL) {
        return;
    }
    s->is_consuming = false;
    for (unsigned q = 0; q < s->topology->count; q++) {
        struct amqp_peer *peer = link_peer(s->link);
        if (peer != NULL && s->queues[q].on_delivery != NULL) {
            link_sent(s->link, amqp_peer_cancel(peer, q));
        }
    }
}
