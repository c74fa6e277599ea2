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
 * A group at once, as if nothing changed and no state got small: arithmetic on words that compilers make vectors of. Lanes of which that is
 * not true, few where a kernel is worth its time, are done again one by one.
 */
struct group {
    uint16_t changed[MTH_ULP_GROUP]; /* slots of "changed", by lane */
    uint16_t x[MTH_ULP_GROUP];       /* states before */
    uint16_t next[MTH_ULP_GROUP];
    uint8_t is_other[MTH_ULP_GROUP]; /* it has to be done again */
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

/* What a table of words says of two contexts, which lie side by side, at once. */
struct pairs {
    uint32_t of[MTH_ULP_CONTEXTS * MTH_ULP_CONTEXTS];
};

static void fill_pairs(const uint16_t words[MTH_ULP_CONTEXTS], struct pairs *pairs)
{
    for (size_t second = 0; second < MTH_ULP_CONTEXTS; second++) {
        for (size_t first = 0; first < MTH_ULP_CONTEXTS; first++) {
            uint16_t both[2] = {words[first], words[second]};
            memcpy(&pairs->of[second * MTH_ULP_CONTEXTS + first], both, sizeof both);
        }
    }
}

/* Contexts of a group as numbers of such pairs. */
static void pair_contexts(const uint8_t *contexts, uint8_t numbers[MTH_ULP_GROUP / 2])
{
    for (size_t i = 0; i < MTH_ULP_GROUP / 2; i++)
        numbers[i] = (uint8_t)(contexts[2 * i] | contexts[2 * i + 1] << 4);
}

static void look_up(const struct pairs *pairs, const uint8_t numbers[MTH_ULP_GROUP / 2], uint16_t *words)
{
    for (size_t i = 0; i < MTH_ULP_GROUP / 2; i++)
        memcpy(words + 2 * i, &pairs->of[numbers[i]], sizeof pairs->of[0]);
}

size_t mth_ulp_scalar_decode_flags(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                   const uint8_t *contexts, size_t first, size_t n_groups, uint32_t *masks)
{
    size_t n_lanes = reader->lanes.n_lanes, g = 0;
    uint16_t x[MTH_RANS_LANES_ROOM] = {0}, slots_of[MTH_ULP_CONTEXTS];
    const uint8_t *in = reader->in;
    struct pairs slots;
    struct group group;
    if (n_lanes < MTH_ULP_GROUP)
        return 0;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        slots_of[c] = table->changed[c];
    fill_pairs(slots_of, &slots);
    load_words(&reader->lanes, x);
    for (; g < n_groups && (size_t)(reader->end - in) >= MTH_ULP_GROUP; g++, contexts += MTH_ULP_GROUP) {
        uint16_t *lanes = x + ((first + g) * MTH_ULP_GROUP & (n_lanes - 1));
        uint8_t is_changed[MTH_ULP_GROUP], numbers[MTH_ULP_GROUP / 2];
        pair_contexts(contexts, numbers);
        look_up(&slots, numbers, group.changed);
        memcpy(group.x, lanes, sizeof group.x);
        for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
            uint16_t slot = group.x[i] & 255, high = group.x[i] >> 8;
            uint16_t freq = (uint16_t)(MTH_ULP_SLOTS - group.changed[i]);
            is_changed[i] = (int16_t)slot < (int16_t)group.changed[i];
            group.next[i] = (uint16_t)(freq * high + slot - group.changed[i]);
            group.is_other[i] = is_changed[i] | (group.next[i] >> 8 == 0);
        }
        masks[g] = mth_ulp_mask_of(is_changed);
        for (uint32_t other = mth_ulp_mask_of(group.is_other); other; other &= other - 1) {
            size_t i = (size_t)__builtin_ctz(other);
            uint32_t slot = group.x[i] & 255, changed = group.changed[i], next;
            uint32_t freq = is_changed[i] ? changed : MTH_ULP_SLOTS - changed;
            in = mth_rans_pull(freq, is_changed[i] ? slot : slot - changed, group.x[i], in, &next);
            group.next[i] = (uint16_t)next;
        }
        memcpy(lanes, group.next, sizeof group.next);
    }
    store_words(&reader->lanes, x);
    reader->in = in;
    return g;
}

