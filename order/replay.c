/* A participant's store is another server than the one it was announced under, and may have lost
 * its tail: credit or pieces, and the records of who has them, together. What the sagas of that
 * time have done there is sent again, under the same ids: what is there is answered from its
 * record, what is not is done now.
 *
 *   order.replay --> journal in the store (order/replay.lua) --> ack: nobody waits for the rest
 *                       |  ^
 *        take, or step  v  '---- all of it confirmed ----.
 *                    a part of a bucket's sagas --> their commands --> broker
 *
 *   pass 0: what has to be undone      pass 1: what has to stand, which may need that credit
 *
 * Each order process looks for journals; one has it, by a token, and moves it after each part that
 * the broker has confirmed. If it dies another one goes on from there, when it has seen the journal
 * stand still for REPLAY_PATIENCE_MS: nobody's wall clock is asked.
 * Source: protocol.md section 3.5. */
#include "order/replay.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idempotency/once.h"
#include "order/drive.h"
#include "order/stats.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/uuid.h"

enum { PASS_UNDO, PASS_DO, PASS_COUNT };

enum course_state {
    COURSE_NONE,    /* no journal, or somebody else has it */
    COURSE_LOOKING, /* the call that may take it is out */
    COURSE_READING, /* the call that moves it on and reads the next part is out */
    COURSE_SENDING, /* commands of that part are not confirmed */
    COURSE_RESTING, /* until the next tick, or until the broker takes commands */
    COURSE_ENDING,  /* the call that ends it is out */
};

#define NUMBER_BYTES 24

/* The replay for one participant, as this process sees it. */
struct course {
    struct replays *all;
    unsigned row;
    enum course_state state;
    char token[NUMBER_BYTES], beat[NUMBER_BYTES]; /* as seen last; empty: there is no journal */
    int64_t seen_ms;                              /* of the loop's clock: since when it is so */
    int64_t begun_ms;                             /* wall clock; 0: there is none */
    int64_t since_ms;
    unsigned pass;
    int64_t last, bucket;
    char cursor[NUMBER_BYTES]; /* good while this process has it, on this connection */
    int64_t sent;              /* commands, in all */
    unsigned burst, calls;     /* commands and calls since the last rest */
    int64_t rest_until_ms;     /* of the loop's clock: what was undone is to be done first */
    unsigned open;             /* commands that are not confirmed, and one while they are sent */
    struct stat_value *is_open;
};

struct replays {
    struct consumer *consumer;
    struct loop_timer *timer;
    struct redis_command call;
    struct course courses[SAGA_STEPS_MAX];
    unsigned count;
};

static void course_step(struct course *c);

static int64_t course_now_ms(const struct course *c)
{
    return loop_now_ms(consumer_loop(c->all->consumer));
}

/* ---- order.replay ---- */

int checkout_replay_record(struct consumer_work *work, struct redis_command *call)
{
    const struct message *in = work->in;
    const struct conf *conf = consumer_conf(work->consumer);
    int64_t margin_ms = 1000 * conf->replay_s, announced_ms = 0, since_ms = in->since;
    unsigned row;
    if (!checkout_row(in->service, &row)) {
        return -ERR_FIELD;
    }
    uuid_time_ms(in->id, &announced_ms); /* an id without one was parked before */
    if (since_ms > announced_ms) {
        since_ms = announced_ms; /* another process wrote it, whose clock is ahead */
    }
    int64_t now_ms = consumer_now_ms(work->consumer); /* that it comes from may be behind */
    int64_t last_ms = now_ms > announced_ms ? now_ms : announced_ms;
    since_ms -= margin_ms;
    /* A saga acts long after its id was made when something that it needs was away: at most until a
     * gateway and then the saga have given up. */
    int64_t first_ms = since_ms - conf->deadline_ms - conf->saga_deadline_ms;
    consumer_call(work, call, "order_replay_begin", 2);
    redis_argf(call, "order:replay:%s", checkout_participant(row));
    redis_arg(call, in->id);
    redis_arg_int(call, since_ms);
    redis_arg_int(call, first_ms >> ONCE_BUCKET_SHIFT);
    redis_arg_int(call, (last_ms + margin_ms) >> ONCE_BUCKET_SHIFT);
    redis_arg_int(call, announced_ms);
    return 0;
}

enum consumer_next checkout_replay_answer(struct consumer_work *work,
                                          const struct redis_reply *reply)
{
    (void)work, (void)reply;
    return CONSUMER_DONE; /* the journal has it: who looks next goes on */
}

/* ---- a part: its commands ---- */

/* Somebody else has it, or it is over. */
static void course_leave(struct course *c)
{
    c->state = COURSE_NONE;
    c->token[0] = '\0';
}

/* Nothing is known of a call that failed, but that the journal stands where it stood or where it
 * was to go: the same is asked for again. A cursor is good for one server, and this may be another.
 */
static void course_retry(struct course *c)
{
    c->state = COURSE_RESTING;
    strcpy(c->cursor, "0");
}

