/* The JSON header of a safetensors file, read as a stream into a region map. */
#ifndef MTH_FORMATS_SAFETENSORS_HEADER_H
#define MTH_FORMATS_SAFETENSORS_HEADER_H

#include "formats/region_map.h"

enum {
    MTH_SAFETENSORS_LENGTH_BYTES = 8,
    MTH_SAFETENSORS_HEADER_MAX_BYTES = 100000000 /* the reference implementation's limit */
};

/*
 * Read the header and add its tensors to the map, in the order of the header.
 *
 * Shape     n_header bytes behind the length field, which must lie inside the source. A tensor's
 *           offset_bytes is where it begins behind the header; its region is MTH_NO_REGION
 * Errors    MTH_ERR_FORMAT (not JSON, not a tensor, unknown dtype, a size that contradicts its offsets),
 *           MTH_ERR_TRUNCATED (a tensor ends behind the file), MTH_ERR_LIMIT, MTH_ERR_NO_MEMORY, those of
 *           reading
 * Cost      one pass in pieces of 64 KiB; 0.4 MiB beside the map, whatever the header holds
 * Source    github.com/safetensors/safetensors, safetensors/src/tensor.rs (0.8); differs as docs/formats.md
 *           lists
 */
int mth_safetensors_header_read(const struct mth_source *source, uint64_t n_header,
                                struct mth_region_map *map, struct mth_error *err);

#endif
