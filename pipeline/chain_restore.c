/* Restoring steps of a chain, link by link through files without a name; see mithril.h. */
#include "pipeline/chain.h"

#include "base/file.h"
#include "base/scratch.h"

#include <string.h>

/* What is common to all links of one call. */
struct walk {
    const struct mth_chain *chain;
    const char *directory, *scratch_directory;
    struct mth_stream_config config; /* its progress is that of a link */
    int (*progress)(void *arg, uint64_t n_done, uint64_t n_total);
    void *progress_arg;
    uint64_t n_done, n_total; /* bytes of originals: behind, and in all */
};

static int show_progress(void *arg, uint64_t n_done, uint64_t n_total)
{
    const struct walk *walk = arg;
    (void)n_total;
    return walk->progress(walk->progress_arg, walk->n_done + n_done, walk->n_total);
}

static void walk_begin(struct walk *walk, const struct mth_chain *chain, const char *directory,
                       const char *scratch_directory, const struct mth_stream_config *config)
{
    *walk = (struct walk){.chain = chain,
                          .directory = directory,
                          .scratch_directory = scratch_directory,
                          .config = *config,
                          .progress = config->progress,
                          .progress_arg = config->progress_arg};
    if (config->progress)
        walk->config.progress = show_progress;
    walk->config.progress_arg = walk;
}

/* The container must be the one that the manifest means, not only one that is whole. */
static int compare(const struct mth_chain_step *step, const struct mth_container_stats *stats,
                   struct mth_error *err)
{
    if (stats->raw_bytes == step->raw_bytes && stats->stored_bytes == step->stored_bytes &&
        memcmp(stats->digest, step->digest, sizeof step->digest) == 0)
        return MTH_OK;
    return mth_error_set(err, MTH_ERR_CHECKSUM, "is another container than the one that was added");
}

/* The originals that a link is decoded against; NULL for what it does not have. */
struct bases {
    const struct mth_source *base, *older;
};

/* Decodes one link into a sink, or, without one, only checks it. */
static int decode_link(struct walk *walk, size_t index, struct bases bases, struct mth_sink *sink,
                       struct mth_container_stats *stats, struct mth_error *err)
{
    const struct mth_chain_step *step = &walk->chain->steps[index];
    const struct mth_stream_base older = {.source = bases.older};
    const struct mth_stream_base against = {.source = bases.base, .older = bases.older ? &older : NULL};
    const struct mth_stream_base *base = bases.base ? &against : NULL;
    struct mth_source file;
    struct mth_input input;
    struct mth_error inner = {0};
    char *path = mth_chain_step_path(walk->chain, walk->directory, step);
    if (!path)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", walk->directory);
    int status = mth_source_open(path, &file, &inner);
    if (!status) {
        mth_input_source(&file, &input);
        status = sink ? mth_decompress(&input, base, sink, &walk->config, stats, &inner)
                      : mth_container_check(&input, base, &walk->config, stats, &inner);
        if (!status && !sink && stats->n_skipped)
            status =
                mth_error_set(&inner, MTH_ERR_BASE, "was coded against a base, and the chain knows of none");
        if (!status)
            status = compare(step, stats, &inner);
        mth_source_close(&file);
        walk->n_done += step->raw_bytes;
    }
    if (status && strncmp(inner.text, path, strlen(path)) == 0)
        mth_error_set(err, status, "step %llu: %s", (unsigned long long)step->number, inner.text);
    else if (status)
        mth_error_set(err, status, "step %llu: %s: %s", (unsigned long long)step->number, path, inner.text);
    mth_memory_free(walk->chain->memory, path);
    return status;
}

/*
 * Decodes one link into a scratch, which is opened where it is not. One that held another original is written over: its
 * pages are there already. With new files 13 links of `fast` took 131 % of the time that they take on their own, so 103 %.
 */
