/* Order lines as text: "item*quantity,item*quantity". */
#ifndef KASSA_CATALOGUE_LINES_H
#define KASSA_CATALOGUE_LINES_H

#include <stdint.h>
#include "runtime/buf.h"

/* Lines of an order, at most; ORDER_LINES_MAX is bounded by it. */
#define LINES_MAX 500

/* "a*1,b*20": cuts the next line off. Errors: false at the end and for malformed text;
 * `lines_are_valid` tells beforehand. Units: pieces, 1..2^53-1, each item once,
 * at most LINES_MAX lines. */
bool lines_next(struct slice *rest, struct slice *ret_item, int64_t *ret_quantity);
bool lines_are_valid(struct slice lines); /* the empty text is valid: no lines */

#endif
