/* What each kind of row holds, and which rows take the place of earlier ones; see report_rows.h. */
#include "harness/report_rows.h"

#include <inttypes.h>
#include <string.h>

#define REAL_MAX 1e300

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Members of a row by type; the first failure stays, and later calls do nothing. */
struct reader {
    const struct mth_json_node *row;
    struct mth_error *err;
    int status;
};

static const char *text(struct reader *reader, const char *key, enum mth_json_need need)
{
    const char *value = NULL;
    if (!reader->status)
        reader->status = mth_json_get_string(reader->row, key, need, &value, reader->err);
    return value;
}

static int64_t integer(struct reader *reader, const char *key)
{
    int64_t value = 0;
    if (!reader->status)
        reader->status =
            mth_json_get_int(reader->row, key, MTH_JSON_OPTIONAL, 0, INT64_MAX, &value, reader->err);
    return value;
}

static double real(struct reader *reader, const char *key)
{
    double value = -1;
    if (!reader->status)
        reader->status =
            mth_json_get_real(reader->row, key, MTH_JSON_OPTIONAL, -REAL_MAX, REAL_MAX, &value, reader->err);
    return value;
}

static bool truth(struct reader *reader, const char *key)
{
    bool value = false;
    if (!reader->status)
        reader->status = mth_json_get_bool(reader->row, key, MTH_JSON_OPTIONAL, &value, reader->err);
    return value;
}

static int out_of_memory(struct reader *reader)
{
    return mth_error_set(reader->err, MTH_ERR_NO_MEMORY, "no memory for the rows");
}

/* Room for a text that the report keeps; NULL without memory, which the reader says. */
static char *keep(struct reader *reader, struct mth_report *report, size_t n_bytes)
{
    char *text = mth_memory_alloc(report->memory, n_bytes);
    char **kept =
        text ? mth_report_grow(report, MTH_REPORT_TEXTS, &report->texts, &report->n_texts, sizeof *kept)
             : NULL;
    if (!kept) {
        mth_memory_free(report->memory, text);
        reader->status = out_of_memory(reader);
        return NULL;
    }
    *kept = text;
    return text;
}

/* An array of strings as one text with spaces, which the report keeps. */
static char *words(struct reader *reader, struct mth_report *report, const char *key)
{
    struct mth_json_node array;
    size_t n_items = 0, n_text = 1;
    const char *item;
    if (!reader->status)
        reader->status =
            mth_json_get_array(reader->row, key, MTH_JSON_OPTIONAL, &array, &n_items, reader->err);
    for (size_t i = 0; !reader->status && i < n_items; i++) {
        reader->status = mth_json_item_string(&array, i, &item, reader->err);
        n_text += reader->status ? 0 : strlen(item) + 1;
    }
    if (reader->status)
        return NULL;
    char *joined = keep(reader, report, n_text);
    if (!joined)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < n_items; i++) {
        mth_json_item_string(&array, i, &item, reader->err);
        used += (size_t)snprintf(joined + used, n_text - used, "%s%s", i ? " " : "", item);
    }
    joined[used] = '\0';
    return joined;
}

/*
 * What a row's spec is called: that of a lossy one with its error behind it, so that no table and no figure shows one without.
 */
static const char *spec_of(struct reader *reader, struct mth_report *report, bool *lossy)
{
    enum { ERRORS_BYTES = 128 };
    const char *spec = text(reader, "spec", MTH_JSON_REQUIRED);
    struct mth_json_node loss;
    struct reader inner = {.row = &loss, .err = reader->err};
    *lossy = truth(reader, "lossy");
    if (!reader->status && *lossy)
        reader->status = mth_json_get_object(reader->row, "loss", MTH_JSON_REQUIRED, &loss, reader->err);
    if (reader->status || !*lossy)
        return spec;
    double mean = real(&inner, "mean_abs_error"), most = real(&inner, "max_abs_error");
    double row = real(&inner, "mean_row_l2_error");
    reader->status = inner.status;
    if (reader->status)
        return spec;
    size_t n = strlen(spec) + ERRORS_BYTES;
    char *label = keep(reader, report, n);
    if (label)
        snprintf(label, n, "%s, LOSSY: error %.3g in the mean, %.3g at most, %.3g a row (l2)", spec, mean,
                 most, row);
    return label;
}

