/* Rows of results, read back by tests. */
#ifndef MTH_TESTS_ROWS_H
#define MTH_TESTS_ROWS_H

#include "harness/json.h"

typedef void rows_check(const struct mth_json_node *row, void *arg);

/* Calls check for every line of a file of rows, all of which must be JSON. */
void rows_each(const char *rows, rows_check *check, void *arg);
/* A row's string, "" when it is null. */
const char *rows_text(const struct mth_json_node *row, const char *key);
/* A row's number, which must be there. */
double rows_number(const struct mth_json_node *row, const char *key);
/* Items of a row's array, which must be there. */
size_t rows_count(const struct mth_json_node *row, const char *key);

#endif
