/* ulp-rans with each of its kernel sets side by side, and pairs of a base and what became of it. */
#ifndef MTH_TESTS_ULP_RIG_H
#define MTH_TESTS_ULP_RIG_H

#include "codecs/ulp_rans/ulp_stream.h"

/* The AVX-512 kernels, run without such a processor. */
extern const struct mth_ulp_kernels ulp_emulated;
/* How they count, and look at elements, as in ulp_kernels.h. */
size_t ulp_emulated_view(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                         unsigned top, const uint8_t *src, const uint8_t *base, size_t n_groups,
                         struct mth_ulp_view *out);
void ulp_emulated_count_contexts(const uint8_t *contexts, size_t n, uint32_t counts[MTH_ULP_CONTEXTS]);
void ulp_emulated_count(const uint8_t *contexts, const uint8_t *symbols, size_t n,
                        uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS]);
/* Their long steps, as split32 and join32 of ulp_kernels.h. */
size_t ulp_emulated_split(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps,
                          const uint8_t *contexts, size_t n_groups, uint8_t *symbols, uint8_t *signs,
                          struct mth_ulp_bit_writer *extra);
size_t ulp_emulated_join(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols, const uint8_t *signs,
                         const uint8_t *contexts, size_t n_groups, struct mth_ulp_bit_reader *extra,
                         uint8_t *steps);

enum { ULP_MAX_KERNELS = 5 };

struct ulp_rig {
    const struct mth_codec *codec;
    struct mth_memory *memory;
    const struct mth_ulp_kernels *kernels[ULP_MAX_KERNELS];
    struct mth_ulp_state *states[ULP_MAX_KERNELS]; /* one with each kernel set */
    size_t n;
};

/* The kernel sets that run on this processor, and the emulated one; returns how many. */
size_t ulp_runnable(const struct mth_ulp_kernels *out[ULP_MAX_KERNELS]);

void ulp_rig_open(struct ulp_rig *rig);
void ulp_rig_close(struct ulp_rig *rig);

/* A stream and what belongs to it; everything ends at guard pages. */
struct ulp_stream {
    enum mth_dtype dtype;
    uint8_t *src, *base, *older, *coded; /* base, older: NULL, there is none */
    size_t n, n_base, n_coded;
    const struct mth_row_span *spans; /* what an encoder is told of rows */
    size_t n_spans;
};

/*
 * Encode by every kernel set, which must give the same bytes, and decode these by every one.
 *
 * Shape     base: n_base bytes; NULL: none
 * Returns   the stream; ulp_stream_free ends it
 */
struct ulp_stream ulp_rig_code(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src, size_t n,
                               const uint8_t *base, size_t n_base);
/* The same with an older checkpoint too; both have n bytes. */
struct ulp_stream ulp_rig_code_directed(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src,
                                        size_t n, const uint8_t *base, const uint8_t *older);
/* The same of rows; older may be NULL. The spans are to outlive the stream. */
struct ulp_stream ulp_rig_code_rows(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src, size_t n,
                                    const uint8_t *base, const uint8_t *older,
                                    const struct mth_row_span *spans, size_t n_spans);
void ulp_stream_free(struct ulp_stream *stream);

/* The same, and nothing is kept. */
void ulp_rig_check(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src, size_t n,
                   const uint8_t *base);

/* Decode n_coded bytes by every kernel set to n bytes; all must come to the same end, which is returned. */
int ulp_rig_decode(struct ulp_rig *rig, const struct ulp_stream *stream, const uint8_t *coded,
                   size_t n_coded);

/* The head of the first block; 0 where the stream is raw. */
uint8_t ulp_head_of(const struct ulp_stream *stream);

/* ---- elements, as the specification defines them ---- */

uint64_t ulp_load(const uint8_t *p, unsigned bits);
void ulp_store(uint8_t *p, uint64_t x, unsigned bits);

/* x so many steps from b, up or down, modulo 2^bits. */
uint64_t ulp_move(const struct mth_ulp_format *format, uint64_t b, uint64_t step);
/* The inverse: the step from b to x. */
uint64_t ulp_step(const struct mth_ulp_format *format, uint64_t b, uint64_t x);

struct mth_ulp_format ulp_format(enum mth_dtype dtype);

/* Kinds of pairs. */
enum ulp_pair {
    ULP_SAME,    /* nothing changed */
    ULP_ONE,     /* one element did */
    ULP_TRAINED, /* one in eight did, by few steps, of elements as weights have them */
    ULP_DENSE,   /* all did, by few steps */
    ULP_ROWS,    /* whole rows did or did not */
    ULP_STEPS,   /* one in four did, by every step that ends or begins a symbol's range */
    ULP_EDGES,   /* one in four did, between NaNs, infinities, zeros, denormals of either sign */
    ULP_SIGNS,   /* one in four turned its sign */
    ULP_OUT,     /* as trained, but all exponents are 0 in the base */
    ULP_RANDOM,  /* any bits became any bits */
    ULP_N_PAIRS
};

const char *ulp_pair_name(enum ulp_pair pair);
void ulp_fill(enum ulp_pair pair, enum mth_dtype dtype, uint64_t seed, uint8_t *src, uint8_t *base,
              size_t n_elems);

#endif
