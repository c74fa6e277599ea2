/* Reading tensors; see tensor_read.h. */
#include "formats/tensor_read.h"

#include "base/checked.h"

#include <string.h>

enum {
    LONG_RUN_BYTES = 1 << 12,   /* a run of this length is worth a read of its own */
    SMALL_SPAN_BYTES = 1 << 20, /* a range of this length is read whole, however little of it is wanted */
    SPARSE_FACTOR = 16          /* from here on a range is too empty to be read whole */
};

/* Where a walk over the elements of a strided tensor is. */
struct walk {
    const uint64_t *shape, *strides;
    size_t n_outer;     /* dimensions that are not part of a run */
    uint64_t run_elems; /* that lie side by side */
    uint64_t inside;    /* elements of the run that are done */
    size_t elem_bytes;
    uint64_t index[MTH_MAX_DIMS];
};

/* The last dimensions whose elements lie side by side, as one. */
static void find_runs(struct walk *walk, size_t n_dims)
{
    walk->run_elems = 1;
    walk->n_outer = n_dims;
    while (walk->n_outer > 0) {
        size_t d = walk->n_outer - 1;
        if (walk->shape[d] != 1 && walk->strides[d] != walk->run_elems)
            return;
        walk->run_elems *= walk->shape[d];
        walk->n_outer--;
    }
}

static void begin_walk(struct walk *walk, const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    *walk = (struct walk){.shape = mth_tensor_shape(map, tensor),
                          .strides = mth_tensor_strides(map, tensor),
                          .elem_bytes = mth_dtype_info((enum mth_dtype)tensor->dtype)->bits / 8};
    find_runs(walk, tensor->n_dims);
}

static void seek(struct walk *walk, uint64_t elem)
{
    walk->inside = elem % walk->run_elems;
    elem /= walk->run_elems;
    for (size_t d = walk->n_outer; d-- > 0;) {
        walk->index[d] = elem % walk->shape[d];
        elem /= walk->shape[d];
    }
}

/* Bytes from the tensor's first element to this one. */
static uint64_t place(const struct walk *walk)
{
    uint64_t at = walk->inside;
    for (size_t d = 0; d < walk->n_outer; d++)
        at += walk->index[d] * walk->strides[d];
    return at * walk->elem_bytes;
}

static void step(struct walk *walk, uint64_t n_elems)
{
    walk->inside += n_elems;
    if (walk->inside < walk->run_elems)
        return;
    walk->inside = 0;
    for (size_t d = walk->n_outer; d-- > 0;) {
        if (++walk->index[d] < walk->shape[d])
            return;
        walk->index[d] = 0;
    }
}

/* The bytes, from the tensor's first element, among which those of a range of elements lie. */
static void find_extent(const struct walk *begin, uint64_t first, uint64_t n_elems, uint64_t *from,
                        uint64_t *to)
{
    struct walk low = *begin, high = *begin;
    seek(&low, first);
    seek(&high, first + n_elems - 1);
    size_t same = 0;
    while (same < begin->n_outer && low.index[same] == high.index[same])
        same++;
    /* Behind the first dimension that differs, every index may occur. */
    for (size_t d = same + 1; d < begin->n_outer; d++) {
        low.index[d] = 0;
        high.index[d] = begin->shape[d] - 1;
    }
    if (same < begin->n_outer) {
        low.inside = 0;
        high.inside = begin->run_elems - 1;
    }
    *from = place(&low);
    *to = place(&high) + begin->elem_bytes;
}

/* Copies the runs of a range of elements out of bytes that begin at `from`, or reads each where bytes is NULL. */
static int take_runs(const struct mth_source *source, uint64_t tensor_offset, struct walk *walk,
                     uint64_t n_elems, const uint8_t *bytes, uint64_t from, uint8_t *dst,
                     struct mth_error *err)
{
    int status = MTH_OK;
    while (!status && n_elems > 0) {
        uint64_t left = walk->run_elems - walk->inside, n = left < n_elems ? left : n_elems;
        size_t n_bytes = (size_t)n * walk->elem_bytes;
        if (bytes)
            memcpy(dst, bytes + (place(walk) - from), n_bytes);
        else
            status = mth_source_read(source, tensor_offset + place(walk), dst, n_bytes, err);
        dst += n_bytes;
        n_elems -= n;
        step(walk, n);
    }
    return status;
}

