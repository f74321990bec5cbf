/* Counting, and the JSON of it. */
#include "bench/results.h"

#include <stdlib.h>
#include "runtime/json.h"

#define SAMPLE_BODY_MAX 300

static const char *const results_errors[RESULTS_ERRORS] = {"connect", "reset",      "broken",
                                                           "timeout", "unanswered", "unsent"};

void results_right(struct results *r, unsigned kind, double at_s, bool is_in_window)
{
    unsigned second = at_s > 0 ? (unsigned)at_s : 0;
    r->kinds[kind].answers++;
    r->answers++;
    r->kinds[kind].measured += is_in_window;
    r->measured += is_in_window;
    if (second < RESULTS_SERIES_MAX) {
        r->series[second]++;
        r->series_count = second + 1 > r->series_count ? second + 1 : r->series_count;
    }
}

void results_wrong(struct results *r, const char *path, const struct answer *answer)
{
    if (r->wrong < RESULTS_SAMPLES_MAX) {
        struct buf *sample = &r->samples[r->wrong];
        struct slice body = answer->body;
        body.bytes = body.bytes < SAMPLE_BODY_MAX ? body.bytes : SAMPLE_BODY_MAX;
        json_open(sample, NULL, '{');
        json_add_text(sample, "path", slice_from(path));
        json_add_int(sample, "status", answer->status);
        json_add_text(sample, "body", body);
        json_close(sample, '}');
    }
    r->wrong++;
}

bool results_are_good(const struct results *r)
{
    uint64_t bad = r->wrong;
    for (unsigned i = 0; i < RESULTS_ERRORS; i++) {
        bad += r->errors[i];
    }
    return bad == 0 && r->measured > 0;
}

static void print_latency(const struct histogram *h, struct buf *out)
{
    static const struct {
        const char *name;
        double share;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    buf_add_text(out, "{");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_addf(out, "\"%s\":%.3f,", rows[i].name,
                 (double)histogram_quantile(h, rows[i].share) / 1e6);
    }
    buf_addf(out, "\"max\":%.3f}", (double)h->max_ns / 1e6);
}

static void print_kinds(const struct results *r, const struct script *script, struct buf *out)
{
    buf_add_text(out, "\"kinds\":[");
    for (unsigned s = 0; s < script->step_count; s++) {
        for (unsigned e = 0; e < script->steps[s].expect_count; e++) {
            const struct script_expect *expect = &script->steps[s].expects[e];
            const struct results_kind *kind = &r->kinds[expect->kind];
            json_open(out, NULL, '{');
            json_add_text(out, "name", slice_from(expect->name));
            json_add_int(out, "answers", (int64_t)kind->answers);
            json_add_int(out, "measured", (int64_t)kind->measured);
            buf_add_text(out, ",\"latency_ms\":");
            print_latency(&kind->latency, out);
            json_close(out, '}');
        }
    }
    buf_add_text(out, "],");
}

void results_print(const struct results *r, const struct script *script, struct buf *out)
{
    struct histogram *all = mem_new(sizeof(*all));
    for (unsigned i = 0; i < script->kind_count; i++) {
        histogram_merge(all, &r->kinds[i].latency);
    }
    buf_addf(out, "{\"seconds\":%.3f,\"rate\":%.1f,\"measured\":%llu,\"answers\":%llu,",
             r->measured_s, r->measured_s > 0 ? (double)r->measured / r->measured_s : 0,
             (unsigned long long)r->measured, (unsigned long long)r->answers);
    buf_add_text(out, "\"latency_ms\":");
    print_latency(all, out);
    buf_add_text(out, ",");
    print_kinds(r, script, out);
    buf_addf(out, "\"wrong\":%llu,\"samples\":[", (unsigned long long)r->wrong);
    for (unsigned i = 0; i < RESULTS_SAMPLES_MAX && i < r->wrong; i++) {
        buf_addf(out, "%s%s", i > 0 ? "," : "", r->samples[i].data);
    }
    buf_add_text(out, "],\"errors\":{");
    for (unsigned i = 0; i < RESULTS_ERRORS; i++) {
        buf_addf(out, "%s\"%s\":%llu", i > 0 ? "," : "", results_errors[i],
                 (unsigned long long)r->errors[i]);
    }
    buf_add_text(out, "},\"series\":[");
    for (unsigned i = 0; i < r->series_count; i++) {
        buf_addf(out, "%s%u", i > 0 ? "," : "", r->series[i]);
    }
    buf_addf(
        out, "],\"whole_seconds\":%.3f,\"cpu_seconds\":%.3f,\"next\":%llu,\"interrupted\":%s}\n",
        r->whole_s, r->cpu_s, (unsigned long long)r->next, r->is_interrupted ? "true" : "false");
    free(all);
}

void results_free(struct results *r)
{
    for (unsigned i = 0; i < RESULTS_SAMPLES_MAX; i++) {
        buf_free(&r->samples[i]);
    }
}
