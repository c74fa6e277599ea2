/* What speaks against a row, in bits and in words; docs/measurement.md tells when. */
#include "harness/bench.h"

#include <stdio.h>

static const struct {
    uint32_t flag;
    const char *name;
} flag_names[] = {
    {MTH_CELL_IN_CACHE, "in_cache"},
    {MTH_CELL_SHORT_SAMPLE, "short_sample"},
    {MTH_CELL_SPREAD, "spread"},
    {MTH_CELL_FEW_SAMPLES, "few_samples"},
    {MTH_CELL_THREADS, "extra_threads"},
    {MTH_CELL_NONDETERMINISTIC, "nondeterministic"},
    {MTH_CELL_DISQUALIFIED, "disqualified"},
    {MTH_CELL_UNSETTLED, "unsettled"},
    {MTH_CELL_GOVERNOR, "governor"},
    {MTH_CELL_THROTTLED, "throttled"},
    {MTH_CELL_STOLEN, "stolen"},
    {MTH_CELL_SWAPPED, "swapped"},
    {MTH_CELL_LOSSY, "lossy"},
};
enum { N_FLAGS = sizeof flag_names / sizeof flag_names[0] };

uint32_t mth_bench_phase_flags(const struct mth_phase_result *result, size_t n_threads, bool in_cache)
{
    const struct mth_summary *time = &result->time;
    uint32_t flags = in_cache ? MTH_CELL_IN_CACHE : 0;
    if (result->n_samples < 5)
        flags |= MTH_CELL_FEW_SAMPLES;
    if (time->ci_hi > 1.05 * time->median || time->ci_lo < 0.95 * time->median)
        flags |= MTH_CELL_SPREAD;
    if (result->cpu_ns > 1.1 * (double)n_threads * time->median)
        flags |= MTH_CELL_THREADS;
    return flags;
}

const char *mth_bench_flag_name(size_t index, uint32_t *flag)
{
    *flag = index < N_FLAGS ? flag_names[index].flag : 0;
    return index < N_FLAGS ? flag_names[index].name : NULL;
}

void mth_bench_flag_words(uint32_t flags, char out[256])
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < N_FLAGS && used < 256; i++) {
        if (flags & flag_names[i].flag)
            used += (size_t)snprintf(out + used, 256 - used, "%s%s", used ? ", " : "", flag_names[i].name);
    }
}

int mth_bench_refuse_flags(const struct mth_bench *bench, struct mth_error *err)
{
    for (size_t c = 0; c < bench->n_cases; c++) {
        for (size_t i = 0; i < bench->cases[c].n_cells; i++) {
            const struct mth_bench_cell *cell = &bench->cases[c].cells[i];
            for (size_t p = 0; p < MTH_N_PHASES; p++) {
                char flags[256];
                if (!cell->verified || cell->phases[p].flags == 0)
                    continue;
                mth_bench_flag_words(cell->phases[p].flags, flags);
                return mth_error_set(err, MTH_ERR_LIMIT,
                                     "--strict: %.80s, %.60s: flagged %s; no rows were written",
                                     bench->cases[c].id, cell->spec, flags);
            }
        }
    }
    return MTH_OK;
}
