/*
 * raw: any file as a run of elements of one dtype; what is left of the last one is opaque.
 *
 * Elements below a byte are packed, as in safetensors: two F4 fill a byte, four F6 fill three. A raw file
 * holds as many such groups as fit, so that its tensor ends at a byte.
 */
#include "formats/region_map.h"

#include "base/checked.h"

/* The fewest elements that fill whole bytes: 2 of 4 bits, 4 of 6 bits, 1 of 8 or more. */
static unsigned elems_per_group(unsigned bits)
{
    unsigned n = 1;
    while (n * bits % 8 != 0)
        n++;
    return n;
}

static int map_raw(const struct mth_source *source, const struct mth_format_options *options,
                   struct mth_region_map *map, struct mth_error *err)
{
    enum mth_dtype dtype = options->raw_dtype;
    unsigned bits = mth_dtype_info(dtype)->bits;
    unsigned group_elems = elems_per_group(bits);
    unsigned group_bytes = group_elems * bits / 8;
    uint64_t n_groups = source->n_bytes / group_bytes;
    uint64_t n_bytes = n_groups * group_bytes;
    uint64_t n_elems;
    if (!mth_u64_mul(n_groups, group_elems, &n_elems))
        return mth_error_set(err, MTH_ERR_OVERFLOW, "%s: too many elements", source->name);

    struct mth_tensor tensor = {.n_elems = n_elems, .dtype = (uint8_t)dtype};
    tensor.role = (uint8_t)mth_role_of("data", dtype);
    int status = mth_region_map_add_region(map, 0, n_bytes, dtype, &tensor.region);
    if (!status)
        status = mth_region_map_add_region(map, n_bytes, source->n_bytes - n_bytes, MTH_DTYPE_OPAQUE, NULL);
    if (!status && dtype != MTH_DTYPE_OPAQUE)
        status = mth_region_map_add_tensor(map, "data", 4, &n_elems, 1, &tensor);
    if (status)
        return mth_error_set(err, status, "%s: %s", source->name, mth_status_text(status));
    return MTH_OK;
}

/* Nothing looks raw: a raw file is one that the user gives a dtype for. */
const struct mth_format mth_format_raw = {
    .name = "raw",
    .summary = "elements of one dtype (--dtype), no header",
    .map = map_raw,
};
