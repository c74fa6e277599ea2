/* Classes of tensors; see tensor_class.h. */
#include "formats/tensor_class.h"

#include <string.h>

static const char *const names[MTH_N_CLASSES] = {
    [MTH_CLASS_OTHER] = "other",   [MTH_CLASS_MATRIX] = "matrix",
    [MTH_CLASS_VECTOR] = "vector", [MTH_CLASS_EMBEDDING] = "embedding",
    [MTH_CLASS_ADAM_M] = "adam_m", [MTH_CLASS_ADAM_V] = "adam_v",
    [MTH_CLASS_STEP] = "step"};

const char *mth_tensor_class_name(enum mth_tensor_class class_)
{
    return class_ < MTH_N_CLASSES ? names[class_] : "";
}

enum mth_tensor_class mth_tensor_class_find(const char *name, size_t n_name)
{
    for (size_t i = 0; i < MTH_N_CLASSES; i++) {
        if (strlen(names[i]) == n_name && memcmp(names[i], name, n_name) == 0)
            return (enum mth_tensor_class)i;
    }
    return MTH_N_CLASSES;
}

/* As the common libraries name them: embed_tokens, word_embeddings, tok_embed; wte and wpe of GPT-2. */
static bool names_embedding(const char *name)
{
    if (strstr(name, "embed"))
        return true;
    for (const char *part = name; part; part = strchr(part, '.') ? strchr(part, '.') + 1 : NULL) {
        size_t n = strcspn(part, ".");
        if (n == 3 && (memcmp(part, "wte", 3) == 0 || memcmp(part, "wpe", 3) == 0))
            return true;
    }
    return false;
}

enum mth_tensor_class mth_tensor_class_of(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    switch (tensor->role) {
    case MTH_ROLE_ADAM_M:
        return MTH_CLASS_ADAM_M;
    case MTH_ROLE_ADAM_V:
        return MTH_CLASS_ADAM_V;
    case MTH_ROLE_STEP:
        return MTH_CLASS_STEP;
    case MTH_ROLE_WEIGHT:
        if (tensor->n_dims < 2)
            return MTH_CLASS_VECTOR;
        return names_embedding(mth_tensor_name(map, tensor)) ? MTH_CLASS_EMBEDDING : MTH_CLASS_MATRIX;
    default:
        return MTH_CLASS_OTHER;
    }
}

uint8_t *mth_region_classes(const struct mth_region_map *map, struct mth_memory *memory)
{
    uint8_t *classes = mth_memory_calloc(memory, map->n_regions + 1, sizeof *classes);
    /* From the last to the first, so that the first on a region stays. */
    for (size_t i = map->n_tensors; classes && i-- > 0;) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->region != MTH_NO_REGION)
            classes[tensor->region] = (uint8_t)mth_tensor_class_of(map, tensor);
    }
    return classes;
}
