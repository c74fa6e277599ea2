/* Coding the steps of a chain; see chain_code.h. */
#include "harness/chain_code.h"

#include "harness/chain_link.h"
#include "harness/directory.h"
#include "harness/file_digest.h"
#include "harness/output.h"
#include "pipeline/chain.h"
#include "pipeline/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The pipelines of a spec; where all steps are coded alone it need not have a form for pairs. */
static int parse_spec(struct mth_chain_coder *coder, const char *spec, const struct mth_chain_policy *policy,
                      struct mth_error *err)
{
    /* Finds the few values that a quantized row has. */
    static const char again[] = "max";
    int status = mth_pipeline_parse_alone(spec, &coder->alone, err);
    if (!status && !(policy->rule == MTH_CHAIN_FULL && policy->every == 1))
        status = mth_pipeline_parse(spec, true, &coder->delta, err);
    if (!status && mth_pipeline_is_lossy(coder->alone))
        status = mth_pipeline_parse(again, false, &coder->alone_again, err);
    if (!status && coder->alone_again)
        status = mth_pipeline_parse(again, true, &coder->delta_again, err);
    return status;
}

static int refuse_loss(const char *spec, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_USAGE,
                         "'%.200s' is lossy: what it restores differs from what was added; --lossy allows it",
                         spec);
}

int mth_chain_coder_open(struct mth_chain_coder *coder, const char *directory, bool create,
                         const char *policy, const char *spec, const struct mth_stream_config *config,
                         struct mth_error *err)
{
    struct mth_chain *chain = &coder->writer.chain;
    struct mth_pipeline *pipeline = NULL;
    *coder = (struct mth_chain_coder){.writer.lock = -1, .config = *config};
    /* A spec that is none must not leave a new chain behind. */
    int status = spec ? mth_pipeline_parse_alone(spec, &pipeline, err) : MTH_OK;
    if (!status && pipeline && mth_pipeline_is_lossy(pipeline) && !config->lossy)
        status = refuse_loss(spec, err);
    mth_pipeline_destroy(pipeline);
    if (!status)
        status = mth_chain_writer_open(directory, create, config->memory, &coder->writer, err);
    if (!status && policy)
        status = mth_chain_policy_parse(policy, &chain->policy, err);
    if (!status && spec)
        status = mth_chain_set_spec(chain, spec, strlen(spec), err);
    if (!status)
        status = parse_spec(coder, chain->spec, &chain->policy, err);
    /* Of a chain that is there, whose steps can be dropped all the same. */
    if (!status && create && coder->alone_again && !config->lossy)
        status = refuse_loss(chain->spec, err);
    return status;
}

void mth_chain_coder_close(struct mth_chain_coder *coder)
{
    mth_chain_hand_close(&coder->hand);
    mth_pipeline_destroy(coder->alone);
    mth_pipeline_destroy(coder->delta);
    mth_pipeline_destroy(coder->alone_again);
    mth_pipeline_destroy(coder->delta_again);
    mth_chain_writer_close(&coder->writer);
}

static struct mth_chain_place place_of(const struct mth_chain_coder *coder, const char *beside)
{
    /* The chain's own file system has the room for originals; it is written to anyway. */
    return (struct mth_chain_place){.chain = &coder->writer.chain,
                                    .directory = coder->writer.directory,
                                    .scratch_directory = coder->writer.directory,
                                    .beside = beside,
                                    .config = coder->config};
}

/* Of a step that is coded again, or of a new one. */
static const struct mth_pipeline *delta_of(const struct mth_chain_coder *coder, bool again)
{
    return again && coder->delta_again ? coder->delta_again : coder->delta;
}

/* What the base is coded against is an older base for a pipeline that looks at one; n_steps: there is none. */
static size_t usable(const struct mth_chain_coder *coder, size_t older, bool again)
{
    const struct mth_pipeline *delta = delta_of(coder, again);
    return delta && mth_pipeline_takes_older(delta) ? older : coder->writer.chain.n_steps;
}

/*
 * Is an older base worth its time? Restoring a link then reads a third file and takes up to twice as long: so it must save
 * one byte of a hundred, on samples coded with it and without.
 */
