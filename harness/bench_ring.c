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
    size_t per_slot = ring->raw_bytes * 2 + ring->frame_bytes + 1;
    for (size_t k = 0; k < MTH_RING_BASES; k++)
        per_slot += ring->base_bytes[k];
    size_t most = mth_size_max(free_bytes / 2 / per_slot, 1);
    *in_cache = llc_bytes == 0 || n > most;
    return mth_size_min(n, most);
}

/* Copies in every slot; no buffer where there is no memory. */
static uint8_t *filled(size_t n, struct mth_bytes bytes)
{
    uint8_t *buffer = touched(n, bytes.n_bytes);
    for (size_t i = 0; buffer && bytes.n_bytes && i < n; i++)
        memcpy(mth_ring_slot(buffer, bytes.n_bytes, i), bytes.data, bytes.n_bytes);
    return buffer;
}

int mth_ring_build(struct mth_ring *ring, struct mth_bytes input,
                   const struct mth_bytes bases[MTH_RING_BASES], size_t frame_bytes, size_t llc_bytes,
                   bool *in_cache)
{
    bool whole = true;
    *ring = (struct mth_ring){.raw_bytes = input.n_bytes, .frame_bytes = frame_bytes};
    for (size_t k = 0; k < MTH_RING_BASES; k++)
        ring->base_bytes[k] = bases[k].n_bytes;
    ring->n_slots = mth_ring_count(ring, llc_bytes, available_bytes(), in_cache);
    ring->sweep_bytes = 2 * llc_bytes;
    ring->raw = filled(ring->n_slots, input);
    for (size_t k = 0; k < MTH_RING_BASES; k++) {
        ring->bases[k] = filled(ring->n_slots, bases[k]);
        whole &= ring->bases[k] != NULL;
    }
    ring->frames = touched(ring->n_slots, ring->frame_bytes);
    ring->restored = touched(ring->n_slots, ring->raw_bytes);
    ring->sweep = touched(1, ring->sweep_bytes);
    whole &= ring->raw && ring->frames && ring->restored && ring->sweep;
    return whole ? MTH_OK : MTH_ERR_NO_MEMORY;
}

void mth_ring_free(struct mth_ring *ring)
{
    free(ring->raw);
    for (size_t k = 0; k < MTH_RING_BASES; k++)
        free(ring->bases[k]);
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
