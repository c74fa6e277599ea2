/* The same cases on fewer threads, and what the others gain; see bench.h. */
#include "harness/bench.h"

#include "harness/text.h"

#include <string.h>

static int add_on(struct mth_bench *bench, size_t index, size_t n_threads, struct mth_error *err)
{
    struct mth_bench_case like = bench->cases[index], *added; /* cases move while they grow */
    like.n_threads = n_threads;
    int status = mth_bench_add_case(bench, &like, &added);
    if (status)
        return mth_error_set(err, status, "no memory for a case");
    for (size_t i = 0; !status && i < like.n_cells; i++)
        status = mth_bench_add_cell(added, like.cells[i].spec, err);
    return status;
}

int mth_bench_add_scaling(struct mth_bench *bench, struct mth_error *err)
{
    size_t n_cases = bench->n_cases;
    int status = MTH_OK;
    for (size_t n_threads = 1; n_threads < bench->config.n_threads; n_threads *= 2) {
        for (size_t c = 0; !status && c < n_cases; c++)
            status = add_on(bench, c, n_threads, err);
    }
    return status;
}

/* The cell on one thread; NULL where there is none. */
static const struct mth_bench_cell *on_one_thread(const struct mth_bench *bench,
                                                  const struct mth_bench_cell *cell)
{
    for (size_t c = 0; c < bench->n_cases; c++) {
        const struct mth_bench_case *at = &bench->cases[c];
        if (at->n_threads != 1 || !mth_text_same(at->id, cell->parent->id) ||
            !mth_text_same(at->base_path, cell->parent->base_path) ||
            !mth_text_same(at->older_path, cell->parent->older_path))
            continue;
        for (size_t i = 0; i < at->n_cells; i++) {
            if (at->cells[i].verified && mth_text_same(at->cells[i].spec, cell->spec))
                return &at->cells[i];
        }
    }
    return NULL;
}

double mth_bench_efficiency(const struct mth_bench *bench, const struct mth_bench_cell *cell,
                            enum mth_phase phase)
{
    const struct mth_bench_cell *one = cell->parent->n_threads == 1 ? cell : on_one_thread(bench, cell);
    double here = cell->phases[phase].time.median;
    if (!one || !cell->verified || here <= 0)
        return -1;
    return 100 * one->phases[phase].time.median / ((double)cell->parent->n_threads * here);
}