static int decode_to_scratch(struct walk *walk, size_t index, struct bases bases, struct mth_scratch *scratch,
                             struct mth_source *source, struct mth_error *err)
{
    const struct mth_chain_step *step = &walk->chain->steps[index];
    struct mth_container_stats stats;
    struct mth_sink sink;
    int status = MTH_OK;
    if (scratch->fd < 0)
        status = mth_scratch_open(walk->scratch_directory, step->name, scratch, err);
    if (status)
        return status;
    mth_scratch_sink(scratch, &sink);
    status = decode_link(walk, index, bases, &sink, &stats, err);
    if (!status)
        status = mth_scratch_source(scratch, source, err);
    /* What lies behind is of a longer one before. */
    if (!status)
        source->n_bytes = step->raw_bytes;
    return status;
}

/* Is it the place, not the chain, that failed? */
static bool is_of_place(int status, const struct mth_scratch *scratch)
{
    return status == MTH_ERR_NO_MEMORY || status == MTH_ERR_LIMIT || status == MTH_ERR_CANCELLED ||
           (scratch && (scratch->fd < 0 || atomic_load(&scratch->failed)));
}

/* ---- one step ---- */

/* The original of a step that the caller has; NULL where it has not. */
static const struct mth_source *given_of(const struct mth_chain_at_hand *at_hand, size_t index)
{
    for (size_t i = 0; at_hand && i < at_hand->n_given; i++)
        if (at_hand->given[i].step == index)
            return at_hand->given[i].source;
    return NULL;
}

/* The links from given ones, or a full one, to the step itself: path[0] is the step. */
static size_t find_path(const struct mth_chain *chain, size_t index, const struct mth_chain_at_hand *at_hand,
                        size_t *path)
{
    size_t n = 0;
    for (;;) {
        size_t base = mth_chain_base_of(chain, index);
        path[n++] = index;
        if (base == chain->n_steps)
            return n;
        if (given_of(at_hand, base) &&
            (!chain->steps[index].has_older || given_of(at_hand, mth_chain_base_of(chain, base))))
            return n;
        index = base;
    }
}

/* A step's links, decoded one after the other. */
struct descent {
    const struct mth_chain_at_hand *at_hand;
    size_t *path;
    size_t n_links;
    /* Of link i, i modulo n_files; a third one where some link has an older base, which is the base of the link before. */
    struct mth_scratch files[3];
    struct mth_source sources[3];
    size_t n_files;
};

static const struct mth_source *original_of(const struct descent *descent, const struct mth_chain *chain,
                                            size_t link, size_t index)
{
    if (index == chain->n_steps)
        return NULL;
    return link < descent->n_links ? &descent->sources[link % descent->n_files]
                                   : given_of(descent->at_hand, index);
}

static struct bases bases_of(const struct descent *descent, const struct mth_chain *chain, size_t link)
{
    size_t index = descent->path[link], base = mth_chain_base_of(chain, index);
    size_t older = chain->steps[index].has_older ? mth_chain_base_of(chain, base) : chain->n_steps;
    return (struct bases){original_of(descent, chain, link + 1, base),
                          original_of(descent, chain, link + 2, older)};
}

static int begin_descent(const struct mth_chain *chain, const char *directory, size_t index,
                         const struct mth_chain_at_hand *at_hand, struct descent *descent,
                         struct mth_error *err)
{
    *descent =
        (struct descent){.at_hand = at_hand,
                         .path = mth_memory_calloc(chain->memory, chain->n_steps, sizeof *descent->path),
                         .files = {{.fd = -1}, {.fd = -1}, {.fd = -1}},
                         .n_files = 2};
    if (!descent->path)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", directory);
    descent->n_links = find_path(chain, index, at_hand, descent->path);
    for (size_t i = 0; i < descent->n_links; i++)
        if (chain->steps[descent->path[i]].has_older)
            descent->n_files = 3;
    return MTH_OK;
}

static void end_descent(const struct mth_chain *chain, struct descent *descent)
{
    for (size_t i = 0; i < 3; i++)
        mth_scratch_close(&descent->files[i]);
    mth_memory_free(chain->memory, descent->path);
}

