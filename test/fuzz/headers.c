/* Any text as Idempotency-Key, as Prefer, as an id, as an amount. */
#include "test/fuzz/fuzz.h"

#include <string.h>
#include <strings.h>

#include "gateway/front.h"
#include "gateway/prefer.h"
#include "gateway/routes.h"
#include "idempotency/key.h"
#include "idempotency/once.h"

static void key_check(struct slice header)
{
    struct slice key = {0};
    if (key_parse(header, &key)) {
        assert(slice_is_id(key) && key.bytes >= KEY_BYTES_MIN && key.bytes <= KEY_BYTES_MAX);
        assert(key.data >= header.data && key.data + key.bytes <= header.data + header.bytes);
        struct slice again;
        assert(key_parse(key, &again) && slice_equal(key, again));
    } else {
        assert(key.data == NULL);
    }
}

/* Whoever wants no parking never gets a 202: only the token itself counts. */
static void prefer_check(struct slice header)
{
    if (prefer_async(header)) {
        char text[4096];
        assert(header.bytes >= strlen("respond-async"));
        if (header.bytes < sizeof(text)) {
            for (size_t i = 0; i < header.bytes; i++) {
                text[i] = header.data[i] != '\0' ? header.data[i] : '?';
            }
            text[header.bytes] = '\0';
            assert(strcasestr(text, "respond-async") != NULL);
        }
    }
}

static void front_check(struct slice header)
{
    struct front front = {.made_ms = -1};
    if (front_read(header, &front)) {
        int64_t wall_ms;
        assert(front.key.data + front.key.bytes == header.data + header.bytes);
        assert(uuid_time_ms(slice_from(front_id(&front, false).text), &wall_ms));
        assert(wall_ms == front.made_ms);
    } else {
        assert(front.made_ms == -1);
    }
}

static void amount_check(struct slice text)
{
    int64_t amount = -1;
    if (route_amount(text, &amount)) {
        assert(amount >= 0);
        struct slice whole, rest = text;
        int64_t same = -1;
        slice_cut(&rest, '.', &whole);
        assert(slice_int64(whole, &same) && same == amount);
    } else {
        assert(amount == -1);
    }
}

static void bucket_check(struct slice id)
{
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1] = "";
    if (once_bucket(id, bucket) == 0) {
        assert(strspn(bucket, "0123456789abcdef") == ONCE_BUCKET_TEXT_BYTES);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = fuzz_slice(data, size);
    key_check(text);
    prefer_check(text);
    front_check(text);
    amount_check(text);
    bucket_check(text);
    return 0;
}
