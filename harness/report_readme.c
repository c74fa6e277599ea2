/* The table of verdicts in README.md: made anew between two marker lines, the rest of the file left as it is. */
#include "harness/report.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char begin_marker[] = "<!-- verdicts";
static const char end_marker[] = "<!-- /verdicts -->";

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The verdict on a target in the scope of another verdict. */
static const struct mth_report_verdict *sibling(const struct mth_report *report,
                                                const struct mth_report_verdict *of, const char *target)
{
    for (size_t i = 0; i < report->n_verdicts; i++) {
        const struct mth_report_verdict *verdict = &report->verdicts[i];
        if (strcmp(verdict->target, target) == 0 && same_text(verdict->dataset, of->dataset) &&
            same_text(verdict->base, of->base) && same_text(verdict->older, of->older) &&
            same_text(verdict->env_id, of->env_id) && verdict->threads == of->threads)
            return verdict;
    }
    return NULL;
}

static void put_value(const struct mth_report_verdict *verdict, const char *unit, FILE *out)
{
    if (!verdict)
        fputs("| - ", out);
    else
        fprintf(out, "| %s %.2f%s ", verdict->result, verdict->value, unit);
}

static void put_line(const struct mth_report *report, const struct mth_report_verdict *ratio, FILE *out)
{
    char scope[MTH_REPORT_SCOPE_BYTES];
    fputs("| ", out);
    mth_markdown_text(ratio->dataset, out);
    fputs(" (", out);
    mth_markdown_text(ratio->class_name, out);
    fprintf(out, "), %s ", mth_report_scope(ratio->base, ratio->older, ratio->steps_apart, scope));
    put_value(ratio, "x", out);
    if (ratio->run_ratio > 0)
        fprintf(out, "(run of %" PRId64 ": %.2fx) ", ratio->run_checkpoints, ratio->run_ratio);
    fprintf(out, "| %.2fx ", ratio->bound_ratio);
    put_value(sibling(report, ratio, "throughput"), " GiB/s", out);
    put_value(sibling(report, ratio, "memory"), "x", out);
    const struct mth_report_verdict *exact = sibling(report, ratio, "bit_exact");
    fprintf(out, "| %s |\n", exact ? exact->result : "-");
}

static void put_table(const struct mth_report *report, FILE *out)
{
    fputs("| scope | ratio >= 10x | bound | >= 2.5 GiB/s each way | heap <= 2x | every bit |\n"
          "|---|---|---:|---|---|---|\n",
          out);
    for (size_t i = 0; i < report->n_verdicts; i++) {
        /* The targets are for one core. */
        if (strcmp(report->verdicts[i].target, "ratio") == 0 && report->verdicts[i].threads <= 1)
            put_line(report, &report->verdicts[i], out);
    }
}

int mth_report_readme(const struct mth_report *report, const char *path, struct mth_error *err)
{
    struct mth_buffer old;
    char *text = NULL;
    size_t n_text = 0;
    int status = mth_file_read_all(path, report->memory, &old, err);
    if (status)
        return status;
    char *readme = mth_memory_realloc(report->memory, old.data, old.n_bytes + 1);
    if (!readme) {
        mth_memory_free(report->memory, old.data);
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    }
    readme[old.n_bytes] = '\0';
    const char *begin = strstr(readme, begin_marker);
    const char *table = begin ? strchr(begin, '\n') : NULL;
    const char *end = table ? strstr(table, end_marker) : NULL;
    FILE *out = end ? open_memstream(&text, &n_text) : NULL;
    if (!end) {
        status = mth_error_set(err, MTH_ERR_FORMAT, "%s: has no lines '%s ... -->' and '%s' for the table",
                               path, begin_marker, end_marker);
    } else if (out) {
        fwrite(readme, 1, (size_t)(table + 1 - readme), out);
        put_table(report, out);
        fputs(end, out);
    }
    if (!status && (!out || fclose(out) != 0))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    if (!status)
        status = mth_file_write_all(path, (struct mth_bytes){(const uint8_t *)text, n_text}, err);
    free(text);
    mth_memory_free(report->memory, readme);
    return status;
}
