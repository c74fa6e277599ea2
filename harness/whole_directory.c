/* Directories that are coded as a whole; see whole_directory.h. */
#include "harness/whole_directory.h"

#include "formats/folder.h"
#include "harness/directory.h"
#include "harness/step_files.h"

#include <stdlib.h>
#include <string.h>

/* Of fewer nothing is found (pipeline/relations.h). */
enum { MIN_ELEMS = 64 };

/* What there is of a checkpoint in a file. */
struct holding {
    bool weights, states;
};

/* The entry of a folder that a byte lies in. */
static size_t entry_of(const struct mth_folder *folder, uint64_t offset)
{
    size_t low = 0, high = folder->n_entries;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (folder->entries[middle].begin <= offset)
            low = middle;
        else
            high = middle;
    }
    /* Empty ones begin where the next one does: the last of those is meant. */
    return low;
}

static void note_tensors(const struct mth_region_map *map, const struct mth_folder *folder,
                         struct holding *holdings)
{
    for (size_t i = 0; i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->region == MTH_NO_REGION || tensor->n_elems < MIN_ELEMS)
            continue;
        struct holding *holding = &holdings[entry_of(folder, map->regions[tensor->region].offset)];
        bool is_state = tensor->role == MTH_ROLE_ADAM_M || tensor->role == MTH_ROLE_ADAM_V ||
                        mth_tensor_param(map, tensor);
        holding->states |= is_state;
        holding->weights |= !is_state && tensor->role == MTH_ROLE_WEIGHT;
    }
    for (size_t i = 0; i < map->n_lone_states; i++) {
        for (uint32_t k = map->lone_states[i].first; k < map->lone_states[i].end; k++) {
            const struct mth_tensor *tensor = &map->tensors[k];
            if (tensor->region != MTH_NO_REGION && tensor->n_elems >= MIN_ELEMS)
                holdings[entry_of(folder, map->regions[tensor->region].offset)].states = true;
        }
    }
}

/* Has one file states, and another weights and none? */
static int look_at_files(const struct mth_opened *opened, bool *is_apart, struct mth_error *err)
{
    struct mth_folder folder;
    bool has_states = false, has_weights_alone = false;
    int status = mth_folder_read(&opened->source, opened->memory, &folder, err);
    if (status)
        return status;
    struct holding *holdings = mth_memory_calloc(opened->memory, folder.n_entries + 1, sizeof *holdings);
    if (holdings)
        note_tensors(&opened->map, &folder, holdings);
    else
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its files", opened->path);
    for (size_t i = 0; !status && i < folder.n_entries; i++) {
        has_states |= holdings[i].states;
        has_weights_alone |= holdings[i].weights && !holdings[i].states;
    }
    *is_apart = has_states && has_weights_alone;
    mth_memory_free(opened->memory, holdings);
    mth_folder_free(&folder);
    return status;
}

int mth_whole_open(struct mth_opened *opened, const char *path, struct mth_memory *memory, bool *is_whole,
                   struct mth_error *err)
{
    struct mth_error why = {0};
    bool may_be = false;
    *is_whole = false;
    *opened = (struct mth_opened){0};
    int status = mth_step_may_be_directory(path, &may_be, err);
    if (status || !may_be)
        return status;
    status = mth_opened_open_step(opened, path, memory, &why);
    if (!status)
        status = mth_opened_map(opened, MTH_N_DTYPES, &why);
    if (!status)
        status = look_at_files(opened, is_whole, &why);
    if (status || !*is_whole) {
        *is_whole = false;
        mth_opened_close(opened);
    }
    return status == MTH_ERR_NO_MEMORY ? mth_error_set(err, status, "%s", why.text) : MTH_OK;
}
