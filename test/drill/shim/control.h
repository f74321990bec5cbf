/* What a drill tells a process while it runs: a number in the file <name> of the directory that
 * KASSA_SHIM names. */
#ifndef KASSA_TEST_DRILL_SHIM_CONTROL_H
#define KASSA_TEST_DRILL_SHIM_CONTROL_H

#include <stdint.h>

struct control {
    const char *name;
    int64_t looked_ms; /* monotonic; 0: never */
    int64_t number;
};

/* 0 when there is no file; as it was at most 50 ms ago: who asks for the time does so often. */
int64_t control_number(struct control *c);

/* The function of this name that would be called without the shim. */
void *control_real(const char *name);

#endif
