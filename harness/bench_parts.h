/* What each part of a checkpoint takes in a container: by tensor, by dtype, by role. */
#ifndef MTH_HARNESS_BENCH_PARTS_H
#define MTH_HARNESS_BENCH_PARTS_H

#include "base/bytes.h"
#include "base/memory.h"
#include "formats/region_map.h"

#include <stddef.h>
#include <stdint.h>

struct mth_part {
    const char *by; /* "tensor", "dtype", "role" */
    char *
        name; /* of the tensor, dtype or role; "header" for bytes of no tensor, "framing" for what is nobody's */
    enum mth_dtype dtype; /* of a tensor; MTH_DTYPE_OPAQUE else */
    const char *role;     /* of a tensor; NULL else */
    uint64_t raw_bytes;
    uint64_t stored_bytes;
};

struct mth_parts {
    struct mth_part *items;
    size_t n_items;
};

/*
 * The parts of a container in memory. Of each way to part it the raw bytes sum to those of the checkpoint, the stored bytes to
 * those of the container: what stands beside the bundles, and what their shares lose by rounding, is the part "framing".
 * Tensors on one region are one part, by the name of the first.
 *
 * Errors    those of reading a container; MTH_ERR_NO_MEMORY
 */
int mth_parts_of(struct mth_bytes container, const struct mth_region_map *map, struct mth_memory *memory,
                 struct mth_parts *parts, struct mth_error *err);
void mth_parts_free(struct mth_parts *parts);

#endif
