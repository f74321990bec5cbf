/* The kinds of a field: what it may contain, and how it stands in JSON. fields.h says which field
 * is of which kind. All but INT are texts, a struct slice; INT is an int64_t. */
#ifndef KASSA_CATALOGUE_KIND_H
#define KASSA_CATALOGUE_KIND_H

#include "broker/envelope.h"

#define KIND_TEXT_MAX  65536 /* bytes */
#define KIND_VALUE_MAX 65536

extern const struct envelope_kind kind_ID;
extern const struct envelope_kind kind_COMMAND;
extern const struct envelope_kind kind_LINES;
extern const struct envelope_kind kind_TEXT;
extern const struct envelope_kind kind_VALUE;
extern const struct envelope_kind kind_INT;

#endif
