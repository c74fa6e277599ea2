/* Which tensors of its bases a container refers to, in pages; see container.h. */
#include "pipeline/container.h"

#include "base/checked.h"

#include <string.h>

enum {
    CODING_STORED = 0,
    CODING_ZSTD = 1,
    CODING_AS_BASE =
        2, /* of the older base: all references of the base, with its names, dtypes, sizes and offsets */
    PAGE_MAX_EXPANSION = 256, /* of a coded page */
    MAX_NAME_BYTES = 1 << 16
};

/* The codec that packs pages of references, with its defaults. */
static const struct mth_codec *page_codec(int64_t options[MTH_MAX_OPTIONS])
{
    const struct mth_codec *codec = mth_codec_find("zstd", 4);
    if (codec)
        mth_option_defaults(codec->options, codec->n_options, options);
    return codec;
}

/* ---- writing ---- */

/* Packs a page when that makes it smaller; coded is NULL when it does not. */
static int pack_page(struct mth_memory *memory, struct mth_bytes page, struct mth_buffer *packed)
{
    int64_t options[MTH_MAX_OPTIONS];
    const struct mth_codec *codec = page_codec(options);
    void *state;
    *packed = (struct mth_buffer){0};
    if (!codec)
        return MTH_OK;
    packed->capacity_bytes = codec->bound(options, page.n_bytes);
    packed->data = mth_memory_alloc(memory, packed->capacity_bytes);
    int status = packed->data ? codec->create(options, MTH_SIDE_ENCODE, memory, &state) : MTH_ERR_NO_MEMORY;
    if (status)
        return status;
    struct mth_encode_job job = {.src = page,
                                 .type = mth_symbol_type_of(MTH_DTYPE_OPAQUE),
                                 .dst = packed->data,
                                 .dst_capacity = packed->capacity_bytes};
    status = codec->encode(state, &job);
    codec->destroy(state);
    if (status)
        return status;
    if (job.out.data != packed->data)
        memmove(packed->data, job.out.data, job.out.n_bytes);
    packed->n_bytes = job.out.n_bytes;
    return MTH_OK;
}

static int write_page(struct mth_block_writer *writer, struct mth_memory *memory, uint64_t base,
                      struct mth_growing *page, uint64_t n_entries, struct mth_error *err)
{
    struct mth_growing body = {0};
    struct mth_buffer packed;
    int status = pack_page(memory, (struct mth_bytes){page->data, page->n_bytes}, &packed);
    bool coded = !status && packed.n_bytes && packed.n_bytes < page->n_bytes &&
                 page->n_bytes / PAGE_MAX_EXPANSION < packed.n_bytes;
    uint8_t coding = coded ? CODING_ZSTD : CODING_STORED;
    if (!status)
        status = mth_growing_put_varint(memory, &body, base);
    if (!status)
        status = mth_growing_put_varint(memory, &body, n_entries);
    if (!status)
        status = mth_growing_put_varint(memory, &body, page->n_bytes);
    if (!status)
        status = mth_growing_put(memory, &body, &coding, 1);
    if (!status)
        status = coded ? mth_growing_put(memory, &body, packed.data, packed.n_bytes)
                       : mth_growing_put(memory, &body, page->data, page->n_bytes);
    if (status)
        mth_error_set(err, status, "the references could not be written: %s", mth_status_text(status));
    else
        status = mth_block_write(writer, MTH_BLOCK_REFERENCES, writer->n_front++,
                                 (struct mth_bytes){body.data, body.n_bytes}, err);
    mth_memory_free(memory, packed.data);
    mth_memory_free(memory, body.data);
    page->n_bytes = 0;
    return status;
}

/* What is no tensor has no name. */
static const char *reference_name(const struct mth_base_use *use, size_t i)
{
    uint32_t tensor = use->places[i].tensor;
    return tensor == MTH_NO_TENSOR ? "" : mth_tensor_name(use->map, &use->map->tensors[tensor]);
}

