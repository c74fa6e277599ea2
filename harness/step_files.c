/* A directory of step files; see step_files.h. */
#include "harness/step_files.h"

#include "base/checked.h"
#include "harness/folder_files.h"
#include "harness/set_plan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The number that the first n_stem bytes of a name end in; false when they end in none. */
static bool step_of_stem(const char *name, size_t n_stem, uint64_t *step)
{
    size_t first = n_stem;
    while (first > 0 && name[first - 1] >= '0' && name[first - 1] <= '9')
        first--;
    if (first == n_stem)
        return false;
    uint64_t value = 0;
    for (size_t i = first; i < n_stem; i++)
        if (!mth_u64_mul(value, 10, &value) || !mth_u64_add(value, (uint64_t)(name[i] - '0'), &value))
            return false;
    *step = value;
    return true;
}

/* Bytes before the extension of a checkpoint, 0 where it has none. */
static size_t stem_of(const char *name)
{
    static const char *const extensions[] = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"};
    size_t n_name = strlen(name), n_stem = 0;
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        size_t n_ext = strlen(extensions[i]);
        if (n_name > n_ext && strcmp(name + n_name - n_ext, extensions[i]) == 0)
            n_stem = n_name - n_ext;
    }
    return n_stem;
}

bool mth_step_of_file(const char *name, uint64_t *step)
{
    return step_of_stem(name, stem_of(name), step);
}

bool mth_step_of_directory(const char *name, uint64_t *step)
{
    /* Six letters that mkdtemp chose may end in a digit. What a rank wrote (mp_rank_00) is a part of a step. */
    return !mth_folder_is_unfinished(name) && !strstr(name, "rank") && step_of_stem(name, strlen(name), step);
}

static int is_set(void *arg, const char *path, bool *found, struct mth_error *err)
{
    struct mth_set_plan plan;
    (void)arg;
    int status = mth_set_plan_find(path, &plan, err);
    if (status)
        return status;
    *found = plan.kind != MTH_SET_NONE;
    mth_set_plan_free(&plan);
    return MTH_OK;
}

static int is_any(void *arg, const char *path, bool *found, struct mth_error *err)
{
    (void)arg, (void)path, (void)err;
    *found = true;
    return MTH_OK;
}

/* Who says of directories whether they are steps. */
struct judge {
    mth_step_judge *is_step;
    void *arg;
};

/* Is it a step: a regular file, or a directory that is taken for one? */
static int is_step(const char *path, const char *name, const struct judge *judge, uint64_t *step, bool *found,
                   struct mth_error *err)
{
    *found = mth_path_is_file(path) && mth_step_of_file(name, step);
    if (*found || !mth_path_is_directory(path) || !mth_step_of_directory(name, step))
        return MTH_OK;
    return judge->is_step(judge->arg, path, found, err);
}

static int by_step(const void *a, const void *b)
{
    uint64_t x = ((const struct mth_step_file *)a)->step, y = ((const struct mth_step_file *)b)->step;
    return (x > y) - (x < y);
}

/* Adds directory/name when it is a step. capacity is that of files->items. */
static int consider(const char *directory, const char *name, const struct judge *judge,
                    struct mth_step_files *files, size_t *capacity, struct mth_error *err)
{
    uint64_t step = 0;
    bool found = false;
    if (name[0] == '.')
        return MTH_OK;
    char *path = mth_path_join(directory, "/", name);
    int status = path ? is_step(path, name, judge, &step, &found, err)
                      : mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its files", directory);
    if (status || !found) {
        free(path);
        return status;
    }
    if (files->n_items == *capacity) {
        size_t grown = *capacity ? *capacity * 2 : 16;
        struct mth_step_file *items = realloc(files->items, grown * sizeof *items);
        if (!items) {
            free(path);
            return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its files", directory);
        }
        files->items = items;
        *capacity = grown;
    }
    files->items[files->n_items++] = (struct mth_step_file){.path = path, .step = step};
    return MTH_OK;
}

/* Sorts what was found, and refuses what can not be ordered. */
static int order(const char *directory, struct mth_step_files *files, struct mth_error *err)
{
    if (files->n_items == 0)
        return mth_error_set(
            err, MTH_ERR_NOT_FOUND,
            "%s: neither a checkpoint of several files nor a run of steps (step-1000.safetensors, or "
            "directories step-1000 of shards; the number last)",
            directory);
    qsort(files->items, files->n_items, sizeof *files->items, by_step);
    for (size_t i = 1; i < files->n_items; i++)
        if (files->items[i].step == files->items[i - 1].step)
            return mth_error_set(err, MTH_ERR_USAGE, "%s: two checkpoints of step %llu: %s and %s", directory,
                                 (unsigned long long)files->items[i].step,
                                 strrchr(files->items[i - 1].path, '/') + 1,
                                 strrchr(files->items[i].path, '/') + 1);
    return MTH_OK;
}

static int list(const char *directory, const struct judge *judge, struct mth_step_files *files,
                struct mth_error *err)
{
    struct mth_names names;
    size_t capacity = 0;
    *files = (struct mth_step_files){0};
    int status = mth_names_list(directory, &names, err);
    if (status)
        return status;
    for (size_t i = 0; i < names.n_items && !status; i++)
        status = consider(directory, names.items[i], judge, files, &capacity, err);
    mth_names_free(&names);
    if (!status)
        status = order(directory, files, err);
    if (status)
        mth_step_files_free(files);
    return status;
}

int mth_step_files_list(const char *directory, struct mth_step_files *files, struct mth_error *err)
{
    return list(directory, &(struct judge){.is_step = is_set}, files, err);
}

