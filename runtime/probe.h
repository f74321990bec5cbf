/* Checks the health of a Kassa process on this machine: GET /health, for a container's
 * healthcheck, in one short-lived process without any other tool. */
#ifndef KASSA_RUNTIME_PROBE_H
#define KASSA_RUNTIME_PROBE_H

#include "runtime/buf.h"

#define PROBE_WAIT_MS 1000

/* Blocks, PROBE_WAIT_MS at most for each step. `host` is where it listens; any address means
 * loopback. Errors: -ERR_SYSTEM, with one sentence in *ret_sentence, when it does not answer 200.
 */
int probe_health(const char *host, int port, struct buf *ret_sentence);

#endif
