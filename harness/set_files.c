/* A checkpoint of several files; see set_files.h. */
#include "harness/set_files.h"

#include "formats/dcp.h"
#include "formats/file_set.h"
#include "formats/name_index.h"
#include "formats/param_names.h"
#include "formats/shard_index.h"
#include "harness/opened.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Files that nobody reads from now are closed when more than this many are open. A container keeps what it decoded last. */
enum { MAX_OPEN_FILES = 64, MAX_OPEN_CONTAINERS = 3 };

struct member {
    char *name; /* the container's suffix left out */
    char *path;
    uint64_t n_bytes;
    struct mth_opened *opened; /* NULL: closed now */
    size_t n_users;
    uint64_t last_use;
    bool is_container, needs_base;
};

struct mth_set_files {
    const char *path;
    struct mth_memory *memory;
    size_t n_threads;
    const struct mth_stream_base *base;
    struct mth_set_plan plan;
    struct member *members;
    size_t n_members;
    struct mth_file_set files;
    struct mth_shard_index index;
    struct mth_dcp dcp;
    bool has_index, has_dcp;
    pthread_mutex_t lock;
    size_t n_open[2]; /* files, containers */
    uint64_t clock;
};

static int no_memory(const char *path, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its files", path);
}

/* ---- members that are open; called with the lock held ---- */

static void close_member(struct mth_set_files *set, struct member *member)
{
    if (!member->opened)
        return;
    mth_opened_close(member->opened);
    free(member->opened);
    member->opened = NULL;
    set->n_open[member->is_container]--;
}

/* Of the members that nobody reads from the one that was not used for the longest time. */
static void close_idle(struct mth_set_files *set, bool is_container)
{
    struct member *oldest = NULL;
    for (size_t i = 0; i < set->n_members; i++) {
        struct member *member = &set->members[i];
        if (member->opened && member->n_users == 0 && member->is_container == is_container &&
            (!oldest || member->last_use < oldest->last_use))
            oldest = member;
    }
    if (oldest)
        close_member(set, oldest);
}

static int give_base(const struct mth_set_files *set, struct member *member, struct mth_error *err)
{
    struct mth_container_info info;
    mth_container_describe(member->opened->container, &info);
    member->needs_base = info.has_base;
    /* Without its base a container still gives what was not coded against it. */
    if (!info.has_base || !set->base)
        return MTH_OK;
    struct mth_stream_base base = *set->base;
    base.older = info.has_older ? base.older : NULL;
    int status = mth_container_set_base(member->opened->container, &base, err);
    return status ? mth_opened_blame(member->path, err) : MTH_OK;
}

static int open_member(struct mth_set_files *set, struct member *member, struct mth_error *err)
{
    struct mth_opened *opened = calloc(1, sizeof *opened);
    if (!opened)
        return no_memory(member->path, err);
    int status = mth_opened_open(opened, member->path, set->n_threads, set->memory, err);
    if (status) {
        mth_opened_close(opened);
        free(opened);
        return status;
    }
    member->opened = opened;
    member->is_container = opened->container != NULL;
    set->n_open[member->is_container]++;
    status = member->is_container ? give_base(set, member, err) : MTH_OK;
    if (status)
        close_member(set, member);
    return status;
}

static int take(struct mth_set_files *set, struct member *member, struct mth_error *err)
{
    static const size_t most[2] = {MAX_OPEN_FILES, MAX_OPEN_CONTAINERS};
    int status = MTH_OK;
    pthread_mutex_lock(&set->lock);
    if (!member->opened) {
        if (set->n_open[member->is_container] >= most[member->is_container])
            close_idle(set, member->is_container);
        status = open_member(set, member, err);
        if (!status && member->opened->source.n_bytes != member->n_bytes) {
            close_member(set, member);
            status =
                mth_error_set(err, MTH_ERR_TRUNCATED, "%s: became another while it was read", member->path);
        }
    }
    if (!status) {
        member->n_users++;
        member->last_use = ++set->clock;
    }
    pthread_mutex_unlock(&set->lock);
    return status;
}

static void give_back(struct mth_set_files *set, struct member *member)
{
    pthread_mutex_lock(&set->lock);
    member->n_users--;
    pthread_mutex_unlock(&set->lock);
}

