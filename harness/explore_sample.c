/* Samples for an exploration; see explore_sample.h. */
#include "harness/explore_sample.h"

#include "base/checked.h"
#include "harness/clock.h"
#include "harness/statistics.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIN_CLASS_BYTES = 1 << 12,
    CLASS_SHARE = 1000, /* of the checkpoint, so many times less is not looked at */
    FIRST_LEVEL_BYTES = 1 << 16,
    LEVEL_GROWTH = 8,
    N_PIECES = 8,
    PIECE_ALIGN = 64, /* whole elements of any dtype */
    POISON = 0xa5
};

/* ---- what is looked up ---- */

struct named {
    const char *name;
    uint32_t tensor;
};

static int compare_names(const void *left, const void *right)
{
    const struct named *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order ? order : a->tensor < b->tensor ? -1 : a->tensor > b->tensor;
}

/* Contiguous, and nothing but the region. */
static bool is_whole(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    return tensor->region != MTH_NO_REGION && tensor->offset_bytes == 0 && !mth_tensor_strides(map, tensor) &&
           mth_tensor_bytes(tensor) == map->regions[tensor->region].n_bytes &&
           tensor->dtype == (uint8_t)map->regions[tensor->region].dtype;
}

static bool same_shape(const struct mth_region_map *map, const struct mth_tensor *a,
                       const struct mth_region_map *other, const struct mth_tensor *b)
{
    return a->dtype == b->dtype && a->n_dims == b->n_dims &&
           (a->n_dims == 0 ||
            memcmp(mth_tensor_shape(map, a), mth_tensor_shape(other, b), a->n_dims * sizeof(uint64_t)) == 0);
}

static int find_counterparts(struct mth_explore_source *source, const struct mth_region_map *base,
                             uint32_t *counterparts)
{
    const struct mth_region_map *map = &source->input->map;
    struct named *names = mth_memory_calloc(source->memory, base->n_tensors + 1, sizeof *names);
    if (!names)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < base->n_tensors; i++)
        names[i] = (struct named){mth_tensor_name(base, &base->tensors[i]), (uint32_t)i};
    qsort(names, base->n_tensors, sizeof *names, compare_names);
    for (size_t i = 0; i < map->n_regions; i++) {
        if (source->tensors[i] == MTH_NO_TENSOR)
            continue;
        const struct mth_tensor *tensor = &map->tensors[source->tensors[i]];
        const char *name = mth_tensor_name(map, tensor);
        size_t low = 0, high = base->n_tensors;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (strcmp(names[middle].name, name) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < base->n_tensors && strcmp(names[low].name, name) == 0 &&
            is_whole(base, &base->tensors[names[low].tensor]) &&
            same_shape(map, tensor, base, &base->tensors[names[low].tensor]))
            counterparts[i] = names[low].tensor;
    }
    mth_memory_free(source->memory, names);
    return MTH_OK;
}

int mth_explore_source_open(struct mth_explore_source *source, const struct mth_loaded *input,
                            const struct mth_loaded *base, const struct mth_loaded *older)
{
    const struct mth_region_map *map = &input->map;
    *source = (struct mth_explore_source){
        .input = input, .base = base, .older = older, .memory = mth_memory_create(0)};
    if (!source->memory)
        return MTH_ERR_NO_MEMORY;
    source->classes = mth_region_classes(map, source->memory);
    source->tensors = mth_memory_calloc(source->memory, map->n_regions + 1, sizeof *source->tensors);
    source->counterparts =
        mth_memory_calloc(source->memory, map->n_regions + 1, sizeof *source->counterparts);
    source->older_counterparts =
        mth_memory_calloc(source->memory, map->n_regions + 1, sizeof *source->older_counterparts);
    int status = source->classes && source->tensors && source->counterparts && source->older_counterparts
                     ? MTH_OK
                     : MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && i < map->n_regions; i++)
        source->tensors[i] = source->counterparts[i] = source->older_counterparts[i] = MTH_NO_TENSOR;
    for (size_t i = map->n_tensors; !status && i-- > 0;) {
        if (is_whole(map, &map->tensors[i]))
            source->tensors[map->tensors[i].region] = (uint32_t)i;
    }
    if (!status && base)
        status = find_counterparts(source, &base->map, source->counterparts);
    if (!status && older)
        status = find_counterparts(source, &older->map, source->older_counterparts);
    if (status)
        mth_explore_source_close(source);
    return status;
}

