/*
 * Reading the directory of a zip archive; see zip_directory.h.
 *
 * From the end of the file backwards: the end record, the zip64 records where there are any, the central directory, and
 * for each of its entries the local header, which alone tells where the data begins.
 */
#include "formats/zip_directory.h"

#include "base/checked.h"
#include "base/hash.h"
#include "formats/byte_window.h"

#include <stdlib.h>
#include <string.h>

/* Signatures and sizes of the fixed parts of the records; APPNOTE 4.3.7, 4.3.9, 4.3.12, 4.3.14 to 4.3.16. */
#define LOCAL_SIGNATURE      0x04034b50u
#define DESCRIPTOR_SIGNATURE 0x08074b50u
#define CENTRAL_SIGNATURE    0x02014b50u
#define END_SIGNATURE        0x06054b50u
#define END64_SIGNATURE      0x06064b50u
#define LOCATOR_SIGNATURE    0x07064b50u

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    COMMENT_MAX_BYTES = UINT16_MAX,
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8,
    EXTRA_ZIP64 = 1
};

struct reader {
    const struct mth_source *source;
    struct mth_zip_directory *directory;
    struct mth_error *err;
    uint64_t central_offset, central_bytes, n_entries;
    struct mth_window window;
};

static int refuse(const struct reader *r, uint64_t offset, const char *what)
{
    return mth_error_set(r->err, MTH_ERR_FORMAT, "%s: %s (zip archive, at byte %llu)", r->source->name, what,
                         (unsigned long long)offset);
}

static int no_memory(const struct reader *r)
{
    return mth_error_set(r->err, MTH_ERR_NO_MEMORY, "%s: no memory for its directory of members",
                         r->source->name);
}

/* ---- the end records ---- */

/* The last end record whose comment fits into the file. */
static int find_end(struct reader *r, uint64_t *end_offset, uint8_t end[END_BYTES])
{
    uint64_t n_bytes = r->source->n_bytes;
    size_t n_tail = n_bytes < END_BYTES + COMMENT_MAX_BYTES ? (size_t)n_bytes : END_BYTES + COMMENT_MAX_BYTES;
    if (n_tail < END_BYTES)
        return mth_error_set(r->err, MTH_ERR_TRUNCATED, "%s: ends at byte %llu, too early for a zip archive",
                             r->source->name, (unsigned long long)n_bytes);
    uint8_t *tail = mth_memory_alloc(r->directory->memory, n_tail);
    if (!tail)
        return no_memory(r);
    int status = mth_source_read(r->source, n_bytes - n_tail, tail, n_tail, r->err);
    bool found = false;
    for (size_t at = n_tail - END_BYTES + 1; !status && !found && at-- > 0;) {
        found =
            mth_load32(tail + at) == END_SIGNATURE && mth_load16(tail + at + 20) <= n_tail - END_BYTES - at;
        if (found) {
            memcpy(end, tail + at, END_BYTES);
            *end_offset = n_bytes - n_tail + at;
        }
    }
    mth_memory_free(r->directory->memory, tail);
    if (!status && !found)
        status = mth_error_set(r->err, MTH_ERR_TRUNCATED,
                               "%s: a zip archive without its directory at the end; is the file whole?",
                               r->source->name);
    return status;
}

/* The zip64 end record, where a locator before the end record tells of one; *end_offset moves to it. */
static int read_end64(struct reader *r, uint64_t *end_offset, bool *has_end64)
{
    uint8_t locator[LOCATOR_BYTES], record[END64_BYTES];
    *has_end64 = false;
    if (*end_offset < LOCATOR_BYTES)
        return MTH_OK;
    uint64_t at = *end_offset - LOCATOR_BYTES;
    int status = mth_source_read(r->source, at, locator, sizeof locator, r->err);
    if (status || mth_load32(locator) != LOCATOR_SIGNATURE)
        return status;
    uint64_t record_at = mth_load64(locator + 8);
    if (record_at > at || at - record_at < END64_BYTES)
        return refuse(r, at, "the zip64 locator points outside of the file");
    status = mth_source_read(r->source, record_at, record, sizeof record, r->err);
    if (status)
        return status;
    if (mth_load32(record) != END64_SIGNATURE)
        return refuse(r, record_at, "no zip64 end record where its locator points");
    if (mth_load32(record + 16) != 0 || mth_load32(record + 20) != 0 ||
        mth_load64(record + 24) != mth_load64(record + 32))
        return refuse(r, record_at, "archives over several disks are not supported");
    r->n_entries = mth_load64(record + 32);
    r->central_bytes = mth_load64(record + 40);
    r->central_offset = mth_load64(record + 48);
    *end_offset = record_at;
    *has_end64 = true;
    return MTH_OK;
}

