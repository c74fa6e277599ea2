/* What the tables of a report say; see report_tables.h. */
#include "harness/report_tables.h"

#include "harness/text.h"

#include <inttypes.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MIB          ((double)(1 << 20))

static const char compress[] = "compress", decompress[] = "decompress";

static double per_byte(int64_t n_bytes, int64_t raw_bytes)
{
    return n_bytes > 0 && raw_bytes > 0 ? (double)n_bytes / (double)raw_bytes : -1;
}

static bool is_line_of(const struct mth_report *report, size_t cell, size_t group)
{
    return report->cells[cell].group == group && mth_report_is_compress(&report->cells[cell]);
}

/* ---- ratios and speeds ---- */

/* The flags of both phases, each once. */
static void join_flags(const struct mth_report_cell *a, const struct mth_report_cell *b, char out[512])
{
    snprintf(out, 512, "%.250s", a->flags ? a->flags : "");
    for (const char *p = b && b->flags ? b->flags : ""; *p;) {
        size_t n = strcspn(p, " "), used = strlen(out);
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), p);
        if (!strstr(out, word))
            snprintf(out + used, 512 - used, "%s%s", used ? " " : "", word);
        p += n + (p[n] == ' ');
    }
}

static void put_speed(struct mth_table *table, const struct mth_report_cell *cell)
{
    bool known = cell && cell->verified && cell->gib_s >= 0;
    mth_table_interval(table, known ? cell->gib_s : -1, known ? cell->gib_s_lo : 0,
                       known ? cell->gib_s_hi : 0, 3);
    mth_table_real(table, known ? cell->pct_memcpy : -1, 1, "");
}

static void put_cell(const struct mth_report *report, const struct mth_report_cell *cell,
                     struct mth_table *table)
{
    const struct mth_report_group *group = &report->groups[cell->group];
    const struct mth_report_cell *back = mth_report_other_phase(report, cell);
    char text[512];
    mth_table_code(table, cell->spec, cell->spec_resolved);
    if (!cell->verified) {
        snprintf(text, sizeof text, "%s%s%.400s", cell->unsupported ? "UNSUPPORTED" : "FAILED",
                 cell->error ? ": " : "", cell->error ? cell->error : "");
        mth_table_rest(table, text);
        return;
    }
    mth_table_real(table, cell->ratio, 3, "");
    mth_table_real(table, group->bound_ratio > 0 ? 100 * cell->ratio / group->bound_ratio : -1, 1, "");
    put_speed(table, cell);
    put_speed(table, back);
    mth_table_real(table, (double)mth_report_heap(report, cell) / MIB, 2, "");
    mth_table_text(table, back && back->verified ? "yes" : "no");
    join_flags(cell, back, text);
    mth_table_text(table, text);
}

static bool has_cells(const struct mth_report *report, size_t index)
{
    for (size_t i = 0; i < report->n_cells; i++) {
        if (is_line_of(report, i, index))
            return true;
    }
    return false;
}

static void put_cells(const struct mth_report *report, size_t index, enum mth_table_format format, FILE *out)
{
    static const struct mth_column columns[] = {{"pipeline", .number = false},
                                                {"ratio", .number = true},
                                                {"% of bound", .number = true},
                                                {"GiB/s", .number = true, .over = compress},
                                                {"% memcpy", .number = true, .over = compress},
                                                {"GiB/s", .number = true, .over = decompress},
                                                {"% memcpy", .number = true, .over = decompress},
                                                {"heap MiB", .number = true},
                                                {"verified", .wide = true},
                                                {"flags", .wide = true}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_cells; i++) {
        if (is_line_of(report, i, index))
            put_cell(report, &report->cells[i], &table);
    }
    mth_table_end(&table);
}

/* ---- rooflines, threads, memory ---- */

