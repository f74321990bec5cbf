/* Builds the journal's function calls and reads its records. */
#include "saga/journal.h"

#include <assert.h>

#include "idempotency/once.h"
#include "runtime/err.h"

/* In the order of journal_fields() in journal.lua, behind the outcome. */
#define RECORD_FIXED 10

unsigned journal_record_width(const struct journal *journal)
{
    assert(journal->frozen_count <= JOURNAL_FROZEN_MAX);
    return RECORD_FIXED + journal->frozen_count;
}

bool journal_record_at(const struct journal *journal, const struct redis_reply *reply, unsigned n,
                       struct journal_record *ret_record)
{
    unsigned width = journal_record_width(journal);
    unsigned count = redis_reply_count(reply);
    if (count == 1 && n == 0) {
        *ret_record = (struct journal_record){.outcome = redis_reply_at(reply, 0)};
        return true;
    }
    if (count < (n + 1) * width) {
        return false;
    }
    struct slice at[RECORD_FIXED + JOURNAL_FROZEN_MAX];
    for (unsigned i = 0; i < width; i++) {
        at[i] = redis_reply_at(reply, n * width + i);
    }
    struct journal_record record = {
        .outcome = at[0],
        .entity = at[1],
        .saga = at[2],
        .attempt = at[3],
        .state = at[4],
        .began_ms = at[5],
        .retries = at[6],
        .reason = at[7],
        .waiters = at[8],
        .story = at[9],
    };
    for (unsigned i = 0; i < journal->frozen_count; i++) {
        record.frozen[i] = at[RECORD_FIXED + i];
    }
    *ret_record = record;
    return true;
}

bool journal_has_entered(const struct journal_record *record, const char *state)
{
    struct slice story = record->story, entry, name;
    while (slice_cut(&story, ',', &entry)) {
        slice_cut(&entry, ':', &name);
        if (slice_is(name, state)) {
            return true;
        }
    }
    return false;
}

static bool has_ended(struct saga_state state)
{
    return state.phase == SAGA_COMPLETED || state.phase == SAGA_ABORTED;
}

int journal_advance(const struct journal *journal, const struct saga_definition *def,
                    const struct journal_move *move, struct redis_command *ret_command)
{
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    int err = once_bucket(move->saga, move->now_ms, bucket);
    if (err != 0) {
        return err;
    }
    struct redis_command *c = ret_command;
    redis_command_reset(c);
    redis_arg_text(c, "FCALL");
    redis_argf(c, "%s_advance", journal->library);
    redis_arg_text(c, "3");
    redis_argf(c, "%s:once:%s", journal->library, bucket);
    redis_argf(c, "%s%.*s", journal->entity_prefix, SLICE_ARG(move->entity));
    redis_argf(c, "%s:open", journal->library);
    redis_arg(c, move->entity);
    redis_arg(c, move->saga);
    redis_arg(c, move->attempt);
    redis_arg_text(c, saga_state_text(def, move->from));
    redis_arg_text(c, saga_state_text(def, move->to));
    redis_arg_int(c, move->now_ms);
    if (has_ended(move->to)) {
        redis_arg_text(c, "");
    } else {
        redis_arg_int(c, move->due_ms);
    }
    redis_arg(c, move->reason);
    redis_arg_text(c, move->to.phase == SAGA_ABORTED ? "1" : "");
    return 0;
}

void journal_lease(const struct journal *journal, int64_t now_ms, int64_t limit, int64_t resend_ms,
                   int64_t resend_max_ms, struct redis_command *ret_command)
{
    struct redis_command *c = ret_command;
    redis_command_reset(c);
    redis_arg_text(c, "FCALL");
    redis_argf(c, "%s_lease", journal->library);
    redis_arg_text(c, "1");
    redis_argf(c, "%s:open", journal->library);
    redis_arg_int(c, now_ms);
    redis_arg_int(c, limit);
    redis_arg_int(c, resend_ms);
    redis_arg_int(c, resend_max_ms);
}
