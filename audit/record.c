/* Texts of the stores taken apart, strictly: what no function of ours writes is not read. */
#include "audit/record.h"

#include <string.h>

#include "idempotency/once.h"

bool record_key_parse(struct slice text, struct record_key *ret_key)
{
    struct record_key key;
    unsigned n = 0;
    if (text.bytes != 36) {
        return false;
    }
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text.data[i++] != '-') {
                return false;
            }
            continue;
        }
        int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        key.bytes[n++] = (unsigned char)(high << 4 | low);
        i += 2;
    }
    *ret_key = key;
    return true;
}

void record_key_text(const struct record_key *key, char ret_text[37])
{
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *ret_text++ = '-';
        }
        *ret_text++ = "0123456789abcdef"[key->bytes[i] >> 4];
        *ret_text++ = "0123456789abcdef"[key->bytes[i] & 15];
    }
    *ret_text = '\0';
}

bool record_key_equal(const struct record_key *a, const struct record_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

int64_t record_key_ms(const struct record_key *key)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | key->bytes[i];
    }
    return ms;
}

int64_t record_key_bucket(const struct record_key *key)
{
    return record_key_ms(key) >> ONCE_BUCKET_SHIFT;
}

uint64_t record_hash(struct slice text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < text.bytes; i++) {
        hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(1099511628211);
    }
    hash ^= hash >> 32; /* FNV mixes upwards only */
    return hash * UINT64_C(0x9e3779b97f4a7c15);
}

static bool count_parse(struct slice text, int64_t min, uint32_t *ret_count)
{
    int64_t count;
    if (!slice_int64(text, &count) || count < min || count > UINT32_MAX) {
        return false;
    }
    *ret_count = (uint32_t)count;
    return true;
}

bool record_command_parse(struct slice id, struct record_command *ret_command)
{
    struct record_command command = {.kind = RECORD_PLAIN};
    struct slice rest = id, uuid, second;
    if (!slice_cut(&rest, ':', &uuid) || !record_key_parse(uuid, &command.key)) {
        return false;
    }
    if (rest.data != NULL) {
        uint32_t number;
        if (!slice_cut(&rest, ':', &second) || !count_parse(second, 0, &number)) {
            return false;
        }
        command.attempt = number;
        if (rest.data == NULL) {
            command.kind = RECORD_CHUNK;
            command.attempt = 0;
        } else if (number == 0) {
            return false;
        } else if (slice_is(rest, "charge")) {
            command.kind = RECORD_CHARGE;
        } else if (slice_is(rest, "charge-undo")) {
            command.kind = RECORD_REFUND;
        } else if (slice_is(rest, "take")) {
            command.kind = RECORD_TAKE;
        } else {
            return false;
        }
    }
    *ret_command = command;
    return true;
}

/* Answers that no effect stands behind, or one that the books have in `funded` or `added`. */
static bool is_without_effect(struct slice outcome)
{
    return slice_is(outcome, "created") || slice_is(outcome, "unknown") ||
           slice_is(outcome, "user") || slice_is(outcome, "item") || slice_is(outcome, "order") ||
           slice_is(outcome, "conflict") || slice_is(outcome, "far");
}

bool record_payment_parse(struct slice record, struct record_payment *ret_payment)
{
    struct record_payment p = {.outcome = OUTCOME_DONE};
    struct slice rest = record, outcome, amount;
    if (!slice_cut(&rest, '|', &outcome)) {
        return false;
    }
    struct slice tail = rest;
    p.is_refund = slice_is(outcome, "refunded");
    p.is_payment = slice_is(outcome, "paid");
    if (p.is_refund && rest.data == NULL) {
        p.outcome = OUTCOME_REFUSED;
    } else if (p.is_refund || p.is_payment || slice_is(outcome, "charged")) {
        if (!slice_cut(&rest, '|', &p.user) || !slice_cut(&rest, '|', &amount) ||
            !slice_cut(&rest, '|', &p.gen) || !slice_int64(amount, &p.amount) || p.amount < 0) {
            return false;
        }
        p.tail = record_hash(tail);
    } else if (slice_is(outcome, "refused")) {
        p.outcome = OUTCOME_REFUSED;
    } else if (slice_is(outcome, "cancelled")) {
        p.outcome = OUTCOME_CANCELLED;
    } else if (is_without_effect(outcome)) {
        p.outcome = OUTCOME_OTHER;
    } else {
        return false;
    }
    *ret_payment = p;
    return true;
}

