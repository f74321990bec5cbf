/* The table of parked requests. */
#include "gateway/pending.h"

#include <assert.h>
#include <stdlib.h>

#include "runtime/buf.h"

void pending_table_init(struct pending_table *t, const struct gateway_conf *conf,
                        int64_t deadline_ms)
{
    *t = (struct pending_table){
        .count_max = (unsigned)conf->pending_max,
        .reask_ms = conf->reask_ms,
        .deadline_ms = deadline_ms,
    };
    for (unsigned level = 0; level < PENDING_LEVELS; level++) {
        TAILQ_INIT(&t->asks[level]);
    }
}

bool pending_is_full(const struct pending_table *t)
{
    return t->count >= t->count_max;
}

static int64_t pending_reask_ms(const struct pending_table *t, unsigned level)
{
    int64_t most_ms = t->reask_ms > PENDING_REASK_MS ? t->reask_ms : PENDING_REASK_MS;
    int64_t ms = t->reask_ms << level;
    return ms < most_ms ? ms : most_ms;
}

/* Behind all of its level: they wait equally long, so the newest is last. */
static void pending_queue(struct pending_table *t, struct pending *p, int64_t now_ms)
{
    p->next_ask_ms = now_ms + pending_reask_ms(t, p->level);
    TAILQ_INSERT_TAIL(&t->asks[p->level], p, in_asks);
}

struct pending *pending_park(struct pending_table *t, const struct route_match *match,
                             const struct route_text *text, int64_t now_ms)
{
    assert(!pending_is_full(t));
    struct pending *p = mem_new(sizeof(*p));
    p->route = match->route;
    p->row = match->row;
    route_command_keep(&match->command, text, &p->command, &p->text);
    p->began_ms = now_ms;
    pending_queue(t, p, now_ms);
    t->count++;
    return p;
}

struct pending *pending_find(const struct pending_table *t, struct slice id)
{
    struct pending *p = NULL;
    HASH_FIND(by_id, t->by_id, id.data, id.bytes, p);
    return p;
}

void pending_enter(struct pending_table *t, struct pending *p)
{
    assert(!p->is_entered);
    struct pending *same = pending_find(t, slice_from(p->id.text));
    p->is_entered = true;
    if (same) {
        p->next_same = same->next_same;
        same->next_same = p;
        return;
    }
    HASH_ADD(by_id, t->by_id, id.text, UUID_TEXT_BYTES, p);
}

static void pending_unqueue(struct pending_table *t, struct pending *p)
{
    TAILQ_REMOVE(&t->asks[p->level], p, in_asks);
    t->count--;
}

struct pending *pending_take(struct pending_table *t, struct slice id)
{
    struct pending *first = pending_find(t, id);
    if (!first) {
        return NULL;
    }
    HASH_DELETE(by_id, t->by_id, first);
    for (struct pending *p = first; p; p = p->next_same) {
        pending_unqueue(t, p);
    }
    return first;
}

struct pending *pending_withdraw(struct pending_table *t, struct slice id)
{
    struct pending *first = pending_find(t, id);
    if (first) {
        HASH_DELETE(by_id, t->by_id, first);
    }
    for (struct pending *p = first; p; p = p->next_same) {
        p->is_entered = false;
        p->is_claimed = false;
    }
    return first;
}

void pending_remove(struct pending_table *t, struct pending *p)
{
    if (p->is_entered) {
        struct pending *first = pending_find(t, slice_from(p->id.text));
        assert(first);
        if (first == p) {
            HASH_DELETE(by_id, t->by_id, p);
            if (p->next_same) {
                struct pending *heir = p->next_same;
                HASH_ADD(by_id, t->by_id, id.text, UUID_TEXT_BYTES, heir);
            }
        } else {
            while (first->next_same != p) {
                first = first->next_same;
            }
            first->next_same = p->next_same;
        }
    }
    pending_unqueue(t, p);
    p->next_same = NULL;
}

void pending_free(struct pending *p)
{
    free(p);
}

struct pending *pending_any(const struct pending_table *t)
{
    for (unsigned level = 0; level < PENDING_LEVELS; level++) {
        if (!TAILQ_EMPTY(&t->asks[level])) {
            return TAILQ_FIRST(&t->asks[level]);
        }
    }
    return NULL;
}

struct pending *pending_due(struct pending_table *t, int64_t now_ms)
{
    struct pending *due = NULL;
    for (unsigned level = 0; level < PENDING_LEVELS; level++) {
        struct pending *p = TAILQ_FIRST(&t->asks[level]);
        if (p && p->next_ask_ms <= now_ms && (!due || p->next_ask_ms < due->next_ask_ms)) {
            due = p;
        }
    }
    if (due) {
        TAILQ_REMOVE(&t->asks[due->level], due, in_asks);
        due->level += due->is_read && due->level + 1 < PENDING_LEVELS;
        pending_queue(t, due, now_ms);
    }
    return due;
}

bool pending_is_late(const struct pending_table *t, const struct pending *p, int64_t now_ms)
{
    return now_ms - p->began_ms >= t->deadline_ms;
}

void pending_table_free(struct pending_table *t)
{
    assert(t->count == 0);
}
