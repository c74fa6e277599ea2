/*
 * Result rows as one page of HTML that needs nothing else: tables that sort by a click, the figures as SVG in it, and where the
 * numbers come from. Nothing in it is fetched, and no text of a row is taken for markup.
 */
#include "harness/report_tables.h"

#include <inttypes.h>
#include <string.h>

static const char style[] =
    "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 "
    "1em;color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse;width:100%;font-size:13px;margin:1em 0}"
    "th,td{padding:.25em .6em;text-align:left;border-bottom:1px solid #ddd}td:first-child{min-width:9em}"
    "th{border-bottom:2px solid #333;cursor:pointer;vertical-align:bottom}"
    "th[aria-sort=ascending]::after{content:' \\25b2'}th[aria-sort=descending]::after{content:' \\25bc'}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}code{font:12px "
    "ui-monospace,monospace;overflow-wrap:anywhere}"
    "svg{max-width:100%;height:auto}.PASS{color:#00664a;font-weight:600}.FAIL{color:#a33a00;font-weight:600}"
    "h2{margin-top:2em}main{display:flex;flex-wrap:wrap;gap:2em;align-items:flex-start}"
    "figure{margin:0;width:475px;max-width:100%}figcaption{color:#444;font-size:13px}";

/* A click on a head sorts by it, another the other way. Rows that have no number stay at the end. */
static const char script[] =
    "document.querySelectorAll('table').forEach(function(t){t.querySelectorAll('th').forEach(function(h,i){"
    "h.addEventListener('click',function(){var up=h.getAttribute('aria-sort')!=='ascending';"
    "t.querySelectorAll('th').forEach(function(o){o.removeAttribute('aria-sort')});"
    "h.setAttribute('aria-sort',up?'ascending':'descending');var b=t.tBodies[0],r=Array.from(b.rows);"
    "function v(x){var c=x.cells[i];if(!c)return null;if(c.dataset.v!==undefined)return Number(c.dataset.v);"
    "return c.classList.contains('n')?null:c.textContent}"
    "r.sort(function(x,y){var a=v(x),c=v(y);if(a===null)return c===null?0:1;if(c===null)return -1;"
    "return(a<c?-1:a>c?1:0)*(up?1:-1)});r.forEach(function(x){b.appendChild(x)})})})})";

static void put_text(const char *text, FILE *out)
{
    mth_table_escape(MTH_TABLE_HTML, text, out);
}

static void put_group_head(const struct mth_report_group *group, FILE *out)
{
    char scope[MTH_REPORT_SCOPE_BYTES];
    fputs("<h3>", out);
    put_text(group->dataset, out);
    fputs(" (", out);
    put_text(group->class_name, out);
    fprintf(out, "), %s, %" PRId64 " thread%s</h3>\n<p>%.2f MB",
            mth_report_scope(group->base, group->older, group->steps_apart, scope), group->threads,
            group->threads == 1 ? "" : "s", (double)group->raw_bytes / 1e6);
    if (group->bound_ratio > 0) {
        fprintf(out, "; bound %.3fx (", group->bound_ratio);
        put_text(group->bound_model, out);
        fputc(')', out);
    }
    mth_report_put_memory(group, out);
    fputs("; machine <code>", out);
    put_text(group->env_id, out);
    fputs("</code></p>\n", out);
}

static void put_group(const struct mth_report *report, size_t g, FILE *out)
{
    for (size_t t = 0; t < MTH_REPORT_TABLES; t++) {
        const struct mth_report_table *table = &mth_report_tables[t];
        if (!table->has(report, g))
            continue;
        if (table->title)
            fprintf(out, "<h4>%s</h4>\n<p>%s</p>\n", table->title, table->note);
        else
            put_group_head(&report->groups[g], out);
        table->put(report, g, MTH_TABLE_HTML, out);
    }
}

/* A chapter with one table; nothing where it would be empty. */
static void put_chapter(const struct mth_report *report, size_t n_rows, const char *id, const char *title,
                        const char *note,
                        void (*put)(const struct mth_report *report, enum mth_table_format format, FILE *out),
                        FILE *out)
{
    if (n_rows == 0)
        return;
    fprintf(out, "<h2 id=%s>%s</h2>\n<p>%s</p>\n", id, title, note);
    put(report, MTH_TABLE_HTML, out);
}

void mth_report_html(const struct mth_report *report, const struct mth_report_drawing *drawings,
                     size_t n_drawings, FILE *out)
{
    fputs("<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
          "<meta name=viewport content=\"width=device-width,initial-scale=1\">"
          "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'; "
          "script-src 'unsafe-inline'\">"
          "<title>mithril: measured</title><style>",
          out);
    fputs(style, out);
    fputs("</style></head><body>\n<h1>mithril: measured</h1>\n"
          "<p>GiB is 2<sup>30</sup> bytes, MB is 10<sup>6</sup>. A ratio is original over compressed; "
          "throughput is original "
          "bytes over the wall time of the whole pipeline in memory, the median of all samples. The bound is "
          "what an ideal coder "
          "of the named model would reach. A click on the head of a column sorts by it.</p>\n",
          out);
    fputs("<main>\n", out);
    for (size_t i = 0; i < n_drawings; i++) {
        fputs("<figure>", out);
        fwrite(drawings[i].svg, 1, drawings[i].n_svg, out);
        fputs("<figcaption>", out);
        put_text(drawings[i].caption, out);
        fputs("</figcaption></figure>\n", out);
    }
    fputs("</main>\n<h2 id=cells>Cells</h2>\n", out);
    for (size_t g = 0; g < report->n_groups; g++)
        put_group(report, g, out);
    put_chapter(report, report->n_runs, "runs", "Whole runs",
                "The first checkpoint full, each other one against the one before it.", mth_report_put_runs,
                out);
    put_chapter(report, report->n_verdicts, "verdicts", "Verdicts", "Each holds for its scope alone.",
                mth_report_put_verdicts, out);
    put_chapter(report, report->n_e2e, "files", "File to file",
                "Cells of the benchmark stand beside their throughput in memory; command lines include the "
                "start of the process.",
                mth_report_put_files, out);
    put_chapter(report, report->n_explorations, "explorations", "Explorations",
                "Searches for pipelines, and the winner of each by its rule.", mth_report_put_explorations,
                out);
    put_chapter(report, report->n_explorations, "explored-fronts", "Fronts that were found",
                "Measured in full, the smallest first; * won.", mth_report_put_explored_fronts, out);
    put_chapter(report, report->n_explorations, "explored-classes", "Classes of tensors",
                "The front of each on samples, in cache: what the search promised.",
                mth_report_put_explored_classes, out);
    put_chapter(report, report->n_envs, "provenance", "Where the numbers come from",
                "Commits that end in -dirty had changes.", mth_report_put_machines, out);
    fputs("<script>", out);
    fputs(script, out);
    fputs("</script>\n</body></html>\n", out);
}
