/*
 * Files: reading at offsets in bounded pieces, and writing that is complete or did not happen.
 *
 * A struct mth_source is anything that can be read at an offset: a file, bytes in memory, or what a function gives.
 */
#ifndef MTH_BASE_FILE_H
#define MTH_BASE_FILE_H

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mth_source {
    const char *name; /* for messages; borrowed */
    uint64_t n_bytes;
    int fd;                /* -1 for anything else */
    const uint8_t *memory; /* NULL for anything else */
    /* Where neither a file nor memory is read: called with ranges that lie inside, by several threads at once. */
    int (*read)(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err);
    void *state;
};

/*
 * Open a regular file for reading.
 * Errors: MTH_ERR_NOT_FOUND, MTH_ERR_IO (a directory, a pipe, no permission), each with its line.
 */
int mth_source_open(const char *path, struct mth_source *source, struct mth_error *err);
void mth_source_memory(const char *name, struct mth_bytes bytes, struct mth_source *source);
void mth_source_close(struct mth_source *source);

/*
 * Read exactly n_bytes at offset. Errors: MTH_ERR_TRUNCATED past the end (also when the file shrank
 * meanwhile), MTH_ERR_IO.
 */
int mth_source_read(const struct mth_source *source, uint64_t offset, void *dst, size_t n_bytes,
                    struct mth_error *err);

/* A few bytes that will be read soon: where they lie in memory, their cache lines are asked for. */
static inline void mth_source_expect(const struct mth_source *source, uint64_t offset, size_t n_bytes)
{
#if defined(__GNUC__)
    if (source->memory && n_bytes && offset < source->n_bytes && n_bytes <= source->n_bytes - offset) {
        for (size_t i = 0; i < n_bytes; i += 64)
            __builtin_prefetch(source->memory + offset + i);
        __builtin_prefetch(source->memory + offset + n_bytes - 1);
    }
#else
    (void)source, (void)offset, (void)n_bytes;
#endif
}

/* The whole file in one allocation from memory, which the caller frees. Errors also: MTH_ERR_NO_MEMORY,
 * MTH_ERR_LIMIT. */
int mth_file_read_all(const char *path, struct mth_memory *memory, struct mth_buffer *out,
                      struct mth_error *err);

/*
 * Write a file so that its name holds either what it held before or all of the new content: a temporary file
 * in the same directory, synced, renamed over the name, the directory synced. Where the system knows files without a
 * name the temporary one has none until then: a process that is killed leaves nothing behind, but between the two calls that
 * put a whole new file over an old one, and then the next one that writes this name removes it (NAME.mithril~).
 */
struct mth_file_writer;
int mth_file_writer_open(const char *path, struct mth_file_writer **writer, struct mth_error *err);
int mth_file_writer_write(struct mth_file_writer *writer, const void *data, size_t n_bytes,
                          struct mth_error *err);
/* The same at an offset, by several threads at once; what nobody writes is zeros. */
int mth_file_writer_write_at(struct mth_file_writer *writer, uint64_t offset, const void *data,
                             size_t n_bytes, struct mth_error *err);
/* Give the file these permission bits and this time of its last change. Call when everything is written. */
int mth_file_writer_set_attributes(struct mth_file_writer *writer, uint32_t mode, int64_t mtime_s,
                                   uint32_t mtime_ns, struct mth_error *err);
/* Ends the writer, whatever comes back; on an error nothing is left behind. */
int mth_file_writer_commit(struct mth_file_writer *writer, struct mth_error *err);
void mth_file_writer_abort(struct mth_file_writer *writer);

/* The three above in one. */
int mth_file_write_all(const char *path, struct mth_bytes content, struct mth_error *err);

/* mkdir -p; where it fails nothing that it made stays. */
int mth_file_make_directory(const char *path, struct mth_error *err);
/*
 * The same, for whoever may take it back: n_there is how many bytes of the path name a directory that was there, all where it was.
 * Taking it back removes what lies behind them, from the innermost on, as far as it is empty.
 */
int mth_file_make_directory_noted(const char *path, size_t *n_there, struct mth_error *err);
void mth_file_take_back_directory(const char *path, size_t n_there);

#ifdef __cplusplus
}
#endif
#endif
