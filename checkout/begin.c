/* Builds the call that begins a checkout, and reads what follows from its reply. */
#include "checkout/begin.h"

#include "idempotency/once.h"
#include "runtime/err.h"
#include "saga/keep.h"

void checkout_begin(const struct message *request, const char *bucket, const struct conf *conf,
                    struct redis_command *call)
{
    const struct saga_definition *def = &checkout_definition;
    redis_command_reset(call);
    redis_function(call, checkout_journal.library, "order_checkout", 3);
    redis_arg_join(call, "order:once:", slice_from(bucket));
    redis_arg_text(call, "order:open");
    redis_arg_text(call, "order:recent");
    redis_arg_int(call, conf->saga_resend_ms);
    redis_arg_int(call, KEEP_LATE_MS);
    redis_arg_text(call, saga_state_text(def, saga_begin(def).next));
    redis_arg_text(call, def->completed);
    redis_arg_text(call, def->aborted);
    redis_row_begins(call);
    redis_arg(call, request->id);
    redis_arg(call, request->order);
    redis_arg(call, request->gateway);
}

static struct message answer_reason(const struct message *request, enum message_type type,
                                    struct slice reason)
{
    struct message answer = {.type = type};
    message_set(&answer, id, request->id);
    message_set(&answer, reason, reason);
    return answer;
}

static struct message answer_running(const struct message *request,
                                     const struct journal_record *record)
{
    struct message running = {.type = MESSAGE_SAGA_RUNNING};
    message_set(&running, id, request->id);
    message_set(&running, saga, record->saga);
    message_set(&running, state, record->state);
    return running;
}

int checkout_begun(const struct message *request, struct slice text, struct buf *id,
                   struct buf *other, struct checkout_begun *ret_begun)
{
    const struct journal_record record = journal_record_read(&checkout_journal, text);
    *ret_begun = (struct checkout_begun){0};
    if (record.entity.bytes == 0 && slice_is(record.outcome, "unknown")) {
        ret_begun->answer = answer_reason(request, MESSAGE_UNKNOWN, SLICE_TEXT("unknown order"));
        return 0;
    }
    if (record.entity.bytes == 0 && slice_is(record.outcome, "far")) {
        ret_begun->answer =
            answer_reason(request, MESSAGE_LATER, SLICE_TEXT("clocks differ, nothing was begun"));
        return 0;
    }
    bool is_begun = slice_is(record.outcome, "begun");
    if (is_begun &&
        checkout_command(&record, id, other, &ret_begun->command, &ret_begun->queue) != 0) {
        return -ERR_RECORD;
    }
    if (is_begun && !message_has(request, async)) {
        return 0;
    }
    ret_begun->answer = is_begun || slice_is(record.outcome, "running")
                            ? answer_running(request, &record)
                            : checkout_outcome(&record, request->id);
    return message_is_valid(&ret_begun->answer) ? 0 : -ERR_RECORD;
}
