/* The event loop, over libuv: the only includer of its header.
 *
 *        .-------------------------------------------------------------.
 *        v                                                             |
 *   timers due --> turn-end hooks: http, broker, notice, store, log --> sleep in epoll
 *                                                                      |
 *        .-- descriptors ready, signals, finished work <---------------'
 *        '--> (back to the timers)
 *
 * libuv frees nothing at once: a handle may be closed only by a callback of a later turn. Here a
 * handle is the first part of an allocation of its own that frees itself then, so that for the
 * caller a timer or a watch is gone when its free function returns. */
#include "runtime/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "runtime/buf.h"
#include "runtime/crash.h"

struct loop_hook_entry {
    loop_on_turn_end *hook; /* NULL: removed while the hooks were running */
    void *ctx;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    struct loop_hook_entry hooks[LOOP_HOOK_COUNT][LOOP_HOOKS_MAX];
    unsigned hook_count[LOOP_HOOK_COUNT];
    bool has_removed_hook;
    bool is_in_hooks;
    bool is_running; /* inside uv_run */
    bool is_stopped;
    uint64_t wall_read_at_ms; /* uv_now when wall_ms was read; 0: never */
    int64_t wall_ms;
};

struct loop_timer {
    uv_timer_t uv;
    loop_on_timer *on_timer;
    void *ctx;
};

struct loop_watch {
    uv_poll_t uv;
    loop_on_ready *on_ready;
    void *ctx;
    int events; /* asked for now */
};

struct loop_work {
    uv_work_t uv;
    loop_on_work *work;
    loop_on_work *on_done;
    void *ctx;
};

struct loop_signal_handle {
    uv_signal_t uv;
    loop_on_signal *on_signal;
    void *ctx;
};

/* data: the allocation that holds the handle; NULL when it is a part of the loop. */
static void loop_handle_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void loop_handle_close(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, loop_handle_closed);
    }
}

/* ---- hooks ---- */

static void loop_hooks_compact(struct loop *loop)
{
    for (int place = 0; place < LOOP_HOOK_COUNT; place++) {
        unsigned kept = 0;
        for (unsigned i = 0; i < loop->hook_count[place]; i++) {
            if (loop->hooks[place][i].hook) {
                loop->hooks[place][kept++] = loop->hooks[place][i];
            }
        }
        loop->hook_count[place] = kept;
    }
    loop->has_removed_hook = false;
}

static void loop_hooks_run(struct loop *loop)
{
    assert(!loop->is_in_hooks);
    loop->is_in_hooks = true;
    for (int place = 0; place < LOOP_HOOK_COUNT; place++) {
        /* The count is read each time: a hook may add another. */
        for (unsigned i = 0; i < loop->hook_count[place]; i++) {
            struct loop_hook_entry entry = loop->hooks[place][i];
            if (entry.hook) {
                entry.hook(entry.ctx);
            }
        }
    }
    loop->is_in_hooks = false;
    if (loop->has_removed_hook) {
        loop_hooks_compact(loop);
    }
}

static void loop_on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->loop->data;
    /* The callbacks may have taken a while; timers that hooks start count from now. */
    uv_update_time(&loop->uv);
    loop_hooks_run(loop);
    crash_turn_end();
}

void loop_hook_add(struct loop *loop, enum loop_hook place, loop_on_turn_end *hook, void *ctx)
{
    assert(place < LOOP_HOOK_COUNT && hook);
    assert(loop->hook_count[place] < LOOP_HOOKS_MAX);
    loop->hooks[place][loop->hook_count[place]++] = (struct loop_hook_entry){hook, ctx};
}

void loop_hook_remove(struct loop *loop, enum loop_hook place, loop_on_turn_end *hook, void *ctx)
{
    assert(place < LOOP_HOOK_COUNT);
    for (unsigned i = 0; i < loop->hook_count[place]; i++) {
        struct loop_hook_entry *entry = &loop->hooks[place][i];
        if (entry->hook == hook && entry->ctx == ctx) {
            entry->hook = NULL;
            loop->has_removed_hook = true;
            break;
        }
    }
    /* While they run, the places keep still, or one would be skipped. */
    if (loop->has_removed_hook && !loop->is_in_hooks) {
        loop_hooks_compact(loop);
    }
}

/* ---- the loop ---- */

struct loop *loop_new(void)
{
    struct loop *loop = mem_new(sizeof(*loop));
    int failed = uv_loop_init(&loop->uv);
    assert(!failed); /* only out of memory or of descriptors, at start */
    loop->uv.data = loop;
    uv_prepare_init(&loop->uv, &loop->prepare);
    loop->prepare.data = NULL;
    uv_prepare_start(&loop->prepare, loop_on_prepare);
    return loop;
}

static void loop_close_each(uv_handle_t *handle, void *unused)
{
    (void)unused;
    loop_handle_close(handle);
}

void loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    assert(!loop->is_running);
    /* Work on a helper thread is waited for and its on_done called, because only then its owner
     * may let go of ctx; and what on_done opens is closed in the next round. */
    do {
        uv_walk(&loop->uv, loop_close_each, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    } while (uv_loop_close(&loop->uv) == UV_EBUSY);
    free(loop);
}

static void loop_uv_run(struct loop *loop, uv_run_mode mode)
{
    assert(!loop->is_running);
    loop->is_running = true;
    uv_run(&loop->uv, mode);
    loop->is_running = false;
}

