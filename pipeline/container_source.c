/* A container read at offsets: trailer, root and pages lead to the bundles that cover a range; see mithril.h. */
#include "pipeline/container_at.h"

#include "base/checked.h"

#include <string.h>

enum { EXTRA_SLOTS = 2 };

/* ---- opening ---- */

static int read_root(struct mth_container *container, struct mth_error *err)
{
    const struct mth_source *source = container->source;
    uint8_t trailer[MTH_TRAILER_BYTES], head[MTH_BLOCK_HEAD_BYTES];
    uint64_t end = source->n_bytes - MTH_TRAILER_BYTES, root_offset;
    struct mth_block block;
    if (source->n_bytes < MTH_HEAD_BYTES + MTH_BLOCK_HEAD_BYTES + MTH_TRAILER_BYTES)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "is too short for a container");
    int status = mth_source_read(source, end, trailer, sizeof trailer, err);
    if (!status)
        status = mth_trailer_get(trailer, end, &root_offset, err);
    if (status)
        return status;
    if (root_offset < MTH_HEAD_BYTES || root_offset > end - sizeof head)
        return mth_error_set(err, MTH_ERR_CORRUPT, "the trailer points outside the file");
    status = mth_source_read(source, root_offset, head, sizeof head, err);
    if (!status)
        status = mth_block_get_head(head, &block, err);
    if (status)
        return status;
    if (block.type != MTH_BLOCK_ROOT || block.n_bytes != end - root_offset - sizeof head)
        return mth_error_set(err, MTH_ERR_CORRUPT, "there is no root where the trailer points");
    uint8_t *body = mth_memory_alloc(container->memory, block.n_bytes);
    if (!body)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the root");
    status = mth_source_read(source, root_offset + sizeof head, body, block.n_bytes, err);
    if (!status) {
        struct mth_bytes bytes = {body, block.n_bytes};
        if (!mth_block_matches(&block, bytes, 0))
            status = MTH_ERR_CHECKSUM;
        else
            status = mth_root_get(bytes, &container->reader.head, root_offset, container->memory,
                                  &container->reader.root, &container->places, &container->n_places);
        /* A block taken for the end of the front would hide those behind it. */
        if (!status && container->reader.root.front_end != container->reader.index.front_end)
            status = MTH_ERR_CORRUPT;
        if (status)
            mth_error_set(err, status, "the root is damaged: %s", mth_status_text(status));
    }
    mth_memory_free(container->memory, body);
    return status;
}

static int open_container(struct mth_container *container, const struct mth_stream_config *config,
                          struct mth_error *err)
{
    struct mth_coder_config coder_config = {.n_threads = config->n_threads, .memory = config->memory};
    for (size_t i = 0; i < MTH_CACHED_PAGES; i++)
        container->pages[i].number = SIZE_MAX;
    container->reader.memory = container->reader.index.memory = container->memory;
    int status = mth_coder_create_driven(&coder_config, &container->coder, err);
    if (status)
        return status;
    mth_input_source(container->source, &container->input);
    status = mth_container_reader_open(&container->reader, container->coder, &container->input, err);
    if (!status)
        status = read_root(container, err);
    if (status)
        return status;
    container->decoder = (struct mth_bundle_decoder){.coder = container->coder,
                                                     .front = &container->reader.front,
                                                     .chunk_bytes = container->reader.head.chunk_bytes,
                                                     .without_base = true};
    container->n_slots = config->n_threads + EXTRA_SLOTS;
    container->slots = mth_memory_calloc(container->memory, container->n_slots, sizeof *container->slots);
    container->worker_busy =
        mth_memory_calloc(container->memory, config->n_threads, sizeof *container->worker_busy);
    if (!container->slots || !container->worker_busy || mth_bundle_workers(container->coder))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a container");
    return MTH_OK;
}

int mth_container_open(const struct mth_source *source, const struct mth_stream_config *config,
                       struct mth_container **out, struct mth_error *err)
{
    struct mth_container *container = mth_memory_calloc(config->memory, 1, sizeof *container);
    if (!container)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a container");
    container->source = source;
    container->memory = config->memory;
    pthread_mutex_init(&container->lock, NULL);
    pthread_cond_init(&container->changed, NULL);
    int status = open_container(container, config, err);
    if (status) {
        mth_container_close(container);
        return status;
    }
    *out = container;
    return MTH_OK;
}

void mth_container_close(struct mth_container *container)
{
    if (!container)
        return;
    for (size_t i = 0; i < MTH_CACHED_PAGES; i++)
        mth_memory_free(container->memory, container->pages[i].body);
    for (size_t i = 0; container->slots && i < container->n_slots; i++) {
        mth_memory_free(container->memory, container->slots[i].bytes);
        mth_memory_free(container->memory, container->slots[i].missing);
    }
    mth_memory_free(container->memory, container->slots);
    mth_memory_free(container->memory, container->worker_busy);
    mth_memory_free(container->memory, container->places);
    mth_base_reader_free(&container->base);
    mth_container_reader_free(&container->reader);
    mth_coder_destroy(container->coder);
    pthread_cond_destroy(&container->changed);
    pthread_mutex_destroy(&container->lock);
    mth_memory_free(container->memory, container);
}

