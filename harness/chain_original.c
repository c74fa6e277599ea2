/* Originals of steps at hand; see chain_original.h. */
#include "harness/chain_original.h"

#include "harness/directory.h"
#include "harness/file_digest.h"
#include "harness/folder_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_original(struct mth_chain_original *original)
{
    if (!original->is_there)
        return;
    mth_opened_close(&original->opened);
    if (original->has_scratch)
        mth_scratch_close(&original->scratch);
    free(original->path);
    *original = (struct mth_chain_original){0};
}

struct mth_chain_original *mth_chain_pair_input(struct mth_chain_pair *pair)
{
    return &pair->slots[1 - pair->base];
}

const struct mth_chain_original *mth_chain_pair_base(const struct mth_chain_pair *pair)
{
    return &pair->slots[pair->base];
}

void mth_chain_pair_close(struct mth_chain_pair *pair)
{
    close_original(&pair->slots[0]);
    close_original(&pair->slots[1]);
}

/* Is a step one of those that another is restored through? */
static bool is_below(const struct mth_chain *chain, size_t index, uint64_t number)
{
    const struct mth_chain_step *step = &chain->steps[index];
    while (step->number > number && step->has_base)
        step = &chain->steps[mth_chain_find(chain, step->base)];
    return step->number == number;
}

/* Of the originals at hand the one from which a step is nearest; NULL where none helps. */
static const struct mth_chain_original *nearest(const struct mth_chain_pair *pair,
                                                const struct mth_chain *chain, size_t index)
{
    const struct mth_chain_original *best = NULL;
    for (size_t i = 0; i < 2; i++) {
        const struct mth_chain_original *original = &pair->slots[i];
        if (original->is_there && is_below(chain, index, original->number) &&
            (!best || original->number > best->number))
            best = original;
    }
    return best;
}

static int map(struct mth_chain_original *original, enum mth_dtype dtype, struct mth_error *err)
{
    return mth_opened_map_any(&original->opened, dtype, &original->is_opaque, &original->why, err);
}

/* Restores a step into a slot, from what is at hand. */
static int restore(struct mth_chain_pair *pair, const struct mth_chain_place *place, size_t index,
                   struct mth_chain_original *slot, struct mth_error *err)
{
    const struct mth_chain *chain = place->chain;
    const struct mth_chain_step *step = &chain->steps[index];
    const struct mth_chain_original *from = nearest(pair, chain, index);
    struct mth_chain_given given;
    struct mth_container_stats stats;
    struct mth_scratch scratch;
    struct mth_source source;
    struct mth_sink sink;
    if (from)
        given = (struct mth_chain_given){.step = mth_chain_find(chain, from->number),
                                         .source = &from->opened.source};
    int status = mth_scratch_open(place->scratch_directory, step->name, &scratch, err);
    if (status)
        return status;
    mth_scratch_sink(&scratch, &sink);
    status = mth_chain_restore(chain, place->directory, index, from ? &given : NULL, place->scratch_directory,
                               &sink, &place->config, &stats, NULL, err);
    if (!status)
        status = mth_scratch_source(&scratch, &source, err);
    if (status) {
        mth_scratch_close(&scratch);
        return status;
    }
    close_original(slot);
    *slot = (struct mth_chain_original){.is_there = true,
                                        .number = step->number,
                                        .scratch = scratch,
                                        .has_scratch = true,
                                        .attributes = stats.attributes};
    snprintf(slot->name, sizeof slot->name, "%s", step->name);
    source.name = slot->name;
    mth_opened_borrow(&slot->opened, slot->name, &source, chain->memory);
    return map(slot, step->dtype, err);
}

/* Is this the file that a step was made of, byte for byte? Then it is opened, and mapped. */
static bool open_if_same(struct mth_chain_original *original, const char *path,
                         const struct mth_chain_step *step, struct mth_memory *memory)
{
    struct mth_error err;
    struct mth_digest digest;
    if (mth_path_is_directory(path) != step->is_folder ||
        mth_opened_open_step(&original->opened, path, memory, &err))
        return false;
    original->is_there = true;
    original->number = step->number;
    original->attributes = mth_opened_attributes(&original->opened);
    return original->opened.source.n_bytes == step->raw_bytes &&
           mth_chain_original_digest(&original->opened.source, step->is_folder, memory, &digest, &err) ==
               MTH_OK &&
           memcmp(digest.bytes, step->xxh3, sizeof step->xxh3) == 0 &&
           map(original, step->dtype, &err) == MTH_OK;
}

