/*
 * Reading .metadata; see dcp.h.
 *
 * Of Metadata only storage_data is looked at: a dict from MetadataIndex (fqn, offset, index) to _StorageInfo
 * (relative_path, offset, length, transform_descriptors). What else Metadata says of a tensor, its archive says as well.
 */
#include "formats/dcp.h"

#include "base/checked.h"
#include "formats/file_set.h"
#include "formats/pickle.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* What the description may take. Real ones take less than 5 bytes for each of the pickle. */
    PICKLE_FREE_BYTES = 32 << 20,
    PICKLE_FACTOR = 16,
    /* The fields of an object; a larger dict would be looked through for each item. */
    MAX_FIELDS = 16
};

struct reader {
    const struct mth_source *source;
    struct mth_dcp *dcp;
    struct mth_error *err;
    struct mth_pickle pickle;
    size_t items_capacity, dims_capacity;
};

static int refuse(const struct reader *r, int status, const char *why)
{
    return mth_error_set(r->err, status, "%s: %s (metadata of torch.distributed.checkpoint)", r->source->name,
                         why);
}

static int no_memory(const struct reader *r)
{
    return mth_error_set(r->err, MTH_ERR_NO_MEMORY, "%s: no memory to list its items", r->source->name);
}

/* While items are read, their name and their file are the nodes of these. */
static int refuse_item(const struct reader *r, const struct mth_dcp_item *item, const char *why)
{
    size_t n_text;
    return mth_error_set(r->err, MTH_ERR_FORMAT,
                         "%s: item '%.80s': %s (metadata of torch.distributed.checkpoint)", r->source->name,
                         mth_pickle_text(&r->pickle, item->name, &n_text), why);
}

/* Room for n more behind the first n_used. */
static int reserve(const struct reader *r, void **array, size_t *capacity, size_t n_used, size_t n,
                   size_t size)
{
    if (n <= *capacity - n_used)
        return MTH_OK;
    size_t wanted = mth_size_max(n_used + n, *capacity + *capacity / 2), n_bytes;
    if (wanted > UINT32_MAX || !mth_size_mul(wanted, size, &n_bytes))
        return refuse(r, MTH_ERR_LIMIT, "more items than can be listed");
    void *grown = mth_memory_realloc(r->dcp->memory, *array, n_bytes);
    if (!grown)
        return no_memory(r);
    *array = grown;
    *capacity = wanted;
    return MTH_OK;
}

/* ---- parts of the description ---- */

/* The attributes of an object: a dict, or a pair whose second is one where the class has slots. */
static uint32_t attributes(const struct mth_pickle *pickle, uint32_t ref)
{
    struct mth_pickle_object object;
    if (!mth_pickle_object(pickle, ref, &object))
        return MTH_PICKLE_REF_NONE;
    if (mth_pickle_kind(pickle, object.state) == MTH_PICKLE_TUPLE)
        return mth_pickle_item(pickle, object.state, 1);
    return object.state;
}

/* The value of a field; MTH_PICKLE_REF_NONE where there is none, as where it is None. */
static uint32_t field(const struct mth_pickle *pickle, uint32_t dict, const char *name)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, value, found = MTH_PICKLE_REF_NONE;
    if (mth_pickle_kind(pickle, dict) != MTH_PICKLE_DICT || mth_pickle_length(pickle, dict) > MAX_FIELDS)
        return MTH_PICKLE_REF_NONE;
    mth_pickle_begin(pickle, dict, &cursor);
    while (mth_pickle_next(&cursor, &key, &value)) {
        if (mth_pickle_text_is(pickle, key, name))
            found = value;
    }
    return found;
}

/* Is it an object of a class of this name, in whichever module? */
static bool is_a(const struct mth_pickle *pickle, uint32_t ref, const char *class_name)
{
    struct mth_pickle_object object;
    size_t n_text = 0;
    const char *text = mth_pickle_object(pickle, ref, &object) &&
                               mth_pickle_kind(pickle, object.callable) == MTH_PICKLE_GLOBAL
                           ? mth_pickle_text(pickle, object.callable, &n_text)
                           : NULL;
    const char *dot = text ? strrchr(text, '.') : NULL;
    return dot && strcmp(dot + 1, class_name) == 0;
}

