/* Passes from file to file; see bench_files.h. */
#define _DEFAULT_SOURCE /* statfs, mkdtemp */
#include "harness/bench_files.h"

#include "harness/clock.h"
#include "harness/opened.h"
#include "harness/output.h"
#include "harness/set_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#endif

enum { PIECE_BYTES = 1 << 20 };
#define MEMORY_DIRECTORY "/dev/shm"

const char *mth_bench_files_system(const char *directory)
{
#if defined(__linux__)
    enum { TMPFS_MAGIC_NUMBER = 0x01021994 }; /* man 2 statfs */
    struct statfs st;
    if (statfs(directory, &st) == 0 && st.f_type == TMPFS_MAGIC_NUMBER)
        return "tmpfs";
#endif
    (void)directory;
    return "other";
}

int mth_bench_files_where(const char *asked, const char **directory, struct mth_error *err)
{
    struct stat st;
    bool in_memory = strcmp(asked, "tmpfs") == 0;
    *directory = in_memory ? MEMORY_DIRECTORY : asked;
    if (stat(*directory, &st) != 0 || !S_ISDIR(st.st_mode))
        return mth_error_set(err, MTH_ERR_USAGE, "--files %s: %s is no directory", asked, *directory);
    if (in_memory && strcmp(mth_bench_files_system(*directory), "tmpfs") != 0)
        return mth_error_set(err, MTH_ERR_USAGE, "--files tmpfs: %s is no tmpfs here; name a directory",
                             *directory);
    return MTH_OK;
}

static char *join(const char *directory, const char *name)
{
    size_t n = strlen(directory) + strlen(name) + 2;
    char *path = malloc(n);
    if (path)
        snprintf(path, n, "%s/%s", directory, name);
    return path;
}

/* The name at the end of a path: the ending of a file may tell how it is read. */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_set(const char *path)
{
    struct mth_set_plan plan;
    struct mth_error err;
    if (mth_set_plan_find(path, &plan, &err))
        return true;
    bool found = plan.kind != MTH_SET_NONE;
    mth_set_plan_free(&plan);
    return found;
}

int mth_bench_files_open(struct mth_bench_files *files, const struct mth_bench *bench,
                         struct mth_bench_case *at, struct mth_bytes input,
                         const struct mth_bytes bases[MTH_RING_BASES], struct mth_error *err)
{
    const char *const base_paths[MTH_RING_BASES] = {at->base_path, at->older_path};
    static const char *const prefixes[MTH_RING_BASES] = {"base", "older"};
    size_t n_bases = mth_bench_n_bases(at);
    bool of_several = at->as_whole || is_set(at->path), has_names = true;
    *files = (struct mth_bench_files){.at = at,
                                      .config = {.n_threads = at->n_threads,
                                                 .chunk_bytes = bench->config.chunk_bytes,
                                                 .lossy = bench->config.lossy}};
    for (size_t k = 0; k < n_bases; k++)
        of_several |= is_set(base_paths[k]);
    if (of_several)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED,
                             "%s: --files measures checkpoints of one file, and this is of several",
                             at->path);
    char *pattern = join(bench->config.files_directory, "mithril-bench.XXXXXX");
    if (!pattern || !mkdtemp(pattern)) {
        free(pattern);
        return mth_error_set(err, MTH_ERR_IO, "%s: cannot make a directory there: %s",
                             bench->config.files_directory, strerror(errno));
    }
    files->directory = pattern;
    char name[256];
    snprintf(name, sizeof name, "input-%.200s", name_of(at->path));
    files->input = join(pattern, name);
    for (size_t k = 0; k < n_bases; k++) {
        snprintf(name, sizeof name, "%s-%.200s", prefixes[k], name_of(base_paths[k]));
        files->bases[k] = join(pattern, name);
        has_names &= files->bases[k] != NULL;
    }
    files->container = join(pattern, "container" MTH_CONTAINER_SUFFIX);
    files->restored = join(pattern, "restored");
    if (!has_names || !files->input || !files->container || !files->restored)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the names of files");
    at->file_copy.samples_ns = calloc(bench->config.rounds, sizeof(double));
    if (!at->file_copy.samples_ns)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to measure files");
    int status = mth_file_write_all(files->input, input, err);
    for (size_t k = 0; !status && k < n_bases; k++)
        status = mth_file_write_all(files->bases[k], bases[k], err);
    return status;
}

