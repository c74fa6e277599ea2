/* Long copies to memory and from it, where both know what a cache does not. */
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

/*
 * The same of whole lines, for who makes what is copied a piece at a time; mth_copy_lines_end stands before what tells another thread of
 * them.
 *
 * Requires  dst at the beginning of a line
 */
enum { MTH_LINE_BYTES = 64 };
void mth_copy_lines_away(void *restrict dst, const void *restrict src, size_t n_lines);
void mth_copy_lines_end(void);

/*
 * As memcpy, of what comes from memory to where it is worked on: asked for 4 KiB in front, into the second-level cache. One core of an Emerald Rapids
 * copies 12 GiB/s so, instead of 10.
 */
void mth_copy_near(void *restrict dst, const void *restrict src, size_t n_bytes);

enum { MTH_COPY_AWAY_BYTES = 1 << 16 };

#endif
