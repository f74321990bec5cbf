/* The Prefer header of a request (RFC 7240). */
#ifndef KASSA_GATEWAY_PREFER_H
#define KASSA_GATEWAY_PREFER_H

#include "runtime/buf.h"

/* "respond-async", perhaps among others, perhaps with parameters (section 2). */
bool prefer_async(struct slice header);

#endif
