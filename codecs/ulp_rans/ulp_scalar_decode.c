/* Flags and symbols in plain C, and what the other kernels leave to it, the ends of streams: out of states; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_scalar_states.h"

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

/* What a table of words says of two neighbours. */
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
        uint16_t slot = x[i] & 255, changed = changed_slots[i], product = (uint16_t)(changed * (x[i] >> 8));
        uint16_t flag = (uint16_t)(0 - ((int16_t)slot < (int16_t)changed));
        /* "Same" has the 256 - changed slots behind those of "changed". */
        uint16_t if_changed = (uint16_t)(product + slot), if_same = (uint16_t)(x[i] - product - changed);
        uint16_t next = (uint16_t)((if_changed & flag) | (if_same & ~flag));
        x[i] = next;
        is_changed[i] = flag & 1;
        is_small[i] = (int16_t)(next >> 8) < 1;
    }
}

/* n lanes get a byte each. */
MTH_ALWAYS_INLINE const uint8_t *refill_lanes(struct states *states, const uint8_t *lanes, size_t n,
                                              const uint8_t *in)
{
    for (size_t k = 0; k < n; k++)
        states->of[lanes[k]] = (uint16_t)(states->of[lanes[k]] << 8 | in[k]);
    return in + n;
}

size_t mth_ulp_scalar_decode_flags(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                   const uint8_t *contexts, size_t first, size_t n_groups, uint32_t *masks)
{
    size_t n_vecs = reader->lanes.n_lanes / MTH_ULP_GROUP, g = 0;
    uint16_t slots_of[PLACES] = {0};
    const uint8_t *in = reader->in;
    struct pairs slots;
    struct states states;
    if (n_vecs == 0)
        return 0;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        slots_of[c] = table->changed[c];
    fill_pairs(slots_of, &slots);
    load_states(&reader->lanes, &states);
    while (n_groups - g >= AHEAD && (size_t)(reader->end - in) >= (size_t)AHEAD * MTH_ULP_GROUP) {
        uint16_t changed[AHEAD][MTH_ULP_GROUP], numbers[MTH_ULP_GROUP / 2];
        for (size_t i = 0; i < AHEAD; i++) {
            if (reader->ahead)
                __builtin_prefetch(reader->ahead + (g + i) * MTH_ULP_AHEAD_BYTES, 0, 2);
            pair_places(contexts + (g + i) * MTH_ULP_GROUP, 0, numbers);
            look_up(&slots, numbers, changed[i]);
        }
        for (size_t i = 0; i < AHEAD; i += n_vecs, g += n_vecs) {
            struct mth_ulp_list list;
            uint8_t *at = mth_ulp_list_end(&list);
            for (size_t v = n_vecs; v-- > 0;) {
                size_t lane = ((first + g + v) & (n_vecs - 1)) * MTH_ULP_GROUP;
                uint8_t is_changed[MTH_ULP_GROUP], is_small[MTH_ULP_GROUP];
                take_flags(states.of + lane, changed[i + v], is_changed, is_small);
                masks[g + v] = mth_ulp_mask_of(is_changed);
                at = mth_ulp_list_group(is_small, lane, at);
            }
            in = refill_lanes(&states, at, (size_t)(mth_ulp_list_end(&list) - at), in);
        }
    }
    store_states(&reader->lanes, &states);
    reader->in = in;
    return g;
}

/*
 * Kernels leave off where as many bytes are left as lanes might take at once. Where nearly all flags are the same, or symbols, a few bytes are
 * all there are, of thousands of groups: so the last ones are put where as many follow, for a kernel to go on with.
 */
enum { AT_ONCE = AHEAD * MTH_ULP_GROUP };
_Static_assert((size_t)AT_ONCE >= MTH_ULP_MAX_FLAG_LANES && (size_t)AT_ONCE >= MTH_RANS_MAX_LANES,
               "kernels ask for as many");

struct last_bytes {
    const uint8_t *in, *end;
    uint8_t room[2 * AT_ONCE];
};

/* False: there are as many as kernels ask for. */
static bool begin_last(struct mth_rans_reader *reader, struct last_bytes *last)
{
    size_t n_left = (size_t)(reader->end - reader->in);
    if (n_left >= AT_ONCE)
        return false;
    last->in = reader->in;
    last->end = reader->end;
    memset(last->room, 0, sizeof last->room);
    if (n_left > 0)
        memcpy(last->room, reader->in, n_left);
    reader->in = last->room;
    reader->end = last->room + n_left + AT_ONCE;
    return true;
}

/* False: more was taken than was there. */
static bool end_last(struct mth_rans_reader *reader, const struct last_bytes *last)
{
    size_t n_left = (size_t)(last->end - last->in), n_taken = (size_t)(reader->in - last->room);
    reader->in = n_taken <= n_left ? last->in + n_taken : last->end;
    reader->end = last->end;
    return n_taken <= n_left;
}

