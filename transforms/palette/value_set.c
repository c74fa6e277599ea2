/* The distinct values of a block; see value_set.h. */
#include "transforms/palette/value_set.h"

#include <string.h>

void mth_value_set_clear(struct mth_value_set *set)
{
    memset(set->slot, 0, sizeof set->slot);
    set->n = 0;
}

/* The slot of a value, or the free one where it would go; there always is one. */
static size_t slot_of(const struct mth_value_set *set, uint64_t value)
{
    /* The upper bits of a product with 2^64 over the golden ratio: Knuth's multiplicative hash. */
    size_t at = (size_t)(value * 0x9e3779b97f4a7c15u >> 54);
    while (set->slot[at] && set->key[at] != value)
        at = (at + 1) % MTH_VALUE_SET_SLOTS;
    return at;
}

bool mth_value_set_add(struct mth_value_set *set, uint64_t value)
{
    size_t at = slot_of(set, value);
    if (set->slot[at])
        return true;
    if (set->n == MTH_VALUE_SET_MAX)
        return false;
    set->key[at] = value;
    set->value[set->n++] = value;
    set->slot[at] = (uint16_t)set->n;
    return true;
}

/* Shell's sort with the gaps of M. Ciura, "Best increments for the average case of Shellsort", 2001. */
static void sort(uint64_t *values, size_t n)
{
    static const size_t gaps[] = {132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        for (size_t i = gaps[g]; i < n; i++) {
            uint64_t value = values[i];
            size_t at = i;
            for (; at >= gaps[g] && values[at - gaps[g]] > value; at -= gaps[g])
                values[at] = values[at - gaps[g]];
            values[at] = value;
        }
    }
}

void mth_value_set_rank(struct mth_value_set *set)
{
    uint64_t sorted[MTH_VALUE_SET_MAX];
    memcpy(sorted, set->value, set->n * sizeof *sorted);
    sort(sorted, set->n);
    for (size_t i = 0; i < set->n; i++)
        set->rank[set->slot[slot_of(set, sorted[i])] - 1u] = (uint8_t)i;
    memcpy(set->value, sorted, set->n * sizeof *sorted);
}

uint8_t mth_value_set_find(const struct mth_value_set *set, uint64_t value)
{
    return set->rank[set->slot[slot_of(set, value)] - 1u];
}
