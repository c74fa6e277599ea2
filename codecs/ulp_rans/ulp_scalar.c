/* Flags and symbols in plain C, and what the other kernels leave to it: the ends of streams; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_scalar.h"

#include "codecs/rans/rans_scalar.h"

#include <string.h>

/* ---- states ---- */

/* x after a symbol was taken out of it, and a byte read where it got small. False: there was none. */
static inline bool refill(struct mth_rans_reader *reader, size_t lane, unsigned x)
{
    if (x < MTH_RANS_SCALAR_STATE_LOW) {
        if (reader->in == reader->end)
            return false;
        x = x << 8 | *reader->in++;
    }
    reader->lanes.low[lane] = (uint8_t)x;
    reader->lanes.high[lane] = (uint8_t)(x >> 8);
    return true;
}

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

static bool decode_group(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                         const uint8_t *contexts, size_t number, uint32_t *out)
{
    size_t lane = number * MTH_ULP_GROUP & (reader->lanes.n_lanes - 1);
    uint32_t mask = 0;
    for (size_t i = 0; i < MTH_ULP_GROUP; i++, lane++) {
        unsigned changed = table->changed[contexts[i]], slot = reader->lanes.low[lane];
        if (changed == 0)
            continue;
        bool is_changed = slot < changed;
        unsigned freq = is_changed ? changed : MTH_ULP_SLOTS - changed;
        mask |= (uint32_t)is_changed << i;
        if (!refill(reader, lane, freq * reader->lanes.high[lane] + (is_changed ? slot : slot - changed)))
            return false;
    }
    *out = mask;
    return true;
}

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

/*
 * A group at once: arithmetic on words that compilers make vectors of. Bytes go out, or come in, one by one, from and to few
 * lanes; so many at a time go without a branch, which would be taken by chance.
 */
enum { BYTES_AT_ONCE = 4 };

/* States of the groups of lanes. What is written where no lane is meant goes behind a group's. */
enum { NO_LANE = MTH_ULP_GROUP, LANE_GROUPS = MTH_RANS_LANES_ROOM / MTH_ULP_GROUP };

struct states {
    uint16_t of[LANE_GROUPS][MTH_ULP_GROUP + 8];
};

static void load_words(const struct mth_rans_lanes *lanes, uint16_t *x)
{
    for (size_t i = 0; i < lanes->n_lanes; i++)
        x[i] = (uint16_t)(lanes->high[i] << 8 | lanes->low[i]);
}

static void store_words(struct mth_rans_lanes *lanes, const uint16_t *x)
{
    for (size_t i = 0; i < lanes->n_lanes; i++) {
        lanes->low[i] = (uint8_t)x[i];
        lanes->high[i] = (uint8_t)(x[i] >> 8);
    }
}

static void load_states(const struct mth_rans_lanes *lanes, struct states *states)
{
    memset(states, 0, sizeof *states);
    for (size_t i = 0; i < lanes->n_lanes; i++)
        states->of[i / MTH_ULP_GROUP][i % MTH_ULP_GROUP] = (uint16_t)(lanes->high[i] << 8 | lanes->low[i]);
}

static void store_states(struct mth_rans_lanes *lanes, const struct states *states)
{
    for (size_t i = 0; i < lanes->n_lanes; i++) {
        uint16_t x = states->of[i / MTH_ULP_GROUP][i % MTH_ULP_GROUP];
        lanes->low[i] = (uint8_t)x;
        lanes->high[i] = (uint8_t)(x >> 8);
    }
}

/*
 * What a table of words says of two neighbours at once. A place is a context, and a bit above it that says whether the element
 * changed, where that is known.
 */
enum { PLACE_BITS = 5, PLACES = 1 << PLACE_BITS };

struct pairs {
    uint16_t of[PLACES * PLACES][2];
};

