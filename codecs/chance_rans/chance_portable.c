/* Flags in plain C, and which kernels run; see chance_kernels.h. */
#include "codecs/chance_rans/chance_kernels.h"

#include "base/lane.h"

/*
 * One lane without a branch: which side it is, and whether a word comes in, is as good as random. With q = floor(x / slots) the next state
 * is chance * q + slot for up; for the others, whose slots lie behind, it is (slots - chance) * q + slot - chance = x - chance * (q + 1).
 *
 * Requires  MTH_RANS_WORD_BYTES readable bytes at in
 */
MTH_ALWAYS_INLINE const uint8_t *decode_state(uint32_t chance, uint32_t x, const uint8_t *restrict in,
                                              uint32_t *next, uint8_t *flag)
{
    uint32_t slot = x & (MTH_CHANCE_SLOTS - 1), product = chance * (x >> MTH_CHANCE_SLOT_BITS);
    uint32_t up = (slot - chance) >> 31, taken = product + slot, left = x - product - chance;
    uint32_t y = left ^ ((left ^ taken) & (0 - up));
    uint32_t renormalised = y << 16 | mth_lane_load16(in);
    uint32_t below = (y - MTH_RANS_WIDE_STATE_LOW) >> 31;
    *flag = (uint8_t)up;
    *next = y ^ ((y ^ renormalised) & (0 - below));
    return in + below * MTH_RANS_WORD_BYTES;
}

static size_t decode_steps(const uint32_t chances[MTH_CHANCE_CLASSES], struct mth_rans_wide_reader *reader,
                           const uint8_t *restrict classes, uint8_t *restrict flags, size_t n_steps)
{
    enum { GROUP = 4 };
    const uint8_t *in = reader->in;
    uint32_t *x = reader->lanes.x;
    size_t done = 0;
    for (; done < n_steps && (size_t)(reader->end - in) >= MTH_RANS_WIDE_LANES * MTH_RANS_WORD_BYTES;
         done++) {
        for (size_t i = 0; i < MTH_RANS_WIDE_LANES; i += GROUP, classes += GROUP, flags += GROUP) {
            uint32_t next[GROUP];
            for (size_t k = 0; k < GROUP; k++)
                in = decode_state(chances[classes[k]], x[i + k], in, &next[k], &flags[k]);
            for (size_t k = 0; k < GROUP; k++)
                x[i + k] = next[k];
        }
    }
    reader->in = in;
    return done;
}

bool mth_chance_decode(const struct mth_chance_kernels *kernels, const uint32_t chances[MTH_CHANCE_CLASSES],
                       struct mth_rans_wide_reader *reader, const uint8_t *classes, uint8_t *flags, size_t n)
{
    size_t n_lanes = reader->lanes.n_lanes, i = 0;
    if (n_lanes == MTH_RANS_WIDE_LANES)
        i = n_lanes * kernels->decode(chances, reader, classes, flags, n / n_lanes);
    for (; i < n; i++) {
        static const uint8_t none[MTH_RANS_WORD_BYTES] = {0};
        size_t lane = i % n_lanes;
        bool has_word = reader->end - reader->in >= MTH_RANS_WORD_BYTES;
        const uint8_t *in = has_word ? reader->in : none;
        const uint8_t *next_in =
            decode_state(chances[classes[i]], reader->lanes.x[lane], in, &reader->lanes.x[lane], &flags[i]);
        if (!has_word && next_in != in)
            return false;
        reader->in += next_in - in;
    }
    return true;
}

const struct mth_chance_kernels mth_chance_portable = {.name = "portable", .decode = decode_steps};

/* From the plainest to the fastest. */
static const struct mth_chance_kernels *const built[] = {
    &mth_chance_portable,
#ifdef MTH_RANS_WIDE_HAVE_X86
    &mth_chance_avx2,
    &mth_chance_avx512,
#endif
};

enum { N_BUILT = sizeof built / sizeof built[0] };

const struct mth_chance_kernels *mth_chance_kernels_at(size_t i)
{
    return i < N_BUILT ? built[i] : NULL;
}

const struct mth_chance_kernels *mth_chance_kernels_for(unsigned features)
{
    size_t i = N_BUILT - 1;
    while ((built[i]->needs & features) != built[i]->needs)
        i--;
    return built[i];
}
