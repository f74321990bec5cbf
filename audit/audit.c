/* The order of the readings, which is what makes them a proof: see reading.h. */
#include "audit/audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "audit/reading.h"
#include "catalogue/names.h"
#include "idempotency/once.h"
#include "runtime/log.h"
#include "store/address.h"

#define CONNECT_MS 10000
#define SILENCE_MS 30000 /* a large reply takes its time, and nobody waits but us */
#define TICK_MS    50

/* How far the sweep may get while we read: what it may come to is told apart (is_old), and little
 * is proved of it. Should it get further, because a store became short of memory, or there is much
 * to read, then all is read once more, with the next of these. */
static const int64_t aheads_ms[] = {60 * INT64_C(1000), 600 * INT64_C(1000), 3600 * INT64_C(1000)};
#define AHEADS (sizeof(aheads_ms) / sizeof(aheads_ms[0]))

static void on_tick(void *ctx)
{
    (void)ctx;
}

const struct conf_table *const audit_tables[] = {
    &address_tables[ADDRESS_ORDER],
    &address_tables[ADDRESS_STOCK],
    &address_tables[ADDRESS_PAYMENT],
    &store_conf_table,
    NULL,
};

static void audit_open(struct audit *a, const struct conf *conf, struct store_conf *patient)
{
    const char *nodes[STORE_COUNT] = {
        [STORE_ORDER] = address_of(conf, ADDRESS_ORDER),
        [STORE_STOCK] = address_of(conf, ADDRESS_STOCK),
        [STORE_PAYMENT] = address_of(conf, ADDRESS_PAYMENT),
    };
    static const char *const what[STORE_COUNT] = {"orders", "items", "users"};
    *patient = *store_conf(conf);
    patient->redis_timeout_ms = SILENCE_MS;
    a->loop = loop_new();
    log_start(a->loop, "audit", "error"); /* what is wrong is told by the report */
    for (int i = 0; i < STORE_COUNT; i++) {
        a->report.stores[i].name = reading_prefix((enum audit_store)i);
        a->report.stores[i].what = what[i];
        a->report.stores[i].node = nodes[i];
        a->stores[i] =
            store_new(a->loop, patient, reading_prefix((enum audit_store)i), nodes[i], NULL);
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
            up += store_is_up(a->stores[i]);
        }
    }
    loop_timer_free(tick);
    for (int i = 0; i < STORE_COUNT && up < STORE_COUNT; i++) {
        if (!store_is_up(a->stores[i])) {
            snprintf(a->reason, sizeof(a->reason), "the store of %s at %s does not answer",
                     a->report.stores[i].what, a->report.stores[i].node);
            a->has_failed = true;
        }
    }
    return !a->has_failed;
}

static void on_floor(void *ctx, int err, struct texts reply)
{
    struct audit *a = ctx;
    int64_t floor;
    if (reading_is_answer(a, err, reply) && slice_int64(texts_at(reply, 0), &floor) &&
        floor > a->floor) {
        a->floor = floor;
    }
}

/* Of a saga below any store's floor some records may be gone. */
static bool audit_floors(struct audit *a)
{
    char key[32];
    for (int i = 0; i < STORE_COUNT; i++) {
        snprintf(key, sizeof(key), "%s%s", reading_prefix((enum audit_store)i), PART.floor);
        reading_call(a, (enum audit_store)i, on_floor, a, "GET", key);
    }
    return reading_wait(a, 0);
}

static bool audit_run(struct audit *a, int64_t ahead_ms, bool *ret_is_overtaken)
{
    int64_t began_ms = loop_now_ms(a->loop);
    bool is_well = audit_floors(a);
    a->keep_from = a->floor > 0 ? a->floor + once_bucket_number(ahead_ms) : 0;
    is_well = is_well && reading_orders(a) && reading_records(a) && reading_entities(a);
    a->settle_ms = loop_now_ms(a->loop) + READING_SETTLE_MS;
    is_well = is_well && look_at_sagas(a) && look_at_index(a) && look_at_buckets(a) &&
              snapshot_take(a, STORE_STOCK) && snapshot_take(a, STORE_PAYMENT) &&
              look_at_folded(a) && audit_floors(a);
    *ret_is_overtaken = a->floor > a->keep_from;
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
        store_free(a->stores[i]);
    }
    for (int i = 0; i < STORE_COUNT; i++) {
        HASH_ITER(hh, a->buckets[i], b, next)
        {
            HASH_DEL(a->buckets[i], b);
            free(b);
        }
    }
    reading_free_kept(a);
    log_stop();
    loop_free(a->loop);
    args_free(&a->call);
    buf_free(&a->scratch);
    book_free(&a->book);
    report_free(&a->report);
    free(a);
}

static enum audit_verdict audit_say(const struct audit *a, const struct audit_options *options,
                                    struct buf *ret_text)
{
    if (!options->is_report) {
        buf_addf(ret_text, "%s", a->reason);
        return AUDIT_FAILED;
    }
    if (options->is_json) {
        report_print_json(&a->report, ret_text);
    } else {
        report_print(&a->report, ret_text);
    }
    return report_violations(&a->report) > 0  ? AUDIT_VIOLATIONS
           : report_undecided(&a->report) > 0 ? AUDIT_FAILED
                                              : AUDIT_CLEAN;
}

enum audit_verdict audit_stores(const struct conf *conf, struct audit_options *options,
                                struct buf *ret_text)
{
    enum audit_verdict verdict = AUDIT_FAILED;
    bool is_overtaken = true;
    for (unsigned i = 0; i < AHEADS && is_overtaken; i++) {
        struct store_conf patient;
        struct audit *a = mem_new(sizeof(*a));
        book_init(&a->book);
        a->is_progress = options->is_progress;
        audit_open(a, conf, &patient);
        is_overtaken = false;
        options->is_report = audit_connect(a) && audit_run(a, aheads_ms[i], &is_overtaken);
        buf_reset(ret_text);
        verdict = audit_say(a, options, ret_text);
        is_overtaken = is_overtaken && options->is_report && verdict != AUDIT_CLEAN;
        audit_close(a);
    }
    if (is_overtaken) { /* what seems to be wrong may have been dropped before it was read */
        options->is_report = false;
        verdict = AUDIT_FAILED;
        buf_reset(ret_text);
        buf_addf(ret_text, "records were dropped faster than they could be read; try again");
    }
    return verdict;
}
