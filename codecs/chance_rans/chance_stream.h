/* What the encoder and the decoder of chance-rans share; see spec.md. */
#ifndef MTH_CODECS_CHANCE_STREAM_H
#define MTH_CODECS_CHANCE_STREAM_H

#include "codecs/chance_rans/chance_kernels.h"
#include "codecs/codec.h"

#include "base/checked.h"
#include "base/lane.h"

enum {
    MODE_RAW = 0,
    MODE_CODED = 1,
    LANES_SHIFT = 4,
    MAX_LANES_LOG2 = 5,
    LANE_BYTES = 4,       /* of a state */
    ELEM_BYTES = 2,       /* of an element */
    PIECE_ELEMS = 1 << 12 /* worked on together; a multiple of all lanes */
};

struct mth_chance_state {
    struct mth_memory *memory;
    const struct mth_chance_kernels *kernels;
    const struct mth_rans_wide_kernels *wide_kernels;
    struct mth_rans_wide_table *table; /* of an encoder: of symbols, see symbols_of */
    uint8_t classes[PIECE_ELEMS], symbols[PIECE_ELEMS];
};

/* What both sides know of a stream. Its elements are words of 16 bits, whatever they mean; floats have classes. */
struct mth_chance_known {
    const uint8_t *reference; /* NULL: zeros */
    unsigned shift;
    uint16_t mask; /* of the exponent, shifted; 0: all are of one class */
};

struct mth_chance_known mth_chance_known_of(const struct mth_symbol_type *type,
                                            const struct mth_context *context, size_t n_bytes);
/* Of a piece, or what there is where a stream has none. */
const uint8_t *mth_chance_reference_at(const struct mth_chance_known *known, size_t elem);
/* The chance of a class that a stream does not name: classes 2 to 15 are ways from one side to the other, in equal parts, and the others stay. */
uint32_t mth_chance_by_distance(uint32_t class);

MTH_ALWAYS_INLINE uint16_t mth_chance_class_of(uint16_t elem, unsigned shift, uint16_t mask)
{
    uint16_t exponent = (uint16_t)(elem >> shift) & mask;
    return exponent < MTH_CHANCE_CLASSES ? exponent : MTH_CHANCE_CLASSES - 1;
}

/* Both directions, of a struct mth_chance_state; see codec.h. */
int mth_chance_encode_stream(void *opaque, struct mth_encode_job *job);
int mth_chance_decode_streams(void *opaque, struct mth_decode_job *jobs, size_t n_jobs);

#endif
