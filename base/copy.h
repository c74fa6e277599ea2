/* Copies of what is not read again soon. */
#ifndef MTH_BASE_COPY_H
#define MTH_BASE_COPY_H

#include <stddef.h>

/*
 * As memcpy, for what is put where it belongs and left there: past the caches, where the processor can. A store that goes through them reads its
 * line from memory first, only to overwrite it, and drives out what is worked on.
 *
 * Requires  no overlap; any alignment
 * Cost      what is shorter than MTH_COPY_AWAY_BYTES is copied as any other bytes
 */
void mth_copy_away(void *restrict dst, const void *restrict src, size_t n_bytes);

enum { MTH_COPY_AWAY_BYTES = 1 << 16 };

#endif