static int put_reference(struct mth_memory *memory, const struct mth_base_use *use, size_t i, uint64_t *end,
                         struct mth_growing *page)
{
    const struct mth_region *region = &use->map->regions[use->places[i].region];
    const char *name = reference_name(use, i);
    size_t n_name = strlen(name);
    int status = mth_growing_put_varint(memory, page, n_name);
    if (!status)
        status = mth_growing_put(memory, page, name, n_name);
    if (!status)
        status = mth_growing_put_varint(memory, page, (uint64_t)region->dtype);
    if (!status)
        status = mth_growing_put_varint(memory, page, region->n_bytes);
    if (!status)
        status = mth_growing_put_varint(memory, page, mth_zigzag((int64_t)(region->offset - *end)));
    *end = region->offset + region->n_bytes;
    return status;
}

static int write_references(struct mth_block_writer *writer, struct mth_memory *memory, uint64_t base,
                            const struct mth_base_use *use, struct mth_error *err)
{
    struct mth_growing page = {0};
    uint64_t end = 0, n_entries = 0;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < use->n_references; i++) {
        status = put_reference(memory, use, i, &end, &page);
        if (status)
            mth_error_set(err, status, "no memory for the references");
        n_entries++;
        if (!status && (page.n_bytes >= MTH_REFERENCE_PAGE_BYTES || i + 1 == use->n_references)) {
            status = write_page(writer, memory, base, &page, n_entries, err);
            n_entries = 0;
        }
    }
    mth_memory_free(memory, page.data);
    return status;
}

/* Are the references of two bases the same in all that is written of them? */
static bool same_references(const struct mth_base_use *a, const struct mth_base_use *b)
{
    if (a->n_references != b->n_references)
        return false;
    for (size_t i = 0; i < a->n_references; i++) {
        const struct mth_region *of_x = &a->map->regions[a->places[i].region],
                                *of_y = &b->map->regions[b->places[i].region];
        if (of_x->dtype != of_y->dtype || of_x->n_bytes != of_y->n_bytes || of_x->offset != of_y->offset ||
            strcmp(reference_name(a, i), reference_name(b, i)) != 0)
            return false;
    }
    return true;
}

static int write_same_references(struct mth_block_writer *writer, size_t n, struct mth_error *err)
{
    uint8_t body[3 * MTH_VARINT_MAX_BYTES + 1];
    size_t n_body = mth_varint_put(body, 1);
    n_body += mth_varint_put(body + n_body, n);
    n_body += mth_varint_put(body + n_body, 0);
    body[n_body++] = CODING_AS_BASE;
    return mth_block_write(writer, MTH_BLOCK_REFERENCES, writer->n_front++, (struct mth_bytes){body, n_body},
                           err);
}

int mth_references_write(struct mth_block_writer *writer, struct mth_memory *memory,
                         const struct mth_base_use *use, const struct mth_base_use *older,
                         struct mth_error *err)
{
    int status = write_references(writer, memory, 0, use, err);
    if (status || !older)
        return status;
    return older->n_references && same_references(use, older)
               ? write_same_references(writer, older->n_references, err)
               : write_references(writer, memory, 1, older, err);
}

/* ---- reading ---- */

static int read_reference(struct mth_memory *memory, struct mth_container_front *front,
                          const struct mth_front_base *base, struct mth_reader *reader, uint64_t *end)
{
    uint64_t n_name, dtype, step;
    struct mth_reference reference = {.name = (uint32_t)front->text.n_bytes};
    if (!mth_varint_get(reader, &n_name) || n_name > MAX_NAME_BYTES ||
        n_name > (uint64_t)(reader->end - reader->at) ||
        front->text.n_bytes > UINT32_MAX - MAX_NAME_BYTES - 1)
        return MTH_ERR_CORRUPT;
    const uint8_t *name = reader->at;
    reader->at += n_name;
    if (memchr(name, '\0', (size_t)n_name) || !mth_varint_get(reader, &dtype) || dtype >= MTH_N_DTYPES ||
        !mth_varint_get(reader, &reference.n_bytes) || !mth_varint_get(reader, &step))
        return MTH_ERR_CORRUPT;
    reference.dtype = (uint32_t)dtype;
    reference.offset = *end + (uint64_t)mth_unzigzag(step);
    if (reference.offset > base->n_bytes || reference.n_bytes > base->n_bytes - reference.offset)
        return MTH_ERR_CORRUPT;
    *end = reference.offset + reference.n_bytes;
    int status = mth_growing_put(memory, &front->text, name, (size_t)n_name);
    if (!status)
        status = mth_growing_put(memory, &front->text, "", 1);
    if (!status)
        status = mth_array_reserve(memory, &front->references, &front->references_capacity,
                                   front->n_references + 1, sizeof reference);
    if (!status)
        front->references[front->n_references++] = reference;
    return status;
}