static int locate_central(struct reader *r)
{
    uint8_t end[END_BYTES] = {0};
    uint64_t end_offset = 0, central_end;
    bool has_end64 = false;
    int status = find_end(r, &end_offset, end);
    if (!status)
        status = read_end64(r, &end_offset, &has_end64);
    if (status)
        return status;
    if (!has_end64) {
        if (mth_load16(end + 4) != 0 || mth_load16(end + 6) != 0 ||
            mth_load16(end + 8) != mth_load16(end + 10))
            return refuse(r, end_offset, "archives over several disks are not supported");
        r->n_entries = mth_load16(end + 10);
        r->central_bytes = mth_load32(end + 12);
        r->central_offset = mth_load32(end + 16);
    }
    if (!mth_u64_add(r->central_offset, r->central_bytes, &central_end) || central_end > end_offset)
        return refuse(r, end_offset, "the central directory does not lie before its end record");
    if (r->n_entries > r->central_bytes / CENTRAL_BYTES)
        return refuse(r, end_offset, "more members than the central directory has room for");
    if (r->n_entries > MTH_ZIP_MAX_MEMBERS)
        return mth_error_set(r->err, MTH_ERR_LIMIT, "%s: a zip archive of %llu members; the limit is %d",
                             r->source->name, (unsigned long long)r->n_entries, MTH_ZIP_MAX_MEMBERS);
    return MTH_OK;
}

/* ---- the central directory ---- */

/* Values that did not fit into 32 bits are in the zip64 extra field, in this order, those that did are not. */
static bool read_extra64(const uint8_t *extra, size_t n_extra, uint64_t *const values[3])
{
    bool wanted = false;
    for (size_t i = 0; i < 3; i++)
        wanted |= *values[i] == UINT32_MAX;
    while (wanted && n_extra >= 4) {
        size_t n_field = mth_load16(extra + 2);
        if (n_field > n_extra - 4)
            return false;
        if (mth_load16(extra) == EXTRA_ZIP64) {
            const uint8_t *field = extra + 4;
            for (size_t i = 0; i < 3; i++) {
                if (*values[i] != UINT32_MAX)
                    continue;
                if (n_field < 8)
                    return false;
                *values[i] = mth_load64(field);
                field += 8;
                n_field -= 8;
            }
            return true;
        }
        extra += 4 + n_field;
        n_extra -= 4 + n_field;
    }
    /* Without the field a value of exactly 2^32 - 1 is what it says. */
    return true;
}

static int add_name(struct reader *r, const uint8_t *name, size_t n_name, struct mth_zip_member *member)
{
    struct mth_zip_directory *d = r->directory;
    if (n_name + 1 > d->text_capacity - d->n_text) {
        size_t wanted = mth_size_max(d->n_text + n_name + 1, d->text_capacity + d->text_capacity / 2);
        if (wanted > UINT32_MAX)
            return mth_error_set(r->err, MTH_ERR_LIMIT, "%s: its zip members have names of 4 GiB",
                                 r->source->name);
        char *grown = mth_memory_realloc(d->memory, d->text, wanted);
        if (!grown)
            return no_memory(r);
        d->text = grown;
        d->text_capacity = wanted;
    }
    member->name = (uint32_t)d->n_text;
    member->n_name = (uint16_t)n_name;
    memcpy(d->text + d->n_text, name, n_name);
    d->text[d->n_text + n_name] = '\0';
    d->n_text += n_name + 1;
    return MTH_OK;
}

