/*
 * zero-map: which elements are zero, and the others by themselves.
 *
 * Pruned tensors, and rows that training never touched. Of floats -0 is a zero too (a weight times a mask of zeros), so
 * the signs of zeros have a stream, which is empty when there is none.
 */
#include "base/lane.h"
#include "transforms/transform.h"

#include <stdbool.h>

enum { STREAM_MAP, STREAM_SIGNS, STREAM_OTHERS, N_STREAMS };

/*
 * The kernels of one width. magnitude has the bits that tell a zero: all of an integer, all but the sign of a float.
 *
 * split: map and signs are zeroed before; returns how many elements are not zero. Elements are written to others whether
 * they stay there or not, which never passes the element's own place.
 */
#define DEFINE_KERNELS(bits)                                                                             \
    static size_t split##bits(const uint8_t *restrict src, size_t n, uint64_t magnitude64,               \
                              uint8_t *restrict map, uint8_t *restrict signs, uint8_t *restrict others)  \
    {                                                                                                    \
        const uint##bits##_t magnitude = (uint##bits##_t)magnitude64;                                    \
        size_t n_others = 0;                                                                             \
        for (size_t i = 0; i < n; i++) {                                                                 \
            uint##bits##_t x = mth_lane_load##bits(src + i * (bits / 8));                                \
            unsigned other = (x & magnitude) != 0;                                                       \
            map[i / 8] |= (uint8_t)(other << i % 8);                                                     \
            mth_lane_store##bits(others + n_others * (bits / 8), x);                                     \
            n_others += other;                                                                           \
            size_t zero = i + other - n_others;                                                          \
            if (!other && x)                                                                             \
                signs[zero / 8] |= (uint8_t)(1u << zero % 8);                                            \
        }                                                                                                \
        return n_others;                                                                                 \
    }                                                                                                    \
    static bool join##bits(const uint8_t *restrict map, const struct mth_bytes *signs,                   \
                           const uint8_t *restrict others, size_t n, uint64_t magnitude64,               \
                           uint8_t *restrict dst)                                                        \
    {                                                                                                    \
        const uint##bits##_t magnitude = (uint##bits##_t)magnitude64;                                    \
        size_t n_others = 0;                                                                             \
        bool valid = true;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                                 \
            uint##bits##_t x = 0;                                                                        \
            if (map[i / 8] >> i % 8 & 1) {                                                               \
                x = mth_lane_load##bits(others + n_others++ * (bits / 8));                               \
                valid &= (x & magnitude) != 0;                                                           \
            } else if (signs->n_bytes) {                                                                 \
                size_t zero = i - n_others;                                                              \
                x = (uint##bits##_t)(signs->data[zero / 8] >> zero % 8 & 1 ? (uint##bits##_t) ~magnitude \
                                                                           : 0);                         \
            }                                                                                            \
            mth_lane_store##bits(dst + i * (bits / 8), x);                                               \
        }                                                                                                \
        return valid;                                                                                    \
    }

DEFINE_KERNELS(8)
DEFINE_KERNELS(16)
DEFINE_KERNELS(32)
DEFINE_KERNELS(64)

struct width {
    unsigned bits;
    size_t (*split)(const uint8_t *restrict src, size_t n, uint64_t magnitude, uint8_t *restrict map,
                    uint8_t *restrict signs, uint8_t *restrict others);
    bool (*join)(const uint8_t *restrict map, const struct mth_bytes *signs, const uint8_t *restrict others,
                 size_t n, uint64_t magnitude, uint8_t *restrict dst);
};

static const struct width *width_of(const struct mth_symbol_type *type)
{
    static const struct width widths[] = {
        {8, split8, join8}, {16, split16, join16}, {32, split32, join32}, {64, split64, join64}};
    if (type->symbol_bits != type->container_bits)
        return NULL;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        if (widths[i].bits == type->container_bits)
            return &widths[i];
    }
    return NULL;
}

