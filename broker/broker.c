/* A process's way to the broker: the outbox on the publishing link, the consumers on the other.
 *
 *   broker_send --> outbox --turn end--> publisher link --> broker --> confirm --> on_confirm
 *   on_delivery <-- consumer link <-- broker;   ack_up_to --turn end--> one basic.ack, multiple
 *
 * The consumer link exists only in a process that consumes. */
#include "broker/broker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "broker/link.h"
#include "broker/outbox.h"
#include "runtime/crash.h"
#include "runtime/log.h"
#include "runtime/stat.h"

/* What the broker refused or could not route is tried again after this: not in a hurry, the
 * cause (no leader, a queue that was deleted) lasts longer than a turn. */
#define BROKER_KEEP_BACK_MS 200

/* A confirm that is missing may be here already: after a pause of this process. So the loop gets
 * some more turns to find it. */
#define BROKER_SUSPECT_MS 100

/* Each acknowledgement is an entry of a quorum queue's log, with its own way through the broker.
 * Nobody waits for one, so they are gathered: for so long, or until so many deliveries are done. A
 * crash brings that many more repeats. */
#define BROKER_ACK_MS  25
#define BROKER_ACK_MAX 64

/* The broker parks by itself, too, and tells nobody: so its parked queues are looked at. */
#define BROKER_LOOK_MS 15000

#define BROKER_STATS(X)                                                                            \
    X(counter, published_envelopes, "kassa_broker_published_envelopes_total",                      \
      "envelopes published, repeats included")                                                     \
    X(counter, published_commands, "kassa_broker_published_commands_total",                        \
      "commands given to the broker's outbox")                                                     \
    X(counter, confirmed_commands, "kassa_broker_confirmed_commands_total",                        \
      "commands that a broker quorum has")                                                         \
    X(counter, returned, "kassa_broker_returned_total", "envelopes that could not be routed")      \
    X(counter, nacked, "kassa_broker_nacked_total", "negative confirms")                           \
    X(counter, reconnects, "kassa_broker_reconnects_total", "connections made after the first")    \
    X(counter, delivered, "kassa_broker_delivered_envelopes_total", "envelopes received")          \
    X(counter, parked, "kassa_broker_parked_total", "messages parked by this process")             \
    X(gauge, up, "kassa_broker_up", "1: publisher connected and not blocked")                      \
    X(gauge, unconfirmed, "kassa_broker_unconfirmed_commands", "commands sent and not confirmed")

struct broker_stats {
#define X(kind, field, name, help) struct stat_value *field;
    BROKER_STATS(X)
#undef X
};

struct broker_consumer {
    broker_on_delivery *on_delivery; /* NULL: this queue is not consumed */
    void *ctx;
};

struct broker {
    struct loop *loop;
    const struct broker_conf *conf;
    const char *service;
    struct broker_stats stats;

    struct link *publisher;
    bool is_connected; /* the publisher */
    bool was_connected;
    bool is_blocked;        /* by the broker: connection.blocked */
    bool is_failure_logged; /* of the publisher's attempts, since it was up last */
    struct outbox *outbox;
    struct loop_timer *release; /* what the broker refused goes out again */
    bool is_release_due;
    int64_t suspect_ms;         /* since when a confirm is overdue; 0: none is */
    struct loop_timer *suspect; /* makes a turn happen, to look again */

    struct link *consumer; /* NULL: nothing is consumed */
    bool is_consuming;     /* false after broker_consume_stop */
    bool was_consumer_connected;
    bool is_consumer_failure_logged;
    struct broker_consumer consumers[QUEUE_COUNT];
    uint64_t epoch;
    uint64_t acked_tag;   /* of this epoch: told to the broker */
    uint64_t settled_tag; /* done; told when the timer ends, or when they are many */
    struct loop_timer *ack;
    bool is_ack_timed;

    struct loop_timer *look; /* at the parked queues */
    struct stat_value *parked[QUEUE_COUNT];
};

static void broker_update_gauges(struct broker *b)
{
    stat_set(b->stats.up, broker_is_up(b));
    stat_set(b->stats.unconfirmed, (int64_t)outbox_unconfirmed(b->outbox));
}

/* Once for each outage, not for each attempt. */
static void broker_log_down(const char *connection, const char *why, bool *is_logged)
{
    if (!*is_logged) {
        *is_logged = true;
        log_warn("broker_down", "connection=%s reason=%s", connection, log_quote(slice_from(why)));
    } else {
        log_debug("broker_down", "connection=%s reason=%s", connection, log_quote(slice_from(why)));
    }
}

/* ---- publishing ---- */

