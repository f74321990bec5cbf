/* Any bytes as the body of an AMQP message or a notice. What is accepted can be written again, and
 * reads as the same. */
#include "test/fuzz/fuzz.h"

#include <string.h>

#include "catalogue/message.h"
#include "runtime/err.h"

static void message_check_same(const struct message *a, const struct message *b)
{
    assert(a->type == b->type && a->has == b->has);
#define SAME_ID(field)       assert(slice_equal(a->field, b->field));
#define SAME_COMMAND(field)  SAME_ID(field)
#define SAME_LINES(field)    SAME_ID(field)
#define SAME_TEXT(field)     SAME_ID(field)
#define SAME_VALUE(field)    SAME_ID(field)
#define SAME_INT(field)      assert(a->field == b->field);
#define X(kind, field, what) SAME_##kind(field)
    MESSAGE_FIELDS(X)
#undef X
}

static void envelope_check(const struct envelope *read)
{
    struct buf body = {0};
    struct envelope *again;
    const char *detail = "";
    struct envelope_head table = {0};
    for (unsigned i = 0; i < envelope_count(read); i++) {
        envelope_add(&message_schema, &body, &table, envelope_at(read, i));
    }
    envelope_end(&body);
    int err = envelope_read(&message_schema, buf_slice(&body), &again, &detail);
    assert(err == 0);
    assert(envelope_count(again) == envelope_count(read));
    for (unsigned i = 0; i < envelope_count(read); i++) {
        message_check_same(envelope_at(read, i), envelope_at(again, i));
    }
    envelope_free(again);
    buf_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct envelope *envelope = NULL;
    const char *detail = NULL;
    int err = envelope_read(&message_schema, fuzz_slice(data, size), &envelope, &detail);
    if (err != 0) {
        assert(envelope == NULL && detail != NULL);
        assert(err_disposition(err) == ERR_POISON || err_disposition(err) == ERR_LATER);
        return 0;
    }
    assert(envelope_count(envelope) > 0);
    envelope_check(envelope);
    envelope_free(envelope);
    return 0;
}
