/* JSON: reading over json-c, as the only includer of its headers; writing as text.
 *
 *   text --> json_scan: what json-c lets pass --> json-c, strict --> json_count_members --> value
 *
 * Even in its strict mode json-c 0.16 accepts NaN and Infinity, saturates integers that are too
 * large, keeps the last of two members of one name without a word, and cuts a member's name at
 * an escaped NUL. Two readers who resolve these differently are a way around every check behind
 * them, so such a text is refused here. */
#include "runtime/json.h"

#include <assert.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH_MAX  16
#define JSON_NUMBER_MAX 64 /* bytes; more digits than this carry no value */

/* `struct json` is never defined: it is json-c's object, seen from outside. json-c has no const
 * in its getters although they only read. */
static struct json_object *json_inner(const struct json *j)
{
    return (struct json_object *)j;
}

static bool json_is(const struct json *j, enum json_type type)
{
    return j && json_object_is_type(json_inner(j), type);
}

/* ---- reading ---- */

struct json_scan {
    const char *at;
    const char *end;
    unsigned depth;
    size_t members; /* colons outside of strings */
    bool has_more_than_ascii;
};

/* In a string: those that mean nothing but themselves. */
static const bool json_plain_bytes[256] = {
    [' ' ... '!'] = true,
    ['#' ... '['] = true,
    [']' ... '\x7f'] = true,
};

static bool json_scan_string(struct json_scan *s)
{
    for (s->at++; s->at < s->end; s->at++) {
        while (s->at < s->end && json_plain_bytes[(unsigned char)*s->at]) {
            s->at++;
        }
        if (s->at == s->end) {
            return false;
        }
        unsigned char c = (unsigned char)*s->at;
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < ' ') {
            return false;
        }
        if (c != '\\') {
            s->has_more_than_ascii = true;
            continue;
        }
        if (s->end - s->at > 5 && memcmp(s->at, "\\u0000", 6) == 0) {
            return false;
        }
        s->at++;
    }
    return false;
}

