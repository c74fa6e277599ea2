/*
 * torch.distributed.checkpoint (DCP): what a .metadata file says of the .distcp files beside it.
 *
 * A checkpoint is a directory. Each .distcp file holds items one behind the other, every one a zip archive of torch.save:
 * a tensor, a chunk of a tensor that several ranks share, or any other object. .metadata is a pickle that says which item
 * of the state dict lies where. Nothing in it is called.
 */
#ifndef MTH_FORMATS_DCP_H
#define MTH_FORMATS_DCP_H

#include "formats/region_map.h"

#include <stdbool.h>

#define MTH_DCP_METADATA_NAME ".metadata"
#define MTH_DCP_SUFFIX        ".distcp"

enum { MTH_DCP_METADATA_MAX_BYTES = 1 << 30 };

struct mth_dcp_item {
    uint64_t offset, n_bytes; /* in its file */
    uint32_t name;            /* the fully qualified one, in the text */
    uint32_t file;
    uint32_t place;      /* first of n_dims numbers in dims: where in its tensor a chunk begins */
    uint8_t n_dims;      /* 0 also for a scalar, and for what is no tensor */
    bool is_tensor;      /* else any object, pickled */
    bool is_chunk;       /* one of several of its name */
    bool is_transformed; /* written through an extension: what lies there is for that to say */
};

struct mth_dcp_file {
    uint32_t name;       /* in the text */
    uint32_t first_item; /* its items lie one behind the other in the list */
    uint32_t n_items;
};

struct mth_dcp {
    struct mth_memory *memory;
    const char *name;           /* of .metadata, for messages; borrowed */
    uint64_t n_metadata_bytes;  /* of that file */
    struct mth_dcp_item *items; /* by file, then by offset */
    size_t n_items;
    struct mth_dcp_file *files; /* by name */
    size_t n_files;
    char *text;
    uint64_t *dims;
    size_t n_dims;
};

/*
 * Read a .metadata file.
 *
 * Errors    MTH_ERR_FORMAT (no pickle, not one of DCP, an item without name or place, a file that is no plain name),
 *           MTH_ERR_UNSUPPORTED for one of a storage other than PyTorch's file system, MTH_ERR_LIMIT, MTH_ERR_TRUNCATED,
 *           MTH_ERR_NO_MEMORY, those of reading; then there is nothing to free
 * Cost      one pass over the pickle and a sort; the pickle's description for as long as it takes, then 40 bytes, the name
 *           and the numbers an item
 * Source    PyTorch 1.13 to 2.13, torch/distributed/checkpoint/metadata.py and filesystem.py
 */
int mth_dcp_read(const struct mth_source *source, struct mth_memory *memory, struct mth_dcp *dcp,
                 struct mth_error *err);
void mth_dcp_free(struct mth_dcp *dcp);

/* A file by its name, NULL when nothing is said of it. */
const struct mth_dcp_file *mth_dcp_find(const struct mth_dcp *dcp, const char *name);

static inline const char *mth_dcp_file_name(const struct mth_dcp *dcp, size_t file)
{
    return dcp->text + dcp->files[file].name;
}

#endif
