/* The tables of rans_shuffles.h, computed by the preprocessor; 128 makes a shuffle write 0. */
#include "codecs/rans/rans_shuffles.h"

#define BIT(m, i) ((m) >> (i)&1)

/* How many lanes of the mask lie below lane i. */
#define BELOW(m, i) COUNT((m) & ((1 << (i)) - 1))
#define COUNT(m) \
    (BIT(m, 0) + BIT(m, 1) + BIT(m, 2) + BIT(m, 3) + BIT(m, 4) + BIT(m, 5) + BIT(m, 6) + BIT(m, 7))

/* Lane i of an expansion. */
#define EXPAND(m, i, offset) (uint8_t)(BIT(m, i) ? BELOW(m, i) + (offset) : 128)

/* The lane of the mask with k lanes below it. */
#define IS_NTH(m, i, k) (i) * (BIT(m, i) && BELOW(m, i) == (k))
#define NTH(m, k)                                                                              \
    (IS_NTH(m, 1, k) + IS_NTH(m, 2, k) + IS_NTH(m, 3, k) + IS_NTH(m, 4, k) + IS_NTH(m, 5, k) + \
     IS_NTH(m, 6, k) + IS_NTH(m, 7, k))

/* Byte i of a compression. */
#define COMPRESS(m, i, offset) (uint8_t)((i) < 8 - COUNT(m) ? 128 : NTH(m, (i)-8 + COUNT(m)) + (offset))

#define ROW(f, m, offset)                                                                    \
    {                                                                                        \
        f(m, 0, offset), f(m, 1, offset), f(m, 2, offset), f(m, 3, offset), f(m, 4, offset), \
            f(m, 5, offset), f(m, 6, offset), f(m, 7, offset)                                \
    }
#define ROWS4(f, m, offset) \
    ROW(f, m, offset), ROW(f, (m) + 1, offset), ROW(f, (m) + 2, offset), ROW(f, (m) + 3, offset)
#define ROWS16(f, m, offset) \
    ROWS4(f, m, offset), ROWS4(f, (m) + 4, offset), ROWS4(f, (m) + 8, offset), ROWS4(f, (m) + 12, offset)
#define ROWS64(f, m, offset)                                                        \
    ROWS16(f, m, offset), ROWS16(f, (m) + 16, offset), ROWS16(f, (m) + 32, offset), \
        ROWS16(f, (m) + 48, offset)
#define ROWS256(f, offset)                                                                          \
    {                                                                                               \
        ROWS64(f, 0, offset), ROWS64(f, 64, offset), ROWS64(f, 128, offset), ROWS64(f, 192, offset) \
    }

const struct mth_rans_shuffles mth_rans_expand = {ROWS256(EXPAND, 0), ROWS256(EXPAND, 8)};
const struct mth_rans_shuffles mth_rans_compress = {ROWS256(COMPRESS, 0), ROWS256(COMPRESS, 8)};
