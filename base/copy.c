/* Long copies to memory and from it; see copy.h. */
#include "base/copy.h"

#include <stdint.h>
#include <string.h>

enum { LINE_BYTES = MTH_LINE_BYTES, AHEAD_BYTES = 4096 };

void mth_copy_near(void *restrict dst, const void *restrict src, size_t n_bytes)
{
    uint8_t *out = dst;
    const uint8_t *in = src;
    size_t at = 0;
#ifdef __GNUC__
    for (; n_bytes - at >= AHEAD_BYTES + LINE_BYTES; at += LINE_BYTES) {
        __builtin_prefetch(in + at + AHEAD_BYTES, 0, 2);
        memcpy(out + at, in + at, LINE_BYTES);
    }
#endif
    if (n_bytes > at)
        memcpy(out + at, in + at, n_bytes - at);
}

#ifdef __SSE2__

#include <emmintrin.h>

enum { VECTOR_BYTES = sizeof(__m128i) };

void mth_copy_lines_away(void *restrict dst, const void *restrict src, size_t n_lines)
{
    uint8_t *out = dst;
    const uint8_t *in = src;
    for (size_t i = 0; i < n_lines * LINE_BYTES; i += LINE_BYTES) {
        __m128i vectors[LINE_BYTES / VECTOR_BYTES];
        memcpy(vectors, in + i, LINE_BYTES);
        for (size_t k = 0; k < LINE_BYTES / VECTOR_BYTES; k++)
            _mm_stream_si128((__m128i *)(void *)(out + i + k * VECTOR_BYTES), vectors[k]);
    }
}

/* Such stores are weakly ordered. */
void mth_copy_lines_end(void)
{
    _mm_sfence();
}

void mth_copy_away(void *restrict dst, const void *restrict src, size_t n_bytes)
{
    uint8_t *out = dst;
    const uint8_t *in = src;
    size_t n_before = (0 - (uintptr_t)out) % LINE_BYTES;
    if (n_bytes < MTH_COPY_AWAY_BYTES) {
        if (n_bytes)
            memcpy(dst, src, n_bytes);
        return;
    }
    size_t n_lines = (n_bytes - n_before) / LINE_BYTES, n_done = n_before + n_lines * LINE_BYTES;
    memcpy(out, in, n_before);
    mth_copy_lines_away(out + n_before, in + n_before, n_lines);
    mth_copy_lines_end();
    memcpy(out + n_done, in + n_done, n_bytes - n_done);
}

#else

void mth_copy_lines_away(void *restrict dst, const void *restrict src, size_t n_lines)
{
    if (n_lines)
        memcpy(dst, src, n_lines * LINE_BYTES);
}

void mth_copy_lines_end(void)
{
}

void mth_copy_away(void *restrict dst, const void *restrict src, size_t n_bytes)
{
    if (n_bytes)
        memcpy(dst, src, n_bytes);
}

#endif
