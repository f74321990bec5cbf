/* A participant's store is another server than the one it was announced under, and may have lost
 * its tail: credit or pieces together with their records. The orchestrator re-sends the commands
 * of that time's sagas to it, under the same ids: those with a record are answered from it, the
 * others act now.
 *
 *   order.replay --> journal in the store (saga/restore.lua) --> ack: nobody waits for the rest
 *                       |  ^
 *        take, or step  v  '---- all of it confirmed ----.
 *                    a part of a bucket's sagas --> their commands --> broker
 *
 *   pass 0: what must be undone      pass 1: what must stand, which may need that credit
 *
 * Each process looks for journals; one has it, by a token, and moves it after each part that the
 * broker has confirmed. If it dies another one resumes, when it has seen the journal stand still
 * for RESTORE_PATIENCE_MS: no wall clock matters.
 * Source: protocol.md, "Sending it again". */
#include "saga/restore.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/names.h"
#include "idempotency/once.h"
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
    struct restore *all;
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

struct restore {
    struct driver *driver;
    struct consumer *consumer; /* its */
    struct loop_timer *timer;
    struct args call;
    struct course courses[SAGA_STEPS_MAX];
    unsigned count;
};

static void course_step(struct course *c);

static int64_t course_now_ms(const struct course *c)
{
    return loop_now_ms(consumer_loop(c->all->consumer));
}

static const char *course_participant(const struct course *c)
{
    return c->all->driver->def->rows[c->row].participant;
}

/* Begins a call of a function about this replay; its arguments follow. */
static struct args *course_call(struct course *c, const char *what, int key_count)
{
    const struct journal *journal = &c->all->driver->def->journal;
    struct args *call = &c->all->call;
    journal_call(journal, what, key_count, call);
    args_format(call, "%s%s%s", journal->library->name, PART.replay, course_participant(c));
    return call;
}

/* ---- what participants announce ---- */

