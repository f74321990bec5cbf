/* A store with sagas of every kind, as Kassa's own functions leave them, and the audit of it. For
 * the tests of test/live: they make one thing wrong. */
#ifndef KASSA_TEST_AUDITED_H
#define KASSA_TEST_AUDITED_H

#include "audit/audit.h"
#include "test/lib/rig.h"

#define AUDITED_DAY_MS   (INT64_C(24) * 3600 * 1000)
#define AUDITED_SERVICES 3

extern const char *const audited_services[AUDITED_SERVICES];
extern const struct library *const audited_libraries[AUDITED_SERVICES];

/* paid, refunded (out of stock), refused (no credit), begun, and charged (both open). */
enum { PAID, REFUNDED, REFUSED, CHARGING, CHARGED, SAGAS };

extern struct audited {
    struct rig *store;
    char saga[SAGAS][40];
    int64_t now_ms;  /* one for the whole run: a bucket of records lasts only four seconds */
    struct buf text; /* what the last audit said */
} audited;

/* For cmocka, of a group. */
int audited_setup(void **state);
int audited_teardown(void **state);

/* Empties the store, and makes every kind of saga, as the functions leave it. */
void audited_make(void);
/* Of the i-th saga: its order, the command id of a step, the bucket of its records. */
const char *audited_order(int i);
const char *audited_command(int i, const char *step);
const char *audited_bucket(const char *service, int i);
/* What happens to it. */
void audited_begin(int i, const char *user, const char *item, const char *pieces, const char *cost);
void audited_charge(int i, const char *user, const char *amount);
void audited_take(int i, const char *item, const char *pieces);
void audited_refund(int i, const char *user);
void audited_move(int i, const char *from, const char *to);

enum audit_verdict audited_run(void);
void audited_assert_clean(void);
/* One finding names the check, the entity and (unless NULL) the saga. */
void audited_assert_found(const char *check, const char *entity, const char *saga);
#define audited_plant(...) rig_ask(audited.store, __VA_ARGS__)

#endif
