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

struct mth_chain_original *mth_chain_hand_input(struct mth_chain_hand *hand)
{
    return &hand->slots[hand->input];
}

const struct mth_chain_original *mth_chain_hand_base(const struct mth_chain_hand *hand)
{
    return &hand->slots[hand->base];
}

const struct mth_chain_original *mth_chain_hand_older(const struct mth_chain_hand *hand)
{
    return hand->has_older ? &hand->slots[hand->older] : NULL;
}

void mth_chain_hand_close(struct mth_chain_hand *hand)
{
    for (size_t i = 0; i < MTH_CHAIN_SLOTS; i++)
        close_original(&hand->slots[i]);
}

/* The slot that holds a step; MTH_CHAIN_SLOTS where none does. */
static size_t slot_of(const struct mth_chain_hand *hand, uint64_t number)
{
    size_t i = 0;
    while (i < MTH_CHAIN_SLOTS && !(hand->slots[i].is_there && hand->slots[i].number == number))
        i++;
    return i;
}

/* A slot that is none of two others, an empty one where there is any. */
static size_t free_slot(const struct mth_chain_hand *hand, size_t taken, size_t also_taken)
{
    size_t found = MTH_CHAIN_SLOTS;
    for (size_t i = 0; i < MTH_CHAIN_SLOTS; i++)
        if (i != taken && i != also_taken && (found == MTH_CHAIN_SLOTS || !hand->slots[i].is_there))
            found = i;
    return found;
}

/* The originals at hand of steps that the chain has. */
static size_t list_given(const struct mth_chain_hand *hand, const struct mth_chain *chain,
                         struct mth_chain_given given[MTH_CHAIN_SLOTS])
{
    size_t n = 0;
    for (size_t i = 0; i < MTH_CHAIN_SLOTS; i++) {
        const struct mth_chain_original *original = &hand->slots[i];
        size_t step = original->is_there ? mth_chain_find(chain, original->number) : chain->n_steps;
        if (step < chain->n_steps)
            given[n++] = (struct mth_chain_given){step, &original->opened.source};
    }
    return n;
}

static int map(struct mth_chain_original *original, enum mth_dtype dtype, struct mth_error *err)
{
    return mth_opened_map_any(&original->opened, dtype, &original->is_opaque, &original->why, err);
}

/* A slot holds what was restored of a step into a file, and is mapped. */
static int fill(struct mth_chain_original *slot, const struct mth_chain *chain,
                const struct mth_chain_step *step, const struct mth_scratch *scratch,
                struct mth_file_attributes attributes, struct mth_error *err)
{
    struct mth_source source;
    close_original(slot);
    *slot = (struct mth_chain_original){.is_there = true,
                                        .number = step->number,
                                        .scratch = *scratch,
                                        .has_scratch = true,
                                        .attributes = attributes};
    int status = mth_scratch_source(&slot->scratch, &source, err);
    if (status)
        return status;
    snprintf(slot->name, sizeof slot->name, "%s", step->name);
    source.name = slot->name;
    source.n_bytes = step->raw_bytes; /* behind it may lie what was there before */
    mth_opened_borrow(&slot->opened, slot->name, &source, chain->memory);
    return map(slot, step->dtype, err);
}

