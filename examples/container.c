/*
 * Compress a checkpoint file into a container with a callback, then read one tensor of it back into a buffer, and
 * nothing else. Run without arguments it makes a small checkpoint for itself.
 *
 * Build     cc container.c $(pkg-config --cflags --libs mithril)
 * Usage     container [MODEL.safetensors TENSOR]
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* mkstemp */
#endif
#include <mithril.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Tells how far it is; anything but 0 would cancel. */
static int show(void *arg, uint64_t n_done, uint64_t n_total)
{
    (void)arg;
    if (n_done == n_total)
        printf("%llu bytes done\n", (unsigned long long)n_total);
    return 0;
}

static int compress(const char *path, const char *packed, struct mth_memory *memory, struct mth_error *err)
{
    struct mth_stream_config config = {.n_threads = 2, .memory = memory, .verify = true, .progress = show};
    struct mth_format_options any = {.raw_dtype = MTH_N_DTYPES};
    struct mth_container_stats stats;
    struct mth_source source;
    struct mth_region_map map;
    struct mth_pipeline *pipeline;
    struct mth_file_writer *writer;
    struct mth_sink sink;
    int status = mth_source_open(path, &source, err);
    if (status)
        return status;
    status = mth_format_map(&source, &any, memory, &map, err);
    if (!status) {
        status = mth_pipeline_parse("balanced", false, &pipeline, err);
        if (!status) {
            status = mth_file_writer_open(packed, &writer, err);
            if (!status) {
                mth_sink_writer(packed, writer, &sink);
                status = mth_compress(pipeline, &source, &map, NULL, NULL, &sink, &config, &stats, err);
                if (status)
                    mth_file_writer_abort(writer);
                else
                    status = mth_file_writer_commit(writer, err);
            }
            mth_pipeline_destroy(pipeline);
        }
        mth_region_map_free(&map);
    }
    mth_source_close(&source);
    return status;
}

/* The bytes of one tensor: only the bundles that cover them are read. */
static int read_tensor(const char *packed, const char *name, struct mth_memory *memory, struct mth_error *err)
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
    }
    if (!status) {
        const struct mth_tensor *tensor = mth_region_map_find(&map, name);
        if (!tensor || tensor->region == MTH_NO_REGION) {
            status = mth_error_set(err, MTH_ERR_NOT_FOUND, "no bytes of a tensor '%s'", name);
        } else {
            size_t n_bytes = (size_t)mth_tensor_bytes(tensor);
            uint8_t *bytes = malloc(n_bytes);
            uint64_t at = map.regions[tensor->region].offset + tensor->offset_bytes;
            status = bytes ? mth_source_read(&original, at, bytes, n_bytes, err) : MTH_ERR_NO_MEMORY;
            if (!status)
                printf("%s: %zu bytes, the first is %02x\n", name, n_bytes, bytes[0]);
            free(bytes);
        }
        mth_region_map_free(&map);
    }
    mth_container_close(container);
    mth_source_close(&file);
    return status;
}

/* A safetensors file of one tensor. */
static int make_checkpoint(const char *path, struct mth_error *err)
{
    static const char header[] =
        "{\"weight\":{\"dtype\":\"BF16\",\"shape\":[2048],\"data_offsets\":[0,4096]}}     ";
    static uint8_t file[8 + sizeof header - 1 + 4096];
    file[0] = sizeof header - 1;
    memcpy(file + 8, header, sizeof header - 1);
    for (size_t i = 0; i < 4096; i++)
        file[8 + sizeof header - 1 + i] = i % 2 ? 0x3f : (uint8_t)(i * 7 + 1);
    return mth_file_write_all(path, (struct mth_bytes){file, sizeof file}, err);
}

int main(int argc, char **argv)
{
    char own[] = "/tmp/mithril-example-XXXXXX";
    char packed[4096];
    struct mth_error err = {0};
    struct mth_memory *memory = mth_memory_create(0);
    const char *path = argc > 1 ? argv[1] : own;
    int fd = argc > 1 ? -1 : mkstemp(own);
    int status = memory ? MTH_OK : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    if (fd >= 0)
        close(fd);
    if (!status && argc == 1)
        status = make_checkpoint(own, &err);
    snprintf(packed, sizeof packed, "%s.mth", path);
    if (!status)
        status = compress(path, packed, memory, &err);
    if (!status)
        status = read_tensor(packed, argc > 2 ? argv[2] : "weight", memory, &err);
    if (argc == 1) {
        unlink(own);
        unlink(packed);
    }
    mth_memory_destroy(memory);
    if (status)
        fprintf(stderr, "container: %s\n", err.text);
    return status ? 1 : 0;
}