static bool tells_of_machine(const struct mth_report *report, size_t cell, size_t group)
{
    const struct mth_report_cell *row = &report->cells[cell];
    return is_line_of(report, cell, group) && row->verified &&
           (row->pct_roofline >= 0 || row->resident_peak_bytes > 0);
}

static bool has_machine(const struct mth_report *report, size_t index)
{
    for (size_t i = 0; i < report->n_cells; i++) {
        if (tells_of_machine(report, i, index))
            return true;
    }
    return false;
}

static void put_machine_phase(struct mth_table *table, const struct mth_report_group *group,
                              const struct mth_report_cell *cell)
{
    bool known = cell && cell->verified;
    mth_table_real(table, known ? cell->pct_roofline : -1, 1, "");
    mth_table_real(table, known && group->threads > 0 ? cell->gib_s / (double)group->threads : -1, 3, "");
    mth_table_real(table, known ? cell->pct_parallel : -1, 0, "");
    mth_table_real(table, known ? per_byte(cell->heap_peak_bytes, group->raw_bytes) : -1, 4, "");
    mth_table_real(table, known ? per_byte(cell->resident_peak_bytes, group->raw_bytes) : -1, 4, "");
}

static void put_machine(const struct mth_report *report, size_t index, enum mth_table_format format,
                        FILE *out)
{
    static const struct mth_column columns[] = {{"pipeline", .number = false},
                                                {"% roofline", .number = true, .over = compress},
                                                {"GiB/s a thread", .number = true, .over = compress},
                                                {"% parallel", .number = true, .over = compress},
                                                {"heap", .number = true, .over = compress},
                                                {"resident", .number = true, .over = compress},
                                                {"% roofline", .number = true, .over = decompress},
                                                {"GiB/s a thread", .number = true, .over = decompress},
                                                {"% parallel", .number = true, .over = decompress},
                                                {"heap", .number = true, .over = decompress},
                                                {"resident", .number = true, .over = decompress}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_cells; i++) {
        if (!tells_of_machine(report, i, index))
            continue;
        const struct mth_report_cell *cell = &report->cells[i];
        mth_table_code(&table, cell->spec, cell->spec_resolved);
        put_machine_phase(&table, &report->groups[index], cell);
        put_machine_phase(&table, &report->groups[index], mth_report_other_phase(report, cell));
    }
    mth_table_end(&table);
}

/* ---- single tensors ---- */

static bool is_latency_of(const struct mth_report *report, const struct mth_report_latency *row, size_t group)
{
    const struct mth_report_group *g = &report->groups[group];
    return mth_text_same(row->env_id, g->env_id) && mth_text_same(row->dataset, g->dataset) &&
           mth_text_same(row->base, g->base) && mth_text_same(row->older, g->older) &&
           row->threads == g->threads;
}

static bool has_latency(const struct mth_report *report, size_t index)
{
    for (size_t i = 0; i < report->n_latencies; i++) {
        if (is_latency_of(report, &report->latencies[i], index))
            return true;
    }
    return false;
}

static const struct mth_report_latency *way_back(const struct mth_report *report, size_t group,
                                                 const struct mth_report_latency *row)
{
    for (size_t i = 0; i < report->n_latencies; i++) {
        const struct mth_report_latency *other = &report->latencies[i];
        if (is_latency_of(report, other, group) && mth_text_same(other->spec, row->spec) &&
            other->up_to_bytes == row->up_to_bytes && mth_text_same(other->phase, decompress))
            return other;
    }
    return NULL;
}

static void put_latency_phase(struct mth_table *table, const struct mth_report_latency *row)
{
    mth_table_real(table, row ? row->p50_ns / 1e3 : -1, 1, "");
    mth_table_real(table, row ? row->p95_ns / 1e3 : -1, 1, "");
    mth_table_real(table, row ? row->p99_ns / 1e3 : -1, 1, "");
}

