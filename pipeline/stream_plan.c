/* What compressing a file decides before it codes anything; see stream_plan.h. */
#include "pipeline/stream_plan.h"

#include "pipeline/memory_need.h"

#include "base/checked.h"

#include <stdio.h>
#include <string.h>

static int prepare_base(struct mth_encode_run *run, struct mth_error *err)
{
    int status = mth_base_match(&run->planner, run->job->input, run->job->base, run->encoder.coder->memory,
                                &run->match, err);
    run->map = run->planner.map;
    run->planner.references = run->match.references;
    run->planner.older = run->match.older;
    run->encoder.base = &run->match.reader;
    run->front.has_base = run->match.use.n_references > 0;
    return status;
}

/* What the planner needs to know of the regions: their rows, and which candidate is best for each that families do not predict. */
static int prepare_choices(struct mth_encode_run *run, const struct mth_families *families,
                           struct mth_error *err)
{
    struct mth_memory *memory = run->encoder.coder->memory;
    const struct mth_stream_encode_job *job = run->job;
    bool rows = mth_pipeline_wants_rows(job->pipeline) ||
                (run->planner.references && mth_pipeline_takes_rows(job->pipeline)),
         guarded = mth_pipeline_is_guarded(job->pipeline);
    bool several = guarded || job->pipeline->next;
    if (rows)
        run->planner.row_elems = run->row_elems =
            run->encoder.is_lossy ? mth_table_rows(run->map, memory) : mth_region_rows(run->map, memory);
    if (guarded)
        run->planner.classes = run->classes = mth_region_classes(run->map, memory);
    if (several)
        run->choices = mth_memory_alloc(memory, 2 * run->map->n_regions);
    if ((rows && !run->row_elems) || (guarded && !run->classes) || (several && !run->choices))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to plan");
    int status = run->choices ? mth_plan_sample(&run->encoder, &run->planner, families, job->input,
                                                run->choices, run->choices + run->map->n_regions, err)
                              : MTH_OK;
    run->planner.choices = run->choices;
    run->planner.fallbacks = run->choices ? run->choices + run->map->n_regions : NULL;
    return status;
}

/* The options of a transform of moments, which take less than what there is room for. */
static void print_numbers(const struct mth_moments *moments, char text[MTH_SPEC_TEXT_BYTES])
{
    const uint32_t *numbers = moments->numbers;
    int n = snprintf(text, MTH_SPEC_TEXT_BYTES, ":weight=%lu", (unsigned long)numbers[MTH_DIVIDED_WEIGHT]);
    if (moments->kind != MTH_PLAN_MOMENT32)
        n += snprintf(text + n, MTH_SPEC_TEXT_BYTES - (size_t)n, ":scale=%lu",
                      (unsigned long)numbers[MTH_DIVIDED_SCALE]);
    if (moments->kind == MTH_PLAN_GRADIENT24 || moments->kind == MTH_PLAN_DIVIDED24)
        n += snprintf(text + n, MTH_SPEC_TEXT_BYTES - (size_t)n, ":stays=%lu:decay=%lu",
                      (unsigned long)numbers[MTH_DIVIDED_STAYS], (unsigned long)numbers[MTH_DIVIDED_DECAY]);
    if (moments->kind == MTH_PLAN_GRADIENT24)
        snprintf(text + n, MTH_SPEC_TEXT_BYTES - (size_t)n, ":sizes=%s",
                 moments->by_squares ? "squares" : "middle");
    if (moments->kind == MTH_PLAN_DIVIDED24)
        snprintf(text + n, MTH_SPEC_TEXT_BYTES - (size_t)n, ":mu=%lu:rate=%lu:eps=%lu",
                 (unsigned long)numbers[MTH_DIVIDED_MU], (unsigned long)numbers[MTH_DIVIDED_RATE],
                 (unsigned long)numbers[MTH_DIVIDED_EPS]);
}

