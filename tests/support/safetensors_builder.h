/* Safetensors files made in memory, valid ones and any other kind. */
#ifndef MTH_TESTS_SAFETENSORS_BUILDER_H
#define MTH_TESTS_SAFETENSORS_BUILDER_H

#include "base/bytes.h"

#include <stddef.h>
#include <stdint.h>

/* A file on its way: the header's text and the data so far. All zeros is an empty one. */
struct safetensors_builder {
    struct mth_buffer header;
    struct mth_buffer data;
};

/* Text of the header as it is, and bytes of data, without a check. */
void safetensors_builder_text(struct safetensors_builder *builder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void safetensors_builder_data(struct safetensors_builder *builder, const void *data, size_t n_bytes);

/* A tensor of n_bytes behind those before it. data NULL: a pattern. The name goes into the header as it is.
 */
void safetensors_builder_add(struct safetensors_builder *builder, const char *name, const char *dtype,
                             const uint64_t *shape, size_t n_dims, const void *data, size_t n_bytes);

/* Closes the header, pads it with n_padding spaces, and gives the file, which the caller frees; ends the
 * builder. */
struct mth_buffer safetensors_builder_finish(struct safetensors_builder *builder, size_t n_padding);

/* A file of exactly this header and n_data bytes of a pattern. The caller frees it. */
struct mth_buffer safetensors_wrap(const void *header, size_t n_header, size_t n_data);

#endif
