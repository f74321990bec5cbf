/* The loop of a node in virtual time: runtime/loop.h without libuv. A turn is one event of the
 * world and then the hooks, in their order. */
#include "runtime/loop.h"

#include <assert.h>
#include <stdlib.h>

#include "runtime/buf.h"
#include "test/world/world.h"

struct hook {
    loop_on_turn_end *run;
    void *ctx;
};

struct loop {
    struct node *node;
    struct hook hooks[LOOP_HOOK_COUNT][LOOP_HOOKS_MAX];
};

/* A timer that is stopped or set anew leaves its event behind: `set` tells them apart. It is
 * freed when its owner has let go of it and no event is left. */
struct loop_timer {
    struct loop *loop;
    loop_on_timer *on_timer;
    void *ctx;
    int64_t repeat_ms;
    uint64_t set;
    unsigned events;
    bool is_freed;
};

struct firing {
    struct loop_timer *timer;
    uint64_t set;
};

struct loop *loop_new(void)
{
    struct loop *loop = mem_new(sizeof(*loop));
    loop->node = world.current;
    return loop;
}

void loop_free(struct loop *loop)
{
    free(loop);
}

int64_t loop_now_ms(const struct loop *loop)
{
    (void)loop;
    return world.now_us / 1000;
}

int64_t loop_wall_ms(const struct loop *loop)
{
    return clock_ms(loop->node != NULL ? loop->node->name : "the log");
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_on_timer *on_timer, void *ctx)
{
    struct loop_timer *t = mem_new(sizeof(*t));
    *t = (struct loop_timer){.loop = loop, .on_timer = on_timer, .ctx = ctx};
    return t;
}

static void firing_end(struct firing *firing)
{
    struct loop_timer *t = firing->timer;
    t->events--;
    if (t->is_freed && t->events == 0) {
        free(t);
    }
    free(firing);
}

static void on_dropped(void *ctx)
{
    firing_end(ctx);
}

static void timer_set(struct loop_timer *t, int64_t delay_ms);

static void on_fired(void *ctx)
{
    struct firing *firing = ctx;
    struct loop_timer *t = firing->timer;
    if (!t->is_freed && firing->set == t->set) {
        if (t->repeat_ms > 0) {
            timer_set(t, t->repeat_ms);
        }
        t->on_timer(t->ctx);
    }
    firing_end(firing);
}

static void timer_set(struct loop_timer *t, int64_t delay_ms)
{
    struct firing *firing = mem_new(sizeof(*firing));
    *firing = (struct firing){t, ++t->set};
    t->events++;
    world_after_or(t->loop->node, delay_ms * 1000 + 1, on_fired, on_dropped, firing);
}

void loop_timer_start(struct loop_timer *t, int64_t delay_ms, int64_t repeat_ms)
{
    t->repeat_ms = repeat_ms;
    timer_set(t, delay_ms);
}

void loop_timer_stop(struct loop_timer *t)
{
    t->set++;
}

void loop_timer_free(struct loop_timer *t)
{
    if (t == NULL) {
        return;
    }
    t->is_freed = true;
    if (t->events == 0) {
        free(t);
    }
}

void loop_hook_add(struct loop *loop, enum loop_hook place, loop_on_turn_end *hook, void *ctx)
{
    for (unsigned i = 0; i < LOOP_HOOKS_MAX; i++) {
        if (loop->hooks[place][i].run == NULL) {
            loop->hooks[place][i] = (struct hook){hook, ctx};
            return;
        }
    }
    assert(!"too many hooks");
}

void loop_hook_remove(struct loop *loop, enum loop_hook place, loop_on_turn_end *hook, void *ctx)
{
    for (unsigned i = 0; i < LOOP_HOOKS_MAX; i++) {
        struct hook *h = &loop->hooks[place][i];
        if (h->run == hook && h->ctx == ctx) {
            *h = (struct hook){0};
        }
    }
}

void loop_turn_end(struct loop *loop)
{
    for (unsigned place = 0; place < LOOP_HOOK_COUNT; place++) {
        for (unsigned i = 0; i < LOOP_HOOKS_MAX; i++) {
            const struct hook *h = &loop->hooks[place][i];
            if (h->run != NULL) {
                h->run(h->ctx);
            }
        }
    }
}

/* What a service in virtual time has no use for: it has no descriptors, threads and signals. */

void loop_run(struct loop *loop)
{
    (void)loop;
    assert(!"the world runs it");
}

void loop_stop(struct loop *loop)
{
    (void)loop;
    assert(!"the world runs it");
}

void loop_signal(struct loop *loop, int signal, loop_on_signal *on_signal, void *ctx)
{
    (void)loop, (void)signal, (void)on_signal, (void)ctx;
    assert(!"the world kills without a signal");
}
