/*
 * Several files that are one checkpoint: one source, in which they lie one behind the other, and one map.
 *
 * The order of the members is for whoever adds them; docs/formats.md says which it is. Opening and reading them is not
 * done here: a function of the caller reads from a member.
 */
#ifndef MTH_FORMATS_FILE_SET_H
#define MTH_FORMATS_FILE_SET_H

#include "formats/region_map.h"

#include <stdbool.h>

/* As many files as a directory may be asked to hold for one checkpoint. */
enum { MTH_SET_MAX_MEMBERS = 1 << 20, MTH_SET_NAME_MAX_BYTES = 255 };

/* Reads from a member: a range that lies inside of it; by several threads at once. */
typedef int mth_set_read(void *state, size_t member, uint64_t offset, void *dst, size_t n_bytes,
                         struct mth_error *err);

struct mth_file_set {
    struct mth_memory *memory;
    const char *name; /* of the whole, for messages; borrowed */
    uint64_t *begins; /* of each member in the whole */
    size_t n_members, capacity;
    uint64_t n_bytes;
    mth_set_read *read;
    void *state;
};

void mth_file_set_init(struct mth_file_set *set, const char *name, mth_set_read *read, void *state,
                       struct mth_memory *memory);
void mth_file_set_free(struct mth_file_set *set);

/* Put a file behind the others. Errors: MTH_ERR_OVERFLOW, MTH_ERR_LIMIT, MTH_ERR_NO_MEMORY. */
int mth_file_set_add(struct mth_file_set *set, uint64_t n_bytes);

uint64_t mth_file_set_bytes_of(const struct mth_file_set *set, size_t member);

/* The whole as a source, which borrows the set. Reads may span members. */
void mth_file_set_source(struct mth_file_set *set, struct mth_source *source);
/* One member as a source. state: what it borrows while it is in use. */
struct mth_set_view {
    struct mth_file_set *set;
    size_t member;
};
void mth_file_set_member_source(struct mth_file_set *set, size_t member, const char *name,
                                struct mth_set_view *view, struct mth_source *source);

/*
 * May a file that a checkpoint names be looked for beside it? It is one name: not empty, without slashes, backslashes
 * and control characters, neither "." nor "..", at most MTH_SET_NAME_MAX_BYTES long.
 */
bool mth_set_name_is_plain(const char *name, size_t n_name);

/* "PREFIX-00001-of-00003.EXT": a shard by its name. PREFIX and EXT may hold anything; both numbers have five digits or
 * more, and as many as each other. */
struct mth_shard_name {
    size_t n_prefix;       /* bytes before "-00001-of-" */
    const char *extension; /* from its dot on */
    uint64_t number, n_shards;
};
bool mth_shard_name_parse(const char *name, struct mth_shard_name *shard);

#endif