static void put_latency(const struct mth_report *report, size_t index, enum mth_table_format format,
                        FILE *out)
{
    static const struct mth_column columns[] = {{"pipeline", .number = false},
                                                {"up to KiB", .number = true},
                                                {"tensors", .number = true},
                                                {"calls", .number = true},
                                                {"p50", .number = true, .over = compress},
                                                {"p95", .number = true, .over = compress},
                                                {"p99", .number = true, .over = compress},
                                                {"p50", .number = true, .over = decompress},
                                                {"p95", .number = true, .over = decompress},
                                                {"p99", .number = true, .over = decompress}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_latencies; i++) {
        const struct mth_report_latency *row = &report->latencies[i];
        if (!is_latency_of(report, row, index) || !mth_text_same(row->phase, compress))
            continue;
        mth_table_code(&table, row->spec, NULL);
        mth_table_real(&table, (double)row->up_to_bytes / 1024, 0, "");
        mth_table_real(&table, (double)row->n_tensors, 0, "");
        mth_table_real(&table, (double)row->n_calls, 0, "");
        put_latency_phase(&table, row);
        put_latency_phase(&table, way_back(report, index, row));
    }
    mth_table_end(&table);
}

const struct mth_report_table mth_report_tables[MTH_REPORT_TABLES] = {
    {NULL, NULL, has_cells, put_cells},
    {"Rooflines, threads, memory",
     "Percent of the time that moving the bytes alone would take; throughput by thread, and percent of what "
     "as many threads "
     "alone would reach; peak heap and peak resident memory in bytes for a byte of the checkpoint.",
     has_machine, put_machine},
    {"Single tensors",
     "Microseconds of one call on one tensor, by size; caches as the calls before left them.", has_latency,
     put_latency},
};

void mth_report_put_memory(const struct mth_report_group *group, FILE *out)
{
    if (group->memcpy_gib_s > 0)
        fprintf(out, "; memcpy %.2f GiB/s", group->memcpy_gib_s);
    if (group->read_gib_s > 0)
        fprintf(out, ", reads %.2f", group->read_gib_s);
    if (group->write_gib_s > 0)
        fprintf(out, ", writes %.2f", group->write_gib_s);
    if (group->timer_ns >= 0)
        fprintf(out, "; timer %.0f ns", group->timer_ns);
}

/* ---- of all rows ---- */

void mth_report_put_runs(const struct mth_report *report, enum mth_table_format format, FILE *out)
{
    static const struct mth_column columns[] = {
        {"run", .number = false},      {"pipeline", .number = false},    {"checkpoints", .number = true},
        {"raw bytes", .number = true}, {"stored bytes", .number = true}, {"ratio", .number = true},
        {"verified", .number = false}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_runs; i++) {
        const struct mth_report_run *run = &report->runs[i];
        mth_table_text(&table, run->run_id);
        mth_table_code(&table, run->spec, NULL);
        mth_table_real(&table, (double)run->n_checkpoints, 0, "");
        mth_table_real(&table, (double)run->raw_bytes, 0, "");
        mth_table_real(&table, (double)run->stored_bytes, 0, "");
        mth_table_real(&table, run->verified ? run->ratio : -1, 3, "");
        mth_table_text(&table, run->verified ? "yes" : "no");
    }
    mth_table_end(&table);
}