int restore_record(struct consumer_work *work, struct args *call)
{
    const struct message *in = work->in;
    const struct driver *d = driver_of(work);
    int64_t margin_ms = 1000 * d->conf->replay_s, announced_ms = 0, since_ms = in->since;
    const struct saga_definition *def = d->def;
    const char *name = def->journal.library->name;
    unsigned row;
    if (!saga_row_of(def, in->service, &row)) {
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
    int64_t first_ms = since_ms - d->begin->deadline_ms - d->conf->saga_deadline_ms;
    journal_call(&def->journal, "_replay_begin", 2, call);
    args_format(call, "%s%s%s", name, PART.once, work->bucket);
    args_format(call, "%s%s%s", name, PART.replay, def->rows[row].participant);
    args_add(call, in->id);
    args_int(call, since_ms);
    args_int(call, first_ms >> ONCE_BUCKET_SHIFT);
    args_int(call, (last_ms + margin_ms) >> ONCE_BUCKET_SHIFT);
    args_int(call, announced_ms);
    return 0;
}

enum consumer_next restore_answer(struct consumer_work *work, struct texts reply)
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

static void on_ended(void *ctx, int err, struct texts reply)
{
    struct course *c = ctx;
    if (err) {
        course_retry(c);
        return;
    }
    crash_point("replaying.end.after");
    if (texts_at(reply, 1).bytes > 0) {
        log_error("replay_short", "participant=%s since_ms=%lld records_since_ms=%.*s",
                  course_participant(c), (long long)c->since_ms, SLICE_ARG(texts_at(reply, 1)));
        stat_add(c->all->driver->replay_short, 1);
    }
    if (slice_is(texts_at(reply, 0), "done")) {
        log_info("replay_done", "participant=%s since_ms=%lld commands=%lld", course_participant(c),
                 (long long)c->since_ms, (long long)c->sent);
        c->begun_ms = 0;
    }
    course_leave(c);
}

static void course_end(struct course *c)
{
    struct args *call = course_call(c, "_replay_end", 1);
    c->state = COURSE_ENDING;
    args_text(call, c->token);
    store_call(consumer_store(c->all->consumer), call, on_ended, c);
    crash_sent("replaying.end.sent");
}

static void course_go_on(struct course *c)
{
    if (c->pass == PASS_COUNT) {
        course_end(c);
    } else if (c->burst >= RESTORE_BURST || c->calls >= RESTORE_CALLS ||
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
static void course_send(struct course *c, const struct journal_record *record)
{
    struct driver *d = c->all->driver;
    int err = saga_command_again(d->def, record, c->row, &d->out);
    if (err == -ERR_RECORD) {
        driver_unreadable(d, record);
    }
    bool is_action = !err && (int)d->out.message.type == d->def->rows[c->row].action;
    if (err || is_action != (c->pass == PASS_DO)) {
        return;
    }
    c->open++;
    c->burst++;
    c->sent++;
    stat_add(d->replayed, 1);
    consumer_resend(c->all->consumer, d->out.queue, &d->out.message, on_confirmed, c);
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
    c->rest_until_ms = c->sent > 0 ? course_now_ms(c) + RESTORE_SETTLE_MS : 0;
    c->bucket = c->last;
    strcpy(c->cursor, "0");
}

static void on_part(void *ctx, int err, struct texts reply)
{
    struct course *c = ctx;
    unsigned count = err ? 0 : reply.count;
    if (err) {
        course_retry(c);
        return;
    }
    crash_point("replaying.read.after");
    if (count < 2) { /* somebody else has it; nothing is concluded from it */
        course_leave(c);
        return;
    }
    c->state = COURSE_SENDING;
    c->open = 1;
    for (unsigned n = 0; n < count - 2; n++) {
        struct journal_record record;
        if (journal_record_at(&c->all->driver->def->journal, reply, n, &record)) {
            course_send(c, &record);
        }
    }
    course_turn(c, texts_at(reply, count - 2), texts_at(reply, count - 1));
    crash_sent("replaying.sent");
    on_confirmed(c);
}

static void course_step(struct course *c)
{
    const struct saga_definition *def = c->all->driver->def;
    struct args *call = course_call(c, "_replay_step", 2);
    c->state = COURSE_READING;
    c->calls++;
    args_join(call, def->journal.library->name, SLICE_TEXT(PART.buckets));
    args_text(call, c->token);
    args_int(call, c->pass);
    args_int(call, c->bucket);
    args_int(call, c->sent);
    args_text(call, c->cursor);
    args_int(call, RESTORE_LIMIT);
    store_call(consumer_store(c->all->consumer), call, on_part, c);
    crash_sent("replaying.read.sent");
}

/* ---- who goes on with it ---- */

/* The texts behind the first one of <library>_replay_take, in their order. Errors: false for what
 * is none of ours. */
static bool course_read(struct course *c, struct texts reply)
{
    int64_t pass, first;
    int64_t *const numbers[] = {&c->since_ms, &first, &c->last, &pass, &c->bucket};
    enum { TOKEN = 1 + sizeof(numbers) / sizeof(numbers[0]), BEAT, SENT, BEGUN, COUNT };
    if (reply.count != COUNT) {
        return false;
    }
    for (unsigned i = 0; i < TOKEN - 1; i++) {
        if (!slice_int64(texts_at(reply, 1 + i), numbers[i])) {
            return false;
        }
    }
    if (pass < 0 || pass >= PASS_COUNT || !slice_int64(texts_at(reply, SENT), &c->sent) ||
        !slice_int64(texts_at(reply, BEGUN), &c->begun_ms)) {
        return false;
    }
    c->pass = (unsigned)pass;
    slice_copy(texts_at(reply, TOKEN), c->token, sizeof(c->token));
    slice_copy(texts_at(reply, BEAT), c->beat, sizeof(c->beat));
    return true;
}

static void on_looked(void *ctx, int err, struct texts reply)
{
    struct course *c = ctx;
    char token[NUMBER_BYTES], beat[NUMBER_BYTES];
    c->state = COURSE_NONE;
    if (err) {
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
    if (slice_is(texts_at(reply, 0), "1")) {
        crash_point("replaying.taken");
        log_info("replay_taken", "participant=%s since_ms=%lld pass=%u bucket=%lld commands=%lld",
                 course_participant(c), (long long)c->since_ms, c->pass, (long long)c->bucket,
                 (long long)c->sent);
        course_retry(c);
        course_go_on(c);
    }
}

static void course_look(struct course *c)
{
    struct args *call = course_call(c, "_replay_take", 1);
    bool stands_still = c->token[0] != '\0' && course_now_ms(c) - c->seen_ms >= RESTORE_PATIENCE_MS;
    c->state = COURSE_LOOKING;
    args_text(call, stands_still ? c->token : "");
    args_text(call, c->beat);
    store_call(consumer_store(c->all->consumer), call, on_looked, c);
    crash_sent("replaying.look.sent");
}

static void restore_tell(struct restore *r)
{
    int64_t now_ms = consumer_now_ms(r->consumer), oldest_ms = 0;
    for (unsigned row = 0; row < r->count; row++) {
        const struct course *c = &r->courses[row];
        stat_set(c->is_open, c->begun_ms > 0);
        if (c->begun_ms > 0 && now_ms - c->begun_ms > oldest_ms) {
            oldest_ms = now_ms - c->begun_ms;
        }
    }
    stat_set(r->driver->replay_oldest, oldest_ms / 1000);
}

static void on_tick(void *ctx)
{
    struct restore *r = ctx;
    restore_tell(r);
    if (!store_is_up(consumer_store(r->consumer)) || consumer_is_congested(r->consumer)) {
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

struct restore *restore_new(struct driver *driver)
{
    struct restore *r = mem_new(sizeof(*r));
    r->driver = driver;
    r->consumer = driver->consumer;
    r->count = driver->def->row_count;
    for (unsigned row = 0; row < r->count; row++) {
        struct course *c = &r->courses[row];
        char labels[80];
        *c = (struct course){.all = r, .row = row};
        snprintf(labels, sizeof(labels), "participant=\"%s\"", course_participant(c));
        c->is_open = stat_gauge("kassa_replay_open", labels, "1: a replay is under way");
    }
    r->timer = loop_timer_new(consumer_loop(r->consumer), on_tick, r);
    loop_timer_start(r->timer, RESTORE_TICK_MS, RESTORE_TICK_MS);
    return r;
}

void restore_free(struct restore *r)
{
    if (r) {
        loop_timer_free(r->timer);
        args_free(&r->call);
        free(r);
    }
}
