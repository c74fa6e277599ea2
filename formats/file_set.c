/* Several files as one; see file_set.h. */
#include "formats/file_set.h"

#include "base/checked.h"

#include <string.h>

void mth_file_set_init(struct mth_file_set *set, const char *name, mth_set_read *read, void *state,
                       struct mth_memory *memory)
{
    *set = (struct mth_file_set){.memory = memory, .name = name, .read = read, .state = state};
}

void mth_file_set_free(struct mth_file_set *set)
{
    if (set->memory)
        mth_memory_free(set->memory, set->begins);
    *set = (struct mth_file_set){.memory = set->memory};
}

int mth_file_set_add(struct mth_file_set *set, uint64_t n_bytes)
{
    uint64_t end;
    if (!mth_u64_add(set->n_bytes, n_bytes, &end))
        return MTH_ERR_OVERFLOW;
    if (set->n_members == MTH_SET_MAX_MEMBERS)
        return MTH_ERR_LIMIT;
    if (set->n_members == set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 16;
        uint64_t *grown = mth_memory_realloc(set->memory, set->begins, capacity * sizeof *grown);
        if (!grown)
            return MTH_ERR_NO_MEMORY;
        set->begins = grown;
        set->capacity = capacity;
    }
    set->begins[set->n_members++] = set->n_bytes;
    set->n_bytes = end;
    return MTH_OK;
}

uint64_t mth_file_set_bytes_of(const struct mth_file_set *set, size_t member)
{
    uint64_t end = member + 1 < set->n_members ? set->begins[member + 1] : set->n_bytes;
    return end - set->begins[member];
}

/* The last member that begins at or before an offset: the one that holds it, since empty ones come before. */
static size_t member_at(const struct mth_file_set *set, uint64_t offset)
{
    size_t low = 0, high = set->n_members;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (set->begins[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int read_whole(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    const struct mth_file_set *set = state;
    uint8_t *out = dst;
    int status = MTH_OK;
    while (n_bytes > 0 && !status) {
        size_t member = member_at(set, offset);
        uint64_t inside = offset - set->begins[member], left = mth_file_set_bytes_of(set, member) - inside;
        size_t n = left < n_bytes ? (size_t)left : n_bytes;
        status = set->read(set->state, member, inside, out, n, err);
        out += n;
        offset += n;
        n_bytes -= n;
    }
    return status;
}

void mth_file_set_source(struct mth_file_set *set, struct mth_source *source)
{
    *source = (struct mth_source){
        .name = set->name, .n_bytes = set->n_bytes, .fd = -1, .read = read_whole, .state = set};
}

static int read_member(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    const struct mth_set_view *view = state;
    return n_bytes ? view->set->read(view->set->state, view->member, offset, dst, n_bytes, err) : MTH_OK;
}

void mth_file_set_member_source(struct mth_file_set *set, size_t member, const char *name,
                                struct mth_set_view *view, struct mth_source *source)
{
    *view = (struct mth_set_view){set, member};
    *source = (struct mth_source){.name = name,
                                  .n_bytes = mth_file_set_bytes_of(set, member),
                                  .fd = -1,
                                  .read = read_member,
                                  .state = view};
}

bool mth_set_name_is_plain(const char *name, size_t n_name)
{
    if (n_name == 0 || n_name > MTH_SET_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < n_name; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
            return false;
    }
    return !(n_name == 1 && name[0] == '.') && !(n_name == 2 && name[0] == '.' && name[1] == '.');
}

/* The number that n_digits digits are; false for anything else. */
static bool read_digits(const char *text, size_t n_digits, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < n_digits; i++) {
        if (text[i] < '0' || text[i] > '9' || !mth_u64_mul(*value, 10, value) ||
            !mth_u64_add(*value, (uint64_t)(text[i] - '0'), value))
            return false;
    }
    return n_digits > 0;
}

bool mth_shard_name_parse(const char *name, struct mth_shard_name *shard)
{
    static const char between[] = "-of-";
    enum { MIN_DIGITS = 5, N_BETWEEN = sizeof between - 1 };
    size_t n_name = strlen(name);
    /* The last place where it could be: a prefix may hold anything. */
    for (size_t at = n_name; at-- > 0;) {
        size_t n_digits = 0;
        if (strncmp(name + at, between, N_BETWEEN) != 0)
            continue;
        const char *behind = name + at + N_BETWEEN;
        while (behind[n_digits] >= '0' && behind[n_digits] <= '9')
            n_digits++;
        if (n_digits < MIN_DIGITS || behind[n_digits] != '.' || at < n_digits + 1 ||
            name[at - n_digits - 1] != '-' || !read_digits(name + at - n_digits, n_digits, &shard->number) ||
            !read_digits(behind, n_digits, &shard->n_shards))
            continue;
        shard->n_prefix = at - n_digits - 1;
        shard->extension = behind + n_digits;
        return shard->number >= 1 && shard->number <= shard->n_shards;
    }
    return false;
}
