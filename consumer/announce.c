/* Asks the store for its run at each connection, and announces one that is new. */
#include "consumer/announce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/names.h"
#include "idempotency/once.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "runtime/uuid.h"

#define RUN_BYTES_MAX 40

enum announce_state {
    ANNOUNCE_UNKNOWN,    /* until the next connection */
    ANNOUNCE_ASKING,     /* INFO, GET */
    ANNOUNCE_ANNOUNCING, /* order.replay is not confirmed */
    ANNOUNCE_WRITING,    /* SET: the announcement is out */
    ANNOUNCE_REFUSED,    /* the store is there and refuses that, for its memory is full: later */
    ANNOUNCE_KNOWN,      /* the run of this connection is the one of <name>:run */
};

struct announce {
    struct loop *loop;
    struct store *store;
    struct broker *broker;
    const char *name;
    enum queue queue; /* of who sends again */
    struct loop_timer *pulse;
    struct args call;
    enum announce_state state;
    char run[RUN_BYTES_MAX + 1]; /* what INFO has said; empty: nothing that can be used */
    int64_t newest_ms;           /* of the ids of its newest records; 0: it has none */
    struct stat_value *announced;
};

static void announce_ask(struct announce *a);

static void announce_write(struct announce *a, texts_on_reply *on_reply)
{
    args_reset(&a->call);
    args_text(&a->call, "SET");
    args_format(&a->call, "%s%s", a->name, PART.run);
    args_format(&a->call, "%s|%lld", a->run, (long long)store_wall_ms(a->store));
    store_call(a->store, &a->call, on_reply, a);
}

/* Asks once more, instead of believing: it may have been yet another server that was written to. */
static void on_written(void *ctx, int err, struct texts reply)
{
    struct announce *a = ctx;
    (void)reply;
    bool is_there = err != -ERR_STORE_DOWN && err != -ERR_STORE_TIMEOUT;
    a->state = err && is_there ? ANNOUNCE_REFUSED : ANNOUNCE_UNKNOWN;
    if (!err) {
        announce_ask(a);
    }
}

static void on_confirmed(void *ctx)
{
    struct announce *a = ctx;
    crash_point("replay.confirmed");
    a->state = ANNOUNCE_WRITING;
    announce_write(a, on_written);
    crash_sent("replay.written");
}

static void announce_send(struct announce *a, int64_t since_ms, bool is_new)
{
    const struct uuid made = uuid_make(store_wall_ms(a->store));
    struct message announcement = {.type = MESSAGE_ORDER_REPLAY};
    crash_point("replay.announce.before");
    message_set(&announcement, id, slice_from(made.text));
    message_set(&announcement, service, slice_from(a->name));
    message_set(&announcement, since, since_ms);
    log_write(is_new ? LOG_INFO : LOG_WARN, "store_is_another", "run=%s since_ms=%lld", a->run,
              (long long)since_ms);
    stat_add(a->announced, 1);
    a->state = ANNOUNCE_ANNOUNCING;
    broker_send(a->broker, a->queue, &announcement, on_confirmed, a);
    crash_sent("replay.announce.after");
}

/* The line "run_id:<hex digits>" of the reply to INFO. */
static void on_info(void *ctx, int err, struct texts reply)
{
    struct announce *a = ctx;
    struct slice text = {0}, line;
    a->run[0] = '\0';
    if (!err && reply.count > 0) {
        text = texts_at(reply, 0);
    }
    while (slice_cut(&text, '\n', &line)) {
        struct slice name;
        if (slice_cut(&line, ':', &name) && slice_is(name, "run_id")) {
            line.bytes -= line.bytes > 0 && line.data[line.bytes - 1] == '\r';
            if (line.bytes <= RUN_BYTES_MAX && slice_is_id(line)) {
                memcpy(a->run, line.data, line.bytes);
                a->run[line.bytes] = '\0';
            }
        }
    }
}

/* <name>:buckets, the last one and its number. */
static void on_newest(void *ctx, int err, struct texts reply)
{
    struct announce *a = ctx;
    int64_t number;
    bool is_there = !err && reply.count == 2 && slice_int64(texts_at(reply, 1), &number) &&
                    number > 0 && number <= INT64_MAX >> ONCE_BUCKET_SHIFT;
    a->newest_ms = is_there ? number << ONCE_BUCKET_SHIFT : 0;
}

/* The key says up to when the store has everything; but its writer's clock may have been ahead. So
 * no later than the newest records. */
static int64_t announce_since(const struct announce *a, int64_t written_ms)
{
    return a->newest_ms > 0 && a->newest_ms < written_ms ? a->newest_ms : written_ms;
}

static void on_known(void *ctx, int err, struct texts reply)
{
    struct announce *a = ctx;
    struct slice since = {0}, run;
    int64_t since_ms;
    a->state = ANNOUNCE_UNKNOWN;
    if (err || a->run[0] == '\0') {
        return; /* the connection was lost, or is about to be: the next one retries */
    }
    if (reply.count > 0) {
        since = texts_at(reply, 0);
    }
    slice_cut(&since, '|', &run);
    if (slice_is(run, a->run)) {
        a->state = ANNOUNCE_KNOWN;
        return;
    }
    /* none: a store that is new, or was used by an older version */
    bool is_known = slice_int64(since, &since_ms) && since_ms >= 0;
    announce_send(a, announce_since(a, is_known ? since_ms : store_wall_ms(a->store)), !is_known);
}

static void announce_ask(struct announce *a)
{
    crash_point("replay.ask");
    a->state = ANNOUNCE_ASKING;
    args_reset(&a->call);
    args_text(&a->call, "INFO");
    args_text(&a->call, "server");
    store_call(a->store, &a->call, on_info, a);
    args_reset(&a->call);
    args_text(&a->call, "ZREVRANGE");
    args_format(&a->call, "%s%s", a->name, PART.buckets);
    args_text(&a->call, "0");
    args_text(&a->call, "0");
    args_text(&a->call, "WITHSCORES");
    store_call(a->store, &a->call, on_newest, a);
    args_reset(&a->call);
    args_text(&a->call, "GET");
    args_format(&a->call, "%s%s", a->name, PART.run);
    store_call(a->store, &a->call, on_known, a);
}

static void on_store_up(void *ctx)
{
    struct announce *a = ctx;
    if (a->state != ANNOUNCE_ANNOUNCING) { /* which asks when it is confirmed */
        announce_ask(a);
    }
}

static void on_pulse(void *ctx)
{
    struct announce *a = ctx;
    if (a->state == ANNOUNCE_KNOWN && store_is_up(a->store)) {
        announce_write(a, NULL);
    } else if (a->state == ANNOUNCE_REFUSED && store_is_up(a->store)) {
        a->state = ANNOUNCE_WRITING;
        announce_write(a, on_written);
    }
}

struct announce *announce_new(struct loop *loop, struct store *store, struct broker *broker,
                              const char *name, enum queue queue)
{
    struct announce *a = mem_new(sizeof(*a));
    a->loop = loop;
    a->store = store;
    a->broker = broker;
    a->name = name;
    a->queue = queue;
    a->announced = stat_counter("kassa_replays_announced_total", "",
                                "times that the store came back as another server");
    a->pulse = loop_timer_new(loop, on_pulse, a);
    loop_timer_start(a->pulse, ANNOUNCE_PULSE_MS, ANNOUNCE_PULSE_MS);
    store_watch_up(store, on_store_up, a);
    return a;
}

void announce_free(struct announce *a)
{
    if (!a) {
        return;
    }
    loop_timer_free(a->pulse);
    args_free(&a->call);
    free(a);
}