/* Looks for a step's original where those lie that are added: reading it takes less than restoring it. */
static bool find_beside(struct mth_chain_original *slot, const struct mth_chain_place *place,
                        const struct mth_chain_step *step)
{
    char *path = place->beside ? mth_path_join(place->beside, "/", step->name) : NULL;
    if (!path)
        return false;
    close_original(slot);
    bool found = open_if_same(slot, path, step, place->chain->memory);
    if (!found) {
        close_original(slot);
        free(path);
        return false;
    }
    slot->path = path;
    return true;
}

int mth_chain_pair_take_base(struct mth_chain_pair *pair, const struct mth_chain_place *place, size_t index,
                             struct mth_error *err)
{
    uint64_t number = place->chain->steps[index].number;
    for (size_t i = 0; i < 2; i++) {
        if (pair->slots[i].is_there && pair->slots[i].number == number) {
            pair->base = i;
            return MTH_OK;
        }
    }
    /* The other slot may hold what a restore would begin with. */
    if (find_beside(&pair->slots[pair->base], place, &place->chain->steps[index]))
        return MTH_OK;
    return restore(pair, place, index, &pair->slots[pair->base], err);
}

int mth_chain_pair_restore(struct mth_chain_pair *pair, const struct mth_chain_place *place, size_t index,
                           struct mth_error *err)
{
    const struct mth_chain_step *step = &place->chain->steps[index];
    struct mth_chain_original *input = mth_chain_pair_input(pair);
    struct mth_digest digest;
    int status = MTH_OK;
    if (!input->is_there || input->number != step->number)
        status = restore(pair, place, index, input, err);
    if (!status)
        status = mth_chain_original_digest(&input->opened.source, step->is_folder, place->chain->memory,
                                           &digest, err);
    if (!status && memcmp(digest.bytes, step->xxh3, sizeof step->xxh3) != 0)
        status = mth_error_set(err, MTH_ERR_CHECKSUM,
                               "step %llu: does not restore to what was added: its XXH3-128 differs",
                               (unsigned long long)step->number);
    return status;
}

int mth_chain_pair_take_restored(struct mth_chain_pair *pair, const struct mth_chain_place *place,
                                 size_t index, struct mth_digest *xxh3, struct mth_error *err)
{
    struct mth_chain_original *input = mth_chain_pair_input(pair);
    close_original(input);
    int status = restore(pair, place, index, input, err);
    return status ? status
                  : mth_chain_original_digest(&input->opened.source, place->chain->steps[index].is_folder,
                                              place->chain->memory, xxh3, err);
}

int mth_chain_pair_open(struct mth_chain_pair *pair, const char *path, uint64_t number, enum mth_dtype dtype,
                        struct mth_memory *memory, struct mth_error *err)
{
    struct mth_chain_original *input = mth_chain_pair_input(pair);
    close_original(input);
    int status = mth_opened_open_step(&input->opened, path, memory, err);
    input->is_there = true;
    input->number = number;
    if (status)
        return status;
    if (input->opened.folder && dtype != MTH_N_DTYPES)
        return mth_error_set(err, MTH_ERR_USAGE, "%s: --dtype is for one file, and this is a directory",
                             path);
    input->attributes = mth_opened_attributes(&input->opened);
    return map(input, dtype, err);
}

int mth_chain_original_check(const struct mth_chain_original *original, struct mth_error *err)
{
    if (original->has_scratch)
        return MTH_OK;
    return mth_opened_check(&original->opened, &original->attributes, err);
}

int mth_chain_original_digest(const struct mth_source *source, bool is_folder, struct mth_memory *memory,
                              struct mth_digest *xxh3, struct mth_error *err)
{
    struct mth_source content = *source;
    int status = is_folder ? mth_folder_content(source, memory, &content, err) : MTH_OK;
    return status ? status : mth_source_digest(&content, xxh3, err);
}
