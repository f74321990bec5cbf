/* The load itself: connections, and when each sends what.
 *
 *   open all --> warm_s --> seconds (measured) --> no new requests; what is out, or was due, is
 *                                                  waited for, timeout_s at most
 *
 * Closed loop: whoever has an answer sends the next request at once. Open loop: request i is due at
 * begin + i / rate; one that is due while no connection is free is sent when one is, first come
 * first served, and its latency counts from when it was due. So a stall of the service is paid by
 * every request that fell into it, and not by one alone (coordinated omission). */
#ifndef KASSA_BENCH_GENERATOR_H
#define KASSA_BENCH_GENERATOR_H

#include "bench/options.h"
#include "bench/results.h"

/* Runs until it is over, SIGINT or SIGTERM. Fills *results, which is all zero before.
 * Errors: false when no connection could be made at all. */
bool generator_run(const struct options *options, struct results *results);

#endif
