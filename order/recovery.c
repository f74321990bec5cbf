/* Recovery: the journal's outstanding commands, sent until answered. */
#include "order/recovery.h"

#include <stdlib.h>

#include "order/drive.h"
#include "order/stats.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"

#define RECOVERY_ASKED   3 /* times: then its age is believed */
#define REASON_CANCELLED "the checkout took too long and was cancelled"

struct recovery {
    struct consumer *consumer;
    struct loop_timer *timer;
    struct redis_command call;
    bool is_leasing;
    bool is_idle; /* no saga was open when it last looked: it looks less often */
    const struct order_stats *stats;
    int64_t oldest_began_ms; /* of the sagas that were due lately */
    int64_t oldest_seen_ms;  /* 0: none was */
};

/* Is it past its deadline? One that is far past it, and was asked for seldom, is not that old: the
 * clock has jumped. If it is, because everything stood still, that shows when it was asked for
 * again. */
static bool is_late(const struct conf *conf, int64_t age_ms, int64_t retries)
{
    return age_ms >= conf->saga_deadline_ms &&
           (age_ms < 2 * conf->saga_deadline_ms || retries >= RECOVERY_ASKED);
}

int recovery_event(const struct journal_record *record, const struct conf *conf, int64_t now_ms,
                   enum saga_event_kind *ret_kind)
{
    const struct saga_definition *def = &checkout_definition;
    struct saga_state state;
    struct saga_output output;
    int64_t began_ms, retries;
    if (!saga_state_parse(def, record->state, &state) ||
        !slice_int64(record->began_ms, &began_ms) || !slice_int64(record->retries, &retries)) {
        return -ERR_RECORD;
    }
    struct saga_event cancel = {.kind = SAGA_EVENT_CANCEL};
    struct saga_event stick = {.kind = SAGA_EVENT_STICK};
    if (is_late(conf, now_ms - began_ms, retries) && saga_step(def, state, cancel, &output) == 0) {
        *ret_kind = SAGA_EVENT_CANCEL;
    } else if (retries >= conf->saga_stuck_retries && saga_step(def, state, stick, &output) == 0) {
        *ret_kind = SAGA_EVENT_STICK;
    } else {
        *ret_kind = SAGA_EVENT_DUE;
    }
    return 0;
}

static void on_moved(void *ctx, int err, const struct redis_reply *reply)
{
    struct journal_record record;
    /* lost, or overtaken: the saga is due again later, and is looked at afresh */
    if (err == 0 && journal_record_at(&checkout_journal, reply, 0, &record) &&
        slice_is(record.outcome, "moved")) {
        crash_point("recovery.move.after");
        checkout_follow(((struct recovery *)ctx)->consumer, NULL, &record);
    }
}

/* The same compare-and-set as for an answer, only that no answer came. */
static void saga_move(struct recovery *r, const struct journal_record *record,
                      enum saga_event_kind kind)
{
    bool is_cancel = kind == SAGA_EVENT_CANCEL;
    struct journal_move move = {.entity = record->entity,
                                .saga = record->saga,
                                .attempt = record->attempt,
                                .reason =
                                    is_cancel ? SLICE_TEXT(REASON_CANCELLED) : (struct slice){0}};
    int err = saga_state_parse(&checkout_definition, record->state, &move.from)
                  ? checkout_move(r->consumer, move, (struct saga_event){.kind = kind}, &r->call)
                  : -ERR_RECORD;
    if (err != 0) {
        stat_add(r->stats->immovable, 1);
        log_error("saga_immovable", "saga=%.*s order=%.*s state=%s reason=%s",
                  SLICE_ARG(record->saga), SLICE_ARG(record->entity), log_quote(record->state),
                  err_name(err));
        return;
    }
    crash_point("recovery.move.before");
    stat_add(is_cancel ? r->stats->cancelled : r->stats->stuck, 1);
    log_write(is_cancel ? LOG_WARN : LOG_ERROR, is_cancel ? "saga_cancelled" : "saga_stuck",
              "saga=%.*s order=%.*s state=%.*s retries=%.*s", SLICE_ARG(record->saga),
              SLICE_ARG(record->entity), SLICE_ARG(record->state), SLICE_ARG(record->retries));
    redis_call(consumer_store(r->consumer), &r->call, on_moved, r);
    crash_sent("recovery.move.sent");
}

/* Each open saga is due again within SAGA_RESEND_MAX_MS, here or at another order process: the
 * oldest one that was seen in twice that time is the oldest there is. */
