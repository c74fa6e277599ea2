/* What the tables of a report say, the same in each language. */
#ifndef MTH_HARNESS_REPORT_TABLES_H
#define MTH_HARNESS_REPORT_TABLES_H

#include "harness/report.h"
#include "harness/report_table.h"

/* A table of a group's cells: index is of report->groups. has: is there a line to put into it? */
struct mth_report_table {
    const char *title; /* what it is called beside others of the group; NULL: it is the first */
    const char *note;  /* how to read it */
    bool (*has)(const struct mth_report *report, size_t index);
    void (*put)(const struct mth_report *report, size_t index, enum mth_table_format format, FILE *out);
};

/* Ratios and speeds; rooflines, threads and memory; single tensors. */
enum { MTH_REPORT_TABLES = 3 };
extern const struct mth_report_table mth_report_tables[MTH_REPORT_TABLES];

/* Tables of all rows; each expects that there are some. */
void mth_report_put_runs(const struct mth_report *report, enum mth_table_format format, FILE *out);
void mth_report_put_verdicts(const struct mth_report *report, enum mth_table_format format, FILE *out);
void mth_report_put_files(const struct mth_report *report, enum mth_table_format format, FILE *out);
void mth_report_put_machines(const struct mth_report *report, enum mth_table_format format, FILE *out);
/* report_explore.c: explorations, their fronts in full, and the fronts of their classes on samples. */
void mth_report_put_explorations(const struct mth_report *report, enum mth_table_format format, FILE *out);
void mth_report_put_explored_fronts(const struct mth_report *report, enum mth_table_format format, FILE *out);
void mth_report_put_explored_classes(const struct mth_report *report, enum mth_table_format format,
                                     FILE *out);

/* "; memcpy 5.00 GiB/s, reads 6.00, writes 7.00": what memory can do beside a group. */
void mth_report_put_memory(const struct mth_report_group *group, FILE *out);

#endif
