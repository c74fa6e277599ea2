/* What each kind of row holds, and which rows take the place of earlier ones; see report_rows.h. */
#include "harness/report_reader.h"

#include "harness/text.h"

#include <inttypes.h>
#include <string.h>

static bool same_env(const void *left, const void *right)
{
    const struct mth_report_env *a = left, *b = right;
    return mth_text_same(a->env_id, b->env_id);
}

static int read_env(struct mth_report *report, struct mth_row_reader *reader)
{
    struct mth_report_env row = {.env_id = mth_reader_text(reader, "env_id", MTH_JSON_REQUIRED),
                                 .cpu_model = mth_reader_text(reader, "cpu_model", MTH_JSON_OPTIONAL),
                                 .cpu_features = mth_reader_text(reader, "cpu_features", MTH_JSON_OPTIONAL),
                                 .kernel = mth_reader_text(reader, "kernel", MTH_JSON_OPTIONAL),
                                 .os = mth_reader_text(reader, "os", MTH_JSON_OPTIONAL),
                                 .compiler = mth_reader_text(reader, "compiler", MTH_JSON_OPTIONAL),
                                 .version = mth_reader_text(reader, "version", MTH_JSON_OPTIONAL),
                                 .commit = mth_reader_text(reader, "commit", MTH_JSON_OPTIONAL),
                                 .machine = mth_reader_text(reader, "machine", MTH_JSON_OPTIONAL),
                                 .cpus_allowed = mth_reader_integer(reader, "cpus_allowed"),
                                 .llc_bytes = mth_reader_integer(reader, "llc_bytes"),
                                 .memory_bytes = mth_reader_integer(reader, "memory_bytes")};
    if (!reader->status)
        reader->status =
            mth_json_get_object(reader->row, "libraries", MTH_JSON_OPTIONAL, &row.libraries, reader->err);
    if (reader->status)
        return reader->status;
    row.libraries.parent = NULL; /* the row's cursor does not stay; the document does */
    row.libraries.file = "libraries";
    if (mth_reader_place(report->envs, report->n_envs, sizeof row, &row, same_env) == report->n_envs)
        mth_reader_put(report, reader, MTH_REPORT_ENVS, &report->envs, &report->n_envs, sizeof row, &row,
                       NULL);
    return reader->status;
}

static bool same_group(const void *left, const void *right)
{
    const struct mth_report_group *a = left, *b = right;
    return mth_text_same(a->env_id, b->env_id) && mth_text_same(a->dataset, b->dataset) &&
           mth_text_same(a->base, b->base) && mth_text_same(a->older, b->older) && a->threads == b->threads;
}

/* The group of a row, added when it is new. */
static int find_group(struct mth_report *report, struct mth_row_reader *reader, size_t *index)
{
    struct mth_report_group row = {.env_id = mth_reader_text(reader, "env_id", MTH_JSON_OPTIONAL),
                                   .dataset = mth_reader_text(reader, "dataset", MTH_JSON_REQUIRED),
                                   .class_name = mth_reader_text(reader, "class", MTH_JSON_OPTIONAL),
                                   .base = mth_reader_text(reader, "base", MTH_JSON_OPTIONAL),
                                   .older = mth_reader_text(reader, "older", MTH_JSON_OPTIONAL),
                                   .hash = mth_reader_text(reader, "dataset_xxh3", MTH_JSON_OPTIONAL),
                                   .base_hash = mth_reader_text(reader, "base_xxh3", MTH_JSON_OPTIONAL),
                                   .older_hash = mth_reader_text(reader, "older_xxh3", MTH_JSON_OPTIONAL),
                                   .run_id = mth_reader_text(reader, "run_id", MTH_JSON_OPTIONAL),
                                   .dtype = mth_reader_text(reader, "dtype", MTH_JSON_OPTIONAL),
                                   .threads = mth_reader_integer(reader, "threads"),
                                   .raw_bytes = mth_reader_integer(reader, "raw_bytes"),
                                   .steps_apart = mth_reader_integer(reader, "steps_apart"),
                                   .lr = mth_reader_real(reader, "lr"),
                                   .fraction_changed = mth_reader_real(reader, "fraction_changed"),
                                   .bound_ratio = mth_reader_real(reader, "bound_ratio"),
                                   .bound_model = mth_reader_text(reader, "bound_model", MTH_JSON_OPTIONAL),
                                   .memcpy_gib_s = mth_reader_real(reader, "memcpy_gib_s"),
                                   .read_gib_s = -1,
                                   .write_gib_s = -1,
                                   .timer_ns = -1};
    if (reader->status)
        return reader->status;
    *index = mth_reader_place(report->groups, report->n_groups, sizeof row, &row, same_group);
    if (*index < report->n_groups) {
        struct mth_report_group *group = &report->groups[*index];
        /* Cells that did not verify have no memcpy beside them. */
        if (row.memcpy_gib_s > 0)
            group->memcpy_gib_s = row.memcpy_gib_s;
        /* A row of kind baseline, which comes first, has no bound. */
        if (row.bound_model && !group->bound_model) {
            group->bound_model = row.bound_model;
            group->bound_ratio = row.bound_ratio;
        }
        return MTH_OK;
    }
    mth_reader_put(report, reader, MTH_REPORT_GROUPS, &report->groups, &report->n_groups, sizeof row, &row,
                   NULL);
    return reader->status;
}

