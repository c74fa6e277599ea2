/* Reading a container in order; see container_read.h. */
#include "pipeline/container_read.h"

#include "base/checked.h"

#include <string.h>

enum {
    FIRST_PIECE_BYTES = 1 << 20,
    /* Of a bundle: its head, a plan of one chunk, its tail; and its entry in the index. */
    LEAST_BUNDLE_BYTES = MTH_BLOCK_HEAD_BYTES + 5 + MTH_BUNDLE_TAIL_BYTES + MTH_PAGE_ENTRY_BYTES
};

static int truncated(struct mth_error *err, uint64_t offset)
{
    return mth_error_set(err, MTH_ERR_TRUNCATED, "ends at byte %llu, before it should",
                         (unsigned long long)offset);
}

static int take_exactly(struct mth_container_reader *reader, void *dst, size_t n_bytes, struct mth_error *err)
{
    size_t n_taken;
    int status = mth_input_take(reader->input, dst, n_bytes, &n_taken, err);
    if (status)
        return status;
    reader->offset += n_taken;
    return n_taken == n_bytes ? MTH_OK : truncated(err, reader->offset);
}

static int read_block_head(struct mth_container_reader *reader, struct mth_error *err)
{
    uint8_t head[MTH_BLOCK_HEAD_BYTES];
    reader->pending_offset = reader->offset;
    int status = take_exactly(reader, head, sizeof head, err);
    return status ? status : mth_block_get_head(head, &reader->pending, err);
}

/* The body of the pending block. Memory is taken as bytes arrive, not as a length promises them. */
static int read_body(struct mth_container_reader *reader, uint8_t **scratch, size_t *capacity,
                     struct mth_bytes *body, struct mth_error *err)
{
    size_t n_bytes = reader->pending.n_bytes, n_filled = 0;
    const struct mth_source *source = reader->input->source;
    if (source && n_bytes > source->n_bytes - reader->input->offset)
        return truncated(err, source->n_bytes);
    reader->pending.type = 0;
    if (source && source->memory) {
        *body = (struct mth_bytes){source->memory + reader->input->offset, n_bytes};
        reader->input->offset += n_bytes;
        reader->offset += n_bytes;
        return MTH_OK;
    }
    while (n_filled < n_bytes) {
        size_t piece = mth_size_min(n_bytes - n_filled, mth_size_max(n_filled, FIRST_PIECE_BYTES));
        int status = mth_array_reserve(reader->memory, scratch, capacity, n_filled + piece, 1);
        if (status)
            return mth_error_set(err, status, "no memory for a block of %zu bytes", n_bytes);
        status = take_exactly(reader, *scratch + n_filled, piece, err);
        if (status)
            return status;
        n_filled += piece;
    }
    *body = (struct mth_bytes){*scratch, n_bytes};
    return MTH_OK;
}

static int read_checked(struct mth_container_reader *reader, uint64_t number, struct mth_block *block,
                        struct mth_bytes *body, struct mth_error *err)
{
    *block = reader->pending;
    int status = read_body(reader, &reader->scratch, &reader->scratch_capacity, body, err);
    if (!status && !mth_block_matches(block, *body, number))
        status = mth_error_set(err, MTH_ERR_CHECKSUM, "the block at byte %llu is damaged",
                               (unsigned long long)reader->pending_offset);
    return status;
}

