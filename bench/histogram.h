/* Durations, counted: linear within each power of two, so that a quantile is at most 0.8 % too
 * large whatever its size, in 32 KiB.
 *
 *   below 128 ns   one bucket for each        128..255  256..511  512..1023 ..  128 buckets each
 *
 * Source: the log-linear layout of HdrHistogram. */
#ifndef KASSA_BENCH_HISTOGRAM_H
#define KASSA_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_MAX_BITS 38 /* 274 s; what is longer counts as that, but for max */
#define HISTOGRAM_BUCKETS  ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    int64_t max_ns; /* exact */
};

/* Below zero counts as zero. */
void histogram_add(struct histogram *h, int64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest duration, in ns, that at least `share` (0..1) of all stay within: the end of its
 * bucket, never more than max_ns. 0 for an empty one. */
int64_t histogram_quantile(const struct histogram *h, double share);

#endif
