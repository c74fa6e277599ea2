/* Which files are one checkpoint; see set_plan.h. */
#include "harness/set_plan.h"

#include "formats/dcp.h"
#include "formats/file_set.h"
#include "harness/opened.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_SUFFIX    ".index.json"
#define PREFERRED_INDEX ".safetensors.index.json"

static const char *const shard_extensions[] = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"};

enum { N_SHARD_EXTENSIONS = sizeof shard_extensions / sizeof shard_extensions[0] };

static int no_memory(const char *path, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for the names of its files", path);
}

char *mth_set_plain_name(const char *name)
{
    char *copy = mth_path_join(name, "", "");
    if (copy && mth_path_ends_in(name, MTH_CONTAINER_SUFFIX))
        copy[strlen(name) - strlen(MTH_CONTAINER_SUFFIX)] = '\0';
    return copy;
}

bool mth_set_is_index(const char *path)
{
    return mth_path_ends_in(mth_path_name(path), INDEX_SUFFIX);
}

bool mth_set_is_lead(const char *path)
{
    return mth_set_is_index(path) || strcmp(mth_path_name(path), MTH_DCP_METADATA_NAME) == 0;
}

char *mth_set_path(const char *directory, const char *name)
{
    char *path =
        strcmp(directory, ".") == 0 ? mth_path_join(name, "", "") : mth_path_join(directory, "/", name);
    if (!path || mth_path_is_file(path))
        return path;
    char *packed = mth_path_join(path, MTH_CONTAINER_SUFFIX, "");
    free(path);
    if (packed && mth_path_is_file(packed))
        return packed;
    free(packed);
    return NULL;
}

/* Is one of several indexes the one that is meant? That of the safetensors is, where it is one alone. */
static int choose_index(const char *directory, const struct mth_names *names, char **lead,
                        struct mth_error *err)
{
    const char *first = NULL, *second = NULL, *preferred = NULL;
    bool is_unclear = false;
    for (size_t i = 0; i < names->n_items; i++) {
        const char *name = names->items[i];
        if (!mth_path_ends_in(name, INDEX_SUFFIX))
            continue;
        second = first ? name : second;
        first = first ? first : name;
        if (mth_path_ends_in(name, PREFERRED_INDEX)) {
            is_unclear |= preferred != NULL;
            preferred = name;
        }
    }
    if (is_unclear || (second && !preferred))
        return mth_error_set(err, MTH_ERR_USAGE, "%s: holds several indexes, '%.80s' and '%.80s'; name one",
                             directory, first, second);
    if (!first)
        return MTH_OK;
    *lead = mth_path_join(preferred ? preferred : first, "", "");
    return *lead ? MTH_OK : no_memory(directory, err);
}

static bool is_shard(const char *name, struct mth_shard_name *shard)
{
    if (!mth_shard_name_parse(name, shard))
        return false;
    for (size_t i = 0; i < N_SHARD_EXTENSIONS; i++) {
        if (strcmp(shard->extension, shard_extensions[i]) == 0)
            return true;
    }
    return false;
}

static bool same_family(const char *a, const struct mth_shard_name *of_a, const char *b,
                        const struct mth_shard_name *of_b)
{
    return of_a->n_prefix == of_b->n_prefix && of_a->n_shards == of_b->n_shards &&
           memcmp(a, b, of_a->n_prefix) == 0 && strcmp(of_a->extension, of_b->extension) == 0;
}

