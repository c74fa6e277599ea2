/* A pool of threads that run one function side by side. */
#ifndef MTH_BASE_POOL_H
#define MTH_BASE_POOL_H

#include <stddef.h>

struct mth_pool;

/*
 * A pool of n_threads, the caller's own included: n_threads 1 starts none. At most 4096.
 * Errors: MTH_ERR_NO_MEMORY, MTH_ERR_USAGE for 0 or too many.
 */
int mth_pool_create(size_t n_threads, struct mth_pool **pool);
void mth_pool_destroy(struct mth_pool *pool);

size_t mth_pool_threads(const struct mth_pool *pool);

/* Runs work(arg, worker) once for each worker 0 .. n_threads-1, worker 0 on the calling thread; returns when
 * all have. */
void mth_pool_run(struct mth_pool *pool, void (*work)(void *arg, size_t worker), void *arg);

/* Processors this process may run on, at least 1. */
size_t mth_pool_processors(void);

#endif
