/* The seats, and who sits there when: a seat is a connection, or the place of one that is being
 * made anew. */
#include "bench/generator.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "bench/client.h"
#include "bench/clock.h"
#include "bench/schedule.h"

#define TICK_MS       100 /* timeouts, lost connections; each is looked at so often */
#define NS_PER_SECOND 1e9

enum generator_phase { CONNECTING, WARMING, MEASURING, ENDING };

struct seat {
    struct generator *generator;
    struct client *connection; /* NULL: lost, made anew at the next tick */
    bool is_up;
    bool is_busy;   /* a request is out */
    bool is_queued; /* in the queue of the free; may have been lost since */
    unsigned step;
    int64_t due_ns, sent_ns;
    struct script_values values;
    char path[SCRIPT_PATH_MAX];
};

struct generator {
    const struct options *options;
    struct results *results;
    struct loop *loop;
    struct loop_timer *tick, *turnover; /* turnover: the end of the warm-up, then of the run */
    int timer_fd;                       /* wakes for the next due request: finer than the loop's */
    struct loop_watch *timer_watch;
    int64_t timer_ns; /* set to this; 0: not set */
    enum generator_phase phase;
    unsigned tried; /* connections that were up, or lost, once */
    struct seat *seats;
    unsigned *queue; /* ring of seats that may be free; longest free first */
    unsigned queue_head, queue_count;
    unsigned busy;
    struct schedule schedule;
    int64_t opened_ns;   /* when the first connection was tried */
    int64_t measured_ns; /* when the warm-up was over */
    double begin_cpu_s;
    int64_t progress_ns;
    uint64_t progress_answers;
};

static void generator_finish_if_done(struct generator *g)
{
    int64_t due_ns;
    if (g->phase == ENDING && g->busy == 0 &&
        !schedule_next(&g->schedule, g->schedule.end_ns, &due_ns)) {
        loop_stop(g->loop);
    }
}

static void generator_end(struct generator *g)
{
    if (g->phase == ENDING) {
        return;
    }
    schedule_end(&g->schedule, clock_ns());
    if (g->phase != MEASURING) {
        g->measured_ns = g->schedule.end_ns;
    }
    g->phase = ENDING;
    loop_timer_stop(g->turnover);
}

static void generator_send(struct generator *g, struct seat *seat, int64_t due_ns, int64_t now_ns)
{
    const struct options *o = g->options;
    const struct script_step *step = &o->script.steps[seat->step];
    char request[CONNECTION_REQUEST_MAX];
    snprintf(seat->values.text[SCRIPT_N], sizeof(seat->values.text[SCRIPT_N]), "%" PRIu64,
             schedule_take(&g->schedule));
    int path_bytes = script_fill(step->path, &seat->values, seat->path, sizeof(seat->path));
    assert(path_bytes >= 0); /* load.c has tried the longest */
    int bytes = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n",
                         step->method, seat->path, o->host, o->port,
                         step->method[0] == 'P' ? "Content-Length: 0\r\n" : "");
    assert(bytes > 0 && (size_t)bytes < sizeof(request));
    g->busy++;
    seat->is_busy = true;
    seat->due_ns = due_ns;
    seat->sent_ns = now_ns;
    client_send(seat->connection, (struct slice){request, (size_t)bytes});
}

/* Errors: NULL when no seat is free. */
static struct seat *generator_free_seat(struct generator *g)
{
    while (g->queue_count > 0) {
        struct seat *seat = &g->seats[g->queue[g->queue_head]];
        g->queue_head = (g->queue_head + 1) % g->options->connections;
        g->queue_count--;
        seat->is_queued = false;
        if (seat->is_up && !seat->is_busy) {
            return seat;
        }
    }
    return NULL;
}

static void generator_release_seat(struct generator *g, struct seat *seat)
{
    if (!seat->is_queued) {
        unsigned at = (g->queue_head + g->queue_count++) % g->options->connections;
        g->queue[at] = (unsigned)(seat - g->seats);
        seat->is_queued = true;
    }
}

static void generator_wake_at(struct generator *g, int64_t due_ns)
{
    if (g->timer_ns != due_ns) {
        struct itimerspec at = {
            .it_value = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000}};
        timerfd_settime(g->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
        g->timer_ns = due_ns;
    }
}