static int broker_publish(void *ctx, const char *queue, struct slice body, uint64_t sequence,
                          struct broker_header header)
{
    struct broker *b = ctx;
    struct amqp_peer *peer = link_peer(b->publisher);
    assert(peer != NULL);
    int err = amqp_peer_publish(peer, queue, body, sequence, header);
    link_sent(b->publisher, err);
    if (err == 0) {
        stat_add(b->stats.published_envelopes, 1);
    }
    return err;
}

static void broker_release_later(struct broker *b)
{
    if (!b->is_release_due) {
        b->is_release_due = true;
        loop_timer_start(b->release, BROKER_KEEP_BACK_MS, 0);
    }
}

static void broker_on_release(void *ctx)
{
    struct broker *b = ctx;
    b->is_release_due = false;
    outbox_release(b->outbox);
}

static void broker_on_confirm_frame(void *ctx, uint64_t tag, bool is_multiple, bool is_ack)
{
    struct broker *b = ctx;
    if (!is_ack) {
        stat_add(b->stats.nacked, 1);
    }
    stat_add(b->stats.confirmed_commands,
             (int64_t)outbox_confirm(b->outbox, tag, is_multiple, is_ack));
    if (outbox_has_kept_back(b->outbox)) {
        broker_release_later(b);
    }
}

/* There is no such queue, until its consumer has declared it: the envelope goes out again later. */
static void broker_on_return(void *ctx, uint64_t sequence)
{
    struct broker *b = ctx;
    if (outbox_return(b->outbox, sequence)) {
        stat_add(b->stats.returned, 1);
    }
}

/* Only so that there is a turn. */
static void broker_on_suspect(void *ctx)
{
    (void)ctx;
}

/* A node that has lost the leader of a queue may keep what it was given, and confirm it only when
 * all nodes are back, while the others serve. Heartbeats go on, so only this shows it. */
static void broker_look_for_confirms(struct broker *b)
{
    int64_t now_ms = loop_now_ms(b->loop);
    if (!outbox_is_overdue(b->outbox, b->conf->rabbitmq_confirm_ms, now_ms)) {
        b->suspect_ms = 0;
    } else if (b->suspect_ms == 0) {
        b->suspect_ms = now_ms;
        loop_timer_start(b->suspect, BROKER_SUSPECT_MS, 0);
    } else if (now_ms - b->suspect_ms >= BROKER_SUSPECT_MS) {
        b->suspect_ms = 0;
        outbox_give_up(b->outbox);
        link_give_up(b->publisher, "no confirm in time");
    }
}

static void broker_on_blocked(void *ctx, bool is_blocked)
{
    struct broker *b = ctx;
    b->is_blocked = is_blocked;
    log_warn(is_blocked ? "broker_blocked" : "broker_unblocked", "connection=publisher");
}

static void broker_on_publisher_up(void *ctx)
{
    struct broker *b = ctx;
    b->is_connected = true;
    b->is_blocked = false;
    b->is_failure_logged = false;
    if (b->was_connected) {
        stat_add(b->stats.reconnects, 1);
    }
    b->was_connected = true;
    log_info("broker_up", "connection=publisher unconfirmed=%llu",
             (unsigned long long)outbox_unconfirmed(b->outbox));
    outbox_reset(b->outbox);
    outbox_release(b->outbox);
}

static void broker_on_publisher_down(void *ctx, const char *why)
{
    struct broker *b = ctx;
    b->is_connected = false;
    broker_log_down("publisher", why, &b->is_failure_logged);
}

static void broker_on_no_delivery(void *ctx, enum topology_queue queue, uint64_t tag,
                                  bool is_redelivered, unsigned returns, struct slice body)
{
    (void)ctx, (void)queue, (void)tag, (void)is_redelivered, (void)returns, (void)body;
    assert(!"a publisher has no consumers");
}

static void broker_on_nothing_parked(void *ctx, enum topology_queue queue, uint32_t count)
{
    (void)ctx, (void)queue, (void)count;
    assert(!"a publisher does not look");
}

static const struct link_owner broker_publisher = {
    .on_up = broker_on_publisher_up,
    .on_down = broker_on_publisher_down,
    .events =
        {
            .on_confirm = broker_on_confirm_frame,
            .on_return = broker_on_return,
            .on_blocked = broker_on_blocked,
            .on_delivery = broker_on_no_delivery,
            .on_parked = broker_on_nothing_parked,
        },
};

/* ---- consuming ---- */

static void broker_on_delivery_frame(void *ctx, enum topology_queue queue, uint64_t tag,
                                     bool is_redelivered, unsigned returns, struct slice body)
{
    struct broker *b = ctx;
    struct broker_delivery delivery = {
        .queue = queue,
        .tag = tag,
        .epoch = b->epoch,
        .redelivered = is_redelivered,
        .returns = returns,
        .body = body,
    };
    stat_add(b->stats.delivered, 1);
    b->consumers[queue].on_delivery(b->consumers[queue].ctx, &delivery);
}

