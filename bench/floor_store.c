/* Exactly-once function calls in a pipeline: payment_charge of the payment service's own library,
 * on keys of the floor's own, which are gone afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/floor.h"
#include "catalogue/names.h"
#include "idempotency/once.h"
#include "runtime/uuid.h"
#include "store/address.h"
#include "store/store.h"

#define USERS       1000
#define USER_FORMAT "floor-%u"
#define USER_CREDIT INT64_C(1000000000000)
#define BUCKETS_MAX 4096 /* of 4 s each: more than an hour */

extern const struct library payment_library; /* payment/payment.lua */

struct floor_workload {
    struct loop *loop;
    struct store *redis;
    struct args command;
    unsigned depth;
    bool has_rows; /* many in one call of the function, as the services make them */
    unsigned out;
    uint64_t sent, done;
    const char *fault;
    bool is_ending, is_cleaning;
    char buckets[BUCKETS_MAX][ONCE_BUCKET_TEXT_BYTES + 1]; /* that records were put into */
    unsigned bucket_count;
};

static struct floor_workload *floor_store_open(struct loop *loop, const struct conf *conf,
                                               unsigned depth)
{
    struct floor_workload *w = mem_new(sizeof(*w));
    w->loop = loop;
    w->depth = depth;
    w->redis = store_new(loop, store_conf(conf), "floor", address_of(conf, ADDRESS_PAYMENT),
                         &payment_library);
    return w;
}

static struct floor_workload *rows_open(struct loop *loop, const struct conf *conf, unsigned depth)
{
    struct floor_workload *w = floor_store_open(loop, conf, depth);
    w->has_rows = true;
    return w;
}

static bool floor_store_is_ready(struct floor_workload *w)
{
    return store_is_up(w->redis);
}

static void floor_store_note_bucket(struct floor_workload *w, const char *bucket)
{
    if (w->bucket_count == 0 || strcmp(w->buckets[w->bucket_count - 1], bucket) != 0) {
        if (w->bucket_count == BUCKETS_MAX) {
            w->fault = "it ran too long";
            return;
        }
        memcpy(w->buckets[w->bucket_count++], bucket, ONCE_BUCKET_TEXT_BYTES + 1);
    }
}

static void floor_store_charge(struct floor_workload *w);

static void floor_store_on_charged(void *ctx, int err, struct texts reply)
{
    struct floor_workload *w = ctx;
    w->out--;
    struct slice record = err == 0 ? texts_at(reply, 0) : (struct slice){NULL, 0};
    if (record.bytes < 8 || memcmp(record.data, "charged|", 8) != 0) {
        w->fault = "the store did not answer a charge";
        return;
    }
    w->done++;
    if (!w->is_ending && w->fault == NULL) {
        floor_store_charge(w);
    }
}

static void floor_store_charge(struct floor_workload *w)
{
    struct uuid saga = uuid_make(loop_wall_ms(w->loop));
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    unsigned user = (unsigned)(w->sent++ % USERS);
    if (once_bucket(slice_from(saga.text), bucket) != 0) {
        w->fault = "the clock is wrong";
        return;
    }
    floor_store_note_bucket(w, bucket);
    args_reset(&w->command);
    library_call(&w->command, &payment_library, "payment_charge", 1);
    args_format(&w->command, "floor:once:%s", bucket);
    if (w->has_rows) {
        args_row_begins(&w->command);
    }
    args_format(&w->command, "%s:1:charge", saga.text);
    args_format(&w->command, USER_FORMAT, user);
    args_int(&w->command, 2);
    store_call(w->redis, &w->command, floor_store_on_charged, w);
    w->out++;
}

static void floor_store_on_prepared(void *ctx, int err, struct texts reply)
{
    struct floor_workload *w = ctx;
    (void)reply;
    if (err != 0) {
        w->fault = "the store refuses the floor's users";
    }
}

static void floor_store_begin(struct floor_workload *w)
{
    for (unsigned user = 0; user < USERS; user++) {
        args_reset(&w->command);
        args_text(&w->command, "HSET");
        args_format(&w->command, "%s" USER_FORMAT, KEY.payment_user, user);
        args_text(&w->command, "credit");
        args_int(&w->command, USER_CREDIT);
        store_call(w->redis, &w->command, floor_store_on_prepared, w);
    }
    for (unsigned i = 0; i < w->depth; i++) {
        floor_store_charge(w);
    }
}

static void floor_store_end(struct floor_workload *w)
{
    w->is_ending = true;
}

static void floor_store_remove(struct floor_workload *w, const char *prefix, const char *name)
{
    args_reset(&w->command);
    args_text(&w->command, "UNLINK");
    args_format(&w->command, "%s%s", prefix, name);
    store_call(w->redis, &w->command, floor_store_on_prepared, w);
}

static bool floor_store_is_drained(struct floor_workload *w)
{
    if (w->out > 0) {
        return false;
    }
    if (!w->is_cleaning) {
        w->is_cleaning = true;
        for (unsigned i = 0; i < w->bucket_count; i++) {
            floor_store_remove(w, "floor:once:", w->buckets[i]);
        }
        for (unsigned user = 0; user < USERS; user++) {
            char name[24];
            snprintf(name, sizeof(name), USER_FORMAT, user);
            floor_store_remove(w, KEY.payment_user, name);
        }
        floor_store_remove(w, "floor:", "buckets");
        floor_store_remove(w, payment_library.name, PART.schema); /* of the greeting */
        floor_store_remove(w, payment_library.name, PART.libraries);
    }
    return store_outstanding(w->redis) == 0;
}

static uint64_t floor_store_done(struct floor_workload *w)
{
    return w->done;
}

static const char *floor_store_fault(struct floor_workload *w)
{
    return w->fault;
}

static void floor_store_close(struct floor_workload *w)
{
    w->is_ending = true;
    store_free(w->redis);
    args_free(&w->command);
    free(w);
}

#define STORE_KIND(kind_name, kind_open)                                                           \
    {                                                                                              \
        .name = kind_name, .at_once = "depth", .open = kind_open,                                  \
        .is_ready = floor_store_is_ready, .begin = floor_store_begin, .end = floor_store_end,      \
        .is_drained = floor_store_is_drained, .done = floor_store_done,                            \
        .fault = floor_store_fault, .close = floor_store_close,                                    \
    }
const struct floor_kind floor_store = STORE_KIND("store", floor_store_open);
const struct floor_kind floor_rows = STORE_KIND("rows", rows_open);
