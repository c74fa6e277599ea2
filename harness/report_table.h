/* A table, written cell by cell as Markdown, as HTML or as LaTeX; what a table says is in report_tables.h. */
#ifndef MTH_HARNESS_REPORT_TABLE_H
#define MTH_HARNESS_REPORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum mth_table_format { MTH_TABLE_MARKDOWN, MTH_TABLE_HTML, MTH_TABLE_LATEX };

struct mth_column {
    const char *head;
    bool number; /* to the right; an HTML page sorts by its value */
    bool wide;   /* text that a printed column has no room for: not in LaTeX */
    const char *
        over; /* columns with the same text here stand under it in LaTeX, elsewhere it comes before their heads */
};

struct mth_table {
    enum mth_table_format format;
    const struct mth_column *columns;
    size_t n_columns;
    size_t at;    /* the next cell's column */
    bool in_cell; /* something of the line stands there */
    FILE *out;
};

/* Text in which nothing is taken for markup. */
void mth_table_escape(enum mth_table_format format, const char *text, FILE *out);

void mth_table_begin(struct mth_table *table, enum mth_table_format format, const struct mth_column *columns,
                     size_t n_columns, FILE *out);
void mth_table_end(struct mth_table *table);

/* Cells, from the left; a line is over when it is full. */
void mth_table_text(struct mth_table *table, const char *text);
/* A spec; what it stands for is told where there is room. NULL: an empty cell. */
void mth_table_code(struct mth_table *table, const char *text, const char *meaning);
/* A word with a class of its own in HTML: PASS, FAIL. */
void mth_table_word(struct mth_table *table, const char *word);
/* A negative number is one that is not known. unit stands behind it, but not in LaTeX. */
void mth_table_real(struct mth_table *table, double value, int digits, const char *unit);
/* A number with its interval. */
void mth_table_interval(struct mth_table *table, double value, double lo, double hi, int digits);
/* A text in place of all cells that are left of the line. */
void mth_table_rest(struct mth_table *table, const char *text);

#endif