void mth_explore_source_close(struct mth_explore_source *source)
{
    if (!source->memory)
        return;
    mth_memory_free(source->memory, source->classes);
    mth_memory_free(source->memory, source->tensors);
    mth_memory_free(source->memory, source->counterparts);
    mth_memory_free(source->memory, source->older_counterparts);
    mth_memory_destroy(source->memory);
    *source = (struct mth_explore_source){0};
}

/* ---- classes ---- */

static int compare_bytes(const void *left, const void *right)
{
    const struct mth_explore_class *a = left, *b = right;
    if (a->n_bytes != b->n_bytes)
        return a->n_bytes > b->n_bytes ? -1 : 1;
    return a->dtype != b->dtype ? (a->dtype < b->dtype ? -1 : 1)
                                : (a->class_ < b->class_ ? -1 : a->class_ > b->class_);
}

static void name_class(struct mth_explore_class *class_)
{
    snprintf(class_->guard, sizeof class_->guard, "%s.%s", mth_dtype_info(class_->dtype)->name,
             mth_tensor_class_name(class_->class_));
    for (char *p = class_->guard; *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

static void set_levels(struct mth_explore_class *class_)
{
    uint64_t n_bytes = FIRST_LEVEL_BYTES;
    while (class_->n_levels < MTH_EXPLORE_LEVELS) {
        bool last = n_bytes >= class_->n_bytes / 2;
        class_->sample_bytes[class_->n_levels++] = last ? class_->n_bytes : n_bytes;
        if (last)
            return;
        n_bytes *= LEVEL_GROWTH;
    }
}

void mth_explore_classes(const struct mth_explore_source *source,
                         struct mth_explore_class classes[MTH_MAX_COST_SETS], size_t *n_classes)
{
    struct mth_explore_class all[MTH_N_DTYPES * MTH_N_CLASSES];
    const struct mth_region_map *map = &source->input->map;
    memset(all, 0, sizeof all);
    for (size_t i = 0; i < MTH_N_DTYPES * MTH_N_CLASSES; i++) {
        all[i].dtype = (enum mth_dtype)(i / MTH_N_CLASSES);
        all[i].class_ = (enum mth_tensor_class)(i % MTH_N_CLASSES);
    }
    for (size_t i = 0; i < map->n_regions; i++) {
        struct mth_explore_class *of = &all[map->regions[i].dtype * MTH_N_CLASSES + source->classes[i]];
        of->n_bytes += map->regions[i].n_bytes;
        of->has_base |= source->counterparts[i] != MTH_NO_TENSOR;
    }
    qsort(all, MTH_N_DTYPES * MTH_N_CLASSES, sizeof all[0], compare_bytes);
    *n_classes = 0;
    for (size_t i = 0; i < MTH_N_DTYPES * MTH_N_CLASSES && *n_classes < MTH_MAX_COST_SETS; i++) {
        if (all[i].dtype == MTH_DTYPE_OPAQUE || all[i].n_bytes < MIN_CLASS_BYTES ||
            all[i].n_bytes < map->n_bytes / CLASS_SHARE)
            continue;
        all[i].n_whole_bytes = map->n_bytes;
        name_class(&all[i]);
        set_levels(&all[i]);
        classes[(*n_classes)++] = all[i];
    }
}

/* ---- pieces ---- */

/* Bytes in a row of a tensor: what lies behind its first dimension; 0 where there is none, or it is no whole number. */
static uint64_t row_bytes(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    const uint64_t *shape = mth_tensor_shape(map, tensor);
    unsigned bits = mth_dtype_info((enum mth_dtype)tensor->dtype)->bits;
    if (tensor->n_dims < 2 || shape[0] == 0 || bits % 8)
        return 0;
    return tensor->n_elems / shape[0] * (bits / 8);
}

struct sampler {
    struct mth_explore_sample *sample;
    const struct mth_explore_source *source;
    size_t capacity;
    size_t n_pieces;
};

/* Puts n bytes behind a little checkpoint, as a tensor of rows of so many bytes (0: of one dimension). */
static int put_tensor(struct mth_region_map *map, uint8_t *data, size_t *n_data, const char *name,
                      const struct mth_tensor *like, enum mth_dtype dtype, uint64_t row, const uint8_t *bytes,
                      size_t n)
{
    unsigned bits = mth_dtype_info(dtype)->bits;
    uint64_t n_elems = (uint64_t)n * 8 / bits;
    const uint64_t shape[2] = {row ? n / row : n_elems, row ? row * 8 / bits : 0};
    struct mth_tensor tensor = {.n_elems = n_elems, .dtype = (uint8_t)dtype};
    if (like)
        tensor.role = like->role;
    int status = mth_region_map_add_region(map, *n_data, n, dtype, &tensor.region);
    if (!status && dtype != MTH_DTYPE_OPAQUE)
        status = mth_region_map_add_tensor(map, name, strlen(name), shape, row ? 2 : 1, &tensor);
    memcpy(data + *n_data, bytes, n);
    *n_data += n;
    map->n_bytes = *n_data;
    return status;
}

/* n_wanted bytes around a place in a region, cut to whole rows or elements. */
static int put_piece(struct sampler *s, size_t region, uint64_t at, uint64_t n_wanted)
{
    const struct mth_explore_source *source = s->source;
    const struct mth_region_map *map = &source->input->map;
    const struct mth_region *from = &map->regions[region];
    const struct mth_tensor *tensor =
        source->tensors[region] == MTH_NO_TENSOR ? NULL : &map->tensors[source->tensors[region]];
    uint64_t row = tensor ? row_bytes(map, tensor) : 0, n = n_wanted;
    if (row && row <= n_wanted / 2) {
        at = at / row * row;
        n = n_wanted / row * row;
    } else {
        row = 0;
        at = at / PIECE_ALIGN * PIECE_ALIGN;
        n = n_wanted < from->n_bytes ? n_wanted / PIECE_ALIGN * PIECE_ALIGN : from->n_bytes;
    }
    if (at + n > from->n_bytes)
        at = n > from->n_bytes ? 0
             : row             ? from->n_bytes - n
                               : (from->n_bytes - n) / PIECE_ALIGN * PIECE_ALIGN;
    n = n > from->n_bytes - at ? from->n_bytes - at : n;
    if (n == 0 || n > s->capacity - s->sample->n_bytes)
        return MTH_OK;
    char name[160];
    snprintf(name, sizeof name, "%zu.%.120s", s->n_pieces++, tensor ? mth_tensor_name(map, tensor) : "");
    int status = put_tensor(&s->sample->map, s->sample->data, &s->sample->n_bytes, name, tensor, from->dtype,
                            row, source->input->bytes.data + from->offset + at, (size_t)n);
    if (status || source->counterparts[region] == MTH_NO_TENSOR)
        return status;
    const struct mth_region_map *base = &source->base->map;
    const struct mth_tensor *other = &base->tensors[source->counterparts[region]];
    s->sample->has_base = true;
    status = put_tensor(&s->sample->base_map, s->sample->base_data, &s->sample->n_base_bytes, name, other,
                        from->dtype, row, source->base->bytes.data + base->regions[other->region].offset + at,
                        (size_t)n);
    if (status || source->older_counterparts[region] == MTH_NO_TENSOR)
        return status;
    const struct mth_region_map *older = &source->older->map;
    other = &older->tensors[source->older_counterparts[region]];
    s->sample->has_older = true;
    return put_tensor(&s->sample->older_map, s->sample->older_data, &s->sample->n_older_bytes, name, other,
                      from->dtype, row, source->older->bytes.data + older->regions[other->region].offset + at,
                      (size_t)n);
}

/* Pieces, each from a place drawn in its share of the class on, over as many tensors as it takes; or all of it. */
static int put_pieces(struct sampler *s, enum mth_dtype dtype, enum mth_tensor_class class_, uint64_t n_class,
                      uint64_t n_wanted, uint64_t seed)
{
    const struct mth_region_map *map = &s->source->input->map;
    uint64_t n_pieces = n_wanted >= n_class ? 1 : N_PIECES, share = n_class / n_pieces + 1, before = 0;
    uint64_t begin = n_pieces == 1 ? 0 : mth_random_below(&seed, (size_t)share), n_left = 0, piece = 0;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        uint64_t at = 0;
        if (class_ != MTH_N_CLASSES && (region->dtype != dtype || s->source->classes[i] != class_))
            continue;
        while (!status && at < region->n_bytes) {
            if (n_left == 0 && (piece == n_pieces || begin >= before + region->n_bytes))
                break;
            if (n_left == 0) {
                at = begin > before + at ? begin - before : at;
                n_left = n_wanted / n_pieces;
                begin = ++piece * share + mth_random_below(&seed, (size_t)share);
            }
            size_t n_before = s->sample->n_bytes;
            status = put_piece(s, i, at, n_left);
            uint64_t n = s->sample->n_bytes - n_before;
            /* What is left of a tensor, or of a piece, and is too short for a row goes without. */
            n_left = n == 0 || n >= n_left || n_left - n < PIECE_ALIGN ? 0 : n_left - n;
            at = n == 0 || at + n >= region->n_bytes ? region->n_bytes : at + n;
            if (at < region->n_bytes)
                n_left = 0;
        }
        before += region->n_bytes;
    }
    return status;
}

int mth_explore_sample_make(struct mth_explore_sample *sample, const struct mth_explore_source *source,
                            enum mth_dtype dtype, enum mth_tensor_class class_, uint64_t n_bytes,
                            uint64_t seed)
{
    const struct mth_region_map *map = &source->input->map;
    uint64_t n_class = 0;
    *sample = (struct mth_explore_sample){.memory = mth_memory_create(0)};
    if (!sample->memory)
        return MTH_ERR_NO_MEMORY;
    mth_region_map_init(&sample->map, sample->memory, "sample", 0);
    mth_region_map_init(&sample->base_map, sample->memory, "sample", 0);
    mth_region_map_init(&sample->older_map, sample->memory, "sample", 0);
    for (size_t i = 0; i < map->n_regions; i++) {
        if (class_ == MTH_N_CLASSES || (map->regions[i].dtype == dtype && source->classes[i] == class_))
            n_class += map->regions[i].n_bytes;
    }
    n_bytes = n_bytes < n_class ? n_bytes : n_class;
    struct sampler s = {.sample = sample, .source = source, .capacity = (size_t)n_bytes + MIN_CLASS_BYTES};
    sample->data = malloc(s.capacity + 1);
    sample->base_data = malloc(s.capacity + 1);
    sample->older_data = malloc(s.capacity + 1);
    int status = sample->data && sample->base_data && sample->older_data ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status)
        status = put_pieces(&s, dtype, class_, n_class, n_bytes, seed);
    if (status)
        mth_explore_sample_free(sample);
    return status;
}

