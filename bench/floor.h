/* The floor: what the store and the broker can do bare, on this machine, now; through the same two
 * rooms that the services use, and nothing above them.
 *
 *   open --> ready --> turn after turn until the time is over --> drain --> close
 *
 * A workload keeps so much in flight as it was told, and counts what has come back. */
#ifndef KASSA_BENCH_FLOOR_H
#define KASSA_BENCH_FLOOR_H

#include <stdint.h>
#include "runtime/conf.h"
#include "runtime/loop.h"

struct floor_workload;

struct floor_kind {
    const char *name;
    const char *at_once; /* the option that says how many go together */
    /* Owns: the caller, until close. */
    struct floor_workload *(*open)(struct loop *loop, const struct conf *conf, unsigned at_once);
    bool (*is_ready)(struct floor_workload *w);
    void (*begin)(struct floor_workload *w);
    void (*end)(struct floor_workload *w);          /* nothing new any more */
    bool (*is_drained)(struct floor_workload *w);   /* nothing is out, and nothing left behind */
    uint64_t (*done)(struct floor_workload *w);     /* calls or messages that have come back */
    const char *(*fault)(struct floor_workload *w); /* NULL: none */
    void (*close)(struct floor_workload *w);
};

extern const struct floor_kind floor_store, floor_rows, floor_broker;

#endif
