/* What an audit found, for a person or as one JSON object. */
#ifndef KASSA_AUDIT_REPORT_H
#define KASSA_AUDIT_REPORT_H

#include "audit/check.h"

#define REPORT_FINDINGS_MAX 1000 /* kept; all are counted */
#define REPORT_STUCK_MAX    1000

struct finding {
    enum check check;
    char saga[64];  /* empty: none, or not known */
    char order[72]; /* empty: none, or not known */
    char entity[96];
    char text[96];
    char found[CHECK_DIGITS], wanted[CHECK_DIGITS];
};

struct report_stuck {
    char saga[40];
    char order[72];
    char user[72];
    int64_t credits; /* charged, not refunded */
};

/* What was read of a store. */
struct report_store {
    const char *name, *what; /* "payment", "users" */
    const char *node;
    int64_t entities, records, old_records, buckets;
};

struct report {
    struct report_store stores[3];
    int64_t checked[CHECK_COUNT];
    int64_t violations[CHECK_COUNT];
    int64_t undecided[CHECK_COUNT];
    int64_t sagas, paid, failed, open, gone; /* gone: their orders were made anew by a batch */
    int64_t looks, rounds;                   /* second looks at what was in motion */
    struct finding *findings;
    size_t finding_count;
    struct report_stuck *stuck;
    size_t stuck_kept;
    int64_t stuck_count;
    int64_t took_ms;
};

/* `saga`, `order`, `name` may be absent; what: "user", "command", .. */
void report_add(struct report *r, const struct fault *fault, struct slice saga, struct slice order,
                const char *what, struct slice name);
void report_add_stuck(struct report *r, struct slice saga, struct slice order, struct slice user,
                      int64_t credits);
int64_t report_violations(const struct report *r);
int64_t report_undecided(const struct report *r);
void report_print(const struct report *r, struct buf *out);
void report_print_json(const struct report *r, struct buf *out);
void report_free(struct report *r);

#endif
