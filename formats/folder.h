/*
 * A folder as one file: the files of a checkpoint that has several, whatever they hold, one behind the other, between a list
 * of their names and what the file system knows of each. Layout: docs/formats.md, "folder".
 */
#ifndef MTH_FORMATS_FOLDER_H
#define MTH_FORMATS_FOLDER_H

#include "base/bytes.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_FOLDER_PATH_MAX_BYTES = 4095, /* of a name, below the folder */
    MTH_FOLDER_ATTRIBUTE_BYTES = 16   /* of an entry, behind the files */
};

/* A file, or, where its name ends in a slash, a directory, which has no bytes. */
struct mth_folder_entry {
    size_t name; /* in the text */
    uint64_t begin, n_bytes;
};

struct mth_folder {
    struct mth_memory *memory;
    struct mth_folder_entry *entries; /* by name, in the order of its bytes, each once */
    size_t n_entries, capacity;
    char *text; /* NUL-terminated paths with slashes between */
    size_t n_text, text_capacity;
    uint64_t n_head;    /* bytes before the first file */
    uint64_t n_content; /* bytes before the attributes: what the files are, without when they were written */
    uint64_t n_bytes;
};

struct mth_folder_attributes {
    uint32_t mode; /* permission bits */
    uint32_t mtime_ns;
    int64_t mtime_s;
};

static inline const char *mth_folder_name(const struct mth_folder *folder, size_t entry)
{
    return folder->text + folder->entries[entry].name;
}

bool mth_folder_is_directory(const struct mth_folder *folder, size_t entry);

/* Does a file begin like one? */
bool mth_folder_claims(const uint8_t *head, size_t n_head);

/* The same of a source. Errors: those of reading. */
int mth_folder_is(const struct mth_source *source, bool *is_folder, struct mth_error *err);

/*
 * Read the list of a folder that is one file.
 * Errors    MTH_ERR_FORMAT, MTH_ERR_UNSUPPORTED for a higher version, MTH_ERR_NO_MEMORY, those of reading; then there is
 *           nothing to free
 * Cost      the bytes of the list, and 24 bytes an entry
 */
int mth_folder_read(const struct mth_source *source, struct mth_memory *memory, struct mth_folder *folder,
                    struct mth_error *err);
void mth_folder_free(struct mth_folder *folder);

/*
 * Making one: entries in order, then the head, which settles where everything lies.
 * Errors: MTH_ERR_FORMAT for a name that can not be one, or is not behind the one before it, whose directory is no entry, or which is a
 * directory's and a file's; MTH_ERR_OVERFLOW; MTH_ERR_NO_MEMORY. Cost: a search among the names.
 */
void mth_folder_init(struct mth_folder *folder, struct mth_memory *memory);
int mth_folder_add(struct mth_folder *folder, const char *name, uint64_t n_bytes);
/* The list's bytes, allocated on the folder's account. */
int mth_folder_write_head(struct mth_folder *folder, struct mth_buffer *head);

void mth_folder_put_attributes(const struct mth_folder_attributes *attributes,
                               uint8_t out[MTH_FOLDER_ATTRIBUTE_BYTES]);
/* Of an entry. Errors: those of reading. */
int mth_folder_get_attributes(const struct mth_source *source, const struct mth_folder *folder, size_t entry,
                              struct mth_folder_attributes *attributes, struct mth_error *err);

#endif