static void on_ended(void *ctx, int err, const struct redis_reply *reply)
{
    struct course *c = ctx;
    if (err != 0) {
        course_retry(c);
        return;
    }
    crash_point("replaying.end.after");
    if (redis_reply_at(reply, 1).bytes > 0) {
        log_error("replay_short", "participant=%s since_ms=%lld records_since_ms=%.*s",
                  checkout_participant(c->row), (long long)c->since_ms,
                  SLICE_ARG(redis_reply_at(reply, 1)));
        stat_add(order_stats()->replay_short, 1);
    }
    if (slice_is(redis_reply_at(reply, 0), "done")) {
        log_info("replay_done", "participant=%s since_ms=%lld commands=%lld",
                 checkout_participant(c->row), (long long)c->since_ms, (long long)c->sent);
        c->begun_ms = 0;
    }
    course_leave(c);
}

static void course_end(struct course *c)
{
    struct redis_command *call = &c->all->call;
    c->state = COURSE_ENDING;
    redis_command_reset(call);
    redis_function(call, &order_library, "order_replay_end", 1);
    redis_argf(call, "order:replay:%s", checkout_participant(c->row));
    redis_arg_text(call, c->token);
    redis_call(consumer_store(c->all->consumer), call, on_ended, c);
    crash_sent("replaying.end.sent");
}

static void course_go_on(struct course *c)
{
    if (c->pass == PASS_COUNT) {
        course_end(c);
    } else if (c->burst >= REPLAY_BURST || c->calls >= REPLAY_CALLS ||
               course_now_ms(c) < c->rest_until_ms || consumer_is_congested(c->all->consumer)) {
        c->state = COURSE_RESTING;
    } else {
        course_step(c);
    }
}

static void on_confirmed(void *ctx)
{
    struct course *c = ctx;
    assert(c->state == COURSE_SENDING && c->open > 0);
    if (--c->open == 0) {
        crash_point("replaying.confirmed");
        course_go_on(c);
    }
}

/* What a saga's state says that the participant has to be told, if that is for this pass. */
static void saga_send(struct course *c, const struct journal_record *record)
{
    static struct buf id, undoes;
    struct message command;
    enum topology_queue queue;
    int err = checkout_replay(record, c->row, &id, &undoes, &command, &queue);
    if (err == -ERR_RECORD) {
        checkout_unreadable(record);
    }
    bool is_action = err == 0 && (int)command.type == checkout_definition.rows[c->row].action;
    if (err != 0 || is_action != (c->pass == PASS_DO)) {
        return;
    }
    c->open++;
    c->burst++;
    c->sent++;
    stat_add(order_stats()->replayed, 1);
    consumer_resend(c->all->consumer, queue, &command, on_confirmed, c);
}

/* Behind the records: the next bucket, or that the pass is over. */
static void course_turn(struct course *c, struct slice bucket, struct slice cursor)
{
    int64_t next;
    if (slice_int64(bucket, &next)) {
        slice_copy(cursor, c->cursor, sizeof(c->cursor));
        c->bucket = next;
        return;
    }
    c->pass++;
    c->rest_until_ms = c->sent > 0 ? course_now_ms(c) + REPLAY_SETTLE_MS : 0;
    c->bucket = c->last;
    strcpy(c->cursor, "0");
}

static void on_part(void *ctx, int err, const struct redis_reply *reply)
{
    struct course *c = ctx;
    unsigned count = err == 0 ? redis_reply_count(reply) : 0;
    if (err != 0) {
        course_retry(c);
        return;
    }
    crash_point("replaying.read.after");
    if (count < 2) {
        course_leave(c);
        return;
    }
    c->state = COURSE_SENDING;
    c->open = 1;
    for (unsigned n = 0; n < count - 2; n++) {
        struct journal_record record;
        if (journal_record_at(&checkout_journal, reply, n, &record)) {
            saga_send(c, &record);
        }
    }
    course_turn(c, redis_reply_at(reply, count - 2), redis_reply_at(reply, count - 1));
    crash_sent("replaying.sent");
    on_confirmed(c);
}

static void course_step(struct course *c)
{
    struct redis_command *call = &c->all->call;
    c->state = COURSE_READING;
    c->calls++;
    redis_command_reset(call);
    redis_function(call, &order_library, "order_replay_step", 2);
    redis_argf(call, "order:replay:%s", checkout_participant(c->row));
    redis_arg_text(call, "order:buckets");
    redis_arg_text(call, c->token);
    redis_arg_int(call, c->pass);
    redis_arg_int(call, c->bucket);
    redis_arg_int(call, c->sent);
    redis_arg_text(call, c->cursor);
    redis_arg_int(call, REPLAY_LIMIT);
    redis_arg_text(call, checkout_definition.completed);
    redis_arg_text(call, checkout_definition.aborted);
    redis_call(consumer_store(c->all->consumer), call, on_part, c);
    crash_sent("replaying.read.sent");
}

