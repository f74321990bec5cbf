/* The order of the readings, which is what makes them a proof: see reading.h. */
#include "audit/audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "audit/reading.h"
#include "idempotency/once.h"
#include "runtime/log.h"

#define CONNECT_MS 10000
#define SILENCE_MS 30000 /* a large reply takes its time, and nobody waits but us */
#define AHEAD_MS   (10 * 60 * INT64_C(1000)) /* the sweep goes on while we read */
#define TICK_MS    50

static void on_tick(void *ctx)
{
    (void)ctx;
}

static void audit_open(struct audit *a, const struct conf *conf, struct conf *patient)
{
    const char *nodes[STORE_COUNT] = {
        [STORE_ORDER] = patient->order_redis,
        [STORE_STOCK] = patient->stock_redis,
        [STORE_PAYMENT] = patient->payment_redis,
    };
    static const char *const what[STORE_COUNT] = {"orders", "items", "users"};
    *patient = *conf;
    patient->redis_timeout_ms = SILENCE_MS;
    a->loop = loop_new();
    log_start(a->loop, "audit", "error"); /* what is wrong is told by the report */
    for (int i = 0; i < STORE_COUNT; i++) {
        a->report.stores[i].name = reading_prefix((enum audit_store)i);
        a->report.stores[i].what = what[i];
        a->report.stores[i].node = nodes[i];
        a->stores[i] =
            redis_new(a->loop, patient, reading_prefix((enum audit_store)i), nodes[i], NULL);
    }
}

static bool audit_connect(struct audit *a)
{
    struct loop_timer *tick = loop_timer_new(a->loop, on_tick, NULL);
    int64_t until_ms = loop_now_ms(a->loop) + CONNECT_MS;
    int up = 0;
    loop_timer_start(tick, TICK_MS, TICK_MS);
    while (up < STORE_COUNT && loop_now_ms(a->loop) < until_ms) {
        loop_turn(a->loop, true);
        up = 0;
        for (int i = 0; i < STORE_COUNT; i++) {
            up += redis_is_up(a->stores[i]);
        }
    }
    loop_timer_free(tick);
    for (int i = 0; i < STORE_COUNT && up < STORE_COUNT; i++) {
        if (!redis_is_up(a->stores[i])) {
            snprintf(a->reason, sizeof(a->reason), "the store of %s at %s does not answer",
                     a->report.stores[i].what, a->report.stores[i].node);
            a->has_failed = true;
        }
    }
    return !a->has_failed;
}

static void on_floor(void *ctx, int err, const struct redis_reply *reply)
{
    struct audit *a = ctx;
    int64_t floor;
    if (reading_is_answer(a, err, reply) && slice_int64(redis_reply_at(reply, 0), &floor) &&
        floor > a->floor) {
        a->floor = floor;
        a->keep_from = floor + once_bucket_number(AHEAD_MS);
    }
}

/* Of a saga below any store's floor some records may be gone. */
static bool audit_floors(struct audit *a)
{
    char key[32];
    for (int i = 0; i < STORE_COUNT; i++) {
        snprintf(key, sizeof(key), "%s:floor", reading_prefix((enum audit_store)i));
        reading_call(a, (enum audit_store)i, on_floor, a, "GET", key);
    }
    return reading_wait(a, 0);
}

bool audit_run(struct audit *a)
{
    int64_t began_ms = loop_now_ms(a->loop);
    bool is_well =
        audit_floors(a) && reading_orders(a) && reading_records(a) && reading_entities(a);
    a->settle_ms = loop_now_ms(a->loop) + READING_SETTLE_MS;
    is_well = is_well && look_at_sagas(a) && look_at_index(a) && snapshot_take(a, STORE_STOCK) &&
              snapshot_take(a, STORE_PAYMENT) && look_at_folded(a);
    for (int i = 0; i < STORE_COUNT; i++) {
        a->report.checked[CHECK_C5] += a->report.stores[i].records;
    }
    a->report.took_ms = loop_now_ms(a->loop) - began_ms;
    if (a->is_progress) {
        fprintf(stderr, "\r\033[K");
    }
    return is_well;
}

static void audit_close(struct audit *a)
{
    struct bucket *b, *next;
    for (int i = 0; i < STORE_COUNT; i++) {
        redis_free(a->stores[i]);
    }
    for (int i = 0; i < STORE_COUNT; i++) {
        HASH_ITER(hh, a->buckets[i], b, next)
        {
            HASH_DEL(a->buckets[i], b);
            free(b);
        }
    }
    log_stop();
    loop_free(a->loop);
    redis_command_free(&a->call);
    book_free(&a->book);
    report_free(&a->report);
    free(a);
}

enum audit_verdict audit_stores(const struct conf *conf, struct audit_options *options,
                                struct buf *ret_text)
{
    struct conf patient;
    struct audit *a = mem_new(sizeof(*a));
    enum audit_verdict verdict = AUDIT_FAILED;
    book_init(&a->book);
    a->is_progress = options->is_progress;
    audit_open(a, conf, &patient);
    options->is_report = audit_connect(a) && audit_run(a);
    if (!options->is_report) {
        buf_addf(ret_text, "%s", a->reason);
    } else {
        if (options->is_json) {
            report_print_json(&a->report, ret_text);
        } else {
            report_print(&a->report, ret_text);
        }
        verdict = report_violations(&a->report) > 0  ? AUDIT_VIOLATIONS
                  : report_undecided(&a->report) > 0 ? AUDIT_FAILED
                                                     : AUDIT_CLEAN;
    }
    audit_close(a);
    return verdict;
}
