/*
 * Allocation with byte accounting.
 *
 * A struct mth_memory is an account: every allocation made through it is counted, so that a cell of a
 * benchmark knows its peak, and may be refused when it would pass the limit. Safe to use from several
 * threads.
 */
#ifndef MTH_BASE_MEMORY_H
#define MTH_BASE_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mth_memory;

/* A new account; limit_bytes 0 means none. NULL when the system has no memory. */
struct mth_memory *mth_memory_create(size_t limit_bytes);
/* Ends an account. Everything allocated through it must have been freed. NULL is fine. */
void mth_memory_destroy(struct mth_memory *memory);

/* n_bytes aligned to 64, not initialised; NULL when refused. n_bytes 0 gives a unique pointer. */
void *mth_memory_alloc(struct mth_memory *memory, size_t n_bytes);
/* As above for n things of size bytes each, overflow-checked, filled with zeros. */
void *mth_memory_calloc(struct mth_memory *memory, size_t n, size_t size);
/* Grows or shrinks; the old block stays valid when NULL comes back. */
void *mth_memory_realloc(struct mth_memory *memory, void *block, size_t n_bytes);
void mth_memory_free(struct mth_memory *memory, void *block);

/* The most that it may hold, SIZE_MAX without a limit. */
size_t mth_memory_limit(const struct mth_memory *memory);
/*
 * Count memory that others take, so that a limit covers it too; take it back before the account ends.
 * 0 when that would pass the limit, and nothing is counted.
 */
int mth_memory_charge(struct mth_memory *memory, size_t n_bytes);
void mth_memory_discharge(struct mth_memory *memory, size_t n_bytes);

/* Bytes now allocated; the most there were since the account began or since the last reset. */
size_t mth_memory_current(const struct mth_memory *memory);
size_t mth_memory_peak(const struct mth_memory *memory);
/* Sets the peak to what is allocated now. */
void mth_memory_reset_peak(struct mth_memory *memory);

#ifdef __cplusplus
}
#endif
#endif
