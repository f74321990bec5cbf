/* Counters, gauges and histograms, and their Prometheus text (exposition format 0.0.4).
 *
 *   family (name, help, type) --> value {labels} --> value {labels} ...
 *
 * Prometheus wants all samples of a name together under one HELP and TYPE, so values hang on
 * their family whatever the order they were made in. */
#include "runtime/stat.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STAT_BUCKETS         20 /* 0.25 ms * 2^19 = 131 s */
#define STAT_BUCKET_FIRST_MS 0.25

enum stat_type { STAT_COUNTER, STAT_GAUGE, STAT_HISTOGRAM };

static const char *const stat_type_names[] = {"counter", "gauge", "histogram"};

struct stat_value {
    int64_t n;
};

struct stat_histogram {
    uint64_t buckets[STAT_BUCKETS + 1]; /* the last: longer than all bounds */
    uint64_t count;
    double sum_ms;
};

struct stat_series {
    struct stat_series *next; /* of the family */
    char *labels;
    union {
        struct stat_value value;
        struct stat_histogram histogram;
    };
};

struct stat_family {
    struct stat_family *next;
    enum stat_type type;
    char *name;
    char *help;
    struct stat_series *first;
};

static struct {
    struct stat_family *first;
    unsigned series_count;
} stat_registry;

static struct stat_family *stat_family(enum stat_type type, const char *name, const char *help)
{
    struct stat_family **at = &stat_registry.first;
    for (; *at; at = &(*at)->next) {
        if (strcmp((*at)->name, name) == 0) {
            assert((*at)->type == type);
            return *at;
        }
    }
    *at = mem_new(sizeof(**at));
    (*at)->type = type;
    (*at)->name = mem_text(slice_from(name));
    (*at)->help = mem_text(slice_from(help));
    return *at;
}

static struct stat_series *stat_series(enum stat_type type, const char *name, const char *labels,
                                       const char *help)
{
    struct stat_family *family = stat_family(type, name, help);
    struct stat_series **at = &family->first;
    for (; *at; at = &(*at)->next) {
        if (strcmp((*at)->labels, labels) == 0) {
            return *at;
        }
    }
    assert(stat_registry.series_count < STAT_MAX);
    stat_registry.series_count++;
    *at = mem_new(sizeof(**at));
    (*at)->labels = mem_text(slice_from(labels));
    return *at;
}

struct stat_value *stat_counter(const char *name, const char *labels, const char *help)
{
    return &stat_series(STAT_COUNTER, name, labels, help)->value;
}

struct stat_value *stat_gauge(const char *name, const char *labels, const char *help)
{
    return &stat_series(STAT_GAUGE, name, labels, help)->value;
}

struct stat_histogram *stat_histogram(const char *name, const char *labels, const char *help)
{
    return &stat_series(STAT_HISTOGRAM, name, labels, help)->histogram;
}

void stat_add(struct stat_value *v, int64_t n)
{
    v->n += n;
}

void stat_set(struct stat_value *v, int64_t n)
{
    v->n = n;
}

int64_t stat_get(const struct stat_value *v)
{
    return v->n;
}

void stat_observe_ms(struct stat_histogram *h, double ms)
{
    if (!(ms > 0)) {
        ms = 0; /* a clock that went back, or not a number */
    }
    int i = 0;
    for (double bound = STAT_BUCKET_FIRST_MS; i < STAT_BUCKETS && ms > bound; bound *= 2) {
        i++;
    }
    h->buckets[i]++;
    h->count++;
    h->sum_ms += ms;
}

static void stat_print_value(const struct stat_family *f, const struct stat_series *s,
                             struct buf *out)
{
    const char *open = s->labels[0] ? "{" : "";
    const char *close = s->labels[0] ? "}" : "";
    buf_addf(out, "%s%s%s%s %lld\n", f->name, open, s->labels, close, (long long)s->value.n);
}

static void stat_print_histogram(const struct stat_family *f, const struct stat_series *s,
                                 struct buf *out)
{
    const struct stat_histogram *h = &s->histogram;
    const char *comma = s->labels[0] ? "," : "";
    uint64_t below = 0;
    double bound_ms = STAT_BUCKET_FIRST_MS;
    for (int i = 0; i < STAT_BUCKETS; i++, bound_ms *= 2) {
        below += h->buckets[i];
        buf_addf(out, "%s_bucket{%s%sle=\"%.10g\"} %llu\n", f->name, s->labels, comma,
                 bound_ms / 1000, (unsigned long long)below);
    }
    buf_addf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", f->name, s->labels, comma,
             (unsigned long long)h->count);

    const char *open = s->labels[0] ? "{" : "";
    const char *close = s->labels[0] ? "}" : "";
    buf_addf(out, "%s_sum%s%s%s %.6f\n", f->name, open, s->labels, close, h->sum_ms / 1000);
    buf_addf(out, "%s_count%s%s%s %llu\n", f->name, open, s->labels, close,
             (unsigned long long)h->count);
}

void stat_print(struct buf *out)
{
    for (const struct stat_family *f = stat_registry.first; f; f = f->next) {
        buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name,
                 stat_type_names[f->type]);
        for (const struct stat_series *s = f->first; s; s = s->next) {
            if (f->type == STAT_HISTOGRAM) {
                stat_print_histogram(f, s, out);
            } else {
                stat_print_value(f, s, out);
            }
        }
    }
}
