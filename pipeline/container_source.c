/* A container read at offsets: trailer, root and pages lead to the bundles that cover a range; see mithril.h. */
#include "pipeline/container_read.h"

#include "base/checked.h"

#include <string.h>

enum { N_CACHED_PAGES = 4, EXTRA_SLOTS = 2 };

/* A page of the index, as it was read. */
struct cached_page {
    uint8_t *body;
    size_t number; /* SIZE_MAX: none */
    size_t n_entries;
    uint64_t last_use;
};

/* A range of a bundle that only its base could tell. */
struct missing {
    uint32_t at;
    uint32_t n_bytes;
};

/* A decoded bundle. */
struct slot {
    uint8_t *bytes;
    size_t capacity;
    uint64_t offset; /* in the original */
    size_t n_bytes;  /* 0: empty */
    size_t n_readers;
    bool loading;
    uint64_t last_use;
    struct missing *missing; /* when there is no base */
    size_t n_missing, missing_capacity;
};

struct mth_container {
    const struct mth_source *source;
    struct mth_memory *memory;
    struct mth_coder *coder;
    struct mth_input input; /* of the reader */
    struct mth_container_reader reader;
    struct mth_page_place *places;
    size_t n_places;
    struct mth_bundle_decoder decoder;
    struct mth_base_reader base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct cached_page pages[N_CACHED_PAGES];
    struct slot *slots;
    size_t n_slots;
    bool *worker_busy;
    uint64_t clock;
};

/* Where a bundle lies, as the index has it. */
struct place {
    uint64_t number;
    uint64_t offset; /* in the original */
    uint32_t n_raw;
    uint64_t block_offset;
    uint32_t n_block;
    uint64_t leaf;
};

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
    for (size_t i = 0; i < N_CACHED_PAGES; i++)
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
    for (size_t i = 0; i < N_CACHED_PAGES; i++)
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
    *info = (struct mth_container_info){.raw_bytes = container->reader.head.raw_bytes,
                                        .stored_bytes = container->source->n_bytes,
                                        .n_bundles = container->reader.root.n_bundles,
                                        .chunk_bytes = container->reader.head.chunk_bytes,
                                        .has_base = front->has_base,
                                        .base_bytes = front->base_bytes,
                                        .n_references = front->n_references,
                                        .n_specs = front->n_specs,
                                        .attributes = container->reader.root.attributes};
    memcpy(info->digest, container->reader.root.digest.bytes, sizeof info->digest);
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
    container->decoder.base = &container->base;
    container->decoder.without_base = false;
    return status;
}

/* ---- the index; called with the lock held ---- */

/* Does a page say what the places around it say? */
static bool page_fits(const struct mth_container *container, size_t number, const uint8_t *body,
                      size_t n_entries)
{
    uint64_t raw = mth_load64(body), at = mth_load64(body + 8);
    bool last = number + 1 == container->n_places;
    uint64_t end = last ? container->reader.head.raw_bytes : container->places[number + 1].raw_offset;
    if (raw != container->places[number].raw_offset)
        return false;
    for (size_t i = 0; i < n_entries; i++) {
        const uint8_t *entry = body + MTH_PAGE_HEAD_BYTES + i * MTH_PAGE_ENTRY_BYTES;
        uint32_t n_raw = mth_load32(entry);
        if (n_raw == 0 || n_raw > end - raw || !mth_u64_add(at, mth_load32(entry + 4), &at))
            return false;
        raw += n_raw;
    }
    return raw == end && at == container->places[number].offset;
}

static int load_page(struct mth_container *container, size_t number, struct cached_page *page,
                     struct mth_error *err)
{
    uint64_t n_before = (uint64_t)number * MTH_PAGE_ENTRIES, offset = container->places[number].offset;
    uint64_t n_left = container->reader.root.n_bundles - n_before;
    size_t n_entries = n_left < MTH_PAGE_ENTRIES ? (size_t)n_left : MTH_PAGE_ENTRIES;
    size_t n_bytes = MTH_PAGE_HEAD_BYTES + n_entries * MTH_PAGE_ENTRY_BYTES;
    uint8_t head[MTH_BLOCK_HEAD_BYTES];
    struct mth_block block;
    page->number = SIZE_MAX;
    if (!page->body)
        page->body = mth_memory_alloc(container->memory,
                                      MTH_PAGE_HEAD_BYTES + (size_t)MTH_PAGE_ENTRIES * MTH_PAGE_ENTRY_BYTES);
    if (!page->body)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a page of the index");
    int status = mth_source_read(container->source, offset, head, sizeof head, err);
    if (!status)
        status = mth_block_get_head(head, &block, err);
    if (!status && (block.type != MTH_BLOCK_INDEX || block.n_bytes != n_bytes))
        status = mth_error_set(err, MTH_ERR_CORRUPT, "there is no page of the index at byte %llu",
                               (unsigned long long)offset);
    if (!status)
        status = mth_source_read(container->source, offset + sizeof head, page->body, n_bytes, err);
    if (status)
        return status;
    if (!mth_block_matches(&block, (struct mth_bytes){page->body, n_bytes}, number))
        return mth_error_set(err, MTH_ERR_CHECKSUM, "the page of the index at byte %llu is damaged",
                             (unsigned long long)offset);
    if (!page_fits(container, number, page->body, n_entries))
        return mth_error_set(err, MTH_ERR_CORRUPT, "the page of the index at byte %llu does not fit",
                             (unsigned long long)offset);
    page->number = number;
    page->n_entries = n_entries;
    return MTH_OK;
}

