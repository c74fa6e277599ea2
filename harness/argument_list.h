/* A list of arguments for a program, that grows. */
#ifndef MTH_HARNESS_ARGUMENT_LIST_H
#define MTH_HARNESS_ARGUMENT_LIST_H

#include <stddef.h>

struct mth_arguments {
    char **items; /* NULL-terminated */
    size_t n_items;
    size_t capacity;
};

/* Puts a copy of text behind the others. Errors: MTH_ERR_NO_MEMORY. */
int mth_arguments_add(struct mth_arguments *list, const char *text);
void mth_arguments_free(struct mth_arguments *list);

#endif
