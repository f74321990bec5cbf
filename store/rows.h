/* Commands that travel together: calls of one function that differ only in their row of arguments
 * become one call with many rows, and each caller gets the text of its own row.
 *
 *   FCALL charge 1 bucket | id-1 user-1 2  -.
 *   FCALL charge 1 bucket | id-2 user-2 5  --+--> FCALL charge 1 bucket id-1 user-1 2 id-2 user-2 5
 *            head         |     row       -'      ["charged..", "refused.."], a text for each row
 *
 * A call of a function costs the store as much as a few commands, and so does the transaction that
 * its effects are logged as. Gathered for one turn of the loop: nothing waits for company.
 * A row whose text is nil has failed and changed nothing; it is called again alone, to get the
 * error. */
#ifndef KASSA_STORE_ROWS_H
#define KASSA_STORE_ROWS_H

#include "store/args.h"
#include "store/texts.h"

#define ROWS_MAX 128 /* in one call: the store is held for about two milliseconds */

struct rows;

/* How a gathered call is made: as store_call. */
typedef void rows_send(void *ctx, const struct args *c, texts_on_reply *on_reply, void *reply_ctx);

struct rows *rows_new(rows_send *send, void *ctx);
/* Gathered calls fail with -ERR_STORE_DOWN; calls that are out must have been answered. */
void rows_free(struct rows *r); /* NULL is fine */

/* Gathers a command that has a row (args_row_begins). on_reply is called as store_call says. */
void rows_add(struct rows *r, const struct args *c, texts_on_reply *on_reply, void *ctx);
void rows_flush(struct rows *r); /* at the end of the turn */
unsigned rows_gathered(const struct rows *r);

#endif