static uint64_t magnitude_of(const struct mth_symbol_type *type)
{
    const struct mth_dtype_info *info = mth_dtype_info(type->dtype);
    bool is_float = info->exponent_bits > 0 && info->lane_bits == type->container_bits;
    return UINT64_MAX >> (64 - type->container_bits + is_float);
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    if (!width_of(type))
        return MTH_ERR_UNSUPPORTED;
    size_t n = n_bytes / (type->container_bits / 8u), n_map = n / 8 + (n % 8 > 0);
    plans[STREAM_MAP] = (struct mth_stream_plan){
        .type = mth_symbol_type_of(MTH_DTYPE_U8), .n_symbols = n_map, .n_bytes = n_map};
    plans[STREAM_SIGNS] = plans[STREAM_MAP];
    plans[STREAM_SIGNS].flags = MTH_STREAM_VARIABLE;
    plans[STREAM_OTHERS] = (struct mth_stream_plan){
        .type = *type, .n_symbols = n, .n_bytes = n_bytes, .flags = MTH_STREAM_VARIABLE};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    size_t lane_bytes = job->type.container_bits / 8u, n = job->n_bytes / lane_bytes,
           n_tail = job->n_bytes % lane_bytes;
    struct mth_buffer *map = &streams[STREAM_MAP], *signs = &streams[STREAM_SIGNS],
                      *others = &streams[STREAM_OTHERS];
    map->n_bytes = job->plans[STREAM_MAP].n_bytes;
    signs->n_bytes = 0;
    others->n_bytes = 0;
    if (n > 0) {
        memset(map->data, 0, map->n_bytes);
        memset(signs->data, 0, map->n_bytes);
        size_t n_others = width_of(&job->type)
                              ->split(src, n, magnitude_of(&job->type), map->data, signs->data, others->data);
        size_t n_signs = (n - n_others + 7) / 8;
        for (size_t i = 0; i < n_signs; i++) {
            if (signs->data[i])
                signs->n_bytes = n_signs;
        }
        others->n_bytes = n_others * lane_bytes;
    }
    if (n_tail)
        memcpy(others->data + others->n_bytes, src + n * lane_bytes, n_tail);
    others->n_bytes += n_tail;
    return MTH_OK;
}

static size_t count_bits(const uint8_t *bytes, size_t n_bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++)
        n += (size_t)__builtin_popcount(bytes[i]);
    return n;
}

/* Are the bits behind n all zero? bytes: as many as n bits take. */
static bool ends_clean(const uint8_t *bytes, size_t n)
{
    return n % 8 == 0 || bytes[n / 8] >> n % 8 == 0;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    size_t lane_bytes = job->type.container_bits / 8u, n = job->n_bytes / lane_bytes,
           n_tail = job->n_bytes % lane_bytes;
    const struct mth_bytes *map = &streams[STREAM_MAP], *signs = &streams[STREAM_SIGNS],
                           *others = &streams[STREAM_OTHERS];
    size_t n_others = count_bits(map->data, map->n_bytes);
    if (!ends_clean(map->data, n) || others->n_bytes != n_others * lane_bytes + n_tail)
        return MTH_ERR_CORRUPT;
    if (signs->n_bytes &&
        (signs->n_bytes != (n - n_others + 7) / 8 || !ends_clean(signs->data, n - n_others) ||
         count_bits(signs->data, signs->n_bytes) == 0 ||
         magnitude_of(&job->type) >> (job->type.container_bits - 1)))
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + n * lane_bytes, others->data + n_others * lane_bytes, n_tail);
    bool valid = n == 0 ||
                 width_of(&job->type)->join(map->data, signs, others->data, n, magnitude_of(&job->type), dst);
    return valid ? MTH_OK : MTH_ERR_CORRUPT;
}

const struct mth_transform mth_transform_zero_map = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "zero-map",
    .summary = "a bit for each element that tells zeros, the signs of those, and the other elements",
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
