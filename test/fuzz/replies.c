/* Any bytes as what a store sends: through hiredis' reader, as the wire feeds it, and each reply
 * through all that reads replies. The first byte says in pieces of how many bytes they arrive. */
#include "test/fuzz/fuzz.h"

#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#include <string.h>

#include "checkout/begin.h"
#include "idempotency/key.h"
#include "idempotency/once.h"
#include "idempotency/rows.h"
#include "idempotency/wire.h"
#include "runtime/uuid.h"
#include "saga/answer.h"

/* Every text lies in memory that is there: the sanitizer looks at each byte of the sum. */
static unsigned slice_touch(struct slice s)
{
    unsigned sum = 0;
    for (size_t i = 0; i < s.bytes; i++) {
        sum += (unsigned char)s.data[i];
    }
    return sum;
}

static void claim_check(const struct redis_reply *reply)
{
    enum key_claimed claimed;
    struct slice id = {0};
    if (key_claim_read(reply, &claimed, &id) == 0) {
        assert(id.bytes > 0);
        slice_touch(id);
    }
}

static void record_check(const struct redis_reply *reply)
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
    struct checkout_begun begun;
    struct buf id = {0}, other = {0};
    message_set(&request, id, SLICE_TEXT("0193abcd-ef12-7000-8000-000000000001"));
    if (checkout_begun(&request, text, &id, &other, &begun) == 0) {
        assert(begun.command.type == MESSAGE_NONE || message_is_valid(&begun.command));
        assert(begun.answer.type == MESSAGE_NONE || message_is_valid(&begun.answer));
    }
    buf_free(&id);
    buf_free(&other);
}

static void journal_check(const struct redis_reply *reply)
{
    struct journal_record record;
    struct message command;
    enum topology_queue queue;
    struct buf id = {0}, undoes = {0};
    for (unsigned n = 0; journal_record_at(&checkout_journal, reply, n, &record); n++) {
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
        memset(&command, 0, sizeof(command));
        buf_reset(&id);
        buf_reset(&undoes);
        if (checkout_command(&record, &id, &undoes, &command, &queue) == 0) {
            struct buf out = {0};
            uint64_t table = 0;
            envelope_add(&out, &table, &command);
            buf_free(&out);
        }
        begun_check(redis_reply_at(reply, n));
        assert(n < 100000);
    }
    buf_free(&id);
    buf_free(&undoes);
}

static void reply_check(const redisReply *answer)
{
    const struct redis_reply *reply = (const struct redis_reply *)answer;
    redis_reply_renew();
    unsigned count = redis_reply_count(reply);
    for (unsigned i = 0; i < count; i++) {
        slice_touch(redis_reply_at(reply, i));
    }
    claim_check(reply);
    record_check(reply);
    journal_check(reply);
    for (unsigned i = 0; i < count; i++) { /* a row's answer, as rows are told theirs */
        redis_reply_show(reply, i, 1);
        assert(redis_reply_count(reply) == 1 && redis_reply_at(reply, 1).data == NULL);
        record_check(reply);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t piece = (size_t)data[0] + 1;
    redisReader *reader = redisReaderCreate();
    assert(reader != NULL);
    void *answer;
    for (size_t at = 1; at < size; at += piece) {
        size_t bytes = size - at < piece ? size - at : piece;
        if (redisReaderFeed(reader, (const char *)data + at, bytes) != REDIS_OK) {
            break;
        }
        while (redisReaderGetReply(reader, &answer) == REDIS_OK && answer != NULL) {
            reply_check(answer);
            freeReplyObject(answer);
        }
        if (reader->err) {
            break;
        }
    }
    redisReaderFree(reader);
    return 0;
}
