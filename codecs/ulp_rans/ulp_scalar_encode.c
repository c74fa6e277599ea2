/* Flags and symbols in plain C, and what the other kernels leave to it, the ends of streams: into states; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_scalar_states.h"

/* A symbol of `freq` slots from `start` on into a lane. False: there was no room. */
static inline bool emit(struct mth_rans_writer *writer, size_t lane, unsigned freq, unsigned start)
{
    unsigned x = writer->lanes.high[lane] * 256u + writer->lanes.low[lane];
    if (x >= freq << 8) {
        if (writer->at == writer->begin)
            return false;
        *--writer->at = (uint8_t)x;
        x >>= 8;
    }
    writer->lanes.high[lane] = (uint8_t)(x / freq);
    writer->lanes.low[lane] = (uint8_t)(start + x % freq);
    return true;
}

/* ---- flags ---- */

static bool encode_group(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                         const uint8_t *contexts, size_t number, uint32_t mask)
{
    size_t lane = (number * MTH_ULP_GROUP & (writer->lanes.n_lanes - 1)) + MTH_ULP_GROUP;
    for (size_t i = MTH_ULP_GROUP; i-- > 0;) {
        unsigned changed = table->changed[contexts[i]];
        lane--;
        if (changed == 0)
            continue;
        bool is_changed = mask >> i & 1;
        if (!emit(writer, lane, is_changed ? changed : MTH_ULP_SLOTS - changed, is_changed ? 0 : changed))
            return false;
    }
    return true;
}

enum { PAIRS = MTH_ULP_GROUP / 2 };

/* Of a group, by element and by pair. */
union words_of_group {
    uint16_t one[MTH_ULP_GROUP];
    uint32_t two[PAIRS];
};

/*
 * A symbol of freq slots from start on into state x, which loses its low byte first where it is full. The quotient by the reciprocal
 * is right or one too small, as in rans_avx2.h.
 */
MTH_ALWAYS_INLINE uint16_t put_state(uint16_t x, uint16_t freq, uint16_t start, uint16_t reciprocal,
                                     uint8_t *is_full)
{
    uint16_t high = x >> 8, full = (uint16_t)(0 - ((int16_t)high >= (int16_t)freq));
    uint16_t y = (uint16_t)((high & full) | (x & ~full));
    uint16_t quotient = (uint16_t)((uint32_t)y * reciprocal >> 16);
    uint16_t rest = (uint16_t)(y - quotient * freq);
    uint16_t above = (uint16_t)(0 - ((int16_t)rest >= (int16_t)freq));
    rest = (uint16_t)(rest - (freq & above));
    *is_full = full & 1;
    quotient = (uint16_t)(quotient - above);
    return (uint16_t)((quotient << 8) + rest + start);
}

/* A flag or symbol into each of a group's states. slots: how many it has, 0 for all, and above them the first one. */
MTH_ALWAYS_INLINE void put_group(uint16_t *restrict x, const uint16_t *restrict slots,
                                 const uint16_t *restrict reciprocal, uint8_t *restrict low,
                                 uint8_t *restrict is_full)
{
    for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
        uint16_t freq = (uint16_t)(((slots[i] - 1) & 255) + 1);
        low[i] = (uint8_t)x[i];
        x[i] = put_state(x[i], freq, slots[i] >> 8, reciprocal[i], &is_full[i]);
    }
}

/* The low bytes of n lanes go out. */
MTH_ALWAYS_INLINE uint8_t *emit_lanes(const uint8_t *restrict low, const uint8_t *lanes, size_t n,
                                      uint8_t *restrict at)
{
    at -= n;
    for (size_t k = 0; k < n; k++)
        at[k] = low[lanes[k]];
    return at;
}

/* What a table says of two neighbours: their slots, and above them reciprocals. */
struct coded_pairs {
    uint64_t of[PLACES * PLACES];
};