int mth_container_reader_open(struct mth_container_reader *reader, struct mth_coder *coder,
                              struct mth_input *input, struct mth_error *err)
{
    uint8_t head[MTH_HEAD_BYTES];
    struct mth_block block;
    struct mth_bytes body;
    *reader = (struct mth_container_reader){.input = input, .memory = coder->memory};
    reader->index.memory = coder->memory;
    size_t n_taken;
    int status = mth_input_take(input, head, sizeof head, &n_taken, err);
    if (status)
        return status;
    reader->offset = n_taken;
    if (!mth_container_claims(head, n_taken))
        return mth_error_set(err, MTH_ERR_FORMAT, "is not a mithril container");
    if (n_taken < sizeof head)
        return truncated(err, n_taken);
    status = mth_container_get_head(head, &reader->head, err);
    if (!status && input->source &&
        reader->head.raw_bytes / reader->head.chunk_bytes > input->source->n_bytes / LEAST_BUNDLE_BYTES)
        status = mth_error_set(err, MTH_ERR_CORRUPT,
                               "says that it restores to %llu bytes, for which it is too short",
                               (unsigned long long)reader->head.raw_bytes);
    if (!status && mth_index_init(&reader->index, coder->memory))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the index");
    for (uint64_t number = 0; !status; number++) {
        status = read_block_head(reader, err);
        if (status || (reader->pending.type >= MTH_BLOCK_BUNDLE && reader->pending.type != MTH_BLOCK_LAYOUT))
            break;
        status = read_checked(reader, number, &block, &body, err);
        if (!status)
            status = mth_front_read_block(coder, &reader->front, &block, body, err);
        if (!status && block.type == MTH_BLOCK_LAYOUT)
            mth_hash_stream_update(reader->index.leaves, body.data, body.n_bytes);
    }
    for (size_t i = 0; !status && i < reader->front.n_specs; i++)
        if (reader->front.specs[i]->pipeline->is_lossy && !reader->head.is_lossy)
            status = mth_error_set(err, MTH_ERR_CORRUPT, "has a lossy spec, and its head says nothing of it");
    if (!status && reader->front.has_older != (reader->head.version == MTH_CONTAINER_VERSION_OLDER))
        status = mth_error_set(err, MTH_ERR_CORRUPT, "has other bases than containers of its version");
    reader->index.front_end = reader->pending_offset;
    if (!status && mth_layout_finish(&reader->front.layout, reader->head.raw_bytes))
        status = mth_error_set(err, MTH_ERR_CORRUPT, "its layout is damaged");
    return status;
}

void mth_container_reader_free(struct mth_container_reader *reader)
{
    mth_front_free(reader->memory, &reader->front);
    mth_index_free(&reader->index);
    mth_memory_free(reader->memory, reader->scratch);
}

static int corrupt(struct mth_container_reader *reader, const char *what, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_CORRUPT, "%s (at byte %llu)", what,
                         (unsigned long long)reader->pending_offset);
}

/* A page must say what its bundles said. */
static int read_page(struct mth_container_reader *reader, struct mth_error *err)
{
    struct mth_block block;
    struct mth_bytes body, page = mth_index_page(&reader->index);
    int status = read_checked(reader, reader->index.n_pages, &block, &body, err);
    if (status)
        return status;
    if (reader->index.n_entries == 0 || body.n_bytes != page.n_bytes ||
        memcmp(body.data, page.data, page.n_bytes) != 0)
        return corrupt(reader, "a page of the index does not fit its bundles", err);
    reader->short_page = reader->index.n_entries < MTH_PAGE_ENTRIES;
    status = mth_index_end_page(&reader->index, reader->pending_offset);
    return status ? mth_error_set(err, status, "no memory for the index") : MTH_OK;
}

static bool same_pages(const struct mth_index *index, const struct mth_page_place *pages, size_t n_pages)
{
    bool same = index->n_pages == n_pages;
    for (size_t i = 0; same && i < n_pages; i++)
        same = index->pages[i].offset == pages[i].offset && index->pages[i].raw_offset == pages[i].raw_offset;
    return same;
}

static int read_end(struct mth_container_reader *reader, struct mth_error *err)
{
    struct mth_block block;
    struct mth_bytes body;
    struct mth_page_place *pages = NULL;
    size_t n_pages, n_more;
    uint8_t trailer[MTH_TRAILER_BYTES];
    uint64_t root_offset = reader->pending_offset, noted;
    int status = read_checked(reader, 0, &block, &body, err);
    if (status)
        return status;
    status = mth_root_get(body, &reader->head, root_offset, reader->memory, &reader->root, &pages, &n_pages);
    struct mth_digest digest = mth_hash_stream_digest(reader->index.leaves);
    bool fits = !status && reader->index.n_entries == 0 &&
                reader->index.raw_offset == reader->head.raw_bytes &&
                reader->root.n_bundles == reader->index.n_bundles &&
                reader->root.front_end == reader->index.front_end &&
                same_pages(&reader->index, pages, n_pages) && mth_digest_equal(&digest, &reader->root.digest);
    mth_memory_free(reader->memory, pages);
    if (!fits)
        return corrupt(reader, "the root does not fit the bundles", err);
    uint64_t offset = reader->offset;
    status = take_exactly(reader, trailer, sizeof trailer, err);
    if (!status)
        status = mth_trailer_get(trailer, offset, &noted, err);
    if (!status && noted != root_offset)
        status = corrupt(reader, "the trailer points elsewhere", err);
    if (!status)
        status = mth_input_take(reader->input, trailer, 1, &n_more, err);
    if (!status && n_more)
        status = mth_error_set(err, MTH_ERR_CORRUPT, "goes on behind its end at byte %llu",
                               (unsigned long long)reader->offset);
    reader->finished = !status;
    return status;
}

