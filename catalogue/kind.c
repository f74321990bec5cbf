/* See kind.h. Both ways go through is_valid, so that nothing leaves that the receiver would refuse.
 */
#include "catalogue/kind.h"

#include <string.h>
#include "catalogue/lines.h"
#include "runtime/json.h"

#define KIND_COMMAND_BYTES_MAX 128

static bool kind_id_is_valid(const void *value)
{
    return slice_is_id(*(const struct slice *)value);
}

/* The bytes of a command id. */
static const bool kind_command_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['_'] = true,
    [':'] = true,         ['/'] = true,         ['-'] = true,
};

static bool kind_command_is_valid(const void *value)
{
    const struct slice *s = value;
    return s->bytes > 0 && s->bytes <= KIND_COMMAND_BYTES_MAX &&
           slice_consists_of(*s, kind_command_bytes);
}

static bool kind_lines_is_valid(const void *value)
{
    return lines_are_valid(*(const struct slice *)value);
}

/* Those of a text: printable, and none that JSON escapes but the newline. */
static const bool kind_text_bytes[256] = {
    ['\n'] = true,
    [' ' ... '!'] = true,
    ['#' ... '['] = true,
    [']' ... '~'] = true,
};

static bool kind_text_is_valid(const void *value)
{
    const struct slice *s = value;
    return s->bytes <= KIND_TEXT_MAX && slice_consists_of(*s, kind_text_bytes);
}

/* Bytes of the character at `at`, at most `left`; 0: it is none, or NUL, which json.h refuses.
 * Source: RFC 3629, section 4. */
static size_t kind_utf8(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first_min, first_max, second_min, second_max;
        size_t bytes;
    } rows[] = {
        {0x01, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    size_t row = 0, count = sizeof(rows) / sizeof(rows[0]);
    while (row < count && (*at < rows[row].first_min || *at > rows[row].first_max)) {
        row++;
    }
    if (row == count || rows[row].bytes > left) {
        return 0;
    }
    bool is_one =
        rows[row].bytes == 1 || (at[1] >= rows[row].second_min && at[1] <= rows[row].second_max);
    for (size_t i = 2; i < rows[row].bytes; i++) {
        is_one = is_one && (at[i] & 0xc0) == 0x80;
    }
    return is_one ? rows[row].bytes : 0;
}

static bool kind_value_is_valid(const void *value)
{
    const struct slice *s = value;
    size_t at = 0, bytes = 0;
    while (at < s->bytes &&
           (bytes = kind_utf8((const unsigned char *)s->data + at, s->bytes - at)) > 0) {
        at += bytes;
    }
    return s->bytes <= KIND_VALUE_MAX && at == s->bytes;
}

static bool kind_int_is_valid(const void *value)
{
    return *(const int64_t *)value >= 0;
}

/* What is valid needs no escaping. */
static void kind_slice_write(struct buf *out, const void *value)
{
    struct slice s = *(const struct slice *)value;
    char *at = buf_room(out, s.bytes + 2);
    at[0] = '"';
    if (s.bytes > 0) {
        memcpy(at + 1, s.data, s.bytes);
    }
    at[s.bytes + 1] = '"';
}

/* A text that has to be escaped where JSON says so. */
static void kind_text_write(struct buf *out, const void *value)
{
    json_quote(out, *(const struct slice *)value);
}

static bool kind_slice_read(const struct json *value, void *ret_value)
{
    return json_text(value, ret_value);
}

static void kind_int_write(struct buf *out, const void *value)
{
    buf_add_int(out, *(const int64_t *)value);
}

static bool kind_int_read(const struct json *value, void *ret_value)
{
    return json_int(value, ret_value);
}

const struct envelope_kind kind_ID = {kind_id_is_valid, kind_slice_write, kind_slice_read};
const struct envelope_kind kind_COMMAND = {kind_command_is_valid, kind_slice_write,
                                           kind_slice_read};
const struct envelope_kind kind_LINES = {kind_lines_is_valid, kind_slice_write, kind_slice_read};
const struct envelope_kind kind_TEXT = {kind_text_is_valid, kind_text_write, kind_slice_read};
const struct envelope_kind kind_VALUE = {kind_value_is_valid, kind_text_write, kind_slice_read};
const struct envelope_kind kind_INT = {kind_int_is_valid, kind_int_write, kind_int_read};