void mth_bench_files_close(struct mth_bench_files *files)
{
    char *const paths[] = {files->input, files->bases[0], files->bases[1], files->container, files->restored};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (paths[i])
            unlink(paths[i]);
        free(paths[i]);
    }
    if (files->directory)
        rmdir(files->directory);
    free(files->directory);
    *files = (struct mth_bench_files){0};
}

/* The bases opened and mapped, as a command does; the older one behind the base. */
static int open_bases(const struct mth_bench_files *files, size_t n_bases, struct mth_memory *memory,
                      struct mth_opened bases[MTH_RING_BASES], struct mth_error *err)
{
    int status = MTH_OK;
    for (size_t k = 0; !status && k < n_bases; k++) {
        status = mth_opened_open(&bases[k], files->bases[k], files->config.n_threads, memory, err);
        if (!status)
            status = mth_opened_map(&bases[k], files->at->raw_dtype, err);
    }
    if (!status && n_bases > 1)
        bases[0].base.older = &bases[1].base;
    return status;
}

static int compress(struct mth_bench_files *files, const struct mth_pipeline *pipeline,
                    const struct mth_stream_config *config, const struct mth_stream_base *base,
                    struct mth_sink *sink, struct mth_file_attributes *attributes, struct mth_error *err)
{
    struct mth_opened input = {0};
    int status = mth_opened_open_file(&input, files->input, config->memory, err);
    if (!status)
        status = mth_opened_map(&input, files->at->raw_dtype, err);
    if (!status) {
        *attributes = mth_opened_attributes(&input);
        status = mth_compress(pipeline, &input.source, &input.map, base, attributes, sink, config, NULL, err);
    }
    mth_opened_close(&input);
    return status;
}

static int decompress(struct mth_bench_files *files, const struct mth_stream_config *config,
                      const struct mth_stream_base *base, struct mth_sink *sink,
                      struct mth_file_attributes *attributes, struct mth_error *err)
{
    struct mth_opened container = {0};
    struct mth_container_stats stats;
    struct mth_input input;
    int status = mth_opened_open_file(&container, files->container, config->memory, err);
    if (!status) {
        mth_input_source(&container.file, &input);
        status = mth_decompress(&input, base, sink, config, &stats, err);
    }
    if (!status)
        *attributes = stats.attributes;
    mth_opened_close(&container);
    return status;
}

/* From opening the first file to the name of the new one. */
static int make_file(struct mth_bench_files *files, const struct mth_bench_cell *cell,
                     enum mth_file_pass pass, struct mth_memory *memory, struct mth_error *err)
{
    struct mth_stream_config config = files->config;
    struct mth_file_attributes attributes = {0};
    struct mth_opened bases[MTH_RING_BASES] = {{0}};
    struct mth_output output = {0};
    bool decode = pass == MTH_FILE_DECOMPRESS;
    config.memory = memory;
    config.verify = pass == MTH_FILE_COMPRESS_VERIFIED;
    size_t n_bases = decode ? cell->stats.n_bases : mth_bench_n_bases(files->at);
    int status = open_bases(files, n_bases, memory, bases, err);
    const struct mth_stream_base *against = n_bases ? &bases[0].base : NULL;
    if (!status)
        status = mth_output_open(decode ? files->restored : files->container, &output, err);
    if (!status) {
        status = decode ? decompress(files, &config, against, &output.sink, &attributes, err)
                        : compress(files, cell->pipeline, &config, against, &output.sink, &attributes, err);
        status = mth_output_close(&output, status, &attributes, err);
    }
    for (size_t k = 0; k < MTH_RING_BASES; k++)
        mth_opened_close(&bases[k]);
    return status;
}

