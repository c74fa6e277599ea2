/* Reading the calls that make PyTorch's tensors; see torch_tensor.h. */
#include "formats/torch_tensor.h"

#include "base/checked.h"

#include <string.h>

/* Where the arguments lie in a call. */
enum {
    ARG_STORAGE,
    ARG_OFFSET,
    ARG_SIZE,
    ARG_STRIDE,
    ARG_METADATA_V2 = 6,
    ARG_DTYPE_V3 = 6,
    ARG_METADATA_V3 = 7
};

enum { METADATA_MAX_ENTRIES = 8 };

static const struct {
    const char *name;
    enum mth_torch_call call;
} calls[] = {
    {"torch._utils._rebuild_tensor_v2", MTH_TORCH_TENSOR},
    {"torch._utils._rebuild_tensor_v3", MTH_TORCH_TENSOR},
    {"torch._utils._rebuild_tensor", MTH_TORCH_TENSOR},
    {"torch._utils._rebuild_qtensor", MTH_TORCH_QUANTIZED},
    {"torch._utils._rebuild_parameter", MTH_TORCH_PARAMETER},
    {"torch._utils._rebuild_parameter_with_state", MTH_TORCH_PARAMETER},
    {"torch._utils._rebuild_device_tensor_from_cpu_tensor", MTH_TORCH_PARAMETER},
    {"torch._utils._rebuild_xla_tensor", MTH_TORCH_PARAMETER},
    {"torch._utils._rebuild_sparse_tensor", MTH_TORCH_SPARSE},
    {"torch._utils._rebuild_sparse_csr_tensor", MTH_TORCH_SPARSE},
    {"torch._utils._rebuild_nested_tensor", MTH_TORCH_NESTED},
    {"torch._tensor._rebuild_from_type", MTH_TORCH_SUBCLASS},
    {"torch._tensor._rebuild_from_type_v2", MTH_TORCH_SUBCLASS},
    {"torch.tensor._rebuild_from_type", MTH_TORCH_SUBCLASS},
    {"collections.OrderedDict", MTH_TORCH_MAPPING},
    {"collections.defaultdict", MTH_TORCH_MAPPING},
};

enum mth_torch_call mth_torch_call_of(const struct mth_pickle *pickle, uint32_t callable)
{
    size_t n_text = 0;
    const char *text = mth_pickle_kind(pickle, callable) == MTH_PICKLE_GLOBAL
                           ? mth_pickle_text(pickle, callable, &n_text)
                           : NULL;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0] && text; i++) {
        if (strcmp(calls[i].name, text) == 0)
            return calls[i].call;
    }
    return MTH_TORCH_UNKNOWN;
}

/* ---- numbers ---- */

static int refuse(const char **why, const char *what)
{
    *why = what;
    return MTH_ERR_FORMAT;
}

/* A tuple or list of sizes, or a torch.Size that was made of one. */
static int read_numbers(const struct mth_pickle *pickle, uint32_t ref, uint64_t values[MTH_MAX_DIMS],
                        size_t *n_values, const char **why)
{
    struct mth_pickle_object object;
    struct mth_pickle_cursor cursor;
    uint32_t key, item;
    if (mth_pickle_object(pickle, ref, &object) && mth_pickle_text_is(pickle, object.callable, "torch.Size"))
        ref = mth_pickle_item(pickle, object.args, 0);
    enum mth_pickle_kind kind = mth_pickle_kind(pickle, ref);
    if (kind != MTH_PICKLE_TUPLE && kind != MTH_PICKLE_LIST)
        return refuse(why, "its sizes or strides are no tuple");
    *n_values = 0;
    mth_pickle_begin(pickle, ref, &cursor);
    while (mth_pickle_next(&cursor, &key, &item)) {
        if (*n_values == MTH_MAX_DIMS)
            return refuse(why, "it has more than 64 dimensions");
        if (!mth_pickle_u64(pickle, item, &values[(*n_values)++]))
            return refuse(why, "one of its sizes or strides is no number");
    }
    return MTH_OK;
}

static bool is_row_major(const struct mth_torch_view *view)
{
    uint64_t step = 1;
    for (size_t i = view->n_dims; i-- > 0;) {
        if (view->shape[i] != 1 && view->strides[i] != step)
            return false;
        /* The product of all sizes was seen to fit. */
        step *= view->shape[i];
    }
    return true;
}

/* From elements of PyTorch's type to parts of it: one dimension more, or twice the last one. */
static int split_parts(struct mth_torch_view *view, const struct mth_torch_type *type, const char **why)
{
    view->dtype = type->dtype;
    if (type->n_parts == 1)
        return MTH_OK;
    if (mth_dtype_info(type->dtype)->bits < 8) {
        /* Elements below a byte have no strides: such a view stays one of bytes. */
        bool is_split =
            view->n_dims > 0 && is_row_major(view) &&
            mth_u64_mul(view->shape[view->n_dims - 1], type->n_parts, &view->shape[view->n_dims - 1]);
        for (size_t i = 0; i < view->n_dims && is_split; i++)
            view->strides[i] = i + 1 < view->n_dims ? view->strides[i] * type->n_parts : 1;
        if (!is_split)
            view->dtype = MTH_DTYPE_U8;
        return MTH_OK;
    }
    if (view->n_dims == MTH_MAX_DIMS)
        return refuse(why, "it has more than 64 dimensions");
    for (size_t i = 0; i < view->n_dims; i++) {
        if (!mth_u64_mul(view->strides[i], type->n_parts, &view->strides[i]))
            return refuse(why, "one of its strides passes 64 bits");
    }
    view->shape[view->n_dims] = type->n_parts;
    view->strides[view->n_dims++] = 1;
    return MTH_OK;
}

