/*
 * moment32: the moving average of gradients, given the average before and that of squares.
 *
 * What stays of m0 is p = (1 - weight) * m0; what comes to it is about weight * sqrt(v0) in size. Where p is much the larger of the two, m1 has
 * its sign and nearly its size; where it is the smaller, it hardly matters. So elements are sorted by how they compare, and sign and size of m1 relative to
 * p go to a stream for each class. The rest of the mantissa is as good as random.
 *
 * Streams   0 rest: 16 low bits of each element; then 6 bits each, packed; 0 where kept
 *           1 .. 13 a byte for each element of a class: 2 * (half octaves of m1 above the anchor, and 62) + (its sign is not p's); 255: kept
 *           14 kept: the elements, 4 bytes each; the tail
 *           The class is how many half octaves p lies above weight * sqrt(v0), and 5, from 0 to 12; the anchor is the latter in class 0, else p
 */
#include "transforms/moment/moment.h"

enum { REST = 0, FIRST_CLASS = 1, N_CLASSES = 13, KEPT = FIRST_CLASS + N_CLASSES, N_STREAMS = KEPT + 1 };
enum { N_LOW_BITS = 16, N_PACKED_BITS = 6, CLASS_BIAS = 5, SIZE_BIAS = 62, N_SIZES = 127 };

static const struct mth_reference_slot references[] = {
    {"m", "the moving average before the step"},
    {"v", "that of the squares before the step"},
};

const struct mth_option mth_moment_options[] = {
    {"weight", "bits of the fp32 share that a gradient has, 1 - beta1: 2^-24 to 1/2", 0x33800000, 0x3effffff,
     0x3dcccccd, NULL},
    {"scale", "bits of the fp32 value that 16-bit gradients were multiplied with: 2^-63 to 2^63", 0x20000000,
     0x5f000000, 0x3f800000, NULL},
};

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    size_t n = n_bytes / 4, n_rest = 2 * n + mth_packed_bytes(n, N_PACKED_BITS);
    (void)values;
    if (type->dtype != MTH_DTYPE_F32 || type->symbol_bits != 32 || type->container_bits != 32)
        return MTH_ERR_UNSUPPORTED;
    plans[REST] = (struct mth_stream_plan){
        .type = mth_symbol_type_of(MTH_DTYPE_OPAQUE), .n_symbols = n_rest, .n_bytes = n_rest};
    for (size_t c = 0; c < N_CLASSES; c++)
        plans[FIRST_CLASS + c] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_U8),
                                                          .n_symbols = n,
                                                          .n_bytes = n,
                                                          .flags = MTH_STREAM_VARIABLE};
    plans[KEPT] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_OPAQUE),
                                           .n_symbols = n_bytes,
                                           .n_bytes = n_bytes,
                                           .flags = MTH_STREAM_VARIABLE};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

/* What is known of an element before it is there. */
struct expected {
    size_t stream;
    int32_t anchor;
    uint32_t sign;
};

struct arithmetic {
    float stays;
    int32_t weight; /* half octaves above 1 */
};

static struct arithmetic arithmetic_of(const int64_t *options)
{
    uint32_t weight = (uint32_t)options[MTH_MOMENT_WEIGHT];
    return (struct arithmetic){1.0f - mth_float_of(weight), mth_half_octave(weight) - MTH_HALF_OCTAVE_BIAS};
}

