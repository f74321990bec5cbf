/* Counters, gauges and histograms of a process, as Prometheus text 0.0.4. */
#ifndef KASSA_RUNTIME_STAT_H
#define KASSA_RUNTIME_STAT_H

#include <stdint.h>
#include "runtime/buf.h"

struct stat_value; /* a counter or a gauge */
struct stat_histogram;

/* `labels` is "" or the inside of the braces: route="checkout",status="200". The same name and
 * labels give the same value again. Owns: the registry, for the life of the process. At most
 * STAT_MAX values: a caller that makes labels from input has a bug. */
#define STAT_MAX 512
struct stat_value *stat_counter(const char *name, const char *labels, const char *help);
struct stat_value *stat_gauge(const char *name, const char *labels, const char *help);
void stat_add(struct stat_value *v, int64_t n);
void stat_set(struct stat_value *v, int64_t n);
int64_t stat_get(const struct stat_value *v);

/* Buckets double from 0.25 ms to 131 s. Units: observations in ms, exposed in seconds. */
struct stat_histogram *stat_histogram(const char *name, const char *labels, const char *help);
void stat_observe_ms(struct stat_histogram *h, double ms);

void stat_print(struct buf *out);

#endif
