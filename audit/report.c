/* Findings are kept as texts: what they speak of may have moved on when they are printed. */
#include "audit/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A bucket that is read again tells of its records again. */
static bool is_known(const struct report *r, const struct finding *f)
{
    for (size_t i = 0; i < r->finding_count; i++) {
        const struct finding *known = &r->findings[i];
        if (known->check == f->check && strcmp(known->saga, f->saga) == 0 &&
            strcmp(known->entity, f->entity) == 0 && strcmp(known->text, f->text) == 0 &&
            strcmp(known->found, f->found) == 0) {
            return true;
        }
    }
    return false;
}

void report_add(struct report *r, const struct fault *fault, struct slice saga, struct slice order,
                const char *what, struct slice name)
{
    if (r->findings == NULL) {
        r->findings = mem_new(REPORT_FINDINGS_MAX * sizeof(*r->findings));
    }
    if (r->finding_count == REPORT_FINDINGS_MAX) {
        r->violations[fault->check]++;
        return;
    }
    struct finding *f = &r->findings[r->finding_count];
    f->check = fault->check;
    snprintf(f->saga, sizeof(f->saga), "%.*s", SLICE_ARG(saga));
    snprintf(f->order, sizeof(f->order), "%.*s", SLICE_ARG(order));
    snprintf(f->entity, sizeof(f->entity), "%s %.*s", what, SLICE_ARG(name));
    snprintf(f->text, sizeof(f->text), "%s", fault->text);
    check_number(fault->found, f->found);
    check_number(fault->wanted, f->wanted);
    if (!is_known(r, f)) {
        r->violations[fault->check]++;
        r->finding_count++;
    }
}

void report_add_stuck(struct report *r, struct slice saga, struct slice order, struct slice user,
                      int64_t credits)
{
    if (r->stuck == NULL) {
        r->stuck = mem_new(REPORT_STUCK_MAX * sizeof(*r->stuck));
    }
    r->stuck_count++;
    if (r->stuck_kept < REPORT_STUCK_MAX) {
        struct report_stuck *s = &r->stuck[r->stuck_kept++];
        snprintf(s->saga, sizeof(s->saga), "%.*s", SLICE_ARG(saga));
        snprintf(s->order, sizeof(s->order), "%.*s", SLICE_ARG(order));
        snprintf(s->user, sizeof(s->user), "%.*s", SLICE_ARG(user));
        s->credits = credits;
    }
}

static int64_t sum(const int64_t counts[CHECK_COUNT])
{
    int64_t total = 0;
    for (int i = 0; i < CHECK_COUNT; i++) {
        total += counts[i];
    }
    return total;
}

int64_t report_violations(const struct report *r)
{
    return sum(r->violations);
}

int64_t report_undecided(const struct report *r)
{
    return sum(r->undecided);
}

void report_free(struct report *r)
{
    free(r->findings);
    free(r->stuck);
}

/* ---- for a person ---- */

static void print_finding(const struct finding *f, struct buf *out)
{
    buf_addf(out, "%-4s  %s", check_name(f->check), f->entity);
    if (f->saga[0] != '\0') {
        buf_addf(out, "  saga %s", f->saga);
    }
    if (f->order[0] != '\0') {
        buf_addf(out, "  order %s", f->order);
    }
    buf_addf(out, "\n      %s: %s, should be %s\n", f->text, f->found, f->wanted);
}

static void print_verdicts(const struct report *r, struct buf *out)
{
    buf_addf(out, "\n%-6s%10s  %-10s  %s\n", "check", "of", "verdict", "what it proves");
    for (int i = 0; i < CHECK_COUNT; i++) {
        char verdict[64] = "ok";
        if (r->violations[i] > 0) {
            snprintf(verdict, sizeof(verdict), "%" PRId64 " wrong", r->violations[i]);
        } else if (r->undecided[i] > 0) {
            snprintf(verdict, sizeof(verdict), "open");
        }
        buf_addf(out, "%-6s%10" PRId64 "  %-10s  %s\n", check_name((enum check)i), r->checked[i],
                 verdict, check_what((enum check)i));
        if (r->undecided[i] > 0) {
            buf_addf(out, "%-6s%10" PRId64 "  not decided: in motion at each look\n", "",
                     r->undecided[i]);
        }
    }
}