/* The node of a text that is kept. */
static int check_text(const struct reader *r, uint32_t ref)
{
    size_t n_text;
    if (mth_pickle_kind(&r->pickle, ref) != MTH_PICKLE_STRING || !mth_pickle_text(&r->pickle, ref, &n_text))
        return refuse(r, MTH_ERR_FORMAT, "an item without a name or a file, or with too long a one");
    return MTH_OK;
}

/* Where a chunk begins: torch.Size((0, 16)), or a plain tuple. */
static int read_place(struct reader *r, uint32_t ref, struct mth_dcp_item *item)
{
    struct mth_pickle_object object;
    if (mth_pickle_object(&r->pickle, ref, &object))
        ref = mth_pickle_item(&r->pickle, object.args, 0);
    uint32_t n = mth_pickle_length(&r->pickle, ref);
    if (mth_pickle_kind(&r->pickle, ref) != MTH_PICKLE_TUPLE || n > MTH_MAX_DIMS)
        return refuse_item(r, item, "where it begins in its tensor is no list of numbers");
    void *dims = r->dcp->dims;
    int status = reserve(r, &dims, &r->dims_capacity, r->dcp->n_dims, n, sizeof *r->dcp->dims);
    r->dcp->dims = dims;
    if (status)
        return status;
    item->place = (uint32_t)r->dcp->n_dims;
    item->n_dims = (uint8_t)n;
    for (uint32_t i = 0; i < n; i++) {
        if (!mth_pickle_u64(&r->pickle, mth_pickle_item(&r->pickle, ref, i), &r->dcp->dims[r->dcp->n_dims++]))
            return refuse_item(r, item, "where it begins in its tensor is no list of numbers");
    }
    return MTH_OK;
}

static int read_item(struct reader *r, uint32_t index, uint32_t info)
{
    const struct mth_pickle *pickle = &r->pickle;
    struct mth_dcp_item item = {0};
    uint64_t end;
    if (!is_a(pickle, index, "MetadataIndex") || !is_a(pickle, info, "_StorageInfo"))
        return refuse(r, MTH_ERR_UNSUPPORTED, "its items lie in a storage that is not PyTorch's file system");
    uint32_t what = attributes(pickle, index), where = attributes(pickle, info);
    uint32_t place = field(pickle, what, "offset");
    item.name = field(pickle, what, "fqn");
    item.file = field(pickle, where, "relative_path");
    int status = check_text(r, item.name);
    if (!status)
        status = check_text(r, item.file);
    item.is_tensor = place != MTH_PICKLE_REF_NONE;
    if (!status && item.is_tensor)
        status = read_place(r, place, &item);
    if (status)
        return status;
    if (!mth_pickle_u64(pickle, field(pickle, where, "offset"), &item.offset) ||
        !mth_pickle_u64(pickle, field(pickle, where, "length"), &item.n_bytes) ||
        !mth_u64_add(item.offset, item.n_bytes, &end))
        return refuse_item(r, &item, "where it lies in its file is no range");
    size_t n_file = 0;
    const char *file = mth_pickle_text(pickle, item.file, &n_file);
    if (!mth_set_name_is_plain(file, n_file))
        return refuse_item(r, &item, "its file is no plain name of a file beside the metadata");
    item.is_transformed = mth_pickle_length(pickle, field(pickle, where, "transform_descriptors")) > 0;
    void *items = r->dcp->items;
    status = reserve(r, &items, &r->items_capacity, r->dcp->n_items, 1, sizeof *r->dcp->items);
    r->dcp->items = items;
    if (!status)
        r->dcp->items[r->dcp->n_items++] = item;
    return status;
}

