/* A paid order as order/paid.lua packs it, taken apart once more, and strictly: by another hand
 * than the one that packs it. Pure. Source: order/paid.lua; protocol.md, "Keys in the store". */
#ifndef KASSA_AUDIT_PACKED_H
#define KASSA_AUDIT_PACKED_H

#include "runtime/buf.h"

/* Its slices are of `texts`. Owns: texts, which the next packed_read uses again. */
struct packed_order {
    struct buf texts;
    struct slice order, saga, attempt, user, total, lines;
};

/* `name` is the field, `value` what it has. Errors: false for what order/paid.lua does not write.
 */
bool packed_read(struct slice name, struct slice value, struct packed_order *ret_order);

/* The bucket, of so many, in which a field is looked for. */
uint64_t packed_bucket(struct slice name, uint64_t buckets);

#endif
