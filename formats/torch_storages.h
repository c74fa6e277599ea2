/*
 * The storages that a pickle of PyTorch refers to, and the element types that PyTorch has.
 *
 * A storage is what a tensor is a view on. The pickle names it by a persistent id, ('storage', class, key, location, number
 * of elements); where its bytes lie is for the format to say.
 */
#ifndef MTH_FORMATS_TORCH_STORAGES_H
#define MTH_FORMATS_TORCH_STORAGES_H

#include "formats/pickle.h"
#include "formats/region_map.h"

/* Keys are numbers in decimal; what has a longer one is no storage. */
enum { MTH_TORCH_KEY_MAX_BYTES = 128 };

/* An element type of PyTorch. One that has no dtype of ours is several elements of one that we have (complex128: two
 * F64, as torch.view_as_real gives them), or bytes. */
struct mth_torch_type {
    const char *name;    /* of torch.<name> */
    const char *storage; /* class of its storages, NULL where it never had one */
    enum mth_dtype dtype;
    uint8_t n_bytes; /* of one element of PyTorch's */
    uint8_t n_parts; /* elements of dtype in it */
};

/* The type of a storage class ("torch.FloatStorage"), or of a dtype ("torch.bfloat16"); NULL for what is none. */
const struct mth_torch_type *mth_torch_type_of_class(const struct mth_pickle *pickle, uint32_t ref);
const struct mth_torch_type *mth_torch_type_of_dtype(const struct mth_pickle *pickle, uint32_t ref);

struct mth_torch_storage {
    const char *key;                   /* in the pickle it was found in */
    const struct mth_torch_type *type; /* of its class, which may be bytes */
    uint64_t n_elems;                  /* of this type */
    uint64_t offset;                   /* in the file; set by the format, as is n_bytes */
    uint64_t n_bytes;
    uint32_t region; /* set by mth_torch_storages_place */
    uint8_t dtype;   /* that all tensors seen so far have; MTH_DTYPE_OPAQUE before the first */
    bool is_mixed;   /* its tensors have several dtypes */
};

struct mth_torch_storages {
    struct mth_memory *memory;
    struct mth_torch_storage *items;
    size_t n, capacity;
    size_t first;    /* of the pickle at hand: earlier ones came from other pickles, with keys of their own */
    uint32_t *slots; /* of a hash table of the keys from first on: number + 1, 0 for free */
    size_t n_slots;
    uint64_t seed;
};

void mth_torch_storages_init(struct mth_torch_storages *storages, struct mth_memory *memory);
void mth_torch_storages_free(struct mth_torch_storages *storages);

/*
 * Add the storages of a pickle, in the order of their first persistent id. The pickle must outlive their use.
 * Errors: MTH_ERR_NO_MEMORY, MTH_ERR_OVERFLOW.
 */
int mth_torch_storages_collect(struct mth_torch_storages *storages, const struct mth_pickle *pickle);

/*
 * The storage of a persistent id, and where in it (in bytes) a view begins that the id describes, as those of the time
 * before PyTorch 1.6 do.
 *
 * Shape     NULL for what is no storage of the pickle at hand
 * Cost      a hash of the key
 */
struct mth_torch_storage *mth_torch_storages_find(const struct mth_torch_storages *storages,
                                                  const struct mth_pickle *pickle, uint32_t persistent,
                                                  uint64_t *view_bytes);

/* A storage of the pickle at hand by its key, NULL when there is none. */
struct mth_torch_storage *mth_torch_storages_find_key(const struct mth_torch_storages *storages,
                                                      const char *key, size_t n_key);

/*
 * Make regions of all storages, with opaque ones between them, and turn the storage number that each tensor of the map
 * has as its region into the region's.
 *
 * Requires  offset and n_bytes of each storage lie inside of the file, tensors inside of their storages
 * Errors    MTH_ERR_FORMAT where storages overlap, MTH_ERR_LIMIT, MTH_ERR_NO_MEMORY
 */
int mth_torch_storages_place(struct mth_torch_storages *storages, const struct mth_source *source,
                             struct mth_region_map *map, uint32_t region_flags, struct mth_error *err);

#endif