/* ---- who goes on with it ---- */

/* The texts behind the first one of order_replay_take, in their order. Errors: false for what is
 * none of ours. */
static bool course_read(struct course *c, const struct redis_reply *reply)
{
    int64_t pass, first;
    int64_t *const numbers[] = {&c->since_ms, &first, &c->last, &pass, &c->bucket};
    enum { TOKEN = 1 + sizeof(numbers) / sizeof(numbers[0]), BEAT, SENT, BEGUN, COUNT };
    if (redis_reply_count(reply) != COUNT) {
        return false;
    }
    for (unsigned i = 0; i < TOKEN - 1; i++) {
        if (!slice_int64(redis_reply_at(reply, 1 + i), numbers[i])) {
            return false;
        }
    }
    if (pass < 0 || pass >= PASS_COUNT || !slice_int64(redis_reply_at(reply, SENT), &c->sent) ||
        !slice_int64(redis_reply_at(reply, BEGUN), &c->begun_ms)) {
        return false;
    }
    c->pass = (unsigned)pass;
    slice_copy(redis_reply_at(reply, TOKEN), c->token, sizeof(c->token));
    slice_copy(redis_reply_at(reply, BEAT), c->beat, sizeof(c->beat));
    return true;
}

static void on_looked(void *ctx, int err, const struct redis_reply *reply)
{
    struct course *c = ctx;
    char token[NUMBER_BYTES], beat[NUMBER_BYTES];
    c->state = COURSE_NONE;
    if (err != 0) {
        return;
    }
    strcpy(token, c->token);
    strcpy(beat, c->beat);
    if (!course_read(c, reply)) {
        c->begun_ms = 0;
        course_leave(c);
        return;
    }
    if (strcmp(token, c->token) != 0 || strcmp(beat, c->beat) != 0) {
        c->seen_ms = course_now_ms(c);
    }
    if (slice_is(redis_reply_at(reply, 0), "1")) {
        crash_point("replaying.taken");
        log_info("replay_taken", "participant=%s since_ms=%lld pass=%u bucket=%lld commands=%lld",
                 checkout_participant(c->row), (long long)c->since_ms, c->pass,
                 (long long)c->bucket, (long long)c->sent);
        course_retry(c);
        course_go_on(c);
    }
}

static void course_look(struct course *c)
{
    struct redis_command *call = &c->all->call;
    bool stands_still = c->token[0] != '\0' && course_now_ms(c) - c->seen_ms >= REPLAY_PATIENCE_MS;
    c->state = COURSE_LOOKING;
    redis_command_reset(call);
    redis_function(call, &order_library, "order_replay_take", 1);
    redis_argf(call, "order:replay:%s", checkout_participant(c->row));
    redis_arg_text(call, stands_still ? c->token : "");
    redis_arg_text(call, c->beat);
    redis_call(consumer_store(c->all->consumer), call, on_looked, c);
    crash_sent("replaying.look.sent");
}

static void replays_tell(struct replays *r)
{
    int64_t now_ms = consumer_now_ms(r->consumer), oldest_ms = 0;
    for (unsigned row = 0; row < r->count; row++) {
        const struct course *c = &r->courses[row];
        stat_set(c->is_open, c->begun_ms > 0);
        if (c->begun_ms > 0 && now_ms - c->begun_ms > oldest_ms) {
            oldest_ms = now_ms - c->begun_ms;
        }
    }
    stat_set(order_stats()->replay_oldest, oldest_ms / 1000);
}

static void on_tick(void *ctx)
{
    struct replays *r = ctx;
    replays_tell(r);
    if (!redis_is_up(consumer_store(r->consumer)) || consumer_is_congested(r->consumer)) {
        return;
    }
    for (unsigned row = 0; row < r->count; row++) {
        struct course *c = &r->courses[row];
        if (c->state == COURSE_RESTING) {
            c->burst = 0;
            c->calls = 0;
            course_go_on(c);
        } else if (c->state == COURSE_NONE) {
            course_look(c);
        }
    }
}

struct replays *replays_new(struct consumer *consumer)
{
    struct replays *r = mem_new(sizeof(*r));
    r->consumer = consumer;
    r->count = checkout_definition.row_count;
    for (unsigned row = 0; row < r->count; row++) {
        char labels[80];
        snprintf(labels, sizeof(labels), "participant=\"%s\"", checkout_participant(row));
        r->courses[row] = (struct course){
            .all = r,
            .row = row,
            .is_open = stat_gauge("kassa_replay_open", labels, "1: a replay is under way"),
        };
    }
    r->timer = loop_timer_new(consumer_loop(consumer), on_tick, r);
    loop_timer_start(r->timer, REPLAY_TICK_MS, REPLAY_TICK_MS);
    return r;
}

void replays_free(struct replays *r)
{
    if (r != NULL) {
        loop_timer_free(r->timer);
        redis_command_free(&r->call);
        free(r);
    }
}
