/* Writing and reading frames; see frame.h and docs/frame.md. */
#include "pipeline/frame.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t magic[4] = {'M', 'T', 'H', 'F'};

enum { FLAG_BASE = 1 };

void mth_frame_put_head(uint8_t out[MTH_FRAME_HEAD_BYTES])
{
    memset(out, 0, MTH_FRAME_HEAD_BYTES);
    memcpy(out, magic, sizeof magic);
    out[4] = MTH_FRAME_VERSION;
}

void mth_frame_put_trailer(struct mth_bytes index, uint8_t out[MTH_FRAME_TRAILER_BYTES])
{
    mth_store64(out, index.n_bytes);
    mth_store64(out + 8, mth_hash64(index.data, index.n_bytes, index.n_bytes));
}

/* A writer that remembers its first failure. */
struct writer {
    struct mth_memory *memory;
    struct mth_growing *out;
    int status;
};

static void put(struct writer *w, const void *data, size_t n_bytes)
{
    if (!w->status)
        w->status = mth_growing_put(w->memory, w->out, data, n_bytes);
}

static void put_number(struct writer *w, uint64_t value)
{
    if (!w->status)
        w->status = mth_growing_put_varint(w->memory, w->out, value);
}

static void put_specs(struct writer *w, struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS],
                      const uint32_t number_of[MTH_N_PLAN_SPECS], size_t n_used)
{
    put_number(w, n_used);
    for (size_t i = 0; i < MTH_N_PLAN_SPECS; i++) {
        if (number_of[i] == UINT32_MAX)
            continue;
        const char *text = specs[i]->pipeline->text;
        put_number(w, strlen(text));
        put(w, text, strlen(text));
    }
}

static void put_model(struct writer *w, const struct mth_codec *codec, const void *model)
{
    struct mth_buffer wire = {.capacity_bytes = codec->models->wire_bound};
    if (w->status)
        return;
    wire.data = mth_memory_alloc(w->memory, wire.capacity_bytes);
    w->status = wire.data ? codec->models->write(model, &wire) : MTH_ERR_NO_MEMORY;
    put_number(w, wire.n_bytes);
    put(w, wire.data, wire.n_bytes);
    mth_memory_free(w->memory, wire.data);
}

static void put_models(struct writer *w, const struct mth_coder *coder,
                       struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS],
                       const uint32_t number_of[MTH_N_PLAN_SPECS])
{
    size_t n_models = 0;
    for (size_t i = 0; i < coder->n_models; i++) {
        for (size_t leaf = 0; leaf < MTH_MAX_LEAVES; leaf++)
            n_models += coder->models[i].models.model[leaf] != NULL;
    }
    put_number(w, n_models);
    for (size_t i = 0; i < coder->n_models; i++) {
        const struct mth_coder_models *set = &coder->models[i];
        const struct mth_node *leaves[MTH_MAX_LEAVES];
        mth_pipeline_leaves(specs[set->spec]->pipeline, mth_symbol_type_of(set->dtype), leaves);
        for (size_t leaf = 0; leaf < MTH_MAX_LEAVES; leaf++) {
            if (!set->models.model[leaf])
                continue;
            put_number(w, number_of[set->spec]);
            put_number(w, (uint64_t)set->dtype);
            put_number(w, leaf);
            put_model(w, leaves[leaf]->codec, set->models.model[leaf]);
        }
    }
}

static void put_units(struct writer *w, const struct mth_plan *plan,
                      const uint32_t number_of[MTH_N_PLAN_SPECS])
{
    uint64_t end = 0, base_end = 0;
    put_number(w, plan->n_units);
    for (size_t u = 0; u < plan->n_units; u++) {
        const struct mth_unit *unit = &plan->units[u];
        put_number(w, (uint64_t)unit->dtype);
        put_number(w, (uint64_t)number_of[unit->spec] << 1 | unit->has_reference);
        put_number(w, unit->n_segments);
        for (size_t s = 0; s < unit->n_segments; s++) {
            const struct mth_segment *segment = &plan->segments[unit->first_segment + s];
            put_number(w, mth_zigzag((int64_t)(segment->offset - end)));
            put_number(w, segment->n_bytes);
            end = segment->offset + segment->n_bytes;
            if (unit->has_reference) {
                put_number(w, mth_zigzag((int64_t)(segment->base_offset - base_end)));
                base_end = segment->base_offset + segment->n_bytes;
            }
        }
    }
}

