/* The tensors of an optimizer's state; see optimizer_state.h. */
#include "formats/optimizer_state.h"

#include "base/checked.h"

#include <string.h>

static const struct {
    const char *name;
    enum mth_kept kept;
} names[] = {
    {"exp_avg", MTH_KEPT_M},    {"grad_avg", MTH_KEPT_M},
    {"exp_avg_sq", MTH_KEPT_V}, {"square_avg", MTH_KEPT_V},
    {"sum", MTH_KEPT_V},        {"max_exp_avg_sq", MTH_KEPT_MAX},
    {"step", MTH_KEPT_STEP},    {"momentum_buffer", MTH_KEPT_MOMENTUM},
};

static enum mth_kept kept_of_part(const char *part, size_t n_part)
{
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (strlen(names[k].name) == n_part && memcmp(names[k].name, part, n_part) == 0)
            return names[k].kept;
    }
    return MTH_N_KEPT;
}

const char *mth_optimizer_behind_state(const char *name)
{
    static const char state[] = "state.";
    enum { N_STATE = sizeof state - 1 };
    if (strncmp(name, state, N_STATE) == 0)
        return name + N_STATE;
    const char *found = strstr(name, ".state.");
    return found ? found + 1 + N_STATE : NULL;
}

enum mth_kept mth_kept_of(const char *name)
{
    const char *place = strrchr(name, '@'), *end = place ? place : name + strlen(name), *last = end;
    while (last > name && last[-1] != '.')
        last--;
    enum mth_kept kept = kept_of_part(last, (size_t)(end - last));
    return kept == MTH_N_KEPT ? mth_kept_before(name) : kept;
}

enum mth_kept mth_kept_before(const char *name)
{
    const char *state = mth_optimizer_behind_state(name), *dot = state ? strchr(state, '.') : NULL;
    return dot ? kept_of_part(state, (size_t)(dot - state)) : MTH_N_KEPT;
}

struct mth_kept_tensors *mth_optimizer_list_kept(const struct mth_region_map *map, struct mth_memory *memory)
{
    struct mth_kept_tensors *kept = mth_memory_alloc(memory, (map->n_tensors + 1) * sizeof *kept);
    if (!kept)
        return NULL;
    memset(kept, 0xff, (map->n_tensors + 1) * sizeof *kept);
    for (size_t i = 0; i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i], *param = mth_tensor_param(map, tensor);
        if (!param)
            continue;
        enum mth_kept is = mth_kept_of(mth_tensor_name(map, tensor));
        if (is == MTH_N_KEPT)
            continue;
        kept[param - map->tensors].tensors[is] = (uint32_t)i;
        kept[param - map->tensors].tensors[MTH_KEPT_W] = (uint32_t)(param - map->tensors);
    }
    return kept;
}

int mth_optimizer_read_step(const struct mth_source *source, const struct mth_tensor *tensor, uint64_t offset,
                            double *step, struct mth_error *err)
{
    uint8_t bytes[8];
    size_t width = mth_dtype_lane_bytes((enum mth_dtype)tensor->dtype);
    *step = -1;
    if (tensor->n_elems != 1 || (tensor->dtype != MTH_DTYPE_F32 && tensor->dtype != MTH_DTYPE_I64))
        return MTH_OK;
    int status = mth_source_read(source, offset, bytes, width, err);
    if (status)
        return status;
    if (width == 8) {
        *step = (double)(int64_t)mth_load64(bytes);
    } else {
        uint32_t bits = mth_load32(bytes);
        float value;
        memcpy(&value, &bits, sizeof value);
        *step = (double)value;
    }
    return MTH_OK;
}
