/* The stages of outbox.h. An envelope is in exactly one place: the open slot of its queue, the
 * waiting list, the kept-back list, or the slot of its tag in the window's ring. */
#include "broker/outbox.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Confirms of different queues overtake each other, so tags span more than the window holds. */
#define OUTBOX_RING 4096
/* Of an envelope, over its body: method, properties, frames. */
#define OUTBOX_OVERHEAD_BYTES 256
#define OUTBOX_DOUBLED_MAX    4 /* times that the patience with one envelope is doubled */

struct outbox_waiter {
    broker_on_confirm *on_confirm;
    void *ctx;
};

struct outbox_envelope {
    struct outbox_envelope *next; /* in a list */
    uint64_t sequence;            /* order of opening */
    const char *queue;
    const char *header; /* parked, or given back: its name; else NULL */
    char *value;
    struct buf body;
    struct envelope_head table; /* while it is open: of envelope_add */
    unsigned commands;
    bool is_returned;
    unsigned given_up; /* connections, because it was not confirmed there */
    int64_t out_ms;    /* since when it is published */
    struct outbox_waiter *waiters;
    unsigned waiter_count;
    unsigned waiter_size;
};

struct outbox_list {
    struct outbox_envelope *first;
    struct outbox_envelope *last;
};

struct outbox {
    const struct envelope_schema *schema;
    const struct topology *topology;
    struct outbox_limits limits;
    outbox_publish *publish;
    void *ctx;
    uint64_t sequence;
    uint64_t unconfirmed;
    struct outbox_envelope *open[TOPOLOGY_QUEUES_MAX];
    struct outbox_list waiting;
    struct outbox_list kept_back;

    struct outbox_envelope *ring[OUTBOX_RING]; /* by tag; NULL: confirmed */
    uint64_t oldest;                           /* first tag that may be out */
    uint64_t next;                             /* tag of the next publish */
    unsigned out_envelopes;
    size_t out_bytes;
};

/* ---- envelopes and lists ---- */

static struct outbox_envelope *outbox_envelope_new(struct outbox *o, const char *queue)
{
    struct outbox_envelope *e = mem_new(sizeof(*e));
    e->queue = queue;
    e->sequence = ++o->sequence;
    return e;
}

static void outbox_envelope_free(struct outbox_envelope *e)
{
    if (e == NULL) {
        return;
    }
    buf_free(&e->body);
    free(e->waiters);
    free(e->value);
    free(e);
}

static size_t outbox_envelope_cost(const struct outbox_envelope *e)
{
    return e->body.bytes + OUTBOX_OVERHEAD_BYTES;
}

static void outbox_envelope_wait(struct outbox_envelope *e, broker_on_confirm *on_confirm,
                                 void *ctx)
{
    if (on_confirm == NULL) {
        return;
    }
    if (e->waiter_count == e->waiter_size) {
        unsigned size = e->waiter_size > 0 ? 2 * e->waiter_size : 8;
        struct outbox_waiter *waiters = mem_new(size * sizeof(*waiters));
        if (e->waiter_count > 0) {
            memcpy(waiters, e->waiters, e->waiter_count * sizeof(*waiters));
        }
        free(e->waiters);
        e->waiters = waiters;
        e->waiter_size = size;
    }
    e->waiters[e->waiter_count++] = (struct outbox_waiter){on_confirm, ctx};
}

static void outbox_list_append(struct outbox_list *list, struct outbox_envelope *e)
{
    e->next = NULL;
    if (list->last != NULL) {
        list->last->next = e;
    } else {
        list->first = e;
    }
    list->last = e;
}

static struct outbox_envelope *outbox_list_take(struct outbox_list *list)
{
    struct outbox_envelope *e = list->first;
    if (e != NULL) {
        list->first = e->next;
        if (list->first == NULL) {
            list->last = NULL;
        }
        e->next = NULL;
    }
    return e;
}

/* Merges `from`, oldest first, into `into`, so that the oldest of both comes first. */
static void outbox_list_merge(struct outbox_list *into, struct outbox_list *from)
{
    struct outbox_list merged = {NULL, NULL};
    while (into->first != NULL || from->first != NULL) {
        bool is_from = into->first == NULL ||
                       (from->first != NULL && from->first->sequence < into->first->sequence);
        outbox_list_append(&merged, outbox_list_take(is_from ? from : into));
    }
    *into = merged;
}

static void outbox_list_insert(struct outbox_list *list, struct outbox_envelope *e)
{
    struct outbox_list one = {NULL, NULL};
    outbox_list_append(&one, e);
    outbox_list_merge(list, &one);
}

static void outbox_list_free(struct outbox_list *list)
{
    struct outbox_envelope *e;
    while ((e = outbox_list_take(list)) != NULL) {
        outbox_envelope_free(e);
    }
}

