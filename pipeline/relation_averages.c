/* Moving averages of weights: which tensors are one, and with what decay; see relations.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"
#include "formats/name_index.h"
#include "transforms/predictors/float_bits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_PIECES = 4,
    PIECE_ELEMS = MTH_MIN_RELATED_ELEMS,
    N_SAMPLE = N_PIECES * PIECE_ELEMS,
    NAME_BYTES = 2048
};

struct search {
    struct mth_families *families;
    const struct mth_source *input;
    const struct mth_counterparts *base;
    struct mth_name_index index;
    uint32_t before[N_SAMPLE], after[N_SAMPLE], weights[N_SAMPLE];
};

/* ---- by name ---- */

/* The part of a dotted name that says that it is an average; its end. NULL: none does. */
static const char *find_marker(const char *name, size_t *n)
{
    static const char *const words[] = {"ema", "averaged", "shadow", "swa"};
    for (const char *part = name; *part; part += *n + (part[*n] == '.')) {
        *n = strcspn(part, ".");
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            size_t n_word = strlen(words[i]);
            if (*n >= n_word && strncmp(part, words[i], n_word) == 0 && (*n == n_word || part[n_word] == '_'))
                return part;
            if (*n > n_word && strncmp(part + *n - n_word, words[i], n_word) == 0 &&
                part[*n - n_word - 1] == '_')
                return part;
        }
    }
    return NULL;
}

/* A tensor that spans an fp32 region. */
static bool is_plain(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    const struct mth_region *region = tensor->region == MTH_NO_REGION ? NULL : &map->regions[tensor->region];
    return region && region->dtype == MTH_DTYPE_F32 && region->flags == 0 &&
           region->n_bytes == 4 * tensor->n_elems && tensor->n_elems >= MTH_MIN_RELATED_ELEMS;
}

/* The weights that a tensor is the average of, if it is one: the same name, but for the part that says so. */
static const struct mth_tensor *find_weights(const struct search *s, const struct mth_tensor *average)
{
    static const char *const instead[] = {"model", "module", "state_dict", "masters", "weights", "params"};
    const struct mth_region_map *map = s->families->map;
    const char *name = mth_tensor_name(map, average);
    size_t n_marker;
    const char *marker = find_marker(name, &n_marker);
    char tried[NAME_BYTES];
    if (!marker || strlen(name) + 16 > sizeof tried || marker[n_marker] != '.')
        return NULL;
    size_t n_before = (size_t)(marker - name);
    const char *rest = marker + n_marker + 1;
    for (size_t i = 0; i <= sizeof instead / sizeof instead[0]; i++) {
        memcpy(tried, name, n_before);
        size_t n = n_before;
        if (i < sizeof instead / sizeof instead[0]) {
            size_t n_word = strlen(instead[i]);
            memcpy(tried + n, instead[i], n_word);
            tried[n + n_word] = '.';
            n += n_word + 1;
        }
        memcpy(tried + n, rest, strlen(rest) + 1);
        const struct mth_tensor *found = mth_name_index_find(&s->index, tried);
        if (found && found->n_elems == average->n_elems && is_plain(map, found) &&
            found->region != average->region)
            return found;
    }
    return NULL;
}

/* ---- by arithmetic ---- */

static int read_sample(const struct mth_source *source, uint64_t offset, uint64_t n_elems, uint32_t *sample,
                       struct mth_error *err)
{
    uint8_t bytes[4 * PIECE_ELEMS];
    for (uint64_t i = 0; i < N_PIECES; i++) {
        uint64_t at = (n_elems - PIECE_ELEMS) / (N_PIECES - 1) * i;
        int status = mth_source_read(source, offset + 4 * at, bytes, sizeof bytes, err);
        if (status)
            return status;
        for (size_t k = 0; k < PIECE_ELEMS; k++)
            sample[i * PIECE_ELEMS + k] = mth_load32(bytes + 4 * k);
    }
    return MTH_OK;
}

/* For how many of the sample a way and a decay are right. */
static size_t count_right(const struct search *s, uint8_t predictor, const uint32_t *settings)
{
    uint8_t before[4 * N_SAMPLE], weights[4 * N_SAMPLE], out[4 * N_SAMPLE];
    const uint8_t *const inputs[] = {before, weights};
    size_t n = 0;
    for (size_t i = 0; i < N_SAMPLE; i++) {
        mth_store32(before + 4 * i, s->before[i]);
        mth_store32(weights + 4 * i, s->weights[i]);
    }
    mth_predictor_at(predictor)->predict(settings, inputs, N_SAMPLE, out);
    for (size_t i = 0; i < N_SAMPLE; i++)
        n += mth_load32(out + 4 * i) == s->after[i];
    return n;
}

