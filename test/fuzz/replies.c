/* Any bytes as what a store sends: through the reader, as the wire feeds it, and each reply
 * through all that reads replies. The first byte says in pieces of how many bytes they arrive. */
#include "test/fuzz/fuzz.h"

#include <string.h>

#include "checkout/begin.h"
#include "idempotency/key.h"
#include "idempotency/once.h"
#include "runtime/uuid.h"
#include "consumer/answer.h"
#include "store/reader.h"

/* Every text lies in memory that is there: the sanitizer looks at each byte of the sum. */
static unsigned slice_touch(struct slice s)
{
    unsigned sum = 0;
    for (size_t i = 0; i < s.bytes; i++) {
        sum += (unsigned char)s.data[i];
    }
    return sum;
}

static void claim_check(struct texts reply)
{
    enum key_claimed claimed;
    struct slice id = {0};
    if (key_claim_read(reply, &claimed, &id) == 0) {
        assert(id.bytes > 0);
        slice_touch(id);
    }
}

static void record_check(struct texts reply)
{
    struct record record = record_of(reply);
    slice_touch(record.outcome);
    for (unsigned i = 0; i < RECORD_DETAILS_MAX; i++) {
        slice_touch(record.detail[i]);
    }
}

static void begun_check(struct slice text)
{
    struct message request = {.type = MESSAGE_ORDER_CHECKOUT};
    struct checkout_begun begun = {0};
    message_set(&request, id, SLICE_TEXT("0193abcd-ef12-7000-8000-000000000001"));
    if (checkout_begun(&request, text, &begun) == 0) {
        assert(begun.command.message.type == MESSAGE_NONE ||
               message_is_valid(&begun.command.message));
        assert(begun.answer.type == MESSAGE_NONE || message_is_valid(&begun.answer));
    }
    saga_outgoing_free(&begun.command);
}

static void journal_check(struct texts reply)
{
    struct journal_record record;
    struct saga_outgoing out = {0};
    for (unsigned n = 0; journal_record_at(&checkout_definition.journal, reply, n, &record); n++) {
        slice_touch(record.outcome);
        const struct slice parts[] = {record.entity, record.saga,    record.attempt, record.state,
                                      record.due_ms, record.retries, record.reason,  record.waiters,
                                      record.story,  record.began_ms};
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            slice_touch(parts[i]);
        }
        for (unsigned i = 0; i < JOURNAL_FROZEN_MAX; i++) {
            slice_touch(record.frozen[i]);
        }
        if (saga_command_due(&checkout_definition, &record, &out) == 0) {
            struct buf text = {0};
            struct envelope_head table = {0};
            envelope_add(&message_schema, &text, &table, &out.message);
            buf_free(&text);
        }
        begun_check(texts_at(reply, n));
        assert(n < 100000);
    }
    saga_outgoing_free(&out);
}

static void reply_check(struct texts reply)
{
    unsigned count = reply.count;
    for (unsigned i = 0; i < count; i++) {
        slice_touch(texts_at(reply, i));
    }
    claim_check(reply);
    record_check(reply);
    journal_check(reply);
    for (unsigned i = 0; i < count; i++) { /* a row's answer, as rows are told theirs */
        struct texts row = texts_row(reply, i);
        assert(row.count == 1 && texts_at(row, 1).data == NULL);
        record_check(row);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t piece = (size_t)data[0] + 1;
    struct reader *reader = reader_new();
    struct texts reply;
    bool is_error;
    enum reader_found found = READER_MORE;
    for (size_t at = 1; at < size && found != READER_FAULT; at += piece) {
        size_t bytes = size - at < piece ? size - at : piece;
        reader_feed(reader, (const char *)data + at, bytes);
        while ((found = reader_next(reader, &reply, &is_error)) == READER_REPLY) {
            reply_check(reply);
            if (data[0] % 2 == 0) { /* as one that waits for replicas */
                struct texts_box *box = reader_take(reader);
                reply_check(texts_box_view(box));
                texts_box_free(box);
            }
        }
    }
    assert(found != READER_FAULT || reader_fault(reader)[0] != '\0');
    reader_free(reader);
    return 0;
}
