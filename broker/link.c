/* The life of one broker connection.
 *
 *   waiting --timer--> connecting (helper thread) --> up --lost, or restart--> waiting
 *      ^                     | failed                                            |
 *      '---------------------'<--------------------------------------------------'
 *
 * The wait doubles from LINK_WAIT_MIN_MS to LINK_WAIT_MAX_MS, half of it random, and starts small
 * again only after a connection has lasted: one that is lost at once, again and again, must not
 * spin. */
#include "broker/link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/crash.h"
#include "runtime/log.h"

#define LINK_WAIT_MIN_MS 50
#define LINK_WAIT_MAX_MS 1000
#define LINK_LASTED_MS   5000
#define LINK_TICK_MS     1000 /* heartbeats are only served inside a drain */
#define LINK_FRAMES_MAX  1000 /* for one turn; the rest waits until others have run */

/* What the helper thread works with; the loop keeps its hands off while is_connecting. */
struct link_attempt {
    struct amqp_peer_setup setup;
    struct amqp_peer *peer; /* NULL: failed */
    char why[AMQP_PEER_WHY_MAX];
};

struct link {
    struct loop *loop;
    const struct link_owner *owner;
    void *ctx;
    struct link_attempt attempt;
    bool is_connecting;
    bool is_freed; /* while connecting: the end of the attempt frees it */

    struct amqp_peer *peer; /* NULL: not up */
    bool is_lost;           /* peer is of no more use; taken down by the next run of `soon` */
    char why[AMQP_PEER_WHY_MAX];
    struct loop_watch *watch;
    struct loop_timer *tick;
    struct loop_timer *soon;  /* a drain or a take-down that is due in the next turn */
    struct loop_timer *retry; /* the next attempt */
    int64_t wait_ms;
    int64_t up_since_ms;
};

static unsigned link_random(void)
{
    unsigned value = 0;
    if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != (ssize_t)sizeof(value)) {
        return 0; /* no jitter is no disaster */
    }
    return value;
}

static void link_retry_later(struct link *l)
{
    int64_t half_ms = l->wait_ms / 2;
    int64_t jitter_ms = (int64_t)(link_random() % (unsigned)(half_ms + 1));
    loop_timer_start(l->retry, half_ms + jitter_ms, 0);
    l->wait_ms = l->wait_ms * 2 < LINK_WAIT_MAX_MS ? l->wait_ms * 2 : LINK_WAIT_MAX_MS;
}

/* Up no more. The owner hears of it last, so that it may call anything here. */
static void link_take_down(struct link *l)
{
    loop_timer_stop(l->tick);
    loop_timer_stop(l->soon);
    loop_watch_free(l->watch);
    l->watch = NULL;
    amqp_peer_close(l->peer);
    l->peer = NULL;
    l->is_lost = false;
    if (loop_now_ms(l->loop) - l->up_since_ms >= LINK_LASTED_MS) {
        l->wait_ms = LINK_WAIT_MIN_MS;
    }
    link_retry_later(l);
    crash_point("link.down");
    l->owner->on_down(l->ctx, l->why);
}

static void link_lose(struct link *l, const char *why)
{
    if (!l->is_lost) {
        l->is_lost = true;
        snprintf(l->why, sizeof(l->why), "%s", why);
    }
    loop_timer_start(l->soon, 0, 0);
}

static void link_drain(struct link *l)
{
    bool has_more = false;
    if (!l->is_lost) {
        int err = amqp_peer_drain(l->peer, LINK_FRAMES_MAX, &l->owner->events, l->ctx, &has_more);
        if (err != 0) {
            link_lose(l, amqp_peer_why(l->peer));
        }
    }
    if (l->is_lost) {
        link_take_down(l);
    } else if (has_more) {
        loop_timer_start(l->soon, 0, 0);
    }
}

static void link_on_timer(void *ctx)
{
    link_drain(ctx);
}

static void link_on_ready(void *ctx, int events)
{
    (void)events; /* an error shows in the drain as well */
    link_drain(ctx);
}