void mth_explore_sample_free(struct mth_explore_sample *sample)
{
    if (sample->memory) {
        mth_region_map_free(&sample->map);
        mth_region_map_free(&sample->base_map);
        mth_region_map_free(&sample->older_map);
    }
    free(sample->data);
    free(sample->base_data);
    free(sample->older_data);
    mth_memory_destroy(sample->memory);
    *sample = (struct mth_explore_sample){0};
}

/* ---- measuring ---- */

struct trial {
    struct mth_memory *memory;
    struct mth_coder *encoder, *decoder;
    struct mth_pipeline *pipeline;
    uint8_t *frame, *restored;
    size_t n_frame;
};

/* One pass each way, compared; shorter times replace those in cost. */
static int pass(struct trial *trial, const struct mth_explore_sample *sample, size_t capacity,
                struct mth_cost *cost, struct mth_error *err)
{
    const struct mth_checkpoint input = {sample->data, &sample->map},
                                bases[] = {{sample->base_data, &sample->base_map},
                                           {sample->older_data, &sample->older_map}};
    const struct mth_bytes base_bytes[] = {{sample->base_data, sample->n_base_bytes},
                                           {sample->older_data, sample->n_older_bytes}};
    size_t n_bases = sample->has_base ? (size_t)1 + sample->has_older : 0;
    struct mth_container_stats stats = {0};
    size_t n_bytes;
    uint64_t begin = mth_clock_ns();
    int status = mth_coder_encode(trial->encoder, trial->pipeline, &input, bases, n_bases, trial->frame,
                                  capacity, &n_bytes, &stats, err);
    uint64_t middle = mth_clock_ns();
    if (status)
        return status;
    memset(trial->restored, POISON, sample->n_bytes);
    uint64_t again = mth_clock_ns();
    status = mth_coder_decode(trial->decoder, (struct mth_bytes){trial->frame, n_bytes}, base_bytes,
                              stats.n_bases, trial->restored, sample->n_bytes, err);
    uint64_t end = mth_clock_ns();
    if (!status && memcmp(trial->restored, sample->data, sample->n_bytes) != 0)
        status = mth_error_set(err, MTH_ERR_CHECKSUM, "what was restored is not the sample");
    double compress = (double)(middle - begin), decompress = (double)(end - again);
    cost->of[MTH_COST_BYTES] = (double)stats.payload_bytes;
    if (compress < cost->of[MTH_COST_COMPRESS])
        cost->of[MTH_COST_COMPRESS] = compress;
    if (decompress < cost->of[MTH_COST_DECOMPRESS])
        cost->of[MTH_COST_DECOMPRESS] = decompress;
    return status;
}