MTH_ALWAYS_INLINE struct expected expect(const struct arithmetic *a, uint32_t m0, uint32_t v0)
{
    uint32_t p = mth_bits_of(a->stays * mth_float_of(m0));
    int32_t scale = mth_half_octave_of_root(v0) + a->weight;
    int32_t above = mth_half_octave(p) - scale + CLASS_BIAS;
    above = above < 0 ? 0 : above >= N_CLASSES ? N_CLASSES - 1 : above;
    return (struct expected){.stream = FIRST_CLASS + (size_t)above,
                             .anchor = above == 0 ? scale : mth_half_octave(p),
                             .sign = p >> 31};
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4;
    uint8_t *low = streams[REST].data, *packed = low + 2 * n;
    for (size_t s = FIRST_CLASS; s < N_STREAMS; s++)
        streams[s].n_bytes = 0;
    streams[REST].n_bytes = job->plans[REST].n_bytes;
    uint8_t high[MTH_MOMENT_BLOCK_ELEMS];
    for (size_t i = 0; i < n; i++) {
        uint32_t m1 = mth_lane_load32(src + 4 * i);
        struct expected e = expect(&a, mth_lane_load32(m + 4 * i), mth_lane_load32(v + 4 * i));
        int32_t size = mth_half_octave(m1) - e.anchor + SIZE_BIAS;
        uint8_t *symbol = streams[e.stream].data + streams[e.stream].n_bytes++;
        if (size < 0 || size >= N_SIZES) {
            *symbol = MTH_MOMENT_ESCAPE;
            mth_lane_store32(streams[KEPT].data + streams[KEPT].n_bytes, m1);
            streams[KEPT].n_bytes += 4;
            m1 = 0;
        } else {
            *symbol = (uint8_t)((uint32_t)size << 1 | (m1 >> 31 ^ e.sign));
        }
        size_t inside = i % MTH_MOMENT_BLOCK_ELEMS;
        mth_lane_store16(low + 2 * i, (uint16_t)m1);
        high[inside] = (uint8_t)(m1 >> N_LOW_BITS & 0x3f);
        if (inside == MTH_MOMENT_BLOCK_ELEMS - 1 || i + 1 == n)
            mth_pack(high, i - inside, inside + 1, N_PACKED_BITS, packed);
    }
    if (job->n_bytes > 4 * n)
        mth_moment_end(job, src, n, &streams[KEPT]);
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4, n_tail = job->n_bytes - 4 * n, used[N_STREAMS] = {0};
    const uint8_t *low = streams[REST].data, *packed = low + 2 * n;
    if (!mth_packed_ends_clean(packed, n, N_PACKED_BITS))
        return MTH_ERR_CORRUPT;
    uint8_t high[MTH_MOMENT_BLOCK_ELEMS];
    for (size_t i = 0; i < n; i++) {
        struct expected e = expect(&a, mth_lane_load32(m + 4 * i), mth_lane_load32(v + 4 * i));
        size_t inside = i % MTH_MOMENT_BLOCK_ELEMS;
        if (inside == 0)
            mth_unpack(packed, i, n - i < MTH_MOMENT_BLOCK_ELEMS ? n - i : MTH_MOMENT_BLOCK_ELEMS,
                       N_PACKED_BITS, high);
        if (used[e.stream] == streams[e.stream].n_bytes)
            return MTH_ERR_CORRUPT;
        uint8_t symbol = streams[e.stream].data[used[e.stream]++];
        uint32_t rest = mth_lane_load16(low + 2 * i) | (uint32_t)high[inside] << N_LOW_BITS;
        if (symbol == MTH_MOMENT_ESCAPE) {
            if (rest || streams[KEPT].n_bytes - used[KEPT] < 4)
                return MTH_ERR_CORRUPT;
            memcpy(dst + 4 * i, streams[KEPT].data + used[KEPT], 4);
            used[KEPT] += 4;
            int32_t kept_size = mth_half_octave(mth_lane_load32(dst + 4 * i)) - e.anchor + SIZE_BIAS;
            if (kept_size >= 0 && kept_size < N_SIZES)
                return MTH_ERR_CORRUPT;
            continue;
        }
        int32_t size = (symbol >> 1) - SIZE_BIAS + e.anchor;
        if (symbol >> 1 >= N_SIZES || size < 0 || size > 0x1ff)
            return MTH_ERR_CORRUPT;
        mth_lane_store32(dst + 4 * i, ((symbol & 1) ^ e.sign) << 31 | (uint32_t)size << 22 | rest);
    }
    for (size_t s = FIRST_CLASS; s < KEPT; s++) {
        if (used[s] != streams[s].n_bytes)
            return MTH_ERR_CORRUPT;
    }
    if (streams[KEPT].n_bytes - used[KEPT] != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + 4 * n, streams[KEPT].data + used[KEPT], n_tail);
    return MTH_OK;
}

const struct mth_transform mth_transform_moment32 = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "moment32",
    .summary = "the moving average of gradients, given the average before and that of squares",
    .options = mth_moment_options,
    .n_options = 1,
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
