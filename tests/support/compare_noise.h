/* Comparisons of programs on noise that was recorded: what is called slower, and how often. */
#ifndef MTH_TESTS_COMPARE_NOISE_H
#define MTH_TESTS_COMPARE_NOISE_H

#include <stddef.h>
#include <stdint.h>

struct compare_noise; /* times of the same program three times a block, block after block */

/* What scripts/compare_noise.sh recorded; ends the test when it is not there. */
#define COMPARE_NOISE      "tests/fixtures/compare_noise.tsv"
#define COMPARE_NOISE_BUSY "tests/fixtures/compare_noise_busy.tsv" /* with twice as much other work */
struct compare_noise *compare_noise_load(const char *path);
void compare_noise_free(struct compare_noise *noise);

struct compare_counts {
    size_t n_ok, n_regressed, n_inconclusive; /* of whole comparisons */
};

/*
 * n_runs comparisons of a program with itself or, with planted_pct, with one that is slower by that much in one phase of one
 * cell. Each takes n_blocks neighbouring blocks of the record, from a random one on, and shuffles in each who was who.
 */
struct compare_counts compare_noise_simulate(const struct compare_noise *noise, size_t n_runs,
                                             size_t n_blocks, double planted_pct, uint64_t seed);

#endif