static int read_entry(struct reader *r, struct mth_zip_member *member)
{
    static const char what[] = "its directory of zip members";
    const uint8_t *fixed, *name, *extra;
    uint64_t at = r->window.offset, n_original;
    int status = mth_window_take(&r->window, CENTRAL_BYTES, what, &fixed, r->err);
    if (status)
        return status;
    if (mth_load32(fixed) != CENTRAL_SIGNATURE)
        return refuse(r, at, "the central directory has no entry where one belongs");
    size_t n_name = mth_load16(fixed + 28), n_extra = mth_load16(fixed + 30),
           n_comment = mth_load16(fixed + 32);
    bool is_encrypted = mth_load16(fixed + 8) & FLAG_ENCRYPTED;
    uint16_t disk = mth_load16(fixed + 34);
    *member = (struct mth_zip_member){.central_crc_offset = at + 16,
                                      .local_crc_offset = MTH_ZIP_NO_OFFSET,
                                      .crc32 = mth_load32(fixed + 16),
                                      .n_bytes = mth_load32(fixed + 20),
                                      .header_offset = mth_load32(fixed + 42),
                                      .is_stored = mth_load16(fixed + 10) == 0 && !is_encrypted};
    n_original = mth_load32(fixed + 24);
    status = mth_window_take(&r->window, n_name, what, &name, r->err);
    if (status)
        return status;
    if (n_name == 0 || memchr(name, '\0', n_name))
        return refuse(r, at, "a member without a name, or with a NUL in it");
    status = add_name(r, name, n_name, member);
    if (!status)
        status = mth_window_take(&r->window, n_extra, what, &extra, r->err);
    if (!status)
        status = mth_window_skip(&r->window, n_comment, what, r->err);
    if (status)
        return status;
    uint64_t *const values[3] = {&n_original, &member->n_bytes, &member->header_offset};
    if (!read_extra64(extra, n_extra, values) || (disk != 0 && disk != UINT16_MAX))
        return refuse(r, at, "an extra field of a member does not parse");
    if (member->is_stored && n_original != member->n_bytes)
        return refuse(r, at, "a member is stored, but in another size than its own");
    return MTH_OK;
}

/* ---- local headers ---- */

/* Behind the data: the CRC-32, with a signature before it or without. */
static int find_descriptor(const struct reader *r, struct mth_zip_member *member)
{
    uint8_t bytes[8];
    uint64_t at = member->data_offset + member->n_bytes;
    if (r->central_offset - at < sizeof bytes)
        return MTH_OK;
    int status = mth_source_read(r->source, at, bytes, sizeof bytes, r->err);
    if (status)
        return status;
    if (mth_load32(bytes) == DESCRIPTOR_SIGNATURE && mth_load32(bytes + 4) == member->crc32)
        member->local_crc_offset = at + 4;
    else if (mth_load32(bytes) == member->crc32)
        member->local_crc_offset = at;
    return MTH_OK;
}

static int read_local(struct reader *r, struct mth_zip_member *member)
{
    uint8_t fixed[LOCAL_BYTES];
    const uint8_t *name;
    uint64_t at = member->header_offset;
    if (at > r->central_offset || r->central_offset - at < LOCAL_BYTES)
        return refuse(r, member->central_crc_offset, "a member that begins outside of the archive");
    int status = mth_source_read(r->source, at, fixed, sizeof fixed, r->err);
    if (status)
        return status;
    if (mth_load32(fixed) != LOCAL_SIGNATURE)
        return refuse(r, at, "no member where the central directory says that one begins");
    size_t n_name = mth_load16(fixed + 26), n_extra = mth_load16(fixed + 28);
    uint64_t room = r->central_offset - at - LOCAL_BYTES;
    if (n_name + n_extra > room || member->n_bytes > room - n_name - n_extra)
        return refuse(r, at, "a member that ends outside of the archive");
    mth_window_open(&r->window, r->source, at + LOCAL_BYTES, n_name);
    status = mth_window_take(&r->window, n_name, "the name of a zip member", &name, r->err);
    if (status)
        return status;
    if (n_name != member->n_name || memcmp(name, mth_zip_name(r->directory, member), n_name) != 0)
        return refuse(r, at, "a member has another name than the central directory gives it");
    member->data_offset = at + LOCAL_BYTES + n_name + n_extra;
    if (mth_load16(fixed + 6) & FLAG_DESCRIPTOR)
        return find_descriptor(r, member);
    if (mth_load32(fixed + 14) == member->crc32)
        member->local_crc_offset = at + 14;
    return MTH_OK;
}

/* ---- all members ---- */

struct place {
    uint64_t begin, end;
};

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

