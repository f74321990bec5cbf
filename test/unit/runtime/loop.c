/* Turns, hooks, timers, descriptors, helper threads and signals of a real loop. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/loop.h"

struct fixture {
    struct loop *loop;
    struct loop_timer *timer;
    struct loop_watch *watch;
    int sockets[2];
    int events;
    int count;
    char story[64]; /* a letter for each thing that happened */
};

static int loop_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->loop = loop_new();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->sockets), 0);
    *state = f;
    return 0;
}

static int loop_teardown(void **state)
{
    struct fixture *f = *state;
    loop_free(f->loop);
    close(f->sockets[0]);
    close(f->sockets[1]);
    free(f);
    return 0;
}

static void tell(struct fixture *f, char letter)
{
    size_t bytes = strlen(f->story);
    assert_true(bytes < sizeof(f->story) - 1);
    f->story[bytes] = letter;
}

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void turn_for(struct fixture *f, int64_t ms)
{
    for (int64_t end = clock_ms() + ms; clock_ms() < end;) {
        loop_turn(f->loop, false);
        usleep(500);
    }
}

static void on_count(void *ctx)
{
    ((struct fixture *)ctx)->count++;
}

static void on_count_stop(void *ctx)
{
    struct fixture *f = ctx;
    f->count++;
    loop_stop(f->loop);
}

/* A single timer fires once, after its delay, and the loop slept meanwhile. */
static void loop_timer_once_test(void **state)
{
    struct fixture *f = *state;
    f->timer = loop_timer_new(f->loop, on_count_stop, f);
    loop_timer_start(f->timer, 20, 0);
    int64_t begin = clock_ms();
    loop_run(f->loop);
    assert_in_range(clock_ms() - begin, 19, 200);
    turn_for(f, 40);
    assert_int_equal(f->count, 1);
    loop_timer_free(f->timer);
}

/* A repeating one goes on until it is stopped; starting it again sets it anew. */
static void loop_timer_repeat_test(void **state)
{
    struct fixture *f = *state;
    f->timer = loop_timer_new(f->loop, on_count, f);
    loop_timer_start(f->timer, 100000, 0);
    loop_timer_start(f->timer, 0, 5);
    turn_for(f, 50);
    assert_true(f->count >= 4);
    loop_timer_stop(f->timer);
    int before = f->count;
    turn_for(f, 20);
    assert_int_equal(f->count, before);
    loop_timer_free(f->timer);
}

static void on_free_self(void *ctx)
{
    struct fixture *f = ctx;
    f->count++;
    loop_timer_free(f->timer);
}

/* A timer may be freed from inside its own callback, and NULL is fine. */
static void loop_timer_free_inside_test(void **state)
{
    struct fixture *f = *state;
    f->timer = loop_timer_new(f->loop, on_free_self, f);
    loop_timer_start(f->timer, 0, 1);
    turn_for(f, 20);
    assert_int_equal(f->count, 1);
    loop_timer_free(NULL);
    loop_watch_free(NULL);
    loop_free(NULL);
}

/* A turn that is not to wait does not, whatever is pending. */
static void loop_turn_no_wait_test(void **state)
{
    struct fixture *f = *state;
    f->timer = loop_timer_new(f->loop, on_count, f);
    loop_timer_start(f->timer, 5000, 0);
    int64_t begin = clock_ms();
    for (int i = 0; i < 100; i++) {
        loop_turn(f->loop, false);
    }
    assert_true(clock_ms() - begin < 1000);
    assert_int_equal(f->count, 0);
}

/* One that waits sleeps until the next timer. */
static void loop_turn_wait_test(void **state)
{
    struct fixture *f = *state;
    f->timer = loop_timer_new(f->loop, on_count, f);
    loop_timer_start(f->timer, 15, 0);
    int64_t begin = clock_ms();
    while (f->count == 0) {
        loop_turn(f->loop, true);
    }
    assert_in_range(clock_ms() - begin, 14, 300);
}

static void on_ready(void *ctx, int events)
{
    struct fixture *f = ctx;
    f->count++;
    f->events |= events;
    tell(f, 'r');
}