static void fill_pairs(const uint16_t words[PLACES], struct pairs *pairs)
{
    for (size_t second = 0; second < PLACES; second++) {
        for (size_t first = 0; first < PLACES; first++) {
            pairs->of[second * PLACES + first][0] = words[first];
            pairs->of[second * PLACES + first][1] = words[second];
        }
    }
}

/* Groups whose words are looked up before any is needed: a vector that is loaded right behind the stores of its parts waits for them. */
enum { AHEAD = 4, WORD_PLACES = 8 };

/* The places of a group as numbers of pairs, from eight bytes four. */
static void pair_places(const uint8_t *contexts, uint32_t mask, uint16_t numbers[MTH_ULP_GROUP / 2])
{
    const uint64_t ones = 0x0101010101010101, bit_of_byte = 0x8040201008040201, all = 0x7f7f7f7f7f7f7f7f;
    for (size_t i = 0; i < MTH_ULP_GROUP; i += WORD_PLACES, numbers += WORD_PLACES / 2) {
        uint64_t bits = (mask >> i & 0xff) * ones & bit_of_byte;
        /* Bit 7 of each byte that is not 0, to bit 4. */
        uint64_t changed = (((bits & all) + all) | bits) >> 3 & ones << 4;
        uint64_t places = mth_lane_load64(contexts + i) | changed;
        uint64_t both = (places & 0x001f001f001f001f) | (places >> 3 & 0x03e003e003e003e0);
        numbers[0] = (uint16_t)both;
        numbers[1] = (uint16_t)(both >> 16);
        numbers[2] = (uint16_t)(both >> 32);
        numbers[3] = (uint16_t)(both >> 48);
    }
}

static void look_up(const struct pairs *pairs, const uint16_t numbers[MTH_ULP_GROUP / 2], uint16_t *words)
{
    for (size_t i = 0; i < MTH_ULP_GROUP / 2; i++)
        memcpy(words + 2 * i, pairs->of[numbers[i]], sizeof pairs->of[0]);
}

/* Flags out of a group's states, of which those that got small are still to be refilled. */
MTH_ALWAYS_INLINE void take_flags(uint16_t *restrict x, const uint16_t *restrict changed_slots,
                                  uint8_t *restrict is_changed, uint8_t *restrict is_small)
{
    for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
        uint16_t slot = x[i] & 255, high = x[i] >> 8, changed = changed_slots[i];
        uint16_t flag = (uint16_t)(0 - ((int16_t)slot < (int16_t)changed));
        uint16_t below = (uint16_t)(changed & ~flag); /* slots of "changed" that lie below a slot of "same" */
        uint16_t freq = (uint16_t)(((MTH_ULP_SLOTS - changed) & ~flag) | (changed & flag));
        uint16_t next = (uint16_t)(freq * high + slot - below);
        x[i] = next;
        is_changed[i] = flag & 1;
        is_small[i] = (int16_t)(next >> 8) < 1;
    }
}

MTH_ALWAYS_INLINE const uint8_t *refill_group(uint16_t *restrict x, uint32_t small,
                                              const uint8_t *restrict in)
{
    uint64_t left = (uint64_t)1 << NO_LANE | small;
    while ((uint32_t)left) {
        for (size_t k = 0; k < BYTES_AT_ONCE; k++) {
            unsigned i = (unsigned)__builtin_ctzll(left);
            uint64_t is_lane = i < NO_LANE;
            x[i] = (uint16_t)(x[i] << 8 | *in);
            in += is_lane;
            left ^= is_lane << (i % NO_LANE);
        }
    }
    return in;
}

