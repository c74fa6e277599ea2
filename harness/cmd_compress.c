/* `mithril compress`: checkpoint files into containers, each bundle restored and compared before it is written. */
#include "harness/command.h"

#include "base/checked.h"
#include "base/pool.h"
#include "formats/folder.h"
#include "harness/base_files.h"
#include "harness/clock.h"
#include "harness/file_walk.h"
#include "harness/loss.h"
#include "harness/memory_limit.h"
#include "harness/opened.h"
#include "harness/output.h"
#include "harness/pairing.h"
#include "harness/set_plan.h"
#include "harness/stream_progress.h"
#include "harness/text.h"
#include "harness/whole_directory.h"
#include "pipeline/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SAMPLE_BYTES = 1 << 20, MAX_SAMPLE_GROWTH = 8, ESTIMATE_NS = 900000000 };

struct job {
    const struct mth_options *options;
    struct mth_memory *memory;
    struct mth_base_files bases;
    struct mth_pipeline *pipeline;
    struct mth_pipeline
        *alone; /* for a file without a base, where others have one; NULL: none needed it yet */
    /* Of the file at hand. */
    const struct mth_stream_base *base;
    uint64_t need_bytes; /* the most that it may take, the program included */
    struct mth_stream_config config;
};

static const char *spec_of(const struct job *job)
{
    return job->options->pipelines.n_items ? job->options->pipelines.items[0] : "balanced";
}

static const struct mth_pipeline *pipeline_of(const struct job *job)
{
    return job->options->base && !job->base ? job->alone : job->pipeline;
}

static double ratio_of(uint64_t n_raw, uint64_t n_stored)
{
    return n_stored ? (double)n_raw / (double)n_stored : 0;
}

/* Where the lines for people go when standard output carries the container. */
static FILE *talk(const struct job *job, const char *output)
{
    bool busy = strcmp(output, "-") == 0 || (job->options->json && strcmp(job->options->json, "-") == 0);
    return job->options->quiet || (busy && strcmp(output, "-") != 0) ? NULL : busy ? stderr : stdout;
}

static void print_summary(const struct job *job, const char *output, const struct mth_container_stats *stats,
                          uint64_t ns)
{
    char name[MTH_TEXT_BYTES], peak[MTH_TEXT_BYTES], loss[MTH_LOSS_TEXT_BYTES];
    FILE *out = talk(job, output);
    double seconds = (double)ns * 1e-9;
    if (!out)
        return;
    fprintf(out, "%s: %llu -> %llu bytes, ratio %.3f, %.3f GiB/s, peak %s%s%s\n",
            mth_text_name(output, 40, name), (unsigned long long)stats->raw_bytes,
            (unsigned long long)stats->stored_bytes, ratio_of(stats->raw_bytes, stats->stored_bytes),
            seconds > 0 ? (double)stats->raw_bytes / (double)(1 << 30) / seconds : 0,
            mth_text_size(mth_peak_resident_bytes(), peak), job->options->no_verify ? "" : ", verified",
            mth_loss_text(&stats->loss, loss));
    const struct mth_paired *paired = &stats->paired;
    if (mth_paired_of(paired) + paired->n_new > paired->n_same)
        fprintf(out, "  against the base: %s\n", mth_pairing_text(paired, name));
}

