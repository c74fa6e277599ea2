/* Cells as CSV (RFC 4180): one line a cell and phase. */
#include "harness/report.h"

#include <inttypes.h>
#include <string.h>

static void put_text(const char *text, FILE *out)
{
    if (!text)
        return;
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            fputc('"', out);
        fputc(*p, out);
    }
    fputc('"', out);
}

static void put_real(double value, FILE *out)
{
    if (value >= 0)
        fprintf(out, "%.9g", value);
}

void mth_report_csv(const struct mth_report *report, FILE *out)
{
    fputs("row_id,env_id,dataset,class,base,steps_apart,lr,fraction_changed,spec,spec_resolved,phase,threads,"
          "raw_bytes,"
          "stored_bytes,ratio,bound_ratio,bound_model,n_samples,median_ns,mad_ns,ci_lo_ns,ci_hi_ns,setup_ns,"
          "cpu_ns,gib_s,"
          "pct_memcpy,memcpy_gib_s,heap_peak_bytes,kernel,flags,verified,error,p95_ns,"
          "pct_roofline,pct_parallel,resident_peak_bytes,older\r\n",
          out);
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        const struct mth_report_group *group = &report->groups[cell->group];
        const char *const heads[] = {cell->row_id, group->env_id, group->dataset, group->class_name,
                                     group->base};
        const double times[] = {cell->median_ns, cell->mad_ns, cell->ci_lo_ns, cell->ci_hi_ns,
                                cell->setup_ns,  cell->cpu_ns, cell->gib_s,    cell->pct_memcpy};
        for (size_t k = 0; k < sizeof heads / sizeof heads[0]; k++) {
            put_text(heads[k], out);
            fputc(',', out);
        }
        if (group->steps_apart > 0)
            fprintf(out, "%" PRId64, group->steps_apart);
        fputc(',', out);
        put_real(group->lr, out);
        fputc(',', out);
        put_real(group->fraction_changed, out);
        fputc(',', out);
        put_text(cell->spec, out);
        fputc(',', out);
        put_text(cell->spec_resolved, out);
        fputc(',', out);
        put_text(cell->phase, out);
        fprintf(out, ",%" PRId64 ",%" PRId64 ",", group->threads, group->raw_bytes);
        if (cell->verified)
            fprintf(out, "%" PRId64, cell->stored_bytes);
        fputc(',', out);
        put_real(cell->ratio, out);
        fputc(',', out);
        put_real(group->bound_ratio, out);
        fputc(',', out);
        put_text(group->bound_model, out);
        fprintf(out, ",%" PRId64 ",", cell->n_samples);
        for (size_t k = 0; k < sizeof times / sizeof times[0]; k++) {
            put_real(times[k], out);
            fputc(',', out);
        }
        put_real(group->memcpy_gib_s, out);
        fprintf(out, ",%" PRId64 ",", cell->heap_peak_bytes);
        put_text(cell->kernel, out);
        fputc(',', out);
        put_text(cell->flags, out);
        fprintf(out, ",%s,", cell->verified ? "true" : "false");
        put_text(cell->error, out);
        const double later[] = {cell->p95_ns, cell->pct_roofline, cell->pct_parallel,
                                cell->resident_peak_bytes > 0 ? (double)cell->resident_peak_bytes : -1};
        for (size_t k = 0; k < sizeof later / sizeof later[0]; k++) {
            fputc(',', out);
            put_real(later[k], out);
        }
        fputc(',', out);
        put_text(group->older, out);
        fputs("\r\n", out);
    }
}
