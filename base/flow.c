/* Bytes in order; see flow.h. */
#include "base/flow.h"

#include "base/checked.h"
#include "base/scratch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One system call moves at most this much. */
enum { PIECE_BYTES = 8 << 20, SPOOL_BYTES = 1 << 18 };

void mth_input_source(const struct mth_source *source, struct mth_input *input)
{
    *input = (struct mth_input){.name = source->name, .source = source, .fd = -1};
}

void mth_input_descriptor(const char *name, int fd, struct mth_input *input)
{
    *input = (struct mth_input){.name = name, .fd = fd};
}

static int read_some(struct mth_input *input, void *dst, size_t n_bytes, size_t *n_read,
                     struct mth_error *err)
{
    if (input->read)
        return input->read(input->state, dst, n_bytes, n_read, err);
    if (input->source) {
        uint64_t left = input->source->n_bytes - input->offset;
        *n_read = left < n_bytes ? (size_t)left : n_bytes;
        return *n_read ? mth_source_read(input->source, input->offset, dst, *n_read, err) : MTH_OK;
    }
    ssize_t got;
    do {
        got = read(input->fd, dst, mth_size_min(n_bytes, PIECE_BYTES));
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return mth_error_set(err, MTH_ERR_IO, "%s: cannot read: %s", input->name, strerror(errno));
    *n_read = (size_t)got;
    return MTH_OK;
}

int mth_input_take(struct mth_input *input, void *dst, size_t n_bytes, size_t *n_taken, struct mth_error *err)
{
    *n_taken = 0;
    while (*n_taken < n_bytes) {
        size_t n_read;
        int status = read_some(input, (uint8_t *)dst + *n_taken, n_bytes - *n_taken, &n_read, err);
        if (status)
            return status;
        if (n_read == 0)
            break;
        *n_taken += n_read;
        input->offset += n_read;
    }
    return MTH_OK;
}

static int put_writer_at(void *state, uint64_t offset, const void *data, size_t n_bytes,
                         struct mth_error *err)
{
    return mth_file_writer_write_at(state, offset, data, n_bytes, err);
}

void mth_sink_writer(const char *name, struct mth_file_writer *writer, struct mth_sink *sink)
{
    *sink = (struct mth_sink){.name = name, .write_at = put_writer_at, .state = writer, .fd = -1};
}

uint64_t mth_sink_reserve(struct mth_sink *sink, uint64_t n_bytes)
{
    uint64_t offset = sink->offset;
    sink->offset += n_bytes;
    return offset;
}

int mth_sink_put_at(const struct mth_sink *sink, uint64_t offset, const void *data, size_t n_bytes,
                    struct mth_error *err)
{
    return n_bytes ? sink->write_at(sink->state, offset, data, n_bytes, err) : MTH_OK;
}

void mth_sink_descriptor(const char *name, int fd, struct mth_sink *sink)
{
    *sink = (struct mth_sink){.name = name, .fd = fd};
}

void mth_sink_memory(struct mth_buffer *buffer, struct mth_sink *sink)
{
    *sink = (struct mth_sink){.name = "memory", .memory = buffer, .fd = -1};
}

int mth_sink_put(struct mth_sink *sink, const void *data, size_t n_bytes, struct mth_error *err)
{
    if (n_bytes == 0)
        return MTH_OK;
    if (sink->write_at)
        return sink->write_at(sink->state, mth_sink_reserve(sink, n_bytes), data, n_bytes, err);
    if (sink->write)
        return sink->write(sink->state, data, n_bytes, err);
    if (sink->memory) {
        struct mth_buffer *buffer = sink->memory;
        if (n_bytes > buffer->capacity_bytes - buffer->n_bytes)
            return mth_error_set(err, MTH_ERR_CAPACITY, "the destination of %zu bytes is too small",
                                 buffer->capacity_bytes);
        /* What was made in its place already need not move. */
        if (data != buffer->data + buffer->n_bytes)
            memcpy(buffer->data + buffer->n_bytes, data, n_bytes);
        buffer->n_bytes += n_bytes;
        return MTH_OK;
    }
    const uint8_t *p = data;
    while (n_bytes > 0) {
        ssize_t put = write(sink->fd, p, mth_size_min(n_bytes, PIECE_BYTES));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return mth_error_set(err, MTH_ERR_IO, "%s: cannot write: %s", sink->name, strerror(errno));
        p += put;
        n_bytes -= (size_t)put;
    }
    return MTH_OK;
}

int mth_source_spool(struct mth_input *input, struct mth_source *source, struct mth_error *err)
{
    struct mth_scratch scratch;
    struct mth_sink sink;
    int status = mth_scratch_open(NULL, input->name, &scratch, err);
    if (status)
        return status;
    mth_scratch_sink(&scratch, &sink);
    uint8_t *piece = malloc(SPOOL_BYTES);
    if (!piece)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", input->name);
    for (size_t n = 1; !status && n;) {
        status = mth_input_take(input, piece, SPOOL_BYTES, &n, err);
        if (!status)
            status = mth_sink_put(&sink, piece, n, err);
    }
    free(piece);
    if (!status)
        status = mth_scratch_source(&scratch, source, err);
    if (status)
        mth_scratch_close(&scratch);
    return status;
}
