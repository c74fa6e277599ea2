/* The registry of formats, in the order in which they are tried. */
#include "formats/region_map.h"

enum { MTH_HEAD_BYTES = 64 };

#define MTH_FORMAT(name) extern const struct mth_format mth_format_##name;
#include "formats/formats.def"
#undef MTH_FORMAT

#define MTH_FORMAT(name) &mth_format_##name,
static const struct mth_format *const formats[] = {
#include "formats/formats.def"
};
#undef MTH_FORMAT

enum { N_FORMATS = sizeof formats / sizeof formats[0] };

const struct mth_format *mth_format_at(size_t index)
{
    return index < N_FORMATS ? formats[index] : NULL;
}

/* The format that claims a file, NULL when none does. A dtype for raw files settles it. */
static const struct mth_format *recognise(const struct mth_source *source,
                                          const struct mth_format_options *options, const uint8_t *head,
                                          size_t n_head)
{
    struct mth_source named = *source;
    if (options->raw_dtype != MTH_N_DTYPES)
        return &mth_format_raw;
    if (options->name)
        named.name = options->name;
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (formats[i]->probe && formats[i]->probe(&named, head, n_head))
            return formats[i];
    }
    return NULL;
}

int mth_format_map(const struct mth_source *source, const struct mth_format_options *options,
                   struct mth_memory *memory, struct mth_region_map *map, struct mth_error *err)
{
    uint8_t head[MTH_HEAD_BYTES];
    size_t n_head = source->n_bytes < sizeof head ? (size_t)source->n_bytes : sizeof head;
    mth_region_map_init(map, memory, "unknown", source->n_bytes);
    int status = mth_source_read(source, 0, head, n_head, err);
    if (status)
        return status;
    const struct mth_format *format = recognise(source, options, head, n_head);
    if (!format)
        return mth_error_set(err, MTH_ERR_FORMAT,
                             source->n_bytes
                                 ? "%s: not a checkpoint of a known format; --dtype takes it as raw elements"
                                 : "%s: the file is empty",
                             source->name);
    map->format = format->name;
    status = format->map(source, options, map, err);
    if (!status && mth_region_map_check(map) != MTH_OK)
        status =
            mth_error_set(err, MTH_ERR_INTERNAL, "%s: the %s reader made a map that does not fit the file",
                          source->name, format->name);
    if (status)
        mth_region_map_free(map);
    return status;
}

bool mth_format_is_of_content(int status)
{
    return status == MTH_ERR_FORMAT || status == MTH_ERR_TRUNCATED || status == MTH_ERR_OVERFLOW ||
           status == MTH_ERR_UNSUPPORTED || status == MTH_ERR_LIMIT || status == MTH_ERR_CORRUPT ||
           status == MTH_ERR_CHECKSUM;
}
