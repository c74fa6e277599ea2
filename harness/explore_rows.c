/* What an exploration found, as a table and as a row; see explore.h. */
#include "harness/explore.h"

#include <stdlib.h>
#include <string.h>

static double mib(size_t n_bytes)
{
    return (double)n_bytes / (1024.0 * 1024.0);
}

static bool is_measured(const struct mth_bench_cell *cell)
{
    return cell->verified && cell->phases[MTH_PHASE_DECOMPRESS].n_samples > 0;
}

int mth_explore_conclude(struct mth_exploration *exploration, const struct mth_bench_case *at)
{
    struct mth_cost costs[MTH_EXPLORE_CELLS + 1] = {0};
    size_t members[MTH_EXPLORE_CELLS + 1], order[MTH_EXPLORE_CELLS + 1], rank[MTH_EXPLORE_CELLS + 1], n = 0;
    exploration->n_front = 0;
    exploration->winner = at->n_cells;
    for (size_t i = 0; i < at->n_cells && n < MTH_EXPLORE_CELLS; i++) {
        if (!is_measured(&at->cells[i]))
            continue;
        costs[n] = (struct mth_cost){{(double)at->cells[i].stored_bytes,
                                      at->cells[i].phases[MTH_PHASE_COMPRESS].time.median,
                                      at->cells[i].phases[MTH_PHASE_DECOMPRESS].time.median}};
        members[n++] = i;
    }
    int status = mth_cost_order(costs, n, order, rank);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++) {
        if (rank[i] == 0)
            exploration->front[exploration->n_front++] = members[i];
    }
    size_t winner = mth_preference_pick(&exploration->preference, costs, n, (double)at->raw_bytes);
    exploration->winner = winner < n ? members[winner] : at->n_cells;
    /* The smallest first. */
    for (size_t i = 1; i < exploration->n_front; i++) {
        for (size_t j = i; j > 0 && at->cells[exploration->front[j]].stored_bytes <
                                        at->cells[exploration->front[j - 1]].stored_bytes;
             j--) {
            size_t swap = exploration->front[j];
            exploration->front[j] = exploration->front[j - 1];
            exploration->front[j - 1] = swap;
        }
    }
    return MTH_OK;
}

static size_t heap_of(const struct mth_bench_cell *cell)
{
    size_t compress = cell->phases[MTH_PHASE_COMPRESS].heap_peak_bytes;
    size_t decompress = cell->phases[MTH_PHASE_DECOMPRESS].heap_peak_bytes;
    return compress > decompress ? compress : decompress;
}

static void print_speed(const struct mth_bench_case *at, const struct mth_phase_result *result, FILE *out)
{
    fprintf(out, " %8.3f %4.0f %%", mth_gib_s(at->raw_bytes, result->time.median), result->pct_memcpy);
}

void mth_explore_print(const struct mth_exploration *exploration, const struct mth_bench *bench, FILE *out)
{
    const struct mth_bench_case *at = &bench->cases[0];
    fprintf(out, "\n%.80s (%s): %.2f MB in %zu classes%s\n", at->id, at->class_name,
            (double)at->raw_bytes / 1e6, exploration->n_classes,
            at->older_path  ? ", against a base and an older one"
            : at->base_path ? ", against a base"
                            : "");
    for (size_t c = 0; c < exploration->n_classes; c++) {
        const struct mth_explore_class *class_ = &exploration->classes[c];
        fprintf(out,
                "  %-16s %5.1f %% of the bytes; %zu specs on samples (%zu measurements), %zu failed, %zu on "
                "the front\n",
                class_->guard, 100 * (double)class_->n_bytes / (double)at->raw_bytes, class_->n_measured,
                class_->n_passes, class_->n_dropped, class_->n_front);
    }
    fprintf(out,
            "  bound %.3fx (%s); memcpy %.2f GiB/s; %zu specs in full, in %zu rounds; %zu on the front, by "
            "ratio:\n\n",
            at->bound_ratio, at->bound_model ? at->bound_model : "none", at->memcpy_gib_s, at->n_cells,
            at->memory[MTH_MEMORY_COPY].n_samples, exploration->n_front);
    fprintf(out, "  %8s %15s %15s %8s  %s\n", "ratio", "compress GiB/s", "decompress", "heap MiB",
            "pipeline (% of memcpy beside the speeds)");
    for (size_t i = 0; i < exploration->n_front; i++) {
        const struct mth_bench_cell *cell = &at->cells[exploration->front[i]];
        fprintf(out, "%c %8.3f", exploration->front[i] == exploration->winner ? '*' : ' ', cell->ratio);
        print_speed(at, &cell->phases[MTH_PHASE_COMPRESS], out);
        print_speed(at, &cell->phases[MTH_PHASE_DECOMPRESS], out);
        fprintf(out, " %8.2f  %s\n", mib(heap_of(cell)), cell->spec);
    }
    fprintf(out, "\n%.1f s: loading %.1f, searching on samples %.1f, measuring in full %.1f\n",
            exploration->spent_s[3], exploration->spent_s[0], exploration->spent_s[1],
            exploration->spent_s[2]);
}

