/* The kernels of the codec ulp-rans, on elements of which one in six moved by a few steps; see kernel_cases.h. */
#include "harness/kernels/kernel_cases.h"

#include "base/cpu.h"
#include "base/lane.h"
#include "codecs/ulp_rans/ulp_symbols.h"
#include "harness/statistics.h"

#include <stdlib.h>
#include <string.h>

enum { SLACK_BYTES = 128, SYMBOL_LANES = MTH_RANS_MAX_LANES, TOP = 124 };

/* A pair and all that is made of it by the plainest kernels, shared by the cases that read it. */
struct pair {
    struct mth_rans_writer flags, coded_symbols;
    struct mth_ulp_table table;
    size_t n, n_groups, n_changed, n_bytes; /* bytes: of the elements */
    uint8_t *src, *base, *dst;              /* dst: for what a case writes, room for anything */
    uint8_t *contexts, *steps;
    uint8_t *changed_contexts, *symbols, *signs, *extra;
    size_t n_extra;
    uint32_t *masks, *masks_out;
    uint8_t *flags_room, *symbols_room; /* n bytes and slack each, written from the end */
    struct mth_ulp_format format;
    struct mth_ulp_shuffles shuffles;
};

struct run {
    const struct mth_ulp_kernels *kernels;
    struct pair *pair;
};

static bool find_contexts(void *data)
{
    const struct run *run = data;
    run->kernels->contexts(&run->pair->format, run->pair->base, run->pair->n_groups, TOP, run->pair->dst);
    return true;
}

static bool check_contexts(void *data)
{
    const struct pair *pair = ((const struct run *)data)->pair;
    return memcmp(pair->dst, pair->contexts, pair->n) == 0;
}

static bool analyze(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    return run->kernels->analyze(&pair->format, &pair->shuffles, pair->src, pair->base, pair->n_groups,
                                 pair->masks_out, pair->dst) == pair->n_changed;
}

static bool check_steps(void *data)
{
    const struct pair *pair = ((const struct run *)data)->pair;
    return memcmp(pair->dst, pair->steps, pair->n_changed * (pair->format.lane_bits / 8)) == 0;
}

static bool merge(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    return run->kernels->merge(&pair->format, &pair->shuffles, pair->base, pair->n_groups, pair->masks,
                               pair->steps, pair->dst) == pair->n_changed;
}

static bool check_elements(void *data)
{
    const struct pair *pair = ((const struct run *)data)->pair;
    return memcmp(pair->dst, pair->src, pair->n_bytes) == 0;
}

static bool collect(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    return run->kernels->collect(&pair->shuffles, pair->contexts, pair->n_groups, pair->masks, pair->dst) ==
           pair->n_changed;
}

static struct mth_rans_writer writer_at(uint8_t *room, size_t n, size_t n_lanes)
{
    struct mth_rans_writer writer = {.begin = room, .at = room + n + SLACK_BYTES};
    mth_rans_lanes_init(&writer.lanes, n_lanes);
    return writer;
}

static struct mth_rans_reader reader_of(const struct mth_rans_writer *coded, size_t n)
{
    return (struct mth_rans_reader){
        .lanes = coded->lanes, .in = coded->at, .end = coded->begin + n + SLACK_BYTES};
}

static bool encode_flags(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    struct mth_rans_writer writer = writer_at(pair->dst, pair->n, MTH_ULP_MAX_FLAG_LANES);
    return mth_ulp_encode_flags(run->kernels, &pair->table, &writer, pair->contexts, 0, pair->n_groups,
                                pair->masks);
}

static bool decode_flags(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    struct mth_rans_reader reader = reader_of(&pair->flags, pair->n);
    return mth_ulp_decode_flags(run->kernels, &pair->table, &reader, pair->contexts, 0, pair->n_groups,
                                pair->masks_out);
}

static bool check_flags(void *data)
{
    const struct pair *pair = ((const struct run *)data)->pair;
    return memcmp(pair->masks_out, pair->masks, pair->n_groups * sizeof *pair->masks) == 0;
}

static bool encode_symbols(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    struct mth_rans_writer writer = writer_at(pair->dst, pair->n, SYMBOL_LANES);
    return mth_ulp_encode_symbols(run->kernels, &pair->table, &writer, pair->changed_contexts, pair->symbols,
                                  pair->n_changed);
}

static bool decode_symbols(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    struct mth_rans_reader reader = reader_of(&pair->coded_symbols, pair->n);
    return mth_ulp_decode_symbols(run->kernels, &pair->table, &reader, pair->changed_contexts,
                                  pair->n_changed, pair->dst);
}

static bool check_symbols(void *data)
{
    const struct pair *pair = ((const struct run *)data)->pair;
    return memcmp(pair->dst, pair->symbols, pair->n_changed) == 0;
}