/* Is the restored file the checkpoint? */
static int check(const struct mth_bench_files *files, const struct mth_digest *wanted, struct mth_error *err)
{
    struct mth_source source;
    struct mth_hash_stream *stream = mth_hash_stream_create();
    uint8_t *piece = malloc(PIECE_BYTES);
    int status = mth_source_open(files->restored, &source, err);
    if (!status && (!stream || !piece))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to check what was restored");
    for (uint64_t at = 0; !status && at < source.n_bytes;) {
        size_t n = source.n_bytes - at < PIECE_BYTES ? (size_t)(source.n_bytes - at) : PIECE_BYTES;
        status = mth_source_read(&source, at, piece, n, err);
        if (!status)
            mth_hash_stream_update(stream, piece, n);
        at += n;
    }
    if (!status) {
        struct mth_digest digest = mth_hash_stream_digest(stream);
        if (!mth_digest_equal(&digest, wanted))
            status =
                mth_error_set(err, MTH_ERR_CHECKSUM, "what was restored file to file is not the original");
    }
    mth_source_close(&source);
    free(piece);
    if (stream)
        mth_hash_stream_destroy(stream);
    return status;
}

enum { COPY_PIECE_BYTES = 256 << 10 }; /* as large as a chunk */

struct copying {
    const struct mth_source *source;
    struct mth_file_writer *writer;
    size_t n_threads;
    uint8_t *pieces; /* one for each thread */
    struct mth_error *errors;
};

static void copy_pieces(void *arg, size_t worker)
{
    struct copying *copying = arg;
    const struct mth_source *source = copying->source;
    struct mth_error *err = &copying->errors[worker];
    uint8_t *piece = copying->pieces + worker * COPY_PIECE_BYTES;
    int status = MTH_OK;
    for (uint64_t at = worker * (uint64_t)COPY_PIECE_BYTES; !status && at < source->n_bytes;
         at += copying->n_threads * (uint64_t)COPY_PIECE_BYTES) {
        uint64_t left = source->n_bytes - at;
        size_t n = left < COPY_PIECE_BYTES ? (size_t)left : COPY_PIECE_BYTES;
        status = mth_source_read(source, at, piece, n, err);
        if (!status)
            status = mth_file_writer_write_at(copying->writer, at, piece, n, err);
    }
}

static int copy_input(struct mth_bench_files *files, struct mth_pool *pool, struct copying *copying,
                      struct mth_error *err)
{
    struct mth_source source;
    int status = mth_source_open(files->input, &source, err);
    if (status)
        return status;
    copying->source = &source;
    status = mth_file_writer_open(files->restored, &copying->writer, err);
    if (!status) {
        mth_pool_run(pool, copy_pieces, copying);
        for (size_t i = 0; !status && i < copying->n_threads; i++)
            if ((status = copying->errors[i].status) != MTH_OK)
                *err = copying->errors[i];
        if (status)
            mth_file_writer_abort(copying->writer);
        else
            status = mth_file_writer_commit(copying->writer, err);
    }
    mth_source_close(&source);
    return status;
}

int mth_bench_files_copy(struct mth_bench_files *files, struct mth_bench_case *at, struct mth_pool *pool,
                         struct mth_ring *ring, struct mth_error *err)
{
    struct mth_phase_result *result = &at->file_copy;
    size_t n_threads = mth_pool_threads(pool);
    struct copying copying = {.n_threads = n_threads,
                              .pieces = malloc(n_threads * COPY_PIECE_BYTES),
                              .errors = calloc(n_threads, sizeof *copying.errors)};
    int status = MTH_ERR_NO_MEMORY;
    if (copying.pieces && copying.errors) {
        memset(copying.pieces, 0, n_threads * COPY_PIECE_BYTES);
        unlink(files->restored);
        mth_ring_sweep(ring);
        uint64_t begin_ns = mth_clock_ns();
        status = copy_input(files, pool, &copying, err);
        result->samples_ns[result->n_samples++] = (double)(mth_clock_ns() - begin_ns);
        result->copies = 1;
    }
    free(copying.pieces);
    free(copying.errors);
    return status == MTH_ERR_NO_MEMORY ? mth_error_set(err, status, "no memory to copy a file") : status;
}

enum mth_phase mth_file_pass_phase(enum mth_file_pass pass)
{
    return pass == MTH_FILE_DECOMPRESS ? MTH_PHASE_DECOMPRESS : MTH_PHASE_COMPRESS;
}

