/* The loops of the moments for AVX-512 with VBMI2, which sorts symbols by their classes 64 at a time. */
#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define MTH_KERNEL \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi2,popcnt,fma")))
#define MTH_FMA __builtin_fmaf
#define MTH_SORTS_BY_VECTORS
#include "transforms/moment/moment_template.h"

enum { VEC_BYTES = 64, GROUP = 8 };

/* The low bits of eight bytes. */
MTH_KERNEL static uint64_t low_bits(unsigned bits)
{
    return (((uint64_t)1 << bits) - 1) * 0x0101010101010101u;
}

/* Whole words are touched, as mth_pack does, so long as another group follows. */
MTH_KERNEL static void pack_words(const uint8_t *symbols, size_t first, size_t n, unsigned bits,
                                  uint8_t *packed)
{
    uint8_t *group = packed + first / GROUP * bits;
    uint64_t mask = low_bits(bits);
    size_t i = 0;
    for (; i + 2 * GROUP <= n; i += GROUP, group += bits)
        mth_lane_store64(group, _pext_u64(mth_lane_load64(symbols + i), mask));
    pack(symbols + i, first + i, n - i, bits, packed);
}

MTH_KERNEL static void unpack_words(const uint8_t *packed, size_t first, size_t n, unsigned bits,
                                    uint8_t *symbols)
{
    const uint8_t *group = packed + first / GROUP * bits;
    uint64_t mask = low_bits(bits);
    size_t i = 0;
    for (; i + 2 * GROUP <= n; i += GROUP, group += bits)
        mth_lane_store64(symbols + i, _pdep_u64(mth_lane_load64(group), mask));
    unpack(packed, first + i, n - i, bits, symbols + i);
}

/* The first n lanes. */
MTH_KERNEL static __mmask64 first_lanes(size_t n)
{
    return n < VEC_BYTES ? _cvtu64_mask64(((uint64_t)1 << n) - 1) : ~(__mmask64)0;
}

MTH_KERNEL static void deal64(const uint8_t *classes, const uint8_t *symbols, size_t n,
                              uint8_t *ends[MTH_MOMENT32_CLASSES])
{
    for (size_t at = 0; at < n; at += VEC_BYTES) {
        __mmask64 lanes = first_lanes(n - at);
        __m512i class = _mm512_maskz_loadu_epi8(lanes, classes + at),
                symbol = _mm512_maskz_loadu_epi8(lanes, symbols + at);
        for (int c = 0; c < MTH_MOMENT32_CLASSES; c++) {
            __mmask64 of_class = _mm512_mask_cmpeq_epi8_mask(lanes, class, _mm512_set1_epi8((char)c));
            size_t n_class = (size_t)_mm_popcnt_u64(of_class);
            _mm512_mask_storeu_epi8(ends[c], first_lanes(n_class),
                                    _mm512_maskz_compress_epi8(of_class, symbol));
            ends[c] += n_class;
        }
    }
}

MTH_KERNEL static bool collect64(const uint8_t *classes, size_t n,
                                 const uint8_t *starts[MTH_MOMENT32_CLASSES],
                                 const uint8_t *const ends[MTH_MOMENT32_CLASSES], uint8_t *symbols)
{
    for (size_t at = 0; at < n; at += VEC_BYTES) {
        __mmask64 lanes = first_lanes(n - at);
        __m512i class = _mm512_maskz_loadu_epi8(lanes, classes + at), symbol = _mm512_setzero_si512();
        bool lacks = false;
        for (int c = 0; c < MTH_MOMENT32_CLASSES; c++) {
            __mmask64 of_class = _mm512_mask_cmpeq_epi8_mask(lanes, class, _mm512_set1_epi8((char)c));
            size_t n_class = (size_t)_mm_popcnt_u64(of_class), n_left = (size_t)(ends[c] - starts[c]);
            __m512i next = _mm512_maskz_loadu_epi8(first_lanes(n_left), starts[c]);
            lacks |= n_class > n_left;
            symbol = _mm512_mask_expand_epi8(symbol, of_class, next);
            starts[c] += n_class < n_left ? n_class : n_left;
        }
        if (lacks)
            return false;
        _mm512_mask_storeu_epi8(symbols + at, lanes, symbol);
    }
    return true;
}

const struct mth_moment_kernels mth_moment_kernels_vbmi = {
    "vbmi",      find16,       restore16,       find24,    restore24,  find_sum,
    restore_sum, find_divided, restore_divided, split32,   classify32, join32,
    pack_words,  unpack_words, deal64,          collect64, find_scales};

#else

#include "transforms/moment/moment_kernels.h"

const struct mth_moment_kernels mth_moment_kernels_vbmi = {0};

#endif
