/* Notices: store/store.h's subscriptions without Redis. At most once, and in no order. */
#include "store/store.h"
#include "store/subscription.h"

#include <stdlib.h>
#include <string.h>

#include "test/world/world.h"

struct subscription {
    struct node *node;
    char *channel;
    subscription_on_message *on_message;
    void *ctx;
};

static struct subscription *subscriptions[WORLD_NODES_MAX];

void notice_world_reset(void)
{
    memset(subscriptions, 0, sizeof(subscriptions));
}

struct notice {
    struct subscription *to;
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
        struct subscription *s = subscriptions[i];
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

struct subscription *subscription_new(struct loop *loop, const struct store_conf *conf,
                                      const char *node, const char *channel,
                                      subscription_on_message *on_message, void *ctx)
{
    (void)loop, (void)conf, (void)node;
    struct subscription *s = mem_new(sizeof(*s));
    *s = (struct subscription){.node = world.current,
                               .channel = mem_text(slice_from(channel)),
                               .on_message = on_message,
                               .ctx = ctx};
    subscriptions[s->node - world.nodes] = s;
    return s;
}

bool subscription_is_up(const struct subscription *s)
{
    (void)s;
    return true;
}

void subscription_free(struct subscription *s)
{
    subscriptions[s->node - world.nodes] = NULL;
    free(s->channel);
    free(s);
}
