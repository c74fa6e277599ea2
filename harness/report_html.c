/*
 * Result rows as one page of HTML that needs nothing else: tables that sort by a click, the figures as SVG in it, and where the
 * numbers come from. Nothing in it is fetched, and no text of a row is taken for markup.
 */
#include "harness/report.h"

#include <inttypes.h>
#include <string.h>

static void put_text(const char *text, FILE *out)
{
    for (const char *p = text ? text : "-"; *p; p++) {
        switch (*p) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out);
        }
    }
}

static void put_cell_text(const char *text, FILE *out)
{
    fputs("<td>", out);
    put_text(text, out);
    fputs("</td>", out);
}

/* data-v is what it sorts by; unknown ones come last, whichever way. */
static void put_number(double value, bool known, int digits, FILE *out)
{
    if (known)
        fprintf(out, "<td class=n data-v=\"%.9g\">%.*f</td>", value, digits, value);
    else
        fputs("<td class=n>-</td>", out);
}

static void put_speed(const struct mth_report_cell *cell, FILE *out)
{
    bool known = cell && cell->verified && cell->gib_s >= 0;
    if (known)
        fprintf(out, "<td class=n data-v=\"%.9g\" title=\"95 %% interval %.3f to %.3f\">%.3f</td>",
                cell->gib_s, cell->gib_s_lo, cell->gib_s_hi, cell->gib_s);
    else
        fputs("<td class=n>-</td>", out);
    put_number(known ? cell->pct_memcpy : 0, known && cell->pct_memcpy >= 0, 1, out);
}

static const char style[] =
    "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 "
    "1em;color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse;width:100%;font-size:13px;margin:1em 0}"
    "th,td{padding:.25em .6em;text-align:left;border-bottom:1px solid #ddd}"
    "th{border-bottom:2px solid #333;cursor:pointer;white-space:nowrap}"
    "th[aria-sort=ascending]::after{content:' \\25b2'}th[aria-sort=descending]::after{content:' \\25bc'}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}code{font:12px "
    "ui-monospace,monospace;overflow-wrap:anywhere}"
    "svg{max-width:100%;height:auto}.PASS{color:#00664a;font-weight:600}.FAIL{color:#a33a00;font-weight:600}"
    "h2{margin-top:2em}figure{margin:1em 0}figcaption{color:#444}";

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

static void begin_table(const char *const *heads, size_t n_heads, FILE *out)
{
    fputs("<table><thead><tr>", out);
    for (size_t i = 0; i < n_heads; i++)
        fprintf(out, "<th scope=col>%s</th>", heads[i]);
    fputs("</tr></thead><tbody>\n", out);
}

static void end_table(FILE *out)
{
    fputs("</tbody></table>\n", out);
}

static void put_cell(const struct mth_report *report, const struct mth_report_cell *cell, FILE *out)
{
    const struct mth_report_group *group = &report->groups[cell->group];
    const struct mth_report_cell *back = mth_report_other_phase(report, cell);
    bool verified = cell->verified;
    int64_t heap = cell->heap_peak_bytes;
    if (back && back->heap_peak_bytes > heap)
        heap = back->heap_peak_bytes;
    fputs("<tr><td><code title=\"", out);
    put_text(cell->spec_resolved, out);
    fputs("\">", out);
    put_text(cell->spec, out);
    fputs("</code></td>", out);
    put_number(cell->ratio, verified && cell->ratio > 0, 3, out);
    put_number(group->bound_ratio > 0 ? 100 * cell->ratio / group->bound_ratio : 0,
               verified && group->bound_ratio > 0, 1, out);
    put_speed(cell, out);
    put_speed(back, out);
    put_number((double)heap / (1 << 20), verified && heap > 0, 2, out);
    put_cell_text(verified && back && back->verified ? "yes" : cell->unsupported ? "unsupported" : "no", out);
    if (verified)
        put_cell_text(cell->flags ? cell->flags : "", out);
    else
        put_cell_text(cell->error, out);
    fputs("</tr>\n", out);
}

static void put_group(const struct mth_report *report, size_t g, FILE *out)
{
    static const char *const heads[] = {
        "pipeline",         "ratio",    "% of bound", "compress GiB/s", "% memcpy",
        "decompress GiB/s", "% memcpy", "heap MiB",   "verified",       "flags"};
    const struct mth_report_group *group = &report->groups[g];
    char scope[64];
    fputs("<h3>", out);
    put_text(group->dataset, out);
    fputs(" (", out);
    put_text(group->class_name, out);
    fprintf(out, "), %s, %" PRId64 " thread%s</h3>\n<p>%.2f MB",
            mth_report_scope(group->base, group->steps_apart, scope), group->threads,
            group->threads == 1 ? "" : "s", (double)group->raw_bytes / 1e6);
    if (group->bound_ratio > 0) {
        fprintf(out, "; bound %.3fx (", group->bound_ratio);
        put_text(group->bound_model, out);
        fputc(')', out);
    }
    if (group->memcpy_gib_s > 0)
        fprintf(out, "; memcpy %.2f GiB/s", group->memcpy_gib_s);
    fputs("; machine <code>", out);
    put_text(group->env_id, out);
    fputs("</code></p>\n", out);
    begin_table(heads, sizeof heads / sizeof heads[0], out);
    for (size_t i = 0; i < report->n_cells; i++) {
        if (report->cells[i].group == g && mth_report_is_compress(&report->cells[i]))
            put_cell(report, &report->cells[i], out);
    }
    end_table(out);
}