/* The shard that a row says it is of, added when it is new; NULL for a row of none. */
static int find_shard(struct mth_report *report, struct mth_row_reader *reader,
                      struct mth_report_shard **shard)
{
    struct mth_report_shard row = {.sweep = mth_reader_text(reader, "sweep", MTH_JSON_OPTIONAL),
                                   .shard = mth_reader_text(reader, "shard", MTH_JSON_OPTIONAL),
                                   .row_id = mth_reader_text(reader, "row_id", MTH_JSON_OPTIONAL),
                                   .file = report->file,
                                   .n_cells = -1};
    *shard = NULL;
    if (reader->status || !row.sweep || !row.shard)
        return reader->status;
    *shard = mth_report_find_shard(report, &row);
    if (*shard)
        return MTH_OK;
    *shard = mth_report_grow(report, MTH_REPORT_SHARDS, &report->shards, &report->n_shards, sizeof row);
    if (!*shard)
        return mth_reader_no_memory(reader);
    **shard = row;
    return MTH_OK;
}

static int read_shard(struct mth_report *report, struct mth_row_reader *reader)
{
    struct mth_report_shard *shard;
    const char *plan = mth_reader_text(reader, "plan", MTH_JSON_OPTIONAL),
               *build = mth_reader_text(reader, "build", MTH_JSON_OPTIONAL);
    int64_t n_cells = mth_reader_integer(reader, "n_cells");
    (void)mth_reader_text(reader, "sweep", MTH_JSON_REQUIRED);
    (void)mth_reader_text(reader, "shard", MTH_JSON_REQUIRED);
    int status = find_shard(report, reader, &shard);
    if (status)
        return status;
    shard->plan = plan;
    shard->build = build;
    shard->n_cells = n_cells;
    return MTH_OK;
}

static bool same_cell(const void *left, const void *right)
{
    const struct mth_report_cell *a = left, *b = right;
    return a->group == b->group && mth_text_same(a->phase, b->phase) && mth_text_same(a->spec, b->spec);
}

