/* The index of open sagas: each of its orders has a journal that is open. (That each open journal
 * is in the index, look.c has seen.) Both are in one store, so one instant shows it. */
#include "audit/reading.h"
#include "catalogue/names.h"

#include <stdio.h>
#include <stdlib.h>

struct member {
    struct audit *audit;
    char *order;
};

static void on_member(void *ctx, int err, struct texts reply)
{
    struct member *m = ctx;
    struct audit *a = m->audit;
    struct slice order = slice_from(m->order);
    if (reading_is_answer(a, err, reply) && reply.count == 2 && texts_at(reply, 1).data != NULL) {
        struct slice head[3];
        record_journal_cut(texts_at(reply, 0), head);
        struct slice saga = head[0], state = head[2];
        struct fault fault = {.check = CHECK_OPEN, .found = 1};
        struct record_key key;
        if (!record_state_is_open(record_state_parse(state))) {
            fault.text = "entries of the index without an open journal";
            report_add(&a->report, &fault, saga, order, "order", order);
        } else if (record_key_parse(saga, &key) && record_key_bucket(&key) < a->floor) {
            fault.text = "sagas still open though their records are too old to act on";
            report_add(&a->report, &fault, saga, order, "order", order);
        }
    }
    free(m->order);
    free(m);
}

static void member_look(struct audit *a, const char *order)
{
    struct member *m = mem_new(sizeof(*m));
    char key[320];
    *m = (struct member){a, mem_text(slice_from(order))};
    snprintf(key, sizeof(key), "%s%s", KEY.order_order, order);
    reading_call(a, STORE_ORDER, NULL, NULL, "MULTI");
    reading_call(a, STORE_ORDER, NULL, NULL, "HGET", key, "journal");
    reading_call(a, STORE_ORDER, NULL, NULL, "ZSCORE", KEY.order_open, order);
    reading_call(a, STORE_ORDER, on_member, m, "EXEC");
}

static void on_index(void *ctx, int err, struct texts reply)
{
    struct audit *a = ctx;
    if (!reading_is_answer(a, err, reply)) {
        return;
    }
    unsigned count = reply.count;
    a->report.checked[CHECK_OPEN] += count;
    for (unsigned i = 0; i < count; i++) {
        char *order = mem_text(texts_at(reply, i));
        member_look(a, order);
        free(order);
    }
}

bool look_at_index(struct audit *a)
{
    a->report.checked[CHECK_OPEN] = a->report.open;
    reading_call(a, STORE_ORDER, on_index, a, "ZRANGE", KEY.order_open, "0", "-1");
    return reading_wait(a, 0);
}