int mth_chain_restore(const struct mth_chain *chain, const char *directory, size_t index,
                      const struct mth_chain_at_hand *at_hand, const char *scratch_directory,
                      struct mth_sink *sink, const struct mth_stream_config *config,
                      struct mth_container_stats *stats, size_t *failed, struct mth_error *err)
{
    struct walk walk;
    struct descent descent;
    struct mth_container_stats own;
    bool of_place = false;
    int status = begin_descent(chain, directory, index, at_hand, &descent, err);
    walk_begin(&walk, chain, directory, scratch_directory, config);
    if (failed)
        *failed = chain->n_steps;
    for (size_t i = 0; i < descent.n_links; i++)
        walk.n_total += chain->steps[descent.path[i]].raw_bytes;
    size_t link = descent.n_links;
    while (!status && link-- > 1) {
        /* Over one that is read no more. */
        struct mth_scratch *scratch = &descent.files[link % descent.n_files];
        status = decode_to_scratch(&walk, descent.path[link], bases_of(&descent, chain, link), scratch,
                                   &descent.sources[link % descent.n_files], err);
        of_place = is_of_place(status, scratch);
    }
    if (!status && descent.n_links) {
        status = decode_link(&walk, index, bases_of(&descent, chain, 0), sink, stats ? stats : &own, err);
        of_place = is_of_place(status, NULL);
    }
    if (status && failed && !of_place && link < descent.n_links)
        *failed = descent.path[link];
    if (!status && at_hand && at_hand->base && descent.n_links > 1) {
        *at_hand->base = descent.files[1 % descent.n_files];
        descent.files[1 % descent.n_files].fd = -1;
    }
    end_descent(chain, &descent);
    return status;
}

/* ---- all steps ---- */

/* The steps as a forest: who stands on whom. */
struct forest {
    size_t *next;   /* the next one on the same base; n_steps: none */
    size_t *first;  /* the first one on this; of n_steps: the first full one */
    size_t *weight; /* steps that stand on it, itself included */
};

/* Puts a step before the first of its siblings that weighs more: what needs most files comes last. */
static void insert_sibling(struct forest *forest, size_t parent, size_t index, size_t none)
{
    size_t *at = &forest->first[parent];
    while (*at != none && forest->weight[*at] < forest->weight[index])
        at = &forest->next[*at];
    forest->next[index] = *at;
    *at = index;
}

static int plant(const struct mth_chain *chain, struct forest *forest)
{
    size_t n = chain->n_steps;
    forest->next = mth_memory_calloc(chain->memory, n + 1, sizeof *forest->next);
    forest->first = mth_memory_calloc(chain->memory, n + 1, sizeof *forest->first);
    forest->weight = mth_memory_calloc(chain->memory, n + 1, sizeof *forest->weight);
    if (!forest->next || !forest->first || !forest->weight)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i <= n; i++)
        forest->first[i] = forest->next[i] = n;
    /* Bases come before what stands on them, so that going backwards every weight is known when it is used. */
    for (size_t i = n; i-- > 0;) {
        const struct mth_chain_step *step = &chain->steps[i];
        size_t parent = step->has_base ? mth_chain_find(chain, step->base) : n;
        forest->weight[i]++;
        forest->weight[parent] += forest->weight[i];
        insert_sibling(forest, parent, i, n);
    }
    return MTH_OK;
}

static void fell(const struct mth_chain *chain, struct forest *forest)
{
    mth_memory_free(chain->memory, forest->next);
    mth_memory_free(chain->memory, forest->first);
    mth_memory_free(chain->memory, forest->weight);
}

/* The original of a step, in a file. */
struct held {
    struct mth_scratch scratch;
    struct mth_source source;
};

/*
 * A step whose dependents are being gone through. Its file is closed as soon as the last of them has begun; unless something that
 * stands on that one needs it as an older base: then it is handed on.
 */
struct branch {
    size_t next; /* dependent to be done */
    int status;  /* why there is no file */
    size_t blamed;
    struct held own;
    struct held below; /* its base's, where that is no branch any more */
};

struct verification {
    struct walk walk;
    struct forest forest;
    struct branch *branches; /* from a full step upwards; the first stands for the ground */
    size_t n_branches;
    mth_chain_report *report;
    void *arg;
};

static void close_branch(struct branch *branch)
{
    mth_scratch_close(&branch->own.scratch);
    mth_scratch_close(&branch->below.scratch);
}