static int put_json(const struct job *job, const struct mth_opened *input, const char *output,
                    const struct mth_container_stats *stats, uint64_t ns, struct mth_error *err)
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_string(&w, "kind", "compress");
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "input", input->path);
    mth_json_string(&w, "base", job->options->base);
    mth_json_string(&w, "output", output);
    mth_json_string(&w, "format", input->map.format);
    mth_json_string(&w, "spec_resolved", mth_pipeline_text(pipeline_of(job)));
    mth_json_uint(&w, "raw_bytes", stats->raw_bytes);
    mth_json_uint(&w, "stored_bytes", stats->stored_bytes);
    mth_json_real(&w, "ratio", ratio_of(stats->raw_bytes, stats->stored_bytes));
    mth_json_uint(&w, "n_bundles", stats->n_bundles);
    mth_json_uint(&w, "n_chunks", stats->n_chunks);
    mth_json_uint(&w, "n_chunks_stored", stats->n_chunks_raw);
    mth_json_uint(&w, "n_chunks_copied", stats->n_chunks_copied);
    mth_pairing_put(&w, "paired", mth_paired_of(&stats->paired) ? &stats->paired : NULL);
    mth_json_uint(&w, "encode_ns", ns);
    mth_json_uint(&w, "memory_need_bytes", job->need_bytes);
    mth_json_uint(&w, "resident_peak_bytes", mth_peak_resident_bytes());
    mth_json_bool(&w, "verified", !job->options->no_verify);
    mth_loss_put(&w, &stats->loss);
    mth_json_end(&w);
    return mth_text_put_json(&w, job->options->json, err);
}

/* The most that it may take, into job->need_bytes, the program included. */
static int know_need(struct job *job, const struct mth_opened *input, struct mth_memory_need *need,
                     struct mth_error *err)
{
    size_t n_bases = !job->base ? 0 : job->base->older ? 2 : 1;
    int status = mth_compress_memory(pipeline_of(job), &input->map, n_bases, &job->config, need, err);
    if (!status && !mth_u64_add(need->total_bytes, mth_memory_current(job->memory), &job->need_bytes))
        job->need_bytes = UINT64_MAX;
    return status;
}

/* What a spec of the user's may take is told before it begins; presets keep to a bound of their own. */
static int tell_need(struct job *job, const struct mth_opened *input, const char *output_path,
                     struct mth_error *err)
{
    const char *spec = spec_of(job);
    struct mth_memory_need need = {0};
    char total[MTH_TEXT_BYTES], thread[MTH_TEXT_BYTES];
    FILE *out = talk(job, output_path);
    int status = know_need(job, input, &need, err);
    if (!status && out && !mth_preset_find(spec, strlen(spec)))
        fprintf(out, "%s: may take %s of memory, %s on each of %zu threads\n", spec,
                mth_text_size(job->need_bytes, total), mth_text_size(need.thread_bytes, thread),
                need.n_threads);
    return status;
}

/* The sample grows, as far as the time that the one before took allows, until a second is over or it is the file. */
static int estimate_in_a_second(struct job *job, const struct mth_opened *input, uint64_t *n_stored,
                                uint64_t *n_sampled, struct mth_error *err)
{
    uint64_t total = input->map.n_bytes, spent_ns = 0, growth = 1;
    int status = MTH_OK;
    for (*n_sampled = FIRST_SAMPLE_BYTES; !status && growth > 0; *n_sampled *= growth) {
        uint64_t begin_ns = mth_clock_ns();
        *n_sampled = *n_sampled < total ? *n_sampled : total;
        status = mth_compress_estimate(pipeline_of(job), &input->source, &input->map, job->base, &job->config,
                                       *n_sampled, n_stored, err);
        uint64_t took_ns = mth_clock_ns() - begin_ns;
        spent_ns += took_ns;
        growth = spent_ns < ESTIMATE_NS ? (ESTIMATE_NS - spent_ns) / (took_ns + 1) : 0;
        growth = growth > MAX_SAMPLE_GROWTH ? MAX_SAMPLE_GROWTH : growth;
        if (*n_sampled == total || growth < 2)
            break;
    }
    return status;
}

static int put_estimate(const struct job *job, const struct mth_opened *input, uint64_t n_stored,
                        uint64_t n_sampled, struct mth_error *err)
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_string(&w, "kind", "estimate");
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "input", input->path);
    mth_json_string(&w, "base", job->options->base);
    mth_json_string(&w, "format", input->map.format);
    mth_json_string(&w, "spec_resolved", mth_pipeline_text(pipeline_of(job)));
    mth_json_uint(&w, "raw_bytes", input->map.n_bytes);
    mth_json_uint(&w, "sampled_bytes", n_sampled);
    mth_json_uint(&w, "estimated_bytes", n_stored);
    mth_json_real(&w, "ratio", ratio_of(input->map.n_bytes, n_stored));
    mth_json_uint(&w, "memory_need_bytes", job->need_bytes);
    mth_json_end(&w);
    return mth_text_put_json(&w, job->options->json, err);
}