/* The pipelines of moments, with their options. */
static int take_moments(struct mth_encode_run *run, const struct mth_replay *replay, struct mth_error *err)
{
    struct mth_coder_spec **specs = run->encoder.specs + MTH_PLAN_MOMENT16;
    char text[2 * MTH_SPEC_TEXT_BYTES], numbers[MTH_SPEC_TEXT_BYTES];
    int status = MTH_OK;
    for (size_t i = 0; !status && i < MTH_N_MOMENTS; i++) {
        struct mth_pipeline *pipeline;
        if (!replay->of[i].kind)
            continue;
        const char *plain = mth_plan_stand_in((enum mth_plan_spec)replay->of[i].kind),
                   *rest = strchr(plain, '+');
        print_numbers(&replay->of[i], numbers);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(rest - plain), plain, numbers, rest);
        status = mth_pipeline_parse(text, false, &pipeline, err);
        if (!status)
            status = mth_coder_take_spec(run->encoder.coder, pipeline->text, &specs[i], err);
        mth_pipeline_destroy(status ? NULL : pipeline);
        if (!status)
            run->planner.specs[MTH_PLAN_MOMENT16 + i] = specs[i]->pipeline;
    }
    return status;
}

/* Steps of an optimizer and averages of weights. */
static int find_replays(struct mth_encode_run *run, struct mth_families *families,
                        const struct mth_counterparts *base, struct mth_replay *replay, struct mth_error *err)
{
    int status = mth_families_find_replays(families, run->job->input, &run->match.use, base, replay, err);
    return status ? status : mth_families_find_averages(families, run->job->input, base, err);
}

/* Which families there are, and what all that these do not predict is coded with: what moved of it, and stands together, is asked for last. */
static int find_families(struct mth_encode_run *run, struct mth_families *families, struct mth_replay *replay,
                         struct mth_error *err)
{
    const struct mth_base_match *match = &run->match;
    struct mth_memory *memory = run->encoder.coder->memory;
    bool has_base = match->use.n_references > 0;
    uint32_t *references = NULL;
    if (has_base && !(references = mth_memory_alloc(memory, run->map->n_regions * sizeof *references)))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to plan");
    /* Only what has a counterpart of its own dtype is one of a step. */
    for (size_t i = 0; has_base && i < run->map->n_regions; i++) {
        uint32_t reference = match->references[i];
        bool is_plain = reference != MTH_NO_REFERENCE &&
                        (enum mth_dtype)match->reader.dtypes[reference] == run->map->regions[i].dtype;
        references[i] = is_plain ? reference : MTH_NO_REFERENCE;
    }
    struct mth_counterparts base = {&match->reader, references, run->planner.origins};
    int status = mth_families_find_copies(families, run->job->input, err);
    if (!status && has_base)
        status = find_replays(run, families, &base, replay, err);
    if (!status)
        status = prepare_choices(run, families, err);
    if (!status && has_base)
        status = mth_families_gather_moved(families, run->job->input, &base, &run->planner, err);
    mth_memory_free(memory, references);
    return status;
}

/* Which tensors are predicted from which, and what the others are coded with. */
static int prepare_relations(struct mth_encode_run *run, struct mth_error *err)
{
    const struct mth_stream_encode_job *job = run->job;
    struct mth_memory *memory = run->encoder.coder->memory;
    struct mth_families families;
    if (!job->pipeline->relates)
        return prepare_choices(run, NULL, err);
    if (mth_families_init(&families, run->map, memory))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to plan");
    struct mth_replay replay = {0};
    int status = find_families(run, &families, &replay, err);
    if (!status)
        status = take_moments(run, &replay, err);
    if (!status) {
        status = mth_relations_settle(&run->relations, &families, &run->planner);
        if (status)
            mth_error_set(err, status, "planning what is predicted from what failed: %s",
                          mth_status_text(status));
    }
    mth_families_free(&families);
    if (!status && run->relations.layout.n_families) {
        run->planner.relations = &run->relations;
        run->encoder.layout = &run->relations.layout;
        while (run->encoder.coder->chunk_bytes < run->relations.largest_bytes)
            run->encoder.coder->chunk_bytes *= 2;
    }
    return status;
}

/*
 * An older base is of use where nothing is predicted, and a codec looks at it. What is no tensor has no use for it, and stays all
 * the same where anything does: lists of both bases that are the same are written once.
 */
