/* The two clocks of a measurement. */
#ifndef KASSA_BENCH_CLOCK_H
#define KASSA_BENCH_CLOCK_H

#include <stdint.h>

int64_t clock_ns(void);   /* monotonic */
double clock_cpu_s(void); /* user and system time of this process */

#endif
