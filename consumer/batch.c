/* See batch.h. */
#include "consumer/batch.h"

#include "consumer/answer.h"

static int64_t batch_first(const struct consumer_work *work)
{
    return (int64_t)work->round * BATCH_CHUNK;
}

static int64_t batch_end(const struct consumer_work *work)
{
    int64_t end = batch_first(work) + BATCH_CHUNK;
    return end < work->in->count ? end : work->in->count;
}

void batch_call(const struct consumer_work *work, struct args *call, const char *name)
{
    consumer_call(work, call, name, 1);
    args_format(call, "%.*s:%u", SLICE_ARG(work->in->id), work->round);
    args_int(call, batch_first(work));
    args_int(call, batch_end(work));
}

struct slice batch_gen(const struct message *in)
{
    /* the 48 bits of time at the front of the command id, 8 and 4 hex digits */
    return (struct slice){in->id.data, in->id.bytes < 13 ? in->id.bytes : 13};
}

/* A chunk that had to leave something alone is not the end of the batch: it is told behind the
 * last. */
enum consumer_next batch_answer(struct consumer_work *work, struct texts reply)
{
    struct record record = record_of(reply);
    bool is_conflict = slice_is(record.outcome, "conflict");
    if (is_conflict && work->gathered.bytes == 0) {
        buf_add_slice(&work->gathered, texts_at(reply, 0));
    }
    if ((is_conflict || slice_is(record.outcome, "created")) && batch_end(work) < work->in->count) {
        return CONSUMER_AGAIN;
    }
    if (work->gathered.bytes > 0) {
        record = record_read(buf_slice(&work->gathered));
    }
    return answer_outcome(work, record, "");
}
