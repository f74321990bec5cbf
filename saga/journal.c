/* Builds the journal's function calls and reads its records. */
#include "saga/journal.h"

#include <assert.h>
#include <string.h>

#include "catalogue/names.h"
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

bool journal_record_at(const struct journal *journal, struct texts reply, unsigned n,
                       struct journal_record *ret_record)
{
    assert(journal->frozen_count <= JOURNAL_FROZEN_MAX);
    if (n >= reply.count) {
        return false;
    }
    *ret_record = journal_record_read(journal, texts_at(reply, n));
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

void journal_call(const struct journal *journal, const char *what, int key_count, struct args *c)
{
    char name[64];
    assert(strlen(journal->library->name) + strlen(what) < sizeof(name));
    stpcpy(stpcpy(name, journal->library->name), what);
    args_reset(c);
    library_call(c, journal->library, name, key_count);
}

/* .. with the key <library>:open. */
static void journal_call_open(const struct journal *journal, const char *what, struct args *c)
{
    journal_call(journal, what, 1, c);
    args_join(c, journal->library->name, SLICE_TEXT(PART.open));
}

int journal_advance(const struct journal *journal, const struct saga_definition *def,
                    const struct journal_move *move, struct args *ret_command)
{
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    int err = once_bucket(move->saga, bucket);
    if (err) {
        return err;
    }
    struct args *c = ret_command;
    journal_call_open(journal, "_advance", c);
    args_text(c, saga_state_text(def, move->from));
    args_text(c, saga_state_text(def, move->to));
    if (saga_has_ended(move->to)) {
        args_text(c, "");
    } else {
        args_int(c, move->resend_ms);
    }
    args_text(c, move->to.phase == SAGA_ABORTED ? "1" : "");
    args_row_begins(c);
    args_add(c, move->entity);
    args_add(c, move->saga);
    args_add(c, move->attempt);
    args_add(c, move->reason);
    return 0;
}

void journal_lease(const struct journal *journal, int64_t limit, int64_t resend_ms,
                   int64_t resend_max_ms, struct args *ret_command)
{
    struct args *c = ret_command;
    journal_call_open(journal, "_lease", c);
    args_int(c, limit);
    args_int(c, resend_ms);
    args_int(c, resend_max_ms);
}