static bool split_with(const struct mth_ulp_kernels *kernels, const struct pair *pair, uint8_t *symbols,
                       uint8_t *signs, uint8_t *extra, size_t *n_extra)
{
    struct mth_ulp_parts parts = {.symbols = symbols,
                                  .signs = signs,
                                  .extra = {.at = extra, .end = extra + pair->n_bytes + SLACK_BYTES}};
    bool good = mth_ulp_split(kernels, pair->format.lane_bits, pair->table.shift, pair->steps,
                              pair->changed_contexts, pair->n_changed, &parts) &&
                mth_ulp_end_bits(&parts.extra);
    *n_extra = (size_t)(parts.extra.at - extra);
    return good;
}

static bool split_steps(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    size_t n_extra;
    return split_with(run->kernels, pair, pair->dst, pair->dst + pair->n + SLACK_BYTES,
                      pair->dst + 2 * (pair->n + SLACK_BYTES), &n_extra) &&
           n_extra == pair->n_extra;
}

static bool join_steps(void *data)
{
    const struct run *run = data;
    const struct pair *pair = run->pair;
    struct mth_ulp_bit_reader extra = {.at = pair->extra, .end = pair->extra + pair->n_extra};
    return mth_ulp_join(run->kernels, pair->format.lane_bits, pair->table.shift, pair->symbols, pair->signs,
                        pair->changed_contexts, pair->n_changed, &extra, pair->dst);
}

/* Weights by exponent, and a step for one in six: by one mostly, in f32 by some thousands. */
static void fill(struct pair *pair)
{
    uint64_t random = 1;
    mth_kernel_exponents(pair->dst, pair->n);
    for (size_t i = 0; i < pair->n; i++) {
        uint64_t r = mth_random_next(&random);
        unsigned far = 1 + (r >> 20 & 7 ? 0 : (unsigned)(r >> 24 & 15)), bits = pair->format.mantissa_bits;
        uint32_t b = (uint32_t)((r >> 63) << (bits + 8) | (uint64_t)pair->dst[i] << bits |
                                (r >> 32 & ((1u << bits) - 1)));
        uint32_t x = r % 6 ? b : b + (bits > 7 ? far * 1000 : far) * (r >> 62 & 1 ? 1 : UINT32_MAX);
        if (bits == 7) {
            mth_lane_store16(pair->base + 2 * i, (uint16_t)b);
            mth_lane_store16(pair->src + 2 * i, (uint16_t)x);
        } else {
            mth_lane_store32(pair->base + 4 * i, b);
            mth_lane_store32(pair->src + 4 * i, x);
        }
    }
}

/* Steps, a table of them, and what both rANS coders make of them. */
static bool code(struct pair *pair)
{
    const struct mth_ulp_kernels *plain = &mth_ulp_portable;
    struct mth_ulp_counts counts = {.elements = {0}};
    plain->contexts(&pair->format, pair->base, pair->n_groups, TOP, pair->contexts);
    pair->n_changed = plain->analyze(&pair->format, &pair->shuffles, pair->src, pair->base, pair->n_groups,
                                     pair->masks, pair->steps);
    plain->collect(&pair->shuffles, pair->contexts, pair->n_groups, pair->masks, pair->changed_contexts);
    memset(pair->table.shift, pair->format.lane_bits > 16 ? 9 : 0, sizeof pair->table.shift);
    if (!split_with(plain, pair, pair->symbols, pair->signs, pair->extra, &pair->n_extra))
        return false;
    for (size_t i = 0; i < pair->n; i++)
        counts.elements[pair->contexts[i]]++;
    for (size_t i = 0; i < pair->n_changed; i++)
        counts.symbols[pair->changed_contexts[i]][pair->symbols[i]]++;
    mth_ulp_table_build(&pair->table, &counts);
    pair->flags = writer_at(pair->flags_room, pair->n, MTH_ULP_MAX_FLAG_LANES);
    pair->coded_symbols = writer_at(pair->symbols_room, pair->n, SYMBOL_LANES);
    return mth_ulp_encode_flags(plain, &pair->table, &pair->flags, pair->contexts, 0, pair->n_groups,
                                pair->masks) &&
           mth_ulp_encode_symbols(plain, &pair->table, &pair->coded_symbols, pair->changed_contexts,
                                  pair->symbols, pair->n_changed);
}

