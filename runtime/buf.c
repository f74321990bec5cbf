/* Growing bytes and borrowed text: the two types that every other file passes around.
 *
 * Memory that runs out ends the process here, in one place: everything that grows has a limit
 * chosen so that it does not happen, so there is nothing sensible a caller could do about it. */
#include "runtime/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_SIZE_MIN 64

struct slice slice_from(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

bool slice_is(struct slice s, const char *text)
{
    return slice_equal(s, slice_from(text));
}

/* Absent equals absent only: an empty value that was given is not the same as none. */
bool slice_equal(struct slice a, struct slice b)
{
    if (!a.data || !b.data) {
        return !a.data && !b.data;
    }
    return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

void slice_copy(struct slice s, char *ret_text, size_t size)
{
    assert(size > 0);
    size_t bytes = s.bytes < size ? s.bytes : size - 1;
    if (bytes > 0) {
        memcpy(ret_text, s.data, bytes);
    }
    ret_text[bytes] = '\0';
}

bool slice_cut(struct slice *rest, char separator, struct slice *ret_field)
{
    if (!rest->data) {
        *ret_field = (struct slice){NULL, 0};
        return false;
    }
    const char *found = memchr(rest->data, separator, rest->bytes);
    if (!found) {
        *ret_field = *rest;
        *rest = (struct slice){NULL, 0};
        return true;
    }
    size_t field_bytes = (size_t)(found - rest->data);
    *ret_field = (struct slice){rest->data, field_bytes};
    *rest = (struct slice){found + 1, rest->bytes - field_bytes - 1};
    return true;
}

uint32_t slice_hash(struct slice s)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < s.bytes; i++) {
        hash = (hash ^ (unsigned char)s.data[i]) * UINT32_C(16777619);
    }
    return hash;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool slice_int64(struct slice s, int64_t *ret_value)
{
    bool is_negative = s.bytes > 0 && s.data[0] == '-';
    size_t i = is_negative ? 1 : 0;
    if (i == s.bytes) {
        return false;
    }
    int64_t value = 0;
    for (; i < s.bytes; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
        int64_t digit = s.data[i] - '0';
        /* Counted downwards for a negative number: INT64_MIN has no positive twin. */
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, is_negative ? -digit : digit, &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

bool slice_consists_of(struct slice s, const bool bytes[256])
{
    const unsigned char *at = (const unsigned char *)s.data;
    size_t i = 0;
    bool are_all = true;
    for (; i + 4 <= s.bytes && are_all; i += 4) { /* half the steps: every id goes through here */
        are_all = bytes[at[i]] & bytes[at[i + 1]] & bytes[at[i + 2]] & bytes[at[i + 3]];
    }
    for (; i < s.bytes && are_all; i++) {
        are_all = bytes[at[i]];
    }
    return are_all;
}

bool slice_is_id(struct slice s)
{
    static const bool bytes[256] = {
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
        ['_'] = true,         ['-'] = true,
    };
    return s.bytes > 0 && s.bytes <= ID_BYTES_MAX && slice_consists_of(s, bytes);
}

static _Noreturn void mem_out(size_t bytes)
{
    fprintf(stderr, "out of memory: %zu bytes asked for\n", bytes);
    abort();
}

static void buf_grow(struct buf *b, size_t bytes)
{
    size_t needed;
    if (__builtin_add_overflow(b->bytes, bytes, &needed) ||
        __builtin_add_overflow(needed, 1, &needed)) {
        mem_out(bytes);
    }
    size_t size = b->size < BUF_SIZE_MIN ? BUF_SIZE_MIN : b->size;
    while (size < needed) {
        size = size > SIZE_MAX / 2 ? needed : size * 2;
    }
    char *data = realloc(b->data, size);
    if (!data) {
        mem_out(size);
    }
    b->data = data;
    b->size = size;
}

/* Makes room for `bytes` more and the terminator. */
static inline void buf_reserve(struct buf *b, size_t bytes)
{
    if (b->size - b->bytes <= bytes) {
        buf_grow(b, bytes);
    }
}

void buf_add(struct buf *b, const void *data, size_t bytes)
{
    buf_reserve(b, bytes);
    if (bytes > 0) {
        memcpy(b->data + b->bytes, data, bytes);
    }
    b->bytes += bytes;
    b->data[b->bytes] = '\0';
}

void buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.data, s.bytes);
}

void buf_add_int(struct buf *b, int64_t value)
{
    char digits[20]; /* "-9223372036854775808" */
    size_t at = sizeof(digits);
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    buf_add(b, digits + at, sizeof(digits) - at);
}

char *buf_room(struct buf *b, size_t bytes)
{
    buf_reserve(b, bytes);
    char *room = b->data + b->bytes;
    b->bytes += bytes;
    b->data[b->bytes] = '\0';
    return room;
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);

    /* Most lines fit into what is there, and then one pass is enough. */
    buf_reserve(b, 0);
    size_t room = b->size - b->bytes;
    int printed = vsnprintf(b->data + b->bytes, room, format, args);
    assert(printed >= 0);
    if ((size_t)printed >= room) {
        buf_reserve(b, (size_t)printed);
        printed = vsnprintf(b->data + b->bytes, b->size - b->bytes, format, again);
        assert(printed >= 0);
    }
    b->bytes += (size_t)printed;
    va_end(again);
    va_end(args);
}

void buf_drop_front(struct buf *b, size_t bytes)
{
    assert(bytes <= b->bytes);
    if (bytes == 0) {
        return;
    }
    b->bytes -= bytes;
    memmove(b->data, b->data + bytes, b->bytes + 1);
}

void buf_reset(struct buf *b)
{
    b->bytes = 0;
    if (b->data) {
        b->data[0] = '\0';
    }
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->data ? b->data : "", b->bytes};
}

void *mem_new(size_t bytes)
{
    void *memory = calloc(1, bytes > 0 ? bytes : 1);
    if (!memory) {
        mem_out(bytes);
    }
    return memory;
}

char *mem_text(struct slice s)
{
    char *text = mem_new(s.bytes + 1);
    if (s.bytes > 0) {
        memcpy(text, s.data, s.bytes);
    }
    return text;
}