static int estimate(struct job *job, const struct mth_opened *input, struct mth_error *err)
{
    uint64_t n_stored, n_sampled;
    char name[MTH_TEXT_BYTES], sampled[MTH_TEXT_BYTES], total[MTH_TEXT_BYTES];
    struct mth_memory_need need = {0};
    int status = know_need(job, input, &need, err);
    if (!status)
        status = estimate_in_a_second(job, input, &n_stored, &n_sampled, err);
    if (!status && job->options->json)
        status = put_estimate(job, input, n_stored, n_sampled, err);
    else if (!status)
        printf("%s: %llu -> about %llu bytes, ratio about %.3f; from %s of it; may take %s of memory\n",
               mth_text_name(input->path, 40, name), (unsigned long long)input->map.n_bytes,
               (unsigned long long)n_stored, ratio_of(input->map.n_bytes, n_stored),
               mth_text_size(n_sampled, sampled), mth_text_size(job->need_bytes, total));
    return status;
}

static int compress(struct job *job, const struct mth_opened *input, const char *output_path,
                    struct mth_error *err)
{
    struct mth_container_stats stats;
    struct mth_output output;
    struct mth_stream_bar bar;
    struct mth_file_attributes attributes = mth_opened_attributes(input);
    int status = tell_need(job, input, output_path, err);
    if (!status)
        status = mth_output_open(output_path, &output, err);
    if (status)
        return status;
    mth_stream_bar_begin(&bar, input->path, job->options->quiet);
    job->config.progress = mth_stream_bar_show;
    job->config.progress_arg = &bar;
    status = mth_compress(pipeline_of(job), &input->source, &input->map, job->base, &attributes, &output.sink,
                          &job->config, &stats, err);
    if (!status && input->folder)
        status = mth_opened_check(input, &attributes, err);
    if (status == MTH_ERR_CANCELLED)
        mth_error_set(err, status, "interrupted, nothing was written");
    status = mth_output_close(&output, status, &attributes, err);
    uint64_t ns = mth_stream_bar_end(&bar);
    if (status)
        return status;
    print_summary(job, output_path, &stats, ns);
    return job->options->json ? put_json(job, input, output_path, &stats, ns, err) : MTH_OK;
}

/*
 * Finds the base of a file. Where bases vary a file may do without one: what has no tensors, what has no file there, what
 * is new since then.
 */
static int choose_base(struct job *job, const struct mth_opened *input, const char *place,
                       struct mth_error *err)
{
    struct mth_opened *base = NULL;
    bool vary = mth_base_files_vary(&job->bases), found = true;
    job->base = NULL;
    if (vary && input->map.n_tensors == 0)
        return MTH_OK;
    int status = mth_base_files_pick(&job->bases, place, &base, err);
    if (!status && base && !base->has_map)
        status = mth_opened_map(base, job->options->dtype, err);
    if (!status && base && base->base.older && !base->base.older->map)
        status = mth_error_set(err, MTH_ERR_BASE, "the older base has no tensors that could be looked at");
    if (!status && vary)
        status = base ? mth_opened_has_counterparts(input, base, &found, err) : MTH_OK;
    if (status)
        return status;
    if (vary && (!base || !found))
        fprintf(stderr,
                base ? "mithril: %s: none of its tensors is in the base; coded alone\n"
                     : "mithril: %s: there is no base for it; coded alone\n",
                input->path);
    else if (base)
        job->base = &base->base;
    return MTH_OK;
}

/* With the base that is chosen. */
static int code(struct job *job, const struct mth_opened *input, const char *output_path,
                struct mth_error *err)
{
    int status = MTH_OK;
    if (job->base)
        status = mth_base_files_spare(&job->bases, output_path, err);
    if (!status && job->options->base && !job->base && !job->alone)
        status = mth_pipeline_parse_alone(spec_of(job), &job->alone, err);
    if (status)
        return status;
    return job->options->estimate ? estimate(job, input, err) : compress(job, input, output_path, err);
}