/*
 * Puts a row in the place of the one that is_same, or behind all: later rows replace earlier ones, where those stand. is_same
 * is NULL for kinds whose rows do not. Without memory the reader says so.
 */
static void put(struct mth_report *report, struct reader *reader, size_t which, void *array_pointer,
                size_t *n, size_t size, const void *row, bool (*is_same)(const void *a, const void *b))
{
    char *array;
    memcpy(&array, array_pointer, sizeof array);
    for (size_t i = 0; is_same && i < *n; i++) {
        if (is_same(array + i * size, row)) {
            memcpy(array + i * size, row, size);
            return;
        }
    }
    void *place = mth_report_grow(report, which, array_pointer, n, size);
    if (place)
        memcpy(place, row, size);
    else
        reader->status = out_of_memory(reader);
}

static int read_env(struct mth_report *report, struct reader *reader)
{
    struct mth_report_env row = {.env_id = text(reader, "env_id", MTH_JSON_REQUIRED),
                                 .cpu_model = text(reader, "cpu_model", MTH_JSON_OPTIONAL),
                                 .cpu_features = text(reader, "cpu_features", MTH_JSON_OPTIONAL),
                                 .kernel = text(reader, "kernel", MTH_JSON_OPTIONAL),
                                 .os = text(reader, "os", MTH_JSON_OPTIONAL),
                                 .compiler = text(reader, "compiler", MTH_JSON_OPTIONAL),
                                 .version = text(reader, "version", MTH_JSON_OPTIONAL),
                                 .commit = text(reader, "commit", MTH_JSON_OPTIONAL),
                                 .machine = text(reader, "machine", MTH_JSON_OPTIONAL),
                                 .cpus_allowed = integer(reader, "cpus_allowed"),
                                 .llc_bytes = integer(reader, "llc_bytes"),
                                 .memory_bytes = integer(reader, "memory_bytes")};
    if (!reader->status)
        reader->status =
            mth_json_get_object(reader->row, "libraries", MTH_JSON_OPTIONAL, &row.libraries, reader->err);
    if (reader->status)
        return reader->status;
    row.libraries.parent = NULL; /* the row's cursor does not stay; the document does */
    row.libraries.file = "libraries";
    for (size_t i = 0; i < report->n_envs; i++) {
        if (same(report->envs[i].env_id, row.env_id))
            return MTH_OK;
    }
    put(report, reader, MTH_REPORT_ENVS, &report->envs, &report->n_envs, sizeof row, &row, NULL);
    return reader->status;
}

