/*
 * safetensors: 8 bytes of header length, a JSON header, and the tensors behind it without gaps.
 *
 * The validity rules are those of the reference implementation; docs/formats.md lists them and where we are
 * stricter. What is checked of a single tensor is in safetensors_header.c, what concerns all of them is here.
 */
#include "formats/safetensors_header.h"

#include "base/checked.h"
#include "formats/name_index.h"
#include "formats/param_names.h"

#include <stdlib.h>
#include <string.h>

/* A file says that it is one by its name, or by a header length that can be one with an object behind it. */
static int probe(const struct mth_source *source, const uint8_t *head, size_t n_head)
{
    static const char suffix[] = ".safetensors";
    size_t n_name = strlen(source->name), n_suffix = sizeof suffix - 1;
    if (n_name >= n_suffix && strcmp(source->name + n_name - n_suffix, suffix) == 0)
        return 1;
    return n_head > MTH_SAFETENSORS_LENGTH_BYTES && head[MTH_SAFETENSORS_LENGTH_BYTES] == '{' &&
           mth_load64(head) <= MTH_SAFETENSORS_HEADER_MAX_BYTES;
}

static int read_header_length(const struct mth_source *source, uint64_t *n_header, struct mth_error *err)
{
    uint8_t field[MTH_SAFETENSORS_LENGTH_BYTES];
    if (source->n_bytes == 0)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "%s: the file is empty", source->name);
    if (source->n_bytes < sizeof field)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "%s: ends at byte %llu, inside the header's length",
                             source->name, (unsigned long long)source->n_bytes);
    int status = mth_source_read(source, 0, field, sizeof field, err);
    if (status)
        return status;
    *n_header = mth_load64(field);
    if (*n_header > MTH_SAFETENSORS_HEADER_MAX_BYTES)
        return mth_error_set(err, MTH_ERR_FORMAT,
                             "%s: the header's length at byte 0 is %llu, the limit is %d", source->name,
                             (unsigned long long)*n_header, MTH_SAFETENSORS_HEADER_MAX_BYTES);
    if (*n_header > source->n_bytes - sizeof field)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "%s: ends at byte %llu, inside its header of %llu bytes",
                             source->name, (unsigned long long)source->n_bytes,
                             (unsigned long long)*n_header);
    return MTH_OK;
}

static int check_names(const struct mth_source *source, const struct mth_region_map *map,
                       struct mth_error *err)
{
    struct mth_name_index index;
    const struct mth_tensor *duplicate;
    int status = mth_name_index_build(map, &index, &duplicate);
    if (status)
        return mth_error_set(err, status, "%s: no memory to index its tensors", source->name);
    mth_name_index_free(&index);
    if (duplicate)
        return mth_error_set(err, MTH_ERR_FORMAT, "%s: tensor '%.80s': is there twice (header)", source->name,
                             mth_tensor_name(map, duplicate));
    return MTH_OK;
}

/* By begin, then by end: tensors without bytes come before the one that begins where they lie. Then as in the
 * header. */
static int compare_places(const void *left, const void *right)
{
    const struct mth_tensor *a = left, *b = right;
    if (a->offset_bytes != b->offset_bytes)
        return a->offset_bytes < b->offset_bytes ? -1 : 1;
    uint64_t a_bytes = mth_tensor_bytes(a), b_bytes = mth_tensor_bytes(b);
    if (a_bytes != b_bytes)
        return a_bytes < b_bytes ? -1 : 1;
    return a->name < b->name ? -1 : a->name > b->name;
}

/* Most headers are in file order already, and sorting may take memory that no account sees. */
static void sort_by_place(struct mth_region_map *map)
{
    for (size_t i = 1; i < map->n_tensors; i++) {
        if (compare_places(&map->tensors[i - 1], &map->tensors[i]) > 0) {
            qsort(map->tensors, map->n_tensors, sizeof *map->tensors, compare_places);
            return;
        }
    }
}

/* Make a region of each tensor's bytes, and see that together they are all there is behind the header. */
static int tile(const struct mth_source *source, uint64_t n_header, struct mth_region_map *map,
                struct mth_error *err)
{
    uint64_t data = MTH_SAFETENSORS_LENGTH_BYTES + n_header, end = data;
    int status = mth_region_map_add_region(map, 0, data, MTH_DTYPE_OPAQUE, NULL);
    for (size_t i = 0; i < map->n_tensors && !status; i++) {
        struct mth_tensor *tensor = &map->tensors[i];
        uint64_t begin = data + tensor->offset_bytes, n_bytes = mth_tensor_bytes(tensor);
        const char *name = mth_tensor_name(map, tensor);
        if (begin < end)
            return mth_error_set(
                err, MTH_ERR_FORMAT,
                "%s: tensor '%.80s': begins at byte %llu, inside of '%.80s', which ends at %llu",
                source->name, name, (unsigned long long)begin, mth_tensor_name(map, tensor - 1),
                (unsigned long long)end);
        if (begin > end)
            return mth_error_set(
                err, MTH_ERR_FORMAT,
                "%s: tensor '%.80s': begins at byte %llu; the %llu bytes before it are no tensor's",
                source->name, name, (unsigned long long)begin, (unsigned long long)(begin - end));
        tensor->offset_bytes = 0;
        status =
            mth_region_map_add_region(map, begin, n_bytes, (enum mth_dtype)tensor->dtype, &tensor->region);
        end = begin + n_bytes;
    }
    if (status)
        return mth_error_set(err, status, "%s: %s", source->name, mth_status_text(status));
    if (end != source->n_bytes)
        return mth_error_set(err, MTH_ERR_FORMAT,
                             "%s: the %llu bytes from byte %llu to its end are no tensor's", source->name,
                             (unsigned long long)(source->n_bytes - end), (unsigned long long)end);
    return MTH_OK;
}

/* Most files do not, and names are many. */
static bool holds_state(const struct mth_region_map *map)
{
    size_t i = 0;
    while (i < map->n_tensors && map->tensors[i].role != MTH_ROLE_ADAM_M)
        i++;
    return i < map->n_tensors;
}

static int map_safetensors(const struct mth_source *source, const struct mth_format_options *options,
                           struct mth_region_map *map, struct mth_error *err)
{
    (void)options;
    uint64_t n_header = 0;
    int status = read_header_length(source, &n_header, err);
    if (!status)
        status = mth_safetensors_header_read(source, n_header, map, err);
    if (!status)
        status = check_names(source, map, err);
    if (status)
        return status;
    sort_by_place(map);
    status = tile(source, n_header, map, err);
    if (status || !holds_state(map))
        return status;
    status = mth_params_match_names(map);
    return status ? mth_error_set(err, status, "%s: %s", source->name, mth_status_text(status)) : MTH_OK;
}

const struct mth_format mth_format_safetensors = {
    .name = "safetensors",
    .summary = "Hugging Face safetensors: a JSON header, then the tensors",
    .probe = probe,
    .map = map_safetensors,
};
