/* What a comparison found, as text, as Markdown for a pull request, as JSON; see compare.h. */
#include "harness/compare.h"

#include "harness/json_writer.h"
#include "harness/text.h"

#include <inttypes.h>
#include <string.h>

static const char *const phase_names[MTH_COMPARE_PHASES] = {"compress", "decompress"};

static const struct {
    const char *word; /* in tables and JSON */
    const char *text; /* behind a count */
} outcomes[MTH_N_SIZE_OUTCOMES] = {
    [MTH_SIZE_SAME] = {"same", "the same"},
    [MTH_SIZE_TOLERATED] = {"tolerated", "changed within the margin"},
    [MTH_SIZE_CHANGED] = {"CHANGED", "changed"},
    [MTH_SIZE_FAILED] = {"FAILED", "failed"},
    [MTH_SIZE_LIBRARY] = {"library", "not compared, by another version of a library"},
    [MTH_SIZE_MISSING] = {"MISSING", "missing"},
    [MTH_SIZE_ADDED] = {"added", "added"},
};

const char *mth_compare_result_text(enum mth_compare_result result)
{
    static const char *const texts[] = {"OK", "REGRESSED", "INCONCLUSIVE"};
    return texts[result];
}

static const char *verdict_text(enum mth_speed_verdict verdict)
{
    static const char *const texts[] = {"OK", "REGRESSED", "INCONCLUSIVE"};
    return texts[verdict];
}

static const struct mth_report_cell *any_cell(const struct mth_compare_cell *cell)
{
    return cell->new_cell[0] ? cell->new_cell[0] : cell->old_cell[0];
}

/* "tiny-gpt", "tiny-gpt/pretrain-1 against a base"; cut from the left, where names are alike. */
static const char *data_name(const struct mth_compare_cell *cell, size_t n_columns, char out[MTH_TEXT_BYTES])
{
    return mth_text_name(cell->group->dataset, n_columns, out);
}

static const char *bases_of(const struct mth_compare_cell *cell)
{
    return cell->group->older ? " with two bases" : cell->group->base ? " with its base" : "";
}

static void put_sizes(const struct mth_compare_cell *cell, FILE *out)
{
    const struct mth_report_cell *before = cell->old_cell[0], *now = cell->new_cell[0];
    if (before && now && before->stored_bytes > 0 && now->stored_bytes > 0)
        fprintf(out, "%" PRId64 " -> %" PRId64 " B (%+.3f %%), ratio %.4f -> %.4f", before->stored_bytes,
                now->stored_bytes, 100 * ((double)now->stored_bytes / (double)before->stored_bytes - 1),
                before->ratio, now->ratio);
    else if (now && now->stored_bytes > 0)
        fprintf(out, "%" PRId64 " B, ratio %.4f", now->stored_bytes, now->ratio);
    else if (before && before->stored_bytes > 0)
        fprintf(out, "%" PRId64 " B before, ratio %.4f", before->stored_bytes, before->ratio);
}

/* ---- text ---- */

static void print_counts(const struct mth_compare *compare, FILE *out)
{
    const char *comma = "";
    fprintf(out, "sizes: ");
    for (size_t i = 0; i < MTH_N_SIZE_OUTCOMES; i++) {
        if (compare->counts[i] == 0 && i != MTH_SIZE_SAME)
            continue;
        fprintf(out, "%s%zu %s", comma, compare->counts[i], outcomes[i].text);
        comma = ", ";
    }
    fprintf(out, "\n");
}

static void print_size(const struct mth_compare_cell *cell, FILE *out)
{
    char dataset[MTH_TEXT_BYTES], spec[MTH_TEXT_BYTES];
    if (cell->outcome == MTH_SIZE_SAME && !cell->unmet)
        return;
    fprintf(out, "  %-9s %s%s  %s  ",
            cell->unmet && cell->outcome == MTH_SIZE_SAME ? "" : outcomes[cell->outcome].word,
            data_name(cell, 40, dataset), bases_of(cell), mth_text_name(any_cell(cell)->spec, 40, spec));
    put_sizes(cell, out);
    fprintf(out, "\n");
    if (cell->note[0])
        fprintf(out, "            %.106s\n", cell->note);
    if (cell->unmet)
        fprintf(out, "            does not meet '%.80s'\n", cell->unmet);
}

static void print_speed(const struct mth_compare_cell *cell, size_t phase, FILE *out)
{
    const struct mth_compare_speed *speed = &cell->speeds[phase];
    char dataset[MTH_TEXT_BYTES], spec[MTH_TEXT_BYTES];
    if (!speed->known)
        return;
    fprintf(out, "  %-34s %-24s %-10s", data_name(cell, 34, dataset),
            mth_text_name(any_cell(cell)->spec, 24, spec), phase_names[phase]);
    if (speed->paired)
        fprintf(out, " %+6.2f [%+6.2f %+6.2f] p %-7.2g %+6.2f  %s\n", speed->shift.pct, speed->shift.lo_pct,
                speed->shift.hi_pct, speed->shift.p_holm, speed->shift.again_pct,
                verdict_text(speed->verdict));
    else
        fprintf(out, " %10.3f -> %.3f ms (%+.1f %%)%s\n", speed->old_ns / 1e6, speed->new_ns / 1e6,
                speed->change_pct, speed->overlap ? ", intervals meet" : "");
}

