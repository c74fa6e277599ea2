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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As many as PyTorch and NumPy allow. */
enum { MTH_MAX_DIMS = 64 };

enum {
    MTH_REGION_BIG_ENDIAN = 1 /* its elements are stored with the high byte first */
};

/* Ranges in file order, without gap or overlap, none empty. */
struct mth_region {
    uint64_t offset;
    uint64_t n_bytes;
    enum mth_dtype dtype; /* MTH_DTYPE_OPAQUE for what is no tensor */
    uint32_t flags;       /* MTH_REGION_... */
};

enum mth_role { MTH_ROLE_OTHER = 0, MTH_ROLE_WEIGHT, MTH_ROLE_ADAM_M, MTH_ROLE_ADAM_V, MTH_ROLE_STEP };

enum { MTH_NO_REGION = UINT32_MAX, MTH_NO_TENSOR = UINT32_MAX };

enum {
    MTH_TENSOR_STRIDED = 1,    /* not contiguous and row-major: it has strides; see mth_tensor_strides */
    MTH_TENSOR_CONJUGATED = 2, /* what is stored is the conjugate of its value */
    MTH_TENSOR_NEGATED = 4     /* what is stored is the negative of its value */
};

/* A named tensor: a view on one region, contiguous and row-major unless it is flagged. Views may overlap. */
struct mth_tensor {
    uint32_t name;         /* in the map's text pool; see mth_tensor_name */
    uint32_t region;       /* MTH_NO_REGION for a tensor without bytes */
    uint64_t offset_bytes; /* in the region */
    uint64_t n_elems;
    uint32_t
        shape; /* first of n_dims entries in the map's dims pool; as many strides follow if it has them */
    uint8_t n_dims;
    uint8_t flags; /* MTH_TENSOR_... */
    uint8_t dtype; /* enum mth_dtype */
    uint8_t role;  /* enum mth_role */
};

/* Four bytes of an opaque region that follow from others: the CRC-32 of a region, little-endian, as zip files keep it.
 * The file says so; nobody has compared them. */
struct mth_derived {
    uint64_t offset; /* in the file */
    uint32_t region;
};

enum mth_optimizer_kind {
    MTH_OPTIMIZER_OTHER,
    MTH_OPTIMIZER_ADAM, /* and AdamW */
    MTH_OPTIMIZER_SGD,  /* with momentum */
    MTH_OPTIMIZER_ADAGRAD,
    MTH_OPTIMIZER_RMSPROP
};

/* What a group of an optimizer's parameters says, of its last step or of the next one: schedulers set rates ahead. What its kind
 * does not have is 0. */
struct mth_optimizer_group {
    enum mth_optimizer_kind kind; /* by the names that it has */
    double lr, weight_decay;
    double beta1, beta2, eps;   /* eps: of all but SGD */
    double momentum, dampening; /* of SGD; RMSprop has a momentum */
    double alpha;               /* of RMSprop: what stays of its average */
    double lr_decay;            /* of Adagrad */
    double step;                /* 0: it stands in the state of each parameter, or nowhere */
    bool is_nesterov;
};