void mth_container_describe(const struct mth_container *container, struct mth_container_info *info)
{
    const struct mth_container_front *front = &container->reader.front;
    *info = (struct mth_container_info){.version = container->reader.head.version,
                                        .raw_bytes = container->reader.head.raw_bytes,
                                        .stored_bytes = container->source->n_bytes,
                                        .n_bundles = container->reader.root.n_bundles,
                                        .chunk_bytes = container->reader.head.chunk_bytes,
                                        .has_base = front->has_base,
                                        .base_bytes = front->base.n_bytes,
                                        .base_has_digest = front->base.has_digest,
                                        .has_older = front->has_older,
                                        .older_bytes = front->older.n_bytes,
                                        .older_has_digest = front->older.has_digest,
                                        .n_references = front->n_references,
                                        .n_specs = front->n_specs,
                                        .attributes = container->reader.root.attributes,
                                        .loss = container->reader.root.loss};
    memcpy(info->digest, container->reader.root.digest.bytes, sizeof info->digest);
    memcpy(info->base_digest, front->base.digest.bytes, sizeof info->base_digest);
    memcpy(info->older_digest, front->older.digest.bytes, sizeof info->older_digest);
}

const char *mth_container_spec(const struct mth_container *container, size_t index)
{
    return container->reader.front.specs[index]->pipeline->text;
}

int mth_container_set_base(struct mth_container *container, const struct mth_stream_base *base,
                           struct mth_error *err)
{
    if (!container->reader.front.has_base)
        return mth_error_set(err, MTH_ERR_BASE, "was coded without a base");
    mth_base_reader_free(&container->base);
    for (size_t i = 0; i < container->n_slots; i++)
        container->slots[i].n_bytes = 0;
    int status =
        mth_base_reader_find(&container->reader.front, base, container->memory, &container->base, err);
    /* After one that does not fit another may be tried, or none. */
    if (status)
        mth_base_reader_free(&container->base);
    container->decoder.base = &container->base;
    container->decoder.without_base = status != MTH_OK;
    return status;
}

/* ---- decoded bundles ---- */

/* What of a bundle was not restored, because there is no base. */
static int note_missing(struct mth_memory *memory, const struct mth_bundle *bundle,
                        struct mth_decoded_bundle *slot)
{
    for (size_t i = 0; i < bundle->n_chunks; i++) {
        const struct mth_bundle_chunk *chunk = &bundle->chunks[i];
        if (!chunk->has_reference)
            continue;
        int status = mth_array_reserve(memory, &slot->missing, &slot->missing_capacity,
                                       slot->n_missing + chunk->n_segments, sizeof *slot->missing);
        if (status)
            return status;
        for (uint32_t s = chunk->first; s != MTH_NO_SEGMENT; s = bundle->segments[s].next)
            slot->missing[slot->n_missing++] = (struct mth_missing_range){
                .at = bundle->segments[s].at, .n_bytes = bundle->segments[s].n_bytes};
    }
    return MTH_OK;
}

static bool is_missing(const struct mth_decoded_bundle *slot, uint64_t at, size_t n_bytes)
{
    for (size_t i = 0; i < slot->n_missing; i++) {
        const struct mth_missing_range *missing = &slot->missing[i];
        if (missing->at < at + n_bytes && at < (uint64_t)missing->at + missing->n_bytes)
            return true;
    }
    return false;
}

static int decode(struct mth_container *container, size_t worker_index, const struct mth_bundle_place *place,
                  struct mth_decoded_bundle *slot, struct mth_error *err)
{
    struct mth_memory *memory = container->memory;
    struct mth_bundle_lane *lane = &container->coder->bundle_workers[worker_index].lanes[0];
    struct mth_block block;
    if (place->n_block < MTH_BLOCK_HEAD_BYTES || place->n_raw > container->decoder.chunk_bytes ||
        place->block_offset > container->source->n_bytes ||
        place->n_block > container->source->n_bytes - place->block_offset)
        return mth_error_set(err, MTH_ERR_CORRUPT, "the index points outside the file");
    int status = mth_array_reserve(memory, &lane->block, &lane->block_capacity, place->n_block, 1);
    if (!status)
        status = mth_array_reserve(memory, &slot->bytes, &slot->capacity, place->n_raw, 1);
    if (status)
        return mth_error_set(err, status, "no memory for a bundle");
    status = mth_source_read(container->source, place->block_offset, lane->block, place->n_block, err);
    if (!status)
        status = mth_block_get_head(lane->block, &block, err);
    if (status)
        return status;
    struct mth_bytes body = {lane->block + MTH_BLOCK_HEAD_BYTES, place->n_block - MTH_BLOCK_HEAD_BYTES};
    if (block.type != MTH_BLOCK_BUNDLE || block.n_bytes != body.n_bytes ||
        !mth_block_matches(&block, body, place->number))
        return mth_error_set(err, MTH_ERR_CHECKSUM, "the bundle at byte %llu of the original is damaged",
                             (unsigned long long)place->offset);
    status = mth_bundle_parse(&container->decoder, body, place->offset, &lane->bundle, err);
    if (status)
        return status;
    if (lane->bundle.n_bytes != place->n_raw || lane->bundle.leaf != place->leaf)
        return mth_error_set(err, MTH_ERR_CORRUPT, "a bundle is not the one that the index means");
    struct mth_bundle_job job = {.bundle = &lane->bundle, .dst = slot->bytes};
    status = mth_bundle_decode(&container->decoder, worker_index, &job, 1, err);
    slot->n_missing = 0;
    if (!status && job.skipped && note_missing(memory, &lane->bundle, slot))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a bundle");
    return status;
}

