/* The distinct values of a block, up to 256 of them, and which of them an element is. */
#ifndef MTH_TRANSFORMS_VALUE_SET_H
#define MTH_TRANSFORMS_VALUE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_VALUE_SET_MAX = 256, MTH_VALUE_SET_SLOTS = 1024 };

struct mth_value_set {
    uint64_t value[MTH_VALUE_SET_MAX];  /* in the order of their first; ascending once they are ranked */
    uint8_t rank[MTH_VALUE_SET_MAX];    /* by that order */
    uint16_t slot[MTH_VALUE_SET_SLOTS]; /* 0: free, else the number of a value and 1 */
    uint64_t key[MTH_VALUE_SET_SLOTS];
    size_t n;
};

void mth_value_set_clear(struct mth_value_set *set);
/* False when it would be the 257th. */
bool mth_value_set_add(struct mth_value_set *set, uint64_t value);
/* Sorts the values. Nothing may be added any more. */
void mth_value_set_rank(struct mth_value_set *set);
/* The rank of a value that was added. */
uint8_t mth_value_set_find(const struct mth_value_set *set, uint64_t value);

#endif