int mth_frame_put_index(struct mth_coder *coder, const struct mth_frame_head *head,
                        struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS], struct mth_growing *out)
{
    struct writer w = {.memory = coder->memory, .out = out};
    const struct mth_plan *plan = &coder->plan;
    uint32_t number_of[MTH_N_PLAN_SPECS];
    uint8_t flags = head->has_base ? FLAG_BASE : 0;
    uint8_t chunk_log2 = 0;
    uint32_t n_used = 0;

    memset(number_of, 0xff, sizeof number_of);
    for (uint32_t i = 0; i < MTH_N_PLAN_SPECS; i++) {
        bool used = false;
        for (size_t u = 0; u < plan->n_units; u++)
            used |= plan->units[u].spec == i;
        if (used)
            number_of[i] = n_used++;
    }
    while ((size_t)1 << chunk_log2 < plan->chunk_bytes)
        chunk_log2++;
    put_number(&w, head->raw_bytes);
    put(&w, &flags, 1);
    put(&w, head->digest.bytes, sizeof head->digest.bytes);
    if (head->has_base) {
        put_number(&w, head->base_bytes);
        put(&w, head->base_digest.bytes, sizeof head->base_digest.bytes);
    }
    put(&w, &chunk_log2, 1);
    put_specs(&w, specs, number_of, n_used);
    put_models(&w, coder, specs, number_of);
    put_units(&w, plan, number_of);
    return w.status;
}

static bool get_bytes(struct mth_reader *reader, void *dst, size_t n_bytes)
{
    if (n_bytes > (size_t)(reader->end - reader->at))
        return false;
    memcpy(dst, reader->at, n_bytes);
    reader->at += n_bytes;
    return true;
}

int mth_frame_open(struct mth_bytes frame, struct mth_frame_head *head, struct mth_reader *index,
                   struct mth_bytes *payloads, struct mth_error *err)
{
    *head = (struct mth_frame_head){0};
    if (frame.n_bytes < MTH_FRAME_HEAD_BYTES + MTH_FRAME_TRAILER_BYTES)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "a frame has at least %d bytes, this one %zu",
                             MTH_FRAME_HEAD_BYTES + MTH_FRAME_TRAILER_BYTES, frame.n_bytes);
    uint8_t wanted[MTH_FRAME_HEAD_BYTES];
    mth_frame_put_head(wanted);
    if (memcmp(frame.data, wanted, sizeof magic) != 0)
        return mth_error_set(err, MTH_ERR_CORRUPT, "not a mithril frame");
    if (frame.data[4] != MTH_FRAME_VERSION)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "frame version %u is not known here, only version %d",
                             frame.data[4], MTH_FRAME_VERSION);
    if (memcmp(frame.data, wanted, sizeof wanted) != 0)
        return mth_error_set(err, MTH_ERR_CORRUPT, "reserved bytes of the frame's head are not zero");
    const uint8_t *trailer = frame.data + frame.n_bytes - MTH_FRAME_TRAILER_BYTES;
    uint64_t n_index = mth_load64(trailer);
    if (n_index > frame.n_bytes - MTH_FRAME_HEAD_BYTES - MTH_FRAME_TRAILER_BYTES)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "the frame's index would be larger than the frame");
    *index = (struct mth_reader){trailer - n_index, trailer};
    if (!mth_hash64_matches(index->at, (size_t)n_index, n_index, mth_load64(trailer + 8)))
        return mth_error_set(err, MTH_ERR_CHECKSUM,
                             "the checksum of the frame's index differs: the frame is damaged");
    *payloads = (struct mth_bytes){frame.data + MTH_FRAME_HEAD_BYTES,
                                   (size_t)(index->at - frame.data) - MTH_FRAME_HEAD_BYTES};
    uint8_t flags;
    bool good = mth_varint_get(index, &head->raw_bytes) && get_bytes(index, &flags, 1) &&
                flags <= FLAG_BASE && get_bytes(index, head->digest.bytes, sizeof head->digest.bytes);
    if (good && flags == FLAG_BASE) {
        head->has_base = true;
        good = mth_varint_get(index, &head->base_bytes) &&
               get_bytes(index, head->base_digest.bytes, sizeof head->base_digest.bytes);
    }
    return good ? MTH_OK : mth_error_set(err, MTH_ERR_CORRUPT, "the frame's index is damaged");
}