static int read_cell(struct mth_report *report, struct mth_row_reader *reader)
{
    struct mth_json_node samples = {0}, cpu_samples = {0};
    size_t n_samples = 0, n_cpu_samples = 0;
    struct mth_report_cell row = {.row_id = mth_reader_text(reader, "row_id", MTH_JSON_OPTIONAL),
                                  .spec_resolved =
                                      mth_reader_text(reader, "spec_resolved", MTH_JSON_OPTIONAL),
                                  .phase = mth_reader_text(reader, "phase", MTH_JSON_REQUIRED),
                                  .kernel = mth_reader_text(reader, "kernel", MTH_JSON_OPTIONAL),
                                  .error = mth_reader_text(reader, "error", MTH_JSON_OPTIONAL),
                                  .stored_bytes = mth_reader_integer(reader, "stored_bytes"),
                                  .heap_peak_bytes = mth_reader_integer(reader, "heap_peak_bytes"),
                                  .resident_peak_bytes = mth_reader_integer(reader, "resident_peak_bytes"),
                                  .chunk_bytes = mth_reader_integer(reader, "chunk_bytes"),
                                  .ratio = mth_reader_real(reader, "ratio"),
                                  .median_ns = mth_reader_real(reader, "median_ns"),
                                  .mad_ns = mth_reader_real(reader, "mad_ns"),
                                  .ci_lo_ns = mth_reader_real(reader, "ci_lo_ns"),
                                  .ci_hi_ns = mth_reader_real(reader, "ci_hi_ns"),
                                  .setup_ns = mth_reader_real(reader, "setup_ns"),
                                  .cpu_ns = mth_reader_real(reader, "cpu_ns"),
                                  .gib_s = mth_reader_real(reader, "gib_s"),
                                  .pct_memcpy = mth_reader_real(reader, "pct_memcpy"),
                                  .p95_ns = mth_reader_real(reader, "p95_ns"),
                                  .pct_roofline = mth_reader_real(reader, "pct_roofline"),
                                  .pct_parallel = mth_reader_real(reader, "pct_parallel"),
                                  .verified = mth_reader_truth(reader, "verified"),
                                  .unsupported = mth_reader_truth(reader, "unsupported")};
    if (!reader->status)
        reader->status = mth_json_get_array(reader->row, "samples_ns", MTH_JSON_OPTIONAL, &samples,
                                            &n_samples, reader->err);
    if (!reader->status)
        reader->status = mth_json_get_array(reader->row, "cpu_samples_ns", MTH_JSON_OPTIONAL, &cpu_samples,
                                            &n_cpu_samples, reader->err);
    row.spec = mth_reader_spec(reader, report, &row.lossy);
    row.n_samples = (int64_t)n_samples;
    row.samples = samples;
    row.samples.parent = NULL; /* as with libraries */
    if (n_cpu_samples == n_samples)
        row.cpu_samples = cpu_samples;
    row.cpu_samples.parent = NULL;
    struct mth_report_shard *shard = NULL;
    int status = find_group(report, reader, &row.group);
    if (!status)
        status = find_shard(report, reader, &shard);
    if (status)
        return status;
    if (shard)
        shard->n_read += mth_report_is_compress(&row);
    double gib = (double)report->groups[row.group].raw_bytes / (double)(1 << 30);
    row.gib_s_lo = row.ci_hi_ns > 0 ? gib / (row.ci_hi_ns * 1e-9) : row.gib_s;
    row.gib_s_hi = row.ci_lo_ns > 0 ? gib / (row.ci_lo_ns * 1e-9) : row.gib_s;
    row.flags = mth_reader_words(reader, report, "flags");
    if (reader->status)
        return reader->status;
    mth_reader_put(report, reader, MTH_REPORT_CELLS, &report->cells, &report->n_cells, sizeof row, &row,
                   same_cell);
    return reader->status;
}

static bool same_verdict(const void *left, const void *right)
{
    const struct mth_report_verdict *a = left, *b = right;
    return mth_text_same(a->env_id, b->env_id) && mth_text_same(a->target, b->target) &&
           mth_text_same(a->dataset, b->dataset) && mth_text_same(a->base, b->base) &&
           mth_text_same(a->older, b->older) && a->threads == b->threads;
}

static int read_verdict(struct mth_report *report, struct mth_row_reader *reader)
{
    struct mth_report_verdict row = {.row_id = mth_reader_text(reader, "row_id", MTH_JSON_OPTIONAL),
                                     .env_id = mth_reader_text(reader, "env_id", MTH_JSON_OPTIONAL),
                                     .target = mth_reader_text(reader, "target", MTH_JSON_REQUIRED),
                                     .result = mth_reader_text(reader, "result", MTH_JSON_REQUIRED),
                                     .scope = mth_reader_text(reader, "scope", MTH_JSON_OPTIONAL),
                                     .dataset = mth_reader_text(reader, "dataset", MTH_JSON_OPTIONAL),
                                     .class_name = mth_reader_text(reader, "class", MTH_JSON_OPTIONAL),
                                     .base = mth_reader_text(reader, "base", MTH_JSON_OPTIONAL),
                                     .older = mth_reader_text(reader, "older", MTH_JSON_OPTIONAL),
                                     .spec = mth_reader_text(reader, "spec", MTH_JSON_OPTIONAL),
                                     .reason = mth_reader_text(reader, "reason", MTH_JSON_OPTIONAL),
                                     .bound_model = mth_reader_text(reader, "bound_model", MTH_JSON_OPTIONAL),
                                     .value = mth_reader_real(reader, "value"),
                                     .threshold = mth_reader_real(reader, "threshold"),
                                     .bound_ratio = mth_reader_real(reader, "bound_ratio"),
                                     .run_ratio = mth_reader_real(reader, "run_ratio"),
                                     .threads = mth_reader_integer(reader, "threads"),
                                     .steps_apart = mth_reader_integer(reader, "steps_apart"),
                                     .run_checkpoints = mth_reader_integer(reader, "run_checkpoints")};
    row.evidence = mth_reader_words(reader, report, "evidence");
    if (reader->status)
        return reader->status;
    mth_reader_put(report, reader, MTH_REPORT_VERDICTS, &report->verdicts, &report->n_verdicts, sizeof row,
                   &row, same_verdict);
    return reader->status;
}

