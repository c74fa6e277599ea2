/* The index of a container that is read at offsets: pages lead to bundles; see container_at.h. */
#include "pipeline/container_at.h"

#include "base/checked.h"

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

static int load_page(struct mth_container *container, size_t number, struct mth_cached_page *page,
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

static int take_page(struct mth_container *container, size_t number, const struct mth_cached_page **out,
                     struct mth_error *err)
{
    struct mth_cached_page *oldest = &container->pages[0];
    for (size_t i = 0; i < MTH_CACHED_PAGES; i++) {
        struct mth_cached_page *page = &container->pages[i];
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

int mth_container_find_bundle(struct mth_container *container, uint64_t offset,
                              struct mth_bundle_place *place, struct mth_error *err)
{
    const struct mth_cached_page *page;
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
    *place = (struct mth_bundle_place){.number = (uint64_t)low * MTH_PAGE_ENTRIES,
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

int mth_container_stored_bytes(struct mth_container *container, uint64_t offset, uint64_t n_bytes,
                               uint64_t *n_stored, struct mth_error *err)
{
    uint64_t raw_bytes = container->reader.head.raw_bytes;
    int status = MTH_OK;
    *n_stored = 0;
    if (offset > raw_bytes || n_bytes > raw_bytes - offset)
        return mth_error_set(err, MTH_ERR_USAGE, "the original ends at byte %llu",
                             (unsigned long long)raw_bytes);
    pthread_mutex_lock(&container->lock);
    while (!status && n_bytes > 0) {
        struct mth_bundle_place place;
        uint64_t n_run, at = mth_layout_to_place(&container->reader.front.layout, offset, &n_run);
        status = mth_container_find_bundle(container, at, &place, err);
        if (status)
            break;
        uint64_t n = mth_u64_min(mth_u64_min(place.offset + place.n_raw - at, n_run), n_bytes);
        /* Both are below 2^32. */
        *n_stored += place.n_block * n / place.n_raw;
        offset += n;
        n_bytes -= n;
    }
    pthread_mutex_unlock(&container->lock);
    return status;
}