static int take_page(struct mth_container *container, size_t number, const struct cached_page **out,
                     struct mth_error *err)
{
    struct cached_page *oldest = &container->pages[0];
    for (size_t i = 0; i < N_CACHED_PAGES; i++) {
        struct cached_page *page = &container->pages[i];
        if (page->number == number) {
            page->last_use = ++container->clock;
            *out = page;
            return MTH_OK;
        }
        if (page->last_use < oldest->last_use)
            oldest = page;
    }
    oldest->last_use = ++container->clock;
    *out = oldest;
    return load_page(container, number, oldest, err);
}

/* The bundle that holds a byte of the original. */
static int find_bundle(struct mth_container *container, uint64_t offset, struct place *place,
                       struct mth_error *err)
{
    const struct cached_page *page;
    size_t low = 0, high = container->n_places;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (container->places[middle].raw_offset <= offset)
            low = middle;
        else
            high = middle;
    }
    int status = take_page(container, low, &page, err);
    if (status)
        return status;
    *place = (struct place){.number = (uint64_t)low * MTH_PAGE_ENTRIES,
                            .offset = mth_load64(page->body),
                            .block_offset = mth_load64(page->body + 8)};
    /* The entries fill the page's range, so that this ends inside it. */
    for (size_t i = 0;; i++) {
        const uint8_t *entry = page->body + MTH_PAGE_HEAD_BYTES + i * MTH_PAGE_ENTRY_BYTES;
        place->n_raw = mth_load32(entry);
        place->n_block = mth_load32(entry + 4);
        place->leaf = mth_load64(entry + 8);
        if (offset - place->offset < place->n_raw || i + 1 == page->n_entries)
            return MTH_OK;
        place->number++;
        place->offset += place->n_raw;
        place->block_offset += place->n_block;
    }
}

/* ---- decoded bundles ---- */

/* What of a bundle was not restored, because there is no base. */
static int note_missing(struct mth_memory *memory, const struct mth_bundle *bundle, struct slot *slot)
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
            slot->missing[slot->n_missing++] =
                (struct missing){.at = bundle->segments[s].at, .n_bytes = bundle->segments[s].n_bytes};
    }
    return MTH_OK;
}

static bool is_missing(const struct slot *slot, uint64_t at, size_t n_bytes)
{
    for (size_t i = 0; i < slot->n_missing; i++) {
        const struct missing *missing = &slot->missing[i];
        if (missing->at < at + n_bytes && at < (uint64_t)missing->at + missing->n_bytes)
            return true;
    }
    return false;
}

static int decode(struct mth_container *container, size_t worker_index, const struct place *place,
                  struct slot *slot, struct mth_error *err)
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

static struct slot *find_slot(struct mth_container *container, uint64_t offset)
{
    for (size_t i = 0; i < container->n_slots; i++) {
        struct slot *slot = &container->slots[i];
        if (slot->n_bytes && slot->offset <= offset && offset - slot->offset < slot->n_bytes)
            return slot;
    }
    return NULL;
}

/* The slot that was not used for the longest time, NULL when all are in use. */
static struct slot *free_slot(struct mth_container *container)
{
    struct slot *best = NULL;
    for (size_t i = 0; i < container->n_slots; i++) {
        struct slot *slot = &container->slots[i];
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
static int load(struct mth_container *container, uint64_t offset, struct slot *slot, size_t worker_index,
                struct mth_error *err)
{
    struct place place;
    slot->n_bytes = 0;
    int status = find_bundle(container, offset, &place, err);
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
static int take_slot(struct mth_container *container, uint64_t offset, struct slot **out,
                     struct mth_error *err)
{
    int status = MTH_OK;
    pthread_mutex_lock(&container->lock);
    for (;;) {
        struct slot *slot = find_slot(container, offset);
        if (slot && !slot->loading) {
            slot->n_readers++;
            slot->last_use = ++container->clock;
            *out = slot;
            break;
        }
        struct slot *empty = free_slot(container);
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
        struct slot *slot;
        struct mth_error inner = {0};
        int status = take_slot(container, offset, &slot, &inner);
        if (status)
            return mth_error_set(err, status, "%s: %s", container->source->name, inner.text);
        uint64_t inside = offset - slot->offset;
        size_t n = mth_size_min(n_bytes, slot->n_bytes - (size_t)inside);
        if (is_missing(slot, inside, n))
            status = mth_error_set(
                err, MTH_ERR_BASE, "%s: was coded against a base of %llu bytes; give it with --base",
                container->source->name, (unsigned long long)container->reader.front.base_bytes);
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
