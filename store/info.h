/* A server's own figures: the reply of INFO. */
#ifndef KASSA_STORE_INFO_H
#define KASSA_STORE_INFO_H

#include "runtime/buf.h"

/* The number of the line "name:number". Shapes: `info` may be torn, or absent. Errors: false when
 * there is no such line, or no number in it. Source: Redis manual, INFO. */
bool info_number(struct slice info, const char *name, int64_t *ret_value);

#endif
