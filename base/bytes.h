/* Byte ranges: the shape in which data travels between formats, transforms, codecs and the pipeline. */
#ifndef MTH_BASE_BYTES_H
#define MTH_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that somebody else owns and that are only read. data may be NULL when n_bytes is 0. */
struct mth_bytes {
    const uint8_t *data;
    size_t n_bytes;
};

/* A destination: n_bytes of capacity_bytes are filled. */
struct mth_buffer {
    uint8_t *data;
    size_t n_bytes;
    size_t capacity_bytes;
};

#endif
