/* The front of a container: specs, models, bases and the layout; see container.h. */
#include "pipeline/container.h"

#include "base/checked.h"

#include <string.h>

enum { BASE_HAS_DIGEST = 1 };

void mth_front_free(struct mth_memory *memory, struct mth_container_front *front)
{
    mth_memory_free(memory, front->references);
    mth_memory_free(memory, front->text.data);
    mth_layout_free(&front->layout);
    *front = (struct mth_container_front){0};
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

int mth_front_write_bases(struct mth_block_writer *writer, struct mth_memory *memory,
                          const struct mth_base_use *use, const struct mth_base_use *older,
                          struct mth_error *err)
{
    int status = write_base_block(writer, memory, use, err);
    if (!status && older)
        status = write_base_block(writer, memory, older, err);
    return status ? status : mth_references_write(writer, memory, use, older, err);
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
                                            : mth_references_read(coder->memory, front, body);
    if (status)
        return mth_error_set(err, status, "its %s is damaged: %s", is_layout ? "layout" : names[block->type],
                             mth_status_text(status));
    return MTH_OK;
}