/* ---- the outbox ---- */

struct outbox *outbox_new(const struct envelope_schema *schema, const struct topology *topology,
                          const struct outbox_limits *limits, outbox_publish *publish, void *ctx)
{
    assert(topology->count <= TOPOLOGY_QUEUES_MAX);
    assert(limits->window_envelopes > 0 && limits->window_envelopes <= OUTBOX_RING);
    struct outbox *o = mem_new(sizeof(*o));
    o->schema = schema;
    o->topology = topology;
    o->limits = *limits;
    o->publish = publish;
    o->ctx = ctx;
    o->oldest = 1;
    o->next = 1;
    return o;
}

void outbox_free(struct outbox *o)
{
    if (o == NULL) {
        return;
    }
    for (unsigned q = 0; q < o->topology->count; q++) {
        outbox_envelope_free(o->open[q]);
    }
    for (unsigned i = 0; i < OUTBOX_RING; i++) {
        outbox_envelope_free(o->ring[i]);
    }
    outbox_list_free(&o->waiting);
    outbox_list_free(&o->kept_back);
    free(o);
}

/* Completes the open envelope; the caller puts it where it belongs. */
static struct outbox_envelope *outbox_close(struct outbox *o, unsigned queue)
{
    struct outbox_envelope *e = o->open[queue];
    o->open[queue] = NULL;
    envelope_end(&e->body);
    return e;
}

void outbox_add(struct outbox *o, unsigned queue, const struct message *m,
                broker_on_confirm *on_confirm, void *ctx)
{
    assert(queue < o->topology->count);
    struct outbox_envelope *e = o->open[queue];
    if (e == NULL) {
        e = outbox_envelope_new(o, o->topology->queues[queue].name);
        o->open[queue] = e;
    }
    envelope_add(o->schema, &e->body, &e->table, m);
    e->commands++;
    o->unconfirmed++;
    outbox_envelope_wait(e, on_confirm, ctx);
    if (e->commands >= o->limits.envelope_commands || e->body.bytes >= o->limits.envelope_bytes) {
        outbox_list_append(&o->waiting, outbox_close(o, queue));
    }
}

/* A message as it came, with one header more. */
static void outbox_pass_on(struct outbox *o, const char *queue, struct slice body,
                           struct broker_header header, broker_on_confirm *on_confirm, void *ctx)
{
    struct outbox_envelope *e = outbox_envelope_new(o, queue);
    buf_add_slice(&e->body, body);
    e->header = header.name;
    e->value = mem_text(slice_from(header.value));
    e->commands = 1;
    o->unconfirmed++;
    outbox_envelope_wait(e, on_confirm, ctx);
    outbox_list_append(&o->waiting, e);
}

void outbox_park(struct outbox *o, unsigned queue, struct slice body, const char *reason,
                 broker_on_confirm *on_confirm, void *ctx)
{
    outbox_pass_on(o, o->topology->queues[queue].parked, body,
                   (struct broker_header){BROKER_HEADER_REASON, reason}, on_confirm, ctx);
}

void outbox_give_back(struct outbox *o, unsigned queue, struct slice body, unsigned returns,
                      broker_on_confirm *on_confirm, void *ctx)
{
    char value[16];
    snprintf(value, sizeof(value), "%u", returns);
    outbox_pass_on(o, o->topology->queues[queue].name, body,
                   (struct broker_header){BROKER_HEADER_RETURNS, value}, on_confirm, ctx);
}

static bool outbox_has_room(const struct outbox *o, size_t window_bytes, size_t bytes)
{
    if (o->out_envelopes == 0) {
        return true; /* even one that is larger than the window */
    }
    return o->out_envelopes < o->limits.window_envelopes && o->out_bytes + bytes <= window_bytes &&
           o->next - o->oldest < OUTBOX_RING;
}

/* Takes e, which is in no list, into the window. Errors: false when publishing failed. */
static bool outbox_put_out(struct outbox *o, struct outbox_envelope *e, int64_t now_ms)
{
    if (o->publish(o->ctx, e->queue, buf_slice(&e->body), e->sequence,
                   (struct broker_header){e->header, e->value}) != 0) {
        return false;
    }
    assert(o->ring[o->next % OUTBOX_RING] == NULL);
    e->out_ms = now_ms;
    o->ring[o->next % OUTBOX_RING] = e;
    o->next++;
    o->out_envelopes++;
    o->out_bytes += outbox_envelope_cost(e);
    return true;
}

/* The queue whose open envelope was opened first; topology->count when none is open. */
static unsigned outbox_oldest_open(const struct outbox *o)
{
    unsigned oldest = o->topology->count;
    for (unsigned q = 0; q < o->topology->count; q++) {
        if (o->open[q] != NULL &&
            (oldest == o->topology->count || o->open[q]->sequence < o->open[oldest]->sequence)) {
            oldest = q;
        }
    }
    return oldest;
}