/* Of a bundle in an input that is read at offsets: its end, which says what of the file it is. */
static int read_tail(struct mth_container_reader *reader, struct mth_found_bundle *found,
                     uint8_t tail[MTH_BUNDLE_TAIL_BYTES], struct mth_error *err)
{
    struct mth_input *input = reader->input;
    size_t n_bytes = reader->pending.n_bytes;
    if (n_bytes > input->source->n_bytes - input->offset)
        return truncated(err, input->source->n_bytes);
    if (n_bytes < MTH_BUNDLE_TAIL_BYTES)
        return corrupt(reader, "a bundle is damaged", err);
    reader->pending.type = 0;
    found->at = input->offset;
    found->body = (struct mth_bytes){NULL, n_bytes};
    input->offset += n_bytes;
    reader->offset += n_bytes;
    return mth_source_read(input->source, input->offset - MTH_BUNDLE_TAIL_BYTES, tail, MTH_BUNDLE_TAIL_BYTES,
                           err);
}

static int read_bundle(struct mth_container_reader *reader, uint8_t **scratch, size_t *capacity,
                       struct mth_found_bundle *found, struct mth_error *err)
{
    struct mth_index *index = &reader->index;
    const struct mth_source *source = reader->input->source;
    uint8_t tail[MTH_BUNDLE_TAIL_BYTES];
    uint64_t leaf;
    if (index->n_entries == MTH_PAGE_ENTRIES || reader->short_page)
        return corrupt(reader, "a bundle stands where none can", err);
    *found = (struct mth_found_bundle){
        .block = reader->pending, .number = index->n_bundles, .offset = index->raw_offset};
    struct mth_bytes end = {tail, sizeof tail};
    int status = source && !source->memory ? read_tail(reader, found, tail, err)
                                           : read_body(reader, scratch, capacity, &found->body, err);
    if (status)
        return status;
    if (found->body.data)
        end = found->body;
    if (found->body.n_bytes > UINT32_MAX - MTH_BLOCK_HEAD_BYTES ||
        mth_bundle_tail(end, reader->head.chunk_bytes, &found->n_raw, &leaf) ||
        found->n_raw > reader->head.raw_bytes - index->raw_offset)
        return corrupt(reader, "a bundle is damaged", err);
    mth_index_add(index, reader->pending_offset, found->n_raw,
                  (uint32_t)(found->body.n_bytes + MTH_BLOCK_HEAD_BYTES), leaf);
    return MTH_OK;
}

int mth_container_reader_fetch(const struct mth_container_reader *reader, struct mth_found_bundle *found,
                               uint8_t **scratch, size_t *capacity, struct mth_error *err)
{
    size_t n_bytes = found->body.n_bytes;
    uint32_t n_raw;
    uint64_t leaf;
    if (found->body.data)
        return MTH_OK;
    int status = mth_array_reserve(reader->memory, scratch, capacity, n_bytes, 1);
    if (status)
        return mth_error_set(err, status, "no memory for a block of %zu bytes", n_bytes);
    status = mth_source_read(reader->input->source, found->at, *scratch, n_bytes, err);
    if (status)
        return status;
    found->body.data = *scratch;
    /* A file that changes meanwhile must not make a bundle longer than its place. */
    if (mth_bundle_tail(found->body, reader->head.chunk_bytes, &n_raw, &leaf) || n_raw != found->n_raw)
        return mth_error_set(err, MTH_ERR_CORRUPT, "a bundle is damaged (at byte %llu)",
                             (unsigned long long)(found->at - MTH_BLOCK_HEAD_BYTES));
    return MTH_OK;
}

int mth_container_reader_next(struct mth_container_reader *reader, uint8_t **scratch, size_t *capacity,
                              struct mth_found_bundle *found, struct mth_error *err)
{
    for (;;) {
        int status = reader->pending.type ? MTH_OK : read_block_head(reader, err);
        if (status)
            return status;
        switch (reader->pending.type) {
        case MTH_BLOCK_BUNDLE:
            return read_bundle(reader, scratch, capacity, found, err);
        case MTH_BLOCK_INDEX:
            status = read_page(reader, err);
            break;
        case MTH_BLOCK_ROOT:
            return read_end(reader, err);
        default:
            return corrupt(reader, "a block of the front stands behind bundles", err);
        }
        if (status)
            return status;
    }
}
