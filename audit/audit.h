/* The audit: everything in the stores is read once, what is in motion again, and checked.
 *
 *   stores -> reading -> book -> check -> report
 * It writes nothing and takes no part in the system: it may run at any time, or with nothing but
 * the stores up. Source: docs/operations.md, "The audit". */
#ifndef KASSA_AUDIT_AUDIT_H
#define KASSA_AUDIT_AUDIT_H

#include "runtime/buf.h"
#include "runtime/conf.h"

/* What of the configuration it reads, for conf_load. */
extern const struct conf_table *const audit_tables[];

enum audit_verdict { AUDIT_CLEAN = 0, AUDIT_VIOLATIONS = 1, AUDIT_FAILED = 2 };

struct audit_options {
    bool is_json;
    bool is_progress; /* on standard error */
    bool is_report;   /* result: the text is a report; else one sentence that says what failed */
};

/* AUDIT_FAILED with a report: something stayed in motion and could not be decided. */
enum audit_verdict audit_stores(const struct conf *conf, struct audit_options *options,
                                struct buf *ret_text);

#endif
