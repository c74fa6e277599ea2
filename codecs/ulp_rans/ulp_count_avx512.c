/*
 * Counting symbols in AVX-512: 512 elements at once; see ulp_count.h.
 *
 * Most steps have one of few symbols, so that it is their contexts that take counting. A context is four bits: each is a plane, a word of
 * 64 elements, and where a context lies is an and of four planes or what is not in them. Eight words side by side are a vector, whose
 * bits are counted at once. Other symbols are taken out and counted one by one.
 */
#include "codecs/ulp_rans/ulp_count.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "codecs/rans/rans_avx512.h"

#ifdef RANS_EMULATED
#define COUNT_TARGET
#else
#define COUNT_TARGET                                                                            \
    __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi," \
                          "avx512vbmi2,avx512vpopcntdq")))
#define ULP_COUNT          mth_ulp_avx512_count
#define ULP_COUNT_CONTEXTS mth_ulp_avx512_count_contexts
#endif

#define ULP_INLINE static inline __attribute__((always_inline)) COUNT_TARGET

typedef __m512i vec;

enum {
    VEC_BYTES = 64,
    N_WORDS = 8,
    BATCH_ELEMS = N_WORDS * VEC_BYTES,
    CONTEXT_BITS = 4,
    FREQUENT = 3, /* symbols, from 0 on, that are counted by planes */
    REST_BYTES = 4096
};
_Static_assert(MTH_ULP_CONTEXTS == 1 << CONTEXT_BITS, "a plane for each bit of a context");

/* Of 512 elements. */
struct planes {
    uint64_t context[CONTEXT_BITS][N_WORDS];
    uint64_t symbol[FREQUENT][N_WORDS];
};

ULP_INLINE void set_planes(vec context, uint64_t planes[CONTEXT_BITS][N_WORDS], size_t i)
{
    for (unsigned k = 0; k < CONTEXT_BITS; k++)
        planes[k][i] = _mm512_test_epi8_mask(context, _mm512_set1_epi8((char)(1 << k)));
}

/* Returns where the places of other symbols end. */
ULP_INLINE uint8_t *make_planes(const uint8_t *contexts, const uint8_t *symbols, struct planes *planes,
                                uint8_t *rest)
{
    for (size_t i = 0; i < N_WORDS; i++, contexts += VEC_BYTES, symbols += VEC_BYTES) {
        vec context = mth_rans_512_load(contexts), symbol = mth_rans_512_load(symbols);
        set_planes(context, planes->context, i);
        for (unsigned s = 0; s < FREQUENT; s++)
            planes->symbol[s][i] = _mm512_cmpeq_epi8_mask(symbol, _mm512_set1_epi8((char)s));
        __mmask64 other = _mm512_cmpge_epu8_mask(symbol, _mm512_set1_epi8(FREQUENT));
        /* Contexts are below 16: nothing leaves a byte. */
        vec place = _mm512_or_si512(_mm512_slli_epi16(context, MTH_ULP_SYMBOL_BITS), symbol);
        _mm512_storeu_si512((void *)rest, _mm512_maskz_compress_epi8(other, place));
        rest += __builtin_popcountll((uint64_t)other);
    }
    return rest;
}

ULP_INLINE uint32_t sum_of(vec counts)
{
    uint64_t words[N_WORDS], sum = 0;
    _mm512_storeu_si512((void *)words, counts);
    for (size_t i = 0; i < N_WORDS; i++)
        sum += words[i];
    return (uint32_t)sum;
}

/* Where two bits of a context, `low` the lower one, are what two bits of k say. */
ULP_INLINE void pair_up(vec low, vec high, vec out[4])
{
    vec ones = _mm512_set1_epi8(-1);
    out[0] = _mm512_andnot_si512(_mm512_or_si512(low, high), ones);
    out[1] = _mm512_andnot_si512(high, low);
    out[2] = _mm512_andnot_si512(low, high);
    out[3] = _mm512_and_si512(low, high);
}

ULP_INLINE void count_planes(const struct planes *planes, vec sums[FREQUENT][MTH_ULP_CONTEXTS])
{
    vec low[4], high[4];
    pair_up(mth_rans_512_load(planes->context[0]), mth_rans_512_load(planes->context[1]), low);
    pair_up(mth_rans_512_load(planes->context[2]), mth_rans_512_load(planes->context[3]), high);
    for (size_t s = 0; s < FREQUENT; s++) {
        vec symbol = mth_rans_512_load(planes->symbol[s]);
        for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
            vec here = _mm512_and_si512(_mm512_and_si512(low[c % 4], high[c / 4]), symbol);
            sums[s][c] = _mm512_add_epi64(sums[s][c], _mm512_popcnt_epi64(here));
        }
    }
}

COUNT_TARGET void ULP_COUNT(const uint8_t *contexts, const uint8_t *symbols, size_t n,
                            uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS])
{
    vec sums[FREQUENT][MTH_ULP_CONTEXTS];
    uint8_t rest[REST_BYTES + VEC_BYTES], *at = rest;
    /* Words that were just written one by one cannot be read as a vector at once: those of the batch before are. */
    struct planes planes[2];
    size_t done = 0, turn = 0;
    for (size_t s = 0; s < FREQUENT; s++)
        for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
            sums[s][c] = _mm512_setzero_si512();
    for (; n - done >= BATCH_ELEMS; done += BATCH_ELEMS, turn ^= 1) {
        if (rest + REST_BYTES - at < BATCH_ELEMS) {
            mth_ulp_count_places(rest, (size_t)(at - rest), counts);
            at = rest;
        }
        at = make_planes(contexts + done, symbols + done, &planes[turn], at);
        if (done)
            count_planes(&planes[turn ^ 1], sums);
    }
    if (done)
        count_planes(&planes[turn ^ 1], sums);
    mth_ulp_count_places(rest, (size_t)(at - rest), counts);
    for (size_t s = 0; s < FREQUENT; s++)
        for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
            counts[c][s] += sum_of(sums[s][c]);
    mth_ulp_portable_count(contexts + done, symbols + done, n - done, counts);
}

COUNT_TARGET void ULP_COUNT_CONTEXTS(const uint8_t *contexts, size_t n, uint32_t counts[MTH_ULP_CONTEXTS])
{
    vec sums[MTH_ULP_CONTEXTS];
    size_t done = 0;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        sums[c] = _mm512_setzero_si512();
    for (; n - done >= BATCH_ELEMS; done += BATCH_ELEMS) {
        uint64_t planes[CONTEXT_BITS][N_WORDS];
        vec low[4], high[4];
        for (size_t i = 0; i < N_WORDS; i++)
            set_planes(mth_rans_512_load(contexts + done + i * VEC_BYTES), planes, i);
        pair_up(mth_rans_512_load(planes[0]), mth_rans_512_load(planes[1]), low);
        pair_up(mth_rans_512_load(planes[2]), mth_rans_512_load(planes[3]), high);
        for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
            sums[c] =
                _mm512_add_epi64(sums[c], _mm512_popcnt_epi64(_mm512_and_si512(low[c % 4], high[c / 4])));
    }
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        counts[c] += sum_of(sums[c]);
    mth_ulp_portable_count_contexts(contexts + done, n - done, counts);
}

#else
typedef int mth_ulp_count_avx512_is_not_here;
#endif
