/* Vectors of 64 bytes, for those AVX-512 kernels that have the instructions of rans' own. For files that MTH_RANS_HAVE_X86 or RANS_EMULATED lets in. */
#ifndef MTH_CODECS_ULP_VEC_AVX512_H
#define MTH_CODECS_ULP_VEC_AVX512_H

#include "codecs/rans/rans_avx512.h"

#define ULP_INLINE static inline __attribute__((always_inline)) RANS_TARGET_AVX512

typedef __m512i vec;

enum { VEC_BYTES = 64 };

ULP_INLINE vec load(const void *p)
{
    return _mm512_loadu_si512(p);
}

ULP_INLINE void store(void *p, vec v)
{
    _mm512_storeu_si512(p, v);
}

#endif