static void broker_on_parked(void *ctx, enum topology_queue queue, uint32_t count)
{
    struct broker *b = ctx;
    if (b->parked[queue] != NULL) {
        stat_set(b->parked[queue], count);
    }
}

static void broker_look(void *ctx)
{
    struct broker *b = ctx;
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        struct amqp_peer *peer = link_peer(b->consumer);
        if (peer != NULL && b->consumers[q].on_delivery != NULL) {
            link_sent(b->consumer, amqp_peer_count_parked(peer, (enum topology_queue)q));
        }
    }
}

static void broker_on_consumer_up(void *ctx)
{
    struct broker *b = ctx;
    b->is_consumer_failure_logged = false;
    if (b->was_consumer_connected) {
        stat_add(b->stats.reconnects, 1);
    }
    b->was_consumer_connected = true;
    b->epoch++;
    b->acked_tag = 0;
    b->settled_tag = 0;
    log_info("broker_up", "connection=consumer epoch=%llu", (unsigned long long)b->epoch);
    for (unsigned q = 0; q < QUEUE_COUNT && b->is_consuming; q++) {
        struct amqp_peer *peer = link_peer(b->consumer);
        if (peer != NULL && b->consumers[q].on_delivery != NULL) {
            link_sent(b->consumer, amqp_peer_consume(peer, (enum topology_queue)q));
        }
    }
    broker_look(b);
}

static void broker_on_consumer_down(void *ctx, const char *why)
{
    struct broker *b = ctx;
    b->epoch++; /* tags that are out are void from now on */
    b->acked_tag = 0;
    b->settled_tag = 0;
    broker_log_down("consumer", why, &b->is_consumer_failure_logged);
}

static void broker_on_no_confirm(void *ctx, uint64_t tag, bool is_multiple, bool is_ack)
{
    (void)ctx, (void)tag, (void)is_multiple, (void)is_ack;
    assert(!"a consumer has nothing to be confirmed");
}

static void broker_on_no_return(void *ctx, uint64_t sequence)
{
    (void)ctx, (void)sequence;
    assert(!"a consumer has nothing to be returned");
}

static void broker_on_consumer_blocked(void *ctx, bool is_blocked)
{
    (void)ctx, (void)is_blocked; /* it publishes nothing */
}

static const struct link_owner broker_consumer_owner = {
    .on_up = broker_on_consumer_up,
    .on_down = broker_on_consumer_down,
    .events =
        {
            .on_confirm = broker_on_no_confirm,
            .on_return = broker_on_no_return,
            .on_blocked = broker_on_consumer_blocked,
            .on_delivery = broker_on_delivery_frame,
            .on_parked = broker_on_parked,
        },
};

static void broker_flush_acks(struct broker *b)
{
    if (b->consumer == NULL || b->settled_tag <= b->acked_tag) {
        return;
    }
    struct amqp_peer *peer = link_peer(b->consumer);
    if (peer != NULL) {
        crash_point("broker.ack.before");
        link_sent(b->consumer, amqp_peer_ack(peer, b->settled_tag, true));
        b->acked_tag = b->settled_tag;
        crash_sent("broker.ack.after");
    }
}

static void broker_on_ack(void *ctx)
{
    struct broker *b = ctx;
    b->is_ack_timed = false;
    broker_flush_acks(b);
}

static void broker_acks_gather(struct broker *b)
{
    uint64_t count = b->settled_tag > b->acked_tag ? b->settled_tag - b->acked_tag : 0;
    if (count >= BROKER_ACK_MAX) {
        broker_flush_acks(b);
    } else if (count > 0 && !b->is_ack_timed) {
        b->is_ack_timed = true;
        loop_timer_start(b->ack, BROKER_ACK_MS, 0);
    }
}

static void broker_on_turn_end(void *ctx)
{
    struct broker *b = ctx;
    broker_acks_gather(b);
    struct amqp_peer *peer = link_peer(b->publisher);
    if (peer != NULL && !b->is_blocked) {
        outbox_flush(b->outbox, amqp_peer_room_bytes(peer), loop_now_ms(b->loop));
        broker_look_for_confirms(b);
    }
    broker_update_gauges(b);
}

/* ---- the public side ---- */

