/* The Prefer header of a request (RFC 7240). */
#ifndef KASSA_GATEWAY_PREFER_H
#define KASSA_GATEWAY_PREFER_H

#include "runtime/buf.h"

/* "respond-async", perhaps among others, perhaps with parameters (README.md, "The API"). */
bool prefer_async(struct slice header);

#endif