/* Pairs live as long as the program; without memory it ends. */
static struct pair *make_pair(size_t n, struct mth_ulp_format format)
{
    struct pair *pair = aligned_alloc(_Alignof(struct pair), sizeof *pair);
    size_t lane_bytes = format.lane_bits / 8, n_room = n * lane_bytes + SLACK_BYTES;
    if (!pair)
        return NULL;
    memset(pair, 0, sizeof *pair);
    pair->format = format;
    pair->n = n;
    pair->n_groups = n / MTH_ULP_GROUP;
    pair->n_bytes = n * lane_bytes;
    mth_ulp_shuffles_fill(&pair->shuffles);
    uint8_t **rooms[] = {
        &pair->src,     &pair->base,  &pair->contexts, &pair->steps,      &pair->changed_contexts,
        &pair->symbols, &pair->signs, &pair->extra,    &pair->flags_room, &pair->symbols_room};
    bool good = true;
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
        good &= (*rooms[i] = malloc(n_room)) != NULL;
    pair->dst = malloc(4 * n_room);
    pair->masks = malloc(pair->n_groups * sizeof *pair->masks);
    pair->masks_out = malloc(pair->n_groups * sizeof *pair->masks_out);
    if (!good || !pair->dst || !pair->masks || !pair->masks_out)
        return NULL;
    fill(pair);
    return code(pair) ? pair : NULL;
}

static bool add(struct mth_kernel_cases *cases, const struct mth_ulp_kernels *kernels, struct pair *pair,
                struct mth_kernel_case one)
{
    struct run *run = malloc(sizeof *run);
    if (!run)
        return false;
    *run = (struct run){kernels, pair};
    one.isa = kernels->name;
    one.n_elems = pair->n;
    one.data = run;
    return mth_kernel_case_add(cases, one);
}

/* All per element, changed or not: what a kernel adds to a stream. Bytes: read and written, halved. */
static bool add_kernels(struct mth_kernel_cases *cases, const struct mth_ulp_kernels *kernels,
                        struct pair *pair)
{
    bool is_bf16 = pair->format.lane_bits == 16;
    size_t n = pair->n, n_bytes = pair->n_bytes, n_steps = pair->n_changed * (pair->format.lane_bits / 8);
    size_t n_flags = (size_t)(pair->flags_room + n + SLACK_BYTES - pair->flags.at);
    size_t n_symbols = (size_t)(pair->symbols_room + n + SLACK_BYTES - pair->coded_symbols.at);
    const struct mth_kernel_case list[] = {
        {.kernel = is_bf16 ? "ulp contexts bf16" : "ulp contexts f32",
         .n_bytes = (n_bytes + n) / 2,
         .run = find_contexts,
         .check = check_contexts},
        {.kernel = is_bf16 ? "ulp analyze bf16" : "ulp analyze f32",
         .n_bytes = (2 * n_bytes + n_steps) / 2,
         .run = analyze,
         .check = check_steps},
        {.kernel = is_bf16 ? "ulp merge bf16" : "ulp merge f32",
         .n_bytes = (2 * n_bytes + n_steps) / 2,
         .run = merge,
         .check = check_elements},
        {.kernel = is_bf16 ? "ulp steps bf16 to symbols" : "ulp steps f32 to symbols",
         .n_bytes = n_steps,
         .run = split_steps},
        {.kernel = is_bf16 ? "ulp symbols to steps bf16" : "ulp symbols to steps f32",
         .n_bytes = n_steps,
         .run = join_steps,
         .check = check_steps},
        {.kernel = "ulp collect", .n_bytes = (n + pair->n_changed) / 2, .run = collect},
        {.kernel = "ulp flags encode", .n_bytes = (n + n_flags) / 2, .run = encode_flags},
        {.kernel = "ulp flags decode",
         .n_bytes = (n + n_flags) / 2,
         .run = decode_flags,
         .check = check_flags},
        {.kernel = "ulp symbols encode",
         .n_bytes = (2 * pair->n_changed + n_symbols) / 2,
         .run = encode_symbols},
        {.kernel = "ulp symbols decode",
         .n_bytes = (2 * pair->n_changed + n_symbols) / 2,
         .run = decode_symbols,
         .check = check_symbols},
    };
    /* What does not look at elements is the same for all of them. */
    size_t n_cases = is_bf16 ? sizeof list / sizeof list[0] : 5;
    for (size_t i = 0; i < n_cases; i++) {
        if (!add(cases, kernels, pair, list[i]))
            return false;
    }
    return true;
}

bool mth_kernel_cases_ulp(struct mth_kernel_cases *cases, size_t n_elems)
{
    const struct mth_ulp_kernels *kernels;
    struct pair *halves = make_pair(n_elems, (struct mth_ulp_format){16, 7, 8});
    struct pair *words = make_pair(n_elems, (struct mth_ulp_format){32, 23, 8});
    if (!halves || !words)
        return false;
    for (size_t i = 0; (kernels = mth_ulp_kernels_at(i)) != NULL; i++) {
        if ((kernels->needs & mth_cpu_features()) == kernels->needs &&
            !(add_kernels(cases, kernels, halves) && add_kernels(cases, kernels, words)))
            return false;
    }
    return true;
}