static int read_member(void *state, size_t index, uint64_t offset, void *dst, size_t n_bytes,
                       struct mth_error *err)
{
    struct mth_set_files *set = state;
    struct member *member = &set->members[index];
    int status = take(set, member, err);
    if (status)
        return status;
    status = mth_source_read(&member->opened->source, offset, dst, n_bytes, err);
    give_back(set, member);
    return status;
}

/* ---- which files there are ---- */

/* Errors name the directory, and the file that says that this one belongs to it. */
static int add_member(struct mth_set_files *set, const char *name, struct mth_error *err)
{
    struct member *grown = realloc(set->members, (set->n_members + 1) * sizeof *grown);
    if (!grown)
        return no_memory(set->path, err);
    set->members = grown;
    struct member *member = &grown[set->n_members];
    *member =
        (struct member){.name = mth_path_join(name, "", ""), .path = mth_set_path(set->plan.directory, name)};
    set->n_members++;
    if (!member->name)
        return no_memory(set->path, err);
    const char *lead = set->plan.lead && strcmp(set->plan.lead, name) != 0 ? set->plan.lead : NULL;
    if (!member->path)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s: '%.100s'%s%.100s%s is not there", set->path, name,
                             lead ? ", which belongs to " : "", lead ? lead : "", lead ? "," : "");
    int status = open_member(set, member, err);
    if (status)
        return status;
    member->n_bytes = member->opened->source.n_bytes;
    close_member(set, member);
    status = mth_file_set_add(&set->files, member->n_bytes);
    return status ? mth_error_set(err, status, "%s: %s", member->path, mth_status_text(status)) : MTH_OK;
}

static int read_lead(struct mth_set_files *set, struct mth_error *err)
{
    struct mth_set_view view;
    struct mth_source source;
    int status = add_member(set, set->plan.lead, err);
    if (status)
        return status;
    mth_file_set_member_source(&set->files, 0, set->members[0].path, &view, &source);
    if (set->plan.kind == MTH_SET_INDEX) {
        status = mth_shard_index_read(&source, set->memory, &set->index, err);
        set->has_index = !status;
    } else {
        status = mth_dcp_read(&source, set->memory, &set->dcp, err);
        set->has_dcp = !status;
    }
    return status;
}

static int add_members(struct mth_set_files *set, struct mth_error *err)
{
    int status = set->plan.lead ? read_lead(set, err) : MTH_OK;
    for (size_t i = 0; !status && i < set->plan.shards.n_items; i++)
        status = add_member(set, set->plan.shards.items[i], err);
    for (size_t i = 0; !status && set->has_index && i < set->index.n_shards; i++)
        status = add_member(set, mth_shard_name(&set->index, i), err);
    for (size_t i = 0; !status && set->has_dcp && i < set->dcp.n_files; i++)
        status = add_member(set, mth_dcp_file_name(&set->dcp, i), err);
    return status;
}

int mth_set_files_open(struct mth_set_files **out, const char *path, struct mth_set_plan *plan,
                       size_t n_threads, struct mth_memory *memory, struct mth_error *err)
{
    struct mth_set_files *set = calloc(1, sizeof *set);
    *out = NULL;
    if (!set) {
        mth_set_plan_free(plan);
        return no_memory(path, err);
    }
    set->path = path;
    set->memory = memory;
    set->n_threads = n_threads;
    set->plan = *plan;
    *plan = (struct mth_set_plan){.kind = MTH_SET_NONE};
    pthread_mutex_init(&set->lock, NULL);
    mth_file_set_init(&set->files, path, read_member, set, memory);
    int status = add_members(set, err);
    if (status) {
        mth_set_files_close(set);
        return mth_opened_blame(path, err);
    }
    *out = set;
    return MTH_OK;
}

void mth_set_files_close(struct mth_set_files *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->n_members; i++) {
        close_member(set, &set->members[i]);
        free(set->members[i].name);
        free(set->members[i].path);
    }
    free(set->members);
    if (set->has_index)
        mth_shard_index_free(&set->index);
    if (set->has_dcp)
        mth_dcp_free(&set->dcp);
    mth_file_set_free(&set->files);
    mth_set_plan_free(&set->plan);
    pthread_mutex_destroy(&set->lock);
    free(set);
}

bool mth_set_files_need_base(const struct mth_set_files *set)
{
    for (size_t i = 0; i < set->n_members; i++) {
        if (set->members[i].needs_base)
            return true;
    }
    return false;
}