static int read_strided(const struct mth_source *source, const struct mth_region_map *map,
                        const struct mth_tensor *tensor, uint64_t first, uint64_t n_elems, uint8_t *dst,
                        struct mth_error *err)
{
    struct walk walk;
    uint64_t from, to, offset = map->regions[tensor->region].offset + tensor->offset_bytes;
    size_t n_span;
    begin_walk(&walk, map, tensor);
    find_extent(&walk, first, n_elems, &from, &to);
    seek(&walk, first);
    bool is_sparse = to - from > SMALL_SPAN_BYTES && (to - from) / SPARSE_FACTOR > n_elems * walk.elem_bytes;
    if (walk.run_elems * walk.elem_bytes >= LONG_RUN_BYTES || is_sparse)
        return take_runs(source, offset, &walk, n_elems, NULL, 0, dst, err);
    uint8_t *bytes = mth_u64_to_size(to - from, &n_span) ? mth_memory_alloc(map->memory, n_span) : NULL;
    if (!bytes)
        return mth_error_set(err, MTH_ERR_NO_MEMORY,
                             "%s: no memory for the %llu bytes that tensor '%.100s' spans", source->name,
                             (unsigned long long)(to - from), mth_tensor_name(map, tensor));
    int status = mth_source_read(source, offset + from, bytes, n_span, err);
    if (!status)
        status = take_runs(source, offset, &walk, n_elems, bytes, from, dst, err);
    mth_memory_free(map->memory, bytes);
    return status;
}

static void swap_lanes(uint8_t *bytes, size_t n_bytes, size_t width)
{
    for (size_t at = 0; at + width <= n_bytes; at += width) {
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t low = bytes[at + i];
            bytes[at + i] = bytes[at + width - 1 - i];
            bytes[at + width - 1 - i] = low;
        }
    }
}

int mth_tensor_read(const struct mth_source *source, const struct mth_region_map *map,
                    const struct mth_tensor *tensor, uint64_t first_elem, uint64_t n_elems, void *dst,
                    struct mth_error *err)
{
    const struct mth_dtype_info *info = mth_dtype_info((enum mth_dtype)tensor->dtype);
    uint64_t begin, n_bytes;
    if (first_elem > tensor->n_elems || n_elems > tensor->n_elems - first_elem)
        return mth_error_set(err, MTH_ERR_USAGE, "tensor '%.100s' has %llu elements, not %llu from %llu on",
                             mth_tensor_name(map, tensor), (unsigned long long)tensor->n_elems,
                             (unsigned long long)n_elems, (unsigned long long)first_elem);
    if (info->bits < 8 && (first_elem * info->bits % 8 != 0 || n_elems * info->bits % 8 != 0))
        return mth_error_set(
            err, MTH_ERR_USAGE,
            "tensor '%.100s': its elements are packed, and the ones from %llu to %llu do not "
            "fill whole bytes",
            mth_tensor_name(map, tensor), (unsigned long long)first_elem,
            (unsigned long long)(first_elem + n_elems));
    if (n_elems == 0)
        return MTH_OK;
    const struct mth_region *region = &map->regions[tensor->region];
    /* The tensor's elements fit 64 bits of bytes; those of its sub-byte types, of bits eight times that. */
    begin = first_elem / 8 * info->bits + first_elem % 8 * info->bits / 8;
    n_bytes = n_elems / 8 * info->bits + n_elems % 8 * info->bits / 8;
    int status = tensor->flags & MTH_TENSOR_STRIDED
                     ? read_strided(source, map, tensor, first_elem, n_elems, dst, err)
                     : mth_source_read(source, region->offset + tensor->offset_bytes + begin, dst,
                                       (size_t)n_bytes, err);
    if (!status && (region->flags & MTH_REGION_BIG_ENDIAN))
        swap_lanes(dst, (size_t)n_bytes, info->lane_bits / 8);
    return status;
}

uint64_t mth_tensor_run_bytes(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    struct walk walk;
    if (!(tensor->flags & MTH_TENSOR_STRIDED))
        return mth_tensor_bytes(tensor);
    begin_walk(&walk, map, tensor);
    return walk.run_elems * walk.elem_bytes;
}
