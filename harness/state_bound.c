/* A bound of training states; see state_bound.h. It shares no line with what codes them. */
#include "harness/state_bound.h"

#include "base/checked.h"
#include "formats/optimizer_state.h"
#include "formats/region_match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_STEP_SYMBOLS = 4 * 34, /* sizes of up to 33 bits and none, in half octaves, of either sign */
    N_EXPONENTS = 256,
    N_CLASSES = 13,
    CLASS_BIAS = 5,
    N_OCTAVES = 512, /* half ones, of fp32 */
    N_RELATIVE_SYMBOLS = 4 * N_OCTAVES,
    RAW_BITS = 22
};

/* Symbols counted in their contexts, and raw bits. */
struct tally {
    uint32_t *counts;
    size_t n_contexts, n_symbols;
    double raw_bits;
};

static void tally_reset(struct tally *tally, size_t n_contexts, size_t n_symbols)
{
    tally->n_contexts = n_contexts;
    tally->n_symbols = n_symbols;
    tally->raw_bits = 0;
    memset(tally->counts, 0, n_contexts * n_symbols * sizeof *tally->counts);
}

static void tally_add(struct tally *tally, size_t context, size_t symbol)
{
    tally->counts[context * tally->n_symbols + symbol]++;
}

static double tally_bits(const struct tally *tally)
{
    double bits = tally->raw_bits;
    for (size_t c = 0; c < tally->n_contexts; c++) {
        const uint32_t *counts = &tally->counts[c * tally->n_symbols];
        double total = 0;
        for (size_t s = 0; s < tally->n_symbols; s++) {
            total += counts[s];
            bits -= counts[s] ? counts[s] * log2(counts[s]) : 0;
        }
        bits += total > 0 ? total * log2(total) : 0;
    }
    return bits;
}

/* A parameter before its steps and after them. */
struct parameter {
    const uint8_t *before[MTH_KEPT_STEP], *after[MTH_KEPT_STEP];
    size_t n;
    double n_steps;
    const struct mth_optimizer_group *group;
};

