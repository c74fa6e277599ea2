/*
 * Bytes in order: where they come from (struct mth_input) and where they go (struct mth_sink), be it a file, a pipe,
 * memory or a function of the caller's.
 */
#ifndef MTH_BASE_FLOW_H
#define MTH_BASE_FLOW_H

#include "base/bytes.h"
#include "base/file.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Used by one thread at a time. */
struct mth_input {
    const char *name; /* for messages; borrowed */
    /* Up to n_bytes; n_read 0 at the end and only there. */
    int (*read)(void *state, void *dst, size_t n_bytes, size_t *n_read, struct mth_error *err);
    void *state;
    const struct mth_source *source; /* of mth_input_source */
    uint64_t offset;                 /* bytes taken so far */
    int fd;
};

/* From the beginning of a source, which stays open. */
void mth_input_source(const struct mth_source *source, struct mth_input *input);
/* From an open descriptor, a pipe for instance, which stays open. */
void mth_input_descriptor(const char *name, int fd, struct mth_input *input);

/* As many bytes as there are, up to n_bytes; fewer only at the end. */
int mth_input_take(struct mth_input *input, void *dst, size_t n_bytes, size_t *n_taken,
                   struct mth_error *err);

/* Used by one thread at a time. */
struct mth_sink {
    const char *name; /* for messages; borrowed */
    int (*write)(void *state, const void *data, size_t n_bytes, struct mth_error *err);
    void *state;
    /* Where the order does not matter, called by several threads at once; NULL: it does. */
    int (*write_at)(void *state, uint64_t offset, const void *data, size_t n_bytes, struct mth_error *err);
    uint64_t offset;           /* bytes put or reserved so far */
    struct mth_buffer *memory; /* of mth_sink_memory */
    int fd;
};

/* Into a writer that replaces its file at the commit, which stays with the caller. */
void mth_sink_writer(const char *name, struct mth_file_writer *writer, struct mth_sink *sink);
/* To an open descriptor, a pipe for instance. A pipe that nobody reads is MTH_ERR_IO; the caller ignores SIGPIPE. */
void mth_sink_descriptor(const char *name, int fd, struct mth_sink *sink);
/* Behind what a buffer holds already; MTH_ERR_CAPACITY when it is full. */
void mth_sink_memory(struct mth_buffer *buffer, struct mth_sink *sink);

int mth_sink_put(struct mth_sink *sink, const void *data, size_t n_bytes, struct mth_error *err);
/* All of a source, in order. Errors also: those of reading. */
int mth_sink_put_source(struct mth_sink *sink, const struct mth_source *source, struct mth_error *err);

/* Room for n_bytes that will be written later, and by whom it may be, with mth_sink_put_at; only where write_at is set. */
uint64_t mth_sink_reserve(struct mth_sink *sink, uint64_t n_bytes);
int mth_sink_put_at(const struct mth_sink *sink, uint64_t offset, const void *data, size_t n_bytes,
                    struct mth_error *err);

/*
 * All of a descriptor's bytes in an unnamed file in TMPDIR (or /tmp), as a source: for readers that must look twice.
 * Errors: MTH_ERR_IO. The caller closes the source.
 */
int mth_source_spool(struct mth_input *input, struct mth_source *source, struct mth_error *err);

#ifdef __cplusplus
}
#endif
#endif