/* What an optimizer keeps of one parameter, tensors first .. end - 1, where its file does not tell which tensor that is. */
struct mth_lone_state {
    uint32_t first, end;
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
    struct mth_derived *derived;
    size_t n_derived;
    uint32_t
        *params; /* for each tensor the parameter it is an optimizer's state of; NULL when none is known */
    size_t n_params;
    struct mth_optimizer_group *groups;
    size_t n_groups;
    uint32_t
        *group_of; /* for each of the first tensors the group of its parameter; NULL when none is known */
    size_t n_grouped;
    struct mth_lone_state *lone_states; /* in the order in which an optimizer lists its parameters */
    size_t n_lone_states;
    /* Capacities of the arrays above, for the builders. */
    size_t regions_capacity, tensors_capacity, text_capacity, dims_capacity, derived_capacity,
        params_capacity, lone_states_capacity;
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
/* As above for a tensor that may have strides, in elements; NULL for one that is contiguous. The flag follows. */
int mth_region_map_add_view(struct mth_region_map *map, const char *name, size_t n_name,
                            const uint64_t *shape, const uint64_t *strides, size_t n_dims,
                            const struct mth_tensor *tensor);
/* Put n_suffix bytes behind the name of a tensor. */
int mth_region_map_rename(struct mth_region_map *map, size_t tensor, const char *suffix, size_t n_suffix);
int mth_region_map_add_derived(struct mth_region_map *map, uint64_t offset, uint32_t region);
int mth_region_map_add_lone_state(struct mth_region_map *map, struct mth_lone_state state);

/*
 * Add the map of a part of the file, which begins at offset: its regions are shifted, its tensors come behind those
 * that are there, and keep their names, also where one is there already.
 *
 * Requires  a sound part; the regions of map end where it begins
 * Errors    MTH_ERR_NO_MEMORY, MTH_ERR_LIMIT, MTH_ERR_OVERFLOW; the map can then only be freed
 */
int mth_region_map_append(struct mth_region_map *map, const struct mth_region_map *part, uint64_t offset);

/*
 * Checks what this header promises: regions tile [0, n_bytes), tensors have a name, a shape and a dtype and
 * lie inside their regions, derived bytes lie in opaque ones, lone states have tensors. Errors: MTH_ERR_INTERNAL. Cost: linear, and a binary
 * search for each derived field.
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

/*
 * Bytes from the first element of a view to behind its last.
 *
 * Shape     shape and strides (in elements) of n_dims each; a dtype whose elements fill whole bytes
 * Errors    MTH_ERR_OVERFLOW; MTH_ERR_FORMAT for elements below a byte
 */
int mth_view_span_bytes(enum mth_dtype dtype, const uint64_t *shape, const uint64_t *strides, size_t n_dims,
                        uint64_t *n_bytes);

/* Bytes that a tensor's elements take when they are laid out one behind the other. */
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
    /* Of a map of scalars alone there is no pool. */
    return map->dims ? map->dims + tensor->shape : NULL;
}

/* Strides in elements, NULL for a tensor that is contiguous and row-major. */
static inline const uint64_t *mth_tensor_strides(const struct mth_region_map *map,
                                                 const struct mth_tensor *tensor)
{
    return tensor->flags & MTH_TENSOR_STRIDED ? map->dims + tensor->shape + tensor->n_dims : NULL;
}

/* Bytes of a tensor's region from its first element to behind its last: mth_tensor_bytes of a contiguous one, more
 * or (where elements overlap) fewer of a strided one. */
uint64_t mth_tensor_span_bytes(const struct mth_region_map *map, const struct mth_tensor *tensor);

/* The parameter that a tensor of an optimizer's state belongs to, NULL where the file does not tell. */
static inline const struct mth_tensor *mth_tensor_param(const struct mth_region_map *map,
                                                        const struct mth_tensor *tensor)
{
    size_t index = (size_t)(tensor - map->tensors);
    uint32_t param = index < map->n_params ? map->params[index] : (uint32_t)MTH_NO_TENSOR;
    return param == MTH_NO_TENSOR ? NULL : &map->tensors[param];
}

/* The group of the parameter that a tensor of an optimizer's state belongs to, NULL where the file does not tell. */
static inline const struct mth_optimizer_group *mth_tensor_group(const struct mth_region_map *map,
                                                                 const struct mth_tensor *tensor)
{
    size_t index = (size_t)(tensor - map->tensors);
    return index < map->n_grouped && map->group_of[index] < map->n_groups ? &map->groups[map->group_of[index]]
                                                                          : NULL;
}

/* The region that holds a byte of the file, NULL behind its end. Cost: a binary search. */
const struct mth_region *mth_region_map_region_at(const struct mth_region_map *map, uint64_t offset);

/* The tensor of a name, NULL when there is none. Cost: linear. */
const struct mth_tensor *mth_region_map_find(const struct mth_region_map *map, const char *name);

struct mth_dcp;

/* Options of a reader. */
struct mth_format_options {
    enum mth_dtype raw_dtype;  /* dtype of a raw file's elements; MTH_N_DTYPES: raw files are not taken */
    const char *name;          /* of the file in its directory; NULL: as the source's ends */
    const struct mth_dcp *dcp; /* what the metadata beside it says of a .distcp file; NULL: there is none */
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

/* Is it the content of a file that was not understood, not its place that failed? */
bool mth_format_is_of_content(int status);

#ifdef __cplusplus
}
#endif
#endif