static int older_pays(const struct mth_chain_coder *coder, const struct mth_pipeline *delta,
                      const struct mth_opened *input, const struct mth_stream_base *against, bool *pays,
                      struct mth_error *err)
{
    enum { SAMPLE_BYTES = 4 << 20, LEAST_PERCENT = 1 };
    const struct mth_stream_config config = {.n_threads = coder->config.n_threads,
                                             .memory = coder->config.memory};
    struct mth_stream_base alone = *against;
    uint64_t with = 0, without = 0;
    alone.older = NULL;
    int status =
        mth_compress_estimate(delta, &input->source, &input->map, against, &config, SAMPLE_BYTES, &with, err);
    if (!status)
        status = mth_compress_estimate(delta, &input->source, &input->map, &alone, &config, SAMPLE_BYTES,
                                       &without, err);
    *pays = !status && with < without && without - with >= without / 100 * LEAST_PERCENT;
    return status;
}

/* Writes the container of the input, against the bases at hand or none; fills what the step says of it. */
static int write_container(struct mth_chain_coder *coder, const struct mth_chain_original *base, bool again,
                           struct mth_chain_step *step, struct mth_error *err)
{
    const struct mth_pipeline *delta = delta_of(coder, again);
    const struct mth_chain_original *older = base ? mth_chain_hand_older(&coder->hand) : NULL;
    struct mth_stream_base against = {0};
    bool pays = false;
    int status = MTH_OK;
    const struct mth_pipeline *alone = again && coder->alone_again ? coder->alone_again : coder->alone;
    const struct mth_chain *chain = &coder->writer.chain;
    const struct mth_chain_original *input = mth_chain_hand_input(&coder->hand);
    struct mth_container_stats stats;
    struct mth_output output;
    if (base)
        against = base->opened.base;
    if (older) {
        against.older = &older->opened.base;
        status = older_pays(coder, delta, &input->opened, &against, &pays, err);
        against.older = pays ? against.older : NULL;
    }
    if (status)
        return status;
    char *path = mth_chain_step_path(chain, coder->writer.directory, step);
    if (!path)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a path");
    status = mth_output_open(path, &output, err);
    if (!status) {
        status = mth_compress(base ? delta : alone, &input->opened.source, &input->opened.map,
                              base ? &against : NULL, &input->attributes, &output.sink, &coder->config,
                              &stats, err);
        if (status == MTH_ERR_CANCELLED)
            mth_error_set(err, status, "interrupted, nothing was written");
        if (!status)
            status = mth_chain_original_check(input, err);
        if (!status && base)
            status = mth_chain_original_check(base, err);
        if (!status && older)
            status = mth_chain_original_check(older, err);
        status = mth_output_close(&output, status, NULL, err);
    }
    mth_memory_free(chain->memory, path);
    if (status)
        return status;
    step->has_base = base != NULL;
    step->base = base ? base->number : 0;
    step->has_older = stats.n_bases > 1;
    step->raw_bytes = stats.raw_bytes;
    step->stored_bytes = stats.stored_bytes;
    memcpy(step->digest, stats.digest, sizeof step->digest);
    if (!again)
        step->loss = stats.loss;
    return MTH_OK;
}

/* Codes the input against the base that is at hand, or alone where that has nothing of it. again: a step that was coded
 * before, and keeps what it restores to. */
static int code(struct mth_chain_coder *coder, bool has_base, bool again, struct mth_chain_step *step,
                bool *found, struct mth_error *err)
{
    const struct mth_chain_original *base =
        has_base && coder->delta ? mth_chain_hand_base(&coder->hand) : NULL;
    int status = MTH_OK;
    *found = base != NULL;
    if (base)
        status = mth_opened_has_counterparts(&mth_chain_hand_input(&coder->hand)->opened, &base->opened,
                                             found, err);
    return status ? status : write_container(coder, *found ? base : NULL, again, step, err);
}