static void print_speeds(const struct mth_compare *compare, FILE *out)
{
    if (compare->sizes_only)
        return;
    if (compare->paired)
        fprintf(out,
                "time of the new over the old (of one thread its processor time), %zu blocks in %.0f s; "
                "positive is slower\n"
                "  %-34s %-24s %-10s %-32s %s\n",
                compare->n_blocks, compare->seconds, "dataset", "pipeline", "phase",
                " shift [95 % interval]  Holm", "A/A");
    else
        fprintf(out, "times of one pass, not measured in turn: advisory, they change no result\n");
    for (size_t i = 0; i < compare->n_cells; i++) {
        for (size_t p = 0; p < MTH_COMPARE_PHASES; p++)
            print_speed(&compare->cells[i], p, out);
    }
}

void mth_compare_print(const struct mth_compare *compare, FILE *out)
{
    print_counts(compare, out);
    for (size_t i = 0; i < compare->n_cells; i++)
        print_size(&compare->cells[i], out);
    print_speeds(compare, out);
    fprintf(out, "%s%s%s\n", mth_compare_result_text(compare->result), compare->reason[0] ? ": " : "",
            compare->reason);
}

/* ---- Markdown ---- */

static void begin_line(const struct mth_compare_cell *cell, FILE *out)
{
    fputs("| ", out);
    mth_markdown_text(cell->group->dataset, out);
    fprintf(out, "%s | `", bases_of(cell));
    mth_markdown_text(any_cell(cell)->spec, out);
    fputs("` | ", out);
}

static void markdown_sizes(const struct mth_compare *compare, FILE *out)
{
    if (compare->counts[MTH_SIZE_SAME] == compare->n_cells && compare->n_unmet == 0)
        return;
    fputs("\n| dataset | pipeline | size | | |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < compare->n_cells; i++) {
        const struct mth_compare_cell *cell = &compare->cells[i];
        if (cell->outcome == MTH_SIZE_SAME && !cell->unmet)
            continue;
        begin_line(cell, out);
        put_sizes(cell, out);
        fprintf(out, " | %s | ", outcomes[cell->outcome].word);
        mth_markdown_text(cell->note, out);
        if (cell->unmet) {
            fputs(cell->note[0] ? "; does not meet `" : "does not meet `", out);
            mth_markdown_text(cell->unmet, out);
            fputc('`', out);
        }
        fputs(" |\n", out);
    }
}

static void markdown_speeds(const struct mth_compare *compare, FILE *out)
{
    if (compare->sizes_only)
        return;
    if (compare->paired)
        fprintf(out,
                "\nTime of the new over the old (of one thread its processor time), measured in turn in %zu "
                "blocks; positive is slower.\n\n"
                "| dataset | pipeline | phase | shift | 95 %% interval | p (Holm) | old against itself | |\n"
                "|---|---|---|---:|---|---:|---:|---|\n",
                compare->n_blocks);
    else
        fputs("\nTimes of one pass, not measured in turn: advisory.\n\n"
              "| dataset | pipeline | phase | old | new | change | |\n|---|---|---|---:|---:|---:|---|\n",
              out);
    for (size_t i = 0; i < compare->n_cells; i++) {
        for (size_t p = 0; p < MTH_COMPARE_PHASES; p++) {
            const struct mth_compare_speed *speed = &compare->cells[i].speeds[p];
            if (!speed->known)
                continue;
            begin_line(&compare->cells[i], out);
            fprintf(out, "%s | ", phase_names[p]);
            if (speed->paired)
                fprintf(out, "%+.2f %% | %+.2f to %+.2f %% | %.2g | %+.2f %% | %s |\n", speed->shift.pct,
                        speed->shift.lo_pct, speed->shift.hi_pct, speed->shift.p_holm, speed->shift.again_pct,
                        verdict_text(speed->verdict));
            else
                fprintf(out, "%.3f ms | %.3f ms | %+.1f %% | %s |\n", speed->old_ns / 1e6,
                        speed->new_ns / 1e6, speed->change_pct, speed->overlap ? "intervals meet" : "");
        }
    }
}

void mth_compare_markdown(const struct mth_compare *compare, FILE *out)
{
    fprintf(out, "### mithril compare: %s\n\n", mth_compare_result_text(compare->result));
    if (compare->reason[0]) {
        mth_markdown_text(compare->reason, out);
        fputs(". ", out);
    }
    print_counts(compare, out);
    markdown_sizes(compare, out);
    markdown_speeds(compare, out);
}

