/*
 * hyperfine's JSON into rows of kind e2e. scripts/hyperfine.sh names each command
 * "TOOL|PHASE|FILE|RAW|STORED|BASE|THREADS|FILE SYSTEM|CACHE", so that sizes and circumstances travel with the times. What
 * stands behind STORED may be left out or empty.
 */
#include "harness/report.h"

#include "harness/env.h"
#include "harness/json_writer.h"
#include "harness/statistics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 64 << 20, N_NEEDED = 5, N_FIELDS = 9, NAME_BYTES = 1024 };

struct command {
    char name[NAME_BYTES];
    const char *fields[N_FIELDS]; /* in name; "" where it has no more */
    uint64_t raw_bytes, stored_bytes, threads;
    double *samples_ns;
    size_t n_samples;
};

static bool parse_size(const char *text, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static int parse_name(const struct mth_json_node *node, const char *name, struct command *command,
                      struct mth_error *err)
{
    size_t n = strlen(name), n_fields = 0;
    for (size_t i = 0; i < N_FIELDS; i++)
        command->fields[i] = "";
    if (n < NAME_BYTES) {
        memcpy(command->name, name, n + 1);
        for (char *p = command->name; p && n_fields < N_FIELDS; n_fields++) {
            command->fields[n_fields] = p;
            p = strchr(p, '|');
            if (p)
                *p++ = '\0';
        }
    }
    if (n_fields < N_NEEDED || !parse_size(command->fields[3], &command->raw_bytes) ||
        !parse_size(command->fields[4], &command->stored_bytes) ||
        (command->fields[6][0] && !parse_size(command->fields[6], &command->threads)))
        return mth_json_error(
            node, "command", MTH_ERR_FORMAT, err,
            "must read TOOL|PHASE|FILE|RAW BYTES|STORED BYTES|BASE|THREADS|FILE SYSTEM|CACHE, as "
            "scripts/hyperfine.sh names it");
    return MTH_OK;
}

static int read_times(const struct mth_json_node *node, struct command *command, struct mth_error *err)
{
    struct mth_json_node times;
    int status = mth_json_get_array(node, "times", MTH_JSON_REQUIRED, &times, &command->n_samples, err);
    if (status)
        return status;
    command->samples_ns = calloc(command->n_samples + 1, sizeof *command->samples_ns);
    if (!command->samples_ns)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the samples");
    for (size_t i = 0; !status && i < command->n_samples; i++) {
        double seconds;
        status = mth_json_item_real(&times, i, &seconds, err);
        command->samples_ns[i] = status ? 0 : seconds * 1e9;
    }
    return status;
}

static void put_optional(struct mth_json_writer *w, const char *key, const char *text)
{
    mth_json_string(w, key, text[0] ? text : NULL);
}

static int put_row(const struct command *command, const char *env_id, size_t index, FILE *out,
                   struct mth_error *err)
{
    struct mth_summary summary;
    struct mth_json_writer w;
    char row_id[40];
    const char *text;
    size_t n_bytes;
    int status = mth_summarise(command->samples_ns, command->n_samples, 1, &summary);
    if (status)
        return mth_error_set(err, status, "%s", mth_status_text(status));
    snprintf(row_id, sizeof row_id, "%.8s-e%zu", env_id, index + 1);
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_int(&w, "schema", MTH_ROWS_SCHEMA);
    mth_json_string(&w, "kind", "e2e");
    mth_json_string(&w, "row_id", row_id);
    mth_json_string(&w, "env_id", env_id);
    mth_json_string(&w, "tool", command->fields[0]);
    mth_json_string(&w, "phase", command->fields[1]);
    mth_json_string(&w, "dataset", command->fields[2]);
    put_optional(&w, "base", command->fields[5]);
    if (command->threads)
        mth_json_uint(&w, "threads", command->threads);
    else
        mth_json_null(&w, "threads");
    put_optional(&w, "file_system", command->fields[7]);
    put_optional(&w, "cache", command->fields[8]);
    mth_json_uint(&w, "raw_bytes", command->raw_bytes);
    mth_json_uint(&w, "stored_bytes", command->stored_bytes);
    mth_json_real(&w, "ratio",
                  command->stored_bytes ? (double)command->raw_bytes / (double)command->stored_bytes : 0);
    mth_json_begin_array(&w, "samples_ns");
    for (size_t i = 0; i < command->n_samples; i++)
        mth_json_real(&w, NULL, command->samples_ns[i]);
    mth_json_end(&w);
    mth_json_real(&w, "median_ns", summary.median);
    mth_json_real(&w, "mad_ns", summary.mad);
    mth_json_real(&w, "ci_lo_ns", summary.ci_lo);
    mth_json_real(&w, "ci_hi_ns", summary.ci_hi);
    mth_json_real(
        &w, "gib_s",
        summary.median > 0 ? (double)command->raw_bytes / (double)(1 << 30) / (summary.median * 1e-9) : 0);
    mth_json_end(&w);
    status = mth_json_writer_text(&w, &text, &n_bytes);
    if (!status && fwrite(text, 1, n_bytes, out) != n_bytes)
        status = MTH_ERR_IO;
    mth_json_writer_free(&w);
    return status ? mth_error_set(err, status, "cannot write rows: %s", mth_status_text(status)) : MTH_OK;
}

static int convert(const struct mth_json_node *results, size_t index, const char *env_id, FILE *out,
                   struct mth_error *err)
{
    struct mth_json_node node;
    struct command command = {0};
    const char *name;
    int status = mth_json_item_object(results, index, &node, err);
    if (!status)
        status = mth_json_get_string(&node, "command", MTH_JSON_REQUIRED, &name, err);
    if (!status)
        status = parse_name(&node, name, &command, err);
    if (!status)
        status = read_times(&node, &command, err);
    if (!status)
        status = put_row(&command, env_id, index, out, err);
    free(command.samples_ns);
    return status;
}

int mth_report_hyperfine(const char *path, FILE *out, struct mth_error *err)
{
    struct mth_json *json;
    struct mth_json_node results;
    char env_id[MTH_ENV_ID_BYTES];
    size_t n_results = 0;
    int status = mth_json_load(path, MAX_BYTES, &json, err);
    if (status)
        return status;
    struct mth_json_node root = mth_json_root(json, path);
    if (mth_json_type(&root) != MTH_JSON_OBJECT)
        status = mth_json_error(&root, NULL, MTH_ERR_FORMAT, err, "is no object, so not hyperfine's");
    if (!status)
        status = mth_json_get_array(&root, "results", MTH_JSON_REQUIRED, &results, &n_results, err);
    mth_env_id(env_id);
    for (size_t i = 0; !status && i < n_results; i++)
        status = convert(&results, i, env_id, out, err);
    mth_json_free(json);
    return status;
}
