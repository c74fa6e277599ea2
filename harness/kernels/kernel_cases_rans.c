/* The kernels of the codec rans; see kernel_cases.h. */
#include "harness/kernels/kernel_cases.h"

#include "base/cpu.h"
#include "codecs/rans/rans_escapes.h"
#include "codecs/rans/rans_histogram.h"
#include "codecs/rans/rans_narrow.h"
#include "codecs/rans/rans_wide.h"

#include <stdlib.h>
#include <string.h>

/* A stream and its coding, shared by the cases that read it. */
struct stream {
    struct mth_rans_lanes lanes; /* the final states of the narrow coding */
    struct mth_rans_wide_lanes wide_lanes;
    size_t n;
    uint8_t *src, *room, *dst; /* room and dst: as many bytes again and half */
    const uint8_t *coded;
    uint8_t *escapes;
    size_t n_escapes;
    const uint8_t *wide_coded;
    uint8_t *wide_room;
    struct mth_rans_narrow_table table;
    struct mth_rans_wide_table wide_table;
};

struct run {
    const struct stream *stream;
    const struct mth_rans_narrow_kernels *kernels;
    const struct mth_rans_wide_kernels *wide_kernels;
    uint8_t *dst;
};

static size_t room_bytes(const struct stream *stream)
{
    return 2 * stream->n;
}

static void open_reader(const struct stream *stream, struct mth_rans_reader *reader)
{
    reader->lanes = stream->lanes;
    reader->in = stream->coded;
    reader->end = stream->room + room_bytes(stream);
}

static bool encode_narrow(void *data)
{
    const struct run *run = data;
    struct mth_rans_writer writer = {.begin = run->dst, .at = run->dst + room_bytes(run->stream)};
    mth_rans_lanes_init(&writer.lanes, run->stream->lanes.n_lanes);
    return mth_rans_narrow_encode(run->kernels, &run->stream->table, &writer, run->stream->src,
                                  run->stream->n);
}

/* The bytes that the first kernel wrote. */
static bool check_encoded(void *data)
{
    const struct run *run = data;
    size_t n = (size_t)(run->stream->room + room_bytes(run->stream) - run->stream->coded);
    return memcmp(run->dst + room_bytes(run->stream) - n, run->stream->coded, n) == 0;
}

static bool decode_narrow(void *data)
{
    const struct run *run = data;
    struct mth_rans_reader reader;
    open_reader(run->stream, &reader);
    return mth_rans_narrow_decode(run->kernels, &run->stream->table, &reader, run->dst, run->stream->n);
}

static bool decode_pair(void *data)
{
    const struct run *run = data;
    struct mth_rans_reader readers[2];
    size_t n_lanes = run->stream->lanes.n_lanes;
    const struct mth_rans_narrow_table *const tables[2] = {&run->stream->table, &run->stream->table};
    uint8_t *const dst[2] = {run->dst, run->dst + run->stream->n};
    open_reader(run->stream, &readers[0]);
    open_reader(run->stream, &readers[1]);
    size_t done = n_lanes * run->kernels->decode_pair(
                                tables, (struct mth_rans_reader *const[]){&readers[0], &readers[1]}, dst,
                                run->stream->n / n_lanes);
    for (size_t i = 0; i < 2; i++) {
        if (!mth_rans_narrow_decode(run->kernels, tables[i], &readers[i], dst[i] + done,
                                    run->stream->n - done))
            return false;
    }
    return true;
}

/* The source, but for markers. */
static bool check_decoded(void *data)
{
    const struct run *run = data;
    for (size_t i = 0; i < run->stream->n; i++) {
        if (run->dst[i] != run->stream->src[i] && run->dst[i] != run->stream->table.marker)
            return false;
    }
    return true;
}

static bool find_escapes(void *data)
{
    const struct run *run = data;
    return run->kernels->escapes(&run->stream->table, run->stream->src, run->stream->n, run->dst,
                                 run->stream->n) == run->stream->n_escapes;
}

static bool count_sample(void *data)
{
    const struct run *run = data;
    struct mth_rans_counts counts;
    mth_rans_sample(run->stream->src, run->stream->n, false, &counts);
    return counts.n_counted > 0;
}

static bool build_table(void *data)
{
    const struct run *run = data;
    struct mth_rans_counts counts;
    struct mth_rans_narrow_table table;
    mth_rans_sample(run->stream->src, run->stream->n, false, &counts);
    return mth_rans_narrow_build(counts.n, counts.exact, &table);
}

static bool encode_wide(void *data)
{
    const struct run *run = data;
    struct mth_rans_wide_writer writer = {.begin = run->dst, .at = run->dst + room_bytes(run->stream)};
    mth_rans_wide_lanes_init(&writer.lanes, MTH_RANS_WIDE_LANES);
    return mth_rans_wide_encode(run->wide_kernels, &run->stream->wide_table, &writer, run->stream->src,
                                run->stream->n);
}

static bool decode_wide(void *data)
{
    const struct run *run = data;
    struct mth_rans_wide_reader reader = {.lanes = run->stream->wide_lanes,
                                          .in = run->stream->wide_coded,
                                          .end = run->stream->wide_room + room_bytes(run->stream)};
    return mth_rans_wide_decode(run->wide_kernels, &run->stream->wide_table, &reader, run->dst,
                                run->stream->n);
}

static void stream_free(struct stream *stream)
{
    free(stream->src);
    free(stream->room);
    free(stream->wide_room);
    free(stream->dst);
    free(stream);
}

