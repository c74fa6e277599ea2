/*
 * A checkpoint file as a region map: byte ranges that tile the file, and the tensors that are views on them.
 *
 * Every format reduces to this, and a file is restored from its regions byte for byte. Names and shapes live
 * in pools of the map, so that 100,000 tensors cost a few MiB.
 */
#ifndef MTH_FORMATS_REGION_MAP_H
#define MTH_FORMATS_REGION_MAP_H

#include "base/dtype.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As many as PyTorch and NumPy allow. */
enum { MTH_MAX_DIMS = 64 };

/* Ranges in file order, without gap or overlap, none empty. */
struct mth_region {
    uint64_t offset;
    uint64_t n_bytes;
    enum mth_dtype dtype; /* MTH_DTYPE_OPAQUE for what is no tensor */
};

enum mth_role { MTH_ROLE_OTHER = 0, MTH_ROLE_WEIGHT, MTH_ROLE_ADAM_M, MTH_ROLE_ADAM_V, MTH_ROLE_STEP };

enum { MTH_NO_REGION = UINT32_MAX };

/* A named tensor: a contiguous, row-major view on one region. */
struct mth_tensor {
    uint32_t name;         /* in the map's text pool; see mth_tensor_name */
    uint32_t region;       /* MTH_NO_REGION for a tensor without bytes */
    uint64_t offset_bytes; /* in the region */
    uint64_t n_elems;
    uint32_t shape; /* first of n_dims entries in the map's dims pool */
    uint16_t n_dims;
    uint8_t dtype; /* enum mth_dtype */
    uint8_t role;  /* enum mth_role */
};

struct mth_region_map {
    struct mth_memory *memory;
    const char *format; /* "safetensors", "raw" */
    uint64_t n_bytes;   /* of the file */
    struct mth_region *regions;
    size_t n_regions;
    struct mth_tensor *tensors;
    size_t n_tensors;
    char *text; /* NUL-terminated strings */
    size_t n_text;
    uint64_t *dims;
    size_t n_dims;
    /* Capacities of the four arrays above, for the builders. */
    size_t regions_capacity, tensors_capacity, text_capacity, dims_capacity;
};

/* An empty map on an account. */
void mth_region_map_init(struct mth_region_map *map, struct mth_memory *memory, const char *format,
                         uint64_t n_bytes);
void mth_region_map_free(struct mth_region_map *map);

/* Builders. Errors: MTH_ERR_NO_MEMORY, MTH_ERR_LIMIT. index may be NULL. An empty region is not added (index
 * MTH_NO_REGION). */
int mth_region_map_add_region(struct mth_region_map *map, uint64_t offset, uint64_t n_bytes,
                              enum mth_dtype dtype, uint32_t *index);
int mth_region_map_add_tensor(struct mth_region_map *map, const char *name, size_t n_name,
                              const uint64_t *shape, size_t n_dims, const struct mth_tensor *tensor);

/*
 * Checks what this header promises: regions tile [0, n_bytes), tensors have a name, a shape and a dtype and
 * lie inside their regions. Errors: MTH_ERR_INTERNAL. Cost: linear.
 */
int mth_region_map_check(const struct mth_region_map *map);

/*
 * Elements and bytes of a shape; what is below a byte (F4, F6) is packed and must fill whole bytes.
 *
 * Shape     shape[n_dims]; without dimensions it is one element
 * Errors    MTH_ERR_OVERFLOW where a product, taken from the left, passes 64 bits; MTH_ERR_FORMAT where the
 * elements do not fill whole bytes
 */
int mth_shape_bytes(enum mth_dtype dtype, const uint64_t *shape, size_t n_dims, uint64_t *n_elems,
                    uint64_t *n_bytes);

/* Bytes of a tensor of a map. */
static inline uint64_t mth_tensor_bytes(const struct mth_tensor *tensor)
{
    unsigned bits = mth_dtype_info((enum mth_dtype)tensor->dtype)->bits;
    return tensor->n_elems / 8 * bits + tensor->n_elems % 8 * bits / 8;
}

/* What a tensor is for, going by PyTorch's names of optimizer states (exp_avg, exp_avg_sq, step) and its
 * dtype. */
enum mth_role mth_role_of(const char *name, enum mth_dtype dtype);

static inline const char *mth_tensor_name(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    return map->text + tensor->name;
}

static inline const uint64_t *mth_tensor_shape(const struct mth_region_map *map,
                                               const struct mth_tensor *tensor)
{
    return map->dims + tensor->shape;
}

/* The tensor of a name, NULL when there is none. Cost: linear. */
const struct mth_tensor *mth_region_map_find(const struct mth_region_map *map, const char *name);

/* Options of a reader. */
struct mth_format_options {
    enum mth_dtype raw_dtype; /* dtype of a raw file's elements; MTH_N_DTYPES: raw files are not taken */
};

struct mth_format {
    const char *name;
    const char *summary;
    /* Does the file look like this format, going by its name and first bytes? */
    int (*probe)(const struct mth_source *source, const uint8_t *head, size_t n_head);
    /* Fill an initialised map. Errors: MTH_ERR_FORMAT, MTH_ERR_TRUNCATED, ... with file, tensor and offset.
     */
    int (*map)(const struct mth_source *source, const struct mth_format_options *options,
               struct mth_region_map *map, struct mth_error *err);
};

/* The format at a position, NULL past the last. */
const struct mth_format *mth_format_at(size_t index);

/*
 * Recognise a file and map it. With options->raw_dtype set the file is raw, whatever it looks like.
 * On an error the map is freed. Errors: those of the format; MTH_ERR_FORMAT for a file that no format claims.
 */
int mth_format_map(const struct mth_source *source, const struct mth_format_options *options,
                   struct mth_memory *memory, struct mth_region_map *map, struct mth_error *err);

#ifdef __cplusplus
}
#endif
#endif
