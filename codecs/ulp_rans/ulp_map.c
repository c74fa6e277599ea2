/* Which elements have flags; see ulp_map.h. */
#include "codecs/ulp_rans/ulp_map.h"

#include "base/checked.h"
#include "base/lane.h"
#include "codecs/rans/rans_quantise.h"

#include <string.h>

extern const struct mth_codec mth_codec_rans;

enum {
    COUNT_GROUPS = 512,  /* sampled for how often contexts occur */
    CLUSTERED_SHARE = 16 /* a map is tried when one in so many groups does not change that would by chance */
};

void mth_ulp_count_elements(const struct mth_ulp_block *block, const uint32_t *numbers, size_t n_groups,
                            uint64_t elements[MTH_ULP_CONTEXTS])
{
    size_t every = n_groups / COUNT_GROUPS + 1, n_sampled = 0;
    uint8_t sample[COUNT_GROUPS * MTH_ULP_GROUP] = {0};
    uint32_t counts[MTH_ULP_CONTEXTS] = {0};
    for (size_t g = 0; g < n_groups; g += every, n_sampled++)
        memcpy(sample + n_sampled * MTH_ULP_GROUP,
               block->state->of_base + (numbers ? numbers[g] : g) * MTH_ULP_GROUP, MTH_ULP_GROUP);
    block->state->kernels->count_contexts(sample, n_sampled * MTH_ULP_GROUP, counts);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        elements[c] = n_sampled ? (uint64_t)counts[c] * n_groups / n_sampled : 0;
}

/* What flags cost with these counts, in units of 2^-MTH_RANS_LOG2_BITS bits. */
static uint64_t price(const struct mth_ulp_counts *counts)
{
    uint64_t sum = 0, whole = (uint64_t)8 << MTH_RANS_LOG2_BITS;
    struct mth_ulp_table table;
    mth_ulp_table_build(&table, counts);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        uint64_t n_changed = 0;
        for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++)
            n_changed += counts->symbols[c][s];
        if (n_changed == 0)
            continue;
        uint64_t n_same = counts->elements[c] > n_changed ? counts->elements[c] - n_changed : 0;
        sum += n_changed * (whole - mth_rans_log2(table.changed[c]));
        sum += n_same * (whole - mth_rans_log2(MTH_ULP_SLOTS - (uint32_t)table.changed[c]));
    }
    return sum;
}

/* Which groups have flags where a map names them. */
static void list_active(struct mth_ulp_block *block)
{
    struct mth_ulp_state *state = block->state;
    size_t n = 0;
    for (size_t g = 0; g < block->n_groups && n < block->n_active; g++) {
        state->active[n] = state->masks[g];
        state->numbers[n] = (uint32_t)g;
        n += state->masks[g] != 0;
    }
}

/* A map of n bits into map_coded. Returns its bytes, 0 when it can not be. */
static size_t code_map(struct mth_ulp_state *state, size_t n)
{
    struct mth_encode_job job = {.src = {state->map, (n + 7) / 8},
                                 .type = mth_symbol_type_of(MTH_DTYPE_U8),
                                 .dst = state->map_coded,
                                 .dst_capacity = sizeof state->map_coded};
    if (mth_codec_rans.encode(state->map_state, &job))
        return 0;
    if (job.out.data != state->map_coded)
        memmove(state->map_coded, job.out.data, job.out.n_bytes);
    return job.out.n_bytes;
}

/* Do changes lie together? Where each element changes by itself, flags say all that a map could. */
static bool is_clustered(const struct mth_ulp_block *block)
{
    enum { ONE_BITS = 16, DOUBLINGS = 5 }; /* 2^5 elements a group */
    size_t by_chance = ((block->n_elems - block->n_changed) << ONE_BITS) / block->n_elems;
    for (unsigned i = 0; i < DOUBLINGS; i++)
        by_chance = by_chance * by_chance >> ONE_BITS;
    size_t n_same = block->n_groups - block->n_active;
    return n_same > (by_chance * block->n_groups >> ONE_BITS) + block->n_groups / CLUSTERED_SHARE;
}

