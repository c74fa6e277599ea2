/* Clocks; see clock.h. */
#include "harness/clock.h"

#include "harness/statistics.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t mth_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t mth_clock_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double mth_clock_overhead_ns(void)
{
    enum { N = 1001 };
    double readings[N];
    uint64_t before = mth_clock_ns();
    for (size_t i = 0; i < N; i++) {
        uint64_t now = mth_clock_ns();
        readings[i] = (double)(now - before);
        before = now;
    }
    return mth_median(readings, N);
}
