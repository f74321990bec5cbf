/* Builds the journal's function calls and reads its records. */
#include "saga/journal.h"

#include <assert.h>
#include <string.h>

#include "idempotency/once.h"
#include "runtime/err.h"

struct journal_record journal_record_read(const struct journal *journal, struct slice text)
{
    struct journal_record r = {0};
    struct slice *const head[] = {&r.outcome, &r.entity,  &r.saga,   &r.attempt, &r.state,
                                  &r.due_ms,  &r.retries, &r.reason, &r.waiters};
    for (unsigned i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        if (!slice_cut(&text, '|', head[i])) {
            return r;
        }
    }
    for (unsigned i = 0; i < journal->frozen_count; i++) {
        slice_cut(&text, '|', &r.frozen[i]);
    }
    slice_cut(&text, '|', &r.story);
    struct slice began = r.story, state;
    slice_cut(&began, ':', &state);
    slice_cut(&began, ':', &r.began_ms);
    return r;
}

bool journal_record_at(const struct journal *journal, const struct redis_reply *reply, unsigned n,
                       struct journal_record *ret_record)
{
    assert(journal->frozen_count <= JOURNAL_FROZEN_MAX);
    if (n >= redis_reply_count(reply)) {
        return false;
    }
    *ret_record = journal_record_read(journal, redis_reply_at(reply, n));
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

/* Begins the call of <library><what> with the key <library>:open. */
static void journal_function(const struct journal *journal, const char *what,
                             struct redis_command *c)
{
    char name[64];
    assert(strlen(journal->library->name) + strlen(what) < sizeof(name));
    stpcpy(stpcpy(name, journal->library->name), what);
    redis_command_reset(c);
    redis_function(c, journal->library, name, 1);
    redis_arg_join(c, journal->library->name, SLICE_TEXT(":open"));
}

int journal_advance(const struct journal *journal, const struct saga_definition *def,
                    const struct journal_move *move, struct redis_command *ret_command)
{
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    int err = once_bucket(move->saga, bucket);
    if (err != 0) {
        return err;
    }
    struct redis_command *c = ret_command;
    journal_function(journal, "_advance", c);
    redis_arg_text(c, saga_state_text(def, move->from));
    redis_arg_text(c, saga_state_text(def, move->to));
    if (has_ended(move->to)) {
        redis_arg_text(c, "");
    } else {
        redis_arg_int(c, move->resend_ms);
    }
    redis_arg_text(c, move->to.phase == SAGA_ABORTED ? "1" : "");
    redis_row_begins(c);
    redis_arg(c, move->entity);
    redis_arg(c, move->saga);
    redis_arg(c, move->attempt);
    redis_arg(c, move->reason);
    return 0;
}

void journal_lease(const struct journal *journal, int64_t limit, int64_t resend_ms,
                   int64_t resend_max_ms, struct redis_command *ret_command)
{
    struct redis_command *c = ret_command;
    journal_function(journal, "_lease", c);
    redis_arg_int(c, limit);
    redis_arg_int(c, resend_ms);
    redis_arg_int(c, resend_max_ms);
}