/* Flags that not all elements have: which, what their map takes, and how many there are of each context. */
struct mapped {
    size_t n_map; /* bytes; 0: there is no such map */
    size_t n_elems;
    uint64_t price; /* of all */
    struct mth_ulp_counts counts;
};

static void set_price(struct mapped *mapped)
{
    mapped->price = price(&mapped->counts) + ((uint64_t)mapped->n_map * 8 << MTH_RANS_LOG2_BITS);
}

/* A bit a group. */
static size_t code_groups(struct mth_ulp_block *block)
{
    struct mth_ulp_state *state = block->state;
    memset(state->map, 0, (block->n_groups + 7) / 8);
    for (size_t i = 0; i < block->n_active; i++)
        state->map[state->numbers[i] / 8] |= (uint8_t)(1u << state->numbers[i] % 8);
    return code_map(state, block->n_groups);
}

static void try_groups(struct mth_ulp_block *block, const struct mth_ulp_counts *counts,
                       struct mapped *mapped)
{
    list_active(block);
    *mapped = (struct mapped){.n_map = code_groups(block), .counts = *counts};
    if (mapped->n_map == 0)
        return;
    mth_ulp_count_elements(block, block->state->numbers, block->n_active, mapped->counts.elements);
    set_price(mapped);
}

/* How many elements of the rows that the map names have each context, estimated by some of these rows. */
static void count_elements_of_rows(const struct mth_ulp_block *block, size_t n_elems,
                                   uint64_t elements[MTH_ULP_CONTEXTS])
{
    const struct mth_ulp_rows *rows = &block->rows;
    const struct mth_ulp_state *state = block->state;
    size_t n_rows = mth_ulp_rows_n(rows), n_sampled = 0, n_named = 0;
    size_t every = n_elems / (COUNT_GROUPS * MTH_ULP_GROUP) + 1;
    uint32_t counts[MTH_ULP_CONTEXTS] = {0};
    for (size_t i = 0; i < n_rows; i++) {
        if (!(state->map[i / 8] >> i % 8 & 1) || n_named++ % every != 0)
            continue;
        size_t end = mth_ulp_row_begin(rows, i + 1);
        for (size_t at = mth_ulp_row_begin(rows, i); at < end; at++, n_sampled++)
            counts[state->of_base[at]]++;
    }
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        elements[c] = n_sampled ? (uint64_t)counts[c] * n_elems / n_sampled : 0;
}

static size_t code_rows(struct mth_ulp_block *block, size_t *n_elems)
{
    struct mth_ulp_state *state = block->state;
    *n_elems = mth_ulp_rows_mark(&block->rows, state->masks, state->map);
    return code_map(state, mth_ulp_rows_n(&block->rows));
}

static void try_rows(struct mth_ulp_block *block, const struct mth_ulp_counts *counts, struct mapped *mapped)
{
    *mapped = (struct mapped){.counts = *counts};
    if (block->rows.row == 0)
        return;
    mapped->n_map = code_rows(block, &mapped->n_elems);
    if (mapped->n_map == 0)
        return;
    count_elements_of_rows(block, mapped->n_elems, mapped->counts.elements);
    set_price(mapped);
}

size_t mth_ulp_map_choose(struct mth_ulp_block *block, struct mth_ulp_counts *counts, bool *in_rows)
{
    struct mapped rows, groups;
    uint64_t least = price(counts);
    *in_rows = false;
    if (!is_clustered(block))
        return 0;
    try_rows(block, counts, &rows);
    /* Where groups have more flags, their map will not be so much shorter. */
    if (rows.n_map > 0 && rows.price < least && rows.n_elems <= block->n_active * MTH_ULP_GROUP) {
        *counts = rows.counts;
        *in_rows = true;
        return rows.n_map;
    }
    try_groups(block, counts, &groups);
    bool rows_pay = rows.n_map > 0 && rows.price<least, groups_pay = groups.n_map> 0 && groups.price < least;
    if (rows_pay && (!groups_pay || rows.price < groups.price)) {
        *counts = rows.counts;
        *in_rows = true;
        return code_rows(block, &rows.n_elems);
    }
    if (!groups_pay)
        return 0;
    *counts = groups.counts;
    return groups.n_map;
}
