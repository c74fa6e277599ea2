/*
 * Decoding kernels of chance-rans: classes of elements to flags. States, words and lanes are those of the wide mode of codecs/rans, whose
 * kernels encode: 16 classes with two sides each are 32 symbols to them.
 */
#ifndef MTH_CODECS_CHANCE_KERNELS_H
#define MTH_CODECS_CHANCE_KERNELS_H

#include "codecs/rans/rans_wide.h"

enum {
    MTH_CHANCE_CLASSES = 16,
    MTH_CHANCE_SLOT_BITS = MTH_RANS_MAX_SLOT_BITS,
    MTH_CHANCE_SLOTS = 1 << MTH_CHANCE_SLOT_BITS
};

/*
 * Fast paths for whole steps of 32 lanes: each does as many of n_steps as it can and returns how many.
 *
 * Shape     chances: of MTH_CHANCE_SLOTS slots of a class, how many mean "up", none or all excepted; classes: n_steps * 32, below
 *           MTH_CHANCE_CLASSES; flags: as many, 1 for up and 0
 * Requires  the reader has MTH_RANS_WIDE_LANES lanes
 */
struct mth_chance_kernels {
    const char *name;
    unsigned needs; /* enum mth_cpu_feature */
    size_t (*decode)(const uint32_t chances[MTH_CHANCE_CLASSES], struct mth_rans_wide_reader *reader,
                     const uint8_t *classes, uint8_t *flags, size_t n_steps);
};

/* The kernels for these CPU features; mth_chance_kernels_at lists all that were built, portable first, then NULL. */
const struct mth_chance_kernels *mth_chance_kernels_for(unsigned features);
const struct mth_chance_kernels *mth_chance_kernels_at(size_t i);

/*
 * The flags of n elements, the first of which belongs to lane 0. A stream may be decoded in pieces of whole steps.
 *
 * Errors    false when the input ran out
 */
bool mth_chance_decode(const struct mth_chance_kernels *kernels, const uint32_t chances[MTH_CHANCE_CLASSES],
                       struct mth_rans_wide_reader *reader, const uint8_t *classes, uint8_t *flags, size_t n);

extern const struct mth_chance_kernels mth_chance_portable;
#ifdef MTH_RANS_WIDE_HAVE_X86
extern const struct mth_chance_kernels mth_chance_avx2;
extern const struct mth_chance_kernels mth_chance_avx512;
#endif

#endif