void mth_report_put_verdicts(const struct mth_report *report, enum mth_table_format format, FILE *out)
{
    static const struct mth_column columns[] = {
        {"target", .number = false},   {"verdict", .number = false},  {"value", .number = true},
        {"threshold", .number = true}, {"scope", .number = false},    {"pipeline", .number = false},
        {"bound", .number = true},     {"whole run", .number = true}, {"reason", .number = false}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_verdicts; i++) {
        const struct mth_report_verdict *verdict = &report->verdicts[i];
        char scope[320];
        snprintf(scope, sizeof scope, "%.256s", verdict->scope ? verdict->scope : "-");
        if (verdict->steps_apart > 0)
            snprintf(scope + strlen(scope), 40, ", %" PRId64 " step%s apart", verdict->steps_apart,
                     verdict->steps_apart == 1 ? "" : "s");
        mth_table_text(&table, verdict->target);
        mth_table_word(&table, verdict->result);
        mth_table_real(&table, verdict->value, 3, "");
        mth_table_real(&table, verdict->threshold,
                       verdict->threshold == (double)(int64_t)verdict->threshold ? 0 : 1, "");
        mth_table_text(&table, scope);
        mth_table_code(&table, verdict->spec, NULL);
        mth_table_real(&table, verdict->bound_ratio, 3, "");
        mth_table_real(&table, verdict->run_ratio, 2, "x");
        mth_table_text(&table, verdict->reason ? verdict->reason : "");
    }
    mth_table_end(&table);
}

void mth_report_put_files(const struct mth_report *report, enum mth_table_format format, FILE *out)
{
    static const struct mth_column columns[] = {{"file", .number = false},   {"where", .number = false},
                                                {"tool", .number = false},   {"pipeline", .number = false},
                                                {"threads", .number = true}, {"phase", .number = false},
                                                {"ratio", .number = true},   {"seconds", .number = true},
                                                {"GiB/s", .number = true},   {"% of memory", .number = true}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_e2e; i++) {
        const struct mth_report_e2e *row = &report->e2e[i];
        char name[512], where[128];
        bool has_base = row->base && !row->spec; /* a cell's dataset says what it stands on */
        snprintf(name, sizeof name, "%.250s%s%.250s", row->dataset ? row->dataset : "-",
                 has_base ? " against " : "", has_base ? row->base : "");
        snprintf(where, sizeof where, "%.60s%s%.60s", row->file_system ? row->file_system : "-",
                 row->cache ? ", " : "", row->cache ? row->cache : "");
        mth_table_text(&table, name);
        mth_table_text(&table, where);
        mth_table_code(&table, row->tool, NULL);
        if (row->spec)
            mth_table_code(&table, row->spec, NULL);
        else
            mth_table_text(&table, NULL);
        mth_table_real(&table, row->threads > 0 ? (double)row->threads : -1, 0, "");
        mth_table_text(&table, row->phase);
        mth_table_real(&table, row->ratio, 3, "");
        mth_table_real(&table, row->median_ns < 0 ? -1 : row->median_ns * 1e-9, 4, "");
        mth_table_real(&table, row->gib_s, 3, "");
        mth_table_interval(&table, row->pct_memory, row->pct_memory_lo, row->pct_memory_hi, 0);
    }
    mth_table_end(&table);
}

void mth_report_put_machines(const struct mth_report *report, enum mth_table_format format, FILE *out)
{
    static const struct mth_column columns[] = {
        {"machine", .number = false},  {"processor", .number = false}, {"processors", .number = true},
        {"cache MiB", .number = true}, {"memory GiB", .number = true}, {"features", .number = false},
        {"system", .number = false},   {"kernel", .number = false},    {"mithril", .number = false},
        {"commit", .number = false},   {"compiler", .number = false}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_envs; i++) {
        const struct mth_report_env *env = &report->envs[i];
        mth_table_text(&table, env->env_id);
        mth_table_text(&table, env->cpu_model);
        mth_table_real(&table, env->cpus_allowed > 0 ? (double)env->cpus_allowed : -1, 0, "");
        mth_table_real(&table, env->llc_bytes > 0 ? (double)env->llc_bytes / MIB : -1, 1, "");
        mth_table_real(&table, env->memory_bytes > 0 ? (double)env->memory_bytes / (1 << 30) : -1, 1, "");
        mth_table_text(&table, env->cpu_features);
        mth_table_text(&table, env->os);
        mth_table_text(&table, env->kernel);
        mth_table_text(&table, env->version);
        mth_table_text(&table, env->commit);
        mth_table_text(&table, env->compiler);
    }
    mth_table_end(&table);
}
