/* `mithril decompress` and `mithril verify`: containers back into the files they were made of, or only checked. */
#include "harness/command.h"

#include "base/pool.h"
#include "formats/folder.h"
#include "harness/base_files.h"
#include "harness/clock.h"
#include "harness/damaged_directory.h"
#include "harness/directory.h"
#include "harness/file_walk.h"
#include "harness/folder_files.h"
#include "harness/loss.h"
#include "harness/memory_limit.h"
#include "harness/opened.h"
#include "harness/output.h"
#include "harness/packed_file.h"
#include "harness/stream_progress.h"
#include "harness/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
    const struct mth_options *options;
    struct mth_memory *memory;
    struct mth_base_files bases;
    struct mth_stream_config config;
};

static void print_summary(const struct job *job, const char *output, const struct mth_container_stats *stats,
                          uint64_t ns)
{
    char name[MTH_TEXT_BYTES], peak[MTH_TEXT_BYTES], loss[MTH_LOSS_TEXT_BYTES];
    const struct mth_options *options = job->options;
    double seconds = (double)ns * 1e-9;
    bool busy = strcmp(output, "-") == 0;
    if (options->quiet || (!busy && options->json && strcmp(options->json, "-") == 0))
        return;
    fprintf(busy ? stderr : stdout, "%s: %llu -> %llu bytes, %.3f GiB/s, peak %s, digest verified%s\n",
            mth_text_name(output, 60, name), (unsigned long long)stats->stored_bytes,
            (unsigned long long)stats->raw_bytes,
            seconds > 0 ? (double)stats->raw_bytes / (double)(1 << 30) / seconds : 0,
            mth_text_size(mth_peak_resident_bytes(), peak), mth_loss_text(&stats->loss, loss));
}

static int put_json(const struct job *job, const char *kind, const char *input, const char *output,
                    const struct mth_container_stats *stats, uint64_t ns, struct mth_error *err)
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_string(&w, "kind", kind);
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "input", input);
    mth_json_string(&w, "base", job->options->base);
    mth_json_string(&w, "output", output);
    mth_json_uint(&w, "raw_bytes", stats->raw_bytes);
    mth_json_uint(&w, "stored_bytes", stats->stored_bytes);
    mth_json_uint(&w, "n_bundles", stats->n_bundles);
    mth_json_uint(&w, "n_unchecked", stats->n_skipped);
    mth_json_uint(&w, "decode_ns", ns);
    mth_loss_put(&w, &stats->loss);
    mth_json_uint(&w, "resident_peak_bytes", mth_peak_resident_bytes());
    mth_json_end(&w);
    return mth_text_put_json(&w, job->options->json, err);
}

/* The container, read in order: from a file, or from standard input as it comes. */
static int open_input(const char *path, struct mth_source *source, struct mth_input *input,
                      struct mth_error *err)
{
    *source = (struct mth_source){.fd = -1};
    if (strcmp(path, "-") == 0) {
        mth_input_descriptor("standard input", STDIN_FILENO, input);
        return MTH_OK;
    }
    int status = mth_source_open(path, source, err);
    if (!status)
        mth_input_source(source, input);
    return status;
}

/* Is it a directory that a container of that name restores to? Without the base that it needs nobody knows. */
static int find_folder(const struct mth_opened *opened, bool *is_folder, struct mth_error *err)
{
    *is_folder = false;
    if (!mth_opened_is_whole_name(opened->path))
        return MTH_OK;
    int status = mth_folder_is(&opened->source, is_folder, err);
    return status == MTH_ERR_BASE ? MTH_OK : status;
}

/*
 * The base of a container, NULL where it needs none, and whether it restores to a directory. A base that was given for nothing is a
 * mistake, unless each file has its own; where the container can not be looked at first, it is let go.
 */
