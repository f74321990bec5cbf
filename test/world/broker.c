/* The courier: broker/broker.h without RabbitMQ. It loses, repeats, delays and reorders; it
 * redelivers what was not acknowledged when a consumer dies.
 *
 *   broker_send -> open envelope -> turn's end -> [queue] -> delivery -> unacked -> ack
 *                     confirm <---------------------'  '---<--- consumer dies, link breaks --'
 */
#include "broker/broker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "test/world/world.h"

#define BACK_US 100000 /* until a consuming link that broke is there again */

struct waiter {
    broker_on_confirm *on_confirm;
    void *ctx;
};

struct parcel {
    enum queue queue;
    struct buf body;
    struct envelope_head table; /* while it is open: of envelope_add */
    struct waiter *waiters;     /* until it is in the queue */
    unsigned waiter_count;
    uint64_t tag; /* while it is out */
    struct broker *to;
    bool is_redelivered;
    struct broker *from;
    TAILQ_ENTRY(parcel) in_list;
};
TAILQ_HEAD(parcels, parcel);

struct broker {
    struct node *node;
    struct loop *loop;
    struct parcel *open[QUEUE_COUNT];
    struct parcels sending; /* published, not confirmed */
    struct {
        broker_on_delivery *on_delivery;
        void *ctx;
    } consumers[QUEUE_COUNT];
    struct parcels unacked;
    uint64_t epoch, next_tag, settled, acked, unconfirmed;
    bool is_consuming;
    int64_t back_us; /* its consuming link is down until then */
};

static struct parcels queues[QUEUE_COUNT];
static struct broker *brokers[WORLD_NODES_MAX];

static void parcel_free(struct parcel *p)
{
    buf_free(&p->body);
    free(p->waiters);
    free(p);
}

/* ---- queue to consumer ---- */

static void queue_pump(enum queue queue);

static void parcel_requeue(struct parcel *p)
{
    p->is_redelivered = true;
    p->to = NULL;
    TAILQ_INSERT_TAIL(&queues[p->queue], p, in_list);
}

static void on_undeliverable(void *ctx)
{
    struct parcel *p = ctx;
    parcel_requeue(p);
    queue_pump(p->queue);
}

static void unacked_requeue(struct broker *b)
{
    struct parcel *p;
    b->epoch++;
    b->settled = b->acked = 0;
    while ((p = TAILQ_FIRST(&b->unacked)) != NULL) {
        TAILQ_REMOVE(&b->unacked, p, in_list);
        parcel_requeue(p);
    }
}

static void pump_all(void *ctx)
{
    (void)ctx;
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        queue_pump((enum queue)q);
    }
}

static void on_deliver(void *ctx)
{
    struct parcel *p = ctx;
    struct broker *b = p->to;
    if (b->back_us > world.now_us) {
        parcel_requeue(p);
        return;
    }
    if (world_chance(world.chances.break_link)) {
        world_say("consumer link breaks");
        parcel_requeue(p);
        unacked_requeue(b);
        b->back_us = world.now_us + BACK_US;
        world_after(NULL, BACK_US, pump_all, NULL);
        return;
    }
    p->tag = ++b->next_tag;
    struct broker_delivery delivery = {.queue = p->queue,
                                       .tag = p->tag,
                                       .epoch = b->epoch,
                                       .redelivered = p->is_redelivered,
                                       .body = buf_slice(&p->body)};
    world_say("gets %.*s", SLICE_ARG(delivery.body));
    TAILQ_INSERT_TAIL(&b->unacked, p, in_list);
    b->consumers[p->queue].on_delivery(b->consumers[p->queue].ctx, &delivery);
    if (world_bugs.ack_before_effect) {
        TAILQ_REMOVE(&b->unacked, p, in_list);
        parcel_free(p);
    }
}

static struct broker *consumer_choose(enum queue queue)
{
    struct broker *able[WORLD_NODES_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < WORLD_NODES_MAX; i++) {
        struct broker *b = brokers[i];
        if (b != NULL && b->node->is_up && !b->node->is_dying && b->back_us <= world.now_us &&
            b->consumers[queue].on_delivery != NULL) {
            able[count++] = b;
        }
    }
    return count > 0 ? able[world_random(count)] : NULL;
}

static void queue_pump(enum queue queue)
{
    struct parcel *p;
    while ((p = TAILQ_FIRST(&queues[queue])) != NULL) {
        struct broker *b = consumer_choose(queue);
        if (b == NULL) {
            return;
        }
        TAILQ_REMOVE(&queues[queue], p, in_list);
        p->to = b;
        int64_t delay_us = 200 + world_random(800);
        world_after_or(b->node, delay_us, on_deliver, on_undeliverable, p);
    }
}

