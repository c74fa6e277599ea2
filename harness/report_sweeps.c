/* Sweeps in a report: which shards rows come from, and whether all of them are there, once; see report.h. */
#include "harness/report.h"

#include "harness/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of one process begin their ids alike. */
static bool same_run(const char *row_id, const char *other)
{
    return row_id && other && strncmp(row_id, other, 8) == 0;
}

struct mth_report_shard *mth_report_find_shard(const struct mth_report *report,
                                               const struct mth_report_shard *like)
{
    for (size_t i = 0; i < report->n_shards; i++) {
        struct mth_report_shard *shard = &report->shards[i];
        if (mth_text_same(shard->sweep, like->sweep) && mth_text_same(shard->shard, like->shard) &&
            same_run(shard->row_id, like->row_id))
            return shard;
    }
    return NULL;
}

/* "2/4" */
static bool numbers(const char *text, uint64_t *number, uint64_t *n_shards)
{
    char *end;
    *number = strtoull(text, &end, 10);
    if (*end != '/')
        return false;
    *n_shards = strtoull(end + 1, &end, 10);
    return *end == '\0' && *number > 0 && *number <= *n_shards;
}

/* The shards of one sweep. */
struct sweep {
    const struct mth_report_shard *first;
    size_t n_present;  /* counted once each */
    uint64_t n_shards; /* that there should be */
};

static bool is_first(const struct mth_report *report, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (mth_text_same(report->shards[i].sweep, report->shards[index].sweep))
            return false;
    }
    return true;
}

/* The next one of the same sweep and number behind (or before) this one. */
static const struct mth_report_shard *twin(const struct mth_report *report, size_t index, bool before)
{
    const struct mth_report_shard *shard = &report->shards[index];
    for (size_t i = before ? 0 : index + 1; i < (before ? index : report->n_shards); i++) {
        if (mth_text_same(report->shards[i].sweep, shard->sweep) &&
            mth_text_same(report->shards[i].shard, shard->shard))
            return &report->shards[i];
    }
    return NULL;
}

static struct sweep sweep_of(const struct mth_report *report, size_t index)
{
    struct sweep sweep = {.first = &report->shards[index]};
    uint64_t number;
    if (!numbers(sweep.first->shard, &number, &sweep.n_shards))
        sweep.n_shards = 0;
    for (size_t i = 0; i < report->n_shards; i++)
        sweep.n_present +=
            mth_text_same(report->shards[i].sweep, sweep.first->sweep) && !twin(report, i, true);
    return sweep;
}

/* The sweep with most shards: what the others are foreign to. */
static struct sweep largest(const struct mth_report *report)
{
    struct sweep most = {0};
    for (size_t i = 0; i < report->n_shards; i++) {
        struct sweep sweep = {0};
        if (is_first(report, i))
            sweep = sweep_of(report, i);
        if (sweep.n_present > most.n_present)
            most = sweep;
    }
    return most;
}

static const char *difference(const struct mth_report_shard *a, const struct mth_report_shard *b)
{
    if (a->plan && b->plan && !mth_text_same(a->plan, b->plan))
        return "other cells or other options";
    return a->build && b->build && !mth_text_same(a->build, b->build) ? "another build" : "split otherwise";
}

static void put_separator(size_t *n_problems, FILE *out)
{
    if ((*n_problems)++)
        fputs("; ", out);
}

static bool is_present(const struct mth_report *report, const char *sweep, uint64_t number)
{
    uint64_t other, n_shards;
    for (size_t i = 0; i < report->n_shards; i++) {
        if (mth_text_same(report->shards[i].sweep, sweep) &&
            numbers(report->shards[i].shard, &other, &n_shards) && other == number)
            return true;
    }
    return false;
}

static void put_lost(const struct mth_report *report, const struct sweep *sweep, size_t *n_problems,
                     FILE *out)
{
    enum { MAX_NAMED = 8 };
    uint64_t n_lost = sweep->n_shards - sweep->n_present, n_named = 0;
    put_separator(n_problems, out);
    fprintf(out, "sweep %.8s: shard%s", sweep->first->sweep, n_lost == 1 ? "" : "s");
    for (uint64_t i = 1; i <= sweep->n_shards && n_named < MAX_NAMED; i++) {
        if (!is_present(report, sweep->first->sweep, i))
            fprintf(out, "%s %" PRIu64, n_named++ ? "," : "", i);
    }
    fprintf(out, "%s of %" PRIu64 " %s lost", n_lost > n_named ? " .." : "", sweep->n_shards,
            n_lost == 1 ? "is" : "are");
}

static void put_foreign(const struct mth_report *report, const struct sweep *sweep, const struct sweep *most,
                        size_t *n_problems, FILE *out)
{
    for (size_t i = 0; i < report->n_shards; i++) {
        const struct mth_report_shard *shard = &report->shards[i];
        if (!mth_text_same(shard->sweep, sweep->first->sweep))
            continue;
        put_separator(n_problems, out);
        fprintf(out, "%.60s: shard %.16s of sweep %.8s is foreign to sweep %.8s (%s)", shard->file,
                shard->shard, shard->sweep, most->first->sweep, difference(shard, most->first));
    }
}

size_t mth_report_sweep_problems(const struct mth_report *report, FILE *out)
{
    size_t n_problems = 0;
    const struct sweep most = largest(report);
    for (size_t i = 0; i < report->n_shards; i++) {
        if (!is_first(report, i))
            continue;
        const struct sweep sweep = sweep_of(report, i);
        if (sweep.n_shards > 0 && sweep.n_present >= sweep.n_shards)
            continue;
        if (mth_text_same(sweep.first->sweep, most.first->sweep))
            put_lost(report, &sweep, &n_problems, out);
        else
            put_foreign(report, &sweep, &most, &n_problems, out);
    }
    for (size_t i = 0; i < report->n_shards; i++) {
        const struct mth_report_shard *shard = &report->shards[i], *again = twin(report, i, false);
        if (again) {
            put_separator(&n_problems, out);
            fprintf(out, "sweep %.8s: shard %.16s is there twice (%.60s, %.60s)", shard->sweep, shard->shard,
                    shard->file, again->file);
        }
        if (shard->n_cells > shard->n_read) {
            put_separator(&n_problems, out);
            fprintf(out, "%.60s: shard %.16s of sweep %.8s lacks %" PRId64 " of its %" PRId64 " cells",
                    shard->file, shard->shard, shard->sweep, shard->n_cells - shard->n_read, shard->n_cells);
        }
        if (shard->n_cells < 0) {
            put_separator(&n_problems, out);
            fprintf(out, "%.60s: shard %.16s of sweep %.8s lacks its row of kind shard", shard->file,
                    shard->shard, shard->sweep);
        }
    }
    return n_problems;
}

int mth_report_check_sweeps(const struct mth_report *report, bool partial, struct mth_error *err)
{
    char *text = NULL;
    size_t n_text = 0;
    FILE *out = open_memstream(&text, &n_text);
    if (!out)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    size_t n_problems = mth_report_sweep_problems(report, out);
    int status = fclose(out) == 0 ? MTH_OK : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    if (!status && n_problems && partial)
        fprintf(stderr, "mithril: not whole: %s\n", text);
    else if (!status && n_problems)
        status = mth_error_set(err, MTH_ERR_FORMAT, "%.400s (--partial goes on without)", text);
    free(text);
    return status;
}