static void fill_coded_pairs(const uint16_t slots[PLACES], const uint16_t reciprocals[PLACES],
                             struct coded_pairs *pairs)
{
    for (size_t second = 0; second < PLACES; second++) {
        for (size_t first = 0; first < PLACES; first++) {
            union words_of_group words = {.one = {slots[first], slots[second]}},
                                 above = {.one = {reciprocals[first], reciprocals[second]}};
            pairs->of[second * PLACES + first] = words.two[0] | (uint64_t)above.two[0] << 32;
        }
    }
}

size_t mth_ulp_scalar_encode_flags(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                   const uint8_t *contexts, size_t first, size_t n_groups,
                                   const uint32_t *masks)
{
    size_t n_vecs = writer->lanes.n_lanes / MTH_ULP_GROUP, left = n_groups;
    uint16_t slots_of[PLACES], reciprocal_of[PLACES];
    uint8_t *at = writer->at;
    struct coded_pairs coded;
    struct states states;
    if (n_vecs == 0)
        return 0;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        const uint8_t(*same)[MTH_ULP_CONTEXTS] = table->same_reciprocal,
              (*changed)[MTH_ULP_CONTEXTS] = table->changed_reciprocal;
        slots_of[c] = (uint16_t)((uint8_t)(MTH_ULP_SLOTS - table->changed[c]) | table->changed[c] << 8);
        slots_of[MTH_ULP_CONTEXTS + c] = table->changed[c];
        reciprocal_of[c] = (uint16_t)(same[1][c] << 8 | same[0][c]);
        reciprocal_of[MTH_ULP_CONTEXTS + c] = (uint16_t)(changed[1][c] << 8 | changed[0][c]);
    }
    fill_coded_pairs(slots_of, reciprocal_of, &coded);
    load_states(&writer->lanes, &states);
    while (left >= AHEAD && (size_t)(at - writer->begin) >= (size_t)AHEAD * MTH_ULP_GROUP) {
        uint64_t words[AHEAD][PAIRS];
        union words_of_group slots[AHEAD], reciprocal[AHEAD];
        uint16_t numbers[PAIRS];
        for (size_t i = 0; i < AHEAD; i++) {
            size_t g = left - 1 - i;
            pair_places(contexts + g * MTH_ULP_GROUP, masks[g], numbers);
            for (size_t k = 0; k < PAIRS; k++)
                words[i][k] = coded.of[numbers[k]];
        }
        for (size_t i = 0; i < AHEAD; i++) {
            for (size_t k = 0; k < PAIRS; k++) {
                slots[i].two[k] = (uint32_t)words[i][k];
                reciprocal[i].two[k] = (uint32_t)(words[i][k] >> 32);
            }
        }
        struct mth_ulp_list list;
        uint8_t low[AHEAD * MTH_ULP_GROUP], *lanes = mth_ulp_list_end(&list);
        for (size_t i = 0; i < AHEAD; i++) {
            size_t lane = ((first + --left) & (n_vecs - 1)) * MTH_ULP_GROUP;
            size_t place = (AHEAD - 1 - i) * MTH_ULP_GROUP;
            uint8_t is_full[MTH_ULP_GROUP];
            put_group(states.of + lane, slots[i].one, reciprocal[i].one, low + place, is_full);
            lanes = mth_ulp_list_group(is_full, place, lanes);
        }
        at = emit_lanes(low, lanes, (size_t)(mth_ulp_list_end(&list) - lanes), at);
    }
    store_states(&writer->lanes, &states);
    writer->at = at;
    return n_groups - left;
}

bool mth_ulp_encode_flags(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                          struct mth_rans_writer *writer, const uint8_t *from, size_t first, size_t n_groups,
                          const uint32_t *masks)
{
    size_t left = n_groups - kernels->encode_flags(table, writer, from, first, n_groups, masks);
    while (left-- > 0) {
        if (!encode_group(table, writer, from + left * MTH_ULP_GROUP, first + left, masks[left]))
            return false;
    }
    return true;
}

