/* Asks the store for its run at each connection, and announces one that is new. */
#include "saga/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idempotency/once.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "runtime/uuid.h"

#define RUN_BYTES_MAX 40

enum replay_state {
    REPLAY_UNKNOWN,    /* until the next connection */
    REPLAY_ASKING,     /* INFO, GET */
    REPLAY_ANNOUNCING, /* order.replay is not confirmed */
    REPLAY_WRITING,    /* SET: the announcement is out */
    REPLAY_REFUSED,    /* the store is there and refuses that, for its memory is full: later */
    REPLAY_KNOWN,      /* the run of this connection is the one of <name>:run */
};

struct replay {
    struct loop *loop;
    struct redis *store;
    struct broker *broker;
    const char *name;
    struct loop_timer *pulse;
    struct redis_command call;
    enum replay_state state;
    char run[RUN_BYTES_MAX + 1]; /* what INFO has said; empty: nothing that can be used */
    int64_t newest_ms;           /* of the ids of its newest records; 0: it has none */
    struct stat_value *announced;
};

static void replay_ask(struct replay *r);

static void replay_write(struct replay *r, redis_on_reply *on_reply)
{
    redis_command_reset(&r->call);
    redis_arg_text(&r->call, "SET");
    redis_argf(&r->call, "%s:run", r->name);
    redis_argf(&r->call, "%s|%lld", r->run, (long long)redis_wall_ms(r->store));
    redis_call(r->store, &r->call, on_reply, r);
}

/* Asks once more, instead of believing: it may have been yet another server that was written to. */
static void on_written(void *ctx, int err, const struct redis_reply *reply)
{
    struct replay *r = ctx;
    (void)reply;
    bool is_there = err != -ERR_STORE_DOWN && err != -ERR_STORE_TIMEOUT;
    r->state = err != 0 && is_there ? REPLAY_REFUSED : REPLAY_UNKNOWN;
    if (err == 0) {
        replay_ask(r);
    }
}

static void on_confirmed(void *ctx)
{
    struct replay *r = ctx;
    crash_point("replay.confirmed");
    r->state = REPLAY_WRITING;
    replay_write(r, on_written);
    crash_sent("replay.written");
}

static void replay_announce(struct replay *r, int64_t since_ms, bool is_new)
{
    const struct uuid made = uuid_make(redis_wall_ms(r->store));
    struct message announcement = {.type = MESSAGE_ORDER_REPLAY};
    crash_point("replay.announce.before");
    message_set(&announcement, id, slice_from(made.text));
    message_set(&announcement, service, slice_from(r->name));
    message_set(&announcement, since, since_ms);
    log_write(is_new ? LOG_INFO : LOG_WARN, "store_is_another", "run=%s since_ms=%lld", r->run,
              (long long)since_ms);
    stat_add(r->announced, 1);
    r->state = REPLAY_ANNOUNCING;
    broker_send(r->broker, QUEUE_ORDER, &announcement, on_confirmed, r);
    crash_sent("replay.announce.after");
}

/* The line "run_id:<hex digits>" of the reply to INFO. */
static void on_info(void *ctx, int err, const struct redis_reply *reply)
{
    struct replay *r = ctx;
    struct slice text = {0}, line;
    r->run[0] = '\0';
    if (err == 0 && redis_reply_count(reply) > 0) {
        text = redis_reply_at(reply, 0);
    }
    while (slice_cut(&text, '\n', &line)) {
        struct slice name;
        if (slice_cut(&line, ':', &name) && slice_is(name, "run_id")) {
            line.bytes -= line.bytes > 0 && line.data[line.bytes - 1] == '\r';
            if (line.bytes <= RUN_BYTES_MAX && slice_is_id(line)) {
                memcpy(r->run, line.data, line.bytes);
                r->run[line.bytes] = '\0';
            }
        }
    }
}

