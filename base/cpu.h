/* CPU features, found at run time, with a switch to turn them off: MTH_DISABLE_CPU=avx512,avx2 (or "all"). */
#ifndef MTH_BASE_CPU_H
#define MTH_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

enum mth_cpu_feature {
    MTH_CPU_AVX2 = 1u << 0,   /* AVX2, FMA, BMI1, BMI2 */
    MTH_CPU_AVX512 = 1u << 1, /* AVX-512 F, BW, DQ, VL */
    MTH_CPU_VBMI = 1u << 2,   /* AVX-512 VBMI, VBMI2 and VPOPCNTDQ */
    MTH_CPU_NEON = 1u << 3
};

/* Features there and not disabled. The environment is read at the first call. */
unsigned mth_cpu_features(void);

/* Features as "avx2 avx512 vbmi", or "portable" for none. */
void mth_cpu_describe(unsigned features, char *out, size_t capacity);

#endif
