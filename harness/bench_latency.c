/* How long one small tensor takes; see bench_latency.h. */
#include "harness/bench_latency.h"

#include "harness/bench.h"
#include "harness/bench_ring.h"
#include "harness/clock.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 64, FIRST_CLASS_BYTES = 1 << 10 };

void mth_latency_free(struct mth_latency *latency)
{
    for (size_t c = 0; c < MTH_LATENCY_CLASSES; c++) {
        for (size_t p = 0; p < MTH_N_PHASES; p++)
            free(latency->classes[c].phases[p].samples_ns);
    }
    *latency = (struct mth_latency){0};
}

size_t mth_latency_class_bytes(size_t index)
{
    return (size_t)FIRST_CLASS_BYTES << 2 * index;
}

size_t mth_latency_class_of(uint64_t n_bytes)
{
    size_t index = 0;
    while (index < MTH_LATENCY_CLASSES && n_bytes > mth_latency_class_bytes(index))
        index++;
    return n_bytes ? index : MTH_LATENCY_CLASSES;
}

/* A tensor as a checkpoint of its own, and its counterparts in the bases. */
struct alone {
    struct mth_region_map map, base_maps[MTH_RING_BASES];
    struct mth_checkpoint input, bases[MTH_RING_BASES];
    struct mth_container_stats stats;
    uint8_t *container;
    size_t n_container;
};

struct timing {
    struct mth_bench_cell *cell;
    struct mth_coder *coder;
    struct mth_memory *memory;
    size_t n_bases;
    struct alone alone[MAX_TENSORS];
    size_t n_alone;
    uint8_t *restored;
};

/* Contiguous, and all of its region: what can be taken out as it is. */
static bool is_whole(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    return tensor->region != MTH_NO_REGION && tensor->offset_bytes == 0 &&
           !(tensor->flags & MTH_TENSOR_STRIDED) &&
           mth_tensor_bytes(tensor) == map->regions[tensor->region].n_bytes;
}

static const struct mth_tensor *counterpart(const struct mth_region_map *base,
                                            const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    const struct mth_tensor *found = mth_region_map_find(base, mth_tensor_name(map, tensor));
    return found && is_whole(base, found) && found->dtype == tensor->dtype &&
                   found->n_elems == tensor->n_elems
               ? found
               : NULL;
}

static int take_out(const struct mth_checkpoint *from, const struct mth_tensor *tensor,
                    struct mth_memory *memory, struct mth_region_map *map, struct mth_checkpoint *out)
{
    const struct mth_region *region = &from->map->regions[tensor->region];
    const char *name = mth_tensor_name(from->map, tensor);
    struct mth_tensor moved = *tensor;
    mth_region_map_init(map, memory, from->map->format, region->n_bytes);
    int status = mth_region_map_add_region(map, 0, region->n_bytes, region->dtype, &moved.region);
    if (!status)
        status = mth_region_map_add_tensor(map, name, strlen(name), mth_tensor_shape(from->map, tensor),
                                           tensor->n_dims, &moved);
    *out = (struct mth_checkpoint){from->data + region->offset, map};
    return status;
}

static bool is_of(const struct mth_region_map *map, const struct mth_tensor *tensor, size_t index)
{
    return mth_latency_class_of(mth_tensor_bytes(tensor)) == index && is_whole(map, tensor);
}

static int take(struct timing *t, const struct mth_checkpoint *input, const struct mth_checkpoint *bases,
                const struct mth_tensor *tensor)
{
    const struct mth_tensor *others[MTH_RING_BASES] = {NULL};
    for (size_t k = 0; k < t->n_bases; k++) {
        others[k] = counterpart(bases[k].map, input->map, tensor);
        if (!others[k])
            return MTH_OK;
    }
    struct alone *alone = &t->alone[t->n_alone++];
    *alone = (struct alone){0};
    int status = take_out(input, tensor, t->memory, &alone->map, &alone->input);
    for (size_t k = 0; !status && k < t->n_bases; k++)
        status = take_out(&bases[k], others[k], t->memory, &alone->base_maps[k], &alone->bases[k]);
    return status;
}

/* Tensors of a class, evenly from all. */
static int take_class(struct timing *t, const struct mth_checkpoint *input,
                      const struct mth_checkpoint *bases, size_t index)
{
    size_t n_all = 0, n_seen = 0;
    int status = MTH_OK;
    for (size_t i = 0; i < input->map->n_tensors; i++)
        n_all += is_of(input->map, &input->map->tensors[i], index);
    size_t step = n_all / MAX_TENSORS + (n_all % MAX_TENSORS != 0);
    for (size_t i = 0; !status && n_all && i < input->map->n_tensors; i++) {
        const struct mth_tensor *tensor = &input->map->tensors[i];
        if (is_of(input->map, tensor, index) && n_seen++ % step == 0)
            status = take(t, input, bases, tensor);
    }
    return status;
}

static void put_back(struct timing *t)
{
    for (size_t i = 0; i < t->n_alone; i++) {
        free(t->alone[i].container);
        mth_region_map_free(&t->alone[i].map);
        for (size_t k = 0; k < t->n_bases; k++)
            mth_region_map_free(&t->alone[i].base_maps[k]);
    }
    t->n_alone = 0;
}