static int open_trial(struct trial *trial, const struct mth_explore_sample *sample, const char *spec,
                      size_t n_threads, size_t memory_bytes, size_t *capacity, struct mth_error *err)
{
    trial->memory = mth_memory_create(memory_bytes);
    struct mth_coder_config config = {.n_threads = n_threads, .memory = trial->memory};
    const struct mth_checkpoint input = {sample->data, &sample->map};
    int status = trial->memory ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status)
        status = mth_pipeline_parse(spec, sample->has_base, &trial->pipeline, err);
    if (!status && mth_pipeline_is_lossy(trial->pipeline))
        status = mth_error_set(err, MTH_ERR_UNSUPPORTED, "%.200s: is lossy", spec);
    if (!status)
        status = mth_coder_create(&config, &trial->encoder, err);
    if (!status)
        status = mth_coder_create(&config, &trial->decoder, err);
    if (!status)
        status = mth_coder_bound(trial->encoder, &input, capacity);
    if (status)
        return status;
    trial->frame = malloc(*capacity + 1);
    trial->restored = malloc(sample->n_bytes + 1);
    return trial->frame && trial->restored ? MTH_OK : MTH_ERR_NO_MEMORY;
}

int mth_explore_sample_measure(const struct mth_explore_sample *sample, const char *spec, size_t n_threads,
                               size_t memory_bytes, struct mth_cost *cost, struct mth_error *err)
{
    enum { MAX_PASSES = 3 };
    const double enough_ns = 20e6;
    struct trial trial = {0};
    size_t capacity = 0;
    *cost = (struct mth_cost){{1e300, 1e300, 1e300}};
    *err = (struct mth_error){0};
    int status = open_trial(&trial, sample, spec, n_threads, memory_bytes, &capacity, err);
    uint64_t begin = mth_clock_ns();
    for (size_t i = 0; !status && i < MAX_PASSES; i++) {
        status = pass(&trial, sample, capacity, cost, err);
        if ((double)(mth_clock_ns() - begin) > enough_ns)
            break;
    }
    mth_coder_destroy(trial.encoder);
    mth_coder_destroy(trial.decoder);
    mth_pipeline_destroy(trial.pipeline);
    mth_memory_destroy(trial.memory);
    free(trial.frame);
    free(trial.restored);
    return status;
}