bool mth_ulp_decode_flags(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                          struct mth_rans_reader *reader, const uint8_t *from, size_t first, size_t n_groups,
                          uint32_t *masks)
{
    size_t g = kernels->decode_flags(table, reader, from, first, n_groups, masks);
    struct last_bytes last;
    if (n_groups - g >= AHEAD && begin_last(reader, &last)) {
        reader->ahead = NULL;
        g += kernels->decode_flags(table, reader, from + g * MTH_ULP_GROUP, first + g, n_groups - g,
                                   masks + g);
        if (!end_last(reader, &last))
            return false;
    }
    for (; g < n_groups; g++) {
        if (!decode_group(table, reader, from + g * MTH_ULP_GROUP, first + g, &masks[g]))
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

/*
 * By context and slot, the lowest byte first: the symbol, where the slot lies among that symbol's, and how many these are, 1 .. 256, in
 * two bytes. Of contexts that are not used, nothing.
 */
struct symbol_slots {
    uint32_t of[MTH_ULP_CONTEXTS][MTH_ULP_SLOTS];
};

/* Fewer symbols than this are not worth such a table. */
enum { WORTH_SLOTS = 2 * MTH_ULP_CONTEXTS * MTH_ULP_SLOTS };

static void fill_symbol_slots(const struct mth_ulp_table *table, struct symbol_slots *slots)
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
            uint32_t rank = freq ? slot - table->start[symbol][c] : slot;
            slots->of[c][slot] = symbol | rank << 8 | (freq ? freq : MTH_ULP_SLOTS) << 16;
        }
    }
}

/* Symbols out of a group's states. sr: a symbol, and its slot's rank above it. */
MTH_ALWAYS_INLINE void take_symbols(uint16_t *restrict x, const uint16_t *restrict freq,
                                    const uint16_t *restrict ranked, uint8_t *restrict symbols,
                                    uint8_t *restrict is_small)
{
    for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
        uint16_t next = (uint16_t)(freq[i] * (x[i] >> 8) + (ranked[i] >> 8));
        x[i] = next;
        symbols[i] = (uint8_t)ranked[i];
        is_small[i] = (int16_t)(next >> 8) < 1;
    }
}

size_t mth_ulp_scalar_decode_symbols(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                     const uint8_t *contexts, size_t n_steps, uint8_t *symbols)
{
    enum { MOST_GROUPS = MTH_RANS_MAX_LANES / MTH_ULP_GROUP };
    size_t n_lanes = reader->lanes.n_lanes, n_vecs = n_lanes / MTH_ULP_GROUP, done = 0;
    const uint8_t *in = reader->in;
    struct symbol_slots slots;
    struct states states;
    if (n_steps * n_lanes < WORTH_SLOTS)
        return 0;
    fill_symbol_slots(table, &slots);
    load_states(&reader->lanes, &states);
    for (; done < n_steps && (size_t)(reader->end - in) >= n_lanes; done++) {
        uint16_t freq[MOST_GROUPS][MTH_ULP_GROUP], ranked[MOST_GROUPS][MTH_ULP_GROUP];
        for (size_t v = 0; v < n_vecs; v++, contexts += MTH_ULP_GROUP) {
            for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
                uint32_t word = slots.of[contexts[i]][states.of[v * MTH_ULP_GROUP + i] & 255];
                ranked[v][i] = (uint16_t)word;
                freq[v][i] = (uint16_t)(word >> 16);
            }
        }
        struct mth_ulp_list list;
        uint8_t *at = mth_ulp_list_end(&list);
        for (size_t v = n_vecs; v-- > 0;) {
            uint8_t is_small[MTH_ULP_GROUP];
            size_t lane = v * MTH_ULP_GROUP;
            take_symbols(states.of + lane, freq[v], ranked[v], symbols + lane, is_small);
            at = mth_ulp_list_group(is_small, lane, at);
        }
        in = refill_lanes(&states, at, (size_t)(mth_ulp_list_end(&list) - at), in);
        symbols += n_lanes;
    }
    store_states(&reader->lanes, &states);
    reader->in = in;
    return done;
}

bool mth_ulp_decode_symbols(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                            struct mth_rans_reader *reader, const uint8_t *from, size_t n, uint8_t *symbols)
{
    size_t n_lanes = reader->lanes.n_lanes, i = 0;
    if (n_lanes >= MTH_ULP_GROUP) {
        struct last_bytes last;
        i = n_lanes * kernels->decode_symbols(table, reader, from, n / n_lanes, symbols);
        if (n - i >= n_lanes && begin_last(reader, &last)) {
            i += n_lanes * kernels->decode_symbols(table, reader, from + i, (n - i) / n_lanes, symbols + i);
            if (!end_last(reader, &last))
                return false;
        }
    }
    for (; i < n; i++) {
        if (!decode_symbol(table, reader, i & (n_lanes - 1), from[i], &symbols[i]))
            return false;
    }
    return true;
}
