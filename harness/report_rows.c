/* Reading result rows for reports; see report.h. */
#include "harness/report_rows.h"

#include "base/file.h"
#include "harness/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void *mth_report_grow(struct mth_report *report, size_t which, void *array_pointer, size_t *n, size_t size)
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

/* A line is a document of its own, which stays: rows borrow their strings from it. */
static int read_line(struct mth_report *report, const char *name, const char *line, size_t n_bytes,
                     struct mth_error *err)
{
    struct mth_json *json;
    int status = mth_json_parse(name, line, n_bytes, &json, err);
    if (status)
        return status;
    struct mth_json **kept = mth_report_grow(report, MTH_REPORT_DOCUMENTS, &report->documents,
                                             &report->n_documents, sizeof *report->documents);
    if (!kept) {
        mth_json_free(json);
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the rows");
    }
    *kept = json;
    struct mth_json_node root = mth_json_root(json, name);
    return mth_report_take_row(report, &root, err);
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
    for (size_t i = 0; i < report->n_texts; i++)
        mth_memory_free(report->memory, report->texts[i]);
    void *arrays[] = {report->envs,  report->groups,    report->cells,  report->verdicts,
                      report->runs,  report->e2e,       report->chains, report->documents,
                      report->parts, report->latencies, report->shards, report->explorations,
                      report->texts};
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
        if (other->group == cell->group && mth_text_same(other->spec, cell->spec) &&
            !mth_text_same(other->phase, cell->phase))
            return other;
    }
    return NULL;
}

int64_t mth_report_heap(const struct mth_report *report, const struct mth_report_cell *cell)
{
    const struct mth_report_cell *other = mth_report_other_phase(report, cell);
    int64_t bytes = cell->heap_peak_bytes;
    return other && other->heap_peak_bytes > bytes ? other->heap_peak_bytes : bytes;
}

int64_t mth_report_resident(const struct mth_report *report, const struct mth_report_cell *cell)
{
    const struct mth_report_cell *other = mth_report_other_phase(report, cell);
    int64_t bytes = cell->resident_peak_bytes;
    return other && other->resident_peak_bytes > bytes ? other->resident_peak_bytes : bytes;
}

const char *mth_report_scope(const char *base, const char *older, int64_t steps_apart,
                             char out[MTH_REPORT_SCOPE_BYTES])
{
    const char *more = older ? " and an older one" : "";
    if (!base)
        snprintf(out, MTH_REPORT_SCOPE_BYTES, "alone");
    else if (steps_apart <= 0)
        snprintf(out, MTH_REPORT_SCOPE_BYTES, "against a base%s", more);
    else
        snprintf(out, MTH_REPORT_SCOPE_BYTES, "against the base %" PRId64 " step%s before%s", steps_apart,
                 steps_apart == 1 ? "" : "s", more);
    return out;
}
