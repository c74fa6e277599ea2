/* Test data, made with integers only; see patterns.h. */
#include "tests/support/patterns.h"

#include "base/checked.h"

#include <string.h>

const char *pattern_name(enum pattern pattern)
{
    static const char *const names[N_PATTERNS] = {"zeros",    "constant", "random", "text", "exponent",
                                                  "mantissa", "ramp",     "sparse", "float"};
    return names[pattern];
}

/* G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014. */
uint64_t pattern_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void fill_text(uint64_t seed, uint8_t *dst, size_t n)
{
    static const char *const words[] = {"the ",  "of ",       "layer ", "weight ",  "a ",     "gradient ",
                                        "step ", "attention", "model.", "0.weight", "bias\n", "and "};
    size_t at = 0;
    while (at < n) {
        const char *word = words[pattern_random(&seed) % (sizeof words / sizeof words[0])];
        size_t n_word = mth_size_min(strlen(word), n - at);
        memcpy(dst + at, word, n_word);
        at += n_word;
    }
}

/* The sum of four uniform numbers about zero is close to normal, as weights are: exponent and the bits below
 * it. */
static void fill_weights(enum pattern pattern, uint64_t seed, uint8_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t r = pattern_random(&seed);
        int32_t sum = -2 * 65535;
        for (unsigned k = 0; k < 4; k++)
            sum += (int32_t)(r >> 16 * k & 0xffff);
        uint32_t magnitude = (uint32_t)(sum < 0 ? -sum : sum) * 256 + 1;
        unsigned top = 0;
        while (magnitude >> top > 1)
            top++;
        if (pattern == PATTERN_EXPONENT)
            dst[i] = (uint8_t)(127 - 5 - 25 + top);
        else
            dst[i] = (uint8_t)((sum < 0 ? 0x80u : 0u) | (uint32_t)((uint64_t)magnitude << (32 - top)) >> 25);
    }
}

static void fill_float(uint64_t seed, uint8_t *dst, size_t n)
{
    static const uint32_t special[] = {0x7fc00001, 0xffc12345, 0x7f800000, 0xff800000,
                                       0x80000000, 0x00000000, 0x00000001, 0x7f800001};
    for (size_t i = 0; i < n; i += 4) {
        uint64_t r = pattern_random(&seed);
        uint8_t value[4];
        mth_store32(value, 0x3f000000u + (uint32_t)(i / 4 * 613) % 0x700000u + (uint32_t)(r & 15));
        if ((r >> 32) % 61 == 0)
            mth_store32(value, special[r >> 8 & 7]);
        memcpy(dst + i, value, mth_size_min(4, n - i));
    }
}

void pattern_fill(enum pattern pattern, uint64_t seed, uint8_t *dst, size_t n)
{
    switch (pattern) {
    case PATTERN_TEXT:
        fill_text(seed, dst, n);
        return;
    case PATTERN_EXPONENT:
    case PATTERN_MANTISSA:
        fill_weights(pattern, seed, dst, n);
        return;
    case PATTERN_FLOAT:
        fill_float(seed, dst, n);
        return;
    default:
        break;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t r = pattern == PATTERN_RANDOM || pattern == PATTERN_SPARSE ? pattern_random(&seed) : 0;
        switch (pattern) {
        case PATTERN_CONSTANT:
            dst[i] = (uint8_t)(0x3c + seed % 7);
            break;
        case PATTERN_RANDOM:
            dst[i] = (uint8_t)r;
            break;
        case PATTERN_RAMP:
            dst[i] = (uint8_t)i;
            break;
        case PATTERN_SPARSE:
            dst[i] = (uint8_t)(r % 64 ? 0 : r >> 32);
            break;
        default:
            dst[i] = 0;
        }
    }
}