/* ---- connecting ---- */

static void link_connect_work(void *ctx)
{
    struct link_attempt *attempt = &((struct link *)ctx)->attempt;
    if (amqp_peer_open(&attempt->setup, &attempt->peer, attempt->why) != 0) {
        attempt->peer = NULL;
    }
}

static void link_connect_done(void *ctx)
{
    struct link *l = ctx;
    l->is_connecting = false;
    if (l->is_freed) {
        amqp_peer_close(l->attempt.peer);
        free(l);
        return;
    }
    if (l->attempt.peer == NULL) {
        link_retry_later(l);
        l->owner->on_down(l->ctx, l->attempt.why);
        return;
    }
    l->peer = l->attempt.peer;
    l->attempt.peer = NULL;
    l->up_since_ms = loop_now_ms(l->loop);
    l->watch = loop_watch_new(l->loop, amqp_peer_fd(l->peer), link_on_ready, l);
    loop_watch_set(l->watch, LOOP_READ);
    loop_timer_start(l->tick, LINK_TICK_MS, LINK_TICK_MS);
    loop_timer_start(l->soon, 0, 0); /* frames that came behind the last answer */
    crash_point("link.up.before");
    l->owner->on_up(l->ctx);
    crash_sent("link.up.after");
}

static void link_connect(void *ctx)
{
    struct link *l = ctx;
    assert(l->peer == NULL && !l->is_connecting);
    crash_point("link.connect");
    l->is_connecting = true;
    l->attempt.setup.node++;
    l->attempt.setup.nonce++;
    loop_work(l->loop, link_connect_work, link_connect_done, l);
}

struct link *link_new(struct loop *loop, const struct broker_conf *conf, const char *service,
                      const struct topology *topology, bool is_publisher,
                      const struct link_owner *owner, void *ctx)
{
    struct link *l = mem_new(sizeof(*l));
    l->loop = loop;
    l->owner = owner;
    l->ctx = ctx;
    l->wait_ms = LINK_WAIT_MIN_MS;
    l->attempt.setup = (struct amqp_peer_setup){
        .conf = conf,
        .service = service,
        .topology = topology,
        .is_publisher = is_publisher,
        .node = link_random() % 1024, /* processes spread over the nodes */
    };
    l->tick = loop_timer_new(loop, link_on_timer, l);
    l->soon = loop_timer_new(loop, link_on_timer, l);
    l->retry = loop_timer_new(loop, link_connect, l);
    loop_timer_start(l->retry, 0, 0);
    return l;
}

void link_declare(struct link *l, unsigned queue)
{
    assert(!l->is_connecting && l->peer == NULL);
    l->attempt.setup.queues |= 1u << queue;
}

void link_free(struct link *l)
{
    if (l == NULL) {
        return;
    }
    loop_timer_free(l->tick);
    loop_timer_free(l->soon);
    loop_timer_free(l->retry);
    loop_watch_free(l->watch);
    amqp_peer_close(l->peer);
    l->peer = NULL;
    l->is_freed = true;
    if (!l->is_connecting) {
        free(l);
    }
}

struct amqp_peer *link_peer(struct link *l)
{
    return l->is_lost ? NULL : l->peer;
}

void link_log_down(const char *connection, const char *why, bool *is_logged)
{
    if (!*is_logged) {
        *is_logged = true;
        log_warn("broker_down", "connection=%s reason=%s", connection, log_quote(slice_from(why)));
    } else {
        log_debug("broker_down", "connection=%s reason=%s", connection, log_quote(slice_from(why)));
    }
}

void link_give_up(struct link *l, const char *why)
{
    assert(l->peer != NULL);
    link_lose(l, why);
}

void link_sent(struct link *l, int err)
{
    assert(l->peer != NULL);
    if (err != 0) {
        link_lose(l, amqp_peer_why(l->peer));
    } else if (amqp_peer_has_more(l->peer)) {
        loop_timer_start(l->soon, 0, 0);
    }
}