/* ---- symbols ---- */

static bool encode_symbol(const struct mth_ulp_table *table, struct mth_rans_writer *writer, size_t lane,
                          unsigned context, unsigned symbol)
{
    unsigned freq = table->freq[symbol][context];
    return freq == 0 || emit(writer, lane, freq, table->start[symbol][context]);
}

/* By context and symbol: how many slots, 0 for all, and above them the first one; and, in the upper half, the reciprocal. */
struct symbol_words {
    uint32_t of[MTH_ULP_CONTEXTS * MTH_ULP_SYMBOLS];
};

static void fill_symbol_words(const struct mth_ulp_table *table, struct symbol_words *words)
{
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++)
            words->of[c * MTH_ULP_SYMBOLS + s] = table->freq[s][c] | (uint32_t)table->start[s][c] << 8 |
                                                 (uint32_t)table->symbol_reciprocal[0][s][c] << 16 |
                                                 (uint32_t)table->symbol_reciprocal[1][s][c] << 24;
    }
}

size_t mth_ulp_scalar_encode_symbols(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                     const uint8_t *contexts_end, const uint8_t *symbols_end, size_t n_steps)
{
    enum { SYMBOL_BITS = 4 };
    size_t n_vecs = writer->lanes.n_lanes / MTH_ULP_GROUP, left = n_steps * n_vecs;
    uint8_t *at = writer->at;
    struct symbol_words words;
    struct states states;
    if (n_vecs == 0)
        return 0;
    fill_symbol_words(table, &words);
    load_states(&writer->lanes, &states);
    while (left >= AHEAD && (size_t)(at - writer->begin) >= (size_t)AHEAD * MTH_ULP_GROUP) {
        uint16_t slots[AHEAD][MTH_ULP_GROUP], reciprocal[AHEAD][MTH_ULP_GROUP];
        for (size_t k = 0; k < AHEAD; k++) {
            contexts_end -= MTH_ULP_GROUP;
            symbols_end -= MTH_ULP_GROUP;
            for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
                uint32_t word = words.of[contexts_end[i] << SYMBOL_BITS | symbols_end[i]];
                slots[k][i] = (uint16_t)word;
                reciprocal[k][i] = (uint16_t)(word >> 16);
            }
        }
        struct mth_ulp_list list;
        uint8_t low[AHEAD * MTH_ULP_GROUP], *lanes = mth_ulp_list_end(&list);
        for (size_t k = 0; k < AHEAD; k++) {
            size_t lane = (--left & (n_vecs - 1)) * MTH_ULP_GROUP, place = (AHEAD - 1 - k) * MTH_ULP_GROUP;
            uint8_t is_full[MTH_ULP_GROUP];
            put_group(states.of + lane, slots[k], reciprocal[k], low + place, is_full);
            lanes = mth_ulp_list_group(is_full, place, lanes);
        }
        at = emit_lanes(low, lanes, (size_t)(mth_ulp_list_end(&list) - lanes), at);
    }
    store_states(&writer->lanes, &states);
    writer->at = at;
    return n_steps - left / n_vecs;
}

bool mth_ulp_encode_symbols(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                            struct mth_rans_writer *writer, const uint8_t *from, const uint8_t *symbols,
                            size_t n)
{
    size_t n_lanes = writer->lanes.n_lanes, left = n;
    while (left & (n_lanes - 1)) {
        left--;
        if (!encode_symbol(table, writer, left & (n_lanes - 1), from[left], symbols[left]))
            return false;
    }
    if (n_lanes >= MTH_ULP_GROUP)
        left -= n_lanes * kernels->encode_symbols(table, writer, from + left, symbols + left, left / n_lanes);
    while (left-- > 0) {
        if (!encode_symbol(table, writer, left & (n_lanes - 1), from[left], symbols[left]))
            return false;
    }
    return true;
}
