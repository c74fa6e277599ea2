/* Reading rows: what report_rows.c and report_kinds.c share. */
#ifndef MTH_HARNESS_REPORT_ROWS_H
#define MTH_HARNESS_REPORT_ROWS_H

#include "harness/report.h"

/* The arrays of a report that grow. */
enum {
    MTH_REPORT_ENVS,
    MTH_REPORT_GROUPS,
    MTH_REPORT_CELLS,
    MTH_REPORT_VERDICTS,
    MTH_REPORT_RUNS,
    MTH_REPORT_E2E,
    MTH_REPORT_PARTS,
    MTH_REPORT_CHAINS,
    MTH_REPORT_LATENCIES,
    MTH_REPORT_SHARDS,
    MTH_REPORT_EXPLORATIONS,
    MTH_REPORT_DOCUMENTS,
    MTH_REPORT_TEXTS
};

/* One more thing behind n of an array; the new one is zeroed. NULL without memory. */
void *mth_report_grow(struct mth_report *report, size_t which, void *array_pointer, size_t *n, size_t size);

/*
 * Take a row in, by its kind; one that is not known is passed over. Strings are borrowed from it. Errors: MTH_ERR_FORMAT,
 * MTH_ERR_UNSUPPORTED (a newer schema), MTH_ERR_NO_MEMORY
 */
int mth_report_take_row(struct mth_report *report, const struct mth_json_node *row, struct mth_error *err);

#endif