/* A descriptor is told ready for what was asked and for nothing else; 0 pauses. */
static void loop_watch_test(void **state)
{
    struct fixture *f = *state;
    f->watch = loop_watch_new(f->loop, f->sockets[0], on_ready, f);
    loop_turn(f->loop, false);
    assert_int_equal(f->count, 0);
    loop_watch_set(f->watch, LOOP_WRITE);
    loop_turn(f->loop, true);
    assert_int_equal(f->events, LOOP_WRITE);

    f->events = 0;
    loop_watch_set(f->watch, LOOP_READ);
    assert_int_equal(write(f->sockets[1], "x", 1), 1);
    loop_turn(f->loop, true);
    assert_int_equal(f->events, LOOP_READ);

    int before = f->count;
    loop_watch_set(f->watch, 0);
    turn_for(f, 5);
    assert_int_equal(f->count, before);
    loop_watch_set(f->watch, LOOP_READ);
    loop_turn(f->loop, true);
    assert_int_equal(f->count, before + 1);
    loop_watch_free(f->watch);
    turn_for(f, 5);
    assert_int_equal(f->count, before + 1);
}

/* The number of a closed descriptor can be watched again at once. */
static void loop_watch_again_test(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        struct loop_watch *w = loop_watch_new(f->loop, f->sockets[0], on_ready, f);
        loop_watch_set(w, LOOP_WRITE);
        loop_turn(f->loop, true);
        loop_watch_free(w);
    }
    assert_true(f->count >= 3);
}

static void on_a(void *ctx)
{
    tell(ctx, 'a');
}

static void on_b(void *ctx)
{
    tell(ctx, 'b');
}

static void on_c(void *ctx)
{
    tell(ctx, 'c');
}

/* Hooks run by place, and within a place in the order they came. */
static void loop_hook_order_test(void **state)
{
    struct fixture *f = *state;
    loop_hook_add(f->loop, LOOP_HOOK_STORE, on_c, f);
    loop_hook_add(f->loop, LOOP_HOOK_BROKER, on_b, f);
    loop_hook_add(f->loop, LOOP_HOOK_HTTP, on_a, f);
    loop_hook_add(f->loop, LOOP_HOOK_BROKER, on_c, f);
    loop_turn(f->loop, false);
    assert_memory_equal(f->story, "abcc", 4);
    loop_hook_remove(f->loop, LOOP_HOOK_BROKER, on_b, f);
    loop_hook_remove(f->loop, LOOP_HOOK_BROKER, on_b, f); /* again: nothing happens */
    memset(f->story, 0, sizeof(f->story));
    loop_turn(f->loop, false);
    assert_memory_equal(f->story, "acc", 3);
}

static void on_remove_all(void *ctx)
{
    struct fixture *f = ctx;
    tell(f, 'x');
    loop_hook_remove(f->loop, LOOP_HOOK_BROKER, on_remove_all, f);
    loop_hook_remove(f->loop, LOOP_HOOK_BROKER, on_a, f);
    loop_hook_remove(f->loop, LOOP_HOOK_STORE, on_b, f);
    loop_hook_add(f->loop, LOOP_HOOK_LOG, on_c, f);
}

/* A hook may remove itself and others while they run: those are not called, none is skipped; and
 * one that is added to a later place runs in the same pass. */
static void loop_hook_remove_inside_test(void **state)
{
    struct fixture *f = *state;
    loop_hook_add(f->loop, LOOP_HOOK_BROKER, on_remove_all, f);
    loop_hook_add(f->loop, LOOP_HOOK_BROKER, on_a, f);
    loop_hook_add(f->loop, LOOP_HOOK_BROKER, on_c, f);
    loop_hook_add(f->loop, LOOP_HOOK_STORE, on_b, f);
    loop_turn(f->loop, false);
    assert_memory_equal(f->story, "xcc", 3);
    memset(f->story, 0, sizeof(f->story));
    loop_turn(f->loop, false);
    assert_memory_equal(f->story, "cc", 2);
}

static void on_stop(void *ctx)
{
    struct fixture *f = ctx;
    tell(f, 's');
    loop_stop(f->loop);
}

