/* The front of a container: specs, models, the base and what of it is referred to; see container.h. */
#include "pipeline/container.h"

#include "base/checked.h"

#include <string.h>

enum {
    BASE_HAS_DIGEST = 1,
    CODING_STORED = 0,
    CODING_ZSTD = 1,
    CODING_AS_BASE =
        2, /* of the older base: all references of the base, with its names, dtypes, sizes and offsets */
    PAGE_MAX_EXPANSION = 256, /* of a coded page of references */
    MAX_NAME_BYTES = 1 << 16
};

void mth_front_free(struct mth_memory *memory, struct mth_container_front *front)
{
    mth_memory_free(memory, front->references);
    mth_memory_free(memory, front->text.data);
    mth_layout_free(&front->layout);
    *front = (struct mth_container_front){0};
}

/* The codec that packs pages of references, with its defaults. */
static const struct mth_codec *page_codec(int64_t options[MTH_MAX_OPTIONS])
{
    const struct mth_codec *codec = mth_codec_find("zstd", 4);
    if (codec)
        mth_option_defaults(codec->options, codec->n_options, options);
    return codec;
}

/* ---- writing ---- */

static int write_model(struct mth_block_writer *writer, struct mth_memory *memory, const uint64_t key[3],
                       const struct mth_codec *codec, const void *model, struct mth_error *err)
{
    struct mth_growing body = {0};
    int status = MTH_OK;
    for (size_t i = 0; !status && i < 3; i++)
        status = mth_growing_put_varint(memory, &body, key[i]);
    if (!status)
        status = mth_growing_reserve(memory, &body, codec->models->wire_bound);
    struct mth_buffer wire = {.data = body.data + body.n_bytes, .capacity_bytes = codec->models->wire_bound};
    if (!status)
        status = codec->models->write(model, &wire);
    if (status)
        mth_error_set(err, status, "a model could not be written: %s", mth_status_text(status));
    else
        status = mth_block_write(writer, MTH_BLOCK_MODEL, writer->n_front++,
                                 (struct mth_bytes){body.data, body.n_bytes + wire.n_bytes}, err);
    mth_memory_free(memory, body.data);
    return status;
}

int mth_front_write_specs(struct mth_block_writer *writer, struct mth_coder *coder,
                          struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS],
                          const struct mth_spec_numbers *numbers, struct mth_error *err)
{
    int status = MTH_OK;
    for (size_t i = 0; !status && i < MTH_N_PLAN_SPECS; i++) {
        if (numbers->of[i] == UINT32_MAX)
            continue;
        const char *text = specs[i]->pipeline->text;
        status = mth_block_write(writer, MTH_BLOCK_SPEC, writer->n_front++,
                                 (struct mth_bytes){(const uint8_t *)text, strlen(text)}, err);
    }
    for (size_t i = 0; !status && i < coder->n_models; i++) {
        const struct mth_coder_models *set = &coder->models[i];
        const struct mth_node *leaves[MTH_MAX_LEAVES];
        mth_pipeline_leaves(specs[set->spec]->pipeline, mth_symbol_type_of(set->dtype), leaves);
        for (size_t leaf = 0; !status && leaf < MTH_MAX_LEAVES; leaf++) {
            const uint64_t key[3] = {numbers->of[set->spec], (uint64_t)set->dtype, leaf};
            if (set->models.model[leaf])
                status = write_model(writer, coder->memory, key, leaves[leaf]->codec, set->models.model[leaf],
                                     err);
        }
    }
    return status;
}

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

