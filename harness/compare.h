/*
 * `mithril compare`: two measurements of the same cells side by side. Sizes are exact: the same data under the same
 * spec and the same libraries makes the same number of bytes, and any other number is a change to be looked at. Speeds
 * are told apart from noise only where both programs ran in turn (compare_run.c). docs/compare.md has the rules.
 */
#ifndef MTH_HARNESS_COMPARE_H
#define MTH_HARNESS_COMPARE_H

#include "harness/compare_judge.h"
#include "harness/report.h"

#include <stdbool.h>
#include <stdio.h>

enum mth_size_outcome {
    MTH_SIZE_SAME,
    MTH_SIZE_TOLERATED, /* changed, within the margin that the user set */
    MTH_SIZE_CHANGED,
    MTH_SIZE_FAILED,  /* restored before, and does not now */
    MTH_SIZE_LIBRARY, /* coded by another version of a library: not compared */
    MTH_SIZE_MISSING, /* only the old measurement has it */
    MTH_SIZE_ADDED,   /* only the new one has it */
    MTH_N_SIZE_OUTCOMES
};

enum { MTH_COMPARE_COMPRESS, MTH_COMPARE_DECOMPRESS, MTH_COMPARE_PHASES };

/* What a user allows for a cell. */
struct mth_margin {
    double size_pct;     /* change of the size, either way */
    double speed_pct;    /* slow-down that is called one */
    const char *require; /* terms that the new cell must meet; NULL for none */
};

struct mth_compare_speed {
    bool known;            /* both have a median */
    double old_ns, new_ns; /* medians */
    double change_pct;     /* of the time; positive is slower */
    bool overlap;          /* the intervals of both medians meet: nothing can be said */
    bool paired;           /* shift, verdict and the times of the blocks are there */
    const double *block_ns[MTH_N_ARMS];
    struct mth_speed_shift shift;
    enum mth_speed_verdict verdict;
};

/* A pipeline on a dataset, in both measurements. */
struct mth_compare_cell {
    const struct mth_report_cell *old_cell[MTH_COMPARE_PHASES]; /* NULL where it is not there */
    const struct mth_report_cell *new_cell[MTH_COMPARE_PHASES];
    const struct mth_report_group *group; /* the new one's; the old one's where it is missing */
    enum mth_size_outcome outcome;
    char note[200]; /* why, beyond the numbers; "" for nothing */
    struct mth_margin margin;
    const char *unmet; /* the terms that the new cell does not meet; NULL when it does */
    struct mth_compare_speed speeds[MTH_COMPARE_PHASES];
};

enum mth_compare_result { MTH_COMPARE_OK, MTH_COMPARE_REGRESSED, MTH_COMPARE_INCONCLUSIVE };

struct mth_compare {
    const struct mth_report *old_rows, *new_rows;
    bool sizes_only;
    const char *require;               /* of all cells; NULL for none */
    const struct mth_margins *margins; /* NULL for none */
    struct mth_compare_cell *cells;
    size_t n_cells;
    size_t counts[MTH_N_SIZE_OUTCOMES];
    size_t n_unmet;
    /* Where both programs ran in turn. */
    bool paired;
    size_t n_blocks;
    double seconds;
    enum mth_compare_result result;
    char reason[200];
};

/* ---- compare_margins.c: the file of --margins ---- */

struct mth_margins;
/* Errors: those of reading JSON; MTH_ERR_FORMAT with the member that is wrong. */
int mth_margins_load(const char *path, struct mth_margins **margins, struct mth_error *err);
void mth_margins_free(struct mth_margins *margins);
/* What holds for a cell: of the entries that match it the last one that sets a member. margins may be NULL. */
struct mth_margin mth_margin_of(const struct mth_margins *margins, const char *dataset, const char *spec);

/* ---- compare_cells.c: pairing cells, judging sizes ---- */

/*
 * Pair the cells of old_rows and new_rows, both set, and judge sizes and requirements.
 * Errors: MTH_ERR_LIMIT when speeds are to be compared and the machines differ; MTH_ERR_USAGE for --require;
 * MTH_ERR_NO_MEMORY
 */
int mth_compare_cells(struct mth_compare *compare, struct mth_error *err);
/* The result of all that is known by now, with its reason. */
void mth_compare_conclude(struct mth_compare *compare);
void mth_compare_free(struct mth_compare *compare);
/* Errors: MTH_ERR_USAGE when it is no list of terms that compare knows. */
int mth_compare_check_require(const char *expression, struct mth_error *err);

/* ---- compare_output.c ---- */

const char *mth_compare_result_text(enum mth_compare_result result);
void mth_compare_print(const struct mth_compare *compare, FILE *out);
void mth_compare_markdown(const struct mth_compare *compare, FILE *out);
int mth_compare_json(const struct mth_compare *compare, const char *path, struct mth_error *err);

#endif