static int read_items(struct reader *r)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, value;
    if (!is_a(&r->pickle, r->pickle.root, "Metadata"))
        return refuse(r, MTH_ERR_FORMAT, "the pickle is none of its Metadata");
    uint32_t storage = field(&r->pickle, attributes(&r->pickle, r->pickle.root), "storage_data");
    mth_pickle_begin(&r->pickle, storage, &cursor);
    if (mth_pickle_kind(&r->pickle, storage) != MTH_PICKLE_DICT || !cursor.has_entries)
        return refuse(r, MTH_ERR_UNSUPPORTED, "it does not say where its items lie");
    int status = MTH_OK;
    while (!status && mth_pickle_next(&cursor, &key, &value))
        status = read_item(r, key, value);
    return status;
}

/* ---- texts ---- */

static int compare_refs(const void *left, const void *right)
{
    const uint32_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* A text that is kept: its node, and where it is in the text. */
struct kept {
    uint32_t ref, at;
};

static uint32_t place_of(const struct kept *kept, size_t n_kept, uint32_t ref)
{
    const struct kept *found = bsearch(&ref, kept, n_kept, sizeof *kept, compare_refs);
    return found->at;
}

/* The nodes of all names and files, each once, and how many bytes they have. */
static size_t list_texts(const struct reader *r, struct kept *kept, size_t *n_bytes)
{
    size_t n = 0, n_kept = 0, n_text = 0;
    for (size_t i = 0; i < r->dcp->n_items; i++) {
        kept[n++].ref = r->dcp->items[i].name;
        kept[n++].ref = r->dcp->items[i].file;
    }
    if (n)
        qsort(kept, n, sizeof *kept, compare_refs);
    *n_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && kept[i].ref == kept[i - 1].ref)
            continue;
        (void)mth_pickle_text(&r->pickle, kept[i].ref, &n_text);
        *n_bytes += n_text + 1;
        kept[n_kept++].ref = kept[i].ref;
    }
    return n_kept;
}

/* Names end at a NUL, so that one inside becomes something else. */
static void copy_texts(const struct reader *r, struct kept *kept, size_t n_kept)
{
    size_t at = 0, n_text = 0;
    for (size_t k = 0; k < n_kept; k++) {
        const char *text = mth_pickle_text(&r->pickle, kept[k].ref, &n_text);
        kept[k].at = (uint32_t)at;
        for (size_t i = 0; i < n_text; i++)
            r->dcp->text[at++] = text[i] ? text[i] : '?';
        r->dcp->text[at++] = '\0';
    }
}

/* Keeps each text once, however many items have it, and lets items refer to it instead of to its node. */
static int keep_texts(const struct reader *r)
{
    struct mth_dcp *dcp = r->dcp;
    struct kept *kept = mth_memory_calloc(dcp->memory, 2 * dcp->n_items, sizeof *kept);
    size_t n_bytes = 0, n_kept = kept ? list_texts(r, kept, &n_bytes) : 0;
    if (kept)
        dcp->text = mth_memory_alloc(dcp->memory, n_bytes);
    if (dcp->text) {
        copy_texts(r, kept, n_kept);
        for (size_t i = 0; i < dcp->n_items; i++) {
            dcp->items[i].name = place_of(kept, n_kept, dcp->items[i].name);
            dcp->items[i].file = place_of(kept, n_kept, dcp->items[i].file);
        }
    }
    mth_memory_free(dcp->memory, kept);
    return dcp->text ? MTH_OK : no_memory(r);
}

/* ---- order ---- */

/* qsort hands nothing on: what is compared points to its text. */
struct sorted {
    const char *text;
    uint64_t offset;
    uint32_t number; /* of the item */
};

static int compare(const void *left, const void *right)
{
    const struct sorted *a = left, *b = right;
    int order = a->text == b->text ? 0 : strcmp(a->text, b->text);
    if (order)
        return order;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static struct sorted *sort_items(const struct mth_dcp *dcp, bool by_file)
{
    struct sorted *sorted = mth_memory_calloc(dcp->memory, dcp->n_items, sizeof *sorted);
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < dcp->n_items; i++)
        sorted[i] = (struct sorted){dcp->text + (by_file ? dcp->items[i].file : dcp->items[i].name),
                                    by_file ? dcp->items[i].offset : 0, (uint32_t)i};
    if (dcp->n_items)
        qsort(sorted, dcp->n_items, sizeof *sorted, compare);
    return sorted;
}

