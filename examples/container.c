/*
 * A checkpoint file into a container, with a callback that shows how far it is and can stop it; then one tensor of it, and
 * one row of that, into buffers of the caller's: only what covers them is read and decoded.
 *
 * Run without arguments it makes a small checkpoint for itself, and also shows that a run that was stopped leaves nothing.
 *
 * Build     cc container.c $(pkg-config --cflags --libs mithril)
 * Usage     container [CHECKPOINT TENSOR]
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* mkstemp, sigaction */
#endif
#include <mithril.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* What the callback is told through its argument. */
struct watch {
    unsigned stop_at; /* percent at which it stops; above 100: never */
    unsigned percent; /* last seen */
};

/* Called by one thread at a time, after each bundle; anything but 0 stops the run with MTH_ERR_CANCELLED. */
static int watch(void *arg, uint64_t n_done, uint64_t n_total)
{
    struct watch *seen = arg;
    seen->percent = n_total ? (unsigned)(n_done * 100 / n_total) : 100;
    return interrupted || seen->percent >= seen->stop_at;
}

/* A checkpoint on disk: its bytes at offsets, and the map of its tensors. */
struct checkpoint {
    struct mth_source source;
    struct mth_region_map map;
};

static int open_checkpoint(const char *path, struct mth_memory *memory, struct checkpoint *checkpoint,
                           struct mth_error *err)
{
    struct mth_format_options any = {.raw_dtype = MTH_N_DTYPES};
    int status = mth_source_open(path, &checkpoint->source, err);
    if (status)
        return status;
    status = mth_format_map(&checkpoint->source, &any, memory, &checkpoint->map, err);
    if (status)
        mth_source_close(&checkpoint->source);
    return status;
}

static void close_checkpoint(struct checkpoint *checkpoint)
{
    mth_region_map_free(&checkpoint->map);
    mth_source_close(&checkpoint->source);
}

/* Compresses into a file that is there whole or not at all. */
static int compress(const struct checkpoint *checkpoint, const char *packed, struct watch *seen,
                    struct mth_memory *memory, struct mth_error *err)
{
    struct mth_stream_config config = {.n_threads = 2,
                                       .chunk_bytes = 64 << 10,
                                       .memory = memory,
                                       .verify = true,
                                       .progress = watch,
                                       .progress_arg = seen};
    struct mth_container_stats stats;
    struct mth_pipeline *pipeline;
    struct mth_file_writer *writer;
    struct mth_sink sink;
    int status = mth_pipeline_parse("balanced", false, &pipeline, err);
    if (status)
        return status;
    status = mth_file_writer_open(packed, &writer, err);
    if (!status) {
        mth_sink_writer(packed, writer, &sink);
        status = mth_compress(pipeline, &checkpoint->source, &checkpoint->map, NULL, NULL, &sink, &config,
                              &stats, err);
        if (status)
            mth_file_writer_abort(writer);
        else
            status = mth_file_writer_commit(writer, err);
    }
    mth_pipeline_destroy(pipeline);
    if (!status)
        printf("%llu bytes became %llu\n", (unsigned long long)stats.raw_bytes,
               (unsigned long long)stats.stored_bytes);
    return status;
}

/* A tensor's elements in a buffer of the caller's, and its second row in the middle of another. */
static int read_tensor(const struct mth_source *original, const struct mth_region_map *map, const char *name,
                       struct mth_error *err)
{
    const struct mth_tensor *tensor = mth_region_map_find(map, name);
    if (!tensor)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "there is no tensor '%s'", name);
    size_t n_bytes = (size_t)mth_tensor_bytes(tensor);
    uint64_t n_rows = tensor->n_dims ? mth_tensor_shape(map, tensor)[0] : 1;
    uint64_t n_row = n_rows ? tensor->n_elems / n_rows : 0;
    size_t n_row_bytes = n_rows ? n_bytes / (size_t)n_rows : 0;
    uint8_t *all = malloc(n_bytes + 1), *row = malloc(n_row_bytes + 1);
    int status = all && row ? mth_tensor_read(original, map, tensor, 0, tensor->n_elems, all, err)
                            : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a tensor");
    if (!status)
        printf("%s: %s, %zu bytes\n", name, mth_dtype_info((enum mth_dtype)tensor->dtype)->name, n_bytes);
    if (!status && n_rows > 1) {
        status = mth_tensor_read(original, map, tensor, n_row, n_row, row, err);
        if (!status && memcmp(row, all + n_row_bytes, n_row_bytes) != 0)
            status = mth_error_set(err, MTH_ERR_INTERNAL, "row 1 is another than in the whole");
        if (!status)
            printf("row 1: %zu bytes, the same as in the whole\n", n_row_bytes);
    }
    free(all);
    free(row);
    return status;
}

