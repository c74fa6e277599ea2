/* Counting bytes; see byte_histogram.h. */
#include "codecs/byte_histogram.h"

#include <string.h>

enum { WORD_BYTES = 8 };

/* Bytes of a word in any order: they are only counted. */
static inline uint64_t load_word(const uint8_t *src)
{
    uint64_t word;
    memcpy(&word, src, sizeof word);
    return word;
}

void mth_byte_histogram_quarters(const uint8_t *src, size_t n,
                                 uint32_t counts[MTH_BYTE_QUARTERS][MTH_BYTE_VALUES])
{
    const uint8_t *quarter[MTH_BYTE_QUARTERS + 1];
    memset(counts, 0, MTH_BYTE_QUARTERS * sizeof counts[0]);
    if (n == 0)
        return;
    for (size_t q = 0; q <= MTH_BYTE_QUARTERS; q++)
        quarter[q] = src + mth_byte_quarter(n, q);
    /* The last quarter is the shortest. */
    size_t n_words = (size_t)(quarter[MTH_BYTE_QUARTERS] - quarter[MTH_BYTE_QUARTERS - 1]) / WORD_BYTES;
    for (size_t i = 0; i < n_words; i++) {
        uint64_t a = load_word(quarter[0] + WORD_BYTES * i), b = load_word(quarter[1] + WORD_BYTES * i);
        uint64_t c = load_word(quarter[2] + WORD_BYTES * i), d = load_word(quarter[3] + WORD_BYTES * i);
        for (unsigned byte = 0; byte < WORD_BYTES; byte++) {
            counts[0][a >> 8 * byte & 0xff]++;
            counts[1][b >> 8 * byte & 0xff]++;
            counts[2][c >> 8 * byte & 0xff]++;
            counts[3][d >> 8 * byte & 0xff]++;
        }
    }
    for (size_t q = 0; q < MTH_BYTE_QUARTERS; q++) {
        for (const uint8_t *p = quarter[q] + WORD_BYTES * n_words; p < quarter[q + 1]; p++)
            counts[q][*p]++;
    }
}

void mth_byte_histogram(const uint8_t *src, size_t n, uint32_t counts[MTH_BYTE_VALUES])
{
    uint32_t quarters[MTH_BYTE_QUARTERS][MTH_BYTE_VALUES];
    mth_byte_histogram_quarters(src, n, quarters);
    for (size_t v = 0; v < MTH_BYTE_VALUES; v++)
        counts[v] = quarters[0][v] + quarters[1][v] + quarters[2][v] + quarters[3][v];
}
