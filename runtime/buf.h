/* A growing byte buffer, and a borrowed piece of text. */
#ifndef KASSA_RUNTIME_BUF_H
#define KASSA_RUNTIME_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes: not terminated, not owned. {NULL, 0} means absent. */
struct slice {
    const char *data;
    size_t bytes;
};

/* For printf: "%.*s", SLICE_ARG(s) */
#define SLICE_ARG(s)        ((int)(s).bytes), ((s).data ? (s).data : "")
#define SLICE_TEXT(literal) ((struct slice){(literal), sizeof(literal) - 1})

struct slice slice_from(const char *text); /* NULL gives the absent slice */
bool slice_is(struct slice s, const char *text);
bool slice_equal(struct slice a, struct slice b);

/* A terminated copy; what does not fit into `size` bytes is cut off. */
void slice_copy(struct slice s, char *ret_text, size_t size);

/* Cuts the next field off the front of *rest, up to `separator` or the end.
 * Errors: false when *rest is absent, that is, when the last field was taken before; so is the
 * field then. */
bool slice_cut(struct slice *rest, char separator, struct slice *ret_field);

/* FNV-1a: spreads texts over places, and is the same in every process. Not against an adversary. */
uint32_t slice_hash(struct slice s);

/* A decimal integer, optional leading '-', nothing else around it, within int64.
 * Errors: false for anything else; *ret_value untouched. */
bool slice_int64(struct slice s, int64_t *ret_value);

/* The value of a lower-case hex digit. Errors: -1 for anything else. */
int hex_digit(char c);

/* True when `bytes` is true for each of its bytes, also for an empty one. */
bool slice_consists_of(struct slice s, const bool bytes[256]);

/* ^[A-Za-z0-9_-]{1,64}$, the form of every id. */
#define ID_BYTES_MAX 64
bool slice_is_id(struct slice s);

/* Zero-initialised is an empty, valid buffer. data is always terminated once anything was added.
 * Owns: data, until buf_free. Running out of memory ends the process: a limit was missing. */
struct buf {
    char *data;
    size_t bytes; /* used, without the terminator */
    size_t size;  /* allocated */
};

void buf_add(struct buf *b, const void *data, size_t bytes);
void buf_add_text(struct buf *b, const char *text);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_int(struct buf *b, int64_t value); /* in decimal */
/* Appends `bytes` that the caller is to fill in at once. Owns: b, until something is added. */
char *buf_room(struct buf *b, size_t bytes);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_drop_front(struct buf *b, size_t bytes);
void buf_reset(struct buf *b); /* empty, keeps the memory */
void buf_free(struct buf *b);  /* back to zero-initialised */
struct slice buf_slice(const struct buf *b);

/* Allocation that ends the process when memory is out. Owns: the caller, until free(). */
void *mem_new(size_t bytes); /* zeroed */
char *mem_text(struct slice s);

#endif
