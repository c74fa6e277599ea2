/*
 * The wide mode's kernels: bytes to and from interleaved rANS, for tables of any alphabet.
 *
 * A stream has 2^k lanes, each with a state of 31 bits; byte i belongs to lane i mod n_lanes. All lanes read 16-bit words from
 * one run, in the order of lanes. A stream may be coded in pieces of whole steps, as in rans_narrow.h.
 */
#ifndef MTH_CODECS_RANS_WIDE_H
#define MTH_CODECS_RANS_WIDE_H

#include "codecs/rans/rans_wide_table.h"

#include <stdalign.h>

enum {
    MTH_RANS_WIDE_LANES = 32,
    MTH_RANS_WIDE_KERNEL_LANES = 16, /* from here on there are vector kernels */
    MTH_RANS_WIDE_STATE_LOW = 1 << 15,
    MTH_RANS_WORD_BYTES = 2
};

struct mth_rans_wide_lanes {
    alignas(64) uint32_t x[MTH_RANS_WIDE_LANES]; /* 2^15 .. 2^31 - 1 */
    size_t n_lanes;                              /* a power of two, 1 .. 32 */
};

struct mth_rans_wide_reader {
    struct mth_rans_wide_lanes lanes;
    const uint8_t *in, *end;
};

struct mth_rans_wide_writer {
    struct mth_rans_wide_lanes lanes;
    uint8_t *begin, *at;
};

/*
 * Fast paths for whole steps of 16 or 32 lanes, as those in rans_narrow.h: each does as many of n_steps as it can and
 * returns how many. encode codes the bytes that end at src_end.
 */
struct mth_rans_wide_kernels {
    const char *name;
    unsigned needs; /* enum mth_cpu_feature */
    size_t (*decode)(const struct mth_rans_wide_table *table, struct mth_rans_wide_reader *reader,
                     uint8_t *dst, size_t n_steps);
    size_t (*encode)(const struct mth_rans_wide_table *table, struct mth_rans_wide_writer *writer,
                     const uint8_t *src_end, size_t n_steps);
};

/* The kernels for these CPU features; mth_rans_wide_kernels_at lists all that were built, portable first, then NULL. */
const struct mth_rans_wide_kernels *mth_rans_wide_kernels_for(unsigned features);
const struct mth_rans_wide_kernels *mth_rans_wide_kernels_at(size_t i);

void mth_rans_wide_lanes_init(struct mth_rans_wide_lanes *lanes, size_t n_lanes);
bool mth_rans_wide_lanes_at_start(const struct mth_rans_wide_lanes *lanes);

/*
 * As in rans_narrow.h.
 *
 * Requires  the table is prepared for the side
 * Errors    false when input or room ran out
 */
bool mth_rans_wide_decode(const struct mth_rans_wide_kernels *kernels,
                          const struct mth_rans_wide_table *table, struct mth_rans_wide_reader *reader,
                          uint8_t *dst, size_t n);
bool mth_rans_wide_encode(const struct mth_rans_wide_kernels *kernels,
                          const struct mth_rans_wide_table *table, struct mth_rans_wide_writer *writer,
                          const uint8_t *src, size_t n);

/* Bytes that have no symbol, as mth_rans_narrow_kernels.escapes gives them. */
size_t mth_rans_wide_escapes(const struct mth_rans_wide_table *table, const uint8_t *src, size_t n,
                             uint8_t *out, size_t n_out);

/* What the file of an instruction set brings, for the selection. */
extern const struct mth_rans_wide_kernels mth_rans_wide_portable;
#if defined(__x86_64__) && defined(__GNUC__)
#define MTH_RANS_WIDE_HAVE_X86 1
extern const struct mth_rans_wide_kernels mth_rans_wide_avx2;
extern const struct mth_rans_wide_kernels mth_rans_wide_avx512;
#endif

#endif