void report_print(const struct report *r, struct buf *out)
{
    buf_addf(out, "%-9s%-24s%10s %-8s%10s records  %8s buckets\n", "store", "at", "", "", "", "");
    for (int i = 0; i < 3; i++) {
        const struct report_store *s = &r->stores[i];
        buf_addf(out, "%-9s%-24s%10" PRId64 " %-8s%10" PRId64 " records  %8" PRId64 " buckets\n",
                 s->name, s->node, s->entities, s->what, s->records, s->buckets);
    }
    buf_addf(out,
             "sagas: %" PRId64 ", of these PAID %" PRId64 ", FAILED %" PRId64 ", open %" PRId64
             ", of orders made anew by a batch %" PRId64 "\n",
             r->sagas, r->paid, r->failed, r->open, r->gone);
    buf_addf(out,
             "looked at again: %" PRId64 ", in %" PRId64 " rounds; %" PRId64 ".%01" PRId64
             " s in all\n",
             r->looks, r->rounds, r->took_ms / 1000, r->took_ms % 1000 / 100);
    print_verdicts(r, out);
    for (size_t i = 0; i < r->stuck_kept; i++) {
        const struct report_stuck *s = &r->stuck[i];
        buf_addf(out, "%sSTUCK saga %s  order %s  user %s is owed %" PRId64 "\n",
                 i == 0 ? "\n" : "", s->saga, s->order, s->user, s->credits);
    }
    for (size_t i = 0; i < r->finding_count; i++) {
        buf_add_text(out, i == 0 ? "\n" : "");
        print_finding(&r->findings[i], out);
    }
    if (report_violations(r) > (int64_t)r->finding_count) {
        buf_addf(out, "and %" PRId64 " more\n", report_violations(r) - (int64_t)r->finding_count);
    }
    buf_addf(out, "\n%" PRId64 " violations, %" PRId64 " not decided, %" PRId64 " sagas STUCK\n",
             report_violations(r), report_undecided(r), r->stuck_count);
}

/* ---- JSON. Texts are ids and sentences of ours, or come from a store that may be damaged ---- */

static void json_text_add(struct buf *out, const char *text)
{
    buf_add_text(out, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            buf_addf(out, "\\%c", c);
        } else if (c < ' ' || c > '~') {
            buf_addf(out, "\\u%04x", c);
        } else {
            buf_add(out, text, 1);
        }
    }
    buf_add_text(out, "\"");
}

static void json_member(struct buf *out, const char *key, const char *text)
{
    if (out->data[out->bytes - 1] != '{') {
        buf_add_text(out, ",");
    }
    buf_addf(out, "\"%s\":", key);
    json_text_add(out, text);
}

static void json_count(struct buf *out, const char *key, int64_t count)
{
    buf_addf(out, "%s\"%s\":%" PRId64, out->data[out->bytes - 1] != '{' ? "," : "", key, count);
}

static void json_verdicts(const struct report *r, struct buf *out)
{
    for (int i = 0; i < CHECK_COUNT; i++) {
        buf_addf(out, "%s\"%s\":{", i > 0 ? "," : "", check_name((enum check)i));
        json_count(out, "checked", r->checked[i]);
        json_count(out, "violations", r->violations[i]);
        json_count(out, "undecided", r->undecided[i]);
        buf_add_text(out, "}");
    }
}

static void json_findings(const struct report *r, struct buf *out)
{
    for (size_t i = 0; i < r->finding_count; i++) {
        const struct finding *f = &r->findings[i];
        buf_add_text(out, i > 0 ? ",{" : "{");
        json_member(out, "check", check_name(f->check));
        json_member(out, "saga", f->saga);
        json_member(out, "order", f->order);
        json_member(out, "entity", f->entity);
        json_member(out, "what", f->text);
        buf_addf(out, ",\"found\":%s,\"wanted\":%s}", f->found, f->wanted);
    }
}

static void json_stuck(const struct report *r, struct buf *out)
{
    for (size_t i = 0; i < r->stuck_kept; i++) {
        buf_add_text(out, i > 0 ? ",{" : "{");
        json_member(out, "saga", r->stuck[i].saga);
        json_member(out, "order", r->stuck[i].order);
        json_member(out, "user", r->stuck[i].user);
        json_count(out, "credits", r->stuck[i].credits);
        buf_add_text(out, "}");
    }
}

void report_print_json(const struct report *r, struct buf *out)
{
    buf_add_text(out, "{");
    json_count(out, "violations", report_violations(r));
    json_count(out, "undecided", report_undecided(r));
    json_count(out, "stuck", r->stuck_count);
    json_count(out, "took_ms", r->took_ms);
    json_count(out, "looks", r->looks);
    json_count(out, "rounds", r->rounds);
    buf_add_text(out, ",\"sagas\":{");
    json_count(out, "all", r->sagas);
    json_count(out, "paid", r->paid);
    json_count(out, "failed", r->failed);
    json_count(out, "open", r->open);
    json_count(out, "gone", r->gone);
    buf_add_text(out, "},\"stores\":{");
    for (int i = 0; i < 3; i++) {
        const struct report_store *s = &r->stores[i];
        buf_addf(out, "%s\"%s\":{", i > 0 ? "," : "", s->name);
        json_member(out, "node", s->node);
        json_count(out, s->what, s->entities);
        json_count(out, "records", s->records);
        json_count(out, "old_records", s->old_records);
        json_count(out, "buckets", s->buckets);
        buf_add_text(out, "}");
    }
    buf_add_text(out, "},\"checks\":{");
    json_verdicts(r, out);
    buf_add_text(out, "},\"found\":[");
    json_findings(r, out);
    buf_add_text(out, "],\"sagas_stuck\":[");
    json_stuck(r, out);
    buf_add_text(out, "]}\n");
}
