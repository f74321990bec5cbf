/* The keys of the stores: one table for C, for the function libraries and for the audit. It
 * includes nothing, so any room above the mechanism may include it.
 *
 *   C     KEY.order_order, an array of char         "order:order:"
 *   Lua   KEY.order_order, which deploy/embed.sh replaces by 'order:order:'
 * What lies under each: docs/protocol.md, "Keys in the store". */
#ifndef KASSA_CATALOGUE_NAMES_H
#define KASSA_CATALOGUE_NAMES_H

/* X(name, text, what follows it): the keys that one service or room has. */
#define NAMES_KEYS(X)                                                                              \
    X(order_order, "order:order:", "an order's id")                                                \
    X(order_paid, "order:paid", "")                                                                \
    X(order_paid_bucket, "order:paid:", "the number of a bucket of packed orders")                 \
    X(order_open, "order:open", "")                                                                \
    X(order_once, "order:once:", "a bucket of records")                                            \
    X(order_recent, "order:recent", "")                                                            \
    X(stock_item, "stock:item:", "an item's id")                                                   \
    X(payment_user, "payment:user:", "a user's id")                                                \
    X(kassa_keep, "kassa:keep", "")                                                                \
    X(kassa_short, "kassa:short:", "a service")                                                    \
    X(kassa_copy, "kassa:copy", "")                                                                \
    X(kassa_days, "kassa:keys:day", "")                                                            \
    X(kassa_day, "kassa:keys:day:", "a day and a slot")                                            \
    X(kassa_weeks, "kassa:keys:from", "")                                                          \
    X(kassa_week, "kassa:keys:", "a week and a slot")

/* X(name, text, what follows it): keys that each service has, behind its name; those of the store
 * of the Idempotency-Keys are behind kassa. */
#define NAMES_PARTS(X)                                                                             \
    X(once, ":once:", "a bucket of records")                                                       \
    X(kept, ":kept:", "a bucket of those that a client's key stands for")                          \
    X(buckets, ":buckets", "")                                                                     \
    X(kept_buckets, ":kept:buckets", "")                                                           \
    X(floor, ":floor", "")                                                                         \
    X(kept_floor, ":kept:floor", "")                                                               \
    X(clock, ":clock", "")                                                                         \
    X(folded, ":folded", "")                                                                       \
    X(unfolded, ":unfolded", "")                                                                   \
    X(open, ":open", "")                                                                           \
    X(replay, ":replay:", "a participant")                                                         \
    X(replays, ":replays", "")                                                                     \
    X(run, ":run", "")                                                                             \
    X(pulse, ":pulse:", "a process")                                                               \
    X(schema, ":schema", "")                                                                       \
    X(libraries, ":libraries", "")                                                                 \
    X(readers, ":readers", "")

#define NAMES_FIELD(name, text, what) char name[sizeof(text)];
#define NAMES_TEXT(name, text, what)  text,

static const struct {
    NAMES_KEYS(NAMES_FIELD)
} KEY = {NAMES_KEYS(NAMES_TEXT)};

static const struct {
    NAMES_PARTS(NAMES_FIELD)
} PART = {NAMES_PARTS(NAMES_TEXT)};

#endif