static bool same_run(const void *left, const void *right)
{
    const struct mth_report_run *a = left, *b = right;
    return mth_text_same(a->run_id, b->run_id) && mth_text_same(a->spec, b->spec);
}

static int read_run(struct mth_report *report, struct mth_row_reader *reader)
{
    struct mth_report_run row = {.row_id = mth_reader_text(reader, "row_id", MTH_JSON_OPTIONAL),
                                 .run_id = mth_reader_text(reader, "run_id", MTH_JSON_REQUIRED),
                                 .spec = mth_reader_text(reader, "spec", MTH_JSON_REQUIRED),
                                 .n_checkpoints = mth_reader_integer(reader, "n_checkpoints"),
                                 .raw_bytes = mth_reader_integer(reader, "raw_bytes"),
                                 .stored_bytes = mth_reader_integer(reader, "stored_bytes"),
                                 .ratio = mth_reader_real(reader, "ratio"),
                                 .verified = mth_reader_truth(reader, "verified")};
    if (reader->status)
        return reader->status;
    mth_reader_put(report, reader, MTH_REPORT_RUNS, &report->runs, &report->n_runs, sizeof row, &row,
                   same_run);
    return reader->status;
}

/* Command lines have no spec, and all of them stay. */
static bool same_e2e(const void *left, const void *right)
{
    const struct mth_report_e2e *a = left, *b = right;
    return a->spec && mth_text_same(a->env_id, b->env_id) && mth_text_same(a->tool, b->tool) &&
           mth_text_same(a->dataset, b->dataset) && mth_text_same(a->base, b->base) &&
           mth_text_same(a->older, b->older) && mth_text_same(a->phase, b->phase) &&
           mth_text_same(a->spec, b->spec) && a->threads == b->threads;
}

static int read_e2e(struct mth_report *report, struct mth_row_reader *reader)
{
    struct mth_report_e2e row = {.row_id = mth_reader_text(reader, "row_id", MTH_JSON_OPTIONAL),
                                 .env_id = mth_reader_text(reader, "env_id", MTH_JSON_OPTIONAL),
                                 .tool = mth_reader_text(reader, "tool", MTH_JSON_REQUIRED),
                                 .dataset = mth_reader_text(reader, "dataset", MTH_JSON_OPTIONAL),
                                 .base = mth_reader_text(reader, "base", MTH_JSON_OPTIONAL),
                                 .older = mth_reader_text(reader, "older", MTH_JSON_OPTIONAL),
                                 .phase = mth_reader_text(reader, "phase", MTH_JSON_REQUIRED),
                                 .spec = mth_reader_text(reader, "spec", MTH_JSON_OPTIONAL),
                                 .file_system = mth_reader_text(reader, "file_system", MTH_JSON_OPTIONAL),
                                 .cache = mth_reader_text(reader, "cache", MTH_JSON_OPTIONAL),
                                 .raw_bytes = mth_reader_integer(reader, "raw_bytes"),
                                 .stored_bytes = mth_reader_integer(reader, "stored_bytes"),
                                 .threads = mth_reader_integer(reader, "threads"),
                                 .ratio = mth_reader_real(reader, "ratio"),
                                 .median_ns = mth_reader_real(reader, "median_ns"),
                                 .gib_s = mth_reader_real(reader, "gib_s"),
                                 .pct_memory = mth_reader_real(reader, "pct_memory"),
                                 .pct_memory_lo = mth_reader_real(reader, "pct_memory_lo"),
                                 .pct_memory_hi = mth_reader_real(reader, "pct_memory_hi")};
    if (reader->status)
        return reader->status;
    mth_reader_put(report, reader, MTH_REPORT_E2E, &report->e2e, &report->n_e2e, sizeof row, &row, same_e2e);
    return reader->status;
}