static int write_base_block(struct mth_block_writer *writer, struct mth_memory *memory,
                            const struct mth_base_use *use, struct mth_error *err)
{
    struct mth_growing body = {0};
    uint8_t tail[1 + sizeof use->digest.bytes] = {use->has_digest ? BASE_HAS_DIGEST : 0};
    if (use->has_digest)
        memcpy(tail + 1, use->digest.bytes, sizeof use->digest.bytes);
    int status = mth_growing_put_varint(memory, &body, use->n_bytes);
    if (!status)
        status = mth_growing_put(memory, &body, tail, sizeof tail);
    if (status)
        mth_error_set(err, status, "no memory");
    else
        status = mth_block_write(writer, MTH_BLOCK_BASE, writer->n_front++,
                                 (struct mth_bytes){body.data, body.n_bytes}, err);
    mth_memory_free(memory, body.data);
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

int mth_front_write_bases(struct mth_block_writer *writer, struct mth_memory *memory,
                          const struct mth_base_use *use, const struct mth_base_use *older,
                          struct mth_error *err)
{
    int status = write_base_block(writer, memory, use, err);
    if (!status && older)
        status = write_base_block(writer, memory, older, err);
    if (!status)
        status = write_references(writer, memory, 0, use, err);
    if (status || !older)
        return status;
    return older->n_references && same_references(use, older)
               ? write_same_references(writer, older->n_references, err)
               : write_references(writer, memory, 1, older, err);
}

int mth_front_write_layout(struct mth_block_writer *writer, const struct mth_layout *layout,
                           struct mth_index *index, struct mth_error *err)
{
    struct mth_growing body = {0};
    uint64_t end = 0;
    if (layout->n_families == 0)
        return MTH_OK;
    int status = mth_growing_put_varint(layout->memory, &body, layout->n_families);
    for (size_t f = 0; !status && f < layout->n_families; f++) {
        const struct mth_layout_family *family = &layout->families[f];
        const uint64_t fields[] = {family->n_members, family->n_elems, family->piece_elems};
        for (size_t i = 0; !status && i < sizeof fields / sizeof fields[0]; i++)
            status = mth_growing_put_varint(layout->memory, &body, fields[i]);
        for (uint32_t i = 0; !status && i < family->n_members; i++) {
            const struct mth_layout_member *member = &layout->members[family->first_member + i];
            status = mth_growing_put_varint(layout->memory, &body, member->elem_bytes);
            if (!status)
                status = mth_growing_put_varint(layout->memory, &body,
                                                mth_zigzag((int64_t)(member->offset - end)));
            end = member->offset + family->n_elems * member->elem_bytes;
        }
    }
    if (!status)
        mth_hash_stream_update(index->leaves, body.data, body.n_bytes);
    if (status)
        mth_error_set(err, status, "no memory for the layout");
    else if (body.n_bytes > MTH_MAX_FRONT_BLOCK_BYTES)
        status = mth_error_set(err, MTH_ERR_LIMIT, "too many tensors are predicted from each other");
    else
        status = mth_block_write(writer, MTH_BLOCK_LAYOUT, writer->n_front++,
                                 (struct mth_bytes){body.data, body.n_bytes}, err);
    mth_memory_free(layout->memory, body.data);
    return status;
}

/* ---- reading ---- */

static int read_spec(struct mth_coder *coder, struct mth_container_front *front, struct mth_bytes body,
                     struct mth_error *err)
{
    char text[MTH_SPEC_TEXT_BYTES];
    if (front->n_specs == MTH_MAX_CONTAINER_SPECS)
        return mth_error_set(err, MTH_ERR_CORRUPT, "has more than %d specs", MTH_MAX_CONTAINER_SPECS);
    if (body.n_bytes == 0 || body.n_bytes >= sizeof text || memchr(body.data, '\0', body.n_bytes))
        return mth_error_set(err, MTH_ERR_CORRUPT, "has a spec that is none");
    memcpy(text, body.data, body.n_bytes);
    text[body.n_bytes] = '\0';
    struct mth_coder_spec **spec = &front->specs[front->n_specs];
    int status = mth_coder_take_spec(coder, text, spec, err);
    if (status == MTH_ERR_SPEC)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "needs the spec '%.200s', which is not known here",
                             text);
    if (status)
        return status;
    front->n_specs++;
    front->n_lanes = (*spec)->pipeline->interleaves ? MTH_MAX_BATCH : front->n_lanes;
    return MTH_OK;
}

static int read_model(struct mth_coder *coder, const struct mth_container_front *front, struct mth_bytes body)
{
    struct mth_reader reader = {body.data, body.data + body.n_bytes};
    const struct mth_node *leaves[MTH_MAX_LEAVES];
    uint64_t spec, dtype, leaf;
    if (!mth_varint_get(&reader, &spec) || spec >= front->n_specs || !mth_varint_get(&reader, &dtype) ||
        dtype >= MTH_N_DTYPES || !mth_varint_get(&reader, &leaf))
        return MTH_ERR_CORRUPT;
    struct mth_symbol_type type = mth_symbol_type_of((enum mth_dtype)dtype);
    const struct mth_pipeline *pipeline = front->specs[spec]->pipeline;
    if (!mth_pipeline_accepts(pipeline, type) || leaf >= mth_pipeline_leaves(pipeline, type, leaves) ||
        !leaves[leaf]->codec->models)
        return MTH_ERR_CORRUPT;
    const struct mth_model_ops *ops = leaves[leaf]->codec->models;
    struct mth_coder_models *set = NULL;
    for (size_t i = 0; i < coder->n_models; i++) {
        if (coder->models[i].spec == spec && coder->models[i].dtype == (enum mth_dtype)dtype)
            set = &coder->models[i];
    }
    int status = set ? MTH_OK : mth_coder_add_models(coder, (uint32_t)spec, (enum mth_dtype)dtype, &set);
    if (status)
        return status;
    if (set->models.model[leaf])
        return MTH_ERR_CORRUPT;
    void *model = mth_memory_calloc(coder->memory, 1, ops->model_bytes);
    if (!model)
        return MTH_ERR_NO_MEMORY;
    set->models.model[leaf] = model;
    struct mth_bytes wire = {reader.at, (size_t)(reader.end - reader.at)};
    return ops->read(leaves[leaf]->options, wire, model) ? MTH_ERR_CORRUPT : MTH_OK;
}

