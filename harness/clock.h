/* Clocks, in nanoseconds. */
#ifndef MTH_HARNESS_CLOCK_H
#define MTH_HARNESS_CLOCK_H

#include <stdint.h>

/* Wall time that never steps back. */
uint64_t mth_clock_ns(void);
/* CPU time of all threads of this process. */
uint64_t mth_clock_cpu_ns(void);

/* What reading the first of them takes: the median of a thousand readings, one behind the other. */
double mth_clock_overhead_ns(void);

#endif