size_t mth_ulp_scalar_decode_flags(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                   const uint8_t *contexts, size_t first, size_t n_groups, uint32_t *masks)
{
    size_t n_lanes = reader->lanes.n_lanes, g = 0;
    uint16_t slots_of[PLACES] = {0};
    const uint8_t *in = reader->in;
    struct pairs slots;
    struct states states;
    if (n_lanes < MTH_ULP_GROUP)
        return 0;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        slots_of[c] = table->changed[c];
    fill_pairs(slots_of, &slots);
    load_states(&reader->lanes, &states);
    while (n_groups - g >= AHEAD && (size_t)(reader->end - in) > (size_t)AHEAD * MTH_ULP_GROUP) {
        uint16_t changed[AHEAD][MTH_ULP_GROUP], numbers[MTH_ULP_GROUP / 2];
        for (size_t i = 0; i < AHEAD; i++) {
            pair_places(contexts + (g + i) * MTH_ULP_GROUP, 0, numbers);
            look_up(&slots, numbers, changed[i]);
        }
        for (size_t i = 0; i < AHEAD; i++, g++) {
            uint16_t *x = states.of[(first + g) & (n_lanes / MTH_ULP_GROUP - 1)];
            uint8_t is_changed[MTH_ULP_GROUP], is_small[MTH_ULP_GROUP];
            take_flags(x, changed[i], is_changed, is_small);
            masks[g] = mth_ulp_mask_of(is_changed);
            in = refill_group(x, mth_ulp_mask_of(is_small), in);
        }
    }
    store_states(&reader->lanes, &states);
    reader->in = in;
    return g;
}

/*
 * Flags into a group's states; the low bytes of those that are full go out first. slots: how many a lane's flag has, and above
 * them a bit that says that it is "changed". The quotient by `reciprocal` is right or one too small, as in rans_avx2.h.
 */
enum { IS_CHANGED = 0x8000 };

MTH_ALWAYS_INLINE void put_flags(uint16_t *restrict x, const uint16_t *restrict slots,
                                 const uint16_t *restrict reciprocal, uint8_t *restrict low,
                                 uint8_t *restrict is_full)
{
    for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
        uint16_t freq = slots[i] & 0x1ff, same = (uint16_t)((slots[i] >> 15) - 1), high = x[i] >> 8;
        uint16_t full = (uint16_t)(0 - ((int16_t)high >= (int16_t)freq));
        uint16_t y = (uint16_t)((high & full) | (x[i] & ~full));
        uint16_t quotient = (uint16_t)((uint32_t)y * reciprocal[i] >> 16);
        uint16_t rest = (uint16_t)(y - quotient * freq);
        uint16_t above = (uint16_t)(0 - ((int16_t)rest >= (int16_t)freq));
        rest = (uint16_t)(rest - (freq & above));
        quotient = (uint16_t)(quotient - above);
        low[i] = (uint8_t)x[i];
        is_full[i] = full & 1;
        x[i] = (uint16_t)((quotient << 8) + rest + ((MTH_ULP_SLOTS - freq) & same));
    }
}

/* Requires  room for a byte more than there are lanes */
MTH_ALWAYS_INLINE uint8_t *emit_group(const uint8_t low[MTH_ULP_GROUP], uint32_t full, uint8_t *restrict at)
{
    uint64_t left = (uint64_t)full << 1 | 1; /* bit 0 is no lane */
    while (left > 1) {
        for (size_t k = 0; k < BYTES_AT_ONCE; k++) {
            unsigned i = 63u - (unsigned)__builtin_clzll(left);
            uint64_t is_lane = i > 0;
            at[-1] = low[(i - is_lane) % MTH_ULP_GROUP];
            at -= is_lane;
            left ^= is_lane << i;
        }
    }
    return at;
}

