/* What a server answers, as texts: a string or an integer is one text, an array (of strings,
 * integers, nils; nested arrays are flattened) several, or none; nil is the absent slice.
 *
 *   texts_box   owns them: filled by whoever reads them off a wire
 *     texts     a view of all of them, or of some: a row of a batched call is a view of one
 *
 * Replies of a store are input: a missing text is absent, never an error. */
#ifndef KASSA_STORE_TEXTS_H
#define KASSA_STORE_TEXTS_H

#include "runtime/buf.h"

/* A view, passed by value. Zero-initialised: none. Borrowed: good for the call that is given it. */
struct texts {
    const struct slice *all;
    unsigned count;
};

/* Absent behind the last one. */
struct slice texts_at(struct texts t, unsigned i);
/* Only text `i`, which is there. */
struct texts texts_row(struct texts t, unsigned i);

struct texts_chunk;

/* Owns its texts. Zero-initialised is empty and valid. */
struct texts_box {
    struct slice *all;
    unsigned count, size;
    struct texts_chunk *chunk; /* where they lie; full chunks follow it */
};

void texts_box_reset(struct texts_box *box); /* empty; keeps the memory, unless it is much */
void texts_box_add(struct texts_box *box, struct slice text);
struct texts texts_box_view(const struct texts_box *box); /* until something is added */
void texts_box_free(struct texts_box *box); /* and the box, from mem_new; NULL is fine */

/* What an error of the server means, by its first words. Errors: -ERR_STORE_DOWN: it is not a
 * usable server, or has lost our library; -ERR_STORE_FULL, -ERR_TOO_OLD; else -ERR_STORE_REPLY.
 */
int texts_error(struct slice error);

/* Who waits for a reply. Errors: 0 with a reply; -ERR_STORE_DOWN (RETRY: the effect is unknown);
 * -ERR_STORE_TIMEOUT (the same, and it was out when the server fell silent: the caller counts that,
 * and after too many silences makes the call alone, with is_alone); -ERR_STORE_REPLY (RETRY: the
 * server answered with an error, which is text 0 then). */
typedef void texts_on_reply(void *ctx, int err, struct texts reply);

#endif
