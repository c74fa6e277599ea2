/* A pool of threads; see pool.h. */
#define _GNU_SOURCE /* sched_getaffinity, on Linux alone */
#include "base/pool.h"

#include "base/status.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { MTH_POOL_MAX_THREADS = 4096 };

struct worker {
    struct mth_pool *pool;
    size_t index;
    pthread_t thread;
};

struct mth_pool {
    pthread_mutex_t lock;
    pthread_cond_t begin;
    pthread_cond_t done;
    void (*work)(void *arg, size_t worker);
    void *arg;
    size_t generation; /* counts the runs, so that a worker never takes the same one twice */
    size_t n_busy;
    size_t n_threads;
    bool stopping;
    struct worker workers[]; /* worker 0 is the caller and has no thread */
};

static void *worker_main(void *arg)
{
    struct worker *self = arg;
    struct mth_pool *pool = self->pool;
    size_t seen = 0;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->generation == seen && !pool->stopping)
            pthread_cond_wait(&pool->begin, &pool->lock);
        if (pool->stopping)
            break;
        seen = pool->generation;
        pthread_mutex_unlock(&pool->lock);
        pool->work(pool->arg, self->index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->n_busy == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int mth_pool_create(size_t n_threads, struct mth_pool **out)
{
    if (n_threads == 0 || n_threads > MTH_POOL_MAX_THREADS)
        return MTH_ERR_USAGE;
    struct mth_pool *pool = calloc(1, sizeof *pool + n_threads * sizeof pool->workers[0]);
    if (!pool)
        return MTH_ERR_NO_MEMORY;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begin, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (pool->n_threads = 1; pool->n_threads < n_threads; pool->n_threads++) {
        struct worker *worker = &pool->workers[pool->n_threads];
        worker->pool = pool;
        worker->index = pool->n_threads;
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            mth_pool_destroy(pool);
            return MTH_ERR_NO_MEMORY;
        }
    }
    *out = pool;
    return MTH_OK;
}

void mth_pool_destroy(struct mth_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 1; i < pool->n_threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->begin);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

size_t mth_pool_threads(const struct mth_pool *pool)
{
    return pool->n_threads;
}

void mth_pool_run(struct mth_pool *pool, void (*work)(void *arg, size_t worker), void *arg)
{
    if (pool->n_threads > 1) {
        pthread_mutex_lock(&pool->lock);
        pool->work = work;
        pool->arg = arg;
        pool->n_busy = pool->n_threads - 1;
        pool->generation++;
        pthread_cond_broadcast(&pool->begin);
        pthread_mutex_unlock(&pool->lock);
    }
    work(arg, 0);
    if (pool->n_threads > 1) {
        pthread_mutex_lock(&pool->lock);
        while (pool->n_busy > 0)
            pthread_cond_wait(&pool->done, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
}

size_t mth_pool_processors(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (size_t)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}
