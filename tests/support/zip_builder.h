/* Zip archives made in memory, as torch.save makes them and in any other way. */
#ifndef MTH_TESTS_ZIP_BUILDER_H
#define MTH_TESTS_ZIP_BUILDER_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A member. All zeros but name is an empty stored one with its sizes in the local header. */
struct zip_member {
    const char *name;
    const char *local_name; /* NULL: the same */
    const void *data;
    size_t n_bytes;
    uint16_t method;  /* 0 stored; the data is written as it is in any case */
    uint16_t flags;   /* 8: sizes and CRC in a data descriptor */
    bool is_zip64;    /* sizes and offset in a zip64 field, in the directory too */
    size_t n_padding; /* of the local extra field, 0 or at least 4 */
    bool has_no_descriptor_signature;
};

/* An archive on its way; all zeros is an empty one. */
struct zip_builder {
    struct mth_buffer file, central;
    uint64_t n_members;
    bool is_zip64; /* write the zip64 records */
};

void zip_builder_add(struct zip_builder *builder, const struct zip_member *member);

/* A stored member, as torch.save writes it: aligned to 64 bytes, with a data descriptor. */
void zip_builder_store(struct zip_builder *builder, const char *name, const void *data, size_t n_bytes);

/* Bytes as they are, wherever the archive is. */
void zip_builder_bytes(struct mth_buffer *buffer, const void *data, size_t n_bytes);

/* Writes the directory and gives the file, which the caller frees; ends the builder. comment may be NULL. */
struct mth_buffer zip_builder_finish(struct zip_builder *builder, const char *comment);

#endif
