/* Looks for the oldest open saga in small parts, and publishes it after the delay. */
#include "consumer/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/names.h"

#define SAID_MAX 64 /* of what was found lately: one for each 64th of the delay */

struct found {
    int64_t at_ms; /* by the clock that does not jump */
    int64_t bucket;
};

struct keep {
    struct loop *loop;
    struct store *store;           /* NULL: not the owner */
    const struct library *library; /* of the journal */
    struct store *shared;
    struct loop_timer *timer;
    struct args call;
    int64_t delay_ms;
    bool is_calling;
    bool has_heard; /* what was said before this process began, if anything was */
    /* of the look that is under way: */
    char cursor[24];   /* "0": a new one begins */
    int64_t oldest_ms; /* of what it has seen so far */
    /* what looks have found and is not published yet: */
    struct found found[SAID_MAX];
    unsigned first, count;
    bool is_known;
    int64_t bucket;
    int64_t saying, said; /* what the store has confirmed; 0: nothing */
};

static void keep_know(struct keep *k, int64_t bucket)
{
    k->bucket = k->is_known && k->bucket > bucket ? k->bucket : bucket;
    k->is_known = true;
}

bool keep_from(const struct keep *k, int64_t *ret_bucket)
{
    *ret_bucket = k->bucket;
    return k->is_known;
}

/* ---- the owner ---- */

/* The store may have lost it with its tail: then the next one is published. */
static void on_said(void *ctx, int err, struct texts reply)
{
    struct keep *k = ctx;
    (void)reply;
    k->said = err ? 0 : k->saying;
}

static void keep_say(struct keep *k)
{
    k->saying = k->bucket;
    args_reset(&k->call);
    args_text(&k->call, "SET");
    args_text(&k->call, KEY.kassa_keep);
    args_int(&k->call, k->bucket);
    store_call(k->shared, &k->call, on_said, k);
}

/* Publishes what was found long enough ago; remembers what was found just now, unless it did so
 * lately. */
static void keep_found(struct keep *k, int64_t bucket)
{
    int64_t now_ms = loop_now_ms(k->loop);
    while (k->count > 0 && now_ms - k->found[k->first].at_ms >= k->delay_ms) {
        keep_know(k, k->found[k->first].bucket);
        k->first = (k->first + 1) % SAID_MAX;
        k->count--;
    }
    if (k->is_known && k->bucket != k->said) {
        keep_say(k);
    }
    unsigned last = (k->first + k->count + SAID_MAX - 1) % SAID_MAX;
    if (k->count == 0 ||
        (k->count < SAID_MAX && now_ms - k->found[last].at_ms >= k->delay_ms / (SAID_MAX - 1))) {
        k->found[(k->first + k->count++) % SAID_MAX] = (struct found){now_ms, bucket};
    }
}

static void keep_look(struct keep *k);

/* What time it is, the cursor, and the oldest saga of this part. */
static void on_looked(void *ctx, int err, struct texts reply)
{
    struct keep *k = ctx;
    int64_t now_ms, oldest_ms;
    k->is_calling = false;
    if (err || reply.count < 2 || !slice_int64(texts_at(reply, 0), &now_ms)) {
        strcpy(k->cursor, "0");
        return;
    }
    if (strcmp(k->cursor, "0") == 0) {
        k->oldest_ms = now_ms - KEEP_LATE_MS; /* what begins from now on may be so old */
    }
    if (reply.count > 2 && slice_int64(texts_at(reply, 2), &oldest_ms) &&
        oldest_ms < k->oldest_ms) {
        k->oldest_ms = oldest_ms;
    }
    slice_copy(texts_at(reply, 1), k->cursor, sizeof(k->cursor));
    if (strcmp(k->cursor, "0") != 0) {
        keep_look(k);
    } else {
        keep_found(k, once_bucket_number(k->oldest_ms));
    }
}

static void keep_look(struct keep *k)
{
    k->is_calling = true;
    args_reset(&k->call);
    char name[32];
    snprintf(name, sizeof(name), "%s_oldest", k->library->name);
    library_call(&k->call, k->library, name, 1);
    args_join(&k->call, k->library->name, SLICE_TEXT(PART.open));
    args_text(&k->call, k->cursor);
    args_int(&k->call, KEEP_LIMIT);
    store_call(k->store, &k->call, on_looked, k);
}

/* ---- the others ---- */

static void on_heard(void *ctx, int err, struct texts reply)
{
    struct keep *k = ctx;
    int64_t bucket;
    k->is_calling = false;
    k->has_heard = k->has_heard || !err;
    if (!err && reply.count > 0 && slice_int64(texts_at(reply, 0), &bucket)) {
        keep_know(k, bucket);
    }
}

static void keep_hear(struct keep *k)
{
    k->is_calling = true;
    args_reset(&k->call);
    args_text(&k->call, "GET");
    args_text(&k->call, KEY.kassa_keep);
    store_call(k->shared, &k->call, on_heard, k);
}

static void on_timer(void *ctx)
{
    struct keep *k = ctx;
    if (k->is_calling) {
        return;
    }
    bool is_owner = k->store;
    if (store_is_up(k->shared) && !(is_owner && k->has_heard)) {
        keep_hear(k);
    } else if (is_owner && store_is_up(k->store)) {
        keep_look(k);
    }
}

struct keep *keep_new(struct loop *loop, struct store *store, const struct library *library,
                      struct store *shared, int64_t delay_ms)
{
    struct keep *k = mem_new(sizeof(*k));
    k->loop = loop;
    k->store = store;
    k->library = library;
    k->shared = shared;
    k->delay_ms = delay_ms;
    strcpy(k->cursor, "0");
    k->timer = loop_timer_new(loop, on_timer, k);
    loop_timer_start(k->timer, KEEP_MS, KEEP_MS);
    return k;
}

void keep_free(struct keep *k)
{
    if (k) {
        loop_timer_free(k->timer);
        args_free(&k->call);
        free(k);
    }
}
