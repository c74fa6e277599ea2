/* `mithril decompress`: a frame file back into the checkpoint it was made of. */
#include "harness/command.h"

#include "base/file.h"
#include "base/pool.h"
#include "harness/clock.h"
#include "harness/frame_file.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    const struct mth_options *options;
    const char *input_path;
    char *output_path;
    struct mth_memory *memory;
    struct mth_buffer frame;
    struct mth_buffer base;
    uint8_t *restored;
    size_t raw_bytes;
    uint64_t decode_ns;
};

static int decode(struct job *job, struct mth_error *err)
{
    const struct mth_options *options = job->options;
    struct mth_bytes frame = {job->frame.data, job->frame.n_bytes},
                     base = {job->base.data, job->base.n_bytes};
    struct mth_frame_file file;
    struct mth_coder *coder = NULL;
    struct mth_error inner;
    int status = mth_frame_file_read(job->input_path, frame, &file, err);
    if (status)
        return status;
    if (file.info.has_base && !options->base)
        return mth_error_set(err, MTH_ERR_BASE, "%s: was coded against a base; -b FILE names it",
                             job->input_path);
    if (!file.info.has_base && options->base)
        return mth_error_set(err, MTH_ERR_BASE, "%s: was coded without a base; leave out -b",
                             job->input_path);
    if (file.info.raw_bytes > SIZE_MAX ||
        !(job->restored = mth_memory_alloc(job->memory, (size_t)file.info.raw_bytes)))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for the %llu bytes it restores to",
                             job->input_path, (unsigned long long)file.info.raw_bytes);
    job->raw_bytes = (size_t)file.info.raw_bytes;
    struct mth_coder_config config = {
        .n_threads = options->threads ? options->threads : mth_pool_processors(), .memory = job->memory};
    status = mth_coder_create(&config, &coder, &inner);
    if (!status) {
        uint64_t start = mth_clock_ns();
        status = mth_coder_decode(coder, frame, options->base ? &base : NULL, job->restored, job->raw_bytes,
                                  &inner);
        job->decode_ns = mth_clock_ns() - start;
    }
    mth_coder_destroy(coder);
    return status ? mth_error_set(err, status, "%s: %s", job->input_path, inner.text) : MTH_OK;
}

static int put_json(const struct job *job, struct mth_error *err)
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_string(&w, "kind", "decompress");
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "input", job->input_path);
    mth_json_string(&w, "base", job->options->base);
    mth_json_string(&w, "output", job->output_path);
    mth_json_uint(&w, "raw_bytes", job->raw_bytes);
    mth_json_uint(&w, "stored_bytes", job->frame.n_bytes);
    mth_json_uint(&w, "decode_ns", job->decode_ns);
    mth_json_end(&w);
    return mth_text_put_json(&w, job->options->json, err);
}

static int decompress(struct job *job, struct mth_error *err)
{
    const struct mth_options *options = job->options;
    const char *inputs[] = {job->input_path, options->base};
    int status = mth_output_check(job->output_path, options->force, inputs, 2, err);
    if (!status)
        status = mth_file_read_all(job->input_path, job->memory, &job->frame, err);
    if (!status && options->base)
        status = mth_file_read_all(options->base, job->memory, &job->base, err);
    if (!status)
        status = decode(job, err);
    if (!status)
        status = mth_output_write(job->output_path, (struct mth_bytes){job->restored, job->raw_bytes}, err);
    if (status)
        return status;
    if (!options->quiet && !(options->json && strcmp(options->json, "-") == 0)) {
        char name[MTH_TEXT_BYTES];
        double seconds = (double)job->decode_ns * 1e-9;
        printf("%s: %zu -> %zu bytes, decoded at %.3f GiB/s, digest verified\n",
               mth_text_name(job->output_path, 60, name), job->frame.n_bytes, job->raw_bytes,
               seconds > 0 ? (double)job->raw_bytes / (double)(1 << 30) / seconds : 0);
    }
    return options->json ? put_json(job, err) : MTH_OK;
}

/* The output's name: as asked, or the input's without our suffix. Allocated. */
static int output_name(const struct mth_options *options, char **out, struct mth_error *err)
{
    const char *name = options->operands.items[0];
    size_t n = strlen(name), n_suffix = sizeof MTH_FRAME_SUFFIX - 1;
    if (options->output) {
        name = options->output;
        n = strlen(name);
    } else if (n > n_suffix && strcmp(name + n - n_suffix, MTH_FRAME_SUFFIX) == 0) {
        n -= n_suffix;
    } else {
        return mth_error_set(err, MTH_ERR_USAGE,
                             "%s: does not end in " MTH_FRAME_SUFFIX "; -o FILE names the output", name);
    }
    *out = calloc(n + 1, 1);
    if (!*out)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    memcpy(*out, name, n);
    return MTH_OK;
}

int mth_cmd_decompress(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "decompress FILE" MTH_FRAME_SUFFIX " [OPTION...]",
        .summary = "Restores what compress made, bit for bit, into FILE. Its digest is checked before it is "
                   "written.",
        .notes = "What was compressed against a base (-b) needs the same base; another one is refused.",
        .takes = MTH_TAKES_BASE | MTH_TAKES_THREADS | MTH_TAKES_OUTPUT | MTH_TAKES_FORCE | MTH_TAKES_JSON |
                 MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_options options;
    struct mth_error err;
    int exit_code;
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    struct job job = {
        .options = &options, .input_path = options.operands.items[0], .memory = mth_memory_create(0)};
    int status = job.memory ? output_name(&options, &job.output_path, &err)
                            : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    if (!status)
        status = decompress(&job, &err);
    mth_memory_free(job.memory, job.restored);
    mth_memory_free(job.memory, job.frame.data);
    mth_memory_free(job.memory, job.base.data);
    mth_memory_destroy(job.memory);
    free(job.output_path);
    mth_options_free(&options);
    return status ? mth_command_fail(&err) : MTH_EXIT_OK;
}
