/*
 * The members of a zip archive: names and where their bytes lie. Nothing is unpacked.
 *
 * Written for what torch.save writes (stored members, sizes in a data descriptor behind the data, local extra fields that
 * align the data to 64 bytes, zip64) and strict where it pays: the central directory says what there is, each local
 * header must name the same member, and no two members share a byte.
 */
#ifndef MTH_FORMATS_ZIP_DIRECTORY_H
#define MTH_FORMATS_ZIP_DIRECTORY_H

#include "base/file.h"

#include <stdbool.h>

enum { MTH_ZIP_MAX_MEMBERS = 1 << 22 };

#define MTH_ZIP_NO_OFFSET UINT64_MAX

struct mth_zip_member {
    uint64_t header_offset; /* of the local header, in the file */
    uint64_t data_offset;
    uint64_t n_bytes; /* in the archive */
    /* Where the CRC-32 of the member is kept, 4 bytes little-endian: in the central directory, and in the local header
     * or the data descriptor (MTH_ZIP_NO_OFFSET when neither has it). */
    uint64_t central_crc_offset, local_crc_offset;
    uint32_t crc32;  /* as the central directory has it */
    uint32_t name;   /* in the directory's text; see mth_zip_name */
    uint16_t n_name; /* bytes, without a NUL at the end; a name holds no NUL inside */
    bool is_stored;  /* neither compressed nor encrypted: its bytes are the member's content */
};

struct mth_zip_directory {
    struct mth_memory *memory;
    struct mth_zip_member *members; /* in the order of the central directory */
    size_t n_members;
    char *text; /* names, each with a NUL behind */
    size_t n_text, text_capacity;
    uint32_t *slots; /* of a hash table: member number + 1, 0 for free */
    size_t n_slots;
    uint64_t seed;
    uint64_t offset; /* of the central directory */
};

/*
 * Read the directory of an archive that begins at byte 0 of a source.
 *
 * Errors    MTH_ERR_FORMAT (no end record, a record that does not parse, members that overlap, a name twice, several
 *           disks), MTH_ERR_TRUNCATED, MTH_ERR_LIMIT (more than MTH_ZIP_MAX_MEMBERS), MTH_ERR_NO_MEMORY, those of
 *           reading; then there is nothing to free
 * Cost      the last 64 KiB, one pass over the central directory, two small reads a member; 64 bytes, the name and at
 *           most 16 bytes of hash table a member, and never more members than the directory has room for
 * Source    PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5
 */
int mth_zip_directory_read(const struct mth_source *source, struct mth_memory *memory,
                           struct mth_zip_directory *directory, struct mth_error *err);
void mth_zip_directory_free(struct mth_zip_directory *directory);

static inline const char *mth_zip_name(const struct mth_zip_directory *directory,
                                       const struct mth_zip_member *member)
{
    return directory->text + member->name;
}

/* The member of a name, NULL when there is none. Cost: a hash. */
const struct mth_zip_member *mth_zip_find(const struct mth_zip_directory *directory, const char *name,
                                          size_t n_name);

#endif