/* Fills a stream with what its cases need, coded by the portable kernels. */
static bool fill_stream(struct stream *stream, size_t n, size_t n_lanes)
{
    stream->n = n;
    stream->src = malloc(n);
    stream->room = malloc(2 * n);
    stream->wide_room = malloc(2 * n);
    stream->dst = malloc(2 * n);
    if (!stream->src || !stream->room || !stream->wide_room || !stream->dst)
        return false;
    mth_kernel_exponents(stream->src, n);
    struct mth_rans_counts counts;
    mth_rans_sample(stream->src, n, false, &counts);
    if (!mth_rans_narrow_build(counts.n, counts.exact, &stream->table) ||
        !mth_rans_wide_build(counts.n, counts.exact, MTH_RANS_MAX_SLOT_BITS, &stream->wide_table))
        return false;
    mth_rans_wide_prepare_encoder(&stream->wide_table);
    mth_rans_wide_prepare_decoder(&stream->wide_table);
    struct mth_rans_writer writer = {.begin = stream->room, .at = stream->room + 2 * n};
    mth_rans_lanes_init(&writer.lanes, n_lanes);
    struct mth_rans_wide_writer wide = {.begin = stream->wide_room, .at = stream->wide_room + 2 * n};
    mth_rans_wide_lanes_init(&wide.lanes, MTH_RANS_WIDE_LANES);
    if (!mth_rans_narrow_encode(&mth_rans_narrow_portable, &stream->table, &writer, stream->src, n) ||
        !mth_rans_wide_encode(&mth_rans_wide_portable, &stream->wide_table, &wide, stream->src, n))
        return false;
    stream->lanes = writer.lanes;
    stream->coded = writer.at;
    stream->wide_lanes = wide.lanes;
    stream->wide_coded = wide.at;
    stream->n_escapes = mth_rans_narrow_portable.escapes(&stream->table, stream->src, n, stream->dst, n);
    return true;
}

static struct stream *make_stream(size_t n, size_t n_lanes)
{
    struct stream *stream = aligned_alloc(_Alignof(struct stream), sizeof *stream);
    if (!stream)
        return NULL;
    memset(stream, 0, sizeof *stream);
    if (fill_stream(stream, n, n_lanes))
        return stream;
    stream_free(stream);
    return NULL;
}

/* A case over a stream; coded bytes and bytes together are what a run moves. */
static bool add(struct mth_kernel_cases *cases, const struct stream *stream, struct mth_kernel_case one,
                struct run run)
{
    struct run *data = malloc(sizeof *data);
    if (!data)
        return false;
    run.stream = stream;
    run.dst = stream->dst;
    *data = run;
    one.data = data;
    return mth_kernel_case_add(cases, one);
}

static bool add_kernels(struct mth_kernel_cases *cases, const struct mth_rans_narrow_kernels *kernels,
                        const struct stream *stream, bool is_large)
{
    size_t n = stream->n, n_moved = (n + (size_t)(stream->room + 2 * n - stream->coded)) / 2;
    struct run run = {.kernels = kernels};
    const struct mth_kernel_case list[] = {
        {is_large ? "rans narrow encode" : "rans narrow encode, 32 lanes", kernels->name, n, n_moved,
         encode_narrow, check_encoded, NULL},
        {is_large ? "rans narrow decode" : "rans narrow decode, 32 lanes", kernels->name, n, n_moved,
         decode_narrow, check_decoded, NULL},
        {is_large ? "rans narrow decode, two streams" : "rans narrow decode, two streams of 32 lanes",
         kernels->name, 2 * n, 2 * n_moved, decode_pair, check_decoded, NULL},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (!add(cases, stream, list[i], run))
            return false;
    }
    struct mth_kernel_case escapes = {"rans narrow escapes", kernels->name, n,   n / 2,
                                      find_escapes,          NULL,          NULL};
    return !is_large || add(cases, stream, escapes, run);
}

bool mth_kernel_cases_rans(struct mth_kernel_cases *cases, size_t n_elems)
{
    const struct mth_rans_narrow_kernels *kernels;
    const struct stream *large = make_stream(n_elems, 64), *small = make_stream(n_elems, 32);
    if (!large || !small)
        return false;
    for (size_t i = 0; (kernels = mth_rans_narrow_kernels_at(i)) != NULL; i++) {
        if ((kernels->needs & mth_cpu_features()) == kernels->needs &&
            !(add_kernels(cases, kernels, large, true) && add_kernels(cases, kernels, small, false)))
            return false;
    }
    size_t n_wide = (n_elems + (size_t)(large->wide_room + 2 * n_elems - large->wide_coded)) / 2;
    const struct mth_rans_wide_kernels *wide;
    for (size_t i = 0; (wide = mth_rans_wide_kernels_at(i)) != NULL; i++) {
        struct mth_kernel_case decode = {"rans wide decode", wide->name,    n_elems, n_wide,
                                         decode_wide,        check_decoded, NULL};
        struct mth_kernel_case encode = {"rans wide encode", wide->name, n_elems, n_wide,
                                         encode_wide,        NULL,       NULL};
        struct run run = {.wide_kernels = wide};
        if ((wide->needs & mth_cpu_features()) == wide->needs &&
            !(add(cases, large, decode, run) && add(cases, large, encode, run)))
            return false;
    }
    struct mth_kernel_case sample = {"rans sample", "portable", n_elems, n_elems / 64,
                                     count_sample,  NULL,       NULL};
    struct mth_kernel_case table = {
        "rans sample and table", "portable", n_elems, n_elems / 64, build_table, NULL, NULL};
    struct run none = {0};
    return add(cases, large, sample, none) && add(cases, large, table, none);
}
