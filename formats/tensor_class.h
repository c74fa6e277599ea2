/*
 * Classes of tensors: what a spec can tell apart beside dtypes, and what an exploration searches one by one. Read off role,
 * shape and name; a wrong guess costs bytes, nothing else.
 */
#ifndef MTH_FORMATS_TENSOR_CLASS_H
#define MTH_FORMATS_TENSOR_CLASS_H

#include "formats/region_map.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mth_tensor_class {
    MTH_CLASS_OTHER = 0, /* counters, masks, what is no tensor */
    MTH_CLASS_MATRIX,    /* weights of two dimensions or more */
    MTH_CLASS_VECTOR,    /* weights of one or none: norms, biases */
    MTH_CLASS_EMBEDDING, /* matrices that are looked up by row */
    MTH_CLASS_ADAM_M,
    MTH_CLASS_ADAM_V,
    MTH_CLASS_STEP,
    MTH_N_CLASSES
};

/* "matrix"; "" for a number that is none. */
const char *mth_tensor_class_name(enum mth_tensor_class class_);
/* The class of a name, MTH_N_CLASSES when there is none. */
enum mth_tensor_class mth_tensor_class_find(const char *name, size_t n_name);

enum mth_tensor_class mth_tensor_class_of(const struct mth_region_map *map, const struct mth_tensor *tensor);

/* For each region the class of the first tensor on it; MTH_CLASS_OTHER where there is none. NULL: no memory. */
uint8_t *mth_region_classes(const struct mth_region_map *map, struct mth_memory *memory);

#ifdef __cplusplus
}
#endif
#endif
