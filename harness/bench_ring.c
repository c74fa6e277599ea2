/* The ring of buffers of a measurement; see bench_ring.h. */
#define _DEFAULT_SOURCE /* madvise */
#include "harness/bench_ring.h"

#include "base/checked.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A buffer whose pages are all there; large pages where the system grants them, so that what is measured is the
 * pipeline and not the translation of addresses. memcpy runs over the same buffers.
 */
static uint8_t *touched(size_t n, size_t bytes)
{
    enum { LARGE_PAGE_BYTES = 2 << 20 };
    size_t total;
    void *buffer;
    if (!mth_size_mul(n, bytes, &total) || !mth_size_add(total, 1, &total) ||
        posix_memalign(&buffer, LARGE_PAGE_BYTES, total) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    (void)madvise(buffer, total, MADV_HUGEPAGE); /* a wish: without it pages are small */
#endif
    memset(buffer, MTH_RING_POISON, total);
    return buffer;
}

/* Memory that can be had: what is free, and what the system keeps of files and would give back. */
static size_t available_bytes(void)
{
    enum { LINE_BYTES = 128, FALLBACK_BYTES = 1 << 30 };
    char line[LINE_BYTES];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && kib == 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, "MemAvailable:", 13) == 0)
            kib = strtoull(line + 13, NULL, 10);
    }
    if (file)
        (void)fclose(file);
    if (kib > 0)
        return (size_t)kib << 10;
    long pages = sysconf(_SC_AVPHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (size_t)pages * (size_t)page_bytes : (size_t)FALLBACK_BYTES;
}

size_t mth_ring_count(const struct mth_ring *ring, size_t llc_bytes, size_t free_bytes, bool *in_cache)
{
    size_t n = 4 * llc_bytes / mth_size_max(ring->raw_bytes, 1) + 1;
    size_t per_slot = ring->raw_bytes * 2 + ring->base_bytes + ring->frame_bytes + 1;
    size_t most = mth_size_max(free_bytes / 2 / per_slot, 1);
    *in_cache = llc_bytes == 0 || n > most;
    return mth_size_min(n, most);
}

int mth_ring_build(struct mth_ring *ring, struct mth_bytes input, struct mth_bytes base, size_t frame_bytes,
                   size_t llc_bytes, bool *in_cache)
{
    *ring =
        (struct mth_ring){.raw_bytes = input.n_bytes, .base_bytes = base.n_bytes, .frame_bytes = frame_bytes};
    ring->n_slots = mth_ring_count(ring, llc_bytes, available_bytes(), in_cache);
    ring->sweep_bytes = 2 * llc_bytes;
    ring->raw = touched(ring->n_slots, ring->raw_bytes);
    ring->base = touched(ring->n_slots, ring->base_bytes);
    ring->frames = touched(ring->n_slots, ring->frame_bytes);
    ring->restored = touched(ring->n_slots, ring->raw_bytes);
    ring->sweep = touched(1, ring->sweep_bytes);
    if (!ring->raw || !ring->base || !ring->frames || !ring->restored || !ring->sweep)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < ring->n_slots; i++) {
        if (input.n_bytes)
            memcpy(mth_ring_slot(ring->raw, ring->raw_bytes, i), input.data, input.n_bytes);
        if (base.n_bytes)
            memcpy(mth_ring_slot(ring->base, ring->base_bytes, i), base.data, base.n_bytes);
    }
    return MTH_OK;
}

void mth_ring_free(struct mth_ring *ring)
{
    free(ring->raw);
    free(ring->base);
    free(ring->frames);
    free(ring->restored);
    free(ring->sweep);
}

void mth_ring_sweep(struct mth_ring *ring)
{
    volatile uint8_t *bytes = ring->sweep;
    for (size_t i = 0; i < ring->sweep_bytes; i += 64)
        bytes[i]++;
}

size_t mth_ring_take(struct mth_ring *ring, size_t n)
{
    if (ring->cursor + n > ring->n_slots)
        ring->cursor = 0;
    size_t first = ring->cursor;
    ring->cursor += n;
    return first;
}
