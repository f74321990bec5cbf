/* The event loop of a process (libuv): timers, descriptors, signals, the end of a turn.
 *
 * One thread runs it. A turn is: run what is due and ready, then the turn-end hooks in their
 * order, then sleep. Group commit lives in that shape: whatever a turn produced leaves in one
 * write for each connection, when the turn ends. Nothing a callback does may block; what must
 * (a broker handshake, a name look-up) goes through loop_work. */
#ifndef KASSA_RUNTIME_LOOP_H
#define KASSA_RUNTIME_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_watch;

struct loop *loop_new(void);
void loop_free(struct loop *loop); /* NULL is fine; closes what is left */
void loop_run(struct loop *loop);  /* until loop_stop */
void loop_stop(struct loop *loop);

/* One turn. wait: sleep for the first event, at most until the next timer. For tests. */
void loop_turn(struct loop *loop, bool wait);

int64_t loop_now_ms(const struct loop *loop);  /* monotonic, of this turn */
int64_t loop_wall_ms(const struct loop *loop); /* since 1970, read once a turn */

typedef void loop_on_timer(void *ctx);
/* repeat_ms 0: once. Starting a running timer restarts it.
 * Owns: the caller, until loop_timer_free (NULL is fine, also from inside the callback). */
struct loop_timer *loop_timer_new(struct loop *loop, loop_on_timer *on_timer, void *ctx);
void loop_timer_start(struct loop_timer *t, int64_t delay_ms, int64_t repeat_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_ERROR = 4 };
typedef void loop_on_ready(void *ctx, int events);
/* Watches a descriptor that the caller keeps open until after loop_watch_free. */
struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_on_ready *on_ready, void *ctx);
void loop_watch_set(struct loop_watch *w, int events); /* 0 pauses */
void loop_watch_free(struct loop_watch *w);            /* NULL is fine */

/* What runs at the end of every turn, in this order: replies leave before new work is taken,
 * envelopes close before notices, and the stores' pipelines are written last because all the
 * others add to them. */
enum loop_hook {
    LOOP_HOOK_HTTP,
    LOOP_HOOK_BROKER,
    LOOP_HOOK_NOTICE,
    LOOP_HOOK_STORE,
    LOOP_HOOK_LOG,
    LOOP_HOOK_COUNT
};
typedef void loop_on_turn_end(void *ctx);
/* At most LOOP_HOOKS_MAX for each place; called in the order of registration. */
#define LOOP_HOOKS_MAX 16
void loop_hook_add(struct loop *loop, enum loop_hook place, loop_on_turn_end *hook, void *ctx);
void loop_hook_remove(struct loop *loop, enum loop_hook place, loop_on_turn_end *hook, void *ctx);

/* Runs `work` on a helper thread and then `on_done` on the loop. The two share ctx, never at the
 * same time. Cannot be cancelled: ctx must live until on_done. */
typedef void loop_on_work(void *ctx);
void loop_work(struct loop *loop, loop_on_work *work, loop_on_work *on_done, void *ctx);

typedef void loop_on_signal(void *ctx, int signal);
void loop_signal(struct loop *loop, int signal, loop_on_signal *on_signal, void *ctx);

#endif