/* From its local header to the end of its data a member is alone. */
static int check_overlap(const struct reader *r)
{
    const struct mth_zip_directory *d = r->directory;
    struct place *places = mth_memory_calloc(d->memory, d->n_members, sizeof *places);
    bool in_order = true;
    if (!places)
        return no_memory(r);
    for (size_t i = 0; i < d->n_members; i++) {
        const struct mth_zip_member *member = &d->members[i];
        places[i] = (struct place){member->header_offset, member->data_offset + member->n_bytes};
        in_order &= i == 0 || places[i - 1].begin < places[i].begin;
    }
    /* Most archives are in file order already, and sorting may take memory that no account sees. */
    if (!in_order)
        qsort(places, d->n_members, sizeof *places, compare_places);
    int status = MTH_OK;
    for (size_t i = 1; i < d->n_members && !status; i++) {
        if (places[i].begin < places[i - 1].end)
            status = refuse(r, places[i].begin, "two members share bytes");
    }
    mth_memory_free(d->memory, places);
    return status;
}

/* The slot of a name: the one that holds it, or the free one where it belongs. At least half of them are free. */
static uint32_t *slot_of(const struct mth_zip_directory *d, const char *name, size_t n_name)
{
    /* Seeded with a digest of all names: whoever wants names to collide changes the seed by writing them. */
    size_t mask = d->n_slots - 1;
    size_t at = (size_t)mth_hash64(name, n_name, d->seed) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t taken = d->slots[at];
        const struct mth_zip_member *member = taken ? &d->members[taken - 1] : NULL;
        if (!member || (member->n_name == n_name && memcmp(mth_zip_name(d, member), name, n_name) == 0))
            return &d->slots[at];
    }
}

static int index_names(const struct reader *r)
{
    struct mth_zip_directory *d = r->directory;
    for (d->n_slots = 2; d->n_slots / 2 < d->n_members;)
        d->n_slots *= 2;
    d->seed = mth_hash64(d->text, d->n_text, 0);
    d->slots = mth_memory_calloc(d->memory, d->n_slots, sizeof *d->slots);
    if (!d->slots)
        return no_memory(r);
    for (size_t i = 0; i < d->n_members; i++) {
        const struct mth_zip_member *member = &d->members[i];
        uint32_t *slot = slot_of(d, mth_zip_name(d, member), member->n_name);
        if (*slot)
            return mth_error_set(r->err, MTH_ERR_FORMAT, "%s: the zip member '%.80s' is there twice",
                                 r->source->name, mth_zip_name(d, member));
        *slot = (uint32_t)(i + 1);
    }
    return MTH_OK;
}

static int read_members(struct reader *r)
{
    struct mth_zip_directory *d = r->directory;
    d->offset = r->central_offset;
    d->members = mth_memory_calloc(d->memory, (size_t)r->n_entries, sizeof *d->members);
    if (!d->members)
        return no_memory(r);
    mth_window_open(&r->window, r->source, r->central_offset, r->central_bytes);
    int status = MTH_OK;
    while (!status && d->n_members < r->n_entries)
        status = read_entry(r, &d->members[d->n_members++]);
    if (!status && mth_window_left(&r->window) != 0)
        status = refuse(r, r->window.offset, "the central directory goes on behind its last member");
    for (size_t i = 0; i < d->n_members && !status; i++)
        status = read_local(r, &d->members[i]);
    if (!status)
        status = check_overlap(r);
    if (!status)
        status = index_names(r);
    return status;
}

int mth_zip_directory_read(const struct mth_source *source, struct mth_memory *memory,
                           struct mth_zip_directory *directory, struct mth_error *err)
{
    *directory = (struct mth_zip_directory){.memory = memory};
    struct reader *r = mth_memory_alloc(memory, sizeof *r);
    if (!r)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory to read its directory of members",
                             source->name);
    r->source = source;
    r->directory = directory;
    r->err = err;
    int status = locate_central(r);
    if (!status)
        status = read_members(r);
    mth_memory_free(memory, r);
    if (status)
        mth_zip_directory_free(directory);
    return status;
}

void mth_zip_directory_free(struct mth_zip_directory *directory)
{
    mth_memory_free(directory->memory, directory->members);
    mth_memory_free(directory->memory, directory->text);
    mth_memory_free(directory->memory, directory->slots);
    *directory = (struct mth_zip_directory){.memory = directory->memory};
}

const struct mth_zip_member *mth_zip_find(const struct mth_zip_directory *directory, const char *name,
                                          size_t n_name)
{
    uint32_t taken = *slot_of(directory, name, n_name);
    return taken ? &directory->members[taken - 1] : NULL;
}