static int find_group(struct mth_report *report, struct reader *reader, size_t *index)
{
    struct mth_report_group row = {.env_id = text(reader, "env_id", MTH_JSON_OPTIONAL),
                                   .dataset = text(reader, "dataset", MTH_JSON_REQUIRED),
                                   .class_name = text(reader, "class", MTH_JSON_OPTIONAL),
                                   .base = text(reader, "base", MTH_JSON_OPTIONAL),
                                   .hash = text(reader, "dataset_xxh3", MTH_JSON_OPTIONAL),
                                   .base_hash = text(reader, "base_xxh3", MTH_JSON_OPTIONAL),
                                   .run_id = text(reader, "run_id", MTH_JSON_OPTIONAL),
                                   .dtype = text(reader, "dtype", MTH_JSON_OPTIONAL),
                                   .threads = integer(reader, "threads"),
                                   .raw_bytes = integer(reader, "raw_bytes"),
                                   .steps_apart = integer(reader, "steps_apart"),
                                   .lr = real(reader, "lr"),
                                   .fraction_changed = real(reader, "fraction_changed"),
                                   .bound_ratio = real(reader, "bound_ratio"),
                                   .bound_model = text(reader, "bound_model", MTH_JSON_OPTIONAL),
                                   .memcpy_gib_s = real(reader, "memcpy_gib_s"),
                                   .read_gib_s = -1,
                                   .write_gib_s = -1,
                                   .timer_ns = -1};
    if (reader->status)
        return reader->status;
    for (size_t i = 0; i < report->n_groups; i++) {
        struct mth_report_group *group = &report->groups[i];
        if (same(group->env_id, row.env_id) && same(group->dataset, row.dataset) &&
            same(group->base, row.base) && group->threads == row.threads) {
            *index = i;
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
    }
    put(report, reader, MTH_REPORT_GROUPS, &report->groups, &report->n_groups, sizeof row, &row, NULL);
    *index = report->n_groups - 1;
    return reader->status;
}

/* The shard that a row says it is of, added when it is new; NULL for a row of none. */
static int find_shard(struct mth_report *report, struct reader *reader, struct mth_report_shard **shard)
{
    struct mth_report_shard row = {.sweep = text(reader, "sweep", MTH_JSON_OPTIONAL),
                                   .shard = text(reader, "shard", MTH_JSON_OPTIONAL),
                                   .row_id = text(reader, "row_id", MTH_JSON_OPTIONAL),
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
        return out_of_memory(reader);
    **shard = row;
    return MTH_OK;
}

static int read_shard(struct mth_report *report, struct reader *reader)
{
    struct mth_report_shard *shard;
    const char *plan = text(reader, "plan", MTH_JSON_OPTIONAL),
               *build = text(reader, "build", MTH_JSON_OPTIONAL);
    int64_t n_cells = integer(reader, "n_cells");
    (void)text(reader, "sweep", MTH_JSON_REQUIRED);
    (void)text(reader, "shard", MTH_JSON_REQUIRED);
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
    return a->group == b->group && same(a->phase, b->phase) && same(a->spec, b->spec);
}

static int read_cell(struct mth_report *report, struct reader *reader)
{
    struct mth_json_node samples = {0}, cpu_samples = {0};
    size_t n_samples = 0, n_cpu_samples = 0;
    struct mth_report_cell row = {.row_id = text(reader, "row_id", MTH_JSON_OPTIONAL),
                                  .spec_resolved = text(reader, "spec_resolved", MTH_JSON_OPTIONAL),
                                  .phase = text(reader, "phase", MTH_JSON_REQUIRED),
                                  .kernel = text(reader, "kernel", MTH_JSON_OPTIONAL),
                                  .error = text(reader, "error", MTH_JSON_OPTIONAL),
                                  .stored_bytes = integer(reader, "stored_bytes"),
                                  .heap_peak_bytes = integer(reader, "heap_peak_bytes"),
                                  .resident_peak_bytes = integer(reader, "resident_peak_bytes"),
                                  .chunk_bytes = integer(reader, "chunk_bytes"),
                                  .ratio = real(reader, "ratio"),
                                  .median_ns = real(reader, "median_ns"),
                                  .mad_ns = real(reader, "mad_ns"),
                                  .ci_lo_ns = real(reader, "ci_lo_ns"),
                                  .ci_hi_ns = real(reader, "ci_hi_ns"),
                                  .setup_ns = real(reader, "setup_ns"),
                                  .cpu_ns = real(reader, "cpu_ns"),
                                  .gib_s = real(reader, "gib_s"),
                                  .pct_memcpy = real(reader, "pct_memcpy"),
                                  .p95_ns = real(reader, "p95_ns"),
                                  .pct_roofline = real(reader, "pct_roofline"),
                                  .pct_parallel = real(reader, "pct_parallel"),
                                  .verified = truth(reader, "verified"),
                                  .unsupported = truth(reader, "unsupported")};
    if (!reader->status)
        reader->status = mth_json_get_array(reader->row, "samples_ns", MTH_JSON_OPTIONAL, &samples,
                                            &n_samples, reader->err);
    if (!reader->status)
        reader->status = mth_json_get_array(reader->row, "cpu_samples_ns", MTH_JSON_OPTIONAL, &cpu_samples,
                                            &n_cpu_samples, reader->err);
    row.spec = spec_of(reader, report, &row.lossy);
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
    row.flags = words(reader, report, "flags");
    if (reader->status)
        return reader->status;
    put(report, reader, MTH_REPORT_CELLS, &report->cells, &report->n_cells, sizeof row, &row, same_cell);
    return reader->status;
}

static bool same_verdict(const void *left, const void *right)
{
    const struct mth_report_verdict *a = left, *b = right;
    return same(a->env_id, b->env_id) && same(a->target, b->target) && same(a->dataset, b->dataset) &&
           same(a->base, b->base) && a->threads == b->threads;
}

static int read_verdict(struct mth_report *report, struct reader *reader)
{
    struct mth_report_verdict row = {.row_id = text(reader, "row_id", MTH_JSON_OPTIONAL),
                                     .env_id = text(reader, "env_id", MTH_JSON_OPTIONAL),
                                     .target = text(reader, "target", MTH_JSON_REQUIRED),
                                     .result = text(reader, "result", MTH_JSON_REQUIRED),
                                     .scope = text(reader, "scope", MTH_JSON_OPTIONAL),
                                     .dataset = text(reader, "dataset", MTH_JSON_OPTIONAL),
                                     .class_name = text(reader, "class", MTH_JSON_OPTIONAL),
                                     .base = text(reader, "base", MTH_JSON_OPTIONAL),
                                     .spec = text(reader, "spec", MTH_JSON_OPTIONAL),
                                     .reason = text(reader, "reason", MTH_JSON_OPTIONAL),
                                     .bound_model = text(reader, "bound_model", MTH_JSON_OPTIONAL),
                                     .value = real(reader, "value"),
                                     .threshold = real(reader, "threshold"),
                                     .bound_ratio = real(reader, "bound_ratio"),
                                     .run_ratio = real(reader, "run_ratio"),
                                     .threads = integer(reader, "threads"),
                                     .steps_apart = integer(reader, "steps_apart"),
                                     .run_checkpoints = integer(reader, "run_checkpoints")};
    row.evidence = words(reader, report, "evidence");
    if (reader->status)
        return reader->status;
    put(report, reader, MTH_REPORT_VERDICTS, &report->verdicts, &report->n_verdicts, sizeof row, &row,
        same_verdict);
    return reader->status;
}

static bool same_run(const void *left, const void *right)
{
    const struct mth_report_run *a = left, *b = right;
    return same(a->run_id, b->run_id) && same(a->spec, b->spec);
}

static int read_run(struct mth_report *report, struct reader *reader)
{
    struct mth_report_run row = {.row_id = text(reader, "row_id", MTH_JSON_OPTIONAL),
                                 .run_id = text(reader, "run_id", MTH_JSON_REQUIRED),
                                 .spec = text(reader, "spec", MTH_JSON_REQUIRED),
                                 .n_checkpoints = integer(reader, "n_checkpoints"),
                                 .raw_bytes = integer(reader, "raw_bytes"),
                                 .stored_bytes = integer(reader, "stored_bytes"),
                                 .ratio = real(reader, "ratio"),
                                 .verified = truth(reader, "verified")};
    if (reader->status)
        return reader->status;
    put(report, reader, MTH_REPORT_RUNS, &report->runs, &report->n_runs, sizeof row, &row, same_run);
    return reader->status;
}

/* Command lines have no spec, and all of them stay. */
static bool same_e2e(const void *left, const void *right)
{
    const struct mth_report_e2e *a = left, *b = right;
    return a->spec && same(a->env_id, b->env_id) && same(a->tool, b->tool) && same(a->dataset, b->dataset) &&
           same(a->base, b->base) && same(a->phase, b->phase) && same(a->spec, b->spec) &&
           a->threads == b->threads;
}

static int read_e2e(struct mth_report *report, struct reader *reader)
{
    struct mth_report_e2e row = {.row_id = text(reader, "row_id", MTH_JSON_OPTIONAL),
                                 .env_id = text(reader, "env_id", MTH_JSON_OPTIONAL),
                                 .tool = text(reader, "tool", MTH_JSON_REQUIRED),
                                 .dataset = text(reader, "dataset", MTH_JSON_OPTIONAL),
                                 .base = text(reader, "base", MTH_JSON_OPTIONAL),
                                 .phase = text(reader, "phase", MTH_JSON_REQUIRED),
                                 .spec = text(reader, "spec", MTH_JSON_OPTIONAL),
                                 .file_system = text(reader, "file_system", MTH_JSON_OPTIONAL),
                                 .cache = text(reader, "cache", MTH_JSON_OPTIONAL),
                                 .raw_bytes = integer(reader, "raw_bytes"),
                                 .stored_bytes = integer(reader, "stored_bytes"),
                                 .threads = integer(reader, "threads"),
                                 .ratio = real(reader, "ratio"),
                                 .median_ns = real(reader, "median_ns"),
                                 .gib_s = real(reader, "gib_s"),
                                 .pct_memory = real(reader, "pct_memory"),
                                 .pct_memory_lo = real(reader, "pct_memory_lo"),
                                 .pct_memory_hi = real(reader, "pct_memory_hi")};
    if (reader->status)
        return reader->status;
    put(report, reader, MTH_REPORT_E2E, &report->e2e, &report->n_e2e, sizeof row, &row, same_e2e);
    return reader->status;
}

static bool same_part(const void *left, const void *right)
{
    const struct mth_report_part *a = left, *b = right;
    return same(a->env_id, b->env_id) && same(a->dataset, b->dataset) && same(a->base, b->base) &&
           same(a->spec, b->spec) && same(a->part, b->part) && a->threads == b->threads;
}

static int read_part(struct mth_report *report, struct reader *reader)
{
    const char *by = text(reader, "by", MTH_JSON_REQUIRED);
    struct mth_report_part row = {.env_id = text(reader, "env_id", MTH_JSON_OPTIONAL),
                                  .dataset = text(reader, "dataset", MTH_JSON_REQUIRED),
                                  .base = text(reader, "base", MTH_JSON_OPTIONAL),
                                  .spec = text(reader, "spec", MTH_JSON_REQUIRED),
                                  .part = text(reader, "part", MTH_JSON_REQUIRED),
                                  .threads = integer(reader, "threads"),
                                  .raw_bytes = integer(reader, "raw_bytes"),
                                  .stored_bytes = integer(reader, "stored_bytes")};
    if (reader->status || strcmp(by, "role") != 0)
        return reader->status;
    put(report, reader, MTH_REPORT_PARTS, &report->parts, &report->n_parts, sizeof row, &row, same_part);
    return reader->status;
}

static bool same_latency(const void *left, const void *right)
{
    const struct mth_report_latency *a = left, *b = right;
    return same(a->env_id, b->env_id) && same(a->dataset, b->dataset) && same(a->base, b->base) &&
           same(a->spec, b->spec) && same(a->phase, b->phase) && a->up_to_bytes == b->up_to_bytes;
}

static int read_latency(struct mth_report *report, struct reader *reader)
{
    struct mth_json_node samples;
    size_t n_samples = 0;
    struct mth_report_latency row = {.env_id = text(reader, "env_id", MTH_JSON_OPTIONAL),
                                     .dataset = text(reader, "dataset", MTH_JSON_REQUIRED),
                                     .base = text(reader, "base", MTH_JSON_OPTIONAL),
                                     .spec = text(reader, "spec", MTH_JSON_REQUIRED),
                                     .phase = text(reader, "phase", MTH_JSON_REQUIRED),
                                     .threads = integer(reader, "threads"),
                                     .up_to_bytes = integer(reader, "up_to_bytes"),
                                     .n_tensors = integer(reader, "n_tensors"),
                                     .p50_ns = real(reader, "p50_ns"),
                                     .p95_ns = real(reader, "p95_ns"),
                                     .p99_ns = real(reader, "p99_ns")};
    if (!reader->status)
        reader->status = mth_json_get_array(reader->row, "samples_ns", MTH_JSON_OPTIONAL, &samples,
                                            &n_samples, reader->err);
    if (reader->status)
        return reader->status;
    row.n_calls = (int64_t)n_samples;
    put(report, reader, MTH_REPORT_LATENCIES, &report->latencies, &report->n_latencies, sizeof row, &row,
        same_latency);
    return reader->status;
}

/* What memory can do stands with the checkpoint that it was measured beside. */
static int read_baseline(struct mth_report *report, struct reader *reader)
{
    size_t index;
    const char *what = text(reader, "what", MTH_JSON_OPTIONAL);
    double gib_s = real(reader, "gib_s"), timer_ns = real(reader, "timer_ns");
    if (reader->status || !what || !text(reader, "dataset", MTH_JSON_OPTIONAL) || reader->status)
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

static struct mth_report_restored restored(struct reader *reader, const char *key)
{
    struct mth_json_node object;
    struct reader inner = {.row = &object, .err = reader->err};
    struct mth_report_restored value = {-1, -1, -1, -1};
    if (!reader->status)
        reader->status = mth_json_get_object(reader->row, key, MTH_JSON_OPTIONAL, &object, reader->err);
    if (reader->status || !object.value)
        return value;
    value = (struct mth_report_restored){real(&inner, "n_links"), real(&inner, "read_bytes"),
                                         real(&inner, "restore_ns"), real(&inner, "heap_peak_bytes")};
    reader->status = inner.status;
    return value;
}

static bool same_chain(const void *left, const void *right)
{
    const struct mth_report_chain *a = left, *b = right;
    return same(a->env_id, b->env_id) && same(a->dataset, b->dataset) && same(a->policy, b->policy) &&
           same(a->spec, b->spec) && a->threads == b->threads;
}

static int read_chain(struct mth_report *report, struct reader *reader)
{
    struct mth_report_chain row = {.row_id = text(reader, "row_id", MTH_JSON_OPTIONAL),
                                   .env_id = text(reader, "env_id", MTH_JSON_OPTIONAL),
                                   .dataset = text(reader, "dataset", MTH_JSON_REQUIRED),
                                   .policy = text(reader, "policy", MTH_JSON_REQUIRED),
                                   .keep = text(reader, "keep", MTH_JSON_OPTIONAL),
                                   .error = text(reader, "error", MTH_JSON_OPTIONAL),
                                   .threads = integer(reader, "threads"),
                                   .n_steps = integer(reader, "n_steps"),
                                   .n_full = integer(reader, "n_full"),
                                   .raw_bytes = integer(reader, "raw_bytes"),
                                   .stored_bytes = integer(reader, "stored_bytes"),
                                   .written_bytes = integer(reader, "written_bytes"),
                                   .kept_bytes = integer(reader, "kept_bytes"),
                                   .kept_peak_bytes = integer(reader, "kept_peak_bytes"),
                                   .last = restored(reader, "last"),
                                   .worst = restored(reader, "worst"),
                                   .mean = restored(reader, "mean"),
                                   .ratio = real(reader, "ratio"),
                                   .pct_links = real(reader, "pct_links"),
                                   .verified = truth(reader, "verified")};
    bool lossy;
    row.spec = spec_of(reader, report, &lossy);
    if (reader->status)
        return reader->status;
    put(report, reader, MTH_REPORT_CHAINS, &report->chains, &report->n_chains, sizeof row, &row, same_chain);
    return reader->status;
}

int mth_report_take_row(struct mth_report *report, const struct mth_json_node *row, struct mth_error *err)
{
    static const struct {
        const char *kind;
        int (*read)(struct mth_report *report, struct reader *reader);
    } kinds[] = {{"env", read_env},     {"cell", read_cell},       {"verdict", read_verdict},
                 {"run", read_run},     {"e2e", read_e2e},         {"part", read_part},
                 {"chain", read_chain}, {"latency", read_latency}, {"baseline", read_baseline},
                 {"shard", read_shard}};
    struct reader reader = {.row = row, .err = err};
    if (mth_json_type(row) != MTH_JSON_OBJECT)
        return mth_json_error(row, NULL, MTH_ERR_FORMAT, err, "is no object");
    const char *kind = text(&reader, "kind", MTH_JSON_REQUIRED);
    int64_t schema = integer(&reader, "schema");
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