/* The base of the last branch's step, which is still in its own file, or handed on. */
static const struct mth_source *older_of(const struct verification *run)
{
    const struct branch *last = &run->branches[run->n_branches - 1];
    return last->below.scratch.fd >= 0 ? &last->below.source : &last[-1].own.source;
}

/* Does what stands on a step need the step's base? */
static bool is_older_base(const struct verification *run, size_t index)
{
    const struct mth_chain *chain = run->walk.chain;
    for (size_t i = run->forest.first[index]; i != chain->n_steps; i = run->forest.next[i])
        if (chain->steps[i].has_older)
            return true;
    return false;
}

/* Looks at one step, which stands on the last branch, and leaves on `out` what its own dependents need. */
static int verify_step(struct verification *run, size_t index, struct branch *out, struct mth_error *err)
{
    const struct mth_chain *chain = run->walk.chain;
    const struct branch *below = &run->branches[run->n_branches - 1];
    bool has_dependents = run->forest.first[index] != chain->n_steps;
    struct bases bases = {0};
    struct mth_container_stats stats;
    *out = (struct branch){.next = run->forest.first[index], .blamed = index};
    out->own.scratch.fd = out->below.scratch.fd = -1;
    if (chain->steps[index].has_base)
        bases.base = &below->own.source;
    if (bases.base && below->status) {
        out->status = below->status;
        out->blamed = below->blamed;
        mth_error_set(err, MTH_ERR_BASE, "step %llu: needs step %llu, which does not restore",
                      (unsigned long long)chain->steps[index].number,
                      (unsigned long long)chain->steps[below->blamed].number);
        run->report(run->arg, index, MTH_ERR_BASE, err);
        return MTH_OK;
    }
    if (chain->steps[index].has_older)
        bases.older = older_of(run);
    if (has_dependents)
        out->status = decode_to_scratch(&run->walk, index, bases, &out->own.scratch, &out->own.source, err);
    else
        out->status = decode_link(&run->walk, index, bases, NULL, &stats, err);
    if (out->status && is_of_place(out->status, has_dependents ? &out->own.scratch : NULL))
        return out->status;
    run->report(run->arg, index, out->status, err);
    return MTH_OK;
}

/* Depth first: a branch that has no more dependents to begin is given up at once, so that a long line keeps two files. */
static int verify_all(struct verification *run, struct mth_error *err)
{
    size_t none = run->walk.chain->n_steps;
    int status = MTH_OK;
    run->branches[0] = (struct branch){.next = run->forest.first[none]};
    run->branches[0].own.scratch.fd = run->branches[0].below.scratch.fd = -1;
    run->n_branches = 1;
    while (!status && run->n_branches) {
        struct branch *below = &run->branches[run->n_branches - 1];
        if (below->next == none) {
            close_branch(below);
            run->n_branches--;
            continue;
        }
        size_t index = below->next;
        struct branch above;
        below->next = run->forest.next[index];
        status = verify_step(run, index, &above, err);
        if (below->next == none) {
            if (is_older_base(run, index)) {
                above.below = below->own;
                below->own.scratch.fd = -1;
            }
            close_branch(below);
            run->n_branches--;
        }
        run->branches[run->n_branches++] = above;
    }
    while (run->n_branches)
        close_branch(&run->branches[--run->n_branches]);
    return status;
}

int mth_chain_verify(const struct mth_chain *chain, const char *directory, const char *scratch,
                     const struct mth_stream_config *config, mth_chain_report *report, void *arg,
                     struct mth_error *err)
{
    struct verification run = {.report = report, .arg = arg};
    struct mth_error inner = {0};
    walk_begin(&run.walk, chain, directory, scratch, config);
    for (size_t i = 0; i < chain->n_steps; i++)
        run.walk.n_total += chain->steps[i].raw_bytes;
    int status = plant(chain, &run.forest);
    if (!status) {
        run.branches = mth_memory_calloc(chain->memory, chain->n_steps + 2, sizeof *run.branches);
        status = run.branches ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    if (status)
        mth_error_set(&inner, status, "%s: no memory", directory);
    else
        status = verify_all(&run, &inner);
    mth_memory_free(chain->memory, run.branches);
    fell(chain, &run.forest);
    if (status && err)
        *err = inner;
    return status;
}