/* The oldest goes first, closed or still open: else a queue that fills an envelope in each turn
 * would keep all others waiting. */
void outbox_flush(struct outbox *o, size_t room_bytes, int64_t now_ms)
{
    size_t window_bytes = o->limits.window_bytes < room_bytes ? o->limits.window_bytes : room_bytes;
    for (;;) {
        unsigned queue = outbox_oldest_open(o);
        struct outbox_envelope *e = o->waiting.first;
        bool is_open =
            queue < o->topology->count && (e == NULL || o->open[queue]->sequence < e->sequence);
        if (is_open) {
            e = o->open[queue];
        }
        if (e == NULL || !outbox_has_room(o, window_bytes, outbox_envelope_cost(e))) {
            return; /* an open one stays open and gathers more */
        }
        if (is_open) {
            outbox_close(o, queue);
        } else {
            outbox_list_take(&o->waiting);
        }
        if (!outbox_put_out(o, e, now_ms)) {
            outbox_list_insert(&o->waiting, e);
            return;
        }
    }
}

/* NULL: none is. */
static struct outbox_envelope *outbox_oldest_out(const struct outbox *o)
{
    return o->oldest < o->next ? o->ring[o->oldest % OUTBOX_RING] : NULL;
}

bool outbox_is_overdue(const struct outbox *o, int64_t patience_ms, int64_t now_ms)
{
    const struct outbox_envelope *e = outbox_oldest_out(o);
    return e != NULL && now_ms - e->out_ms >= patience_ms << e->given_up;
}

void outbox_give_up(struct outbox *o)
{
    struct outbox_envelope *e = outbox_oldest_out(o);
    if (e != NULL && e->given_up < OUTBOX_DOUBLED_MAX) {
        e->given_up++;
    }
}

/* Takes the envelope out of its slot in the window. */
static struct outbox_envelope *outbox_take_tag(struct outbox *o, uint64_t tag)
{
    struct outbox_envelope *e = o->ring[tag % OUTBOX_RING];
    if (e != NULL) {
        o->ring[tag % OUTBOX_RING] = NULL;
        o->out_envelopes--;
        o->out_bytes -= outbox_envelope_cost(e);
    }
    while (o->oldest < o->next && o->ring[o->oldest % OUTBOX_RING] == NULL) {
        o->oldest++;
    }
    return e;
}

static uint64_t outbox_settle(struct outbox *o, struct outbox_envelope *e, bool is_ack)
{
    if (!is_ack || e->is_returned) {
        e->is_returned = false;
        outbox_list_insert(&o->kept_back, e);
        return 0;
    }
    uint64_t commands = e->commands;
    o->unconfirmed -= commands;
    for (unsigned i = 0; i < e->waiter_count; i++) {
        e->waiters[i].on_confirm(e->waiters[i].ctx);
    }
    outbox_envelope_free(e);
    return commands;
}

uint64_t outbox_confirm(struct outbox *o, uint64_t tag, bool is_multiple, bool is_ack)
{
    if (tag < o->oldest || tag >= o->next) {
        return 0;
    }
    uint64_t commands = 0;
    for (uint64_t t = is_multiple ? o->oldest : tag; t <= tag; t++) {
        struct outbox_envelope *e = outbox_take_tag(o, t);
        if (e != NULL) {
            commands += outbox_settle(o, e, is_ack);
        }
    }
    return commands;
}

bool outbox_return(struct outbox *o, uint64_t sequence)
{
    for (uint64_t t = o->oldest; t < o->next; t++) {
        struct outbox_envelope *e = o->ring[t % OUTBOX_RING];
        if (e != NULL && e->sequence == sequence) {
            e->is_returned = true;
            return true;
        }
    }
    return false;
}

bool outbox_has_kept_back(const struct outbox *o)
{
    return o->kept_back.first != NULL;
}

void outbox_release(struct outbox *o)
{
    outbox_list_merge(&o->waiting, &o->kept_back);
}

void outbox_reset(struct outbox *o)
{
    struct outbox_list out = {NULL, NULL};
    for (uint64_t t = o->oldest; t < o->next; t++) {
        struct outbox_envelope *e = o->ring[t % OUTBOX_RING];
        if (e != NULL) {
            o->ring[t % OUTBOX_RING] = NULL;
            e->is_returned = false;
            outbox_list_insert(&out, e); /* tags are not in order of sequence after a release */
        }
    }
    o->oldest = 1;
    o->next = 1;
    o->out_envelopes = 0;
    o->out_bytes = 0;
    outbox_list_merge(&o->waiting, &out);
}

uint64_t outbox_unconfirmed(const struct outbox *o)
{
    return o->unconfirmed;
}