size_t mth_ulp_scalar_encode_flags(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                   const uint8_t *contexts, size_t first, size_t n_groups,
                                   const uint32_t *masks)
{
    size_t n_lanes = writer->lanes.n_lanes, left = n_groups;
    uint16_t x[MTH_RANS_LANES_ROOM] = {0}, slots_of[MTH_ULP_CONTEXTS], reciprocal_of[MTH_ULP_CONTEXTS];
    struct mth_rans_divisor divisors[MTH_ULP_CONTEXTS][2]; /* of "same", of "changed" */
    uint8_t *at = writer->at;
    struct pairs slots, reciprocals;
    struct group group;
    if (n_lanes < MTH_ULP_GROUP)
        return 0;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        unsigned changed = table->changed[c];
        slots_of[c] = (uint16_t)changed;
        reciprocal_of[c] = (uint16_t)(table->same_reciprocal[1][c] << 8 | table->same_reciprocal[0][c]);
        divisors[c][0] = mth_rans_divisor_of(MTH_ULP_SLOTS - changed, changed);
        divisors[c][1] = mth_rans_divisor_of(changed ? changed : MTH_ULP_SLOTS, 0);
    }
    fill_pairs(slots_of, &slots);
    fill_pairs(reciprocal_of, &reciprocals);
    load_words(&writer->lanes, x);
    for (; left > 0 && at - writer->begin >= MTH_ULP_GROUP; left--) {
        size_t g = left - 1;
        uint16_t *lanes = x + ((first + g) * MTH_ULP_GROUP & (n_lanes - 1)), reciprocal[MTH_ULP_GROUP];
        const uint8_t *of = contexts + g * MTH_ULP_GROUP;
        uint8_t numbers[MTH_ULP_GROUP / 2];
        pair_contexts(of, numbers);
        look_up(&slots, numbers, group.changed);
        look_up(&reciprocals, numbers, reciprocal);
        memcpy(group.x, lanes, sizeof group.x);
        for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
            /* The quotient by `reciprocal` is right or one too small, as in rans_avx2.h. */
            uint16_t freq = (uint16_t)(MTH_ULP_SLOTS - group.changed[i]);
            uint16_t quotient = (uint16_t)((uint32_t)group.x[i] * reciprocal[i] >> 16);
            uint16_t rest = (uint16_t)(group.x[i] - quotient * freq);
            uint16_t is_small = (int16_t)rest >= (int16_t)freq;
            quotient = (uint16_t)(quotient + is_small);
            rest = (uint16_t)(rest - (freq & (0 - is_small)));
            group.next[i] = (uint16_t)((quotient << 8) + rest + group.changed[i]);
            group.is_other[i] = (int16_t)(group.x[i] >> 8) >= (int16_t)freq;
        }
        for (uint32_t other = mth_ulp_mask_of(group.is_other) | masks[g]; other;) {
            unsigned i = 31u - (unsigned)__builtin_clz(other);
            uint32_t next;
            at = mth_rans_push(&divisors[of[i]][masks[g] >> i & 1], group.x[i], at, &next);
            group.next[i] = (uint16_t)next;
            other ^= 1u << i;
        }
        memcpy(lanes, group.next, sizeof group.next);
    }
    store_words(&writer->lanes, x);
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

/* A slot's symbol, and where it lies among that symbol's, by context. */
struct symbol_slots {
    struct {
        uint8_t symbol, rank;
        uint16_t freq; /* 1 .. 256 */
    } of[MTH_ULP_CONTEXTS][MTH_ULP_SLOTS];
};

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
            slots->of[c][slot].symbol = (uint8_t)symbol;
            slots->of[c][slot].rank = (uint8_t)(freq ? slot - table->start[symbol][c] : slot);
            slots->of[c][slot].freq = (uint16_t)(freq ? freq : MTH_ULP_SLOTS);
        }
    }
}

/* Fewer symbols than this are not worth the tables. */
enum { WORTH_TABLES = 2 * MTH_ULP_CONTEXTS * MTH_ULP_SLOTS };

size_t mth_ulp_scalar_decode_symbols(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                     const uint8_t *contexts, size_t n_steps, uint8_t *symbols)
{
    size_t n_lanes = reader->lanes.n_lanes, done = 0;
    uint16_t x[MTH_RANS_LANES_ROOM] = {0};
    const uint8_t *in = reader->in;
    struct symbol_slots slots;
    if (n_steps * n_lanes < WORTH_TABLES)
        return 0;
    fill_symbol_slots(table, &slots);
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
