/* Zip archives made in memory; see zip_builder.h. */
#include "tests/support/zip_builder.h"

#include "base/checked.h"
#include "tests/support/crc32.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void zip_builder_bytes(struct mth_buffer *buffer, const void *data, size_t n_bytes)
{
    if (!buffer->data || buffer->n_bytes + n_bytes > buffer->capacity_bytes) {
        buffer->capacity_bytes = (buffer->n_bytes + n_bytes) * 2 + 64;
        buffer->data = realloc(buffer->data, buffer->capacity_bytes);
        if (!buffer->data) {
            fprintf(stderr, "zip_builder: no memory\n");
            abort();
        }
    }
    if (data && n_bytes)
        memcpy(buffer->data + buffer->n_bytes, data, n_bytes);
    else if (n_bytes)
        memset(buffer->data + buffer->n_bytes, 0, n_bytes);
    buffer->n_bytes += n_bytes;
}

static void number(struct mth_buffer *buffer, size_t n_bytes, uint64_t value)
{
    uint8_t bytes[8];
    mth_store64(bytes, value);
    zip_builder_bytes(buffer, bytes, n_bytes);
}

/* What the local header and the directory have in common, from the flags to the sizes. */
static void common(struct mth_buffer *out, const struct zip_member *member, bool has_sizes, uint32_t crc)
{
    uint64_t size = member->is_zip64 ? UINT32_MAX : member->n_bytes;
    number(out, 2, member->flags);
    number(out, 2, member->method);
    number(out, 4, 0);
    number(out, 4, has_sizes ? crc : 0);
    number(out, 4, has_sizes ? size : 0);
    number(out, 4, has_sizes ? size : 0);
}

void zip_builder_add(struct zip_builder *builder, const struct zip_member *member)
{
    struct mth_buffer *file = &builder->file, *central = &builder->central;
    const char *local_name = member->local_name ? member->local_name : member->name;
    uint64_t offset = file->n_bytes;
    uint32_t crc = crc32_more(0, member->data, member->n_bytes);
    bool has_descriptor = member->flags & 8;
    size_t n_zip64 = member->is_zip64 ? 20 : 0;

    number(file, 4, 0x04034b50);
    number(file, 2, 20);
    common(file, member, !has_descriptor, crc);
    number(file, 2, strlen(local_name));
    number(file, 2, member->n_padding + n_zip64);
    zip_builder_bytes(file, local_name, strlen(local_name));
    if (member->is_zip64) {
        number(file, 2, 1);
        number(file, 2, 16);
        number(file, 8, has_descriptor ? 0 : member->n_bytes);
        number(file, 8, has_descriptor ? 0 : member->n_bytes);
    }
    if (member->n_padding) {
        zip_builder_bytes(file, "FB", 2);
        number(file, 2, member->n_padding - 4);
        zip_builder_bytes(file, NULL, member->n_padding - 4);
    }
    zip_builder_bytes(file, member->data, member->n_bytes);
    if (has_descriptor) {
        if (!member->has_no_descriptor_signature)
            number(file, 4, 0x08074b50);
        number(file, 4, crc);
        number(file, member->is_zip64 ? 8 : 4, member->n_bytes);
        number(file, member->is_zip64 ? 8 : 4, member->n_bytes);
    }

    number(central, 4, 0x02014b50);
    number(central, 4, 20 << 16 | 20);
    common(central, member, true, crc);
    number(central, 2, strlen(member->name));
    number(central, 2, member->is_zip64 ? 28 : 0);
    number(central, 2, 0);
    number(central, 2, 0);
    number(central, 2, 0);
    number(central, 4, 0);
    number(central, 4, member->is_zip64 ? UINT32_MAX : offset);
    zip_builder_bytes(central, member->name, strlen(member->name));
    if (member->is_zip64) {
        number(central, 2, 1);
        number(central, 2, 24);
        number(central, 8, member->n_bytes);
        number(central, 8, member->n_bytes);
        number(central, 8, offset);
    }
    builder->n_members++;
}

void zip_builder_store(struct zip_builder *builder, const char *name, const void *data, size_t n_bytes)
{
    size_t end = builder->file.n_bytes + 30 + strlen(name) + 4;
    zip_builder_add(builder, &(struct zip_member){.name = name,
                                                  .data = data,
                                                  .n_bytes = n_bytes,
                                                  .flags = n_bytes ? 8 : 0,
                                                  .n_padding = 4 + (64 - end % 64) % 64});
}

struct mth_buffer zip_builder_finish(struct zip_builder *builder, const char *comment)
{
    struct mth_buffer file = builder->file;
    uint64_t offset = file.n_bytes, n_central = builder->central.n_bytes, end64 = offset + n_central;
    bool is_zip64 = builder->is_zip64;
    zip_builder_bytes(&file, builder->central.data, builder->central.n_bytes);
    if (is_zip64) {
        number(&file, 4, 0x06064b50);
        number(&file, 8, 44);
        number(&file, 4, 45 << 16 | 45);
        number(&file, 8, 0);
        number(&file, 8, builder->n_members);
        number(&file, 8, builder->n_members);
        number(&file, 8, n_central);
        number(&file, 8, offset);
        number(&file, 4, 0x07064b50);
        number(&file, 4, 0);
        number(&file, 8, end64);
        number(&file, 4, 1);
    }
    number(&file, 4, 0x06054b50);
    number(&file, 4, 0);
    number(&file, 2, is_zip64 ? UINT16_MAX : builder->n_members);
    number(&file, 2, is_zip64 ? UINT16_MAX : builder->n_members);
    number(&file, 4, is_zip64 ? UINT32_MAX : n_central);
    number(&file, 4, is_zip64 ? UINT32_MAX : offset);
    number(&file, 2, comment ? strlen(comment) : 0);
    zip_builder_bytes(&file, comment, comment ? strlen(comment) : 0);
    free(builder->central.data);
    *builder = (struct zip_builder){0};
    return file;
}