size_t mth_ulp_scalar_encode_flags(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                   const uint8_t *contexts, size_t first, size_t n_groups,
                                   const uint32_t *masks)
{
    size_t n_lanes = writer->lanes.n_lanes, left = n_groups;
    uint16_t slots_of[PLACES], reciprocal_of[PLACES];
    uint8_t *at = writer->at;
    struct pairs slots, reciprocals;
    struct states states;
    if (n_lanes < MTH_ULP_GROUP)
        return 0;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        const uint8_t(*same)[MTH_ULP_CONTEXTS] = table->same_reciprocal,
              (*changed)[MTH_ULP_CONTEXTS] = table->changed_reciprocal;
        slots_of[c] = (uint16_t)(MTH_ULP_SLOTS - table->changed[c]);
        slots_of[MTH_ULP_CONTEXTS + c] = (uint16_t)(table->changed[c] | IS_CHANGED);
        reciprocal_of[c] = (uint16_t)(same[1][c] << 8 | same[0][c]);
        reciprocal_of[MTH_ULP_CONTEXTS + c] = (uint16_t)(changed[1][c] << 8 | changed[0][c]);
    }
    fill_pairs(slots_of, &slots);
    fill_pairs(reciprocal_of, &reciprocals);
    load_states(&writer->lanes, &states);
    while (left >= AHEAD && (size_t)(at - writer->begin) > (size_t)AHEAD * MTH_ULP_GROUP) {
        uint16_t freq[AHEAD][MTH_ULP_GROUP], reciprocal[AHEAD][MTH_ULP_GROUP], numbers[MTH_ULP_GROUP / 2];
        for (size_t i = 0; i < AHEAD; i++) {
            size_t g = left - 1 - i;
            pair_places(contexts + g * MTH_ULP_GROUP, masks[g], numbers);
            look_up(&slots, numbers, freq[i]);
            look_up(&reciprocals, numbers, reciprocal[i]);
        }
        for (size_t i = 0; i < AHEAD; i++) {
            uint16_t *x = states.of[(first + --left) & (n_lanes / MTH_ULP_GROUP - 1)];
            uint8_t low[MTH_ULP_GROUP], is_full[MTH_ULP_GROUP];
            put_flags(x, freq[i], reciprocal[i], low, is_full);
            at = emit_group(low, mth_ulp_mask_of(is_full), at);
        }
    }
    store_states(&writer->lanes, &states);
    writer->at = at;
    return n_groups - left;
}

bool mth_ulp_decode_flags(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                          struct mth_rans_reader *reader, const uint8_t *from, size_t first, size_t n_groups,
                          uint32_t *masks)
{
    size_t g = kernels->decode_flags(table, reader, from, first, n_groups, masks);
    for (; g < n_groups; g++) {
        if (!decode_group(table, reader, from + g * MTH_ULP_GROUP, first + g, &masks[g]))
            return false;
    }
    return true;
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

static bool decode_symbol(const struct mth_ulp_table *table, struct mth_rans_reader *reader, size_t lane,
                          unsigned context, uint8_t *out)
{
    enum { FLIP = 0x80 };
    unsigned slot = reader->lanes.low[lane], symbol = 0;
    while (symbol + 1 < table->n_symbols && slot > (table->bound[symbol + 1][context] ^ (unsigned)FLIP))
        symbol++;
    *out = (uint8_t)symbol;
    unsigned freq = table->freq[symbol][context];
    if (freq == 0) /* all slots */
        return true;
    return refill(reader, lane, freq * reader->lanes.high[lane] + slot - table->start[symbol][context]);
}

static bool encode_symbol(const struct mth_ulp_table *table, struct mth_rans_writer *writer, size_t lane,
                          unsigned context, unsigned symbol)
{
    unsigned freq = table->freq[symbol][context];
    return freq == 0 || emit(writer, lane, freq, table->start[symbol][context]);
}

/* Lanes whose states are stored at once: stores that take turns between two lines cost far more. */
enum { TURN = 4 };

void mth_ulp_fill_symbol_slots(const struct mth_ulp_table *table, struct mth_ulp_symbol_slots *slots)
{
    enum { FLIP = 0x80 };
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        unsigned symbol = 0;
        if (!(table->used >> c & 1))
            continue;
        for (unsigned slot = 0; slot < MTH_ULP_SLOTS; slot++) {
            while (symbol + 1 < table->n_symbols && slot > (table->bound[symbol + 1][c] ^ (unsigned)FLIP))
                symbol++;
            unsigned freq = table->freq[symbol][c];
            slots->of[c][slot].symbol = (uint8_t)symbol;
            slots->of[c][slot].rank = (uint8_t)(freq ? slot - table->start[symbol][c] : slot);
            slots->of[c][slot].freq = (uint16_t)(freq ? freq : MTH_ULP_SLOTS);
        }
    }
}