/* Opens a container as the file it was made of. */
static int read_packed(const char *packed, const char *name, struct mth_memory *memory, struct mth_error *err)
{
    struct mth_stream_config config = {.n_threads = 1, .memory = memory};
    struct mth_format_options any = {.raw_dtype = MTH_N_DTYPES};
    struct mth_container *container = NULL;
    struct mth_source file, original;
    struct mth_region_map map;
    int status = mth_source_open(packed, &file, err);
    if (status)
        return status;
    status = mth_container_open(&file, &config, &container, err);
    if (!status) {
        mth_container_source(container, &original);
        status = mth_format_map(&original, &any, memory, &map, err);
        if (!status) {
            status = read_tensor(&original, &map, name, err);
            mth_region_map_free(&map);
        }
    }
    mth_container_close(container);
    mth_source_close(&file);
    return status;
}

/* Stops half-way, and looks whether anything was left. */
static int compress_half(const struct checkpoint *checkpoint, const char *packed, struct mth_memory *memory,
                         struct mth_error *err)
{
    struct watch seen = {.stop_at = 50};
    int status = compress(checkpoint, packed, &seen, memory, err);
    if (status != MTH_ERR_CANCELLED)
        return mth_error_set(err, MTH_ERR_INTERNAL, "was not stopped");
    if (access(packed, F_OK) == 0)
        return mth_error_set(err, MTH_ERR_INTERNAL, "left a file behind");
    printf("stopped at %u %%, nothing was left\n", seen.percent);
    return MTH_OK;
}

static int run(const char *path, const char *name, bool also_half, struct mth_memory *memory,
               struct mth_error *err)
{
    char packed[4096];
    struct checkpoint checkpoint;
    struct watch seen = {.stop_at = 101};
    int status = open_checkpoint(path, memory, &checkpoint, err);
    if (status)
        return status;
    snprintf(packed, sizeof packed, "%s.mth", path);
    if (also_half)
        status = compress_half(&checkpoint, packed, memory, err);
    if (!status)
        status = compress(&checkpoint, packed, &seen, memory, err);
    close_checkpoint(&checkpoint);
    return status ? status : read_packed(packed, name, memory, err);
}

enum { ROWS = 1024, COLUMNS = 256, DATA_BYTES = ROWS * COLUMNS * 2 };

/* A safetensors file of one tensor of bf16. */
static int make_checkpoint(const char *path, struct mth_error *err)
{
    static const char header[] =
        "{\"weight\":{\"dtype\":\"BF16\",\"shape\":[1024,256],\"data_offsets\":[0,524288]}} ";
    static uint8_t file[8 + sizeof header - 1 + DATA_BYTES];
    file[0] = sizeof header - 1;
    memcpy(file + 8, header, sizeof header - 1);
    for (size_t i = 0; i < DATA_BYTES; i++)
        file[8 + sizeof header - 1 + i] = i % 2 ? 0x3f : (uint8_t)(i * 7 / 2 + i / 512);
    return mth_file_write_all(path, (struct mth_bytes){file, sizeof file}, err);
}

int main(int argc, char **argv)
{
    char own[] = "/tmp/mithril-example-XXXXXX", packed[sizeof own + 4];
    struct sigaction on_interrupt = {.sa_handler = note_interrupt};
    struct mth_error err = {0};
    struct mth_memory *memory = mth_memory_create(0);
    int fd = argc > 2 ? -1 : mkstemp(own);
    int status = memory ? MTH_OK : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    sigaction(SIGINT, &on_interrupt, NULL);
    if (fd >= 0)
        close(fd);
    if (!status && argc > 2)
        status = run(argv[1], argv[2], false, memory, &err);
    else if (!status)
        status = make_checkpoint(own, &err);
    if (!status && argc <= 2)
        status = run(own, "weight", true, memory, &err);
    if (argc <= 2) {
        unlink(own);
        snprintf(packed, sizeof packed, "%s.mth", own);
        unlink(packed);
    }
    mth_memory_destroy(memory);
    if (status)
        fprintf(stderr, "container: %s\n", err.text);
    return status ? 1 : 0;
}
