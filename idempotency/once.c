/* Where the record of a command lies: the bucket is a function of the time in the command id, so
 * every repetition of a command, by whomever, looks into the same one. */
#include "idempotency/once.h"

#include <stdio.h>

#include "catalogue/names.h"
#include "runtime/err.h"
#include "runtime/uuid.h"

#define KEPT_SPARE_MS  3600000
#define NEVER_SPARE_MS 60000

int once_bucket(struct slice command_id, char ret_bucket[ONCE_BUCKET_TEXT_BYTES + 1])
{
    int64_t made_ms;
    if (!uuid_time_ms(command_id, &made_ms)) {
        return -ERR_FIELD;
    }
    /* Printed from the number, so that A and a do not name two buckets. */
    uint64_t bucket = (uint64_t)once_bucket_number(made_ms);
    for (unsigned i = ONCE_BUCKET_TEXT_BYTES; i-- > 0; bucket >>= 4) {
        ret_bucket[i] = "0123456789abcdef"[bucket & 15];
    }
    ret_bucket[ONCE_BUCKET_TEXT_BYTES] = '\0';
    return 0;
}

struct once_life once_life(const struct once_conf *conf, bool is_tight)
{
    int64_t ms = 1000 * conf->records_s;
    int64_t key_ms = INT64_C(86400000) * conf->idempotency_days;
    return (struct once_life){
        .ms = is_tight ? ONCE_LIFE_LEAST_MS : ms,
        /* As long as the key at least, which goes by another clock; and no shorter than the rest.
         */
        .kept_ms = key_ms + KEPT_SPARE_MS > ms ? key_ms + KEPT_SPARE_MS : ms,
    };
}

bool once_floor(struct slice error, int64_t *ret_floor_ms)
{
    struct slice word;
    return slice_cut(&error, ' ', &word) && slice_cut(&error, ' ', &word) &&
           slice_int64(word, ret_floor_ms);
}

bool once_never_acted(const struct once_conf *conf, struct slice command_id, int64_t floor_ms,
                      int64_t elapsed_ms)
{
    int64_t made_ms, jump_ms = once_life(conf, false).ms - ONCE_LIFE_LEAST_MS;
    return uuid_time_ms(command_id, &made_ms) &&
           made_ms + jump_ms + 2 * elapsed_ms + NEVER_SPARE_MS < floor_ms;
}

void once_sweep(struct args *c, const struct library *library, struct once_life life,
                const char *keep, const char *seen, int64_t rise_ms, int64_t limit,
                const char *cursor)
{
    char name[32];
    snprintf(name, sizeof(name), "%s_sweep", library->name);
    library_call(c, library, name, 1);
    args_join(c, library->name, SLICE_TEXT(PART.buckets));
    args_int(c, life.ms);
    args_text(c, keep);
    args_text(c, seen);
    args_int(c, rise_ms);
    args_int(c, limit);
    args_text(c, cursor);
    args_int(c, life.kept_ms);
}

int64_t once_bucket_number(int64_t ms)
{
    return ms >> ONCE_BUCKET_SHIFT;
}