/* Sends all that is due, as long as there is a free connection. */
static void generator_feed(struct generator *g, int64_t now_ns)
{
    int64_t due_ns;
    while (schedule_next(&g->schedule, now_ns, &due_ns)) {
        if (due_ns > now_ns) {
            generator_wake_at(g, due_ns);
            break;
        }
        struct seat *seat = generator_free_seat(g);
        if (seat == NULL) {
            break;
        }
        generator_send(g, seat, due_ns, now_ns);
    }
    if (schedule_is_used_up(&g->schedule)) {
        generator_end(g);
    }
    generator_finish_if_done(g);
}

/* ---- connections ---- */

static void generator_begin_if_tried(struct generator *g)
{
    if (g->phase != CONNECTING || ++g->tried < g->options->connections) {
        return;
    }
    if (g->queue_count == 0) {
        loop_stop(g->loop);
        return;
    }
    int64_t now_ns = clock_ns();
    schedule_begin(&g->schedule, g->options, now_ns);
    g->begin_cpu_s = clock_cpu_s();
    g->progress_ns = now_ns;
    g->phase = WARMING;
    loop_timer_start(g->turnover, g->options->warm_s * 1000, 0);
    generator_feed(g, now_ns);
}

static void seat_on_up(void *ctx)
{
    struct seat *seat = ctx;
    struct generator *g = seat->generator;
    seat->is_up = true;
    generator_release_seat(g, seat);
    if (g->phase == CONNECTING) {
        generator_begin_if_tried(g);
    } else {
        generator_feed(g, clock_ns());
    }
}

/* Its request is not repeated: whether it has acted is not known here. */
static void seat_leave(struct seat *seat, enum results_error why)
{
    struct generator *g = seat->generator;
    if (seat->is_busy || why == RESULTS_CONNECT) {
        g->results->errors[why]++;
    }
    g->busy -= seat->is_busy;
    seat->is_busy = false;
    seat->is_up = false;
    seat->connection = NULL;
    seat->step = 0;
}

static void seat_on_lost(void *ctx, enum client_loss why)
{
    static const enum results_error errors[] = {RESULTS_CONNECT, RESULTS_RESET, RESULTS_BROKEN};
    struct seat *seat = ctx;
    seat_leave(seat, errors[why]);
    generator_begin_if_tried(seat->generator);
    generator_finish_if_done(seat->generator);
}

static void seat_on_answer(void *ctx, const struct answer *answer)
{
    struct seat *seat = ctx;
    struct generator *g = seat->generator;
    int64_t now_ns = clock_ns();
    const struct script_step *step = &g->options->script.steps[seat->step];
    const struct script_expect *expect = script_judge(step, answer, &seat->values);
    if (expect == NULL) {
        results_wrong(g->results, seat->path, answer);
        seat->step = 0;
    } else {
        bool is_measured = g->phase >= MEASURING && seat->due_ns >= g->measured_ns &&
                           (g->phase == MEASURING || seat->due_ns < g->schedule.end_ns);
        if (is_measured) {
            histogram_add(&g->results->kinds[expect->kind].latency, now_ns - seat->due_ns);
        }
        results_right(g->results, expect->kind,
                      (double)(now_ns - g->schedule.begin_ns) / NS_PER_SECOND,
                      g->phase == MEASURING);
        seat->step = (seat->step + 1) % g->options->script.step_count;
    }
    g->busy--;
    seat->is_busy = false;
    if (answer->is_last) {
        client_close(seat->connection);
        seat->connection = NULL;
        seat->is_up = false;
    } else {
        generator_release_seat(g, seat);
    }
    generator_feed(g, now_ns);
}

static const struct client_events seat_events = {seat_on_up, seat_on_answer, seat_on_lost};

static void seat_open(struct seat *seat)
{
    const struct options *o = seat->generator->options;
    seat->connection = client_open(seat->generator->loop, o->host, o->port, &seat_events, seat);
}

/* ---- clocks and signals ---- */

static void generator_on_due(void *ctx, int events)
{
    struct generator *g = ctx;
    uint64_t expirations;
    (void)events;
    ssize_t bytes = read(g->timer_fd, &expirations, sizeof(expirations));
    (void)bytes; /* set anew meanwhile: then the next wake-up comes */
    g->timer_ns = 0;
    generator_feed(g, clock_ns());
}

static void generator_on_turnover(void *ctx)
{
    struct generator *g = ctx;
    if (g->phase == WARMING) {
        g->phase = MEASURING;
        g->measured_ns = clock_ns();
        loop_timer_start(g->turnover, g->options->seconds * 1000, 0);
    } else {
        generator_end(g);
        generator_finish_if_done(g);
    }
}