static void put_verdicts(const struct mth_report *report, FILE *out)
{
    static const char *const heads[] = {"target", "verdict",  "value",     "threshold",
                                        "scope",  "pipeline", "whole run", "reason"};
    if (report->n_verdicts == 0)
        return;
    fputs("<h2 id=verdicts>Verdicts</h2>\n<p>Each holds for its scope alone.</p>\n", out);
    begin_table(heads, sizeof heads / sizeof heads[0], out);
    for (size_t i = 0; i < report->n_verdicts; i++) {
        const struct mth_report_verdict *verdict = &report->verdicts[i];
        bool pass = strcmp(verdict->result, "PASS") == 0, fail = strcmp(verdict->result, "FAIL") == 0;
        fputs("<tr>", out);
        put_cell_text(verdict->target, out);
        fprintf(out, "<td class=\"%s\">", pass ? "PASS" : fail ? "FAIL" : "");
        put_text(verdict->result, out);
        fputs("</td>", out);
        put_number(verdict->value, true, 3, out);
        put_number(verdict->threshold, true, 1, out);
        put_cell_text(verdict->scope, out);
        put_cell_text(verdict->spec, out);
        put_number(verdict->run_ratio, verdict->run_ratio > 0, 2, out);
        put_cell_text(verdict->reason ? verdict->reason : "", out);
        fputs("</tr>\n", out);
    }
    end_table(out);
}

static void put_runs(const struct mth_report *report, FILE *out)
{
    static const char *const heads[] = {"run",       "pipeline",     "checkpoints",
                                        "raw bytes", "stored bytes", "ratio"};
    if (report->n_runs == 0)
        return;
    fputs("<h2 id=runs>Whole runs</h2>\n<p>The first checkpoint full, each other one against the one before "
          "it.</p>\n",
          out);
    begin_table(heads, sizeof heads / sizeof heads[0], out);
    for (size_t i = 0; i < report->n_runs; i++) {
        const struct mth_report_run *run = &report->runs[i];
        fputs("<tr>", out);
        put_cell_text(run->run_id, out);
        put_cell_text(run->spec, out);
        put_number((double)run->n_checkpoints, true, 0, out);
        put_number((double)run->raw_bytes, true, 0, out);
        put_number((double)run->stored_bytes, true, 0, out);
        put_number(run->ratio, run->verified && run->ratio > 0, 3, out);
        fputs("</tr>\n", out);
    }
    end_table(out);
}

static void put_provenance(const struct mth_report *report, FILE *out)
{
    static const char *const heads[] = {"machine",    "processor", "processors", "cache MiB",
                                        "memory GiB", "features",  "system",     "kernel",
                                        "mithril",    "commit",    "compiler"};
    fputs("<h2 id=provenance>Where the numbers come from</h2>\n", out);
    begin_table(heads, sizeof heads / sizeof heads[0], out);
    for (size_t i = 0; i < report->n_envs; i++) {
        const struct mth_report_env *env = &report->envs[i];
        fputs("<tr>", out);
        put_cell_text(env->env_id, out);
        put_cell_text(env->cpu_model, out);
        put_number((double)env->cpus_allowed, env->cpus_allowed > 0, 0, out);
        put_number((double)env->llc_bytes / (1 << 20), env->llc_bytes > 0, 1, out);
        put_number((double)env->memory_bytes / (1 << 30), env->memory_bytes > 0, 1, out);
        put_cell_text(env->cpu_features, out);
        put_cell_text(env->os, out);
        put_cell_text(env->kernel, out);
        put_cell_text(env->version, out);
        put_cell_text(env->commit, out);
        put_cell_text(env->compiler, out);
        fputs("</tr>\n", out);
    }
    end_table(out);
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
    for (size_t i = 0; i < n_drawings; i++) {
        fputs("<figure>", out);
        fwrite(drawings[i].svg, 1, drawings[i].n_svg, out);
        fputs("<figcaption>", out);
        put_text(drawings[i].caption, out);
        fputs("</figcaption></figure>\n", out);
    }
    fputs("<h2 id=cells>Cells</h2>\n", out);
    for (size_t g = 0; g < report->n_groups; g++)
        put_group(report, g, out);
    put_runs(report, out);
    put_verdicts(report, out);
    put_provenance(report, out);
    fputs("<script>", out);
    fputs(script, out);
    fputs("</script>\n</body></html>\n", out);
}
