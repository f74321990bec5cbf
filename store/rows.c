/* Gathering rows, and giving their answers out. */
#include "store/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/err.h"

#define ROWS_OPEN_MAX  4 /* heads of one turn: functions, and buckets of two periods */
#define ROWS_SPARE_MAX 8

struct row {
    texts_on_reply *on_reply;
    void *ctx;
};

/* A call with its rows, while it is gathered and until it is answered. */
struct rows_call {
    struct rows *rows;
    struct rows_call *next; /* spare ones */
    struct args command;
    unsigned width;
    unsigned count;
    struct row row[ROWS_MAX];
};

struct rows {
    rows_send *send;
    void *ctx;
    struct rows_call *open[ROWS_OPEN_MAX];
    unsigned open_count;
    struct rows_call *spare; /* a call is some ten kilobytes: used again */
    unsigned spare_count;
};

struct rows *rows_new(rows_send *send, void *ctx)
{
    struct rows *r = mem_new(sizeof(*r));
    r->send = send;
    r->ctx = ctx;
    return r;
}

static void call_free(struct rows_call *call)
{
    args_free(&call->command);
    free(call);
}

static void call_give_back(struct rows_call *call)
{
    struct rows *r = call->rows;
    if (r->spare_count >= ROWS_SPARE_MAX) {
        call_free(call);
        return;
    }
    args_reset(&call->command);
    call->count = 0;
    call->next = r->spare;
    r->spare = call;
    r->spare_count++;
}

/* Where an argument begins. */
static uint32_t begin_of(const struct args *c, unsigned i)
{
    return i > 0 ? c->end[i - 1] : 0;
}

/* A call with the head of `c`, without rows yet. */
static struct rows_call *call_begin(struct rows *r, const struct args *c, unsigned width)
{
    struct rows_call *call = r->spare;
    if (call == NULL) {
        call = mem_new(sizeof(*call));
        call->rows = r;
    } else {
        r->spare = call->next;
        r->spare_count--;
    }
    args_append(&call->command, c, 0, c->row);
    args_row_begins(&call->command);
    call->width = width;
    return call;
}

static void call_add(struct rows_call *call, const struct args *c, unsigned first, struct row row)
{
    args_append(&call->command, c, first, call->width);
    call->row[call->count++] = row;
}

static void on_rows(void *ctx, int err, struct texts reply);

static void call_send(struct rows_call *call)
{
    struct rows *r = call->rows;
    r->send(r->ctx, &call->command, on_rows, call);
}

/* The same head with only row `i`. */
static void row_send_alone(const struct rows_call *call, unsigned i)
{
    const struct args *c = &call->command;
    struct rows_call *alone = call_begin(call->rows, c, call->width);
    call_add(alone, c, c->row + i * call->width, call->row[i]);
    call_send(alone);
}

static void row_tell(const struct row *row, int err, struct texts reply)
{
    if (row->on_reply != NULL) {
        row->on_reply(row->ctx, err, reply);
    }
}

static void on_rows(void *ctx, int err, struct texts reply)
{
    struct rows_call *call = ctx;
    bool is_whole = err == 0 && reply.count == call->count;
    if (err == 0 && !is_whole) {
        err = -ERR_STORE_REPLY; /* whose answer is whose, nobody knows */
    }
    for (unsigned i = 0; i < call->count; i++) {
        if (is_whole && call->count > 1 && texts_at(reply, i).data == NULL) {
            row_send_alone(call, i);
        } else {
            row_tell(&call->row[i], err, is_whole ? texts_row(reply, i) : reply);
        }
    }
    call_give_back(call);
}

static bool is_same_head(const struct args *a, const struct args *b)
{
    uint32_t bytes = begin_of(a, a->row);
    return a->row == b->row && bytes == begin_of(b, b->row) &&
           memcmp(a->end, b->end, a->row * sizeof(a->end[0])) == 0 &&
           memcmp(a->bytes.data, b->bytes.data, bytes) == 0;
}

/* Takes the gathered call at `place` out of those that are open. */
static struct rows_call *rows_close(struct rows *r, unsigned place)
{
    struct rows_call *call = r->open[place];
    r->open_count--;
    memmove(&r->open[place], &r->open[place + 1], (r->open_count - place) * sizeof(r->open[0]));
    return call;
}

/* The place of the open call that the command's row fits into; or of a new one with its head. */
static unsigned rows_place_for(struct rows *r, const struct args *c)
{
    for (unsigned i = 0; i < r->open_count; i++) {
        if (is_same_head(&r->open[i]->command, c)) {
            return i;
        }
    }
    if (r->open_count == ROWS_OPEN_MAX) {
        call_send(rows_close(r, 0));
    }
    r->open[r->open_count] = call_begin(r, c, c->count - c->row);
    return r->open_count++;
}

void rows_add(struct rows *r, const struct args *c, texts_on_reply *on_reply, void *ctx)
{
    assert(c->row > 0 && c->row < c->count);
    unsigned place = rows_place_for(r, c);
    struct rows_call *call = r->open[place];
    assert(c->count - c->row == call->width);
    call_add(call, c, c->row, (struct row){on_reply, ctx});
    if (call->count == ROWS_MAX || call->command.count + call->width > ARGS_MAX) {
        call_send(rows_close(r, place));
    }
}

void rows_flush(struct rows *r)
{
    while (r->open_count > 0) {
        call_send(rows_close(r, 0));
    }
}

unsigned rows_gathered(const struct rows *r)
{
    unsigned count = 0;
    for (unsigned i = 0; i < r->open_count; i++) {
        count += r->open[i]->count;
    }
    return count;
}

void rows_free(struct rows *r)
{
    if (r == NULL) {
        return;
    }
    while (r->open_count > 0) {
        on_rows(rows_close(r, 0), -ERR_STORE_DOWN, (struct texts){NULL, 0});
    }
    while (r->spare != NULL) {
        struct rows_call *call = r->spare;
        r->spare = call->next;
        call_free(call);
    }
    free(r);
}