static int look_at(struct job *job, const struct mth_walked *file, bool only_checks,
                   const struct mth_stream_base **base, bool *is_folder, struct mth_error *err)
{
    struct mth_opened opened = {0}, *found = NULL;
    *base = NULL;
    *is_folder = false;
    if (!job->options->base && !mth_opened_is_whole_name(file->input))
        return MTH_OK;
    if (strcmp(file->input, "-") == 0) {
        int status = job->options->base ? mth_base_files_pick(&job->bases, file->place, &found, err) : MTH_OK;
        if (found)
            *base = &found->base;
        return status;
    }
    int status = mth_opened_open(&opened, file->input, 1, job->memory, err);
    bool needs_base = !status && opened.container && mth_opened_needs_base(&opened);
    if (!status && opened.container && job->options->base) {
        if (!needs_base && !only_checks && !mth_base_files_vary(&job->bases))
            status =
                mth_error_set(err, MTH_ERR_BASE, "%s: was coded without a base; leave out -b", file->input);
        else if (needs_base)
            status = mth_base_files_fit(&job->bases, file->place, &opened, &found, err);
    }
    if (!status && opened.container && !only_checks)
        status = find_folder(&opened, is_folder, err);
    mth_opened_close(&opened);
    if (found)
        *base = &found->base;
    return status;
}

static int restore(struct job *job, const char *input_path, const struct mth_stream_base *base,
                   struct mth_sink *sink, struct mth_container_stats *stats, struct mth_error *err)
{
    struct mth_source source;
    struct mth_input input;
    int status = open_input(input_path, &source, &input, err);
    if (status)
        return status;
    status = mth_decompress(&input, base, sink, &job->config, stats, err);
    mth_source_close(&source);
    return status == MTH_ERR_CANCELLED ? mth_error_set(err, status, "interrupted, nothing was written")
                                       : status;
}

/*
 * What damage took of a directory that is one container is told, and the rest written where it is wanted and there is an output. Returns
 * the status; the line of the error says how much it is.
 */
static int tell_damage(struct job *job, const char *input_path, const char *output_path,
                       const struct mth_stream_base *base, int status, struct mth_error *err)
{
    struct mth_damaged damaged;
    struct mth_error why, of_damage = *err;
    int looked = mth_damaged_look(&damaged, input_path, base, job->memory, &why);
    size_t n_whole = looked ? 0 : damaged.n_files - damaged.n_lost;
    bool writes = n_whole > 0 && output_path && job->options->partial;
    if (!looked)
        mth_damaged_tell(&damaged);
    if (!looked && writes)
        looked = mth_damaged_write(&damaged, output_path, &why);
    if (looked == MTH_OK) {
        mth_error_set(err, status, "%.240s; %zu of %zu files are lost%s%.120s", of_damage.text,
                      damaged.n_lost, damaged.n_files,
                      writes        ? ", the others are in "
                      : !n_whole    ? ""
                      : output_path ? ", --partial writes the others"
                                    : ", decompress --partial writes the others",
                      writes ? output_path : "");
    } else if (looked == MTH_ERR_CANCELLED || writes) {
        *err = why;
        status = looked;
    }
    mth_damaged_close(&damaged);
    return status;
}

/* Restores a file, or a directory, and says so. */
static int restore_to(struct job *job, const char *input_path, const char *output_path, bool is_folder,
                      const struct mth_stream_base *base, struct mth_error *err)
{
    struct mth_container_stats stats = {0};
    struct mth_output output;
    struct mth_folder_output folder;
    struct mth_stream_bar bar;
    int status = is_folder ? mth_folder_output_open(output_path, &folder, err)
                           : mth_output_open(output_path, &output, err);
    if (status)
        return status;
    mth_stream_bar_begin(&bar, input_path, job->options->quiet);
    job->config.progress = mth_stream_bar_show;
    job->config.progress_arg = &bar;
    status = restore(job, input_path, base, is_folder ? &folder.sink : &output.sink, &stats, err);
    bool is_damaged = is_folder && mth_folder_is_damage(status);
    status = is_folder ? mth_folder_output_close(&folder, status, &stats.attributes, job->memory, err)
                       : mth_output_close(&output, status, &stats.attributes, err);
    uint64_t ns = mth_stream_bar_end(&bar);
    if (is_damaged)
        return tell_damage(job, input_path, output_path, base, status, err);
    if (status)
        return status;
    print_summary(job, output_path, &stats, ns);
    return job->options->json ? put_json(job, "decompress", input_path, output_path, &stats, ns, err)
                              : MTH_OK;
}