/* What became ready is handled before the hooks, and the turn that stops the loop has them too. */
static void loop_hook_last_test(void **state)
{
    struct fixture *f = *state;
    f->timer = loop_timer_new(f->loop, on_stop, f);
    loop_timer_start(f->timer, 1, 0);
    loop_hook_add(f->loop, LOOP_HOOK_LOG, on_c, f);
    loop_run(f->loop);
    const char *stop = strchr(f->story, 's');
    assert_non_null(stop);
    assert_non_null(strchr(stop, 'c'));
}

/* Stopped before it runs, a loop does not hang. */
static void loop_stop_before_test(void **state)
{
    struct fixture *f = *state;
    loop_stop(f->loop);
    loop_run(f->loop);
    f->timer = loop_timer_new(f->loop, on_count_stop, f);
    loop_timer_start(f->timer, 1, 0);
    loop_run(f->loop);
    assert_int_equal(f->count, 1);
}

static void on_work(void *ctx)
{
    struct fixture *f = ctx;
    usleep(10000);
    f->events = 7;
}

static void on_work_done(void *ctx)
{
    struct fixture *f = ctx;
    f->count = f->events;
}

/* Work is done elsewhere while the loop turns; its end is told on the loop. */
static void loop_work_test(void **state)
{
    struct fixture *f = *state;
    loop_work(f->loop, on_work, on_work_done, f);
    loop_turn(f->loop, false);
    assert_int_equal(f->count, 0);
    while (f->count == 0) {
        loop_turn(f->loop, true);
    }
    assert_int_equal(f->count, 7);
}

/* Freeing the loop waits for work on its way and tells its end: only then may ctx go. */
static void loop_work_free_test(void **state)
{
    struct fixture *f = *state;
    loop_work(f->loop, on_work, on_work_done, f);
    loop_free(f->loop);
    f->loop = NULL;
    assert_int_equal(f->count, 7);
}

static void on_signal(void *ctx, int number)
{
    struct fixture *f = ctx;
    f->count = number;
}

/* A signal arrives as an event of a turn. */
static void loop_signal_test(void **state)
{
    struct fixture *f = *state;
    loop_signal(f->loop, SIGUSR1, on_signal, f);
    loop_turn(f->loop, false);
    raise(SIGUSR1);
    assert_int_equal(f->count, 0);
    loop_turn(f->loop, true);
    assert_int_equal(f->count, SIGUSR1);
}

/* Both clocks stand still within a turn and go on with the next. */
static void loop_clock_test(void **state)
{
    struct fixture *f = *state;
    loop_turn(f->loop, false);
    int64_t now_ms = loop_now_ms(f->loop);
    int64_t wall_ms = loop_wall_ms(f->loop);
    usleep(5000);
    assert_int_equal(loop_now_ms(f->loop), now_ms);
    assert_int_equal(loop_wall_ms(f->loop), wall_ms);
    loop_turn(f->loop, false);
    assert_true(loop_now_ms(f->loop) >= now_ms + 4);
    assert_true(loop_wall_ms(f->loop) >= wall_ms + 4);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    assert_true(llabs((int64_t)t.tv_sec * 1000 - loop_wall_ms(f->loop)) < 2000);
}

#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, loop_setup, loop_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(loop_timer_once_test),
        LOOP_TEST(loop_timer_repeat_test),
        LOOP_TEST(loop_timer_free_inside_test),
        LOOP_TEST(loop_turn_no_wait_test),
        LOOP_TEST(loop_turn_wait_test),
        LOOP_TEST(loop_watch_test),
        LOOP_TEST(loop_watch_again_test),
        LOOP_TEST(loop_hook_order_test),
        LOOP_TEST(loop_hook_remove_inside_test),
        LOOP_TEST(loop_hook_last_test),
        LOOP_TEST(loop_stop_before_test),
        LOOP_TEST(loop_work_test),
        LOOP_TEST(loop_work_free_test),
        LOOP_TEST(loop_signal_test),
        LOOP_TEST(loop_clock_test),
    };
    return cmocka_run_group_tests_name("runtime/loop", tests, NULL, NULL);
}
