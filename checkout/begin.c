/* Builds the call that begins a checkout, and reads what follows from its reply. */
#include "checkout/begin.h"

#include "catalogue/names.h"
#include "runtime/err.h"
#include "consumer/keep.h"

void checkout_begin(const struct message *request, const char *bucket,
                    const struct begin_conf *conf, struct args *call)
{
    const struct saga_definition *def = &checkout_definition;
    args_reset(call);
    library_call(call, def->journal.library, "order_checkout", 3);
    args_join(call, KEY.order_once, slice_from(bucket));
    args_text(call, KEY.order_open);
    args_text(call, KEY.order_recent);
    args_int(call, conf->saga_resend_ms);
    args_int(call, KEEP_LATE_MS);
    args_row_begins(call);
    args_add(call, request->id);
    args_add(call, request->order);
    args_add(call, request->gateway);
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

int checkout_begun(const struct message *request, struct slice text,
                   struct checkout_begun *ret_begun)
{
    const struct saga_definition *def = &checkout_definition;
    const struct journal_record record = journal_record_read(&def->journal, text);
    ret_begun->command.message.type = ret_begun->answer.type = MESSAGE_NONE;
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
    if (is_begun && saga_command_due(def, &record, &ret_begun->command) != 0) {
        return -ERR_RECORD;
    }
    if (is_begun && !message_has(request, async)) {
        return 0;
    }
    ret_begun->answer = is_begun || slice_is(record.outcome, "running")
                            ? answer_running(request, &record)
                            : saga_outcome(def, &record, request->id);
    return message_is_valid(&ret_begun->answer) ? 0 : -ERR_RECORD;
}
