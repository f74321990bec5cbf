/* The log-linear histogram. */
#include "bench/histogram.h"

#define SUB (1 << HISTOGRAM_SUB_BITS)

static unsigned histogram_index(uint64_t ns)
{
    if (ns < SUB) {
        return (unsigned)ns;
    }
    if (ns >> HISTOGRAM_MAX_BITS != 0) {
        return HISTOGRAM_BUCKETS - 1;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(ns >> shift);
}

/* The longest duration that this bucket counts. */
static int64_t histogram_end_ns(unsigned index)
{
    if (index < SUB) {
        return index;
    }
    unsigned shift = (index >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t begin = SUB + (index & (SUB - 1));
    return (int64_t)(((begin + 1) << shift) - 1);
}

void histogram_add(struct histogram *h, int64_t ns)
{
    if (ns < 0) {
        ns = 0;
    }
    h->counts[histogram_index((uint64_t)ns)]++;
    h->total++;
    if (ns > h->max_ns) {
        h->max_ns = ns;
    }
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->counts[i] += from->counts[i];
    }
    into->total += from->total;
    if (from->max_ns > into->max_ns) {
        into->max_ns = from->max_ns;
    }
}

int64_t histogram_quantile(const struct histogram *h, double share)
{
    double exact = share * (double)h->total;
    uint64_t wanted = (uint64_t)exact;
    wanted += (double)wanted < exact;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        seen += h->counts[i];
        if (seen >= wanted && seen > 0) {
            int64_t end_ns = histogram_end_ns(i);
            return end_ns < h->max_ns ? end_ns : h->max_ns;
        }
    }
    return h->max_ns;
}