static struct mth_decoded_bundle *find_slot(struct mth_container *container, uint64_t offset)
{
    for (size_t i = 0; i < container->n_slots; i++) {
        struct mth_decoded_bundle *slot = &container->slots[i];
        if (slot->n_bytes && slot->offset <= offset && offset - slot->offset < slot->n_bytes)
            return slot;
    }
    return NULL;
}

/* The slot that was not used for the longest time, NULL when all are in use. */
static struct mth_decoded_bundle *free_slot(struct mth_container *container)
{
    struct mth_decoded_bundle *best = NULL;
    for (size_t i = 0; i < container->n_slots; i++) {
        struct mth_decoded_bundle *slot = &container->slots[i];
        if (slot->n_readers == 0 && !slot->loading && (!best || slot->last_use < best->last_use))
            best = slot;
    }
    return best;
}

/* A worker that nobody uses; n_threads when all are in use. */
static size_t free_worker(const struct mth_container *container)
{
    size_t i = 0;
    while (i < container->coder->n_threads && container->worker_busy[i])
        i++;
    return i;
}

/* Decodes the bundle of a byte into a slot. Called with the lock held, which it lets go meanwhile. */
static int load(struct mth_container *container, uint64_t offset, struct mth_decoded_bundle *slot,
                size_t worker_index, struct mth_error *err)
{
    struct mth_bundle_place place;
    slot->n_bytes = 0;
    int status = mth_container_find_bundle(container, offset, &place, err);
    if (status)
        return status;
    /* From here on others wait for this slot rather than decode the same bundle. */
    slot->offset = place.offset;
    slot->n_bytes = place.n_raw;
    slot->loading = true;
    container->worker_busy[worker_index] = true;
    pthread_mutex_unlock(&container->lock);
    status = decode(container, worker_index, &place, slot, err);
    pthread_mutex_lock(&container->lock);
    container->worker_busy[worker_index] = false;
    slot->loading = false;
    if (status)
        slot->n_bytes = 0;
    pthread_cond_broadcast(&container->changed);
    return status;
}

/* The slot of a byte's bundle, decoded, with this reader counted. */
static int take_slot(struct mth_container *container, uint64_t offset, struct mth_decoded_bundle **out,
                     struct mth_error *err)
{
    int status = MTH_OK;
    pthread_mutex_lock(&container->lock);
    for (;;) {
        struct mth_decoded_bundle *slot = find_slot(container, offset);
        if (slot && !slot->loading) {
            slot->n_readers++;
            slot->last_use = ++container->clock;
            *out = slot;
            break;
        }
        struct mth_decoded_bundle *empty = free_slot(container);
        size_t worker_index = free_worker(container);
        if (slot || !empty || worker_index == container->coder->n_threads) {
            pthread_cond_wait(&container->changed, &container->lock);
            continue;
        }
        status = load(container, offset, empty, worker_index, err);
        if (status)
            break;
    }
    pthread_mutex_unlock(&container->lock);
    return status;
}

static int read_original(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    struct mth_container *container = state;
    uint8_t *out = dst;
    while (n_bytes > 0) {
        struct mth_decoded_bundle *slot;
        struct mth_error inner = {0};
        uint64_t n_run, place = mth_layout_to_place(&container->reader.front.layout, offset, &n_run);
        int status = take_slot(container, place, &slot, &inner);
        if (status)
            return mth_error_set(err, status, "%s: %s", container->source->name, inner.text);
        uint64_t inside = place - slot->offset;
        size_t n = mth_size_min(n_bytes, slot->n_bytes - (size_t)inside);
        n = (size_t)mth_u64_min(n, n_run);
        if (is_missing(slot, inside, n))
            status = mth_error_set(
                err, MTH_ERR_BASE, "%s: was coded against a base of %llu bytes; give it with --base",
                container->source->name, (unsigned long long)container->reader.front.base.n_bytes);
        else
            memcpy(out, slot->bytes + inside, n);
        pthread_mutex_lock(&container->lock);
        slot->n_readers--;
        pthread_cond_broadcast(&container->changed);
        pthread_mutex_unlock(&container->lock);
        if (status)
            return status;
        out += n;
        offset += n;
        n_bytes -= n;
    }
    return MTH_OK;
}

void mth_container_source(struct mth_container *container, struct mth_source *source)
{
    *source = (struct mth_source){.name = container->source->name,
                                  .n_bytes = container->reader.head.raw_bytes,
                                  .fd = -1,
                                  .read = read_original,
                                  .state = container};
}