/* The references of the base once more, in the older one. */
static int repeat_references(struct mth_memory *memory, struct mth_container_front *front, uint64_t n_entries)
{
    size_t n = front->n_of_base;
    if (front->n_references != n || n_entries != n)
        return MTH_ERR_CORRUPT;
    int status = mth_array_reserve(memory, &front->references, &front->references_capacity, 2 * n,
                                   sizeof *front->references);
    for (size_t i = 0; !status && i < n; i++) {
        struct mth_reference reference = front->references[i];
        if (reference.offset > front->older.n_bytes ||
            reference.n_bytes > front->older.n_bytes - reference.offset)
            return MTH_ERR_CORRUPT;
        front->references[front->n_references++] = reference;
    }
    return status;
}

static int unpack_page(struct mth_memory *memory, struct mth_bytes coded, uint8_t *dst, size_t n_bytes)
{
    int64_t options[MTH_MAX_OPTIONS];
    const struct mth_codec *codec = page_codec(options);
    void *state;
    if (!codec)
        return MTH_ERR_UNSUPPORTED;
    int status = codec->create(options, MTH_SIDE_DECODE, memory, &state);
    if (status)
        return status;
    struct mth_decode_job job = {
        .src = coded, .type = mth_symbol_type_of(MTH_DTYPE_OPAQUE), .dst = dst, .dst_bytes = n_bytes};
    status = codec->decode(state, &job, 1);
    codec->destroy(state);
    return status;
}

int mth_references_read(struct mth_memory *memory, struct mth_container_front *front, struct mth_bytes body)
{
    struct mth_reader reader = {body.data, body.data + body.n_bytes};
    uint64_t base, n_entries, n_bytes, end = 0;
    if (!front->has_base || !mth_varint_get(&reader, &base) || base > front->has_older ||
        !mth_varint_get(&reader, &n_entries) || !mth_varint_get(&reader, &n_bytes) || reader.at == reader.end)
        return MTH_ERR_CORRUPT;
    /* Those of the base come first. */
    if (base == 0 && front->n_references > front->n_of_base)
        return MTH_ERR_CORRUPT;
    size_t first = base ? front->n_of_base : 0;
    uint8_t coding = *reader.at++;
    if (coding == CODING_AS_BASE && base && n_bytes == 0 && reader.at == reader.end)
        return repeat_references(memory, front, n_entries);
    struct mth_bytes data = {reader.at, (size_t)(reader.end - reader.at)};
    uint8_t *page = NULL;
    int status = MTH_OK;
    if (coding == CODING_ZSTD) {
        if (n_bytes / PAGE_MAX_EXPANSION >= data.n_bytes)
            return MTH_ERR_CORRUPT;
        page = mth_memory_alloc(memory, (size_t)n_bytes);
        status = page ? unpack_page(memory, data, page, (size_t)n_bytes) : MTH_ERR_NO_MEMORY;
        data = (struct mth_bytes){page, (size_t)n_bytes};
    } else if (coding != CODING_STORED || n_bytes != data.n_bytes) {
        return MTH_ERR_CORRUPT;
    }
    /* Offsets run on from page to page. */
    if (front->n_references > first) {
        const struct mth_reference *last = &front->references[front->n_references - 1];
        end = last->offset + last->n_bytes;
    }
    reader = (struct mth_reader){data.data, data.data + data.n_bytes};
    for (uint64_t i = 0; !status && i < n_entries; i++)
        status = read_reference(memory, front, base ? &front->older : &front->base, &reader, &end);
    if (base == 0)
        front->n_of_base = front->n_references;
    if (!status && reader.at != reader.end)
        status = MTH_ERR_CORRUPT;
    mth_memory_free(memory, page);
    return status;
}