/* Shards without an index. They are sorted by name, and so by number, and each is there once. */
static int choose_shards(const char *directory, const struct mth_names *names, struct mth_set_plan *plan,
                         struct mth_error *err)
{
    const char *first = NULL;
    struct mth_shard_name family = {0}, shard;
    uint64_t n_found = 0;
    for (size_t i = 0; i < names->n_items; i++) {
        const char *name = names->items[i];
        if (!is_shard(name, &shard))
            continue;
        if (!first) {
            first = name;
            family = shard;
        }
        if (!same_family(first, &family, name, &shard))
            return mth_error_set(err, MTH_ERR_USAGE,
                                 "%s: holds shards of several models, '%.80s' and '%.80s', and no index",
                                 directory, first, name);
        if (shard.number != n_found + 1)
            break;
        n_found++;
    }
    if (!first)
        return MTH_OK;
    if (n_found != family.n_shards)
        return mth_error_set(err, MTH_ERR_FORMAT,
                             "%s: of the shards '%.*s-*%.20s' number %llu of %llu is missing", directory,
                             (int)(family.n_prefix < 80 ? family.n_prefix : 80), first, family.extension,
                             (unsigned long long)(n_found + 1), (unsigned long long)family.n_shards);
    plan->shards.items = calloc(names->n_items, sizeof *plan->shards.items);
    if (!plan->shards.items)
        return no_memory(directory, err);
    for (size_t i = 0; i < names->n_items; i++) {
        if (!is_shard(names->items[i], &shard))
            continue;
        char *copy = mth_path_join(names->items[i], "", "");
        if (!copy)
            return no_memory(directory, err);
        plan->shards.items[plan->shards.n_items++] = copy;
    }
    plan->kind = MTH_SET_SHARDS;
    return MTH_OK;
}

/* Takes the containers' suffix off all names; of a file that is there in both forms one name stays. */
static int plain_names(struct mth_names *names)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < names->n_items; i++) {
        char *plain = mth_set_plain_name(names->items[i]);
        if (!plain)
            return MTH_ERR_NO_MEMORY;
        free(names->items[i]);
        names->items[i] = plain;
    }
    mth_names_sort(names);
    for (size_t i = 0; i < names->n_items; i++) {
        if (n_kept && strcmp(names->items[n_kept - 1], names->items[i]) == 0)
            free(names->items[i]);
        else
            names->items[n_kept++] = names->items[i];
    }
    names->n_items = n_kept;
    return MTH_OK;
}

static int find_in_directory(const char *path, struct mth_set_plan *plan, struct mth_error *err)
{
    struct mth_names names;
    int status = mth_names_list(path, &names, err);
    if (status)
        return status;
    plan->directory = mth_path_trimmed(path);
    if (!plan->directory || plain_names(&names)) {
        status = no_memory(path, err);
    } else if (mth_names_have(&names, MTH_DCP_METADATA_NAME)) {
        plan->kind = MTH_SET_DCP;
        plan->lead = mth_path_join(MTH_DCP_METADATA_NAME, "", "");
        status = plan->lead ? MTH_OK : no_memory(path, err);
    } else {
        status = choose_index(path, &names, &plan->lead, err);
        if (plan->lead)
            plan->kind = MTH_SET_INDEX;
        else if (!status)
            status = choose_shards(path, &names, plan, err);
    }
    mth_names_free(&names);
    return status;
}

static int find_lead(const char *path, struct mth_set_plan *plan, struct mth_error *err)
{
    plan->lead = mth_set_plain_name(mth_path_name(path));
    plan->directory = mth_path_directory(path);
    if (!plan->lead || !plan->directory)
        return no_memory(path, err);
    if (mth_set_is_lead(plan->lead))
        plan->kind = mth_set_is_index(plan->lead) ? MTH_SET_INDEX : MTH_SET_DCP;
    return MTH_OK;
}

int mth_set_plan_find(const char *path, struct mth_set_plan *plan, struct mth_error *err)
{
    int status = MTH_OK;
    *plan = (struct mth_set_plan){.kind = MTH_SET_NONE};
    if (mth_path_is_directory(path))
        status = find_in_directory(path, plan, err);
    else if (mth_path_is_file(path))
        status = find_lead(path, plan, err);
    if (status || plan->kind == MTH_SET_NONE)
        mth_set_plan_free(plan);
    return status;
}

void mth_set_plan_free(struct mth_set_plan *plan)
{
    free(plan->directory);
    free(plan->lead);
    mth_names_free(&plan->shards);
    *plan = (struct mth_set_plan){.kind = MTH_SET_NONE};
}
