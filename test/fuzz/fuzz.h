/* What a fuzz target is: one function that takes any bytes and must neither crash nor break the
 * rules it checks. libFuzzer calls it with bytes of its own making (clang, VARIANT=fuzz);
 * replay.c calls it with the files of test/fuzz/corpus/<target> (gcc, with the unit tests). */
#ifndef KASSA_TEST_FUZZ_H
#define KASSA_TEST_FUZZ_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct slice fuzz_slice(const uint8_t *data, size_t size)
{
    return (struct slice){(const char *)data, size};
}

/* A sentence that goes to a client or to the terminal: short, printable, without quotes that
 * JSON would have to escape. */
static inline void fuzz_check_sentence(struct slice s, size_t bytes_max)
{
    assert(s.bytes > 0 && s.bytes <= bytes_max);
    for (size_t i = 0; i < s.bytes; i++) {
        assert(s.data[i] >= ' ' && s.data[i] <= '~');
    }
}

#endif