size_t mth_ulp_scalar_decode_symbols(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                     const uint8_t *contexts, size_t n_steps, uint8_t *symbols)
{
    size_t n_lanes = reader->lanes.n_lanes, done = 0;
    uint16_t x[MTH_RANS_LANES_ROOM] = {0};
    const uint8_t *in = reader->in;
    struct mth_ulp_symbol_slots slots;
    if (n_steps * n_lanes < MTH_ULP_WORTH_SLOTS)
        return 0;
    mth_ulp_fill_symbol_slots(table, &slots);
    load_words(&reader->lanes, x);
    for (; done < n_steps && (size_t)(reader->end - in) >= n_lanes; done++) {
        for (size_t i = 0; i < n_lanes; i += TURN, contexts += TURN, symbols += TURN) {
            uint32_t next[TURN];
            uint8_t symbol[TURN];
            for (size_t k = 0; k < TURN; k++) {
                unsigned c = contexts[k], slot = x[i + k] & 255;
                symbol[k] = slots.of[c][slot].symbol;
                in = mth_rans_pull(slots.of[c][slot].freq, slots.of[c][slot].rank, x[i + k], in, &next[k]);
            }
            for (size_t k = 0; k < TURN; k++)
                x[i + k] = (uint16_t)next[k];
            memcpy(symbols, symbol, sizeof symbol);
        }
    }
    store_words(&reader->lanes, x);
    reader->in = in;
    return done;
}

size_t mth_ulp_scalar_encode_symbols(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                     const uint8_t *contexts_end, const uint8_t *symbols_end, size_t n_steps)
{
    size_t n_lanes = writer->lanes.n_lanes, done = 0;
    uint16_t x[MTH_RANS_LANES_ROOM] = {0};
    struct mth_rans_divisor divisors[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS];
    uint8_t *at = writer->at;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++)
            divisors[c][s] = table->freq[s][c] ? mth_rans_divisor_of(table->freq[s][c], table->start[s][c])
                                               : mth_rans_divisor_of(MTH_ULP_SLOTS, 0);
    load_words(&writer->lanes, x);
    for (; done < n_steps && (size_t)(at - writer->begin) >= n_lanes; done++) {
        contexts_end -= n_lanes;
        symbols_end -= n_lanes;
        for (size_t i = n_lanes; i > 0; i -= TURN) {
            uint32_t next[TURN];
            for (size_t k = TURN; k-- > 0;) {
                size_t lane = i - TURN + k;
                at = mth_rans_push(&divisors[contexts_end[lane]][symbols_end[lane]], x[lane], at, &next[k]);
            }
            for (size_t k = 0; k < TURN; k++)
                x[i - TURN + k] = (uint16_t)next[k];
        }
    }
    store_words(&writer->lanes, x);
    writer->at = at;
    return done;
}

bool mth_ulp_decode_symbols(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                            struct mth_rans_reader *reader, const uint8_t *from, size_t n, uint8_t *symbols)
{
    size_t n_lanes = reader->lanes.n_lanes, i = 0;
    if (n_lanes >= MTH_ULP_GROUP)
        i = n_lanes * kernels->decode_symbols(table, reader, from, n / n_lanes, symbols);
    for (; i < n; i++) {
        if (!decode_symbol(table, reader, i & (n_lanes - 1), from[i], &symbols[i]))
            return false;
    }
    return true;
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
