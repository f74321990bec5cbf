/* Bytes back into texts. What a head byte says is told in order/paid.lua. */
#include "audit/packed.h"

#include <inttypes.h>
#include <string.h>

#include "audit/record.h"

#define NUMBER_MAX  ((UINT64_C(1) << 53) - 1)
#define RANDOM_SIZE 10 /* of a UUID's bytes, behind the time */
#define ID_MAX      64

enum story { STORY_OTHER = 1, STORY_PLAIN, STORY_RETRIED, STORY_EMPTY };

struct reader {
    const unsigned char *at, *end;
    bool is_broken;
};

static const unsigned char *bytes_read(struct reader *r, size_t count)
{
    const unsigned char *bytes = r->at;
    if ((size_t)(r->end - r->at) < count) {
        r->is_broken = true;
        return NULL;
    }
    r->at += count;
    return bytes;
}

static unsigned byte_read(struct reader *r)
{
    const unsigned char *byte = bytes_read(r, 1);
    return byte != NULL ? *byte : 0;
}

static uint64_t number_read(struct reader *r)
{
    uint64_t number = 0;
    unsigned byte;
    for (unsigned shift = 0; shift < 56; shift += 7) {
        byte = byte_read(r);
        number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            r->is_broken = r->is_broken || number > NUMBER_MAX;
            return number;
        }
    }
    r->is_broken = true;
    return 0;
}

static int64_t signed_read(struct reader *r)
{
    uint64_t number = number_read(r);
    return number % 2 == 1 ? -(int64_t)(number / 2) - 1 : (int64_t)(number / 2);
}

/* The rest of a number whose head byte has its upper bits. */
static uint64_t head_read(struct reader *r, unsigned head, unsigned bits)
{
    uint64_t number = head & ((1U << bits) - 1);
    unsigned count = head >> bits & 7;
    for (unsigned i = 0; i < count; i++) {
        number = number << 8 | byte_read(r);
        r->is_broken = r->is_broken || number > NUMBER_MAX;
    }
    return number;
}

static void uuid_read(struct reader *r, int64_t ms, struct buf *out, unsigned *ret_inside)
{
    struct record_key key;
    char text[37];
    const unsigned char *random = bytes_read(r, RANDOM_SIZE);
    if (random == NULL || ms < 0 || ms >= INT64_C(1) << 48) {
        r->is_broken = true;
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        key.bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
    }
    memcpy(key.bytes + 6, random, RANDOM_SIZE);
    *ret_inside = (key.bytes[6] >> 4) << 2 | key.bytes[8] >> 6;
    key.bytes[6] = (unsigned char)(0x70 | (key.bytes[6] & 15));
    key.bytes[8] = (unsigned char)(0x80 | (key.bytes[8] & 63));
    record_key_text(&key, text);
    buf_add(out, text, 36);
}

/* Adds an id or a total to `out`. ret_beside: NULL when there is nothing beside it. */
static void text_read(struct reader *r, int64_t base, int sign, struct buf *out,
                      uint64_t *ret_beside)
{
    unsigned head = byte_read(r), inside = 0;
    if (head < 128) {
        uuid_read(r, base - sign * (int64_t)head_read(r, head, 4), out, &inside);
    } else if (head < 192) {
        buf_addf(out, "%" PRIu64, head_read(r, head, 3));
    } else {
        const unsigned char *text = bytes_read(r, head - 191);
        buf_add(out, text != NULL ? (const char *)text : "", text != NULL ? head - 191 : 0);
    }
    if (ret_beside != NULL) {
        *ret_beside = inside != 0 ? inside : number_read(r);
    } else if (inside != 0) {
        r->is_broken = true;
    }
}

static int64_t uuid_ms(struct slice text)
{
    struct record_key key;
    bool is_ours = record_key_parse(text, &key) && key.bytes[6] >> 4 == 7 && key.bytes[8] >> 6 == 2;
    return is_ours ? record_key_ms(&key) : 0;
}

static void story_skip(struct reader *r, uint64_t kind)
{
    switch (kind) {
    case STORY_OTHER:
        for (int i = 0; i < 2; i++) {
            bytes_read(r, number_read(r));
        }
        break;
    case STORY_RETRIED:
    case STORY_PLAIN:
        signed_read(r);
        signed_read(r);
        if (kind == STORY_RETRIED) {
            number_read(r);
        }
        break;
    case STORY_EMPTY:
        signed_read(r);
        break;
    default:
        r->is_broken = true;
    }
}

static void name_read(struct reader *r, struct slice name, struct buf *out)
{
    struct record_key key;
    char text[37];
    if (name.bytes == sizeof(key)) {
        memcpy(key.bytes, name.data, sizeof(key));
        record_key_text(&key, text);
        buf_add(out, text, 36);
        r->is_broken = r->is_broken || uuid_ms(slice_from(text)) == 0;
        return;
    }
    size_t front = 0;
    while (front < name.bytes && name.data[front] == '=') {
        front++;
    }
    buf_add(out, name.data + front, name.bytes - front);
    r->is_broken = r->is_broken || name.bytes == front;
}

static void lines_read(struct reader *r, int64_t made, struct buf *out)
{
    bool is_first = true;
    while (r->at < r->end && !r->is_broken) {
        uint64_t pieces;
        buf_add_text(out, is_first ? "" : ",");
        text_read(r, made, 1, out, &pieces);
        buf_addf(out, "*%" PRIu64, pieces);
        is_first = false;
    }
}

bool packed_read(struct slice name, struct slice value, struct packed_order *ret_order)
{
    enum { ORDER, SAGA, USER, ATTEMPT, TOTAL, LINES, TEXTS };
    struct reader r = {.at = (const unsigned char *)value.data};
    struct buf *texts = &ret_order->texts;
    size_t end[TEXTS];
    uint64_t kind, attempt;
    r.end = r.at + value.bytes;
    buf_reset(texts);
    name_read(&r, name, texts);
    end[ORDER] = texts->bytes;
    text_read(&r, uuid_ms(buf_slice(texts)), -1, texts, &kind);
    end[SAGA] = texts->bytes;
    int64_t made = uuid_ms((struct slice){texts->data + end[ORDER], end[SAGA] - end[ORDER]});
    story_skip(&r, kind);
    text_read(&r, made, 1, texts, &attempt);
    end[USER] = texts->bytes;
    buf_addf(texts, "%" PRIu64, attempt);
    end[ATTEMPT] = texts->bytes;
    text_read(&r, 0, 1, texts, NULL);
    end[TOTAL] = texts->bytes;
    lines_read(&r, made, texts);
    end[LINES] = texts->bytes;
    struct slice *const slices[TEXTS] = {&ret_order->order,   &ret_order->saga,  &ret_order->user,
                                         &ret_order->attempt, &ret_order->total, &ret_order->lines};
    for (unsigned i = 0, begin = 0; i < TEXTS; begin = (unsigned)end[i++]) {
        *slices[i] = (struct slice){texts->data + begin, end[i] - begin};
    }
    return !r.is_broken;
}

uint64_t packed_bucket(struct slice name, uint64_t buckets)
{
    uint64_t hash = 0, round = 1;
    for (size_t i = 0; i < name.bytes; i++) {
        hash = (hash * 1000003 + (unsigned char)name.data[i]) % UINT64_C(4294967291);
    }
    hash = hash * 1000003 % UINT64_C(4294967291);
    while (round * 2 <= buckets) {
        round *= 2;
    }
    uint64_t bucket = hash % (round * 2);
    return bucket < buckets ? bucket : bucket - round;
}