static int compare_doubles(const void *left, const void *right)
{
    double a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

/* The share of the weights, about: the median of what the elements say. NAN: they say nothing. */
static double estimate_share(const struct search *s)
{
    double shares[N_SAMPLE];
    size_t n = 0;
    for (size_t i = 0; i < N_SAMPLE; i++) {
        double e = (double)mth_float_of(s->before[i]);
        double share = ((double)mth_float_of(s->after[i]) - e) / ((double)mth_float_of(s->weights[i]) - e);
        if (isfinite(share))
            shares[n++] = share;
    }
    qsort(shares, n, sizeof *shares, compare_doubles);
    return n ? shares[n / 2] : NAN;
}

/* The way and the decay, one of few decimals, that make the average of most of the sample. */
static bool fit(const struct search *s, struct mth_related *member)
{
    enum { MAX_DECIMALS = 7 };
    static const uint8_t ways[] = {MTH_PREDICT_AVERAGED, MTH_PREDICT_AVERAGED_APART};
    double share = estimate_share(s), unit = 10;
    size_t most = N_SAMPLE / 2;
    if (!(share > 0 && share < 0.5))
        return false;
    for (int decimals = 1; decimals <= MAX_DECIMALS; decimals++) {
        double decay = round((1 - share) * unit) / unit;
        const uint32_t settings[MTH_MAX_SETTINGS] = {mth_bits_of((float)(1 - decay)),
                                                     mth_bits_of((float)decay)};
        unit *= 10;
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
            size_t n = count_right(s, ways[i], settings);
            if (n <= most)
                continue;
            most = n;
            member->predictor = ways[i];
            memcpy(member->settings, settings, sizeof settings);
        }
    }
    return most > N_SAMPLE / 2;
}

/* ---- families ---- */

static int consider(struct search *s, const struct mth_tensor *average, struct mth_error *err)
{
    struct mth_families *families = s->families;
    const struct mth_region_map *map = families->map;
    if (!is_plain(map, average) || s->base->references[average->region] == MTH_NO_REFERENCE ||
        families->regions[average->region].family)
        return MTH_OK;
    const struct mth_tensor *weights = find_weights(s, average);
    if (!weights)
        return MTH_OK;
    int status = read_sample(s->input, map->regions[average->region].offset, average->n_elems, s->after, err);
    if (!status)
        status =
            read_sample(s->input, map->regions[weights->region].offset, average->n_elems, s->weights, err);
    if (!status)
        status = read_sample(s->base->reader->source, mth_counterpart_offset(s->base, average->region),
                             average->n_elems, s->before, err);
    struct mth_related member = {.region = average->region, .n_inputs = 2};
    if (status || !fit(s, &member))
        return status;
    return mth_families_follow(families, weights->region, &member);
}

int mth_families_find_averages(struct mth_families *families, const struct mth_source *input,
                               const struct mth_counterparts *base, struct mth_error *err)
{
    const struct mth_region_map *map = families->map;
    struct search *s = mth_memory_calloc(families->memory, 1, sizeof *s);
    struct mth_error inner = {0};
    size_t n_marker, n_marked = 0;
    int status = s ? MTH_OK : MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && i < map->n_tensors; i++)
        n_marked += find_marker(mth_tensor_name(map, &map->tensors[i]), &n_marker) != NULL;
    if (!status && n_marked) {
        *s = (struct search){.families = families, .input = input, .base = base};
        status = mth_name_index_build(map, &s->index, NULL);
        for (size_t i = 0; !status && i < map->n_tensors; i++) {
            if (find_marker(mth_tensor_name(map, &map->tensors[i]), &n_marker))
                status = consider(s, &map->tensors[i], &inner);
        }
        mth_name_index_free(&s->index);
    }
    mth_memory_free(families->memory, s);
    if (!status)
        return MTH_OK;
    return inner.status ? mth_error_set(err, inner.status, "%s", inner.text)
                        : mth_error_set(err, status, "looking for averages of weights failed: %s",
                                        mth_status_text(status));
}
