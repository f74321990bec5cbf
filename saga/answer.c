/* What every service's answers have in common. */
#include "saga/answer.h"

struct record record_read(struct slice text)
{
    struct record record = {0};
    slice_cut(&text, '|', &record.outcome);
    for (unsigned i = 0; i < RECORD_DETAILS_MAX; i++) {
        if (!slice_cut(&text, '|', &record.detail[i])) {
            break;
        }
    }
    return record;
}

struct record record_of(const struct redis_reply *reply)
{
    return record_read(redis_reply_at(reply, 0));
}

int64_t record_int(struct slice detail)
{
    int64_t value;
    return slice_int64(detail, &value) && value >= 0 ? value : -1;
}

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

enum consumer_next answer_publish(struct consumer_work *work, enum topology_queue queue,
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

int answer_ping_record(struct consumer_work *work, struct redis_command *call)
{
    (void)work;
    redis_arg_text(call, "PING");
    return 0;
}

enum consumer_next answer_ping(struct consumer_work *work, const struct redis_reply *reply)
{
    (void)reply;
    struct message answer = answer_begin(work, MESSAGE_PONG);
    return answer_send(work, &answer);
}

static int64_t batch_first(const struct consumer_work *work)
{
    return (int64_t)work->round * BATCH_CHUNK;
}

static int64_t batch_end(const struct consumer_work *work)
{
    int64_t end = batch_first(work) + BATCH_CHUNK;
    return end < work->in->count ? end : work->in->count;
}

void batch_call(const struct consumer_work *work, struct redis_command *call, const char *name)
{
    consumer_call(work, call, name, 1);
    redis_argf(call, "%.*s:%u", SLICE_ARG(work->in->id), work->round);
    redis_arg_int(call, batch_first(work));
    redis_arg_int(call, batch_end(work));
}

struct slice batch_gen(const struct message *in)
{
    /* the 48 bits of time at the front of the command id, 8 and 4 hex digits */
    return (struct slice){in->id.data, in->id.bytes < 13 ? in->id.bytes : 13};
}

enum consumer_next batch_answer(struct consumer_work *work, const struct redis_reply *reply)
{
    struct record record = record_of(reply);
    if (slice_is(record.outcome, "created") && batch_end(work) < work->in->count) {
        return CONSUMER_AGAIN;
    }
    return answer_outcome(work, record, "");
}