/* ---- JSON ---- */

static void put_count(struct mth_json_writer *w, const char *key, int64_t count)
{
    if (count > 0)
        mth_json_int(w, key, count);
    else
        mth_json_null(w, key);
}

static void put_speed(struct mth_json_writer *w, const struct mth_compare_speed *speed, size_t phase)
{
    mth_json_begin_object(w, NULL);
    mth_json_string(w, "phase", phase_names[phase]);
    mth_json_real(w, "old_ns", speed->old_ns);
    mth_json_real(w, "new_ns", speed->new_ns);
    mth_json_real(w, "change_pct", speed->change_pct);
    mth_json_bool(w, "intervals_meet", speed->overlap);
    mth_json_string(w, "verdict", speed->paired ? verdict_text(speed->verdict) : NULL);
    if (speed->paired) {
        mth_json_real(w, "shift_pct", speed->shift.pct);
        mth_json_real(w, "shift_lo_pct", speed->shift.lo_pct);
        mth_json_real(w, "shift_hi_pct", speed->shift.hi_pct);
        mth_json_real(w, "p", speed->shift.p);
        mth_json_real(w, "p_holm", speed->shift.p_holm);
        mth_json_real(w, "again_pct", speed->shift.again_pct);
        mth_json_real(w, "again_p", speed->shift.again_p);
        static const char *const arms[MTH_N_ARMS] = {"old_block_ns", "again_block_ns", "new_block_ns"};
        for (size_t arm = 0; arm < MTH_N_ARMS; arm++) {
            mth_json_begin_array(w, arms[arm]);
            for (size_t b = 0; b < speed->shift.n_blocks; b++)
                mth_json_real(w, NULL, speed->block_ns[arm][b]);
            mth_json_end(w);
        }
    }
    mth_json_end(w);
}

static void put_cell(struct mth_json_writer *w, const struct mth_compare_cell *cell)
{
    const struct mth_report_cell *before = cell->old_cell[0], *now = cell->new_cell[0];
    mth_json_begin_object(w, NULL);
    mth_json_string(w, "dataset", cell->group->dataset);
    mth_json_string(w, "dataset_xxh3", cell->group->hash);
    mth_json_string(w, "base", cell->group->base);
    mth_json_string(w, "base_xxh3", cell->group->base_hash);
    mth_json_string(w, "older", cell->group->older);
    mth_json_string(w, "older_xxh3", cell->group->older_hash);
    mth_json_string(w, "spec", any_cell(cell)->spec);
    mth_json_int(w, "threads", cell->group->threads);
    mth_json_string(w, "size", outcomes[cell->outcome].word);
    put_count(w, "old_stored_bytes", before ? before->stored_bytes : 0);
    put_count(w, "new_stored_bytes", now ? now->stored_bytes : 0);
    mth_json_string(w, "old_row", before ? before->row_id : NULL);
    mth_json_string(w, "new_row", now ? now->row_id : NULL);
    mth_json_string(w, "note", cell->note[0] ? cell->note : NULL);
    mth_json_string(w, "unmet", cell->unmet);
    mth_json_real(w, "size_margin_pct", cell->margin.size_pct);
    mth_json_real(w, "speed_margin_pct", cell->margin.speed_pct);
    mth_json_begin_array(w, "speeds");
    for (size_t p = 0; p < MTH_COMPARE_PHASES; p++) {
        if (cell->speeds[p].known)
            put_speed(w, &cell->speeds[p], p);
    }
    mth_json_end(w);
    mth_json_end(w);
}

int mth_compare_json(const struct mth_compare *compare, const char *path, struct mth_error *err)
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_int(&w, "schema", MTH_ROWS_SCHEMA);
    mth_json_string(&w, "kind", "compare");
    mth_json_string(&w, "result", mth_compare_result_text(compare->result));
    mth_json_string(&w, "reason", compare->reason[0] ? compare->reason : NULL);
    mth_json_bool(&w, "sizes_only", compare->sizes_only);
    mth_json_bool(&w, "paired", compare->paired);
    put_count(&w, "n_blocks", (int64_t)compare->n_blocks);
    mth_json_begin_object(&w, "sizes");
    static const char *const keys[MTH_N_SIZE_OUTCOMES] = {"same",    "tolerated", "changed", "failed",
                                                          "library", "missing",   "added"};
    for (size_t i = 0; i < MTH_N_SIZE_OUTCOMES; i++)
        mth_json_uint(&w, keys[i], compare->counts[i]);
    mth_json_end(&w);
    mth_json_uint(&w, "unmet", compare->n_unmet);
    mth_json_begin_array(&w, "cells");
    for (size_t i = 0; i < compare->n_cells; i++)
        put_cell(&w, &compare->cells[i]);
    mth_json_end(&w);
    mth_json_end(&w);
    return mth_text_put_json(&w, path, err);
}