static void put_cost(struct mth_json_writer *w, const struct mth_cost *cost, uint64_t raw_bytes)
{
    mth_json_real(w, "ratio", (double)raw_bytes / cost->of[MTH_COST_BYTES]);
    mth_json_real(w, "compress_gib_s", mth_gib_s(raw_bytes, cost->of[MTH_COST_COMPRESS]));
    mth_json_real(w, "decompress_gib_s", mth_gib_s(raw_bytes, cost->of[MTH_COST_DECOMPRESS]));
}

static void put_class(struct mth_json_writer *w, const struct mth_explore_class *at)
{
    mth_json_begin_object(w, NULL);
    mth_json_string(w, "class", at->guard);
    mth_json_uint(w, "raw_bytes", at->n_bytes);
    mth_json_uint(w, "n_specs", at->n_measured);
    mth_json_uint(w, "n_failed", at->n_dropped);
    mth_json_uint(w, "n_measurements", at->n_passes);
    mth_json_begin_array(w, "front");
    for (size_t i = 0; i < at->n_front; i++) {
        mth_json_begin_object(w, NULL);
        mth_json_string(w, "spec", at->pool.items[at->front[i].spec]);
        mth_json_uint(w, "sample_bytes", at->sample_bytes[at->front[i].level]);
        put_cost(w, &at->front[i].cost, at->n_bytes);
        mth_json_end(w);
    }
    mth_json_end(w);
    mth_json_end(w);
}

int mth_explore_write_row(const struct mth_exploration *exploration, const struct mth_bench *bench, FILE *out)
{
    const struct mth_bench_case *at = &bench->cases[0];
    const struct mth_preference *preference = &exploration->preference;
    const struct mth_bench_cell *winner =
        exploration->winner < at->n_cells ? &at->cells[exploration->winner] : NULL;
    struct mth_json_writer w;
    const char *text;
    size_t n_bytes;
    char row_id[32];
    snprintf(row_id, sizeof row_id, "%.8s-e", bench->config.run_tag);
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "kind", "explore");
    mth_json_string(&w, "row_id", row_id);
    mth_json_string(&w, "env_id", bench->config.env_id);
    mth_json_string(&w, "dataset", at->id);
    mth_json_string(&w, "class", at->class_name);
    mth_json_string(&w, "base", at->base_path);
    mth_json_string(&w, "older", at->older_path);
    mth_json_string(&w, "dataset_xxh3", at->hash[0] ? at->hash : NULL);
    mth_json_string(&w, "base_xxh3", at->base_hash[0] ? at->base_hash : NULL);
    mth_json_uint(&w, "threads", bench->config.n_threads);
    mth_json_uint(&w, "raw_bytes", at->raw_bytes);
    mth_json_real(&w, "budget_s", exploration->budget_s);
    mth_json_real(&w, "load_s", exploration->spent_s[0]);
    mth_json_real(&w, "search_s", exploration->spent_s[1]);
    mth_json_real(&w, "full_s", exploration->spent_s[2]);
    mth_json_uint(&w, "seed", bench->config.seed);
    mth_json_string(&w, "prefer", preference->name);
    mth_json_begin_object(&w, "weights");
    mth_json_real(&w, "ratio", preference->weights[MTH_COST_BYTES]);
    mth_json_real(&w, "compress", preference->weights[MTH_COST_COMPRESS]);
    mth_json_real(&w, "decompress", preference->weights[MTH_COST_DECOMPRESS]);
    mth_json_end(&w);
    mth_json_string(&w, "winner", winner ? winner->spec : NULL);
    mth_json_string(&w, "winner_row", winner ? winner->phases[MTH_PHASE_COMPRESS].row_id : NULL);
    mth_json_begin_array(&w, "front");
    for (size_t i = 0; i < exploration->n_front; i++)
        mth_json_string(&w, NULL, at->cells[exploration->front[i]].phases[MTH_PHASE_COMPRESS].row_id);
    mth_json_end(&w);
    mth_json_begin_array(&w, "classes");
    for (size_t c = 0; c < exploration->n_classes; c++)
        put_class(&w, &exploration->classes[c]);
    mth_json_end(&w);
    mth_json_end(&w);
    int status = mth_json_writer_text(&w, &text, &n_bytes);
    if (!status && fwrite(text, 1, n_bytes, out) != n_bytes)
        status = MTH_ERR_IO;
    mth_json_writer_free(&w);
    return status;
}
