/* What the calls in a pickle of PyTorch would make: which of them make tensors, and of what. */
#ifndef MTH_FORMATS_TORCH_TENSOR_H
#define MTH_FORMATS_TORCH_TENSOR_H

#include "formats/torch_storages.h"

enum mth_torch_call {
    MTH_TORCH_UNKNOWN,   /* anything else: what is in it is looked for in its arguments */
    MTH_TORCH_TENSOR,    /* (storage, offset, size, stride, ...) */
    MTH_TORCH_QUANTIZED, /* a tensor, and tensors in its fifth argument */
    MTH_TORCH_PARAMETER, /* (tensor, requires_grad, hooks[, attributes]) */
    MTH_TORCH_SPARSE,    /* (layout, parts) */
    MTH_TORCH_NESTED,    /* (buffer, sizes, strides, offsets) */
    MTH_TORCH_SUBCLASS,  /* (function, class, arguments, attributes) */
    MTH_TORCH_MAPPING    /* a dict of some class; Python 2 gave its entries as an argument, a list of pairs */
};

enum mth_torch_call mth_torch_call_of(const struct mth_pickle *pickle, uint32_t callable);

/* A tensor as the pickle has it; struct mth_tensor in the making. */
struct mth_torch_view {
    struct mth_torch_storage *storage;
    enum mth_dtype dtype;
    uint8_t flags; /* MTH_TENSOR_..., strided or not included */
    uint64_t offset_bytes, n_elems;
    size_t n_dims;
    uint64_t shape[MTH_MAX_DIMS], strides[MTH_MAX_DIMS]; /* of elements of dtype */
};

/*
 * Read the arguments of MTH_TORCH_TENSOR or MTH_TORCH_QUANTIZED.
 *
 * Shape     view->storage is NULL when the first argument is no storage that the pickle knows: then it is no tensor of ours
 * Errors    MTH_ERR_FORMAT with *why: it does not lie inside of its storage (whose n_bytes must be set), or the arguments
 *           are not what PyTorch writes
 * Source    PyTorch 2.13, torch/_utils.py
 */
int mth_torch_view_read(const struct mth_pickle *pickle, const struct mth_torch_storages *storages,
                        uint32_t callable, uint32_t args, struct mth_torch_view *view, const char **why);

/* All of a storage, as a tensor of one dimension. */
int mth_torch_view_whole(struct mth_torch_storage *storage, struct mth_torch_view *view, const char **why);

#endif