/* A lossy step is what its container restores to, not what was given; so it is for the steps that stand on it. */
static int take_restored(struct mth_chain_coder *coder, struct mth_chain_step *step, struct mth_error *err)
{
    struct mth_chain *chain = &coder->writer.chain;
    const struct mth_chain_place place = place_of(coder, NULL);
    struct mth_digest xxh3;
    memcpy(step->given_xxh3, step->xxh3, sizeof step->given_xxh3);
    int status = mth_chain_put(chain, step, err);
    if (!status)
        status = mth_chain_hand_take_restored(&coder->hand, &place, mth_chain_find(chain, step->number),
                                              &xxh3, err);
    if (!status)
        memcpy(step->xxh3, xxh3.bytes, sizeof step->xxh3);
    return status;
}

/* A file of a step that the chain has: its bytes are compared with what the chain notes of them. */
static int compare_file(const struct mth_chain_step *there, const char *path, struct mth_memory *memory,
                        struct mth_error *err)
{
    struct mth_opened file;
    struct mth_digest xxh3;
    bool is_folder = mth_path_is_directory(path);
    int status = mth_opened_open_step(&file, path, memory, err);
    uint64_t n_bytes = status ? 0 : file.source.n_bytes;
    if (!status)
        status = mth_chain_original_digest(&file.source, is_folder, memory, &xxh3, err);
    mth_opened_close(&file);
    if (!status &&
        (n_bytes != there->raw_bytes || is_folder != there->is_folder ||
         memcmp(xxh3.bytes, there->loss.is_lossy ? there->given_xxh3 : there->xxh3, sizeof there->xxh3) != 0))
        status = mth_error_set(err, MTH_ERR_USAGE,
                               "%s: the chain has a step %llu already, of other bytes; drop that first", path,
                               (unsigned long long)there->number);
    return status;
}

/* The base that a policy names, at hand. It may still lie where the file does that is added. */
static int prepare_base(struct mth_chain_coder *coder, size_t base, const char *path, struct mth_error *err)
{
    char *beside = mth_path_directory(path);
    if (!beside)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a path");
    const struct mth_chain_place place = place_of(coder, beside);
    int status = mth_chain_link_check(&coder->writer.chain, coder->writer.directory, base, err);
    if (!status)
        status = mth_chain_hand_take_bases(
            &coder->hand, &place, base, usable(coder, mth_chain_base_of(&coder->writer.chain, base), false),
            err);
    free(beside);
    return status;
}

static int set_name(struct mth_chain_step *step, const char *path, struct mth_error *err)
{
    const char *name = mth_path_name(path);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return mth_error_set(err, MTH_ERR_USAGE, "%s: has no name to be restored to; give it by its name",
                             path);
    snprintf(step->name, sizeof step->name, "%s", name);
    return MTH_OK;
}

/* Bases are known by their digests, older ones as the bases of bases. */
static bool is_what_others_need(const struct mth_chain *chain, const struct mth_chain_step *was,
                                const struct mth_chain_step *now)
{
    bool same_digest = memcmp(was->digest, now->digest, sizeof was->digest) == 0;
    for (size_t i = 0; i < chain->n_steps; i++) {
        const struct mth_chain_step *step = &chain->steps[i];
        bool stands_on_it = step->has_base && step->base == was->number;
        size_t base = mth_chain_base_of(chain, i);
        bool is_older = step->has_older && chain->steps[base].base == was->number;
        if ((!same_digest && (stands_on_it || is_older)) ||
            (was->has_base != now->has_base && stands_on_it && step->has_older))
            return false;
    }
    return true;
}

/* Writes the container of a step again, from its file: against the base that it had, since others may count on that. */
static int mend(struct mth_chain_coder *coder, size_t index, const char *path, struct mth_error *err)
{
    struct mth_chain *chain = &coder->writer.chain;
    const struct mth_chain_step was = chain->steps[index];
    struct mth_chain_step step = was;
    struct mth_error inner;
    bool found;
    step.writing++;
    int status = was.has_base ? prepare_base(coder, mth_chain_find(chain, was.base), path, err) : MTH_OK;
    if (!status)
        status = mth_chain_hand_open(&coder->hand, path, was.number, was.dtype, coder->config.memory, err);
    if (!status)
        status = code(coder, was.has_base, false, &step, &found, err);
    if (!status && was.loss.is_lossy && memcmp(was.digest, step.digest, sizeof was.digest) != 0)
        status = mth_error_set(err, MTH_ERR_USAGE,
                               "%s: was quantized in another way when it was added; drop step %llu first",
                               path, (unsigned long long)was.number);
    if (!status && !is_what_others_need(chain, &was, &step))
        status = mth_error_set(err, MTH_ERR_USAGE,
                               "%s: does not give what steps that stand on step %llu need; drop these first",
                               path, (unsigned long long)was.number);
    if (status) {
        mth_chain_writer_clean(&coder->writer, &inner);
        return status;
    }
    status = mth_chain_put(chain, &step, err);
    if (!status)
        status = mth_chain_writer_commit(&coder->writer, err);
    return status ? status : mth_chain_writer_clean(&coder->writer, err);
}

