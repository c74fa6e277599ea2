/* The kernels of the codec tiers; see kernel_cases.h. */
#include "harness/kernels/kernel_cases.h"

#include "base/cpu.h"
#include "codecs/tiers/tiers_kernels.h"

#include <stdlib.h>
#include <string.h>

/* A stream and its codes, shared by the cases. */
struct stream {
    size_t n, n_vecs, n_rest;
    uint8_t *src, *low, *high, *rest; /* the rest lies at the front of its room */
    uint8_t *dst, *dst_low, *dst_high, *dst_rest;
    struct mth_tiers_table table;
};

struct run {
    const struct stream *stream;
    const struct mth_tiers_kernels *kernels;
};

static size_t rest_room(const struct stream *stream)
{
    return stream->n_vecs * MTH_TIERS_VEC + MTH_TIERS_SLACK;
}

static bool encode_bytes(void *data)
{
    const struct run *run = data;
    const struct stream *stream = run->stream;
    struct mth_tiers_codes codes = {stream->dst_low, stream->dst_high};
    return run->kernels->encode_bytes(&stream->table, stream->src, stream->n_vecs, codes,
                                      stream->dst_rest + rest_room(stream)) == stream->n_rest;
}

/* What the first kernel wrote. */
static bool check_encoded(void *data)
{
    const struct stream *stream = ((const struct run *)data)->stream;
    return memcmp(stream->dst_low, stream->low, mth_tiers_low_bytes(stream->n_vecs)) == 0 &&
           memcmp(stream->dst_high, stream->high, mth_tiers_high_bytes(stream->n_vecs)) == 0 &&
           memcmp(stream->dst_rest + rest_room(stream) - stream->n_rest, stream->rest, stream->n_rest) == 0;
}

static bool decode_bytes(void *data)
{
    const struct run *run = data;
    const struct stream *stream = run->stream;
    struct mth_tiers_source codes = {stream->low, stream->high};
    return run->kernels->decode_bytes(&stream->table, codes, stream->n_vecs, stream->rest, stream->dst) ==
           stream->n_rest;
}

/* The source, but for values without a rank. */
static bool check_decoded(void *data)
{
    const struct stream *stream = ((const struct run *)data)->stream;
    for (size_t i = 0; i < stream->n; i++) {
        if (stream->dst[i] != stream->src[i] && stream->dst[i] != stream->table.value[0])
            return false;
    }
    return true;
}

static uint8_t most_frequent(const uint32_t counts[256])
{
    unsigned best = 0;
    for (unsigned v = 1; v < 256; v++)
        best = counts[v] > counts[best] ? v : best;
    return (uint8_t)best;
}

static struct stream *make_stream(size_t n)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    *stream = (struct stream){.n = n, .n_vecs = n / MTH_TIERS_VEC_BYTES};
    size_t n_low = mth_tiers_low_bytes(stream->n_vecs), n_high = mth_tiers_high_bytes(stream->n_vecs);
    /* One allocation: rests and the slack behind them, codes, bytes. */
    uint8_t *room = calloc(2, rest_room(stream) + n_low + n_high + n);
    if (!room) {
        free(stream);
        return NULL;
    }
    uint8_t **const places[] = {&stream->rest, &stream->dst_rest, &stream->low, &stream->dst_low,
                                &stream->high, &stream->dst_high, &stream->src, &stream->dst};
    const size_t sizes[] = {rest_room(stream), n_low, n_high, n};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        *places[i] = room;
        room += sizes[i / 2];
    }
    uint32_t counts[256] = {0}, n_counted = 0;
    mth_kernel_exponents(stream->src, n);
    for (; n_counted < n && n_counted < 1 << 15; n_counted++)
        counts[stream->src[n_counted]]++;
    mth_tiers_table_build(counts, n_counted, most_frequent(counts), &stream->table);
    struct mth_tiers_codes codes = {stream->low, stream->high};
    uint8_t *end = stream->dst_rest + rest_room(stream);
    stream->n_rest = mth_tiers_portable.encode_bytes(&stream->table, stream->src, stream->n_vecs, codes, end);
    memcpy(stream->rest, end - stream->n_rest, stream->n_rest);
    return stream;
}

bool mth_kernel_cases_tiers(struct mth_kernel_cases *cases, size_t n_elems)
{
    const struct mth_tiers_kernels *kernels;
    const struct stream *stream = make_stream(n_elems);
    if (!stream)
        return false;
    size_t n_codes = mth_tiers_low_bytes(stream->n_vecs) + mth_tiers_high_bytes(stream->n_vecs);
    size_t n_moved = (n_elems + n_codes + stream->n_rest) / 2;
    for (size_t i = 0; (kernels = mth_tiers_kernels_at(i)) != NULL; i++) {
        struct run *run = malloc(sizeof *run);
        if ((kernels->needs & mth_cpu_features()) != kernels->needs) {
            free(run);
            continue;
        }
        if (!run)
            return false;
        *run = (struct run){stream, kernels};
        if (!mth_kernel_case_add(cases,
                                 (struct mth_kernel_case){"tiers encode", kernels->name, n_elems, n_moved,
                                                          encode_bytes, check_encoded, run}) ||
            !mth_kernel_case_add(cases, (struct mth_kernel_case){"tiers decode", kernels->name, n_elems,
                                                                 n_moved, decode_bytes, check_decoded, run}))
            return false;
    }
    return true;
}