static bool same_part(const void *left, const void *right)
{
    const struct mth_report_part *a = left, *b = right;
    return mth_text_same(a->env_id, b->env_id) && mth_text_same(a->dataset, b->dataset) &&
           mth_text_same(a->base, b->base) && mth_text_same(a->older, b->older) &&
           mth_text_same(a->spec, b->spec) && mth_text_same(a->part, b->part) && a->threads == b->threads;
}

static int read_part(struct mth_report *report, struct mth_row_reader *reader)
{
    const char *by = mth_reader_text(reader, "by", MTH_JSON_REQUIRED);
    struct mth_report_part row = {.env_id = mth_reader_text(reader, "env_id", MTH_JSON_OPTIONAL),
                                  .dataset = mth_reader_text(reader, "dataset", MTH_JSON_REQUIRED),
                                  .base = mth_reader_text(reader, "base", MTH_JSON_OPTIONAL),
                                  .older = mth_reader_text(reader, "older", MTH_JSON_OPTIONAL),
                                  .spec = mth_reader_text(reader, "spec", MTH_JSON_REQUIRED),
                                  .part = mth_reader_text(reader, "part", MTH_JSON_REQUIRED),
                                  .threads = mth_reader_integer(reader, "threads"),
                                  .raw_bytes = mth_reader_integer(reader, "raw_bytes"),
                                  .stored_bytes = mth_reader_integer(reader, "stored_bytes")};
    if (reader->status || strcmp(by, "role") != 0)
        return reader->status;
    mth_reader_put(report, reader, MTH_REPORT_PARTS, &report->parts, &report->n_parts, sizeof row, &row,
                   same_part);
    return reader->status;
}

static bool same_latency(const void *left, const void *right)
{
    const struct mth_report_latency *a = left, *b = right;
    return mth_text_same(a->env_id, b->env_id) && mth_text_same(a->dataset, b->dataset) &&
           mth_text_same(a->base, b->base) && mth_text_same(a->older, b->older) &&
           mth_text_same(a->spec, b->spec) && mth_text_same(a->phase, b->phase) &&
           a->up_to_bytes == b->up_to_bytes;
}

static int read_latency(struct mth_report *report, struct mth_row_reader *reader)
{
    struct mth_json_node samples;
    size_t n_samples = 0;
    struct mth_report_latency row = {.env_id = mth_reader_text(reader, "env_id", MTH_JSON_OPTIONAL),
                                     .dataset = mth_reader_text(reader, "dataset", MTH_JSON_REQUIRED),
                                     .base = mth_reader_text(reader, "base", MTH_JSON_OPTIONAL),
                                     .older = mth_reader_text(reader, "older", MTH_JSON_OPTIONAL),
                                     .spec = mth_reader_text(reader, "spec", MTH_JSON_REQUIRED),
                                     .phase = mth_reader_text(reader, "phase", MTH_JSON_REQUIRED),
                                     .threads = mth_reader_integer(reader, "threads"),
                                     .up_to_bytes = mth_reader_integer(reader, "up_to_bytes"),
                                     .n_tensors = mth_reader_integer(reader, "n_tensors"),
                                     .p50_ns = mth_reader_real(reader, "p50_ns"),
                                     .p95_ns = mth_reader_real(reader, "p95_ns"),
                                     .p99_ns = mth_reader_real(reader, "p99_ns")};
    if (!reader->status)
        reader->status = mth_json_get_array(reader->row, "samples_ns", MTH_JSON_OPTIONAL, &samples,
                                            &n_samples, reader->err);
    if (reader->status)
        return reader->status;
    row.n_calls = (int64_t)n_samples;
    mth_reader_put(report, reader, MTH_REPORT_LATENCIES, &report->latencies, &report->n_latencies, sizeof row,
                   &row, same_latency);
    return reader->status;
}