static void forget_older(struct mth_encode_run *run)
{
    uint32_t *older = run->match.older;
    for (size_t i = 0; i < run->map->n_regions; i++) {
        if (run->map->regions[i].dtype != MTH_DTYPE_OPAQUE &&
            mth_bundle_planner_older(&run->planner, i) == MTH_NO_REFERENCE)
            older[i] = MTH_NO_REFERENCE;
    }
    for (size_t f = 0; run->planner.relations && f < run->relations.layout.n_families; f++) {
        const struct mth_layout_family *family = &run->relations.layout.families[f];
        const struct mth_related *members = &run->relations.members[family->first_member];
        for (size_t m = 0; m < family->n_members && !mth_family_is_gathered(members, family->n_members); m++)
            older[members[m].region] = MTH_NO_REFERENCE;
    }
    bool any = false;
    for (size_t i = 0; i < run->map->n_regions; i++)
        any |= older[i] != MTH_NO_REFERENCE && run->map->regions[i].dtype != MTH_DTYPE_OPAQUE;
    for (size_t i = 0; i < run->map->n_regions; i++)
        older[i] = any ? older[i] : (uint32_t)MTH_NO_REFERENCE;
}

/* References that the plan has no use for are not written; that there is a base is. */
static int prune_references(struct mth_encode_run *run)
{
    struct mth_memory *memory = run->encoder.coder->memory;
    size_t n_regions = run->map->n_regions;
    bool *needed = mth_memory_calloc(memory, n_regions, sizeof *needed);
    if (!needed)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < n_regions; i++)
        mth_bundle_planner_spec(&run->planner, i, &needed[i]);
    for (size_t i = 0; run->planner.relations && i < run->relations.layout.n_members; i++)
        needed[run->relations.members[i].region] = true;
    if (run->match.older)
        forget_older(run);
    mth_base_match_prune(&run->match, needed, n_regions);
    run->front.has_older = run->match.older_use.n_references > 0;
    mth_memory_free(memory, needed);
    return MTH_OK;
}

/* Which specs the bundles will use. */
static int number_specs(struct mth_encode_run *run, struct mth_error *err)
{
    uint32_t n = 0;
    bool used[MTH_N_PLAN_SPECS] = {false}, has_reference;
    for (size_t i = 0; i < run->map->n_regions; i++) {
        used[mth_bundle_planner_spec(&run->planner, i, &has_reference)] = true;
        if (run->planner.fallbacks && run->planner.fallbacks[i] != MTH_NO_FALLBACK)
            used[run->planner.fallbacks[i]] = true;
    }
    for (size_t i = 0; run->planner.relations && i < run->relations.layout.n_members; i++) {
        const struct mth_related *member = &run->relations.members[i];
        if (member->n_inputs) {
            used[member->spec] = true;
            used[mth_bundle_planner_alone(&run->planner, member->region)] = true;
        }
    }
    for (size_t i = 0; i < MTH_N_PLAN_SPECS; i++)
        run->encoder.numbers.of[i] = used[i] ? n++ : UINT32_MAX;
    if (n <= MTH_MAX_CONTAINER_SPECS)
        return MTH_OK;
    return mth_error_set(err, MTH_ERR_USAGE,
                         "this takes %u different pipelines, and a container has room for %d: ask for fewer",
                         (unsigned)n, MTH_MAX_CONTAINER_SPECS);
}

_Static_assert((int)MTH_N_PLAN_SPECS <= (int)MTH_MAX_PLAN_SPECS,
               "a front has room for all of a plan's specs");

/* The front as a reader of the container will have it. */
static int prepare_verifying(struct mth_encode_run *run)
{
    struct mth_memory *memory = run->encoder.coder->memory;
    const struct mth_base_use *uses[] = {&run->match.use, &run->match.older_use};
    size_t n = 0, n_references = uses[0]->n_references + uses[1]->n_references;
    struct mth_reference *references = mth_memory_calloc(memory, n_references, sizeof *references);
    if (!references)
        return MTH_ERR_NO_MEMORY;
    for (size_t k = 0; k < 2; k++) {
        const struct mth_base_use *use = uses[k];
        for (size_t i = 0; i < use->n_references; i++, n++) {
            const struct mth_region *region = &use->map->regions[use->places[i].region];
            references[n].n_bytes = region->n_bytes;
            references[n].dtype = (uint32_t)region->dtype;
        }
    }
    run->front.references = references;
    run->front.n_references = n_references;
    run->front.n_of_base = uses[0]->n_references;
    run->plan_front = run->front;
    run->plan_front.n_specs = MTH_N_PLAN_SPECS;
    for (size_t i = 0; i < MTH_N_PLAN_SPECS; i++) {
        run->plan_front.specs[i] = run->encoder.specs[i];
        if (run->encoder.numbers.of[i] != UINT32_MAX)
            run->front.specs[run->front.n_specs++] = run->encoder.specs[i];
    }
    run->encoder.front = &run->front;
    run->encoder.plan_front = &run->plan_front;
    return MTH_OK;
}

