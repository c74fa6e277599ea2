/* Which of many values may occur more than once: a filter in little memory, before what is left is sorted. */
#ifndef MTH_REPEATS_H
#define MTH_REPEATS_H

#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two bits for each of 16 places a value: 4 bytes a value. */
struct mth_repeats {
    struct mth_memory *memory; /* borrowed */
    uint64_t *once, *again;
    unsigned shift; /* that leaves of a hash the number of its place */
};

/* For up to n_values, after which it says yes too often, but never no wrongly. Errors: MTH_ERR_NO_MEMORY. */
int mth_repeats_init(struct mth_repeats *repeats, size_t n_values, struct mth_memory *memory);
void mth_repeats_free(struct mth_repeats *repeats);
/* A hash whose upper bits are as good as random. */
void mth_repeats_note(struct mth_repeats *repeats, uint64_t hash);
/* Was it noted more than once? True for one value in 16 that was not. */
bool mth_repeats_has(const struct mth_repeats *repeats, uint64_t hash);

#endif