/* What memory can do stands with the checkpoint that it was measured beside. */
static int read_baseline(struct mth_report *report, struct mth_row_reader *reader)
{
    size_t index;
    const char *what = mth_reader_text(reader, "what", MTH_JSON_OPTIONAL);
    double gib_s = mth_reader_real(reader, "gib_s"), timer_ns = mth_reader_real(reader, "timer_ns");
    if (reader->status || !what || !mth_reader_text(reader, "dataset", MTH_JSON_OPTIONAL) || reader->status)
        return reader->status;
    int status = find_group(report, reader, &index);
    if (status)
        return status;
    struct mth_report_group *group = &report->groups[index];
    group->timer_ns = timer_ns;
    if (strcmp(what, "memcpy") == 0)
        group->memcpy_gib_s = gib_s;
    else if (strcmp(what, "read") == 0)
        group->read_gib_s = gib_s;
    else if (strcmp(what, "write") == 0)
        group->write_gib_s = gib_s;
    return MTH_OK;
}

static struct mth_report_restored restored(struct mth_row_reader *reader, const char *key)
{
    struct mth_json_node object;
    struct mth_row_reader inner = {.row = &object, .err = reader->err};
    struct mth_report_restored value = {-1, -1, -1, -1};
    if (!reader->status)
        reader->status = mth_json_get_object(reader->row, key, MTH_JSON_OPTIONAL, &object, reader->err);
    if (reader->status || !object.value)
        return value;
    value = (struct mth_report_restored){
        mth_reader_real(&inner, "n_links"), mth_reader_real(&inner, "read_bytes"),
        mth_reader_real(&inner, "restore_ns"), mth_reader_real(&inner, "heap_peak_bytes")};
    reader->status = inner.status;
    return value;
}

static bool same_chain(const void *left, const void *right)
{
    const struct mth_report_chain *a = left, *b = right;
    return mth_text_same(a->env_id, b->env_id) && mth_text_same(a->dataset, b->dataset) &&
           mth_text_same(a->policy, b->policy) && mth_text_same(a->spec, b->spec) && a->threads == b->threads;
}

static int read_chain(struct mth_report *report, struct mth_row_reader *reader)
{
    struct mth_report_chain row = {.row_id = mth_reader_text(reader, "row_id", MTH_JSON_OPTIONAL),
                                   .env_id = mth_reader_text(reader, "env_id", MTH_JSON_OPTIONAL),
                                   .dataset = mth_reader_text(reader, "dataset", MTH_JSON_REQUIRED),
                                   .policy = mth_reader_text(reader, "policy", MTH_JSON_REQUIRED),
                                   .keep = mth_reader_text(reader, "keep", MTH_JSON_OPTIONAL),
                                   .error = mth_reader_text(reader, "error", MTH_JSON_OPTIONAL),
                                   .threads = mth_reader_integer(reader, "threads"),
                                   .n_steps = mth_reader_integer(reader, "n_steps"),
                                   .n_full = mth_reader_integer(reader, "n_full"),
                                   .raw_bytes = mth_reader_integer(reader, "raw_bytes"),
                                   .stored_bytes = mth_reader_integer(reader, "stored_bytes"),
                                   .written_bytes = mth_reader_integer(reader, "written_bytes"),
                                   .kept_bytes = mth_reader_integer(reader, "kept_bytes"),
                                   .kept_peak_bytes = mth_reader_integer(reader, "kept_peak_bytes"),
                                   .last = restored(reader, "last"),
                                   .worst = restored(reader, "worst"),
                                   .mean = restored(reader, "mean"),
                                   .ratio = mth_reader_real(reader, "ratio"),
                                   .pct_links = mth_reader_real(reader, "pct_links"),
                                   .pct_links_cpu = mth_reader_real(reader, "pct_links_cpu"),
                                   .pct_links_cpu_worst = mth_reader_real(reader, "pct_links_cpu_worst"),
                                   .verified = mth_reader_truth(reader, "verified")};
    bool lossy;
    row.spec = mth_reader_spec(reader, report, &lossy);
    if (reader->status)
        return reader->status;
    mth_reader_put(report, reader, MTH_REPORT_CHAINS, &report->chains, &report->n_chains, sizeof row, &row,
                   same_chain);
    return reader->status;
}