void loop_run(struct loop *loop)
{
    while (!loop->is_stopped) {
        loop_uv_run(loop, UV_RUN_DEFAULT);
    }
    loop->is_stopped = false;
    loop_hooks_run(loop); /* the turn that stopped it ends like any other */
}

void loop_stop(struct loop *loop)
{
    loop->is_stopped = true;
    if (loop->is_running) {
        uv_stop(&loop->uv);
    }
}

void loop_turn(struct loop *loop, bool wait)
{
    /* libuv's iteration has the hooks before the sleep, for what was produced outside of it; what
     * the iteration itself produces is to be gone when a test goes on, hence once more. */
    loop_uv_run(loop, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    loop_hooks_run(loop);
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

int64_t loop_wall_ms(const struct loop *loop)
{
    /* libuv reads its clock once after each sleep; the wall clock is read when that has moved.
     * A cache only, hence the cast: every loop comes from loop_new and is writable. */
    struct loop *cache = (struct loop *)loop;
    uint64_t now_ms = uv_now(&loop->uv);
    if (cache->wall_read_at_ms != now_ms || cache->wall_ms == 0) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        cache->wall_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
        cache->wall_read_at_ms = now_ms;
    }
    return cache->wall_ms;
}

/* ---- timers ---- */

static void loop_timer_fired(uv_timer_t *uv)
{
    struct loop_timer *t = uv->data;
    t->on_timer(t->ctx);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_on_timer *on_timer, void *ctx)
{
    struct loop_timer *t = mem_new(sizeof(*t));
    uv_timer_init(&loop->uv, &t->uv);
    t->uv.data = t;
    t->on_timer = on_timer;
    t->ctx = ctx;
    return t;
}

void loop_timer_start(struct loop_timer *t, int64_t delay_ms, int64_t repeat_ms)
{
    struct loop *loop = t->uv.loop->data;
    assert(repeat_ms >= 0);
    if (!loop->is_running) {
        uv_update_time(&loop->uv); /* outside of a turn the clock stands still */
    }
    uint64_t delay = delay_ms > 0 ? (uint64_t)delay_ms : 0;
    uv_timer_start(&t->uv, loop_timer_fired, delay, (uint64_t)repeat_ms);
}

void loop_timer_stop(struct loop_timer *t)
{
    uv_timer_stop(&t->uv);
}

void loop_timer_free(struct loop_timer *t)
{
    if (t) {
        loop_handle_close((uv_handle_t *)&t->uv);
    }
}

/* ---- descriptors ---- */

static void loop_watch_ready(uv_poll_t *uv, int status, int uv_events)
{
    struct loop_watch *w = uv->data;
    int events = 0;
    if (status < 0) {
        /* libuv stops watching then. The caller is told all it asked for as well: reading or
         * writing is how it finds out what is wrong. */
        events = LOOP_ERROR | w->events;
        w->events = 0;
    }
    if (uv_events & UV_READABLE) {
        events |= LOOP_READ;
    }
    if (uv_events & UV_WRITABLE) {
        events |= LOOP_WRITE;
    }
    w->on_ready(w->ctx, events);
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_on_ready *on_ready, void *ctx)
{
    struct loop_watch *w = mem_new(sizeof(*w));
    int failed = uv_poll_init(&loop->uv, &w->uv, fd);
    assert(!failed); /* closed, watched twice, or a plain file: the caller's mistake */
    w->uv.data = w;
    w->on_ready = on_ready;
    w->ctx = ctx;
    return w;
}

void loop_watch_set(struct loop_watch *w, int events)
{
    assert((events & ~(LOOP_READ | LOOP_WRITE)) == 0);
    if (events == w->events) {
        return; /* libuv would take it out of epoll and put it back */
    }
    int uv_events =
        ((events & LOOP_READ) ? UV_READABLE : 0) | ((events & LOOP_WRITE) ? UV_WRITABLE : 0);
    int failed = uv_poll_start(&w->uv, uv_events, loop_watch_ready);
    assert(!failed);
    w->events = events;
}

void loop_watch_free(struct loop_watch *w)
{
    if (w) {
        loop_handle_close((uv_handle_t *)&w->uv);
    }
}

/* ---- helper thread, signals ---- */

static void loop_work_run(uv_work_t *uv)
{
    struct loop_work *work = uv->data;
    work->work(work->ctx);
}

static void loop_work_done(uv_work_t *uv, int status)
{
    (void)status; /* only a cancelled one fails, and none is */
    struct loop_work *work = uv->data;
    work->on_done(work->ctx);
    free(work);
}

void loop_work(struct loop *loop, loop_on_work *work, loop_on_work *on_done, void *ctx)
{
    struct loop_work *w = mem_new(sizeof(*w));
    w->uv.data = w;
    w->work = work;
    w->on_done = on_done;
    w->ctx = ctx;
    int failed = uv_queue_work(&loop->uv, &w->uv, loop_work_run, loop_work_done);
    assert(!failed);
}

static void loop_signal_caught(uv_signal_t *uv, int signal)
{
    struct loop_signal_handle *handle = uv->data;
    handle->on_signal(handle->ctx, signal);
}

void loop_signal(struct loop *loop, int signal, loop_on_signal *on_signal, void *ctx)
{
    struct loop_signal_handle *handle = mem_new(sizeof(*handle));
    uv_signal_init(&loop->uv, &handle->uv);
    handle->uv.data = handle;
    handle->on_signal = on_signal;
    handle->ctx = ctx;
    int failed = uv_signal_start(&handle->uv, loop_signal_caught, signal);
    assert(!failed);
}