struct broker *broker_new(struct loop *loop, const struct broker_conf *conf, const char *service)
{
    struct broker *b = mem_new(sizeof(*b));
    b->loop = loop;
    b->conf = conf;
    b->service = service;
    b->is_consuming = true;
#define X(kind, field, name, help) b->stats.field = stat_##kind(name, "", help);
    BROKER_STATS(X)
#undef X
    const struct outbox_limits limits = {
        .window_envelopes = (unsigned)conf->window_envelopes,
        .window_bytes = (size_t)conf->window_bytes,
        .envelope_commands = (unsigned)conf->envelope_commands_max,
        .envelope_bytes = (size_t)conf->envelope_bytes_max,
    };
    b->outbox = outbox_new(&limits, broker_publish, b);
    b->release = loop_timer_new(loop, broker_on_release, b);
    b->suspect = loop_timer_new(loop, broker_on_suspect, b);
    b->ack = loop_timer_new(loop, broker_on_ack, b);
    b->look = loop_timer_new(loop, broker_look, b);
    b->publisher = link_new(loop, conf, service, true, &broker_publisher, b);
    loop_hook_add(loop, LOOP_HOOK_BROKER, broker_on_turn_end, b);
    return b;
}

void broker_free(struct broker *b)
{
    if (b == NULL) {
        return;
    }
    broker_flush_acks(b);
    loop_hook_remove(b->loop, LOOP_HOOK_BROKER, broker_on_turn_end, b);
    link_free(b->publisher);
    link_free(b->consumer);
    loop_timer_free(b->release);
    loop_timer_free(b->suspect);
    loop_timer_free(b->ack);
    loop_timer_free(b->look);
    outbox_free(b->outbox);
    free(b);
}

bool broker_is_up(const struct broker *b)
{
    return b->is_connected && !b->is_blocked;
}

void broker_send(struct broker *b, enum topology_queue queue, const struct message *m,
                 broker_on_confirm *on_confirm, void *ctx)
{
    outbox_add(b->outbox, queue, m, on_confirm, ctx);
    stat_add(b->stats.published_commands, 1);
}

void broker_park(struct broker *b, enum topology_queue queue, struct slice body, const char *reason,
                 broker_on_confirm *on_confirm, void *ctx)
{
    outbox_park(b->outbox, queue, body, reason, on_confirm, ctx);
    stat_add(b->stats.parked, 1);
}

void broker_give_back(struct broker *b, enum topology_queue queue, struct slice body,
                      unsigned returns, broker_on_confirm *on_confirm, void *ctx)
{
    outbox_give_back(b->outbox, queue, body, returns, on_confirm, ctx);
}

uint64_t broker_unconfirmed(const struct broker *b)
{
    return outbox_unconfirmed(b->outbox);
}

static struct stat_value *broker_parked_gauge(enum topology_queue queue)
{
    char labels[80];
    snprintf(labels, sizeof(labels), "queue=\"%s\"", topology_queue_parked_text(queue));
    return stat_gauge("kassa_parked_messages", labels, "messages that wait for a person");
}

void broker_consume(struct broker *b, enum topology_queue queue, broker_on_delivery *on_delivery,
                    void *ctx)
{
    assert((unsigned)queue < QUEUE_COUNT && b->consumers[queue].on_delivery == NULL);
    assert(b->epoch == 0); /* before the first connection */
    b->consumers[queue] = (struct broker_consumer){on_delivery, ctx};
    if (b->consumer == NULL) {
        b->consumer = link_new(b->loop, b->conf, b->service, false, &broker_consumer_owner, b);
        loop_timer_start(b->look, BROKER_LOOK_MS, BROKER_LOOK_MS);
    }
    b->parked[queue] = broker_parked_gauge(queue);
    link_declare(b->consumer, queue);
}

bool broker_is_void(const struct broker *b, uint64_t epoch)
{
    return epoch != b->epoch;
}

void broker_ack_up_to(struct broker *b, uint64_t epoch, uint64_t tag)
{
    if (epoch == b->epoch && tag > b->settled_tag) {
        b->settled_tag = tag;
    }
}

void broker_ack_one(struct broker *b, uint64_t epoch, uint64_t tag)
{
    struct amqp_peer *peer = b->consumer != NULL ? link_peer(b->consumer) : NULL;
    if (epoch == b->epoch && tag > b->acked_tag && peer != NULL) {
        link_sent(b->consumer, amqp_peer_ack(peer, tag, false));
    }
}

void broker_consume_stop(struct broker *b)
{
    if (!b->is_consuming || b->consumer == NULL) {
        return;
    }
    b->is_consuming = false;
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        struct amqp_peer *peer = link_peer(b->consumer);
        if (peer != NULL && b->consumers[q].on_delivery != NULL) {
            link_sent(b->consumer, amqp_peer_cancel(peer, (enum topology_queue)q));
        }
    }
}
