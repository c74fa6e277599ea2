/*
 * The narrow mode's kernels: bytes to and from interleaved rANS, for tables of up to 32 symbols.
 *
 * A stream has 2^k lanes, each with a state of 16 bits; byte i of the stream belongs to lane i mod n_lanes. A step codes one
 * byte in every lane. All lanes read from one run of bytes, in the order of lanes. States are kept as two planes, the high
 * bytes and the low ones, because the low byte is the slot.
 *
 * A stream may be coded in pieces, each of whole steps but the last: decoders go forward, encoders backward from the
 * last byte. Kernels of any instruction set may take turns on it.
 */
#ifndef MTH_CODECS_RANS_NARROW_H
#define MTH_CODECS_RANS_NARROW_H

#include "codecs/rans/rans_narrow_table.h"

#include <stdalign.h>

enum {
    MTH_RANS_MAX_LANES = 64,
    MTH_RANS_MIN_KERNEL_LANES = 32,
    MTH_RANS_LANES_ROOM = 128 /* for other codecs that take turns in more */
};

struct mth_rans_lanes {
    alignas(64) uint8_t high[MTH_RANS_LANES_ROOM];
    uint8_t low[MTH_RANS_LANES_ROOM];
    size_t n_lanes; /* a power of two */
};

struct mth_rans_reader {
    struct mth_rans_lanes lanes; /* high bytes are not 0 */
    const uint8_t *in, *end;     /* what is left; nothing outside is read */
    /* What is read later, and may be fetched from memory meanwhile: 64 bytes for each 32 lanes that are decoded. NULL: nothing. */
    const uint8_t *ahead;
};

struct mth_rans_writer {
    struct mth_rans_lanes lanes;
    uint8_t *begin, *at; /* room in front of what was written; nothing outside is written */
};

/*
 * Fast paths for whole steps. Each does as many of n_steps as it can without looking for the end of its bytes at every
 * one, and returns how many; mth_rans_narrow_decode and _encode do the rest.
 *
 * Shape     decode: dst[n_steps * n_lanes]; encode: the bytes that end at src_end; decode_pair: the same for two streams
 *           with the same n_lanes
 * Requires  n_lanes is 32 or 64; encode: every byte has a symbol or the table escapes
 */
struct mth_rans_narrow_kernels {
    const char *name;
    unsigned needs; /* enum mth_cpu_feature */
    size_t (*decode)(const struct mth_rans_narrow_table *table, struct mth_rans_reader *reader, uint8_t *dst,
                     size_t n_steps);
    size_t (*decode_pair)(const struct mth_rans_narrow_table *const tables[2],
                          struct mth_rans_reader *const readers[2], uint8_t *const dst[2], size_t n_steps);
    size_t (*encode)(const struct mth_rans_narrow_table *table, struct mth_rans_writer *writer,
                     const uint8_t *src_end, size_t n_steps);
    /*
     * Bytes of src that have no symbol go to out, the first at out[n_out - 1], the next one below.
     * Returns how many there are; when more than n_out, what out holds means nothing.
     */
    size_t (*escapes)(const struct mth_rans_narrow_table *table, const uint8_t *src, size_t n, uint8_t *out,
                      size_t n_out);
};

/* The kernels for these CPU features; mth_rans_narrow_kernels_at lists all that were built, portable first, then NULL. */
const struct mth_rans_narrow_kernels *mth_rans_narrow_kernels_for(unsigned features);
const struct mth_rans_narrow_kernels *mth_rans_narrow_kernels_at(size_t i);

/* States where encoders begin and decoders must end. */
void mth_rans_lanes_init(struct mth_rans_lanes *lanes, size_t n_lanes);
bool mth_rans_lanes_at_start(const struct mth_rans_lanes *lanes);

/*
 * Decode n bytes; a multiple of n_lanes but for the last piece of a stream. Escapes come out as the table's marker.
 *
 * Errors    false when the input ran out
 */
bool mth_rans_narrow_decode(const struct mth_rans_narrow_kernels *kernels,
                            const struct mth_rans_narrow_table *table, struct mth_rans_reader *reader,
                            uint8_t *dst, size_t n);

/*
 * Encode the n bytes at src in front of what the writer has; all pieces are multiples of n_lanes but the first one coded,
 * the end of the stream.
 *
 * Errors    false when the room ran out
 */
bool mth_rans_narrow_encode(const struct mth_rans_narrow_kernels *kernels,
                            const struct mth_rans_narrow_table *table, struct mth_rans_writer *writer,
                            const uint8_t *src, size_t n);

/* What the file of an instruction set brings, for the selection. */
extern const struct mth_rans_narrow_kernels mth_rans_narrow_portable;
#if defined(__x86_64__) && defined(__GNUC__)
#define MTH_RANS_HAVE_X86 1
extern const struct mth_rans_narrow_kernels mth_rans_narrow_avx2;
extern const struct mth_rans_narrow_kernels mth_rans_narrow_avx512;
#elif defined(__AARCH64EL__) && defined(__GNUC__)
#define MTH_RANS_HAVE_NEON 1
extern const struct mth_rans_narrow_kernels mth_rans_narrow_neon;
#endif

#endif
