/* Makes texts of the bytes that a server sends. Source: Redis manual, RESP protocol specification.
 */
#ifndef KASSA_STORE_READER_H
#define KASSA_STORE_READER_H

#include "store/texts.h"

struct reader;

/* Owns: the caller, until reader_free (NULL is fine). */
struct reader *reader_new(void);
void reader_free(struct reader *r);

/* Some bytes have come, in whatever pieces. */
void reader_feed(struct reader *r, const char *data, size_t bytes);

enum reader_found {
    READER_REPLY,
    READER_MORE, /* there is none yet, or only a part of one */
    READER_FAULT /* this is not the protocol: nothing more can be read */
};
/* The next whole reply: borrowed until the next call, unless it is taken. */
enum reader_found reader_next(struct reader *r, struct texts *ret_reply, bool *ret_is_error);
const char *reader_fault(const struct reader *r); /* in words, after READER_FAULT */

/* Moves the reply that was found last out of the reader. Once. Owns: the caller, until
 * texts_box_free. */
struct texts_box *reader_take(struct reader *r);

#endif
