/* What a run has seen: answers by kind with their latencies, everything that went wrong, and when.
 */
#ifndef KASSA_BENCH_RESULTS_H
#define KASSA_BENCH_RESULTS_H

#include "bench/histogram.h"
#include "bench/script.h"

#define RESULTS_SAMPLES_MAX 5
#define RESULTS_SERIES_MAX  8192 /* seconds */

enum results_error {
    RESULTS_CONNECT, /* a connection was refused */
    RESULTS_RESET,   /* lost with a request out */
    RESULTS_BROKEN,  /* what came is no answer */
    RESULTS_TIMEOUT,
    RESULTS_UNANSWERED, /* still out when the run gave up waiting */
    RESULTS_UNSENT,     /* due, and never sent */
    RESULTS_ERRORS
};

struct results_kind {
    uint64_t answers;         /* of the whole run */
    uint64_t measured;        /* those that came within the measured seconds */
    struct histogram latency; /* of the measured ones */
};

/* All zero is a run that has not begun. About 1 MiB. */
struct results {
    struct results_kind kinds[SCRIPT_KINDS_MAX];
    uint64_t answers;  /* right ones, of the whole run */
    uint64_t measured; /* right ones that came within the measured seconds */
    uint64_t wrong;
    uint64_t errors[RESULTS_ERRORS];
    struct buf samples[RESULTS_SAMPLES_MAX]; /* JSON objects, of the first wrong answers */
    uint32_t series[RESULTS_SERIES_MAX];     /* right answers of each second of the whole run */
    unsigned series_count;
    double measured_s;
    double whole_s;
    double cpu_s;  /* of the generator, the whole run */
    uint64_t next; /* the number that would come now */
    bool is_interrupted;
};

void results_right(struct results *r, unsigned kind, double at_s, bool is_in_window);
void results_wrong(struct results *r, const char *path, const struct answer *answer);
bool results_are_good(const struct results *r);

/* One JSON object. Units: ms, seconds, requests a second. */
void results_print(const struct results *r, const struct script *script, struct buf *out);

void results_free(struct results *r);

#endif
