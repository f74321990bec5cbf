/* Notices: idempotency/redis.h's subscriptions without Redis. At most once, and in no order. */
#include "idempotency/redis.h"

#include <stdlib.h>
#include <string.h>

#include "test/world/world.h"

struct redis_subscription {
    struct node *node;
    char *channel;
    redis_on_message *on_message;
    void *ctx;
};

static struct redis_subscription *subscriptions[WORLD_NODES_MAX];

void notice_world_reset(void)
{
    memset(subscriptions, 0, sizeof(subscriptions));
}

struct notice {
    struct redis_subscription *to;
    char *payload;
};

static void notice_free(void *ctx)
{
    struct notice *n = ctx;
    free(n->payload);
    free(n);
}

static void on_notified(void *ctx)
{
    struct notice *n = ctx;
    world_say("hears %s", n->payload);
    n->to->on_message(n->to->ctx, slice_from(n->payload));
    notice_free(n);
}

void notice_world_publish(struct slice channel, struct slice payload)
{
    for (unsigned i = 0; i < WORLD_NODES_MAX; i++) {
        struct redis_subscription *s = subscriptions[i];
        if (s == NULL || !slice_is(channel, s->channel)) {
            continue;
        }
        if (world_chance(world.chances.lose_notice)) {
            world_say("a notice is lost");
            continue;
        }
        struct notice *n = mem_new(sizeof(*n));
        *n = (struct notice){s, mem_text(payload)};
        world_after_or(s->node, 100 + world_random(300), on_notified, notice_free, n);
    }
}

struct redis_subscription *redis_subscribe(struct loop *loop, const struct conf *conf,
                                           const char *node, const char *channel,
                                           redis_on_message *on_message, void *ctx)
{
    (void)loop, (void)conf, (void)node;
    struct redis_subscription *s = mem_new(sizeof(*s));
    *s = (struct redis_subscription){.node = world.current,
                                     .channel = mem_text(slice_from(channel)),
                                     .on_message = on_message,
                                     .ctx = ctx};
    subscriptions[s->node - world.nodes] = s;
    return s;
}

bool redis_subscription_is_up(const struct redis_subscription *s)
{
    (void)s;
    return true;
}

void redis_subscription_free(struct redis_subscription *s)
{
    subscriptions[s->node - world.nodes] = NULL;
    free(s->channel);
    free(s);
}