static void generator_print_progress(struct generator *g, int64_t now_ns)
{
    if (g->options->progress == NULL || g->phase == CONNECTING ||
        now_ns - g->progress_ns < NS_PER_SECOND) {
        return;
    }
    fprintf(stderr, "\r\x1b[K%s: %.0f s, %.0f/s, %" PRIu64 " wrong", g->options->progress,
            (double)(now_ns - g->schedule.begin_ns) / NS_PER_SECOND,
            (double)(g->results->answers - g->progress_answers) * NS_PER_SECOND /
                (double)(now_ns - g->progress_ns),
            g->results->wrong);
    fflush(stderr);
    g->progress_ns = now_ns;
    g->progress_answers = g->results->answers;
}

static void generator_on_tick(void *ctx)
{
    struct generator *g = ctx;
    int64_t now_ns = clock_ns(), timeout_ns = (int64_t)g->options->timeout_s * 1000000000;
    for (unsigned i = 0; i < g->options->connections; i++) {
        struct seat *seat = &g->seats[i];
        if (seat->is_busy && now_ns - seat->sent_ns > timeout_ns) {
            client_close(seat->connection);
            seat_leave(seat, RESULTS_TIMEOUT);
        }
        if (seat->connection == NULL && g->phase != CONNECTING) {
            seat_open(seat);
        }
    }
    generator_print_progress(g, now_ns);
    if ((g->phase == ENDING && now_ns - g->schedule.end_ns > timeout_ns) ||
        (g->phase == CONNECTING && now_ns - g->opened_ns > timeout_ns)) {
        loop_stop(g->loop);
    }
    generator_finish_if_done(g);
}

static void generator_on_signal(void *ctx, int number)
{
    struct generator *g = ctx;
    (void)number;
    generator_end(g);
    g->results->is_interrupted = true;
    loop_stop(g->loop);
}

/* ---- the whole run ---- */

static void generator_open(struct generator *g, const struct options *options,
                           struct results *results)
{
    g->options = options;
    g->results = results;
    g->loop = loop_new();
    g->seats = mem_new(options->connections * sizeof(*g->seats));
    g->queue = mem_new(options->connections * sizeof(*g->queue));
    g->tick = loop_timer_new(g->loop, generator_on_tick, g);
    g->turnover = loop_timer_new(g->loop, generator_on_turnover, g);
    g->opened_ns = clock_ns();
    loop_timer_start(g->tick, TICK_MS, TICK_MS);
    g->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    assert(g->timer_fd >= 0);
    g->timer_watch = loop_watch_new(g->loop, g->timer_fd, generator_on_due, g);
    loop_watch_set(g->timer_watch, LOOP_READ);
    loop_signal(g->loop, SIGINT, generator_on_signal, g);
    loop_signal(g->loop, SIGTERM, generator_on_signal, g);
    for (unsigned i = 0; i < options->connections; i++) {
        g->seats[i].generator = g;
        seat_open(&g->seats[i]);
    }
}

static void generator_close(struct generator *g)
{
    for (unsigned i = 0; i < g->options->connections; i++) {
        client_close(g->seats[i].connection);
    }
    loop_watch_free(g->timer_watch);
    loop_timer_free(g->tick);
    loop_timer_free(g->turnover);
    loop_free(g->loop);
    close(g->timer_fd);
    free(g->seats);
    free(g->queue);
}

bool generator_run(const struct options *options, struct results *results)
{
    struct generator g = {0};
    generator_open(&g, options, results);
    loop_run(g.loop);
    bool has_begun = g.schedule.begin_ns != 0;
    if (has_begun) {
        results->whole_s = (double)(clock_ns() - g.schedule.begin_ns) / NS_PER_SECOND;
        results->measured_s = (double)(g.schedule.end_ns - g.measured_ns) / NS_PER_SECOND;
        results->cpu_s = clock_cpu_s() - g.begin_cpu_s;
        results->next = options->from + g.schedule.taken;
        if (!results->is_interrupted) {
            results->errors[RESULTS_UNANSWERED] += g.busy;
            results->errors[RESULTS_UNSENT] += schedule_missed(&g.schedule);
        }
    }
    if (options->progress != NULL) {
        fputs("\r\x1b[K", stderr);
    }
    generator_close(&g);
    return has_begun;
}