/* The last checks of a view whose storage, offset, shape and strides are there. */
static int finish(struct mth_torch_view *view, const struct mth_torch_type *type, const char **why)
{
    uint64_t n_bytes, end;
    if (mth_shape_bytes(MTH_DTYPE_U8, view->shape, view->n_dims, &view->n_elems, &n_bytes) != MTH_OK)
        return refuse(why, "the product of its sizes passes 64 bits");
    int status = split_parts(view, type, why);
    if (status)
        return status;
    if (mth_shape_bytes(view->dtype, view->shape, view->n_dims, &view->n_elems, &n_bytes) != MTH_OK)
        return refuse(why, "its size passes 64 bits");
    if (view->n_elems == 0)
        return MTH_OK;
    if (!is_row_major(view)) {
        view->flags |= MTH_TENSOR_STRIDED;
        if (mth_view_span_bytes(view->dtype, view->shape, view->strides, view->n_dims, &n_bytes) != MTH_OK)
            return refuse(why, "its span passes 64 bits");
    }
    if (!mth_u64_add(view->offset_bytes, n_bytes, &end) || end > view->storage->n_bytes)
        return refuse(why, "it ends behind its storage");
    return MTH_OK;
}

/* Bits that PyTorch keeps beside a tensor, as a dict of names and bools. */
static uint8_t read_metadata(const struct mth_pickle *pickle, uint32_t ref)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, value;
    uint8_t flags = 0;
    /* It has two entries at most; a large one would be looked through for each tensor. */
    if (mth_pickle_length(pickle, ref) > METADATA_MAX_ENTRIES)
        return 0;
    mth_pickle_begin(pickle, ref, &cursor);
    while (cursor.has_entries && mth_pickle_next(&cursor, &key, &value)) {
        int64_t is_set;
        if (!mth_pickle_int(pickle, value, &is_set) || !is_set)
            continue;
        if (mth_pickle_text_is(pickle, key, "conj"))
            flags |= MTH_TENSOR_CONJUGATED;
        if (mth_pickle_text_is(pickle, key, "neg"))
            flags |= MTH_TENSOR_NEGATED;
    }
    return flags;
}

int mth_torch_view_read(const struct mth_pickle *pickle, const struct mth_torch_storages *storages,
                        uint32_t callable, uint32_t args, struct mth_torch_view *view, const char **why)
{
    uint64_t view_bytes, offset;
    size_t n_strides;
    *why = "";
    view->flags = 0;
    view->storage =
        mth_torch_storages_find(storages, pickle, mth_pickle_item(pickle, args, ARG_STORAGE), &view_bytes);
    if (!view->storage)
        return MTH_OK;
    const struct mth_torch_type *type = view->storage->type;
    uint32_t metadata = MTH_PICKLE_REF_NONE;
    if (mth_pickle_text_is(pickle, callable, "torch._utils._rebuild_tensor_v3")) {
        type = mth_torch_type_of_dtype(pickle, mth_pickle_item(pickle, args, ARG_DTYPE_V3));
        metadata = mth_pickle_item(pickle, args, ARG_METADATA_V3);
        if (!type)
            return refuse(why, "it is of a dtype that mithril does not know");
    } else if (mth_pickle_text_is(pickle, callable, "torch._utils._rebuild_tensor_v2")) {
        metadata = mth_pickle_item(pickle, args, ARG_METADATA_V2);
    }
    view->flags = read_metadata(pickle, metadata);
    int status =
        read_numbers(pickle, mth_pickle_item(pickle, args, ARG_SIZE), view->shape, &view->n_dims, why);
    if (!status)
        status =
            read_numbers(pickle, mth_pickle_item(pickle, args, ARG_STRIDE), view->strides, &n_strides, why);
    if (status)
        return status;
    if (n_strides != view->n_dims)
        return refuse(why, "it has not as many strides as dimensions");
    if (!mth_pickle_u64(pickle, mth_pickle_item(pickle, args, ARG_OFFSET), &offset) ||
        !mth_u64_mul(offset, type->n_bytes, &view->offset_bytes) ||
        !mth_u64_add(view->offset_bytes, view_bytes, &view->offset_bytes))
        return refuse(why, "its offset is no number");
    return finish(view, type, why);
}

int mth_torch_view_whole(struct mth_torch_storage *storage, struct mth_torch_view *view, const char **why)
{
    view->storage = storage;
    view->flags = 0;
    view->offset_bytes = 0;
    view->n_dims = 1;
    view->shape[0] = storage->n_elems;
    view->strides[0] = 1;
    return finish(view, storage->type, why);
}