/* <name>:buckets, the last one and its number. */
static void on_newest(void *ctx, int err, const struct redis_reply *reply)
{
    struct replay *r = ctx;
    int64_t number;
    bool is_there = err == 0 && redis_reply_count(reply) == 2 &&
                    slice_int64(redis_reply_at(reply, 1), &number) && number > 0 &&
                    number <= INT64_MAX >> ONCE_BUCKET_SHIFT;
    r->newest_ms = is_there ? number << ONCE_BUCKET_SHIFT : 0;
}

/* What the store had by then it still has: so says the key, which was written by the clock of
 * whoever wrote it last, and may be ahead of what is there. So no later than its newest records. */
static int64_t replay_since(const struct replay *r, int64_t written_ms)
{
    return r->newest_ms > 0 && r->newest_ms < written_ms ? r->newest_ms : written_ms;
}

static void on_known(void *ctx, int err, const struct redis_reply *reply)
{
    struct replay *r = ctx;
    struct slice since = {0}, run;
    int64_t since_ms;
    r->state = REPLAY_UNKNOWN;
    if (err != 0 || r->run[0] == '\0') {
        return; /* the connection was lost, or is about to be: the next one asks again */
    }
    if (redis_reply_count(reply) > 0) {
        since = redis_reply_at(reply, 0);
    }
    slice_cut(&since, '|', &run);
    if (slice_is(run, r->run)) {
        r->state = REPLAY_KNOWN;
        return;
    }
    /* none: a store that is new, or was used by an older version */
    bool is_known = slice_int64(since, &since_ms) && since_ms >= 0;
    replay_announce(r, replay_since(r, is_known ? since_ms : redis_wall_ms(r->store)), !is_known);
}

static void replay_ask(struct replay *r)
{
    crash_point("replay.ask");
    r->state = REPLAY_ASKING;
    redis_command_reset(&r->call);
    redis_arg_text(&r->call, "INFO");
    redis_arg_text(&r->call, "server");
    redis_call(r->store, &r->call, on_info, r);
    redis_command_reset(&r->call);
    redis_arg_text(&r->call, "ZREVRANGE");
    redis_argf(&r->call, "%s:buckets", r->name);
    redis_arg_text(&r->call, "0");
    redis_arg_text(&r->call, "0");
    redis_arg_text(&r->call, "WITHSCORES");
    redis_call(r->store, &r->call, on_newest, r);
    redis_command_reset(&r->call);
    redis_arg_text(&r->call, "GET");
    redis_argf(&r->call, "%s:run", r->name);
    redis_call(r->store, &r->call, on_known, r);
}

static void on_store_up(void *ctx)
{
    struct replay *r = ctx;
    if (r->state != REPLAY_ANNOUNCING) { /* which asks when it is confirmed */
        replay_ask(r);
    }
}

static void on_pulse(void *ctx)
{
    struct replay *r = ctx;
    if (r->state == REPLAY_KNOWN && redis_is_up(r->store)) {
        replay_write(r, NULL);
    } else if (r->state == REPLAY_REFUSED && redis_is_up(r->store)) {
        r->state = REPLAY_WRITING;
        replay_write(r, on_written);
    }
}

struct replay *replay_new(struct loop *loop, struct redis *store, struct broker *broker,
                          const char *name)
{
    struct replay *r = mem_new(sizeof(*r));
    r->loop = loop;
    r->store = store;
    r->broker = broker;
    r->name = name;
    r->announced = stat_counter("kassa_replays_announced_total", "",
                                "times that the store came back as another server");
    r->pulse = loop_timer_new(loop, on_pulse, r);
    loop_timer_start(r->pulse, REPLAY_PULSE_MS, REPLAY_PULSE_MS);
    redis_watch_up(store, on_store_up, r);
    return r;
}

void replay_free(struct replay *r)
{
    if (r == NULL) {
        return;
    }
    loop_timer_free(r->pulse);
    redis_command_free(&r->call);
    free(r);
}