int mth_step_files_list_judged(const char *directory, mth_step_judge *judge, void *arg,
                               struct mth_step_files *files, struct mth_error *err)
{
    return list(directory, &(struct judge){.is_step = judge, .arg = arg}, files, err);
}

int mth_step_files_list_folders(const char *directory, struct mth_step_files *files, struct mth_error *err)
{
    return list(directory, &(struct judge){.is_step = is_any}, files, err);
}

/* What the names in a directory say of the checkpoints in it. */
struct series {
    const char *first, *second; /* of one name but for the number */
    const char *odd;            /* of another name, or without a number */
    size_t n_directories;       /* of steps */
    bool counts; /* the numbers are 0, 1, 2 .. or 1, 2, 3 ..: as ranks and shards have, and some runs */
};

static uint64_t number_of(const char *name)
{
    uint64_t step;
    return mth_step_of_file(name, &step) ? step : UINT64_MAX;
}

/* Bytes before the number that a file's name ends in; all of its stem where there is none. */
static size_t prefix_of(const char *name)
{
    size_t n = stem_of(name);
    while (n > 0 && name[n - 1] >= '0' && name[n - 1] <= '9')
        n--;
    return n;
}

static bool is_alike(const char *a, const char *b)
{
    return prefix_of(a) == prefix_of(b) && memcmp(a, b, prefix_of(a)) == 0;
}

/* How many files of the series there are, and the least and the largest of their numbers. */
static void count_series(const struct mth_names *names, struct series *series)
{
    uint64_t least = UINT64_MAX, most = 0, n = 0;
    for (size_t i = 0; i < names->n_items; i++) {
        uint64_t number = number_of(names->items[i]);
        if (number == UINT64_MAX || !is_alike(names->items[i], series->first))
            continue;
        series->second = n == 1 ? names->items[i] : series->second;
        least = number < least ? number : least;
        most = number > most ? number : most;
        n++;
    }
    series->counts = least <= 1 && most - least + 1 == n;
}

/* The series is that of the first file that has a second one like it, or of the first alone. */
static struct series find_series(const char *path, const struct mth_names *names)
{
    struct series series = {0}, found;
    uint64_t own, step;
    bool has_own = mth_step_of_directory(mth_path_name(path), &own);
    for (size_t i = 0; i < names->n_items; i++) {
        const char *name = names->items[i];
        if (stem_of(name) == 0) {
            char *inner = mth_path_join(path, "/", name);
            /* checkpoint-70/global_step70 is a part of that step. */
            series.n_directories += inner && mth_path_is_directory(inner) &&
                                    mth_step_of_directory(name, &step) && !(has_own && step == own);
            free(inner);
        } else if (number_of(name) != UINT64_MAX && !series.second) {
            found = (struct series){.first = name};
            count_series(names, &found);
            if (!series.first || found.second) {
                found.n_directories = series.n_directories;
                series = found;
            }
        }
    }
    for (size_t i = 0; i < names->n_items && !series.odd; i++)
        if (stem_of(names->items[i]) != 0 && (!series.first || number_of(names->items[i]) == UINT64_MAX ||
                                              !is_alike(names->items[i], series.first)))
            series.odd = names->items[i];
    return series;
}

/* Of a directory whose name ends in a number, and that is no set. */
static int judge(const char *path, const struct mth_names *names, bool *is_step, struct mth_error *err)
{
    const struct series series = find_series(path, names);
    /* Steps 10, 20 and a file beside: nothing tells a run with its best checkpoint from a step with files of parts. */
    if (series.second && series.odd && !series.counts)
        return mth_error_set(
            err, MTH_ERR_USAGE,
            "%s: one step, or a run of steps (%s, %s) with another file (%s)? --step N adds it as one; "
            "the files named one by one are added as steps",
            path, series.first, series.second, series.odd);
    *is_step = series.odd || !(series.first || series.n_directories);
    return MTH_OK;
}

int mth_step_is_directory(const char *path, bool *is_step, struct mth_error *err)
{
    struct mth_names names;
    struct mth_set_plan plan;
    struct mth_error unfit;
    uint64_t step;
    *is_step = false;
    if (!mth_path_is_directory(path))
        return MTH_OK;
    /* Shards of which some are missing are a set, too. */
    int status = mth_set_plan_find(path, &plan, &unfit);
    *is_step = status || plan.kind != MTH_SET_NONE;
    if (!status)
        mth_set_plan_free(&plan);
    if (*is_step || !mth_step_of_directory(mth_path_name(path), &step))
        return MTH_OK;
    status = mth_names_list(path, &names, err);
    if (status)
        return status;
    status = judge(path, &names, is_step, err);
    mth_names_free(&names);
    return status;
}

int mth_step_may_be_directory(const char *path, bool *may_be, struct mth_error *err)
{
    struct mth_names names;
    struct mth_error why;
    uint64_t step;
    int status = mth_step_is_directory(path, may_be, &why);
    if (!status && (*may_be || mth_step_of_directory(mth_path_name(path), &step)))
        return MTH_OK;
    if (!status)
        status = mth_names_list(path, &names, &why);
    if (status) {
        *may_be = false;
        return status == MTH_ERR_NO_MEMORY ? mth_error_set(err, status, "%s", why.text) : MTH_OK;
    }
    const struct series series = find_series(path, &names);
    *may_be = series.n_directories == 0 && (!series.second || series.counts);
    mth_names_free(&names);
    return MTH_OK;
}

void mth_step_files_free(struct mth_step_files *files)
{
    for (size_t i = 0; i < files->n_items; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (struct mth_step_files){0};
}
