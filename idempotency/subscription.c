/* A channel, subscribed for as long as its owner wants, whatever happens to the connection.
 *
 *   up --> SUBSCRIBE --> "subscribe": it holds --> "message": on_message, for each
 *    |                                        '--> PING each second: is anybody there?
 *    '<------- connection lost: again
 *
 * A link that is dead without saying so looks like a channel on which nothing happens; hence the
 * pings. What was published meanwhile is lost: notices are hints (protocol.md section 2). */
#include "idempotency/redis.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "idempotency/push.h"

#define SUBSCRIPTION_PING_MS       1000
#define SUBSCRIPTION_CHANNEL_BYTES 128

struct redis_subscription {
    struct redis *redis;
    struct loop_timer *ping;
    char channel[SUBSCRIPTION_CHANNEL_BYTES];
    bool is_subscribed; /* on the connection that is, or was last, up */
    redis_on_message *on_message;
    void *ctx;
};

static void redis_subscription_on_push(void *ctx, const struct redis_reply *reply)
{
    struct redis_subscription *s = ctx;
    if (redis_reply_count(reply) != 3) {
        return;
    }
    struct slice kind = redis_reply_at(reply, 0);
    if (slice_is(kind, "message")) {
        s->on_message(s->ctx, redis_reply_at(reply, 2));
    } else if (slice_is(kind, "subscribe")) {
        s->is_subscribed = true;
    }
}

static void redis_subscription_on_up(void *ctx)
{
    struct redis_subscription *s = ctx;
    s->is_subscribed = false;
    redis_listen(s->redis, s->channel);
}

static void redis_subscription_on_ping(void *ctx)
{
    struct redis_subscription *s = ctx;
    if (redis_subscription_is_up(s)) {
        redis_ping(s->redis);
    }
}

struct redis_subscription *redis_subscribe(struct loop *loop, const struct conf *conf,
                                           const char *node, const char *channel,
                                           redis_on_message *on_message, void *ctx)
{
    struct redis_subscription *s = mem_new(sizeof(*s));
    int bytes = snprintf(s->channel, sizeof(s->channel), "%s", channel);
    assert(bytes > 0 && (size_t)bytes < sizeof(s->channel));
    s->on_message = on_message;
    s->ctx = ctx;
    s->redis = redis_new_listener(loop, conf, node, redis_subscription_on_push, s);
    redis_watch_up(s->redis, redis_subscription_on_up, s);
    s->ping = loop_timer_new(loop, redis_subscription_on_ping, s);
    loop_timer_start(s->ping, SUBSCRIPTION_PING_MS, SUBSCRIPTION_PING_MS);
    return s;
}

bool redis_subscription_is_up(const struct redis_subscription *s)
{
    return s->is_subscribed && redis_is_up(s->redis);
}

void redis_subscription_free(struct redis_subscription *s)
{
    if (s) {
        loop_timer_free(s->ping);
        redis_free(s->redis);
        free(s);
    }
}
