/* kassa-floor: drives one workload for some seconds and prints what came of it as JSON. The servers
 * are those of the services' environment variables. */
#include "bench/floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/clock.h"
#include "broker/conf.h"
#include "runtime/log.h"
#include "store/address.h"
#include "store/conf.h"

#define TICK_MS  10
#define READY_MS 30000
#define DRAIN_MS 30000
#define TAIL_MS  200 /* so that the last acknowledgements are out */

enum { FLOOR_GOOD, FLOOR_BAD, FLOOR_USAGE };

struct run {
    const struct floor_kind *kind;
    unsigned at_once;
    unsigned seconds;
    struct loop *loop;
    struct floor_workload *workload;
};

static const char *lookup(const char *variable)
{
    return getenv(variable);
}

static int usage(FILE *out, int status)
{
    fputs(
        "usage: kassa-floor store --depth N [--seconds N]\n"
        "       kassa-floor rows --depth N [--seconds N]\n"
        "       kassa-floor broker --commands N [--seconds N]\n"
        "\n"
        "  store   charges by the payment library in PAYMENT_REDIS, N of them out at a time\n"
        "  rows    the same, those of one turn in one call of the function\n"
        "  broker  envelopes of N commands through the queue of payment, which must not run\n"
        "\n"
        "Prints how many came back, and what CPU time it took here. N: 1 to 10000, for --commands\n"
        "to 500; --seconds: 1 to 3600, 2 unless given. Exit status: 0 good, 1 the servers failed,\n"
        "2 the command line is wrong.\n",
        out);
    return status;
}

static void on_tick(void *ctx)
{
    (void)ctx; /* so that a turn that waits ends soon */
}

/* Errors: NULL, or why it failed. */
static const char *turn_until(struct run *r, bool (*is_so)(struct floor_workload *),
                              int64_t limit_ms, const char *late)
{
    int64_t until_ms = loop_now_ms(r->loop) + limit_ms;
    while (is_so == NULL || !is_so(r->workload)) {
        if (r->kind->fault(r->workload) != NULL) {
            return r->kind->fault(r->workload);
        }
        if (loop_now_ms(r->loop) >= until_ms) {
            return late;
        }
        loop_turn(r->loop, true);
    }
    return NULL;
}

static const char *measure(struct run *r)
{
    const char *fault = turn_until(r, r->kind->is_ready, READY_MS, "the server is not there");
    if (fault != NULL) {
        return fault;
    }
    double begin_cpu_s = clock_cpu_s();
    int64_t begin_ms = loop_now_ms(r->loop);
    r->kind->begin(r->workload);
    fault = turn_until(r, NULL, r->seconds * 1000, NULL);
    if (fault != NULL) {
        return fault;
    }
    uint64_t done = r->kind->done(r->workload);
    double seconds = (double)(loop_now_ms(r->loop) - begin_ms) / 1000;
    r->kind->end(r->workload);
    fault = turn_until(r, r->kind->is_drained, DRAIN_MS, "the server does not give all back");
    if (fault == NULL) {
        fault = turn_until(r, NULL, TAIL_MS, NULL);
    }
    if (fault == NULL) {
        printf("{\"kind\":\"%s\",\"%s\":%u,\"seconds\":%.3f,\"rate\":%.1f,\"done\":%llu,"
               "\"cpu_seconds\":%.3f}\n",
               r->kind->name, r->kind->at_once, r->at_once, seconds, (double)done / seconds,
               (unsigned long long)r->kind->done(r->workload), clock_cpu_s() - begin_cpu_s);
    }
    return fault;
}

/* Errors: false when it is none of the known, or no number. */
static bool read_options(int argc, char **argv, struct run *r)
{
    int64_t value;
    if (argc < 2) {
        return false;
    }
    r->kind = strcmp(argv[1], "store") == 0    ? &floor_store
              : strcmp(argv[1], "rows") == 0   ? &floor_rows
              : strcmp(argv[1], "broker") == 0 ? &floor_broker
                                               : NULL;
    r->seconds = 2;
    for (int i = 2; r->kind != NULL && i < argc; i += 2) {
        bool is_seconds = strcmp(argv[i], "--seconds") == 0;
        bool is_at_once = !is_seconds && strncmp(argv[i], "--", 2) == 0 &&
                          strcmp(argv[i] + 2, r->kind->at_once) == 0;
        int64_t most = is_seconds ? 3600 : r->kind == &floor_broker ? 500 : 10000;
        if ((!is_seconds && !is_at_once) || i + 1 == argc ||
            !slice_int64(slice_from(argv[i + 1]), &value) || value < 1 || value > most) {
            return false;
        }
        *(is_seconds ? &r->seconds : &r->at_once) = (unsigned)value;
    }
    return r->kind != NULL && r->at_once > 0;
}

static const struct conf_table *const floor_tables[] = {
    &address_tables[ADDRESS_PAYMENT], &store_conf_table, &broker_conf_table, NULL};

int main(int argc, char **argv)
{
    struct conf conf;
    struct run run = {0};
    struct buf sentence = {0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return usage(stdout, FLOOR_GOOD);
    }
    if (!read_options(argc, argv, &run)) {
        return usage(stderr, FLOOR_USAGE);
    }
    if (conf_load(&conf, floor_tables, lookup, &sentence) != 0) {
        fprintf(stderr, "kassa-floor: %s\n", sentence.data);
        buf_free(&sentence);
        return FLOOR_USAGE;
    }
    run.loop = loop_new();
    log_start(run.loop, "floor", "warn");
    struct loop_timer *tick = loop_timer_new(run.loop, on_tick, NULL);
    loop_timer_start(tick, TICK_MS, TICK_MS);
    run.workload = run.kind->open(run.loop, &conf, run.at_once);
    const char *fault = measure(&run);
    if (fault != NULL) {
        fprintf(stderr, "kassa-floor: %s\n", fault);
    }
    run.kind->close(run.workload);
    loop_timer_free(tick);
    log_stop();
    loop_free(run.loop);
    return fault == NULL ? FLOOR_GOOD : FLOOR_BAD;
}
