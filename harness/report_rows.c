/* Reading result rows for reports; see report.h. */
#include "harness/report.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ENVS, GROUPS, CELLS, VERDICTS, RUNS, E2E, CHAINS, DOCUMENTS, PARTS, SHARDS };

#define REAL_MAX 1e300

/* One more thing behind n of an array; the new one is zeroed. NULL without memory. */
static void *grow(struct mth_report *report, size_t which, void *array_pointer, size_t *n, size_t size)
{
    char *array;
    memcpy(&array, array_pointer, sizeof array);
    if (*n == report->capacities[which]) {
        size_t capacity = *n * 2 + 16;
        array = mth_memory_realloc(report->memory, array, capacity * size);
        if (!array)
            return NULL;
        memcpy(array_pointer, &array, sizeof array);
        report->capacities[which] = capacity;
    }
    memset(array + *n * size, 0, size);
    return array + size * (*n)++;
}

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

/* An array of strings as one text with spaces; allocated. */
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
    char *joined = mth_memory_alloc(report->memory, n_text);
    if (!joined) {
        reader->status = mth_error_set(reader->err, MTH_ERR_NO_MEMORY, "no memory for the rows");
        return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; i < n_items; i++) {
        mth_json_item_string(&array, i, &item, reader->err);
        used += (size_t)snprintf(joined + used, n_text - used, "%s%s", i ? " " : "", item);
    }
    joined[used] = '\0';
    return joined;
}

static int out_of_memory(struct reader *reader)
{
    return mth_error_set(reader->err, MTH_ERR_NO_MEMORY, "no memory for the rows");
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
    char *label = mth_memory_alloc(report->memory, n);
    char **labels = label ? mth_memory_realloc(report->memory, report->labels,
                                               (report->n_labels + 1) * sizeof *report->labels)
                          : NULL;
    if (!labels) {
        mth_memory_free(report->memory, label);
        reader->status = out_of_memory(reader);
        return spec;
    }
    report->labels = labels;
    labels[report->n_labels++] = label;
    snprintf(label, n, "%s, LOSSY: error %.3g in the mean, %.3g at most, %.3g a row (l2)", spec, mean, most,
             row);
    return label;
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
    struct mth_report_env *added = grow(report, ENVS, &report->envs, &report->n_envs, sizeof row);
    if (!added)
        return out_of_memory(reader);
    *added = row;
    return MTH_OK;
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
                                   .memcpy_gib_s = real(reader, "memcpy_gib_s")};
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
            return MTH_OK;
        }
    }
    struct mth_report_group *added = grow(report, GROUPS, &report->groups, &report->n_groups, sizeof row);
    if (!added)
        return out_of_memory(reader);
    *added = row;
    *index = report->n_groups - 1;
    return MTH_OK;
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
    *shard = grow(report, SHARDS, &report->shards, &report->n_shards, sizeof row);
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
    struct mth_report_cell *place = NULL;
    for (size_t i = 0; i < report->n_cells && !place; i++) {
        struct mth_report_cell *cell = &report->cells[i];
        if (cell->group == row.group && same(cell->phase, row.phase) && same(cell->spec, row.spec))
            place = cell;
    }
    if (place)
        mth_memory_free(report->memory, place->flags);
    else
        place = grow(report, CELLS, &report->cells, &report->n_cells, sizeof row);
    if (!place) {
        mth_memory_free(report->memory, row.flags);
        return out_of_memory(reader);
    }
    *place = row;
    return MTH_OK;
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
    struct mth_report_verdict *place = NULL;
    for (size_t i = 0; i < report->n_verdicts && !place; i++) {
        struct mth_report_verdict *verdict = &report->verdicts[i];
        if (same(verdict->env_id, row.env_id) && same(verdict->target, row.target) &&
            same(verdict->dataset, row.dataset) && same(verdict->base, row.base) &&
            verdict->threads == row.threads)
            place = verdict;
    }
    if (place)
        mth_memory_free(report->memory, place->evidence);
    else
        place = grow(report, VERDICTS, &report->verdicts, &report->n_verdicts, sizeof row);
    if (!place) {
        mth_memory_free(report->memory, row.evidence);
        return out_of_memory(reader);
    }
    *place = row;
    return MTH_OK;
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
    struct mth_report_run *place = NULL;
    for (size_t i = 0; i < report->n_runs && !place; i++) {
        if (same(report->runs[i].run_id, row.run_id) && same(report->runs[i].spec, row.spec))
            place = &report->runs[i];
    }
    if (!place)
        place = grow(report, RUNS, &report->runs, &report->n_runs, sizeof row);
    if (!place)
        return out_of_memory(reader);
    *place = row;
    return MTH_OK;
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
    for (size_t i = 0; row.spec && i < report->n_e2e; i++) {
        struct mth_report_e2e *place = &report->e2e[i];
        if (same(place->env_id, row.env_id) && same(place->tool, row.tool) &&
            same(place->dataset, row.dataset) && same(place->base, row.base) &&
            same(place->phase, row.phase) && same(place->spec, row.spec) && place->threads == row.threads) {
            *place = row;
            return MTH_OK;
        }
    }
    struct mth_report_e2e *added = grow(report, E2E, &report->e2e, &report->n_e2e, sizeof row);
    if (!added)
        return out_of_memory(reader);
    *added = row;
    return MTH_OK;
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
    struct mth_report_part *place = NULL;
    for (size_t i = 0; i < report->n_parts && !place; i++) {
        struct mth_report_part *part = &report->parts[i];
        if (same(part->env_id, row.env_id) && same(part->dataset, row.dataset) &&
            same(part->base, row.base) && same(part->spec, row.spec) && same(part->part, row.part) &&
            part->threads == row.threads)
            place = part;
    }
    if (!place)
        place = grow(report, PARTS, &report->parts, &report->n_parts, sizeof row);
    if (!place)
        return out_of_memory(reader);
    *place = row;
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
    struct mth_report_chain *place = NULL;
    for (size_t i = 0; i < report->n_chains && !place; i++) {
        struct mth_report_chain *chain = &report->chains[i];
        if (same(chain->env_id, row.env_id) && same(chain->dataset, row.dataset) &&
            same(chain->policy, row.policy) && same(chain->spec, row.spec) && chain->threads == row.threads)
            place = chain;
    }
    if (!place)
        place = grow(report, CHAINS, &report->chains, &report->n_chains, sizeof row);
    if (!place)
        return out_of_memory(reader);
    *place = row;
    return MTH_OK;
}

