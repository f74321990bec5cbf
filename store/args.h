/* A command under construction: its arguments back to back in one buffer, and where each ends.
 *
 *   bytes:  S E T a 1 0        end: 3 4 6        count: 3
 *
 * Pointers into the buffer are only made when it is sent, for until then it may still move. */
#ifndef KASSA_STORE_ARGS_H
#define KASSA_STORE_ARGS_H

#include "runtime/buf.h"

#define ARGS_MAX 2048

/* Zero-initialised is empty and valid. Owns: bytes and end, until args_free. */
struct args {
    struct buf bytes;
    uint32_t *end; /* where each argument ends in bytes */
    unsigned count, size;
    unsigned row;  /* the first argument of its row; 0: it travels alone */
    bool is_alone; /* nothing else may be out at the server meanwhile */
};

void args_reset(struct args *c);
void args_free(struct args *c);
void args_add(struct args *c, struct slice s);
void args_text(struct args *c, const char *text);
void args_int(struct args *c, int64_t value);
void args_join(struct args *c, const char *prefix, struct slice s); /* one argument */
void args_format(struct args *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An argument in parts: what was appended to `bytes` since the last one ended. */
void args_end(struct args *c);

/* Adds `count` arguments of another one. */
void args_append(struct args *c, const struct args *from, unsigned first, unsigned count);

/* Argument `i`, which is there. Borrowed, until something is added. */
struct slice args_at(const struct args *c, unsigned i);

/* The arguments from here on are a row: commands of one turn that are the same before it are sent
 * as one call of the function, with a row for each (rows.h). Each is answered alone. */
void args_row_begins(struct args *c);

#endif
