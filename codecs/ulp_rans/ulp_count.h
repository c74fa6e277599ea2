/* How many changed elements have each context and symbol; see ulp_kernels.h. */
#ifndef MTH_CODECS_ULP_COUNT_H
#define MTH_CODECS_ULP_COUNT_H

#include "codecs/ulp_rans/ulp_kernels.h"

enum { MTH_ULP_SYMBOL_BITS = 4, MTH_ULP_PLACES = MTH_ULP_CONTEXTS << MTH_ULP_SYMBOL_BITS };
_Static_assert(MTH_ULP_SYMBOLS == 1 << MTH_ULP_SYMBOL_BITS, "a context and a symbol are a byte");

/* The kernels: see mth_ulp_kernels.count. */
void mth_ulp_portable_count(const uint8_t *contexts, const uint8_t *symbols, size_t n,
                            uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS]);
void mth_ulp_avx512_count(const uint8_t *contexts, const uint8_t *symbols, size_t n,
                          uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS]);

void mth_ulp_portable_count_contexts(const uint8_t *contexts, size_t n, uint32_t counts[MTH_ULP_CONTEXTS]);
void mth_ulp_avx512_count_contexts(const uint8_t *contexts, size_t n, uint32_t counts[MTH_ULP_CONTEXTS]);

/* Adds n bytes, a context above each symbol. */
void mth_ulp_count_places(const uint8_t *places, size_t n,
                          uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS]);

#endif