void broker_consume(struct broker *b, unsigned queue, broker_on_delivery *on_delivery, void *ctx)
{
    b->consumers[queue].on_delivery = on_delivery;
    b->consumers[queue].ctx = ctx;
    world_after(NULL, 1000, pump_all, NULL);
}

void broker_consume_stop(struct broker *b)
{
    (void)b;
}

void broker_ack_up_to(struct broker *b, uint64_t epoch, uint64_t tag)
{
    if (epoch == b->epoch && tag > b->settled) {
        b->settled = tag;
    }
}

void broker_ack_one(struct broker *b, uint64_t epoch, uint64_t tag)
{
    struct parcel *p;
    if (epoch != b->epoch || !world_effect("acknowledge one")) {
        return;
    }
    TAILQ_FOREACH(p, &b->unacked, in_list)
    {
        if (p->tag == tag) {
            TAILQ_REMOVE(&b->unacked, p, in_list);
            parcel_free(p);
            return;
        }
    }
}

static void acks_flush(struct broker *b)
{
    struct parcel *p, *next;
    if (b->settled <= b->acked || !world_effect("acknowledge")) {
        return;
    }
    b->acked = b->settled;
    for (p = TAILQ_FIRST(&b->unacked); p != NULL; p = next) {
        next = TAILQ_NEXT(p, in_list);
        if (p->tag <= b->acked) {
            TAILQ_REMOVE(&b->unacked, p, in_list);
            parcel_free(p);
        }
    }
}

/* ---- publisher to queue ---- */

/* A confirm on its way: the parcel's waiters are called on the node. */
static void on_confirmed(void *ctx)
{
    struct parcel *p = ctx;
    struct broker *b = p->from;
    TAILQ_REMOVE(&b->sending, p, in_list);
    b->unconfirmed--;
    for (unsigned i = 0; i < p->waiter_count; i++) {
        p->waiters[i].on_confirm(p->waiters[i].ctx);
    }
    parcel_free(p);
}

/* The node is gone, and with it who waits: broker_free has freed the parcel. */
static void enqueue_copy(const struct parcel *p)
{
    struct parcel *c = mem_new(sizeof(*c));
    c->queue = p->queue;
    buf_add_slice(&c->body, buf_slice(&p->body));
    TAILQ_INSERT_TAIL(&queues[p->queue], c, in_list);
    world.messages++;
}

/* A copy that travels on its own, so that the sender may die meanwhile. */
struct transit {
    struct parcel parcel;
};

static unsigned in_transit;

#define STALE_MAX 64
static struct transit *stale[STALE_MAX];
static unsigned stale_count;

static void on_transit(void *ctx)
{
    struct transit *t = ctx;
    in_transit--;
    enqueue_copy(&t->parcel);
    queue_pump(t->parcel.queue);
    buf_free(&t->parcel.body);
    free(t);
}

static void on_transit_dropped(void *ctx)
{
    struct transit *t = ctx;
    in_transit--;
    buf_free(&t->parcel.body);
    free(t);
}

static void transit_send(struct node *with, const struct parcel *p)
{
    struct transit *t = mem_new(sizeof(*t));
    int64_t delay_us = 200 + world_random(600);
    if (world_chance(world.chances.late)) {
        delay_us += (int64_t)world_random(3000) * 1000;
    }
    if (world_chance(world.chances.stale) && stale_count < STALE_MAX) {
        struct transit *copy = mem_new(sizeof(*copy));
        copy->parcel.queue = p->queue;
        buf_add_slice(&copy->parcel.body, buf_slice(&p->body));
        stale[stale_count++] = copy;
    }
    in_transit++;
    t->parcel.queue = p->queue;
    buf_add_slice(&t->parcel.body, buf_slice(&p->body));
    world_after_or(with, delay_us, on_transit, on_transit_dropped, t);
}

void broker_world_stale(int64_t within_us)
{
    while (stale_count > 0) {
        struct transit *t = stale[--stale_count];
        in_transit++;
        world_say("the courier has kept %.*s", SLICE_ARG(buf_slice(&t->parcel.body)));
        world_after_or(NULL, world_random((uint32_t)within_us), on_transit, on_transit_dropped, t);
    }
}

static void parcel_publish(struct parcel *p);

static void on_publish_again(void *ctx)
{
    struct parcel *p = ctx;
    if (world_effect("publish again")) {
        parcel_publish(p);
    }
}

/* p is in b->sending. */
static void parcel_publish(struct parcel *p)
{
    struct broker *b = p->from;
    if (world_chance(world.chances.break_link)) {
        world_say("publisher link breaks");
        if (world_random(2) == 0) {
            transit_send(NULL, p);
        }
        world_after(b->node, 100000 + world_random(400000), on_publish_again, p);
        return;
    }
    if (world_bugs.confirm_before_quorum) {
        transit_send(b->node, p); /* dies with the node */
    } else if (!world_chance(world.chances.lose)) {
        transit_send(NULL, p);
        if (world_chance(world.chances.repeat)) {
            transit_send(NULL, p);
        }
    } else {
        world_say("the courier loses %.*s", SLICE_ARG(buf_slice(&p->body)));
    }
    world_after(b->node, world_bugs.confirm_before_quorum ? 1 : 300 + world_random(700),
                on_confirmed, p);
}

