/* The story of one saga, and lists of them. See sagas.h. */
#include "order/sagas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/names.h"
#include "checkout/checkout.h"
#include "consumer/answer.h"
#include "saga/driver.h"

/* "" and "open" are asked for too. */
static bool is_state(struct slice state)
{
    struct saga_state parsed;
    return state.bytes == 0 || slice_is(state, "open") ||
           saga_state_parse(&checkout_definition, state, &parsed);
}

/* saga|order|attempt|state|began_ms|retries|reason|story */
static void line_add(struct buf *lines, const struct journal_record *record)
{
    const struct slice fields[] = {record->saga,   record->entity,   record->attempt,
                                   record->state,  record->began_ms, record->retries,
                                   record->reason, record->story};
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        buf_add_text(lines, i > 0 ? "|" : lines->bytes > 0 ? "\n" : "");
        buf_add_slice(lines, fields[i]);
    }
}

static enum consumer_next lines_send(struct consumer_work *work, const struct buf *lines)
{
    struct message answer = answer_begin(work, MESSAGE_SAGAS);
    message_set(&answer, story, lines->bytes > 0 ? buf_slice(lines) : SLICE_TEXT(""));
    return answer_send(work, &answer);
}

/* ---- one ---- */

int sagas_one_record(struct consumer_work *work, struct args *call)
{
    driver_look(work, call);
    return 0;
}

enum consumer_next sagas_one_answer(struct consumer_work *work, struct texts reply)
{
    struct journal_record record;
    struct buf *lines = &work->gathered;
    if (!slice_is(record_of(reply).outcome, "saga")) {
        return answer_outcome(work, record_of(reply), "unknown saga");
    }
    for (unsigned n = 0; journal_record_at(&checkout_definition.journal, reply, n, &record); n++) {
        line_add(lines, &record);
    }
    return lines_send(work, lines);
}

/* ---- many ---- */

static int slice_newest(struct slice a, struct slice b)
{
    size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = bytes > 0 ? memcmp(b.data, a.data, bytes) : 0;
    return order != 0 ? order : (a.bytes < b.bytes) - (a.bytes > b.bytes);
}

/* A saga's id begins with the time of its making. */
static int line_compare(const void *a, const void *b)
{
    struct slice x = *(const struct slice *)a, y = *(const struct slice *)b;
    int order = 0;
    for (int field = 0; field < 2 && order == 0; field++) {
        struct slice of_x, of_y;
        slice_cut(&x, '|', &of_x);
        slice_cut(&y, '|', &of_y);
        order = slice_newest(of_x, of_y);
    }
    return order;
}

void sagas_newest(struct buf *lines, unsigned limit)
{
    struct slice rest = buf_slice(lines), line;
    unsigned count = 0, kept = 0;
    for (struct slice left = rest; left.bytes > 0 && slice_cut(&left, '\n', &line);) {
        count++;
    }
    if (count == 0) {
        return;
    }
    struct slice *sorted = mem_new(count * sizeof(*sorted));
    for (unsigned i = 0; i < count; i++) {
        slice_cut(&rest, '\n', &sorted[i]);
    }
    qsort(sorted, count, sizeof(*sorted), line_compare);
    struct buf newest = {0};
    for (unsigned i = 0; i < count && kept < limit; i++) {
        if (i == 0 || line_compare(&sorted[i - 1], &sorted[i]) != 0) {
            buf_add_text(&newest, kept > 0 ? "\n" : "");
            buf_add_slice(&newest, sorted[i]);
            kept++;
        }
    }
    buf_free(lines);
    *lines = newest;
    free(sorted);
}

static bool is_full(const struct buf *lines, unsigned limit)
{
    unsigned count = lines->bytes > 0;
    for (size_t i = 0; i < lines->bytes; i++) {
        count += lines->data[i] == '\n';
    }
    return count >= limit;
}

/* How far the list has been read. */
struct sagas_place {
    char cursor[64];
};

int sagas_record(struct consumer_work *work, struct args *call)
{
    const struct message *in = work->in;
    if (!is_state(in->state)) {
        return answer_ping_record(work, call); /* nothing to look for: the answer says why */
    }
    library_call(call, &order_library, "order_sagas", 2);
    args_text(call, KEY.order_recent);
    args_text(call, KEY.order_open);
    args_int(call, in->limit);
    args_add(call, in->state);
    args_add(call, in->order);
    args_text(call, work->round == 0 ? "0" : consumer_scratch(work, struct sagas_place)->cursor);
    return 0;
}

/* Open ones come by due time: all of them are looked at. The others come newest first. */
enum consumer_next sagas_answer(struct consumer_work *work, struct texts reply)
{
    const struct message *in = work->in;
    struct journal_record record;
    unsigned limit = (unsigned)in->limit, count = reply.count;
    if (!is_state(in->state)) {
        struct message refused = answer_begin(work, MESSAGE_REFUSED);
        message_set(&refused, reason, SLICE_TEXT("unknown state"));
        return answer_send(work, &refused);
    }
    for (unsigned n = 0; n + 1 < count; n++) {
        journal_record_at(&checkout_definition.journal, reply, n, &record);
        line_add(&work->gathered, &record);
    }
    sagas_newest(&work->gathered, limit);
    bool is_enough = !slice_is(in->state, "open") && is_full(&work->gathered, limit);
    struct slice cursor = count > 0 ? texts_at(reply, count - 1) : SLICE_TEXT("");
    if (cursor.bytes > 0 && !is_enough) {
        struct sagas_place *place = consumer_scratch(work, struct sagas_place);
        slice_copy(cursor, place->cursor, sizeof(place->cursor));
        return CONSUMER_AGAIN;
    }
    return lines_send(work, &work->gathered);
}
