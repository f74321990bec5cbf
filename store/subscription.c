/* See subscription.h. */
#include "store/subscription.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/connection.h"

#define SUBSCRIPTION_PING_MS       1000
#define SUBSCRIPTION_CHANNEL_BYTES 128

struct subscription {
    struct loop *loop;
    struct connection *connection;
    struct loop_timer *ping;
    struct args command;
    char channel[SUBSCRIPTION_CHANNEL_BYTES];
    bool is_subscribed; /* on the connection that is, or was last, up */
    bool is_telling;
    subscription_on_message *on_message;
    void *ctx;
};

static bool subscription_on_greeting(void *ctx, enum greeting_step step, struct texts reply,
                                     bool is_error)
{
    (void)ctx;
    (void)step;
    (void)reply;
    return !is_error;
}

static void subscription_on_up(void *ctx)
{
    struct subscription *s = ctx;
    s->is_subscribed = false;
    args_reset(&s->command);
    args_text(&s->command, "SUBSCRIBE");
    args_text(&s->command, s->channel);
    connection_send(s->connection, &s->command);
}

/* "message" or "subscribe", the channel, and the payload or a number; or "pong" and "". */
static bool subscription_on_answer(void *ctx, struct texts reply, bool is_error)
{
    struct subscription *s = ctx;
    struct slice kind = texts_at(reply, 0);
    if (is_error || reply.count != 3) {
        return true;
    }
    if (slice_is(kind, "message")) {
        s->is_telling = true;
        s->on_message(s->ctx, texts_at(reply, 2));
        s->is_telling = false;
        return false;
    }
    s->is_subscribed = s->is_subscribed || slice_is(kind, "subscribe");
    return true;
}

static void subscription_on_down(void *ctx, int err)
{
    (void)ctx; /* on_up comes again, and subscribes */
    (void)err;
}

static void subscription_on_named(void *ctx, const char *node, unsigned sentinel)
{
    (void)ctx; /* one Sentinel's word is enough: nothing is written here */
    (void)node;
    (void)sentinel;
}

static void subscription_on_ping(void *ctx)
{
    struct subscription *s = ctx;
    if (subscription_is_up(s)) {
        args_reset(&s->command);
        args_text(&s->command, "PING");
        connection_send(s->connection, &s->command);
        /* Nothing that a listener does shows that its master was deposed and lives on: notices
         * would go to the new one, and it would hear none. */
        connection_find(s->connection);
    }
}

static void subscription_on_turn_end(void *ctx)
{
    struct subscription *s = ctx;
    connection_write(s->connection);
}

struct subscription *subscription_new(struct loop *loop, const struct store_conf *conf,
                                      const char *node, const char *channel,
                                      subscription_on_message *on_message, void *ctx)
{
    static const struct connection_events events = {
        .on_greeting = subscription_on_greeting,
        .on_up = subscription_on_up,
        .on_answer = subscription_on_answer,
        .on_down = subscription_on_down,
        .on_named = subscription_on_named,
    };
    struct subscription *s = mem_new(sizeof(*s));
    int bytes = snprintf(s->channel, sizeof(s->channel), "%s", channel);
    assert(bytes > 0 && (size_t)bytes < sizeof(s->channel));
    s->loop = loop;
    s->on_message = on_message;
    s->ctx = ctx;
    s->connection = connection_new(loop, conf, "subscription", node, NULL, true, &events, s);
    s->ping = loop_timer_new(loop, subscription_on_ping, s);
    loop_timer_start(s->ping, SUBSCRIPTION_PING_MS, SUBSCRIPTION_PING_MS);
    loop_hook_add(loop, LOOP_HOOK_STORE, subscription_on_turn_end, s);
    return s;
}

bool subscription_is_up(const struct subscription *s)
{
    return s->is_subscribed && connection_is_up(s->connection);
}

void subscription_free(struct subscription *s)
{
    if (s) {
        assert(!s->is_telling);
        loop_hook_remove(s->loop, LOOP_HOOK_STORE, subscription_on_turn_end, s);
        loop_timer_free(s->ping);
        connection_free(s->connection);
        args_free(&s->command);
        free(s);
    }
}