/* One pass and what it took. The container that is decompressed is the one that was made last. */
static int sample(struct mth_bench_files *files, struct mth_bench_cell *cell, enum mth_file_pass pass,
                  struct mth_error *err)
{
    struct mth_file_result *result = &cell->files[pass];
    const char *made = pass == MTH_FILE_DECOMPRESS ? files->restored : files->container;
    struct mth_memory *memory = mth_memory_create(0);
    struct stat st;
    if (!memory)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to measure files");
    /* What a command writes is not there before; freeing an old file's pages is no part of it. */
    unlink(made);
    uint64_t cpu_ns = mth_clock_cpu_ns(), begin_ns = mth_clock_ns();
    int status = make_file(files, cell, pass, memory, err);
    uint64_t wall_ns = mth_clock_ns() - begin_ns;
    cpu_ns = mth_clock_cpu_ns() - cpu_ns;
    if (mth_memory_peak(memory) > result->heap_peak_bytes)
        result->heap_peak_bytes = mth_memory_peak(memory);
    mth_memory_destroy(memory);
    if (status)
        return status;
    if (pass != MTH_FILE_DECOMPRESS && (stat(made, &st) != 0 || (uint64_t)st.st_size != cell->stored_bytes))
        result->flags |= MTH_CELL_NONDETERMINISTIC;
    result->samples_ns[result->n_samples] = (double)wall_ns;
    result->copy_ns[result->n_samples] = files->at->file_copy.samples_ns[files->at->file_copy.n_samples - 1];
    result->cpu_samples[result->n_samples++] = (double)cpu_ns;
    cell->spent_ns += (double)wall_ns;
    if (wall_ns < 1000000)
        result->flags |= MTH_CELL_SHORT_SAMPLE;
    return MTH_OK;
}

int mth_bench_files_prepare(const struct mth_bench *bench, struct mth_bench_cell *cell)
{
    for (size_t p = 0; p < MTH_N_FILE_PASSES; p++) {
        struct mth_file_result *result = &cell->files[p];
        result->samples_ns = calloc(bench->config.rounds, sizeof(double));
        result->cpu_samples = calloc(bench->config.rounds, sizeof(double));
        result->copy_ns = calloc(bench->config.rounds, sizeof(double));
        if (!result->samples_ns || !result->cpu_samples || !result->copy_ns)
            return MTH_ERR_NO_MEMORY;
    }
    return MTH_OK;
}

int mth_bench_files_sample(struct mth_bench_files *files, struct mth_bench_cell *cell, struct mth_ring *ring,
                           const struct mth_digest *digest, uint64_t *random, struct mth_error *err)
{
    /* Decompressing comes behind both: it reads what the one of them made that came last. */
    bool verified_first = mth_random_next(random) & 1;
    const enum mth_file_pass order[MTH_N_FILE_PASSES] = {
        verified_first ? MTH_FILE_COMPRESS_VERIFIED : MTH_FILE_COMPRESS,
        verified_first ? MTH_FILE_COMPRESS : MTH_FILE_COMPRESS_VERIFIED, MTH_FILE_DECOMPRESS};
    int status = MTH_OK;
    for (size_t i = 0; !status && i < MTH_N_FILE_PASSES; i++) {
        mth_ring_sweep(ring);
        status = sample(files, cell, order[i], err);
    }
    return status ? status : check(files, digest, err);
}

void mth_bench_files_finish(const struct mth_bench *bench, struct mth_bench_cell *cell)
{
    for (size_t p = 0; p < MTH_N_FILE_PASSES; p++) {
        struct mth_file_result *result = &cell->files[p];
        const double *memory_ns = cell->phases[mth_file_pass_phase((enum mth_file_pass)p)].samples_ns;
        size_t n = result->n_samples;
        if (!cell->verified || n == 0)
            continue;
        mth_summarise(result->samples_ns, n, bench->config.seed, &result->time);
        result->cpu_ns = mth_median(result->cpu_samples, n);
        double *share = result->cpu_samples; /* not needed any more */
        for (size_t i = 0; i < n; i++)
            share[i] = 100 * memory_ns[i] / result->samples_ns[i];
        mth_summarise(share, n, bench->config.seed, &result->pct_memory);
        for (size_t i = 0; i < n; i++)
            share[i] = 100 * result->copy_ns[i] / result->samples_ns[i];
        result->pct_copy = mth_median(share, n);
        if (n < 5)
            result->flags |= MTH_CELL_FEW_SAMPLES;
        if (result->time.ci_hi > 1.05 * result->time.median ||
            result->time.ci_lo < 0.95 * result->time.median)
            result->flags |= MTH_CELL_SPREAD;
    }
}
