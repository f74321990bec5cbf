/* See args.h. */
#include "store/args.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_FIRST        16
#define ARGS_FORMAT_BYTES 256

void args_reset(struct args *c)
{
    buf_reset(&c->bytes);
    c->count = 0;
    c->row = 0;
    c->is_alone = false;
}

void args_free(struct args *c)
{
    buf_free(&c->bytes);
    free(c->end);
    *c = (struct args){0};
}

static void args_grow(struct args *c)
{
    unsigned size = c->size > 0 ? c->size * 2 : ARGS_FIRST;
    uint32_t *end = mem_new(size * sizeof(*end));
    if (c->count > 0) {
        memcpy(end, c->end, c->count * sizeof(*end));
    }
    free(c->end);
    c->end = end;
    c->size = size;
}

void args_end(struct args *c)
{
    assert(c->count < ARGS_MAX && c->bytes.bytes <= UINT32_MAX);
    if (c->count == c->size) {
        args_grow(c);
    }
    c->end[c->count++] = (uint32_t)c->bytes.bytes;
}

struct slice args_at(const struct args *c, unsigned i)
{
    assert(i < c->count);
    uint32_t begin = i > 0 ? c->end[i - 1] : 0;
    return (struct slice){c->bytes.data + begin, c->end[i] - begin};
}

void args_add(struct args *c, struct slice s)
{
    if (s.bytes > 0) {
        buf_add(&c->bytes, s.data, s.bytes);
    }
    args_end(c);
}

void args_append(struct args *c, const struct args *from, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        args_add(c, args_at(from, i));
    }
}

void args_row_begins(struct args *c)
{
    assert(c->row == 0 && c->count > 0);
    c->row = c->count;
}

void args_text(struct args *c, const char *text)
{
    args_add(c, (struct slice){text, strlen(text)});
}

void args_int(struct args *c, int64_t value)
{
    buf_add_int(&c->bytes, value);
    args_end(c);
}

void args_join(struct args *c, const char *prefix, struct slice s)
{
    buf_add_text(&c->bytes, prefix);
    buf_add_slice(&c->bytes, s);
    args_end(c);
}

void args_format(struct args *c, const char *format, ...)
{
    char text[ARGS_FORMAT_BYTES];
    char *longer = NULL;
    va_list ap;
    va_start(ap, format);
    int bytes = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    assert(bytes >= 0);
    if ((size_t)bytes >= sizeof(text)) { /* rare: key names are short */
        longer = mem_new((size_t)bytes + 1);
        va_start(ap, format);
        vsnprintf(longer, (size_t)bytes + 1, format, ap);
        va_end(ap);
    }
    args_add(c, (struct slice){longer ? longer : text, (size_t)bytes});
    free(longer);
}
