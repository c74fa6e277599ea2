/* Frequencies from counts; see rans_quantise.h. */
#include "codecs/rans/rans_quantise.h"

#include <assert.h>

enum { OCTAVE = 256 };

/* round(2^24 * log2(1 + i / 256)) */
static const uint32_t log2_octave[OCTAVE + 1] = {
    0,        94364,    188362,   281996,   375270,   468185,   560745,   652952,   744810,   836320,
    927485,   1018309,  1108793,  1198939,  1288752,  1378232,  1467383,  1556207,  1644705,  1732882,
    1820738,  1908277,  1995500,  2082410,  2169009,  2255299,  2341283,  2426963,  2512340,  2597417,
    2682196,  2766679,  2850868,  2934766,  3018374,  3101694,  3184728,  3267478,  3349946,  3432134,
    3514044,  3595678,  3677038,  3758124,  3838941,  3919488,  3999768,  4079782,  4159533,  4239023,
    4318251,  4397222,  4475935,  4554394,  4632599,  4710552,  4788255,  4865709,  4942916,  5019878,
    5096595,  5173071,  5249305,  5325300,  5401057,  5476578,  5551864,  5626916,  5701737,  5776327,
    5850688,  5924821,  5998727,  6072409,  6145867,  6219103,  6292118,  6364913,  6437490,  6509850,
    6581994,  6653924,  6725641,  6797146,  6868440,  6939525,  7010402,  7081072,  7151536,  7221795,
    7291852,  7361706,  7431359,  7500812,  7570066,  7639123,  7707984,  7776649,  7845119,  7913397,
    7981483,  8049377,  8117082,  8184598,  8251926,  8319067,  8386022,  8452793,  8519380,  8585785,
    8652008,  8718050,  8783912,  8849596,  8915102,  8980431,  9045584,  9110562,  9175366,  9239998,
    9304457,  9368745,  9432863,  9496811,  9560591,  9624203,  9687648,  9750928,  9814042,  9876993,
    9939780,  10002404, 10064867, 10127170, 10189312, 10251295, 10313120, 10374787, 10436298, 10497652,
    10558852, 10619897, 10680789, 10741528, 10802114, 10862550, 10922835, 10982970, 11042956, 11102794,
    11162484, 11222028, 11281425, 11340677, 11399784, 11458748, 11517568, 11576245, 11634780, 11693175,
    11751428, 11809542, 11867517, 11925353, 11983051, 12040612, 12098037, 12155325, 12212479, 12269497,
    12326382, 12383133, 12439752, 12496238, 12552593, 12608817, 12664911, 12720875, 12776710, 12832416,
    12887994, 12943445, 12998770, 13053968, 13109041, 13163988, 13218811, 13273511, 13328087, 13382540,
    13436871, 13491080, 13545168, 13599135, 13652983, 13706711, 13760320, 13813810, 13867183, 13920438,
    13973576, 14026597, 14079503, 14132294, 14184969, 14237530, 14289978, 14342312, 14394532, 14446641,
    14498638, 14550523, 14602297, 14653961, 14705514, 14756958, 14808293, 14859519, 14910637, 14961648,
    15012551, 15063347, 15114037, 15164621, 15215099, 15265473, 15315742, 15365906, 15415967, 15465925,
    15515779, 15565531, 15615181, 15664730, 15714177, 15763523, 15812769, 15861915, 15910962, 15959909,
    16008758, 16057508, 16106160, 16154714, 16203172, 16251532, 16299796, 16347964, 16396036, 16444013,
    16491896, 16539683, 16587377, 16634976, 16682482, 16729896, 16777216};

enum { FINE_BITS = 8, FINE_LOG2_BITS = MTH_RANS_LOG2_BITS + FINE_BITS };

/* log2(x) in units of 2^-32: linear in between, without rounding, so that what one more adds never grows with x. */
static uint64_t fine_log2(uint32_t x)
{
    assert(x > 0);
    unsigned octave = 31u - (unsigned)__builtin_clz(x);
    uint64_t whole = (uint64_t)octave << FINE_LOG2_BITS;
    if (octave <= 8)
        return whole + ((uint64_t)log2_octave[(x << (8 - octave)) - OCTAVE] << FINE_BITS);
    unsigned rest_bits = octave - 8;
    uint32_t i = (x >> rest_bits) - OCTAVE, rest = x & ((1u << rest_bits) - 1);
    uint64_t low = log2_octave[i], step = log2_octave[i + 1] - low;
    return whole + (((low << rest_bits) + step * rest) << (FINE_BITS - rest_bits));
}

uint32_t mth_rans_log2(uint32_t x)
{
    return (uint32_t)(fine_log2(x) >> FINE_BITS);
}

struct margins {
    uint64_t more[MTH_RANS_MAX_QUANTISED]; /* saved by one slot more */
    uint64_t less[MTH_RANS_MAX_QUANTISED]; /* lost with one slot less; UINT64_MAX for the last one */
};

static void find_margins(const uint32_t *counts, const uint32_t *freq, size_t i, struct margins *margins)
{
    uint64_t now = fine_log2(freq[i]);
    margins->more[i] = counts[i] * (fine_log2(freq[i] + 1) - now);
    margins->less[i] = freq[i] > 1 ? counts[i] * (now - fine_log2(freq[i] - 1)) : UINT64_MAX;
}

/* The first of the largest, and the last of the smallest, so that ties settle in one way. */
static size_t most_saved(const struct margins *margins, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = margins->more[i] > margins->more[best] ? i : best;
    return best;
}

static size_t least_lost(const struct margins *margins, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = margins->less[i] <= margins->less[best] ? i : best;
    return best;
}

/* Moves slots from where they are missed least to where they are of most use, as long as that pays. */
static void improve(const uint32_t *counts, size_t n, uint32_t *freq, struct margins *margins)
{
    for (;;) {
        size_t to = most_saved(margins, n), from = least_lost(margins, n);
        if (margins->more[to] <= margins->less[from])
            return;
        freq[to]++;
        freq[from]--;
        find_margins(counts, freq, to, margins);
        find_margins(counts, freq, from, margins);
    }
}

void mth_rans_quantise(const uint32_t *counts, size_t n, uint32_t total, uint32_t *freq)
{
    struct margins margins;
    uint64_t n_counted = 0, sum = 0;
    assert(n > 0);
    for (size_t i = 0; i < n; i++)
        n_counted += counts[i];
    for (size_t i = 0; i < n; i++) {
        uint64_t share = n_counted ? ((uint64_t)counts[i] * total + n_counted / 2) / n_counted : 1;
        freq[i] = share ? (uint32_t)share : 1;
        sum += freq[i];
        find_margins(counts, freq, i, &margins);
    }
    while (sum != total) {
        size_t i = sum < total ? most_saved(&margins, n) : least_lost(&margins, n);
        freq[i] = sum < total ? freq[i] + 1 : freq[i] - 1;
        sum = sum < total ? sum + 1 : sum - 1;
        find_margins(counts, freq, i, &margins);
    }
    improve(counts, n, freq, &margins);
}

void mth_rans_quantise_from(const uint32_t *counts, size_t n, uint32_t *freq)
{
    struct margins margins;
    assert(n > 0);
    for (size_t i = 0; i < n; i++)
        find_margins(counts, freq, i, &margins);
    improve(counts, n, freq, &margins);
}
