/* See driver.h. */
#include "saga/driver.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "catalogue/names.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "saga/recovery.h"
#include "saga/restore.h"

#define LOOKS_MAX 4 /* at the journal, for one event */

static struct stat_value *driver_ends(const char *state)
{
    char labels[64];
    snprintf(labels, sizeof(labels), "state=\"%s\"", state);
    return stat_counter("kassa_sagas_ended_total", labels, "sagas that ended");
}

struct driver *driver_new(struct consumer *consumer, const struct saga_definition *def)
{
    struct driver *d = mem_new(sizeof(*d));
    struct buf fault = {0};
    if (saga_definition_fault(def, &fault)) {
        log_error("saga_unsound", "fault=%s", log_quote(buf_slice(&fault)));
        assert(!"a definition that is not sound");
    }
    buf_free(&fault);
    d->consumer = consumer;
    d->def = def;
    d->conf = saga_conf(consumer_conf(consumer));
    d->begin = begin_conf(consumer_conf(consumer));
    d->completed = driver_ends(def->completed);
    d->aborted = driver_ends(def->aborted);
#define X(field, kind, name, help) d->field = stat_##kind(name, "", help);
    DRIVER_STATS(X)
#undef X
    d->recovery = recovery_new(d);
    d->restore = restore_new(d);
    return d;
}

void driver_free(void *driver)
{
    struct driver *d = driver;
    if (d) {
        recovery_free(d->recovery);
        restore_free(d->restore);
        saga_outgoing_free(&d->out);
        free(d);
    }
}

struct driver *driver_of(const struct consumer_work *work)
{
    return consumer_side(work->consumer);
}

void driver_unreadable(struct driver *d, const struct journal_record *record)
{
    stat_add(d->unreadable, 1);
    log_error("journal_unreadable", "%s=%.*s state=%s", message_field_text(d->def->entity),
              SLICE_ARG(record->entity), log_quote(record->state));
}

/* Every waiter of this saga gets a notice of its end. */
static void driver_tell_waiters(struct driver *d, const struct journal_record *record)
{
    log_debug("saga_ended", "saga=%.*s %s=%.*s state=%.*s reason=%s", SLICE_ARG(record->saga),
              message_field_text(d->def->entity), SLICE_ARG(record->entity),
              SLICE_ARG(record->state), log_quote(record->reason));
    stat_add(slice_is(record->state, d->def->completed) ? d->completed : d->aborted, 1);
    struct slice waiters = record->waiters, waiter;
    while (slice_cut(&waiters, ',', &waiter)) {
        struct slice gateway;
        if (slice_cut(&waiter, '/', &gateway) && waiter.data) {
            struct message outcome = saga_outcome(d->def, record, waiter);
            if (message_is_valid(&outcome)) {
                consumer_tell(d->consumer, gateway, &outcome);
            } else {
                driver_unreadable(d, record); /* a retry gets that answer */
            }
        }
    }
}

void driver_follow(struct driver *d, struct consumer_work *work,
                   const struct journal_record *record)
{
    struct saga_state state;
    if (saga_state_parse(d->def, record->state, &state) && saga_has_ended(state)) {
        driver_tell_waiters(d, record);
    } else if (saga_command_due(d->def, record, &d->out) != 0) {
        driver_unreadable(d, record);
    } else if (work) {
        consumer_send(work, d->out.queue, &d->out.message);
    } else {
        consumer_resend(d->consumer, d->out.queue, &d->out.message, NULL, NULL);
    }
}

void driver_look(struct consumer_work *work, struct args *call)
{
    const struct library *library = driver_of(work)->def->journal.library;
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    const struct message *in = work->in;
    journal_call(&driver_of(work)->def->journal, "_saga", 1, call);
    bool is_id = once_bucket(in->saga, bucket) == 0; /* not an id of ours: unknown */
    args_format(call, "%s%s%s", library->name, PART.once, is_id ? bucket : "none");
    args_add(call, in->saga);
}