static int do_file(void *arg, const struct mth_walked *file, struct mth_error *err)
{
    struct job *job = arg;
    const char *inputs[] = {file->input, job->options->base};
    struct mth_opened input = {0};
    struct mth_error why = {0};
    bool is_opaque = false, is_folder = false;
    int status =
        job->options->estimate ? MTH_OK : mth_output_check(file->output, job->options->force, inputs, 2, err);
    if (!status)
        status = mth_opened_open_file(&input, file->input, job->memory, err);
    if (!status)
        status = mth_opened_map_any(&input, job->options->dtype, &is_opaque, &why, err);
    if (!status && mth_opened_is_whole_name(file->output))
        status = mth_folder_is(&input.source, &is_folder, err);
    if (!status && is_folder)
        status = mth_error_set(err, MTH_ERR_USAGE,
                               "%s: %s would be taken for the container of a directory; -o names another",
                               file->input, mth_path_name(file->output));
    if (!status && is_opaque && !mth_set_is_lead(file->input))
        fprintf(stderr, "mithril: %s; taken as bytes without types\n", why.text);
    if (!status)
        status = choose_base(job, &input, file->place, err);
    if (!status)
        status = code(job, &input, file->output, err);
    mth_opened_close(&input);
    status = mth_memory_limit_name(job->options, status, err);
    return status ? mth_opened_blame(file->input, err) : MTH_OK;
}

/* ---- directories as a whole ---- */

/* The base of a directory as a whole; *is_whole is false where that has nothing of it. */
static int choose_whole_base(struct job *job, const struct mth_opened *input, const char *place,
                             bool *is_whole, struct mth_error *err)
{
    struct mth_opened *base = NULL;
    job->base = NULL;
    if (!job->options->base)
        return MTH_OK;
    int status = mth_base_files_choose_whole(&job->bases, input, place, &base, err);
    *is_whole = !status && base;
    if (*is_whole)
        job->base = &base->base;
    return status;
}

/* Another directory's containers beside it would be restored into the same one. */
static int check_whole_output(const struct job *job, const struct mth_walked *directory, const char *path,
                              struct mth_error *err)
{
    const char *inputs[] = {NULL, job->options->base};
    struct mth_names names;
    if (!mth_path_is_directory(directory->output))
        return MTH_OK;
    int status = mth_names_list(directory->output, &names, err);
    if (status)
        return status;
    for (size_t i = 0; !status && i < names.n_items; i++) {
        if (mth_path_ends_in(names.items[i], MTH_CONTAINER_SUFFIX) &&
            !mth_opened_is_whole_name(names.items[i]))
            status = mth_error_set(err, MTH_ERR_USAGE,
                                   "%s: holds other containers; one of a whole directory goes into an empty "
                                   "one (-o)",
                                   directory->output);
    }
    mth_names_free(&names);
    return status ? status : mth_output_check(path, job->options->force, inputs, 2, err);
}

/* The container of all of a directory, in the directory that the output is. */
static int code_whole(struct job *job, const struct mth_opened *input, const struct mth_walked *directory,
                      struct mth_error *err)
{
    char *path = mth_path_join(directory->output, "/", MTH_WHOLE_NAME MTH_CONTAINER_SUFFIX);
    bool writes = !job->options->estimate;
    size_t n_there = strlen(directory->output);
    int status = path ? MTH_OK : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    if (!status && writes)
        status = check_whole_output(job, directory, path, err);
    if (!status && writes)
        status = mth_file_make_directory_noted(directory->output, &n_there, err);
    if (!status)
        status = code(job, input, path, err);
    if (status)
        mth_file_take_back_directory(directory->output, n_there);
    free(path);
    return status;
}