/* Restores a step into a slot, from what is at hand. base: gets what its base was restored to on the way; NULL: not wanted. */
static int restore(struct mth_chain_hand *hand, const struct mth_chain_place *place, size_t index,
                   struct mth_chain_original *slot, struct mth_scratch *base, struct mth_error *err)
{
    const struct mth_chain *chain = place->chain;
    const struct mth_chain_step *step = &chain->steps[index];
    struct mth_chain_given given[MTH_CHAIN_SLOTS];
    const struct mth_chain_at_hand at_hand = {
        .given = given, .n_given = list_given(hand, chain, given), .base = base};
    struct mth_container_stats stats;
    struct mth_scratch scratch;
    struct mth_sink sink;
    int status = mth_scratch_open(place->scratch_directory, step->name, &scratch, err);
    if (status)
        return status;
    mth_scratch_sink(&scratch, &sink);
    status = mth_chain_restore(chain, place->directory, index, &at_hand, place->scratch_directory, &sink,
                               &place->config, &stats, NULL, err);
    if (status) {
        mth_scratch_close(&scratch);
        return status;
    }
    return fill(slot, chain, step, &scratch, stats.attributes, err);
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

/* Restores the base, and with it the older one where that is on the way. */
static int restore_bases(struct mth_chain_hand *hand, const struct mth_chain_place *place, size_t base,
                         size_t older, struct mth_error *err)
{
    const struct mth_chain *chain = place->chain;
    bool wants_older = older < chain->n_steps && hand->older == MTH_CHAIN_SLOTS;
    struct mth_scratch below = {.fd = -1};
    hand->base = free_slot(hand, hand->older, hand->older);
    bool comes_along = wants_older && older == mth_chain_base_of(chain, base);
    int status = restore(hand, place, base, &hand->slots[hand->base], comes_along ? &below : NULL, err);
    if (status || below.fd < 0)
        return status;
    hand->older = free_slot(hand, hand->base, hand->base);
    return fill(&hand->slots[hand->older], chain, &chain->steps[older], &below,
                (struct mth_file_attributes){0}, err);
}

/* What is not at hand of two bases, by the files of their names or restored. */
static int fetch_bases(struct mth_chain_hand *hand, const struct mth_chain_place *place, size_t base,
                       size_t older, struct mth_error *err)
{
    const struct mth_chain *chain = place->chain;
    int status = MTH_OK;
    if (hand->base == MTH_CHAIN_SLOTS) {
        size_t slot = free_slot(hand, hand->older, hand->older);
        if (find_beside(&hand->slots[slot], place, &chain->steps[base]))
            hand->base = slot;
        else
            status = restore_bases(hand, place, base, older, err);
    }
    if (status || older == chain->n_steps || hand->older < MTH_CHAIN_SLOTS)
        return status;
    hand->older = free_slot(hand, hand->base, hand->base);
    if (find_beside(&hand->slots[hand->older], place, &chain->steps[older]))
        return MTH_OK;
    return restore(hand, place, older, &hand->slots[hand->older], NULL, err);
}

int mth_chain_hand_take_bases(struct mth_chain_hand *hand, const struct mth_chain_place *place, size_t base,
                              size_t older, struct mth_error *err)
{
    const struct mth_chain *chain = place->chain;
    hand->base = slot_of(hand, chain->steps[base].number);
    hand->has_older = older < chain->n_steps;
    hand->older = hand->has_older ? slot_of(hand, chain->steps[older].number) : MTH_CHAIN_SLOTS;
    int status = fetch_bases(hand, place, base, older, err);
    if (hand->base == MTH_CHAIN_SLOTS)
        hand->base = 0;
    hand->has_older &= hand->older < MTH_CHAIN_SLOTS;
    hand->input = free_slot(hand, hand->base, hand->older);
    return status;
}

int mth_chain_hand_restore(struct mth_chain_hand *hand, const struct mth_chain_place *place, size_t index,
                           struct mth_error *err)
{
    const struct mth_chain_step *step = &place->chain->steps[index];
    struct mth_chain_original *input = mth_chain_hand_input(hand);
    struct mth_digest digest;
    int status = MTH_OK;
    if (!input->is_there || input->number != step->number)
        status = restore(hand, place, index, input, NULL, err);
    if (!status)
        status = mth_chain_original_digest(&input->opened.source, step->is_folder, place->chain->memory,
                                           &digest, err);
    if (!status && memcmp(digest.bytes, step->xxh3, sizeof step->xxh3) != 0)
        status = mth_error_set(err, MTH_ERR_CHECKSUM,
                               "step %llu: does not restore to what was added: its XXH3-128 differs",
                               (unsigned long long)step->number);
    return status;
}

int mth_chain_hand_take_restored(struct mth_chain_hand *hand, const struct mth_chain_place *place,
                                 size_t index, struct mth_digest *xxh3, struct mth_error *err)
{
    struct mth_chain_original *input = mth_chain_hand_input(hand);
    close_original(input);
    int status = restore(hand, place, index, input, NULL, err);
    return status ? status
                  : mth_chain_original_digest(&input->opened.source, place->chain->steps[index].is_folder,
                                              place->chain->memory, xxh3, err);
}

int mth_chain_hand_open(struct mth_chain_hand *hand, const char *path, uint64_t number, enum mth_dtype dtype,
                        struct mth_memory *memory, struct mth_error *err)
{
    struct mth_chain_original *input = mth_chain_hand_input(hand);
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
