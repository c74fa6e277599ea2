/*
 * The kernels that `make bench-kernels` times: one case a kernel and instruction set.
 *
 * A new kernel is a function that adds its cases, named in `families` of bench_kernels.c.
 */
#ifndef MTH_HARNESS_KERNEL_CASES_H
#define MTH_HARNESS_KERNEL_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_MAX_KERNEL_CASES = 256 };

struct mth_kernel_case {
    const char *kernel; /* "rans narrow decode" */
    const char *isa;    /* "avx2" */
    size_t n_elems;     /* in one run */
    size_t n_bytes;     /* that a run reads and writes, halved: as memcpy counts */
    /* Runs the kernel once over data of its own; false when the result is not what it should be. */
    bool (*run)(void *data);
    /* Checks the last run's result, untimed; NULL: run knows. */
    bool (*check)(void *data);
    void *data;
};

struct mth_kernel_cases {
    struct mth_kernel_case list[MTH_MAX_KERNEL_CASES];
    size_t n;
};

/*
 * Add cases whose data hold n_elems elements; what they allocate lives as long as the program.
 *
 * Requires  n_elems is a multiple of 64
 * Errors    false without memory
 */
typedef bool mth_kernel_family(struct mth_kernel_cases *cases, size_t n_elems);

mth_kernel_family mth_kernel_cases_rans;       /* rans: narrow, wide, escapes, counts */
mth_kernel_family mth_kernel_cases_ulp;        /* ulp-rans: contexts, steps, flags, symbols */
mth_kernel_family mth_kernel_cases_tiers;      /* tiers: its first tier */
mth_kernel_family mth_kernel_cases_transforms; /* exponent-split, byte-group, the hash */

/* Exponents as those of trained weights: falling by half a value on one side, faster on the other. The same each time. */
void mth_kernel_exponents(uint8_t *out, size_t n);

/* A case of the same data for each run; false when there is no room. */
bool mth_kernel_case_add(struct mth_kernel_cases *cases, struct mth_kernel_case one);

#endif
