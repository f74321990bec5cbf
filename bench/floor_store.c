/* Exactly-once function calls in a pipeline: payment_charge of the payment service's own library,
 * on keys of the floor's own, which are gone afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/floor.h"
#include "idempotency/once.h"
#include "idempotency/redis.h"
#include "runtime/uuid.h"

#define USERS       1000
#define USER_PREFIX "payment:user:floor-" /* payment_charge names the key */
#define USER_CREDIT INT64_C(1000000000000)
#define BUCKETS_MAX 4096 /* of 4 s each: more than an hour */

extern const struct redis_library payment_library; /* payment/payment.lua */

struct floor_workload {
    struct loop *loop;
    struct redis *redis;
    struct redis_command command;
    unsigned depth;
    bool has_rows; /* many in one call of the function, as the services make them */
    unsigned out;
    uint64_t sent, done;
    const char *fault;
    bool is_ending, is_cleaning;
    char buckets[BUCKETS_MAX][ONCE_BUCKET_TEXT_BYTES + 1]; /* that records were put into */
    unsigned bucket_count;
};

static struct floor_workload *store_open(struct loop *loop, const struct conf *conf, unsigned depth)
{
    struct floor_workload *w = mem_new(sizeof(*w));
    w->loop = loop;
    w->depth = depth;
    w->redis = redis_new(loop, conf, "floor", conf->payment_redis, &payment_library);
    return w;
}

static struct floor_workload *rows_open(struct loop *loop, const struct conf *conf, unsigned depth)
{
    struct floor_workload *w = store_open(loop, conf, depth);
    w->has_rows = true;
    return w;
}

static bool store_is_ready(struct floor_workload *w)
{
    return redis_is_up(w->redis);
}

static void store_note_bucket(struct floor_workload *w, const char *bucket)
{
    if (w->bucket_count == 0 || strcmp(w->buckets[w->bucket_count - 1], bucket) != 0) {
        if (w->bucket_count == BUCKETS_MAX) {
            w->fault = "it ran too long";
            return;
        }
        memcpy(w->buckets[w->bucket_count++], bucket, ONCE_BUCKET_TEXT_BYTES + 1);
    }
}

static void store_call(struct floor_workload *w);

static void store_on_charged(void *ctx, int err, const struct redis_reply *reply)
{
    struct floor_workload *w = ctx;
    w->out--;
    struct slice record = err == 0 ? redis_reply_at(reply, 0) : (struct slice){NULL, 0};
    if (record.bytes < 8 || memcmp(record.data, "charged|", 8) != 0) {
        w->fault = "the store did not answer a charge";
        return;
    }
    w->done++;
    if (!w->is_ending && w->fault == NULL) {
        store_call(w);
    }
}

static void store_call(struct floor_workload *w)
{
    struct uuid saga = uuid_make(loop_wall_ms(w->loop));
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    unsigned user = (unsigned)(w->sent++ % USERS);
    if (once_bucket(slice_from(saga.text), bucket) != 0) {
        w->fault = "the clock is wrong";
        return;
    }
    store_note_bucket(w, bucket);
    redis_command_reset(&w->command);
    redis_function(&w->command, &payment_library, "payment_charge", 1);
    redis_argf(&w->command, "floor:once:%s", bucket);
    if (w->has_rows) {
        redis_row_begins(&w->command);
    }
    redis_argf(&w->command, "%s:1:charge", saga.text);
    redis_argf(&w->command, "floor-%u", user);
    redis_arg_int(&w->command, 2);
    redis_call(w->redis, &w->command, store_on_charged, w);
    w->out++;
}

static void store_on_prepared(void *ctx, int err, const struct redis_reply *reply)
{
    struct floor_workload *w = ctx;
    (void)reply;
    if (err != 0) {
        w->fault = "the store refuses the floor's users";
    }
}

static void store_begin(struct floor_workload *w)
{
    for (unsigned user = 0; user < USERS; user++) {
        redis_command_reset(&w->command);
        redis_arg_text(&w->command, "HSET");
        redis_argf(&w->command, USER_PREFIX "%u", user);
        redis_arg_text(&w->command, "credit");
        redis_arg_int(&w->command, USER_CREDIT);
        redis_call(w->redis, &w->command, store_on_prepared, w);
    }
    for (unsigned i = 0; i < w->depth; i++) {
        store_call(w);
    }
}

static void store_end(struct floor_workload *w)
{
    w->is_ending = true;
}

static void store_remove(struct floor_workload *w, const char *prefix, const char *name)
{
    redis_command_reset(&w->command);
    redis_arg_text(&w->command, "UNLINK");
    redis_argf(&w->command, "%s%s", prefix, name);
    redis_call(w->redis, &w->command, store_on_prepared, w);
}

static bool store_is_drained(struct floor_workload *w)
{
    if (w->out > 0) {
        return false;
    }
    if (!w->is_cleaning) {
        w->is_cleaning = true;
        for (unsigned i = 0; i < w->bucket_count; i++) {
            store_remove(w, "floor:once:", w->buckets[i]);
        }
        for (unsigned user = 0; user < USERS; user++) {
            char name[16];
            snprintf(name, sizeof(name), "%u", user);
            store_remove(w, USER_PREFIX, name);
        }
        store_remove(w, "floor:", "buckets");
        store_remove(w, payment_library.name, ":schema"); /* of the greeting */
        store_remove(w, payment_library.name, ":libraries");
    }
    return redis_outstanding(w->redis) == 0;
}

static uint64_t store_done(struct floor_workload *w)
{
    return w->done;
}

static const char *store_fault(struct floor_workload *w)
{
    return w->fault;
}

static void store_close(struct floor_workload *w)
{
    w->is_ending = true;
    redis_free(w->redis);
    redis_command_free(&w->command);
    free(w);
}

#define STORE_KIND(kind_name, kind_open)                                                           \
    {                                                                                              \
        .name = kind_name, .at_once = "depth", .open = kind_open, .is_ready = store_is_ready,      \
        .begin = store_begin, .end = store_end, .is_drained = store_is_drained,                    \
        .done = store_done, .fault = store_fault, .close = store_close,                            \
    }
const struct floor_kind floor_store = STORE_KIND("store", store_open);
const struct floor_kind floor_rows = STORE_KIND("rows", rows_open);