/* Whether the account allows what this may take; asked before anything is read or written. */
static int check_memory(struct mth_encode_run *run, const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                        struct mth_error *err)
{
    struct mth_coder *coder = run->encoder.coder;
    const struct mth_stream_encode_job *job = run->job;
    struct mth_need_encode_job need_job = {.map = job->map,
                                           .has_base =
                                               job->base && mth_pipeline_wants_reference(job->pipeline),
                                           .has_older = job->base && job->base->older,
                                           .verify = job->verify || run->encoder.is_lossy,
                                           .chunk_bytes = coder->chunk_bytes,
                                           .moments_bytes = mth_coder_moments_bytes(coder),
                                           .n_threads = coder->n_threads};
    struct mth_memory_need need;
    run->may_cut = job->pipeline->relates;
    if (mth_memory_limit(coder->memory) == SIZE_MAX)
        return MTH_OK;
    memcpy(need_job.specs, specs, sizeof need_job.specs);
    mth_pipeline_guards(job->pipeline, need_job.guards);
    int status = mth_need_encode(&need_job, coder->memory, &need);
    if (status)
        return mth_error_set(err, status, "no memory to plan");
    status = mth_need_check(coder->memory, &need, err);
    if (status || !run->may_cut)
        return status;
    need_job.slices = true;
    status = mth_need_encode(&need_job, coder->memory, &need);
    run->may_cut = !status && mth_need_check(coder->memory, &need, NULL) == MTH_OK;
    return status ? mth_error_set(err, status, "no memory to plan") : MTH_OK;
}

int mth_encode_run_prepare(struct mth_encode_run *run, struct mth_error *err)
{
    struct mth_coder *coder = run->encoder.coder;
    const struct mth_stream_encode_job *job = run->job;
    const struct mth_pipeline *pipelines[MTH_N_PLAN_SPECS] = {0};
    int status = mth_coder_take_plan_specs(coder, job->pipeline, run->encoder.specs, err);
    if (status)
        return status;
    for (size_t i = 0; i < MTH_N_PLAN_SPECS; i++)
        pipelines[i] = run->encoder.specs[i] ? run->encoder.specs[i]->pipeline : NULL;
    status = check_memory(run, pipelines, err);
    if (status)
        return status;
    run->encoder.alone_bytes = mth_coder_chunk_bytes(coder, job->pipeline, false);
    mth_bundle_planner_init(&run->planner, job->map, job->pipeline, pipelines, coder->chunk_bytes,
                            mth_size_min(run->encoder.alone_bytes, coder->chunk_bytes),
                            mth_coder_moments_bytes(coder));
    /* A base that no stage looks at is not part of the container. */
    if (job->base && mth_pipeline_wants_reference(job->pipeline))
        status = prepare_base(run, err);
    if (status)
        return status;
    if (run->may_cut)
        status = mth_slices_cut(&run->planner, job->input, &run->match, coder->memory, &run->slices, err);
    if (status)
        return status;
    run->map = run->planner.map;
    status = mth_bundle_workers(coder);
    if (status)
        return mth_error_set(err, status, "no memory to plan");
    status = prepare_relations(run, err);
    if (status)
        return status;
    status = run->match.references ? prune_references(run) : MTH_OK;
    if (!status)
        status = mth_index_init(&run->index, coder->memory);
    if (status)
        return mth_error_set(err, status, "no memory to plan");
    status = number_specs(run, err);
    if (status)
        return status;
    if (job->verify || run->encoder.is_lossy)
        status = prepare_verifying(run);
    if (status)
        return mth_error_set(err, status, "no memory to plan");
    return mth_stream_build_models(&run->encoder, &run->planner, job->input, err);
}
