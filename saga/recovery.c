/* Recovery: the journal's outstanding commands, sent until answered. */
#include "saga/recovery.h"

#include <stdio.h>
#include <stdlib.h>

#include "catalogue/names.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"

#define RECOVERY_ASKED   3 /* times: then its age is believed */
#define REASON_CANCELLED "the %s took too long and was cancelled"

struct recovery {
    struct driver *driver;
    struct consumer *consumer; /* its */
    struct loop_timer *timer;
    struct args call;
    struct buf text; /* for logs */
    bool is_leasing;
    bool is_idle;            /* no saga was open when it last looked: it looks less often */
    int64_t oldest_began_ms; /* of the sagas that were due lately */
    int64_t oldest_seen_ms;  /* 0: none was */
};

/* Is it past its deadline? One that is far past it, and was asked for seldom, is not that old: the
 * clock has jumped. If it is, because everything stood still, that shows when it was asked for
 * again. */
static bool is_late(const struct saga_conf *conf, int64_t age_ms, int64_t retries)
{
    return age_ms >= conf->saga_deadline_ms &&
           (age_ms < 2 * conf->saga_deadline_ms || retries >= RECOVERY_ASKED);
}

int recovery_event(const struct saga_definition *def, const struct journal_record *record,
                   const struct saga_conf *conf, int64_t now_ms, enum saga_event_kind *ret_kind)
{
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

static void recovery_on_moved(void *ctx, int err, struct texts reply)
{
    struct recovery *r = ctx;
    struct journal_record record;
    /* lost, or overtaken: the saga is due again later, and is looked at afresh */
    if (!err && journal_record_at(&r->driver->def->journal, reply, 0, &record) &&
        slice_is(record.outcome, "moved")) {
        crash_point("recovery.move.after");
        driver_follow(r->driver, NULL, &record);
    }
}

/* For logs: saga=.. order=.. state=.. */
static const char *recovery_text(struct recovery *r, const struct journal_record *record)
{
    buf_reset(&r->text);
    buf_addf(&r->text, "saga=%.*s %s=%.*s state=%s", SLICE_ARG(record->saga),
             message_field_text(r->driver->def->entity), SLICE_ARG(record->entity),
             log_quote(record->state));
    return r->text.data;
}

/* The same compare-and-set as for an answer, only that no answer came. */
static void recovery_move(struct recovery *r, const struct journal_record *record,
                          enum saga_event_kind kind)
{
    const struct saga_definition *def = r->driver->def;
    bool is_cancel = kind == SAGA_EVENT_CANCEL;
    char reason[sizeof(REASON_CANCELLED) + ID_BYTES_MAX] = "";
    if (is_cancel) {
        snprintf(reason, sizeof(reason), REASON_CANCELLED, def->name);
    }
    struct journal_move move = {.entity = record->entity,
                                .saga = record->saga,
                                .attempt = record->attempt,
                                .reason = slice_from(reason)};
    int err = saga_state_parse(def, record->state, &move.from)
                  ? driver_move(r->driver, move, (struct saga_event){.kind = kind}, &r->call)
                  : -ERR_RECORD;
    if (err) {
        stat_add(r->driver->immovable, 1);
        log_error("saga_immovable", "%s reason=%s", recovery_text(r, record), err_name(err));
        return;
    }
    crash_point("recovery.move.before");
    stat_add(is_cancel ? r->driver->cancelled : r->driver->stuck, 1);
    log_write(is_cancel ? LOG_WARN : LOG_ERROR, is_cancel ? "saga_cancelled" : "saga_stuck",
              "%s retries=%.*s", recovery_text(r, record), SLICE_ARG(record->retries));
    store_call(consumer_store(r->consumer), &r->call, recovery_on_moved, r);
    crash_sent("recovery.move.sent");
}

/* Each open saga is due again within SAGA_RESEND_MAX_MS, here or at another order process: the
 * oldest one that was seen in twice that time is the oldest there is. */
static void recovery_age(struct recovery *r, int64_t now_ms)
{
    if (now_ms - r->oldest_seen_ms > 2 * r->driver->conf->saga_resend_max_ms) {
        r->oldest_seen_ms = 0;
    }
    stat_set(r->driver->oldest, r->oldest_seen_ms > 0 ? (now_ms - r->oldest_began_ms) / 1000 : 0);
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

static void recovery_recover(struct recovery *r, const struct journal_record *record,
                             int64_t now_ms)
{
    enum saga_event_kind kind;
    recovery_saw(r, record, now_ms);
    int err = recovery_event(r->driver->def, record, r->driver->conf, now_ms, &kind);
    if (err) {
        driver_unreadable(r->driver, record);
        return;
    }
    if (kind != SAGA_EVENT_DUE) {
        recovery_move(r, record, kind);
        return;
    }
    stat_add(r->driver->resent, 1);
    log_info("saga_resent", "%s retries=%.*s", recovery_text(r, record),
             SLICE_ARG(record->retries));
    crash_point("recovery.resend.before");
    driver_follow(r->driver, NULL, record);
    crash_sent("recovery.resend.after");
}

static void recovery_on_leased(void *ctx, int err, struct texts reply)
{
    struct recovery *r = ctx;
    r->is_leasing = false;
    crash_point("recovery.lease.after");
    struct journal_record record;
    int64_t now_ms; /* of the clock that the journals' times are of */
    unsigned n = 0;
    if (err || reply.count == 0 || !slice_int64(texts_at(reply, 0), &now_ms)) {
        return;
    }
    for (; journal_record_at(&r->driver->def->journal, reply, n + 1, &record); n++) {
        recovery_recover(r, &record, now_ms);
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
    int64_t ms = RECOVERY_MS, resend_ms = r->driver->begin->saga_resend_ms;
    if (r->is_idle == is_idle) {
        return;
    }
    if (is_idle && resend_ms > ms) {
        ms = resend_ms < RECOVERY_IDLE_MS ? resend_ms : RECOVERY_IDLE_MS;
    }
    r->is_idle = is_idle;
    loop_timer_start(r->timer, ms, ms);
}

static void recovery_on_counted(void *ctx, int err, struct texts reply)
{
    struct recovery *r = ctx;
    int64_t open;
    if (!err && slice_int64(texts_at(reply, 0), &open)) {
        stat_set(r->driver->open, open);
        recovery_pace(r, open == 0);
    }
}

static void recovery_scan(void *ctx)
{
    struct recovery *r = ctx;
    if (r->is_leasing || !store_is_up(consumer_store(r->consumer)) ||
        consumer_is_congested(r->consumer)) {
        return;
    }
    r->is_leasing = true;
    crash_point("recovery.lease.before");
    journal_lease(&r->driver->def->journal, RECOVERY_LIMIT, r->driver->begin->saga_resend_ms,
                  r->driver->conf->saga_resend_max_ms, &r->call);
    store_call(consumer_store(r->consumer), &r->call, recovery_on_leased, r);
    crash_sent("recovery.lease.sent");
    args_reset(&r->call);
    args_text(&r->call, "ZCARD");
    args_join(&r->call, r->driver->def->journal.library->name, SLICE_TEXT(PART.open));
    store_call(consumer_store(r->consumer), &r->call, recovery_on_counted, r);
}

struct recovery *recovery_new(struct driver *driver)
{
    struct recovery *r = mem_new(sizeof(*r));
    r->driver = driver;
    r->consumer = driver->consumer;
    r->timer = loop_timer_new(consumer_loop(r->consumer), recovery_scan, r);
    loop_timer_start(r->timer, RECOVERY_MS, RECOVERY_MS);
    return r;
}

void recovery_free(struct recovery *r)
{
    loop_timer_free(r->timer);
    args_free(&r->call);
    buf_free(&r->text);
    free(r);
}