bool record_stock_parse(struct slice record, struct record_stock *ret_stock)
{
    struct record_stock s = {.outcome = OUTCOME_DONE};
    struct slice rest = record, outcome;
    if (!slice_cut(&rest, '|', &outcome)) {
        return false;
    }
    s.is_subtract = slice_is(outcome, "subtracted");
    if (s.is_subtract || slice_is(outcome, "taken")) {
        struct slice item, gen;
        int64_t pieces;
        if (!slice_cut(&rest, '|', &s.lines)) {
            return false;
        }
        struct slice lines = s.lines;
        while (record_taken_next(&lines, &item, &pieces, &gen)) {
        }
        if (lines.data != NULL) {
            return false;
        }
    } else if (slice_is(outcome, "refused")) {
        s.outcome = OUTCOME_REFUSED;
    } else if (slice_is(outcome, "cancelled")) {
        s.outcome = OUTCOME_CANCELLED;
    } else if (is_without_effect(outcome)) {
        s.outcome = OUTCOME_OTHER;
    } else {
        return false;
    }
    *ret_stock = s;
    return true;
}

/* A line that cannot be read is left in *rest. */
bool record_taken_next(struct slice *rest, struct slice *ret_item, int64_t *ret_pieces,
                       struct slice *ret_gen)
{
    struct slice ahead = *rest, line, item, pieces;
    if (!slice_cut(&ahead, ',', &line) || !slice_cut(&line, '*', &item) ||
        !slice_cut(&line, '*', &pieces) || line.data == NULL || item.bytes == 0 ||
        !slice_int64(pieces, ret_pieces) || *ret_pieces < 0) {
        return false;
    }
    *ret_item = item;
    *ret_gen = line;
    *rest = ahead;
    return true;
}

bool record_line_next(struct slice *rest, struct slice *ret_item, int64_t *ret_pieces)
{
    struct slice ahead = *rest, line, item;
    if (!slice_cut(&ahead, ',', &line) || !slice_cut(&line, '*', &item) || item.bytes == 0 ||
        !slice_int64(line, ret_pieces) || *ret_pieces < 0) {
        return false;
    }
    *ret_item = item;
    *rest = ahead;
    return true;
}

bool record_order_parse(struct slice record, struct record_order *ret_order)
{
    struct record_order o = {.kind = ORDER_OTHER};
    struct slice rest = record, outcome;
    if (!slice_cut(&rest, '|', &outcome)) {
        return false;
    }
    if (slice_is(outcome, "begun")) {
        o.kind = ORDER_BEGUN;
        if (!slice_cut(&rest, '|', &o.order) || !slice_cut(&rest, '|', &o.saga)) {
            return false;
        }
    } else if (slice_is(outcome, "ended")) {
        o.kind = ORDER_ENDED;
        struct slice head[3];
        slice_cut(&rest, '|', &o.order);
        record_journal_cut(rest, head);
        o.saga = head[0];
        o.attempt = head[1];
        o.state = head[2];
        if (o.state.data == NULL) {
            return false;
        }
    } else if (!is_without_effect(outcome) && !slice_is(outcome, "refused")) {
        return false;
    }
    *ret_order = o;
    return true;
}

void record_journal_cut(struct slice journal, struct slice ret_head[3])
{
    struct slice part;
    unsigned count = 0;
    ret_head[0] = ret_head[1] = ret_head[2] = (struct slice){NULL, 0};
    for (; journal.data != NULL && slice_cut(&journal, '|', &part); count++) {
        if (count < 3) {
            ret_head[count] = part;
        }
    }
    if (count != JOURNAL_PARTS) {
        ret_head[0] = ret_head[1] = ret_head[2] = (struct slice){NULL, 0};
    }
}

static const struct {
    const char *text;
    bool is_open;
} states[STATE_COUNT] = {[STATE_NONE] = {"unknown", false},
                         [STATE_GONE] = {"PAID, and its order made anew by a batch", false},
#define X(state, charge, take, is_open) [STATE_##state] = {#state, is_open},
                         RECORD_STATES(X)
#undef X
};

enum record_state record_state_parse(struct slice state)
{
    for (int i = STATE_NONE + 1; i < STATE_GONE; i++) {
        if (slice_is(state, states[i].text)) {
            return (enum record_state)i;
        }
    }
    return STATE_NONE;
}

const char *record_state_text(enum record_state state)
{
    return states[state].text;
}

bool record_state_is_open(enum record_state state)
{
    return states[state].is_open;
}
