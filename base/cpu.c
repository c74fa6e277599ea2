/* CPU feature detection; see cpu.h. */
#include "base/cpu.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned feature;
    unsigned needs; /* a switched-off feature takes with it those that stand on it */
} features_table[] = {
    {"avx2", MTH_CPU_AVX2, 0},
    {"avx512", MTH_CPU_AVX512, MTH_CPU_AVX2},
    {"vbmi", MTH_CPU_VBMI, MTH_CPU_AVX512},
    {"neon", MTH_CPU_NEON, 0},
};

enum { N_FEATURES = sizeof features_table / sizeof features_table[0] };

static unsigned detect(void)
{
    unsigned found = 0;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2"))
        found |= MTH_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found |= MTH_CPU_AVX512;
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
        __builtin_cpu_supports("avx512vpopcntdq"))
        found |= MTH_CPU_VBMI;
#elif defined(__aarch64__)
    found |= MTH_CPU_NEON;
#endif
    return found;
}

static unsigned disabled_by(const char *list)
{
    unsigned off = 0;
    while (list && *list) {
        size_t n = strcspn(list, ", ");
        for (size_t i = 0; i < N_FEATURES; i++) {
            const char *name = features_table[i].name;
            if ((strlen(name) == n && memcmp(name, list, n) == 0) || (n == 3 && memcmp("all", list, 3) == 0))
                off |= features_table[i].feature;
        }
        list += n + (list[n] != '\0');
    }
    return off;
}

unsigned mth_cpu_features(void)
{
    /* The top bit marks that detection has run; running it twice at once does no harm. */
    static atomic_uint cached;
    const unsigned known = 1u << 31;
    unsigned features = atomic_load(&cached);
    if (features & known)
        return features & ~known;
    features = detect() & ~disabled_by(getenv("MTH_DISABLE_CPU"));
    for (size_t i = 0; i < N_FEATURES; i++) {
        if ((features & features_table[i].needs) != features_table[i].needs)
            features &= ~features_table[i].feature;
    }
    atomic_store(&cached, features | known);
    return features;
}

void mth_cpu_describe(unsigned features, char *out, size_t capacity)
{
    size_t length = 0;
    snprintf(out, capacity, "portable");
    for (size_t i = 0; i < N_FEATURES; i++) {
        if ((features & features_table[i].feature) && length < capacity)
            length += (size_t)snprintf(out + length, capacity - length, "%s%s", length ? " " : "",
                                       features_table[i].name);
    }
}
