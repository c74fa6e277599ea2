/* raw: any file as a run of elements of one dtype; what is left of the last one is opaque. */
#include "formats/region_map.h"

static int map_raw(const struct mth_source *source, const struct mth_format_options *options,
                   struct mth_region_map *map, struct mth_error *err)
{
    const struct mth_dtype_info *info = mth_dtype_info(options->raw_dtype);
    uint64_t elem_bytes = (info->bits + 7) / 8;
    uint64_t n_elems = source->n_bytes / elem_bytes;
    uint64_t n_bytes = n_elems * elem_bytes;
    struct mth_tensor tensor = {.n_elems = n_elems, .dtype = (uint8_t)options->raw_dtype};

    int status = mth_region_map_add_region(map, 0, n_bytes, options->raw_dtype, &tensor.region);
    if (!status)
        status = mth_region_map_add_region(map, n_bytes, source->n_bytes - n_bytes, MTH_DTYPE_OPAQUE, NULL);
    if (!status && options->raw_dtype != MTH_DTYPE_OPAQUE)
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