/* One call each way on one tensor, timed; its bytes compared. */
static int call(struct timing *t, struct alone *alone, double ns[MTH_N_PHASES], struct mth_error *err)
{
    size_t n_raw = (size_t)alone->map.n_bytes, capacity;
    struct mth_bytes bases[MTH_RING_BASES];
    int status = mth_coder_bound(t->coder, &alone->input, &capacity);
    if (!status && !alone->container) {
        alone->container = malloc(capacity);
        status = alone->container ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    if (status)
        return mth_error_set(err, status, "no room to time a tensor");
    uint64_t begin = mth_clock_ns();
    status = mth_coder_encode(t->coder, t->cell->pipeline, &alone->input, alone->bases, t->n_bases,
                              alone->container, capacity, &alone->n_container, &alone->stats, err);
    ns[MTH_PHASE_COMPRESS] = (double)(mth_clock_ns() - begin);
    if (status)
        return status;
    for (size_t k = 0; k < t->n_bases; k++)
        bases[k] = (struct mth_bytes){alone->bases[k].data, (size_t)alone->base_maps[k].n_bytes};
    memset(t->restored, MTH_RING_POISON, n_raw);
    begin = mth_clock_ns();
    status = mth_coder_decode(t->coder, (struct mth_bytes){alone->container, alone->n_container}, bases,
                              alone->stats.n_bases, t->restored, n_raw, err);
    ns[MTH_PHASE_DECOMPRESS] = (double)(mth_clock_ns() - begin);
    if (!status && !t->cell->stats.loss.is_lossy && memcmp(t->restored, alone->input.data, n_raw) != 0)
        status = mth_error_set(err, MTH_ERR_CHECKSUM, "what was restored of one tensor is not the original");
    return status;
}

static int summarise(struct mth_latency_calls *calls)
{
    double *sorted = malloc((calls->n_samples + 1) * sizeof *sorted);
    if (!sorted)
        return MTH_ERR_NO_MEMORY;
    memcpy(sorted, calls->samples_ns, calls->n_samples * sizeof *sorted);
    mth_median(sorted, calls->n_samples); /* which sorts */
    calls->p50_ns = mth_percentile(sorted, calls->n_samples, 50);
    calls->p95_ns = mth_percentile(sorted, calls->n_samples, 95);
    calls->p99_ns = mth_percentile(sorted, calls->n_samples, 99);
    free(sorted);
    return MTH_OK;
}

static int time_class(struct timing *t, struct mth_latency_class *into, size_t n_calls, double seconds,
                      uint64_t *random, struct mth_error *err)
{
    size_t order[MAX_TENSORS];
    double ns[MTH_N_PHASES], spent_ns = 0;
    size_t n_alone = t->n_alone;
    int status = MTH_OK;
    if (n_alone == 0)
        return MTH_OK;
    if (n_calls < n_alone)
        n_calls = n_alone;
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        into->phases[p].samples_ns = calloc(n_calls, sizeof(double));
        if (!into->phases[p].samples_ns)
            return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to time tensors");
    }
    for (size_t i = 0; !status && i < n_alone; i++) { /* warms up, and makes room for containers */
        status = call(t, &t->alone[i], ns, err);
        into->raw_bytes += t->alone[i].map.n_bytes;
        into->stored_bytes += t->alone[i].n_container;
    }
    for (size_t i = 0; !status && i < n_calls && (i < n_alone || spent_ns < seconds * 1e9); i++) {
        if (i % n_alone == 0)
            mth_random_shuffle(random, order, n_alone);
        status = call(t, &t->alone[order[i % n_alone]], ns, err);
        for (size_t p = 0; !status && p < MTH_N_PHASES; p++) {
            into->phases[p].samples_ns[into->phases[p].n_samples++] = ns[p];
            spent_ns += ns[p];
        }
    }
    for (size_t p = 0; !status && p < MTH_N_PHASES; p++)
        status = summarise(&into->phases[p]);
    return status;
}

int mth_bench_latency(struct mth_bench_cell *cell, const struct mth_checkpoint *input,
                      const struct mth_checkpoint *bases, size_t n_bases, size_t n_calls, double seconds,
                      uint64_t seed, struct mth_error *err)
{
    struct timing *t = calloc(1, sizeof *t);
    struct mth_memory *memory = mth_memory_create(0);
    uint8_t *restored = malloc(mth_latency_class_bytes(MTH_LATENCY_CLASSES - 1));
    int status = MTH_OK;
    if (!t || !memory || !restored) {
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to time tensors");
        goto done;
    }
    *t = (struct timing){.cell = cell, .memory = memory, .n_bases = n_bases, .restored = restored};
    struct mth_coder_config config = {.n_threads = 1, .memory = memory, .lossy = cell->stats.loss.is_lossy};
    status = mth_coder_create(&config, &t->coder, err);
    for (size_t c = 0; !status && c < MTH_LATENCY_CLASSES; c++) {
        struct mth_latency_class *into = &cell->latency.classes[c];
        into->up_to_bytes = mth_latency_class_bytes(c);
        status = take_class(t, input, bases, c);
        into->n_tensors = t->n_alone;
        if (status)
            mth_error_set(err, status, "no memory to time tensors");
        else
            status = time_class(t, into, n_calls, seconds, &seed, err);
        put_back(t);
    }
    mth_coder_destroy(t->coder);
done:
    free(restored);
    mth_memory_destroy(memory);
    free(t);
    return status;
}
