/* A list of arguments; see argument_list.h. */
#include "harness/argument_list.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

int mth_arguments_add(struct mth_arguments *list, const char *text)
{
    if (list->n_items + 1 >= list->capacity) {
        size_t capacity = 2 * list->capacity + 32;
        char **grown = realloc(list->items, capacity * sizeof *grown);
        if (!grown)
            return MTH_ERR_NO_MEMORY;
        list->items = grown;
        list->capacity = capacity;
    }
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    if (!copy)
        return MTH_ERR_NO_MEMORY;
    memcpy(copy, text, n);
    list->items[list->n_items++] = copy;
    list->items[list->n_items] = NULL;
    return MTH_OK;
}

void mth_arguments_free(struct mth_arguments *list)
{
    for (size_t i = 0; i < list->n_items; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct mth_arguments){0};
}