void mth_set_files_set_base(struct mth_set_files *set, const struct mth_stream_base *base)
{
    /* Opened anew they look for what they refer to. */
    for (size_t i = 0; i < set->n_members; i++)
        close_member(set, &set->members[i]);
    set->base = base;
}

bool mth_set_files_have(const struct mth_set_files *set, const char *name)
{
    for (size_t i = 0; i < set->n_members; i++) {
        if (strcmp(set->members[i].name, name) == 0)
            return true;
    }
    return false;
}

void mth_set_files_source(struct mth_set_files *set, struct mth_source *source)
{
    mth_file_set_source(&set->files, source);
}

bool mth_set_files_hold(const struct mth_set_files *set, const char *path)
{
    for (size_t i = 0; i < set->n_members; i++) {
        if (mth_path_is_same(set->members[i].path, path))
            return true;
    }
    return false;
}

static int copy_shards(const struct mth_shard_index *index, struct mth_names *shards, struct mth_error *err)
{
    shards->items = calloc(index->n_shards, sizeof *shards->items);
    if (!shards->items)
        return no_memory(index->name, err);
    for (; shards->n_items < index->n_shards; shards->n_items++) {
        shards->items[shards->n_items] = mth_path_join(mth_shard_name(index, shards->n_items), "", "");
        if (!shards->items[shards->n_items])
            return no_memory(index->name, err);
    }
    return MTH_OK;
}

int mth_set_shards_of(const char *index_path, struct mth_names *shards, struct mth_error *err)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_source source;
    struct mth_shard_index index;
    *shards = (struct mth_names){0};
    if (!memory)
        return no_memory(index_path, err);
    int status = mth_source_open(index_path, &source, err);
    if (!status) {
        status = mth_shard_index_read(&source, memory, &index, err);
        mth_source_close(&source);
        if (!status) {
            status = copy_shards(&index, shards, err);
            mth_shard_index_free(&index);
        }
    }
    if (status)
        mth_names_free(shards);
    mth_memory_destroy(memory);
    return status;
}

/* ---- the map ---- */

static int add_lead(const struct mth_set_files *set, struct mth_region_map *map, struct mth_error *err)
{
    int status = mth_region_map_add_region(map, 0, set->members[0].n_bytes, MTH_DTYPE_OPAQUE, NULL);
    return status ? no_memory(set->path, err) : MTH_OK;
}

static int add_map(struct mth_set_files *set, size_t i, struct mth_region_map *map, size_t *n_unlisted,
                   struct mth_error *err)
{
    const struct member *member = &set->members[i];
    struct mth_set_view view;
    struct mth_source source;
    struct mth_region_map part;
    size_t n_more = 0;
    struct mth_format_options options = {
        .raw_dtype = MTH_N_DTYPES, .name = member->name, .dcp = set->has_dcp ? &set->dcp : NULL};
    mth_file_set_member_source(&set->files, i, member->path, &view, &source);
    int status = mth_format_map(&source, &options, set->memory, &part, err);
    if (status)
        return status;
    if (set->has_index)
        status = mth_shard_index_check(&set->index, i - 1, &part, &n_more, err);
    *n_unlisted += n_more;
    if (!status) {
        status = mth_region_map_append(map, &part, set->files.begins[i]);
        if (status)
            mth_error_set(err, status, "%s: %s", member->path, mth_status_text(status));
    }
    mth_region_map_free(&part);
    return status;
}

int mth_set_files_map(struct mth_set_files *set, struct mth_region_map *map, size_t *n_unlisted,
                      struct mth_error *err)
{
    static const char *const names[] = {
        [MTH_SET_INDEX] = "shards", [MTH_SET_SHARDS] = "shards", [MTH_SET_DCP] = "dcp"};
    mth_region_map_init(map, set->memory, names[set->plan.kind], set->files.n_bytes);
    *n_unlisted = 0;
    int status = set->plan.lead ? add_lead(set, map, err) : MTH_OK;
    for (size_t i = set->plan.lead ? 1 : 0; i < set->n_members && !status; i++)
        status = add_map(set, i, map, n_unlisted, err);
    if (!status) {
        status = mth_name_index_make_unique(map);
        if (!status && set->has_dcp)
            status = mth_params_match_names(map);
        if (!status)
            status = mth_region_map_check(map);
        if (status)
            mth_error_set(err, status, "%s: %s", set->path, mth_status_text(status));
    }
    if (status) {
        mth_region_map_free(map);
        return mth_opened_blame(set->path, err);
    }
    return MTH_OK;
}
