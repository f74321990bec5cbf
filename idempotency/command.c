/* A command under construction: arguments back to back in one buffer, and where each ends.
 *
 *   bytes:  S E T a 1 0        end: 3 4 6        count: 3
 *
 * Pointers into the buffer are only made when it is sent, for until then it may still move. */
#include "idempotency/redis.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_FORMAT_BYTES 256

void redis_command_reset(struct redis_command *c)
{
    buf_reset(&c->bytes);
    c->count = 0;
    c->row = 0;
    c->is_alone = false;
}

void redis_command_free(struct redis_command *c)
{
    buf_free(&c->bytes);
    c->count = 0;
    c->row = 0;
    c->is_alone = false;
}

/* What was added to `bytes` since the last end is one argument. */
static void arg_end(struct redis_command *c)
{
    assert(c->count < REDIS_ARGS_MAX && c->bytes.bytes <= UINT32_MAX);
    c->end[c->count++] = (uint32_t)c->bytes.bytes;
}

void redis_arg(struct redis_command *c, struct slice s)
{
    if (s.bytes > 0) {
        buf_add(&c->bytes, s.data, s.bytes);
    }
    arg_end(c);
}

void redis_row_begins(struct redis_command *c)
{
    assert(c->row == 0 && c->count > 0);
    c->row = c->count;
}

void redis_arg_text(struct redis_command *c, const char *text)
{
    redis_arg(c, (struct slice){text, strlen(text)});
}

void redis_arg_int(struct redis_command *c, int64_t value)
{
    buf_add_int(&c->bytes, value);
    arg_end(c);
}

void redis_arg_join(struct redis_command *c, const char *prefix, struct slice s)
{
    buf_add_text(&c->bytes, prefix);
    buf_add_slice(&c->bytes, s);
    arg_end(c);
}

void redis_argf(struct redis_command *c, const char *format, ...)
{
    char text[COMMAND_FORMAT_BYTES];
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
    redis_arg(c, (struct slice){longer ? longer : text, (size_t)bytes});
    free(longer);
}

void redis_function(struct redis_command *c, const struct redis_library *library, const char *name,
                    int key_count)
{
    redis_arg_text(c, "FCALL");
    buf_add_text(&c->bytes, name);
    buf_add_text(&c->bytes, "_");
    redis_arg_text(c, library->hash);
    redis_arg_int(c, key_count);
}

void redis_library_greet(const struct redis_library *library, struct redis_command *c)
{
    char name[64];
    snprintf(name, sizeof(name), "%s_greet", library->name);
    redis_function(c, library, name, 2);
    redis_argf(c, "%s:schema", library->name);
    redis_argf(c, "%s:libraries", library->name);
}

bool redis_library_is_missing(struct slice error)
{
    static const char text[] = "ERR Function not found";
    return error.bytes >= sizeof(text) - 1 && memcmp(error.data, text, sizeof(text) - 1) == 0;
}