/* What can be told without decoding is looked at: a container that is gone, cut, or another one. */
static int add_again(struct mth_chain_coder *coder, size_t index, const char *path,
                     enum mth_chain_outcome *outcome, struct mth_error *err)
{
    struct mth_chain *chain = &coder->writer.chain;
    struct mth_error why = {0};
    int status = compare_file(&chain->steps[index], path, chain->memory, err);
    int looked = status ? MTH_OK : mth_chain_link_look(chain, coder->writer.directory, index, &why);
    if (status || !looked)
        return status;
    if (looked != MTH_ERR_NOT_FOUND && looked != MTH_ERR_CHECKSUM && looked != MTH_ERR_CORRUPT &&
        looked != MTH_ERR_FORMAT && looked != MTH_ERR_TRUNCATED) {
        *err = why;
        return looked;
    }
    *outcome = MTH_CHAIN_MENDED;
    return mend(coder, index, path, err);
}

int mth_chain_add(struct mth_chain_coder *coder, const char *path, uint64_t number, enum mth_dtype dtype,
                  enum mth_chain_outcome *outcome, struct mth_error *err)
{
    struct mth_chain *chain = &coder->writer.chain;
    struct mth_chain_step step = {
        .number = number, .writing = 1, .dtype = dtype, .is_folder = mth_path_is_directory(path)};
    struct mth_digest xxh3;
    size_t there = mth_chain_find(chain, number), base = mth_chain_choose(chain, number);
    bool has_base = base < chain->n_steps, found;
    int status = MTH_OK;
    *outcome = MTH_CHAIN_WAS_THERE;
    if (there < chain->n_steps)
        return add_again(coder, there, path, outcome, err);
    status = set_name(&step, path, err);
    if (!status && has_base)
        status = prepare_base(coder, base, path, err);
    if (!status)
        status = mth_chain_hand_open(&coder->hand, path, number, dtype, coder->config.memory, err);
    if (!status)
        status = mth_chain_original_digest(&mth_chain_hand_input(&coder->hand)->opened.source, step.is_folder,
                                           chain->memory, &xxh3, err);
    if (status)
        return status;
    memcpy(step.xxh3, xxh3.bytes, sizeof step.xxh3);
    status = code(coder, has_base, false, &step, &found, err);
    if (!status && step.loss.is_lossy)
        status = take_restored(coder, &step, err);
    *outcome = has_base && !found ? MTH_CHAIN_ADDED_ALONE : MTH_CHAIN_ADDED;
    if (!status)
        status = mth_chain_put(chain, &step, err);
    return status ? status : mth_chain_writer_commit(&coder->writer, err);
}

int mth_chain_recode(struct mth_chain_coder *coder, const struct mth_chain_move *move,
                     struct mth_chain_step *step, struct mth_error *err)
{
    const struct mth_chain *chain = &coder->writer.chain;
    const struct mth_chain_place place = place_of(coder, NULL);
    bool has_base = move->base < chain->n_steps, found;
    int status = MTH_OK;
    *step = chain->steps[move->step];
    step->writing++;
    if (has_base)
        status = mth_chain_hand_take_bases(&coder->hand, &place, move->base, usable(coder, move->older, true),
                                           err);
    if (!status)
        status = mth_chain_hand_restore(&coder->hand, &place, move->step, err);
    return status ? status : code(coder, has_base, true, step, &found, err);
}