/* One file of a directory that is a container as a whole, where the path leads to none. */
static int decompress_packed(struct job *job, const char *container_path, const char *name,
                             const char *output_path, struct mth_error *err)
{
    const char *inputs[] = {container_path, job->options->base};
    struct mth_opened opened = {0}, *found = NULL;
    struct mth_container_stats stats = {0};
    struct mth_output output;
    uint64_t begin_ns = mth_clock_ns();
    int status = mth_output_check(output_path, job->options->force, inputs, 2, err);
    if (!status)
        status = mth_opened_open(&opened, container_path, 1, job->memory, err);
    if (!status && !opened.container)
        status = mth_error_set(err, MTH_ERR_FORMAT, "%s: is not a mithril container", container_path);
    if (!status && job->options->base && mth_opened_needs_base(&opened))
        status = mth_base_files_fit(&job->bases, mth_path_name(container_path), &opened, &found, err);
    if (!status && found)
        status = mth_base_files_spare(&job->bases, output_path, err);
    if (!status)
        status = mth_output_open(output_path, &output, err);
    if (!status) {
        status = mth_packed_restore(&opened, name, &output.sink, &stats, err);
        status = mth_output_close(&output, status, &stats.attributes, err);
    }
    mth_opened_close(&opened);
    if (status)
        return mth_opened_blame(container_path, err);
    uint64_t ns = mth_clock_ns() - begin_ns;
    print_summary(job, output_path, &stats, ns);
    return job->options->json ? put_json(job, "decompress", container_path, output_path, &stats, ns, err)
                              : MTH_OK;
}

static int decompress(struct job *job, const struct mth_walked *file, struct mth_error *err)
{
    const struct mth_stream_base *base = NULL;
    const char *inputs[] = {file->input, job->options->base};
    bool is_folder;
    int status = look_at(job, file, false, &base, &is_folder, err);
    if (mth_folder_is_damage(status) && mth_opened_is_whole_name(file->input)) {
        struct mth_error of_damage = *err;
        mth_error_set(err, status, "%.400s; without that no file of it is found", of_damage.text);
    }
    /* As bytes it goes wherever it was sent. */
    is_folder &= strcmp(file->output, "-") != 0;
    /* What stands for a directory becomes that in which its output would lie. */
    char *whole = is_folder && file->is_below ? mth_path_directory(file->output) : NULL;
    const char *output_path = whole ? whole : file->output;
    if (!status && is_folder && file->is_below && !whole)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    if (!status)
        status = is_folder ? mth_folder_output_check(output_path, err)
                           : mth_output_check(output_path, job->options->force, inputs, 2, err);
    if (!status && base)
        status = mth_base_files_spare(&job->bases, output_path, err);
    if (!status)
        status = restore_to(job, file->input, output_path, is_folder, base, err);
    free(whole);
    return status;
}

static int decompress_file(void *arg, const struct mth_walked *file, struct mth_error *err)
{
    struct job *job = arg;
    const char *name = NULL;
    bool is_there = strcmp(file->input, "-") == 0 || mth_path_is_there(file->input);
    char *container = is_there ? NULL : mth_packed_find(file->input, &name);
    int status =
        container ? decompress_packed(job, container, name, file->output, err) : decompress(job, file, err);
    free(container);
    status = mth_memory_limit_name(job->options, status, err);
    return status && !name ? mth_opened_blame(file->input, err) : status;
}

