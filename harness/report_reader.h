/* Reading members of a row, and putting what was read in its place: what report_kinds.c does with every kind. */
#ifndef MTH_HARNESS_REPORT_READER_H
#define MTH_HARNESS_REPORT_READER_H

#include "harness/report_rows.h"

/* Members of a row by type; the first failure stays, and later calls do nothing. */
struct mth_row_reader {
    const struct mth_json_node *row;
    struct mth_error *err;
    int status;
};

/* NULL, 0, -1 and false for what is not there. */
const char *mth_reader_text(struct mth_row_reader *reader, const char *key, enum mth_json_need need);
int64_t mth_reader_integer(struct mth_row_reader *reader, const char *key);
double mth_reader_real(struct mth_row_reader *reader, const char *key);
bool mth_reader_truth(struct mth_row_reader *reader, const char *key);

/* An array of strings as one text with spaces, which the report keeps. */
char *mth_reader_words(struct mth_row_reader *reader, struct mth_report *report, const char *key);
/*
 * What a row's spec is called: that of a lossy one with its error behind it, so that no table and no figure shows one without.
 */
const char *mth_reader_spec(struct mth_row_reader *reader, struct mth_report *report, bool *lossy);

int mth_reader_no_memory(struct mth_row_reader *reader);

/* The index of the first of n that is the same as a row; n for none. */
size_t mth_reader_place(const void *array, size_t n, size_t size, const void *row,
                        bool (*is_same)(const void *a, const void *b));
/*
 * Puts a row in the place of the one that is_same, or behind all: later rows replace earlier ones, where those stand. is_same
 * is NULL for kinds whose rows do not. Without memory the reader says so.
 */
void mth_reader_put(struct mth_report *report, struct mth_row_reader *reader, size_t which,
                    void *array_pointer, size_t *n, size_t size, const void *row,
                    bool (*is_same)(const void *a, const void *b));

#endif
