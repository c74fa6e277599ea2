/* How the rows of tensors run through chunks; see bundle.h. Hints for encoders: a wrong one costs bytes, nothing else. */
#include "pipeline/bundle.h"

#include "base/checked.h"

#include <string.h>

enum {
    MIN_ROW_ELEMS = 32,        /* shorter ones are taken together: the kernel of a convolution is no row */
    MIN_TENSOR_BYTES = 1 << 9, /* below that rows are not worth their note */
};

/* Lanes in a row of a tensor, 0 where it has less than two rows. */
static uint32_t row_lanes(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    const struct mth_dtype_info *info = mth_dtype_info((enum mth_dtype)tensor->dtype);
    const uint64_t *shape = mth_tensor_shape(map, tensor), *strides = mth_tensor_strides(map, tensor);
    uint64_t row = 1, n_bytes;
    size_t dim = tensor->n_dims;
    if (strides) {
        /* Of a transposed matrix a row is what lies between two elements of the dimension that is not contiguous. */
        for (size_t i = 0; i < tensor->n_dims; i++) {
            if (shape[i] > 1 && strides[i] > 1 && (row == 1 || strides[i] < row))
                row = strides[i];
        }
    }
    while (!strides && dim > 0 && row < MIN_ROW_ELEMS) {
        if (!mth_u64_mul(row, shape[--dim], &row))
            return 0;
    }
    if (!mth_u64_mul(row, info->bits, &n_bytes) || n_bytes / info->lane_bits > UINT32_MAX)
        return 0;
    n_bytes /= 8;
    if (n_bytes == 0 || map->regions[tensor->region].n_bytes < MIN_TENSOR_BYTES ||
        map->regions[tensor->region].n_bytes / n_bytes < 2)
        return 0;
    return (uint32_t)(n_bytes * 8 / info->lane_bits);
}

uint32_t *mth_region_rows(const struct mth_region_map *map, struct mth_memory *memory)
{
    uint32_t *rows = mth_memory_calloc(memory, map->n_regions, sizeof *rows);
    for (size_t i = 0; rows && i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->region == MTH_NO_REGION || rows[tensor->region] || tensor->offset_bytes > 0 ||
            mth_dtype_lane_bytes((enum mth_dtype)tensor->dtype) !=
                mth_dtype_lane_bytes(map->regions[tensor->region].dtype))
            continue;
        rows[tensor->region] = row_lanes(map, tensor);
    }
    return rows;
}

/* Does a name hold what tables are called? */
static bool names_a_table(const char *name)
{
    static const char *const words[] = {"emb", "wte", "wpe", "lookup"};
    for (; *name; name++) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            size_t n = 0;
            while (words[i][n] && (name[n] | 0x20) == words[i][n])
                n++;
            if (!words[i][n])
                return true;
        }
    }
    return false;
}

static bool is_table(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    enum { ROWS_A_COLUMN = 8 };
    const uint64_t *shape = mth_tensor_shape(map, tensor);
    bool is_state = tensor->role == MTH_ROLE_ADAM_M || tensor->role == MTH_ROLE_ADAM_V;
    if (tensor->dtype != MTH_DTYPE_F32 || tensor->n_dims != 2 || is_state ||
        mth_tensor_strides(map, tensor) || shape[1] == 0 || shape[1] > UINT32_MAX)
        return false;
    return names_a_table(mth_tensor_name(map, tensor)) || shape[0] / shape[1] >= ROWS_A_COLUMN;
}

uint32_t *mth_table_rows(const struct mth_region_map *map, struct mth_memory *memory)
{
    uint32_t *rows = mth_memory_calloc(memory, map->n_regions, sizeof *rows);
    for (size_t i = 0; rows && i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->region != MTH_NO_REGION && tensor->offset_bytes == 0 &&
            map->regions[tensor->region].dtype == MTH_DTYPE_F32 && is_table(map, tensor))
            rows[tensor->region] = (uint32_t)mth_tensor_shape(map, tensor)[1];
    }
    return rows;
}

int mth_bundle_add_piece(struct mth_bundle *bundle, size_t chunk, const struct mth_region *region,
                         uint64_t done, size_t n_bytes, uint32_t row_elems)
{
    struct mth_bundle_piece *last = bundle->n_pieces ? &bundle->pieces[bundle->n_pieces - 1] : NULL;
    uint64_t lane = done / mth_dtype_lane_bytes(region->dtype);
    if (row_elems == 0 && last && last->chunk == chunk && last->row_elems == 0) {
        last->n_bytes += (uint32_t)n_bytes;
        return MTH_OK;
    }
    int status = mth_array_reserve(bundle->memory, &bundle->pieces, &bundle->pieces_capacity,
                                   bundle->n_pieces + 1, sizeof *bundle->pieces);
    if (status)
        return status;
    bundle->pieces[bundle->n_pieces++] =
        (struct mth_bundle_piece){.chunk = (uint32_t)chunk,
                                  .n_bytes = (uint32_t)n_bytes,
                                  .row_elems = row_elems,
                                  .phase = row_elems ? (uint32_t)(lane % row_elems) : 0};
    return MTH_OK;
}

int mth_bundle_set_spans(const struct mth_bundle *bundle, size_t chunk, struct mth_coder_worker *worker)
{
    size_t lane_bytes = mth_dtype_lane_bytes(bundle->chunks[chunk].dtype);
    worker->chunk.n_spans = 0;
    for (size_t i = 0; i < bundle->n_pieces; i++) {
        const struct mth_bundle_piece *piece = &bundle->pieces[i];
        if (piece->chunk != chunk)
            continue;
        /* What is no whole number of elements throws those behind it out of step: then nothing is known. */
        if (piece->n_bytes % lane_bytes) {
            worker->chunk.n_spans = 0;
            return MTH_OK;
        }
        int status = mth_array_reserve(worker->chunk.memory, &worker->spans, &worker->spans_capacity,
                                       worker->chunk.n_spans + 1, sizeof *worker->spans);
        if (status)
            return status;
        worker->chunk.spans = worker->spans;
        worker->spans[worker->chunk.n_spans++] = (struct mth_row_span){
            .n_elems = piece->n_bytes / lane_bytes, .row_elems = piece->row_elems, .phase = piece->phase};
    }
    return MTH_OK;
}
