/* Long steps in plain C; see ulp_long.h. */
#include "codecs/ulp_rans/ulp_long.h"

static const uint8_t first_of_symbol[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL};
static const uint8_t bits_of_symbol[MTH_ULP_SYMBOLS] = {MTH_ULP_BITS_OF_LONG_SYMBOL};

/* The symbol of u by table, up to the first u of the escape, which stands for all above. */
static void fill_symbols(uint8_t symbol_of[MTH_ULP_FIRST_OF_THE_ESCAPE + 1])
{
    unsigned symbol = 0;
    for (unsigned u = 0; u < MTH_ULP_FIRST_OF_THE_ESCAPE; u++) {
        while (symbol + 1 < MTH_ULP_ESCAPE && first_of_symbol[symbol + 1] <= u)
            symbol++;
        symbol_of[u] = (uint8_t)symbol;
    }
    symbol_of[MTH_ULP_FIRST_OF_THE_ESCAPE] = MTH_ULP_ESCAPE;
}

size_t mth_ulp_long_split_portable(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps,
                                   const uint8_t *contexts, size_t n_groups, uint8_t *symbols, uint8_t *signs,
                                   struct mth_ulp_bit_writer *extra)
{
    uint8_t symbol_of[MTH_ULP_FIRST_OF_THE_ESCAPE + 1];
    size_t g = 0;
    fill_symbols(symbol_of);
    for (; g < n_groups && mth_ulp_long_has_room(extra); g++, signs += MTH_ULP_GROUP / 8) {
        struct mth_ulp_bit_writer writer = *extra;
        uint32_t down = 0;
        for (size_t i = 0; i < MTH_ULP_GROUP; i++, steps += 4, contexts++, symbols++) {
            uint32_t step;
            memcpy(&step, steps, sizeof step);
            uint32_t sign = step >> 31, v = ((step ^ (0 - sign)) + sign) - 1, s = shift[*contexts],
                     u = v >> s;
            unsigned symbol = symbol_of[u < MTH_ULP_FIRST_OF_THE_ESCAPE ? u : MTH_ULP_FIRST_OF_THE_ESCAPE];
            *symbols = (uint8_t)symbol;
            down |= sign << i;
            s = symbol == MTH_ULP_ESCAPE ? 0 : s;
            mth_ulp_long_put(&writer, v - ((uint32_t)first_of_symbol[symbol] << s),
                             s + bits_of_symbol[symbol]);
        }
        for (unsigned i = 0; i < MTH_ULP_GROUP / 8; i++)
            signs[i] = (uint8_t)(down >> 8 * i);
        *extra = writer;
    }
    return g;
}

size_t mth_ulp_long_join_portable(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols,
                                  const uint8_t *signs, const uint8_t *contexts, size_t n_groups,
                                  struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    size_t g = 0;
    for (; g < n_groups && mth_ulp_long_has_bits(extra); g++) {
        struct mth_ulp_bit_reader before = *extra;
        uint8_t n[MTH_ULP_GROUP];
        uint32_t fields[MTH_ULP_GROUP], wrong = 0;
        for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
            unsigned symbol = symbols[i];
            n[i] = (uint8_t)((symbol == MTH_ULP_ESCAPE ? 0 : shift[contexts[i]]) + bits_of_symbol[symbol]);
        }
        mth_ulp_long_get(extra, n, fields);
        for (size_t i = 0; i < MTH_ULP_GROUP; i++, steps += 4) {
            unsigned symbol = symbols[i], s = n[i] - bits_of_symbol[symbol];
            uint32_t field = fields[i] & (uint32_t)(((uint64_t)1 << n[i]) - 1), u = first_of_symbol[symbol];
            u += field >> s;
            wrong |= u >> (MTH_ULP_LONG_BITS - s);
            uint32_t m = (u << s | (field & ((1u << s) - 1))) + 1, sign = signs[i / 8] >> i % 8 & 1;
            uint32_t step = (m ^ (0 - sign)) + sign;
            memcpy(steps, &step, sizeof step);
        }
        if (wrong) {
            *extra = before;
            break;
        }
        symbols += MTH_ULP_GROUP;
        signs += MTH_ULP_GROUP / 8;
        contexts += MTH_ULP_GROUP;
    }
    return g;
}
