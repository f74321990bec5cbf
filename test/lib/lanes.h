/* Groups of tests at the same time, each in a process of its own: for tests that mostly wait. */
#ifndef KASSA_TEST_LANES_H
#define KASSA_TEST_LANES_H

#include <stddef.h>

#define LANES_MAX 8

/* Runs lane 0 to `count` - 1 and prints what each of them has said, one after the other. `run` gets
 * the number of its lane and returns how many tests have failed. Returns 0 when none has, and all
 * have ended by themselves. */
int lanes_run(unsigned count, int (*run)(unsigned lane));

#endif