static bool json_is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *json_skip_digits(const char *at, const char *end)
{
    while (json_is_digit(at, end)) {
        at++;
    }
    return at;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? and within int64 or double. */
static bool json_scan_number(struct json_scan *s)
{
    const char *at = s->at + (*s->at == '-');
    if (!json_is_digit(at, s->end) || (*at == '0' && json_is_digit(at + 1, s->end))) {
        return false;
    }
    at = json_skip_digits(at, s->end);
    bool is_whole = true;
    if (at < s->end && *at == '.') {
        is_whole = false;
        if (!json_is_digit(++at, s->end)) {
            return false;
        }
        at = json_skip_digits(at, s->end);
    }
    if (at < s->end && (*at == 'e' || *at == 'E')) {
        is_whole = false;
        at++;
        at += at < s->end && (*at == '+' || *at == '-');
        if (!json_is_digit(at, s->end)) {
            return false;
        }
        at = json_skip_digits(at, s->end);
    }
    struct slice number = {s->at, (size_t)(at - s->at)};
    s->at = at;
    int64_t ignored;
    if (is_whole) {
        return slice_int64(number, &ignored);
    }
    char text[JSON_NUMBER_MAX + 1];
    if (number.bytes > JSON_NUMBER_MAX) {
        return false;
    }
    memcpy(text, number.data, number.bytes);
    text[number.bytes] = '\0';
    return isfinite(strtod(text, NULL));
}

/* One token. The grammar is json-c's business; this only looks at what it is lax about. */
static bool json_scan_token(struct json_scan *s)
{
    switch (*s->at) {
    case '"':
        return json_scan_string(s);
    case '{':
    case '[':
        s->depth++;
        s->at++;
        return s->depth <= JSON_DEPTH_MAX;
    case '}':
    case ']':
        s->at++;
        return s->depth-- > 0;
    case ':':
        s->members++;
        s->at++;
        return true;
    default:
        if (*s->at == '-' || json_is_digit(s->at, s->end)) {
            return json_scan_number(s);
        }
        /* White space, commas, and the letters of true, false and null. */
        return *s->at && strchr(" \t\r\n,truefalsenull", *s->at++);
    }
}

static bool json_scan(struct json_scan *s)
{
    while (s->at < s->end) {
        if (!json_scan_token(s)) {
            return false;
        }
    }
    return s->depth == 0;
}

/* Of `o` and below. It stops at `most`: a large array behind the last object is not walked through.
 */
static size_t json_count_members(struct json_object *o, size_t most)
{
    size_t count = 0;
    if (json_object_is_type(o, json_type_object)) {
        count = (size_t)json_object_object_length(o);
        struct json_object_iterator end = json_object_iter_end(o);
        for (struct json_object_iterator it = json_object_iter_begin(o);
             count < most && !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
            count += json_count_members(json_object_iter_peek_value(&it), most - count);
        }
    } else if (json_object_is_type(o, json_type_array)) {
        for (size_t i = 0; count < most && i < json_object_array_length(o); i++) {
            count += json_count_members(json_object_array_get_idx(o, i), most - count);
        }
    }
    return count;
}

static struct slice json_trim(struct slice text)
{
    while (text.bytes > 0 && strchr(" \t\r\n", text.data[0]) && text.data[0]) {
        text = (struct slice){text.data + 1, text.bytes - 1};
    }
    while (text.bytes > 0 && strchr(" \t\r\n", text.data[text.bytes - 1]) &&
           text.data[text.bytes - 1]) {
        text.bytes--;
    }
    return text;
}

/* One for the process: making one costs more than parsing a short text. */
static struct json_tokener *json_parser;

static struct json_tokener *json_parser_ready(void)
{
    if (!json_parser) {
        json_parser = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
        assert(json_parser);
    }
    json_tokener_reset(json_parser);
    return json_parser;
}

struct json *json_parse(struct slice text)
{
    struct json_tokener *tokener = json_parser_ready();
    text = json_trim(text);
    struct json_scan scan = {.at = text.data, .end = text.data + text.bytes};
    if (text.bytes == 0 || text.bytes > INT_MAX || !json_scan(&scan)) {
        return NULL;
    }
    json_tokener_set_flags(tokener, scan.has_more_than_ascii
                                        ? JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8
                                        : JSON_TOKENER_STRICT); /* it looks at each byte anew */
    struct json_object *o = json_tokener_parse_ex(tokener, text.data, (int)text.bytes);
    if (json_tokener_get_error(tokener) == json_tokener_continue) {
        o = json_tokener_parse_ex(tokener, "", 1); /* the end: a bare number does not show it */
    } else if (json_tokener_get_parse_end(tokener) != text.bytes) {
        json_object_put(o);
        return NULL;
    }
    if (json_tokener_get_error(tokener) != json_tokener_success || !o) {
        json_object_put(o);
        return NULL;
    }
    /* Of two members with one name the tree has one, the text had two colons. */
    if (json_count_members(o, scan.members) != scan.members) {
        json_object_put(o);
        return NULL;
    }
    return (struct json *)o;
}

void json_free(struct json *j)
{
    json_object_put(json_inner(j));
}

static const struct json *json_get(const struct json *object, const char *key)
{
    struct json_object *value;
    if (!json_is(object, json_type_object) ||
        !json_object_object_get_ex(json_inner(object), key, &value)) {
        return NULL;
    }
    return (const struct json *)value;
}

bool json_text(const struct json *value, struct slice *ret_text)
{
    if (!json_is(value, json_type_string)) {
        return false;
    }
    *ret_text = (struct slice){json_object_get_string(json_inner(value)),
                               (size_t)json_object_get_string_len(json_inner(value))};
    return true;
}

bool json_int(const struct json *value, int64_t *ret_value)
{
    if (!json_is(value, json_type_int)) {
        return false;
    }
    *ret_value = json_object_get_int64(json_inner(value));
    return true;
}

bool json_get_text(const struct json *object, const char *key, struct slice *ret_text)
{
    return json_text(json_get(object, key), ret_text);
}

bool json_get_int(const struct json *object, const char *key, int64_t *ret_value)
{
    return json_int(json_get(object, key), ret_value);
}

const struct json *json_get_array(const struct json *object, const char *key)
{
    const struct json *array = json_get(object, key);
    return json_is(array, json_type_array) ? array : NULL;
}

size_t json_array_count(const struct json *array)
{
    return json_is(array, json_type_array) ? json_object_array_length(json_inner(array)) : 0;
}

const struct json *json_array_at(const struct json *array, size_t i)
{
    return json_is(array, json_type_array)
               ? (const struct json *)json_object_array_get_idx(json_inner(array), i)
               : NULL;
}

bool json_is_object(const struct json *value)
{
    return json_is(value, json_type_object);
}

int json_each(const struct json *object, json_on_member *on_member, void *ctx)
{
    if (!json_is(object, json_type_object)) {
        return 0;
    }
    struct json_object *o = json_inner(object);
    struct json_object_iterator end = json_object_iter_end(o);
    for (struct json_object_iterator it = json_object_iter_begin(o);
         !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        int err = on_member(ctx, json_object_iter_peek_name(&it),
                            (const struct json *)json_object_iter_peek_value(&it));
        if (err) {
            return err;
        }
    }
    return 0;
}

/* ---- writing ---- */

static void json_escape(struct buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };
    if (letters[c] != '\0') {
        buf_add(out, (char[]){'\\', letters[c]}, 2);
    } else {
        buf_add(out, (char[]){'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]}, 6);
    }
}

void json_quote(struct buf *out, struct slice text)
{
    const char *at = text.data ? text.data : ""; /* what is not written yet */
    const char *end = at + text.bytes;
    buf_add_text(out, "\"");
    for (const char *c = at; c < end; c++) {
        if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\') {
            buf_add(out, at, (size_t)(c - at));
            json_escape(out, (unsigned char)*c);
            at = c + 1;
        }
    }
    buf_add(out, at, (size_t)(end - at));
    buf_add_text(out, "\"");
}

/* No text ends with a bracket that opens, for it ends with its quote: one at the end of `out` says
 * that nothing is in it yet. */
static void json_begin(struct buf *out, const char *key)
{
    char last = out->bytes > 0 ? out->data[out->bytes - 1] : '[';
    if (last != '{' && last != '[') {
        buf_add_text(out, ",");
    }
    if (key) {
        buf_add_text(out, "\"");
        buf_add_text(out, key);
        buf_add_text(out, "\":");
    }
}

void json_open(struct buf *out, const char *key, char bracket)
{
    json_begin(out, key);
    buf_add(out, &bracket, 1);
}

void json_close(struct buf *out, char bracket)
{
    buf_add(out, &bracket, 1);
}

void json_add_text(struct buf *out, const char *key, struct slice value)
{
    json_begin(out, key);
    json_quote(out, value);
}

void json_add_int(struct buf *out, const char *key, int64_t value)
{
    json_begin(out, key);
    buf_add_int(out, value);
}

void json_add_bool(struct buf *out, const char *key, bool value)
{
    json_begin(out, key);
    buf_add_text(out, value ? "true" : "false");
}

void json_add_null(struct buf *out, const char *key)
{
    json_begin(out, key);
    buf_add_text(out, "null");
}
