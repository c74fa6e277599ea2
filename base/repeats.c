#include "base/repeats.h"

#include "base/status.h"

enum { PLACES_PER_VALUE = 16, MIN_BITS = 6 };

int mth_repeats_init(struct mth_repeats *repeats, size_t n_values, struct mth_memory *memory)
{
    unsigned bits = MIN_BITS;
    while (bits < 48 && (UINT64_C(1) << bits) / PLACES_PER_VALUE < n_values)
        bits++;
    *repeats = (struct mth_repeats){.memory = memory, .shift = 64 - bits};
    size_t n_words = (size_t)((UINT64_C(1) << bits) / 64);
    repeats->once = mth_memory_calloc(memory, n_words * 2, sizeof *repeats->once);
    if (!repeats->once)
        return MTH_ERR_NO_MEMORY;
    repeats->again = repeats->once + n_words;
    return MTH_OK;
}

void mth_repeats_free(struct mth_repeats *repeats)
{
    mth_memory_free(repeats->memory, repeats->once);
    repeats->once = NULL;
}

void mth_repeats_note(struct mth_repeats *repeats, uint64_t hash)
{
    uint64_t place = hash >> repeats->shift, bit = UINT64_C(1) << (place & 63);
    repeats->again[place >> 6] |= repeats->once[place >> 6] & bit;
    repeats->once[place >> 6] |= bit;
}

bool mth_repeats_has(const struct mth_repeats *repeats, uint64_t hash)
{
    uint64_t place = hash >> repeats->shift;
    return repeats->again[place >> 6] >> (place & 63) & 1;
}
