/* The kernels of the transforms, and the hash; see kernel_cases.h. */
#include "harness/kernels/kernel_cases.h"

#include "base/cpu.h"
#include "base/hash.h"
#include "transforms/byte_planes.h"
#include "transforms/exponent_split/exponent_kernels.h"

#include <stdlib.h>
#include <string.h>

struct floats {
    size_t n, width;
    const struct mth_exponent_format *format; /* NULL for byte planes and hashes */
    uint8_t *src, *dst;                       /* n * width bytes */
    uint8_t *first, *second;                  /* streams: exponents and the rest, or planes */
};

static bool split(void *data)
{
    const struct floats *floats = data;
    floats->format->split(floats->src, floats->n, floats->first, floats->second);
    return true;
}

static bool join(void *data)
{
    const struct floats *floats = data;
    return floats->format->join(floats->first, floats->second, floats->n, floats->dst) == 0;
}

static bool split_planes(void *data)
{
    const struct floats *floats = data;
    mth_byte_planes_split(floats->src, floats->n, floats->width,
                          (uint8_t *[]){floats->first, floats->second});
    return true;
}

static bool join_planes(void *data)
{
    const struct floats *floats = data;
    mth_byte_planes_join((const uint8_t *[]){floats->first, floats->second}, floats->n, floats->width,
                         floats->dst);
    return true;
}

static bool check_joined(void *data)
{
    const struct floats *floats = data;
    return memcmp(floats->src, floats->dst, floats->n * floats->width) == 0;
}

static bool hash(void *data)
{
    const struct floats *floats = data;
    return mth_hash64(floats->src, floats->n * floats->width, 0) != 1;
}

static struct floats *make_floats(size_t n, size_t width, const struct mth_exponent_format *format)
{
    struct floats *floats = calloc(1, sizeof *floats);
    if (!floats)
        return NULL;
    *floats = (struct floats){.n = n, .width = width, .format = format};
    floats->src = malloc(n * width);
    floats->dst = malloc(n * width);
    floats->first = malloc(n * width);
    floats->second = malloc(n * width);
    if (floats->src && floats->dst && floats->first && floats->second) {
        mth_kernel_exponents(floats->src, n * width);
        return floats;
    }
    free(floats->src);
    free(floats->dst);
    free(floats->first);
    free(floats->second);
    free(floats);
    return NULL;
}

static bool add_both(struct mth_kernel_cases *cases, struct floats *floats, const char *names[2],
                     const char *isa, bool (*forward)(void *), bool (*back)(void *))
{
    if (!floats)
        return false;
    size_t n_bytes = floats->n * floats->width;
    forward(floats);
    return mth_kernel_case_add(
               cases, (struct mth_kernel_case){names[0], isa, floats->n, n_bytes, forward, NULL, floats}) &&
           mth_kernel_case_add(cases, (struct mth_kernel_case){names[1], isa, floats->n, n_bytes, back,
                                                               check_joined, floats});
}

static bool add_formats(struct mth_kernel_cases *cases, const struct mth_exponent_kernels *kernels, size_t n)
{
    static const struct {
        enum mth_dtype dtype;
        const char *names[2];
    } formats[] = {
        {MTH_DTYPE_BF16, {"exponent-split bf16", "exponent-split bf16, back"}},
        {MTH_DTYPE_F16, {"exponent-split f16", "exponent-split f16, back"}},
        {MTH_DTYPE_F32, {"exponent-split f32", "exponent-split f32, back"}},
        {MTH_DTYPE_F8_E4M3, {"exponent-split e4m3", "exponent-split e4m3, back"}},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct mth_symbol_type type = mth_symbol_type_of(formats[i].dtype);
        const struct mth_exponent_format *format = mth_exponent_format_of(kernels, &type);
        const char *names[2] = {formats[i].names[0], formats[i].names[1]};
        if (format && format->split &&
            !add_both(cases, make_floats(n, type.container_bits / 8u, format), names, kernels->name, split,
                      join))
            return false;
    }
    return true;
}

bool mth_kernel_cases_transforms(struct mth_kernel_cases *cases, size_t n_elems)
{
    const struct mth_exponent_kernels *best = mth_exponent_kernels_of(mth_cpu_features());
    const char *planes[2] = {"byte-group 2", "byte-group 2, back"};
    if (!add_formats(cases, &mth_exponent_kernels_portable, n_elems))
        return false;
    if (best != &mth_exponent_kernels_portable && !add_formats(cases, best, n_elems))
        return false;
    struct floats *halves = make_floats(n_elems, 2, NULL);
    return add_both(cases, halves, planes, "portable", split_planes, join_planes) &&
           mth_kernel_case_add(cases, (struct mth_kernel_case){"hash, XXH3-64", "best", n_elems, n_elems,
                                                               hash, NULL, halves});
}
