/* What an error of the server means, by its first words. */
#include <string.h>

#include "idempotency/wire.h"
#include "runtime/err.h"

int redis_error_of(struct slice error)
{
    static const struct {
        struct slice beginning;
        int err;
    } errors[] = {
        /* it is not the one to talk to */
        {SLICE_TEXT("LOADING "), -ERR_STORE_DOWN},    {SLICE_TEXT("READONLY "), -ERR_STORE_DOWN},
        {SLICE_TEXT("MASTERDOWN "), -ERR_STORE_DOWN}, {SLICE_TEXT("NOREPLICAS "), -ERR_STORE_DOWN},
        {SLICE_TEXT("UNBLOCKED "), -ERR_STORE_DOWN},  {SLICE_TEXT("OOM "), -ERR_STORE_FULL},
        {SLICE_TEXT("TOOOLD "), -ERR_TOO_OLD}, /* idempotency/once.lua */
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (error.bytes >= errors[i].beginning.bytes &&
            memcmp(error.data, errors[i].beginning.data, errors[i].beginning.bytes) == 0) {
            return errors[i].err;
        }
    }
    return redis_library_is_missing(error) ? -ERR_STORE_DOWN : -ERR_STORE_REPLY;
}