static int read_specs(struct mth_coder *coder, struct mth_reader *index,
                      struct mth_coder_spec *specs[MTH_N_PLAN_SPECS], size_t *n_specs, struct mth_error *err)
{
    uint64_t n, length;
    char text[MTH_SPEC_TEXT_BYTES];
    if (!mth_varint_get(index, &n) || n > MTH_N_PLAN_SPECS)
        return MTH_ERR_CORRUPT;
    mth_coder_trim_cache(coder, (size_t)n);
    for (size_t i = 0; i < n; i++) {
        if (!mth_varint_get(index, &length) || length >= sizeof text ||
            !get_bytes(index, text, (size_t)length))
            return MTH_ERR_CORRUPT;
        text[length] = '\0';
        int status = mth_coder_take_spec(coder, text, &specs[i], err);
        if (status)
            return status == MTH_ERR_SPEC
                       ? mth_error_set(err, MTH_ERR_UNSUPPORTED,
                                       "the frame needs '%.200s', which is not known here", text)
                       : status;
    }
    *n_specs = (size_t)n;
    return MTH_OK;
}

static int read_model(struct mth_coder *coder, struct mth_reader *index,
                      struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS], size_t n_specs)
{
    const struct mth_node *leaves[MTH_MAX_LEAVES];
    uint64_t spec, dtype, leaf, n_wire;
    if (!mth_varint_get(index, &spec) || spec >= n_specs || !mth_varint_get(index, &dtype) ||
        dtype >= MTH_N_DTYPES || !mth_varint_get(index, &leaf) || !mth_varint_get(index, &n_wire) ||
        n_wire > (uint64_t)(index->end - index->at))
        return MTH_ERR_CORRUPT;
    struct mth_symbol_type type = mth_symbol_type_of((enum mth_dtype)dtype);
    const struct mth_pipeline *pipeline = specs[spec]->pipeline;
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
    struct mth_bytes wire = {index->at, (size_t)n_wire};
    index->at += n_wire;
    return ops->read(leaves[leaf]->options, wire, model) ? MTH_ERR_CORRUPT : MTH_OK;
}

static int read_segments(struct mth_coder *coder, const struct mth_frame_head *head, struct mth_reader *index,
                         struct mth_unit *unit, uint64_t n_segments, uint64_t *end, uint64_t *base_end)
{
    unit->first_segment = coder->plan.n_segments;
    for (uint64_t s = 0; s < n_segments; s++) {
        struct mth_segment segment = {.unit_offset = unit->n_bytes};
        uint64_t step, base_step;
        if (!mth_varint_get(index, &step) || !mth_varint_get(index, &segment.n_bytes) || segment.n_bytes == 0)
            return MTH_ERR_CORRUPT;
        segment.offset = *end + (uint64_t)mth_unzigzag(step);
        if (segment.offset > head->raw_bytes || segment.n_bytes > head->raw_bytes - segment.offset ||
            !mth_u64_add(unit->n_bytes, segment.n_bytes, &unit->n_bytes))
            return MTH_ERR_CORRUPT;
        *end = segment.offset + segment.n_bytes;
        if (unit->has_reference) {
            if (!mth_varint_get(index, &base_step))
                return MTH_ERR_CORRUPT;
            segment.base_offset = *base_end + (uint64_t)mth_unzigzag(base_step);
            if (segment.base_offset > head->base_bytes ||
                segment.n_bytes > head->base_bytes - segment.base_offset)
                return MTH_ERR_CORRUPT;
            *base_end = segment.base_offset + segment.n_bytes;
        }
        int status = mth_plan_add_segment(&coder->plan, &segment);
        if (status)
            return status;
        unit->n_segments++;
    }
    return MTH_OK;
}

/* Segments must tile the file: marked in a sorted copy of their offsets, each must begin where one ends. */
static int compare_segments(const void *a, const void *b)
{
    uint64_t x = ((const struct mth_segment *)a)->offset, y = ((const struct mth_segment *)b)->offset;
    return (x > y) - (x < y);
}

static int check_tiling(struct mth_coder *coder, uint64_t raw_bytes)
{
    const struct mth_plan *plan = &coder->plan;
    bool sorted = true;
    uint64_t end = 0;
    for (size_t i = 0; sorted && i < plan->n_segments; i++) {
        sorted = plan->segments[i].offset == end;
        end += plan->segments[i].n_bytes;
    }
    if (sorted)
        return end == raw_bytes ? MTH_OK : MTH_ERR_CORRUPT;
    struct mth_segment *copy = mth_memory_calloc(coder->memory, plan->n_segments, sizeof *copy);
    if (!copy)
        return MTH_ERR_NO_MEMORY;
    memcpy(copy, plan->segments, plan->n_segments * sizeof *copy);
    qsort(copy, plan->n_segments, sizeof *copy, compare_segments);
    end = 0;
    bool tiles = true;
    for (size_t i = 0; tiles && i < plan->n_segments; i++) {
        tiles = copy[i].offset == end;
        end += copy[i].n_bytes;
    }
    mth_memory_free(coder->memory, copy);
    return tiles && end == raw_bytes ? MTH_OK : MTH_ERR_CORRUPT;
}