static int verify_file(void *arg, const struct mth_walked *file, struct mth_error *err)
{
    struct job *job = arg;
    const char *path = file->input;
    bool is_folder;
    struct mth_container_stats stats = {0};
    struct mth_source source;
    struct mth_input input;
    struct mth_stream_bar bar;
    char name[MTH_TEXT_BYTES], loss[MTH_LOSS_TEXT_BYTES];
    const struct mth_stream_base *base = NULL;
    int status = look_at(job, file, true, &base, &is_folder, err);
    if (!status)
        status = open_input(path, &source, &input, err);
    if (status)
        return mth_opened_blame(path, err);
    mth_stream_bar_begin(&bar, path, job->options->quiet);
    job->config.progress = mth_stream_bar_show;
    job->config.progress_arg = &bar;
    status = mth_container_check(&input, base, &job->config, &stats, err);
    uint64_t ns = mth_stream_bar_end(&bar);
    mth_source_close(&source);
    if (mth_folder_is_damage(status) && mth_opened_is_whole_name(path))
        status = tell_damage(job, path, NULL, base, status, err);
    if (mth_memory_limit_name(job->options, status, err))
        return mth_opened_blame(path, err);
    bool silent = job->options->quiet || (job->options->json && strcmp(job->options->json, "-") == 0);
    if (!silent && stats.n_skipped)
        printf("%s: checksums right; %llu of %llu bundles can only be restored with the base (-b)%s\n",
               mth_text_name(path, 60, name), (unsigned long long)stats.n_skipped,
               (unsigned long long)stats.n_bundles, mth_loss_text(&stats.loss, loss));
    else if (!silent)
        printf("%s: restores to %s, %llu bytes%s\n", mth_text_name(path, 60, name),
               stats.loss.is_lossy ? "what it was quantized to" : "the original",
               (unsigned long long)stats.raw_bytes, mth_loss_text(&stats.loss, loss));
    return job->options->json ? put_json(job, "verify", path, NULL, &stats, ns, err) : MTH_OK;
}

static int run(const struct mth_command_line *line, bool verify, int argc, char **argv)
{
    const struct mth_naming naming = {.suffix = MTH_CONTAINER_SUFFIX, .reads_only = verify};
    struct mth_options options;
    struct mth_error err = {0};
    int exit_code;
    if (!mth_options_parse(line, argc, argv, &options, &exit_code))
        return exit_code;
    size_t n_threads = options.threads ? options.threads : mth_pool_processors();
    struct mth_memory_limit limit;
    bool has_memory = mth_memory_limit_begin(&options, n_threads, &limit);
    struct job job = {.options = &options, .memory = limit.memory};
    job.config = (struct mth_stream_config){.n_threads = n_threads, .memory = job.memory};
    int status = has_memory ? mth_base_files_open(&job.bases, &options, n_threads, job.memory, &err)
                            : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    if (mth_memory_limit_name(&options, status, &err))
        exit_code = mth_command_fail(&err);
    else
        exit_code = mth_file_walk(&options, &naming, verify ? verify_file : decompress_file, NULL, &job);
    mth_base_files_close(&job.bases);
    mth_memory_limit_end(&limit);
    mth_options_free(&options);
    return exit_code;
}

int mth_cmd_decompress(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "decompress FILE" MTH_CONTAINER_SUFFIX "|DIRECTORY... [OPTION...]",
        .summary = "Restores what compress made, bit for bit, with its mode and time; directories into "
                   "directories.\n"
                   "One file of a directory that is one container is named as if it lay beside that: "
                   "DIRECTORY/model.safetensors.\n"
                   "- reads standard input, -o - writes standard output.",
        .notes = "What was compressed against a base (-b) needs that base, or one with the same tensors; "
                 "another one\n"
                 "is refused. A base that needs a base of its own takes the next -b, and what was "
                 "compressed\n"
                 "against two, the older one behind that. An index of shards as "
                 "base is "
                 "all of them; in a\n"
                 "directory the base of each file is looked for at the same place, as compress does. Where a "
                 "directory that\n"
                 "is one container is damaged, each file that is lost has a line, and --partial writes the "
                 "others.",
        .takes = MTH_TAKES_PARTIAL | MTH_TAKES_CHAIN | MTH_TAKES_THREADS | MTH_TAKES_OUTPUT |
                 MTH_TAKES_FORCE | MTH_TAKES_DTYPE | MTH_TAKES_MEMORY | MTH_TAKES_JSON |
                 MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = SIZE_MAX,
    };
    return run(&line, false, argc, argv);
}

int mth_cmd_verify(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "verify FILE" MTH_CONTAINER_SUFFIX "|DIRECTORY... [OPTION...]",
        .summary = "Restores containers, all of a directory too, without writing anything and compares all "
                   "checksums and\n"
                   "digests. Without the base that one was coded against, it checks what it can and says so.",
        .takes = MTH_TAKES_CHAIN | MTH_TAKES_THREADS | MTH_TAKES_DTYPE | MTH_TAKES_MEMORY | MTH_TAKES_JSON |
                 MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = SIZE_MAX,
    };
    return run(&line, true, argc, argv);
}