static int read_base(struct mth_container_front *front, struct mth_bytes body, struct mth_error *err)
{
    struct mth_reader reader = {body.data, body.data + body.n_bytes};
    struct mth_front_base *base = front->has_base ? &front->older : &front->base;
    if (front->has_older)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "needs more than two bases; this program takes two");
    if (!mth_varint_get(&reader, &base->n_bytes) ||
        (size_t)(reader.end - reader.at) != 1 + sizeof base->digest.bytes || *reader.at > BASE_HAS_DIGEST)
        return mth_error_set(err, MTH_ERR_CORRUPT, "what it says of its base is damaged");
    front->has_older = front->has_base;
    front->has_base = true;
    base->has_digest = *reader.at == BASE_HAS_DIGEST;
    memcpy(base->digest.bytes, reader.at + 1, sizeof base->digest.bytes);
    return MTH_OK;
}

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

static int read_references(struct mth_memory *memory, struct mth_container_front *front,
                           struct mth_bytes body)
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

/* Whether it fits the file is known when all is read: mth_layout_finish. */
static int read_layout(struct mth_memory *memory, struct mth_layout *layout, struct mth_bytes body)
{
    struct mth_reader reader = {body.data, body.data + body.n_bytes};
    uint64_t n_families, n_members, n_elems, piece_elems, elem_bytes, step, end = 0;
    if (layout->n_families || !mth_varint_get(&reader, &n_families) || n_families == 0)
        return MTH_ERR_CORRUPT;
    layout->memory = memory;
    for (uint64_t f = 0; f < n_families; f++) {
        if (!mth_varint_get(&reader, &n_members) || n_members > MTH_MAX_FAMILY_MEMBERS ||
            !mth_varint_get(&reader, &n_elems) || !mth_varint_get(&reader, &piece_elems) ||
            piece_elems > UINT32_MAX)
            return MTH_ERR_CORRUPT;
        int status = mth_layout_add_family(layout, n_elems, (uint32_t)piece_elems);
        for (uint64_t i = 0; !status && i < n_members; i++) {
            if (!mth_varint_get(&reader, &elem_bytes) || elem_bytes > 8 || !mth_varint_get(&reader, &step))
                return MTH_ERR_CORRUPT;
            uint64_t offset = end + (uint64_t)mth_unzigzag(step);
            status = mth_layout_add_member(layout, offset, (uint32_t)elem_bytes);
            end = offset + n_elems * elem_bytes;
        }
        if (status)
            return status;
    }
    return reader.at == reader.end ? MTH_OK : MTH_ERR_CORRUPT;
}

int mth_front_read_block(struct mth_coder *coder, struct mth_container_front *front,
                         const struct mth_block *block, struct mth_bytes body, struct mth_error *err)
{
    static const char *const names[] = {"", "spec", "model", "base", "reference table"};
    int status;
    bool is_layout = block->type == MTH_BLOCK_LAYOUT;
    if (block->type < front->last_type || (block->type > MTH_BLOCK_REFERENCES && !is_layout))
        return mth_error_set(err, MTH_ERR_CORRUPT, "has its blocks in an order that none has");
    if (front->last_type == 0) {
        mth_coder_trim_cache(coder, MTH_MAX_CONTAINER_SPECS);
        mth_coder_free_models(coder);
    }
    front->last_type = block->type;
    if (block->type == MTH_BLOCK_SPEC)
        return read_spec(coder, front, body, err);
    if (block->type == MTH_BLOCK_BASE)
        return read_base(front, body, err);
    status = block->type == MTH_BLOCK_MODEL ? read_model(coder, front, body)
             : is_layout                    ? read_layout(coder->memory, &front->layout, body)
                                            : read_references(coder->memory, front, body);
    if (status)
        return mth_error_set(err, status, "its %s is damaged: %s", is_layout ? "layout" : names[block->type],
                             mth_status_text(status));
    return MTH_OK;
}