static float value_at(const uint8_t *elems, size_t i)
{
    uint32_t bits = mth_load32(elems + 4 * i);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* An integer in the order of the values. */
static int64_t ordered(uint32_t bits)
{
    return bits >> 31 ? -(int64_t)(bits & 0x7fffffff) : (int64_t)bits;
}

static void count_steps(struct tally *tally, uint32_t actual, uint32_t from)
{
    int64_t steps = ordered(actual) - ordered(from);
    uint64_t size = (uint64_t)(steps < 0 ? -steps : steps);
    unsigned n_bits = 0;
    while (size >> n_bits)
        n_bits++;
    unsigned half = n_bits > 1 ? (unsigned)(size >> (n_bits - 2) & 1) : 0;
    tally_add(tally, from >> 23 & 0xff, 4 * n_bits + 2 * half + (steps < 0));
    tally->raw_bits += n_bits > 2 ? n_bits - 2 : 0;
}

/* ---- the three ---- */

static double move_at(const uint8_t *m, const uint8_t *v, size_t i, double eps)
{
    double move = (double)value_at(m, i) / (sqrt((double)value_at(v, i)) + eps);
    return isfinite(move) ? move : 0;
}

static double bits_of_w(struct tally *tally, const struct parameter *p)
{
    double kept = pow(1 - p->group->lr * p->group->weight_decay, p->n_steps), eps = p->group->eps;
    double xx = 0, xy = 0, yy = 0, xz = 0, yz = 0;
    for (size_t i = 0; i < p->n; i++) {
        double x = move_at(p->before[MTH_KEPT_M], p->before[MTH_KEPT_V], i, eps),
               y = move_at(p->after[MTH_KEPT_M], p->after[MTH_KEPT_V], i, eps),
               z = (double)value_at(p->after[MTH_KEPT_W], i) -
                   kept * (double)value_at(p->before[MTH_KEPT_W], i);
        if (!isfinite(z))
            continue;
        xx += x * x;
        xy += x * y;
        yy += y * y;
        xz += x * z;
        yz += y * z;
    }
    double determinant = xx * yy - xy * xy, a = (xz * yy - yz * xy) / determinant,
           b = (yz * xx - xz * xy) / determinant;
    if (!isfinite(a) || !isfinite(b))
        a = b = 0;
    tally_reset(tally, N_EXPONENTS, N_STEP_SYMBOLS);
    for (size_t i = 0; i < p->n; i++) {
        double moved = a * move_at(p->before[MTH_KEPT_M], p->before[MTH_KEPT_V], i, eps) +
                       b * move_at(p->after[MTH_KEPT_M], p->after[MTH_KEPT_V], i, eps);
        float from = (float)(kept * (double)value_at(p->before[MTH_KEPT_W], i) + moved);
        count_steps(tally, mth_load32(p->after[MTH_KEPT_W] + 4 * i), bits_of(from));
    }
    return tally_bits(tally);
}

static double bits_of_v(struct tally *tally, const struct parameter *p)
{
    tally_reset(tally, N_EXPONENTS, N_STEP_SYMBOLS);
    for (size_t i = 0; i < p->n; i++)
        count_steps(tally, mth_load32(p->after[MTH_KEPT_V] + 4 * i),
                    mth_load32(p->before[MTH_KEPT_V] + 4 * i));
    return tally_bits(tally);
}

static int32_t half_octave(uint32_t bits)
{
    return (int32_t)(bits >> RAW_BITS & (N_OCTAVES - 1));
}

static double bits_of_m(struct tally *tally, const struct parameter *p)
{
    double beta1 = p->group->beta1, stays = pow(beta1, p->n_steps);
    /* Of gradients as large as the root of v, each on its own. */
    double spread = sqrt((1 - beta1) / (1 + beta1) * (1 - stays * stays));
    int32_t weight = half_octave(bits_of((float)spread)) - half_octave(bits_of(1.0f));
    tally_reset(tally, N_CLASSES, N_RELATIVE_SYMBOLS);
    for (size_t i = 0; i < p->n; i++) {
        uint32_t left = bits_of((float)(stays * (double)value_at(p->before[MTH_KEPT_M], i)));
        uint32_t m = mth_load32(p->after[MTH_KEPT_M] + 4 * i);
        float v = value_at(p->before[MTH_KEPT_V], i);
        int32_t size = half_octave(left), scale = half_octave(bits_of(sqrtf(v > 0 ? v : 0))) + weight;
        int32_t kind = size - scale + CLASS_BIAS;
        kind = kind < 0 ? 0 : kind < N_CLASSES ? kind : N_CLASSES - 1;
        int32_t apart = half_octave(m) - (kind ? size : scale);
        apart = apart < -N_OCTAVES ? -N_OCTAVES : apart < N_OCTAVES ? apart : N_OCTAVES - 1;
        tally_add(tally, (size_t)kind, 2 * (size_t)(apart + N_OCTAVES) + ((m ^ (kind ? left : 0)) >> 31));
    }
    tally->raw_bits = RAW_BITS * (double)p->n;
    return tally_bits(tally);
}

/* ---- which they are ---- */

/* Tells where a tensor's elements lie before and after; false for what is not plain fp32, or has no counterpart. */
static bool find(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                 const uint64_t *base_offsets, uint32_t index, struct parameter *p, size_t slot,
                 uint32_t *regions)
{
    const struct mth_region_map *map = input->map;
    if (index == MTH_NO_TENSOR || map->tensors[index].region == MTH_NO_REGION)
        return false;
    const struct mth_tensor *tensor = &map->tensors[index];
    const struct mth_region *region = &map->regions[tensor->region];
    if (region->dtype != MTH_DTYPE_F32 || region->flags || region->n_bytes != 4 * tensor->n_elems ||
        base_offsets[tensor->region] == MTH_NO_MATCH || (p->n && p->n != tensor->n_elems))
        return false;
    p->n = (size_t)tensor->n_elems;
    p->before[slot] = base->data + base_offsets[tensor->region];
    p->after[slot] = input->data + region->offset;
    regions[slot] = tensor->region;
    return true;
}

static int count_made(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                      const uint64_t *base_offsets, const struct mth_tensor *step, double *n_steps)
{
    struct mth_source now, then;
    struct mth_error err = {0};
    double after = -1, before = -1;
    *n_steps = 0;
    if (step->region == MTH_NO_REGION || base_offsets[step->region] == MTH_NO_MATCH)
        return MTH_OK;
    mth_source_memory("input", (struct mth_bytes){input->data, (size_t)input->map->n_bytes}, &now);
    mth_source_memory("base", (struct mth_bytes){base->data, (size_t)base->map->n_bytes}, &then);
    int status = mth_optimizer_read_step(
        &now, step, input->map->regions[step->region].offset + step->offset_bytes, &after, &err);
    if (!status)
        status = mth_optimizer_read_step(&then, step, base_offsets[step->region] + step->offset_bytes,
                                         &before, &err);
    if (!status && before >= 0 && after > before)
        *n_steps = after - before;
    return status;
}

static int bound_parameter(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                           const uint64_t *base_offsets, const struct mth_kept_tensors *kept,
                           struct tally *tally, bool *covered, double *bits)
{
    struct parameter p = {.n = 0};
    uint32_t regions[MTH_KEPT_STEP];
    if (kept->tensors[MTH_KEPT_STEP] == MTH_NO_TENSOR ||
        !find(input, base, base_offsets, kept->tensors[MTH_KEPT_M], &p, MTH_KEPT_M, regions) ||
        !find(input, base, base_offsets, kept->tensors[MTH_KEPT_V], &p, MTH_KEPT_V, regions))
        return MTH_OK;
    bool has_w = find(input, base, base_offsets, kept->tensors[MTH_KEPT_W], &p, MTH_KEPT_W, regions);
    p.group = mth_tensor_group(input->map, &input->map->tensors[kept->tensors[MTH_KEPT_M]]);
    int status =
        count_made(input, base, base_offsets, &input->map->tensors[kept->tensors[MTH_KEPT_STEP]], &p.n_steps);
    if (status || p.n_steps < 2 || !p.group || p.group->kind != MTH_OPTIMIZER_ADAM)
        return status;
    double (*const bits_of_kept[])(struct tally *, const struct parameter *) = {
        [MTH_KEPT_W] = bits_of_w, [MTH_KEPT_M] = bits_of_m, [MTH_KEPT_V] = bits_of_v};
    for (size_t i = has_w ? MTH_KEPT_W : MTH_KEPT_M; i <= MTH_KEPT_V; i++) {
        if (covered[regions[i]])
            continue;
        covered[regions[i]] = true;
        *bits += bits_of_kept[i](tally, &p);
    }
    return MTH_OK;
}

int mth_state_bound(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                    const uint64_t *base_offsets, bool *covered, double *bits)
{
    const struct mth_region_map *map = input->map;
    struct mth_memory *memory = map->memory;
    struct tally tally = {.counts = NULL};
    *bits = 0;
    if (map->n_params == 0)
        return MTH_OK;
    tally.counts = mth_memory_calloc(memory, N_EXPONENTS * N_STEP_SYMBOLS, sizeof *tally.counts);
    struct mth_kept_tensors *kept = mth_optimizer_list_kept(map, memory);
    int status = kept && tally.counts ? MTH_OK : MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && i < map->n_tensors; i++)
        status = bound_parameter(input, base, base_offsets, &kept[i], &tally, covered, bits);
    mth_memory_free(memory, kept);
    mth_memory_free(memory, tally.counts);
    return status;
}
