/* See texts.h. A box that is used again costs no allocation. */
#include "store/texts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/err.h"
#include "store/library.h"

#define TEXTS_FIRST       16
#define TEXTS_KEPT        65536 /* texts; the memory of more is given back */
#define TEXTS_CHUNK_BYTES 1024  /* the first one; the next are twice as large */
#define TEXTS_CHUNK_KEPT  (4 * 1024 * 1024)

/* Texts never move: one that does not fit goes into a new chunk. */
struct texts_chunk {
    struct texts_chunk *full;
    size_t size, used;
    char bytes[];
};

struct slice texts_at(struct texts t, unsigned i)
{
    return i < t.count ? t.all[i] : (struct slice){NULL, 0};
}

struct texts texts_row(struct texts t, unsigned i)
{
    assert(i < t.count);
    return (struct texts){t.all + i, 1};
}

static void texts_chunk_free(struct texts_chunk *chunk)
{
    while (chunk != NULL) {
        struct texts_chunk *full = chunk->full;
        free(chunk);
        chunk = full;
    }
}

void texts_box_reset(struct texts_box *box)
{
    struct texts_chunk *chunk = box->chunk;
    box->count = 0;
    if (box->size > TEXTS_KEPT) {
        free(box->all);
        box->all = NULL;
        box->size = 0;
    }
    if (chunk != NULL && chunk->size > TEXTS_CHUNK_KEPT) {
        texts_chunk_free(chunk);
        box->chunk = NULL;
    } else if (chunk != NULL) { /* the newest is the largest */
        texts_chunk_free(chunk->full);
        chunk->full = NULL;
        chunk->used = 0;
    }
}

static void texts_box_grow(struct texts_box *box)
{
    unsigned size = box->size > 0 ? box->size * 2 : TEXTS_FIRST;
    assert(size > box->size);
    struct slice *all = mem_new(size * sizeof(*all));
    if (box->count > 0) {
        memcpy(all, box->all, box->count * sizeof(*all));
    }
    free(box->all);
    box->all = all;
    box->size = size;
}

static char *texts_box_room(struct texts_box *box, size_t bytes)
{
    struct texts_chunk *chunk = box->chunk;
    if (chunk == NULL || chunk->size - chunk->used < bytes) {
        size_t size = chunk != NULL ? 2 * chunk->size : TEXTS_CHUNK_BYTES;
        size = size > bytes ? size : bytes;
        chunk = mem_new(sizeof(*chunk) + size);
        *chunk = (struct texts_chunk){.full = box->chunk, .size = size};
        box->chunk = chunk;
    }
    chunk->used += bytes;
    return chunk->bytes + chunk->used - bytes;
}

void texts_box_add(struct texts_box *box, struct slice text)
{
    if (box->count == box->size) {
        texts_box_grow(box);
    }
    if (text.bytes > 0) {
        char *room = texts_box_room(box, text.bytes);
        memcpy(room, text.data, text.bytes);
        text.data = room;
    } else if (text.data != NULL) {
        text.data = ""; /* empty, and there */
    }
    box->all[box->count++] = text;
}

struct texts texts_box_view(const struct texts_box *box)
{
    return (struct texts){box->all, box->count};
}

void texts_box_free(struct texts_box *box)
{
    if (box) {
        free(box->all);
        texts_chunk_free(box->chunk);
        free(box);
    }
}

int texts_error(struct slice error)
{
    static const struct {
        struct slice beginning;
        int err;
    } errors[] = {
        /* it is not the one to talk to */
        {SLICE_TEXT("LOADING "), -ERR_STORE_DOWN},    {SLICE_TEXT("READONLY "), -ERR_STORE_DOWN},
        {SLICE_TEXT("MASTERDOWN "), -ERR_STORE_DOWN}, {SLICE_TEXT("NOREPLICAS "), -ERR_STORE_DOWN},
        {SLICE_TEXT("UNBLOCKED "), -ERR_STORE_DOWN},  {SLICE_TEXT("OOM "), -ERR_STORE_FULL},
        {SLICE_TEXT("TOOOLD "), -ERR_TOO_OLD}, /* idempotency/once.lua */
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (error.bytes >= errors[i].beginning.bytes &&
            memcmp(error.data, errors[i].beginning.data, errors[i].beginning.bytes) == 0) {
            return errors[i].err;
        }
    }
    return library_is_missing(error) ? -ERR_STORE_DOWN : -ERR_STORE_REPLY;
}