static bool same_exploration(const void *left, const void *right)
{
    const struct mth_report_exploration *a = left, *b = right;
    return mth_text_same(a->env_id, b->env_id) && mth_text_same(a->dataset, b->dataset) &&
           mth_text_same(a->base, b->base) && mth_text_same(a->older, b->older) && a->threads == b->threads &&
           mth_text_same(a->prefer, b->prefer);
}

static int read_exploration(struct mth_report *report, struct mth_row_reader *reader)
{
    double load_s = mth_reader_real(reader, "load_s"), search_s = mth_reader_real(reader, "search_s"),
           full_s = mth_reader_real(reader, "full_s");
    struct mth_report_exploration row = {
        .row_id = mth_reader_text(reader, "row_id", MTH_JSON_OPTIONAL),
        .env_id = mth_reader_text(reader, "env_id", MTH_JSON_OPTIONAL),
        .dataset = mth_reader_text(reader, "dataset", MTH_JSON_REQUIRED),
        .base = mth_reader_text(reader, "base", MTH_JSON_OPTIONAL),
        .older = mth_reader_text(reader, "older", MTH_JSON_OPTIONAL),
        .prefer = mth_reader_text(reader, "prefer", MTH_JSON_OPTIONAL),
        .winner = mth_reader_text(reader, "winner", MTH_JSON_OPTIONAL),
        .winner_row = mth_reader_text(reader, "winner_row", MTH_JSON_OPTIONAL),
        .threads = mth_reader_integer(reader, "threads"),
        .raw_bytes = mth_reader_integer(reader, "raw_bytes"),
        .budget_s = mth_reader_real(reader, "budget_s"),
        .took_s = load_s < 0 || search_s < 0 || full_s < 0 ? -1 : load_s + search_s + full_s};
    if (!reader->status)
        reader->status = mth_json_get_array(reader->row, "front", MTH_JSON_OPTIONAL, &row.front, &row.n_front,
                                            reader->err);
    for (size_t i = 0; !reader->status && i < row.n_front; i++) {
        const char *row_id;
        reader->status = mth_json_item_string(&row.front, i, &row_id, reader->err);
    }
    if (!reader->status)
        reader->status = mth_json_get_array(reader->row, "classes", MTH_JSON_OPTIONAL, &row.classes,
                                            &row.n_classes, reader->err);
    if (!reader->status)
        reader->status = mth_report_explore_points(&row, NULL, NULL, reader->err);
    if (reader->status)
        return reader->status;
    row.front.parent = row.classes.parent = NULL; /* as with libraries */
    mth_reader_put(report, reader, MTH_REPORT_EXPLORATIONS, &report->explorations, &report->n_explorations,
                   sizeof row, &row, same_exploration);
    return reader->status;
}

int mth_report_take_row(struct mth_report *report, const struct mth_json_node *row, struct mth_error *err)
{
    static const struct {
        const char *kind;
        int (*read)(struct mth_report *report, struct mth_row_reader *reader);
    } kinds[] = {{"env", read_env},
                 {"cell", read_cell},
                 {"verdict", read_verdict},
                 {"run", read_run},
                 {"e2e", read_e2e},
                 {"part", read_part},
                 {"chain", read_chain},
                 {"latency", read_latency},
                 {"baseline", read_baseline},
                 {"shard", read_shard},
                 {"explore", read_exploration}};
    struct mth_row_reader reader = {.row = row, .err = err};
    if (mth_json_type(row) != MTH_JSON_OBJECT)
        return mth_json_error(row, NULL, MTH_ERR_FORMAT, err, "is no object");
    const char *kind = mth_reader_text(&reader, "kind", MTH_JSON_REQUIRED);
    int64_t schema = mth_reader_integer(&reader, "schema");
    if (reader.status)
        return reader.status;
    if (schema > MTH_ROWS_SCHEMA)
        return mth_json_error(row, "schema", MTH_ERR_UNSUPPORTED, err,
                              "is %" PRId64 ", this version of mithril reads up to %d", schema,
                              MTH_ROWS_SCHEMA);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].kind, kind) == 0)
            return kinds[i].read(report, &reader);
    }
    return MTH_OK;
}