static void recovery_age(struct recovery *r, int64_t now_ms)
{
    if (now_ms - r->oldest_seen_ms > 2 * consumer_conf(r->consumer)->saga_resend_max_ms) {
        r->oldest_seen_ms = 0;
    }
    stat_set(r->stats->oldest, r->oldest_seen_ms > 0 ? (now_ms - r->oldest_began_ms) / 1000 : 0);
}

static void recovery_saw(struct recovery *r, const struct journal_record *record, int64_t now_ms)
{
    int64_t began_ms;
    if (slice_int64(record->began_ms, &began_ms) &&
        (r->oldest_seen_ms == 0 || began_ms <= r->oldest_began_ms)) {
        r->oldest_began_ms = began_ms;
        r->oldest_seen_ms = now_ms;
    }
}

static void saga_recover(struct recovery *r, const struct journal_record *record, int64_t now_ms)
{
    enum saga_event_kind kind;
    recovery_saw(r, record, now_ms);
    int err = recovery_event(record, consumer_conf(r->consumer), now_ms, &kind);
    if (err != 0) {
        checkout_unreadable(record);
        return;
    }
    if (kind != SAGA_EVENT_DUE) {
        saga_move(r, record, kind);
        return;
    }
    stat_add(r->stats->resent, 1);
    log_info("saga_resent", "saga=%.*s order=%.*s state=%.*s retries=%.*s", SLICE_ARG(record->saga),
             SLICE_ARG(record->entity), SLICE_ARG(record->state), SLICE_ARG(record->retries));
    crash_point("recovery.resend.before");
    checkout_follow(r->consumer, NULL, record);
    crash_sent("recovery.resend.after");
}

static void on_leased(void *ctx, int err, const struct redis_reply *reply)
{
    struct recovery *r = ctx;
    r->is_leasing = false;
    crash_point("recovery.lease.after");
    struct journal_record record;
    int64_t now_ms; /* of the clock that the journals' times are of */
    unsigned n = 0;
    if (err != 0 || redis_reply_count(reply) == 0 ||
        !slice_int64(redis_reply_at(reply, 0), &now_ms)) {
        return;
    }
    for (; journal_record_at(&checkout_journal, reply, n + 1, &record); n++) {
        saga_recover(r, &record, now_ms);
    }
    recovery_age(r, now_ms);
    if (n >= RECOVERY_LIMIT) {
        r->is_idle = false;
        loop_timer_start(r->timer, 0, RECOVERY_MS);
    }
}

/* With no saga open none can be due before SAGA_RESEND_MS. */
static void recovery_pace(struct recovery *r, bool is_idle)
{
    const struct conf *conf = consumer_conf(r->consumer);
    int64_t ms = RECOVERY_MS;
    if (r->is_idle == is_idle) {
        return;
    }
    if (is_idle && conf->saga_resend_ms > ms) {
        ms = conf->saga_resend_ms < RECOVERY_IDLE_MS ? conf->saga_resend_ms : RECOVERY_IDLE_MS;
    }
    r->is_idle = is_idle;
    loop_timer_start(r->timer, ms, ms);
}

static void on_counted(void *ctx, int err, const struct redis_reply *reply)
{
    struct recovery *r = ctx;
    int64_t open;
    if (err == 0 && slice_int64(redis_reply_at(reply, 0), &open)) {
        stat_set(r->stats->open, open);
        recovery_pace(r, open == 0);
    }
}

static void recovery_scan(void *ctx)
{
    struct recovery *r = ctx;
    const struct conf *conf = consumer_conf(r->consumer);
    if (r->is_leasing || !redis_is_up(consumer_store(r->consumer)) ||
        consumer_is_congested(r->consumer)) {
        return;
    }
    r->is_leasing = true;
    crash_point("recovery.lease.before");
    journal_lease(&checkout_journal, RECOVERY_LIMIT, conf->saga_resend_ms, conf->saga_resend_max_ms,
                  &r->call);
    redis_call(consumer_store(r->consumer), &r->call, on_leased, r);
    crash_sent("recovery.lease.sent");
    redis_command_reset(&r->call);
    redis_arg_text(&r->call, "ZCARD");
    redis_arg_text(&r->call, "order:open");
    redis_call(consumer_store(r->consumer), &r->call, on_counted, r);
}

void *recovery_new(struct consumer *consumer)
{
    struct recovery *r = mem_new(sizeof(*r));
    r->consumer = consumer;
    r->stats = order_stats();
    r->timer = loop_timer_new(consumer_loop(consumer), recovery_scan, r);
    loop_timer_start(r->timer, RECOVERY_MS, RECOVERY_MS);
    return r;
}

void recovery_free(void *recovery)
{
    struct recovery *r = recovery;
    loop_timer_free(r->timer);
    redis_command_free(&r->call);
    free(r);
}
