/* What every service's answers have in common. */
#include "consumer/answer.h"

struct message answer_begin(const struct consumer_work *work, enum message_type type)
{
    struct message answer = {.type = type};
    message_set(&answer, id, work->in->id);
    return answer;
}

enum consumer_next answer_send(const struct consumer_work *work, const struct message *answer)
{
    if (!message_is_valid(answer)) {
        return CONSUMER_UNREADABLE;
    }
    consumer_tell(work->consumer, work->in->gateway, answer);
    return CONSUMER_DONE;
}

enum consumer_next answer_publish(struct consumer_work *work, enum queue queue,
                                  const struct message *m)
{
    if (!message_is_valid(m)) {
        return CONSUMER_UNREADABLE;
    }
    consumer_send(work, queue, m);
    return CONSUMER_DONE;
}

static enum consumer_next answer_reason(const struct consumer_work *work, enum message_type type,
                                        struct slice reason)
{
    struct message answer = answer_begin(work, type);
    message_set(&answer, reason, reason);
    return answer_send(work, &answer);
}

enum consumer_next answer_outcome(const struct consumer_work *work, struct record record,
                                  const char *unknown_text)
{
    if (slice_is(record.outcome, "created")) {
        struct message answer = answer_begin(work, MESSAGE_CREATED);
        return answer_send(work, &answer);
    }
    if (slice_is(record.outcome, "unknown")) {
        return answer_reason(work, MESSAGE_UNKNOWN, slice_from(unknown_text));
    }
    if (slice_is(record.outcome, "conflict")) {
        return answer_reason(work, MESSAGE_CONFLICT, record.detail[0]);
    }
    if (slice_is(record.outcome, "refused")) {
        return answer_reason(work, MESSAGE_REFUSED, record.detail[0]);
    }
    return CONSUMER_UNREADABLE;
}

int answer_ping_record(struct consumer_work *work, struct args *call)
{
    (void)work;
    args_text(call, "PING");
    return 0;
}

enum consumer_next answer_ping(struct consumer_work *work, struct texts reply)
{
    (void)reply;
    struct message answer = answer_begin(work, MESSAGE_PONG);
    return answer_send(work, &answer);
}