static bool same_text(const struct sorted *a, const struct sorted *b)
{
    return a->text == b->text || strcmp(a->text, b->text) == 0;
}

/* Of items with one name each is a chunk. */
static int mark_chunks(const struct reader *r)
{
    struct mth_dcp *dcp = r->dcp;
    struct sorted *sorted = sort_items(dcp, false);
    if (!sorted)
        return no_memory(r);
    for (size_t i = 1; i < dcp->n_items; i++) {
        if (same_text(&sorted[i - 1], &sorted[i]))
            dcp->items[sorted[i - 1].number].is_chunk = dcp->items[sorted[i].number].is_chunk = true;
    }
    mth_memory_free(dcp->memory, sorted);
    return MTH_OK;
}

/* Puts the items in the order of their files, and lists those. */
static int gather_files(struct reader *r)
{
    struct mth_dcp *dcp = r->dcp;
    struct sorted *sorted = sort_items(dcp, true);
    struct mth_dcp_item *items = mth_memory_calloc(dcp->memory, dcp->n_items, sizeof *items);
    size_t n_files = 0;
    for (size_t i = 0; sorted && i < dcp->n_items; i++)
        n_files += i == 0 || !same_text(&sorted[i - 1], &sorted[i]);
    dcp->files = mth_memory_calloc(dcp->memory, n_files, sizeof *dcp->files);
    int status = sorted && items && dcp->files ? MTH_OK : no_memory(r);
    for (size_t i = 0; !status && i < dcp->n_items; i++) {
        items[i] = dcp->items[sorted[i].number];
        if (i == 0 || !same_text(&sorted[i - 1], &sorted[i]))
            dcp->files[dcp->n_files++] =
                (struct mth_dcp_file){.name = items[i].file, .first_item = (uint32_t)i};
        items[i].file = (uint32_t)(dcp->n_files - 1);
        dcp->files[dcp->n_files - 1].n_items++;
    }
    mth_memory_free(dcp->memory, sorted);
    if (status) {
        mth_memory_free(dcp->memory, items);
        return status;
    }
    mth_memory_free(dcp->memory, dcp->items);
    dcp->items = items;
    return MTH_OK;
}

/* Frees the description as soon as it was read. */
static int read_pickle(struct reader *r)
{
    size_t n_bytes = (size_t)r->source->n_bytes;
    int status = mth_pickle_read(r->source, 0, n_bytes, PICKLE_FREE_BYTES + n_bytes * PICKLE_FACTOR,
                                 r->dcp->memory, &r->pickle, NULL, r->err);
    if (status)
        return status;
    status = read_items(r);
    if (!status)
        status = keep_texts(r);
    mth_pickle_free(&r->pickle);
    return status;
}

int mth_dcp_read(const struct mth_source *source, struct mth_memory *memory, struct mth_dcp *dcp,
                 struct mth_error *err)
{
    struct reader r = {.source = source, .dcp = dcp, .err = err};
    *dcp = (struct mth_dcp){.memory = memory, .name = source->name, .n_metadata_bytes = source->n_bytes};
    if (source->n_bytes > MTH_DCP_METADATA_MAX_BYTES)
        return refuse(&r, MTH_ERR_LIMIT, "it has more than 1 GiB");
    int status = read_pickle(&r);
    if (!status)
        status = mark_chunks(&r);
    if (!status)
        status = gather_files(&r);
    if (status)
        mth_dcp_free(dcp);
    return status;
}

void mth_dcp_free(struct mth_dcp *dcp)
{
    mth_memory_free(dcp->memory, dcp->items);
    mth_memory_free(dcp->memory, dcp->files);
    mth_memory_free(dcp->memory, dcp->text);
    mth_memory_free(dcp->memory, dcp->dims);
    *dcp = (struct mth_dcp){.memory = dcp->memory};
}

const struct mth_dcp_file *mth_dcp_find(const struct mth_dcp *dcp, const char *name)
{
    size_t low = 0, high = dcp->n_files;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(mth_dcp_file_name(dcp, middle), name);
        if (order == 0)
            return &dcp->files[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