static int read_units(struct mth_coder *coder, const struct mth_frame_head *head, struct mth_reader *index,
                      struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS], size_t n_specs)
{
    uint64_t n_units, dtype, spec, n_segments, end = 0, base_end = 0;
    int status = mth_varint_get(index, &n_units) ? MTH_OK : MTH_ERR_CORRUPT;
    for (uint64_t u = 0; !status && u < n_units; u++) {
        if (!mth_varint_get(index, &dtype) || dtype >= MTH_N_DTYPES || !mth_varint_get(index, &spec) ||
            spec >> 1 >= n_specs || !mth_varint_get(index, &n_segments) || n_segments == 0)
            return MTH_ERR_CORRUPT;
        struct mth_unit unit = {
            .dtype = (enum mth_dtype)dtype, .spec = (uint32_t)(spec >> 1), .has_reference = spec & 1};
        const struct mth_pipeline *pipeline = specs[unit.spec]->pipeline;
        if ((unit.has_reference && !head->has_base) || (pipeline->needs_base && !unit.has_reference) ||
            !mth_pipeline_accepts(pipeline, mth_symbol_type_of(unit.dtype)))
            return MTH_ERR_CORRUPT;
        status = read_segments(coder, head, index, &unit, n_segments, &end, &base_end);
        if (!status)
            status = mth_plan_add_unit(&coder->plan, &unit);
    }
    return status;
}

int mth_frame_read_plan(struct mth_coder *coder, const struct mth_frame_head *head, struct mth_reader *index,
                        struct mth_coder_spec *specs[MTH_N_PLAN_SPECS], struct mth_error *err)
{
    uint8_t chunk_log2;
    size_t n_specs = 0;
    uint64_t n_models;
    struct mth_error inner = {0};

    coder->plan.n_units = 0;
    coder->plan.n_segments = 0;
    mth_coder_free_models(coder);
    int status = MTH_ERR_CORRUPT;
    if (get_bytes(index, &chunk_log2, 1) && chunk_log2 >= MTH_MIN_CHUNK_LOG2 &&
        chunk_log2 <= MTH_MAX_CHUNK_LOG2)
        status = read_specs(coder, index, specs, &n_specs, &inner);
    if (!status)
        status = mth_varint_get(index, &n_models) ? MTH_OK : MTH_ERR_CORRUPT;
    for (uint64_t i = 0; !status && i < n_models; i++)
        status = read_model(coder, index, specs, n_specs);
    if (!status) {
        coder->plan.chunk_bytes = (size_t)1 << chunk_log2;
        coder->plan.raw_bytes = head->raw_bytes;
        status = read_units(coder, head, index, specs, n_specs);
    }
    if (!status)
        status = check_tiling(coder, head->raw_bytes);
    if (!status)
        status = mth_plan_count_chunks(&coder->plan);
    if (!status)
        return MTH_OK;
    if (inner.status)
        return mth_error_set(err, inner.status, "%s", inner.text);
    return mth_error_set(err, status, "the frame's index is damaged: %s", mth_status_text(status));
}

bool mth_frame_read_chunk(struct mth_reader *index, struct mth_bytes *payloads, struct mth_frame_chunk *chunk)
{
    uint64_t value, n_entry;
    uint8_t checksum[8];
    *chunk = (struct mth_frame_chunk){0};
    if (!mth_varint_get(index, &value) || value >> 1 > payloads->n_bytes || !get_bytes(index, checksum, 8))
        return false;
    chunk->raw = value & 1;
    chunk->checksum = mth_load64(checksum);
    chunk->payload = (struct mth_bytes){payloads->data, (size_t)(value >> 1)};
    payloads->data += value >> 1;
    payloads->n_bytes -= (size_t)(value >> 1);
    if (chunk->raw)
        return true;
    if (!mth_varint_get(index, &n_entry) || n_entry > (uint64_t)(index->end - index->at))
        return false;
    chunk->entry = (struct mth_bytes){index->at, (size_t)n_entry};
    index->at += n_entry;
    return true;
}
