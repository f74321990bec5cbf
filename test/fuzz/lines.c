/* Any text as the lines of an order. What is valid can be walked to its end, and each line is an
 * item once, in a quantity that Lua carries exactly. */
#include "test/fuzz/fuzz.h"

#include "catalogue/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice lines = fuzz_slice(data, size), rest = lines, item;
    struct slice seen[LINES_MAX];
    unsigned count = 0;
    int64_t quantity;
    bool is_valid = lines_are_valid(lines);
    while (lines_next(&rest, &item, &quantity)) {
        assert(slice_is_id(item));
        assert(quantity >= 1 && quantity < INT64_C(1) << 53);
        assert(item.data >= lines.data && item.data + item.bytes <= lines.data + lines.bytes);
        if (is_valid) {
            assert(count < LINES_MAX);
            for (unsigned i = 0; i < count; i++) {
                assert(!slice_equal(seen[i], item));
            }
            seen[count++] = item;
        }
    }
    assert(!is_valid || rest.bytes == 0);
    return 0;
}