int driver_move(struct driver *d, struct journal_move move, struct saga_event event,
                struct args *call)
{
    struct saga_output output;
    int err = saga_step(d->def, move.from, event, &output);
    if (err) {
        return err;
    }
    move.to = output.next;
    move.resend_ms = d->begin->saga_resend_ms;
    return journal_advance(&d->def->journal, d->def, &move, call);
}

/* ---- answers to saga commands ----
 *
 *   round 0: compare-and-set from where such an answer is awaited, as a rule (saga_awaits)
 * --moved-->
 *       '--it was elsewhere: is it a state that the answer fits as well?--> round 1, from there
 *                                                                     '--no: stale, a repeat
 */

int driver_event_record(struct consumer_work *work, struct args *call)
{
    struct driver *d = driver_of(work);
    const struct message *in = work->in;
    struct saga_state *from = consumer_scratch(work, struct saga_state);
    struct saga_command command;
    struct saga_event event = {0};
    if (!saga_event_of(d->def, in->type, &event.kind) ||
        !saga_command_parse(d->def, in->id, &command)) {
        return -ERR_FIELD;
    }
    event.row = command.row;
    if (work->round == 0) {
        *from = saga_awaits(d->def, event);
    }
    const struct journal_move move = {.entity = message_text(in, d->def->entity),
                                      .saga = command.saga,
                                      .attempt = command.attempt,
                                      .from = *from,
                                      .reason = in->reason};
    int err = driver_move(d, move, event, call);
    return err == -ERR_TRANSITION ? -ERR_FIELD : err; /* its step can never give this answer */
}

/* True when the answer is for the record's saga; *ret_state is then its state. */
static bool driver_is_of(const struct driver *d, const struct message *in,
                         const struct journal_record *record, struct saga_event *ret_event,
                         struct saga_state *ret_state)
{
    struct saga_command command;
    if (!saga_event_of(d->def, in->type, &ret_event->kind) ||
        !saga_command_parse(d->def, in->id, &command) || !slice_equal(command.saga, record->saga) ||
        !slice_equal(command.attempt, record->attempt) ||
        !saga_state_parse(d->def, record->state, ret_state)) {
        return false;
    }
    ret_event->row = command.row;
    return true;
}

/* An answer that cannot be by what the journal knows: a participant's store has lost what it had
 * said. Most of that is restored before anybody asks. */
static void driver_is_denied(struct driver *d, const struct message *in,
                             const struct journal_record *record)
{
    stat_add(d->denied, 1);
    log_error("replay_refused", "saga=%.*s %s=%.*s state=%.*s answer=%s reason=%s",
              SLICE_ARG(record->saga), message_field_text(d->def->entity),
              SLICE_ARG(record->entity), SLICE_ARG(record->state), message_type_text(in->type),
              log_quote(in->reason));
}

enum consumer_next driver_event_answer(struct consumer_work *work, struct texts reply)
{
    struct driver *d = driver_of(work);
    struct saga_event event;
    struct saga_state state;
    struct saga_output output;
    struct journal_record record;
    if (!journal_record_at(&d->def->journal, reply, 0, &record)) {
        return CONSUMER_UNREADABLE;
    }
    if (slice_is(record.outcome, "moved")) {
        driver_follow(d, work, &record);
        return CONSUMER_DONE;
    }
    bool is_of = driver_is_of(d, work->in, &record, &event, &state);
    if (is_of && work->round + 1 < LOOKS_MAX && saga_step(d->def, state, event, &output) == 0) {
        *consumer_scratch(work, struct saga_state) = state;
        return CONSUMER_AGAIN;
    }
    if (is_of && saga_is_denial(state, event)) {
        driver_is_denied(d, work->in, &record);
    }
    stat_add(d->stale, 1);
    return CONSUMER_DONE;
}