static void on_turn_end(void *ctx)
{
    struct broker *b = ctx;
    acks_flush(b);
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        struct parcel *p = b->open[q];
        if (p == NULL) {
            continue;
        }
        b->open[q] = NULL;
        envelope_end(&p->body);
        TAILQ_INSERT_TAIL(&b->sending, p, in_list);
        if (world_effect("publish")) {
            world_say("sends %.*s", SLICE_ARG(buf_slice(&p->body)));
            parcel_publish(p);
        }
    }
}

void broker_send(struct broker *b, unsigned queue, const struct message *m,
                 broker_on_confirm *on_confirm, void *ctx)
{
    struct parcel *p = b->open[queue];
    if (p == NULL) {
        p = b->open[queue] = mem_new(sizeof(*p));
        p->queue = queue;
        p->from = b;
        b->unconfirmed++;
    }
    envelope_add(&message_schema, &p->body, &p->table, m);
    if (on_confirm != NULL) {
        p->waiters = realloc(p->waiters, (p->waiter_count + 1) * sizeof(*p->waiters));
        assert(p->waiters != NULL);
        p->waiters[p->waiter_count++] = (struct waiter){on_confirm, ctx};
    }
}

void broker_park(struct broker *b, unsigned queue, struct slice body, const char *reason,
                 broker_on_confirm *on_confirm, void *ctx)
{
    (void)b, (void)queue, (void)on_confirm, (void)ctx;
    world_fault("parked: %s: %.*s", reason, SLICE_ARG(body));
}

void broker_give_back(struct broker *b, unsigned queue, struct slice body, unsigned returns,
                      broker_on_confirm *on_confirm, void *ctx)
{
    (void)b, (void)queue, (void)returns, (void)on_confirm, (void)ctx;
    world_fault("given back: %.*s", SLICE_ARG(body));
}

bool broker_is_void(const struct broker *b, uint64_t epoch)
{
    return epoch != b->epoch;
}

bool broker_is_up(const struct broker *b)
{
    (void)b;
    return true;
}

uint64_t broker_unconfirmed(const struct broker *b)
{
    return b->unconfirmed;
}

/* ---- life ---- */

struct broker *broker_new(struct loop *loop, const struct broker_conf *conf, const char *service,
                          const struct envelope_schema *schema, const struct topology *topology)
{
    (void)conf, (void)service, (void)schema, (void)topology;
    struct broker *b = mem_new(sizeof(*b));
    b->node = world.current;
    b->loop = loop;
    b->epoch = 1;
    TAILQ_INIT(&b->sending);
    TAILQ_INIT(&b->unacked);
    brokers[b->node - world.nodes] = b;
    loop_hook_add(loop, LOOP_HOOK_BROKER, on_turn_end, b);
    return b;
}

void broker_node_died(struct node *node)
{
    struct broker *b = brokers[node - world.nodes];
    if (b != NULL) {
        brokers[node - world.nodes] = NULL;
        unacked_requeue(b);
        world_after(NULL, 1000, pump_all, NULL);
    }
}

static void parcels_free(struct parcels *list)
{
    struct parcel *p;
    while ((p = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, p, in_list);
        parcel_free(p);
    }
}

/* Events of this node that point at what is freed here are void: it is dead. */
void broker_free(struct broker *b)
{
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        if (b->open[q] != NULL) {
            parcel_free(b->open[q]);
        }
    }
    parcels_free(&b->sending);
    parcels_free(&b->unacked);
    loop_hook_remove(b->loop, LOOP_HOOK_BROKER, on_turn_end, b);
    free(b);
}

/* A message that the courier has confirmed and carries around for seconds is still to come. */
bool broker_is_idle(void)
{
    if (in_transit > 0) {
        return false;
    }
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        if (!TAILQ_EMPTY(&queues[q])) {
            return false;
        }
    }
    for (unsigned i = 0; i < WORLD_NODES_MAX; i++) {
        const struct broker *b = brokers[i];
        if (b != NULL && (b->unconfirmed > 0 || !TAILQ_EMPTY(&b->unacked))) {
            return false;
        }
    }
    return true;
}

void broker_world_reset(void)
{
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        if (queues[q].tqh_last == NULL) {
            TAILQ_INIT(&queues[q]);
        }
        parcels_free(&queues[q]);
    }
    memset(brokers, 0, sizeof(brokers));
    while (stale_count > 0) {
        in_transit++;
        on_transit_dropped(stale[--stale_count]);
    }
    in_transit = 0;
}