static int do_directory(void *arg, const struct mth_walked *directory, bool *is_done, struct mth_error *err)
{
    struct job *job = arg;
    struct mth_opened input;
    *is_done = false;
    /* A type for bytes without one is for one file. */
    if (job->options->dtype != MTH_N_DTYPES)
        return MTH_OK;
    int status = mth_whole_open(&input, directory->input, job->memory, is_done, err);
    if (!status && *is_done) {
        status = choose_whole_base(job, &input, directory->place, is_done, err);
        if (!status && *is_done)
            status = code_whole(job, &input, directory, err);
        mth_opened_close(&input);
    }
    status = mth_memory_limit_name(job->options, status, err);
    return status ? mth_opened_blame(directory->input, err) : MTH_OK;
}

static int prepare(struct job *job, struct mth_error *err)
{
    const struct mth_options *options = job->options;
    int status = mth_loss_check(options, err);
    if (!status)
        status = mth_pipeline_parse(spec_of(job), options->base != NULL, &job->pipeline, err);
    if (status == MTH_ERR_UNSUPPORTED && !options->base) {
        const struct mth_error why = *err;
        mth_error_set(err, status, "%s; --base names one", why.text);
    }
    if (!status)
        status = mth_base_files_open(&job->bases, options, job->config.n_threads, job->memory, err);
    return status;
}

int mth_cmd_compress(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "compress FILE... [OPTION...]",
        .summary =
            "Compresses checkpoints, each FILE into FILE" MTH_CONTAINER_SUFFIX
            ", and directories into directories; an index of\n"
            "shards (*.index.json) brings its shards. What is made is restored and compared, bit for bit, "
            "before it is\n"
            "written. A directory of which an optimizer keeps in one file what it has for weights in another "
            "(a trainer's,\n"
            "DeepSpeed's, Megatron's) becomes one container, " MTH_WHOLE_NAME MTH_CONTAINER_SUFFIX
            " in the directory that is written. - reads standard input,\n"
            "-o - writes standard output.",
        .notes =
            "The default pipeline is balanced. Against a base (-b), the same base is needed to "
            "decompress; it may be\n"
            "a container, and where that needs a base of its own, another -b names it. One -b more is an "
            "older "
            "checkpoint\n"
            "that the base became out of, which saves up to 6 % where training goes on. An index of shards "
            "as "
            "base is all of\n"
            "them; in a directory the base of each file is looked for at the same place: the checkpoint of "
            "several files that\n"
            "lies there, or the file of the same name; a second directory is that of older ones.",
        .takes = MTH_TAKES_PIPELINE | MTH_TAKES_CHAIN | MTH_TAKES_THREADS | MTH_TAKES_OUTPUT |
                 MTH_TAKES_FORCE | MTH_TAKES_DTYPE | MTH_TAKES_CHUNK | MTH_TAKES_MEMORY | MTH_TAKES_ESTIMATE |
                 MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = SIZE_MAX,
    };
    static const struct mth_naming naming = {.suffix = MTH_CONTAINER_SUFFIX, .adds = true};
    struct mth_options options;
    struct mth_error err = {0};
    int exit_code;
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    size_t n_threads = options.threads ? options.threads : mth_pool_processors();
    struct mth_memory_limit limit;
    bool has_memory = mth_memory_limit_begin(&options, n_threads, &limit);
    struct job job = {.options = &options, .memory = limit.memory};
    job.config = (struct mth_stream_config){.n_threads = n_threads,
                                            .chunk_bytes = options.chunk_bytes,
                                            .memory = job.memory,
                                            .verify = !options.no_verify,
                                            .lossy = options.lossy};
    int status = has_memory ? prepare(&job, &err) : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    status = mth_memory_limit_name(&options, status, &err);
    exit_code =
        status ? mth_command_fail(&err) : mth_file_walk(&options, &naming, do_file, do_directory, &job);
    mth_base_files_close(&job.bases);
    mth_pipeline_destroy(job.pipeline);
    mth_pipeline_destroy(job.alone);
    mth_memory_limit_end(&limit);
    mth_options_free(&options);
    return exit_code;
}
