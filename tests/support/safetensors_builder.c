/* Safetensors files made in memory; see safetensors_builder.h. */
#include "tests/support/safetensors_builder.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *append(struct mth_buffer *buffer, size_t n_bytes)
{
    if (!buffer->data || buffer->n_bytes + n_bytes > buffer->capacity_bytes) {
        buffer->capacity_bytes = (buffer->n_bytes + n_bytes) * 2 + 64;
        buffer->data = realloc(buffer->data, buffer->capacity_bytes);
        if (!buffer->data) {
            fprintf(stderr, "safetensors_builder: no memory\n");
            abort();
        }
    }
    buffer->n_bytes += n_bytes;
    return buffer->data + buffer->n_bytes - n_bytes;
}

void safetensors_builder_text(struct safetensors_builder *builder, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *out = (char *)append(&builder->header, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(out, (size_t)n + 1, format, args);
    va_end(args);
    builder->header.n_bytes--;
}

void safetensors_builder_data(struct safetensors_builder *builder, const void *data, size_t n_bytes)
{
    uint8_t *out = append(&builder->data, n_bytes);
    if (data && n_bytes)
        memcpy(out, data, n_bytes);
    for (size_t i = 0; i < n_bytes && !data; i++)
        out[i] = (uint8_t)((builder->data.n_bytes + i) * 37);
}

void safetensors_builder_add(struct safetensors_builder *builder, const char *name, const char *dtype,
                             const uint64_t *shape, size_t n_dims, const void *data, size_t n_bytes)
{
    size_t begin = builder->data.n_bytes;
    safetensors_builder_data(builder, data, n_bytes);
    safetensors_builder_text(builder, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                             builder->header.n_bytes ? "," : "{", name, dtype);
    for (size_t i = 0; i < n_dims; i++)
        safetensors_builder_text(builder, "%s%" PRIu64, i ? "," : "", shape[i]);
    safetensors_builder_text(builder, "],\"data_offsets\":[%zu,%zu]}", begin, begin + n_bytes);
}

/* Length, header, data. */
static struct mth_buffer join(const void *header, size_t n_header, const struct mth_buffer *data)
{
    struct mth_buffer file = {0};
    mth_store64(append(&file, 8), n_header);
    if (n_header)
        memcpy(append(&file, n_header), header, n_header);
    if (data->n_bytes)
        memcpy(append(&file, data->n_bytes), data->data, data->n_bytes);
    return file;
}

struct mth_buffer safetensors_wrap(const void *header, size_t n_header, size_t n_data)
{
    struct safetensors_builder builder = {0};
    safetensors_builder_data(&builder, NULL, n_data);
    struct mth_buffer file = join(header, n_header, &builder.data);
    free(builder.data.data);
    return file;
}

struct mth_buffer safetensors_builder_finish(struct safetensors_builder *builder, size_t n_padding)
{
    safetensors_builder_text(builder, "%s%*s", builder->header.n_bytes ? "}" : "{}", (int)n_padding, "");
    struct mth_buffer file = join(builder->header.data, builder->header.n_bytes, &builder->data);
    free(builder->header.data);
    free(builder->data.data);
    *builder = (struct safetensors_builder){0};
    return file;
}
