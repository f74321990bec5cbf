/* order.replay: a participant's store is another server than the one it was announced under, and
 * may have lost its tail: credit or pieces, and the records of who has them, together. What the
 * sagas of that time have done there is sent again, under the same ids: what is there is answered
 * from its record, what is not is done now.
 *
 *   buckets of order's records, from before `since` to the announcement --a part at a time--> sagas
 *       pass 0: what has to be undone      pass 1: what has to stand, which may need that credit
 *
 * The delivery stays open until all of it is confirmed, so a crash begins it anew.
 * Source: protocol.md section 3. */
#include <stdio.h>
#include <stdlib.h>

#include "idempotency/once.h"
#include "order/drive.h"
#include "order/stats.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/uuid.h"
#include "saga/answer.h"

#define REPLAY_LIMIT 100  /* records looked at in one call: the store is held for a millisecond */
#define REPLAY_BURST 1000 /* commands; then the others have until the consumer's next tick */
#define REPLAY_CALLS 100  /* likewise: a busy store has millions of records to look through */

enum { PASS_UNDO, PASS_DO, PASS_COUNT };

/* Where it is, kept as text in the work's note. */
struct place {
    unsigned pass;
    int64_t bucket;
    char cursor[24]; /* in the bucket */
    unsigned burst;  /* commands since the last rest */
    unsigned sent;   /* commands in all */
};

/* The records to look through. A saga acts long after its id was made when something that it needs
 * was away: at most until a gateway and then the saga have given up. */
struct span {
    int64_t since_ms; /* what ended before that is not lost */
    int64_t first, last;
};

static struct span span_of(const struct consumer_work *work)
{
    const struct conf *conf = consumer_conf(work->consumer);
    int64_t margin_ms = 1000 * conf->replay_s, announced_ms = 0;
    uuid_time_ms(work->in->id, &announced_ms); /* an id without one was parked before */
    struct span span = {.since_ms = work->in->since};
    if (span.since_ms > announced_ms) {
        span.since_ms = announced_ms; /* another process wrote it, whose clock is ahead */
    }
    span.since_ms -= margin_ms;
    span.first = (span.since_ms - conf->deadline_ms - conf->saga_deadline_ms) >> ONCE_BUCKET_SHIFT;
    span.last = (announced_ms + margin_ms) >> ONCE_BUCKET_SHIFT;
    return span;
}

static struct place place_read(const struct consumer_work *work)
{
    struct place p = {.bucket = span_of(work).first, .cursor = "0"};
    long long bucket;
    if (sscanf(work->note, "%u|%lld|%23[0-9]|%u|%u", &p.pass, &bucket, p.cursor, &p.burst,
               &p.sent) == 5) {
        p.bucket = bucket;
    }
    return p;
}

static void place_keep(struct consumer_work *work, const struct place *p)
{
    snprintf(work->note, sizeof(work->note), "%u|%lld|%s|%u|%u", p->pass, (long long)p->bucket,
             p->cursor, p->burst, p->sent);
}

int checkout_replay_record(struct consumer_work *work, struct redis_command *call)
{
    const struct span span = span_of(work);
    const struct place p = place_read(work);
    unsigned row;
    if (!checkout_row(work->in->service, &row)) {
        return -ERR_FIELD;
    }
    if (work->round == 0) {
        return answer_ping_record(work, call);
    }
    redis_function(call, checkout_journal.library, "order_replay", 1);
    redis_arg_text(call, "order:buckets");
    redis_arg_int(call, p.bucket);
    redis_arg_int(call, span.last);
    redis_arg_text(call, p.cursor);
    redis_arg_int(call, REPLAY_LIMIT);
    redis_arg_int(call, span.since_ms);
    redis_arg_text(call, checkout_definition.completed);
    redis_arg_text(call, checkout_definition.aborted);
    return 0;
}

/* True: a command was sent for this saga. */
static bool saga_send(struct consumer_work *work, const struct journal_record *record, unsigned row,
                      unsigned pass)
{
    static struct buf id, undoes;
    struct message command;
    enum topology_queue queue;
    int err = checkout_replay(record, row, &id, &undoes, &command, &queue);
    if (err == -ERR_RECORD) {
        log_error("journal_unreadable", "order=%.*s state=%s", SLICE_ARG(record->entity),
                  log_quote(record->state));
    }
    bool is_action = err == 0 && (int)command.type == checkout_definition.rows[row].action;
    if (err != 0 || is_action != (pass == PASS_DO)) {
        return false;
    }
    consumer_send(work, queue, &command);
    return true;
}

/* The next bucket, the next pass; false: that was all. */
static bool place_go_on(struct place *p, struct slice bucket, struct slice cursor,
                        int64_t first_bucket)
{
    int64_t next;
    if (slice_int64(bucket, &next)) {
        p->bucket = next;
        snprintf(p->cursor, sizeof(p->cursor), "%.*s", SLICE_ARG(cursor));
        return true;
    }
    p->pass++;
    p->bucket = first_bucket;
    snprintf(p->cursor, sizeof(p->cursor), "0");
    return p->pass < PASS_COUNT;
}

enum consumer_next checkout_replay_answer(struct consumer_work *work,
                                          const struct redis_reply *reply)
{
    struct place p = place_read(work);
    unsigned row = 0, count = redis_reply_count(reply);
    unsigned records = count > 2 ? count - 2 : 0;
    if (work->round == 0) {
        return CONSUMER_LATER; /* a broker that delivers it again and again must not multiply it */
    }
    checkout_row(work->in->service, &row);
    for (unsigned n = 0; n < records; n++) {
        struct journal_record record;
        if (journal_record_at(&checkout_journal, reply, n, &record) &&
            saga_send(work, &record, row, p.pass)) {
            stat_add(order_stats()->replayed, 1);
            p.burst++;
            p.sent++;
        }
    }
    if (!place_go_on(&p, redis_reply_at(reply, count - 2), redis_reply_at(reply, count - 1),
                     span_of(work).first)) {
        log_info("replay_done", "participant=%.*s since_ms=%lld commands=%u",
                 SLICE_ARG(work->in->service), (long long)work->in->since, p.sent);
        return CONSUMER_DONE;
    }
    bool is_to_rest = p.burst >= REPLAY_BURST || work->round % REPLAY_CALLS == 0 ||
                      consumer_is_congested(work->consumer);
    p.burst = is_to_rest ? 0 : p.burst;
    place_keep(work, &p);
    return is_to_rest ? CONSUMER_LATER : CONSUMER_AGAIN;
}