static int read_row(struct mth_report *report, const struct mth_json_node *row, struct mth_error *err)
{
    static const struct {
        const char *kind;
        int (*read)(struct mth_report *report, struct reader *reader);
    } kinds[] = {{"env", read_env}, {"cell", read_cell}, {"verdict", read_verdict}, {"run", read_run},
                 {"e2e", read_e2e}, {"part", read_part}, {"chain", read_chain},     {"shard", read_shard}};
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

/* A line is a document of its own, which stays: rows borrow their strings from it. */
static int read_line(struct mth_report *report, const char *name, const char *line, size_t n_bytes,
                     struct mth_error *err)
{
    struct mth_json *json;
    int status = mth_json_parse(name, line, n_bytes, &json, err);
    if (status)
        return status;
    struct mth_json **kept =
        grow(report, DOCUMENTS, &report->documents, &report->n_documents, sizeof *report->documents);
    if (!kept) {
        mth_json_free(json);
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the rows");
    }
    *kept = json;
    struct mth_json_node root = mth_json_root(json, name);
    return read_row(report, &root, err);
}

static int read_lines(struct mth_report *report, const char *path, struct mth_bytes bytes,
                      struct mth_error *err)
{
    const char *at = (const char *)bytes.data, *end = at + bytes.n_bytes;
    size_t n_rows = 0;
    int status = MTH_OK;
    report->file = path;
    for (size_t line = 1; !status && at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n_bytes = (size_t)((newline ? newline : end) - at);
        char name[256];
        snprintf(name, sizeof name, "%.200s, row %zu", path, line);
        if (n_bytes > 0) {
            status = read_line(report, name, at, n_bytes, err);
            n_rows++;
        }
        at = newline ? newline + 1 : end;
    }
    if (!status && n_rows == 0)
        status = mth_error_set(err, MTH_ERR_FORMAT,
                               "%s: holds no rows; `mithril bench --json FILE` writes them", path);
    return status;
}

static int read_file(struct mth_report *report, const char *path, struct mth_error *err)
{
    struct mth_buffer bytes;
    int status = mth_file_read_all(path, report->memory, &bytes, err);
    if (status)
        return status;
    status = read_lines(report, path, (struct mth_bytes){bytes.data, bytes.n_bytes}, err);
    mth_memory_free(report->memory, bytes.data);
    return status;
}

int mth_report_read_text(struct mth_report *report, const char *name, struct mth_bytes text,
                         struct mth_error *err)
{
    *report = (struct mth_report){.memory = mth_memory_create(0)};
    int status = report->memory ? read_lines(report, name, text, err)
                                : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    if (status)
        mth_report_free(report);
    return status;
}

int mth_report_read(struct mth_report *report, const char *const *paths, size_t n_paths,
                    struct mth_error *err)
{
    *report = (struct mth_report){.memory = mth_memory_create(0)};
    int status = report->memory ? MTH_OK : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; !status && i < n_paths; i++)
        status = read_file(report, paths[i], err);
    if (status)
        mth_report_free(report);
    return status;
}

void mth_report_free(struct mth_report *report)
{
    for (size_t i = 0; i < report->n_documents; i++)
        mth_json_free(report->documents[i]);
    for (size_t i = 0; i < report->n_cells; i++)
        mth_memory_free(report->memory, report->cells[i].flags);
    for (size_t i = 0; i < report->n_verdicts; i++)
        mth_memory_free(report->memory, report->verdicts[i].evidence);
    for (size_t i = 0; i < report->n_labels; i++)
        mth_memory_free(report->memory, report->labels[i]);
    mth_memory_free(report->memory, report->labels);
    void *arrays[] = {report->envs, report->groups, report->cells,     report->verdicts, report->runs,
                      report->e2e,  report->chains, report->documents, report->parts,    report->shards};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        mth_memory_free(report->memory, arrays[i]);
    mth_memory_destroy(report->memory);
    *report = (struct mth_report){0};
}

bool mth_report_is_compress(const struct mth_report_cell *cell)
{
    return strcmp(cell->phase, "compress") == 0;
}

const struct mth_report_cell *mth_report_other_phase(const struct mth_report *report,
                                                     const struct mth_report_cell *cell)
{
    /* It mostly stands right behind. */
    size_t start = (size_t)(cell - report->cells);
    for (size_t i = 1; i < report->n_cells; i++) {
        const struct mth_report_cell *other = &report->cells[(start + i) % report->n_cells];
        if (other->group == cell->group && same(other->spec, cell->spec) && !same(other->phase, cell->phase))
            return other;
    }
    return NULL;
}

const char *mth_report_scope(const char *base, int64_t steps_apart, char out[64])
{
    if (!base)
        snprintf(out, 64, "alone");
    else if (steps_apart <= 0)
        snprintf(out, 64, "against a base");
    else
        snprintf(out, 64, "against the base %" PRId64 " step%s before", steps_apart,
                 steps_apart == 1 ? "" : "s");
    return out;
}
