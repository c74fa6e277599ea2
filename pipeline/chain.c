/* A chain in memory: its steps in order, what each costs to restore; see mithril.h. */
#include "pipeline/chain.h"

#include "base/checked.h"
#include "base/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_STEPS = 16 };

void mth_chain_free(struct mth_chain *chain)
{
    if (chain->memory) {
        mth_memory_free(chain->memory, chain->spec);
        mth_memory_free(chain->memory, chain->steps);
    }
    *chain = (struct mth_chain){0};
}

/* The first step of a number that is not smaller. */
static size_t lower_bound(const struct mth_chain *chain, uint64_t number)
{
    size_t low = 0, high = chain->n_steps;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chain->steps[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t mth_chain_find(const struct mth_chain *chain, uint64_t number)
{
    size_t at = lower_bound(chain, number);
    return at < chain->n_steps && chain->steps[at].number == number ? at : chain->n_steps;
}

size_t mth_chain_base_of(const struct mth_chain *chain, size_t index)
{
    bool has_base = index < chain->n_steps && chain->steps[index].has_base;
    return has_base ? mth_chain_find(chain, chain->steps[index].base) : chain->n_steps;
}

static int grow(struct mth_chain *chain, struct mth_error *err)
{
    size_t capacity = chain->capacity ? chain->capacity : FIRST_STEPS / 2, n_bytes;
    struct mth_chain_step *steps = NULL;
    if (mth_size_mul(capacity, 2 * sizeof *steps, &n_bytes))
        steps = mth_memory_realloc(chain->memory, chain->steps, n_bytes);
    if (!steps)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the steps of a chain");
    chain->steps = steps;
    chain->capacity = 2 * capacity;
    return MTH_OK;
}

int mth_chain_put(struct mth_chain *chain, const struct mth_chain_step *step, struct mth_error *err)
{
    size_t at = lower_bound(chain, step->number);
    if (at < chain->n_steps && chain->steps[at].number == step->number) {
        chain->steps[at] = *step;
        return MTH_OK;
    }
    int status = chain->n_steps == chain->capacity ? grow(chain, err) : MTH_OK;
    if (status)
        return status;
    memmove(chain->steps + at + 1, chain->steps + at, (chain->n_steps - at) * sizeof *step);
    chain->steps[at] = *step;
    chain->n_steps++;
    return MTH_OK;
}

int mth_chain_set_spec(struct mth_chain *chain, const char *spec, size_t n_spec, struct mth_error *err)
{
    char *copy = mth_memory_alloc(chain->memory, n_spec + 1);
    if (!copy)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a spec");
    memcpy(copy, spec, n_spec);
    copy[n_spec] = '\0';
    mth_memory_free(chain->memory, chain->spec);
    chain->spec = copy;
    return MTH_OK;
}

struct mth_chain_cost mth_chain_cost_of(const struct mth_chain *chain, size_t index)
{
    struct mth_chain_cost cost = {0};
    const struct mth_chain_step *step = &chain->steps[index];
    for (;;) {
        cost.n_links++;
        cost.stored_bytes += step->stored_bytes;
        if (!step->has_base)
            return cost;
        step = &chain->steps[mth_chain_find(chain, step->base)];
    }
}

/* ---- names of files ---- */

void mth_chain_step_file(const struct mth_chain_step *step, char out[MTH_CHAIN_FILE_BYTES])
{
    if (step->writing > 1)
        snprintf(out, MTH_CHAIN_FILE_BYTES, "step-%" PRIu64 ".%" PRIu64 ".mth", step->number, step->writing);
    else
        snprintf(out, MTH_CHAIN_FILE_BYTES, "step-%" PRIu64 ".mth", step->number);
}

char *mth_chain_step_path(const struct mth_chain *chain, const char *directory,
                          const struct mth_chain_step *step)
{
    char file[MTH_CHAIN_FILE_BYTES];
    mth_chain_step_file(step, file);
    size_t n = strlen(directory) + strlen(file) + 2;
    char *path = mth_memory_alloc(chain->memory, n);
    if (path)
        snprintf(path, n, "%s/%s", directory, file);
    return path;
}

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* What stands behind a container's name in a file's; NULL where it does not begin with one. */
static const char *behind_container(const char *file)
{
    if (strncmp(file, "step-", 5) != 0)
        return NULL;
    const char *p = skip_digits(file + 5), *second;
    if (p == file + 5)
        return NULL;
    second = *p == '.' ? skip_digits(p + 1) : p;
    if (*p == '.' && second > p + 1)
        p = second;
    return strncmp(p, ".mth", 4) == 0 ? p + 4 : NULL;
}

bool mth_chain_is_container(const char *file)
{
    const char *rest = behind_container(file);
    return rest && *rest == '\0';
}

/* As base/file.c names what it has not put in its place yet. */
static bool is_temporary_end(const char *rest)
{
    return strncmp(rest, ".tmp.", 5) == 0 || strcmp(rest, ".mithril~") == 0;
}

static bool is_scratch(const char *file)
{
    size_t n = strlen(MTH_SCRATCH_PREFIX);
    return strncmp(file, MTH_SCRATCH_PREFIX, n) == 0 && strlen(file) == n + MTH_SCRATCH_SUFFIX_BYTES &&
           !strchr(file + n, '.');
}

bool mth_chain_is_leftover(const char *file)
{
    if (is_scratch(file))
        return true;
    const char *rest = behind_container(file);
    size_t n = strlen(MTH_CHAIN_MANIFEST);
    if (rest)
        return is_temporary_end(rest);
    return strncmp(file, MTH_CHAIN_MANIFEST, n) == 0 && is_temporary_end(file + n);
}
