/* `mithril compress`: a checkpoint into one frame, decoded again and compared before it is written. */
#include "harness/command.h"

#include "base/pool.h"
#include "harness/checkpoint_file.h"
#include "harness/clock.h"
#include "harness/frame_file.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is not written by the decoder shows. */
enum { POISON = 0xa5 };

struct job {
    const struct mth_options *options;
    const char *input_path;
    char *output_path;
    struct mth_memory *memory;
    struct mth_loaded input;
    struct mth_loaded base;
    struct mth_pipeline *pipeline;
    uint8_t *frame;
    size_t frame_bytes;
    uint64_t encode_ns;
    uint64_t decode_ns;
};

static int load(struct job *job, struct mth_error *err)
{
    const struct mth_options *options = job->options;
    bool input_opaque, base_opaque = false;
    int status =
        mth_loaded_open_any(job->input_path, options->dtype, job->memory, &job->input, &input_opaque, err);
    if (!status && options->base)
        status =
            mth_loaded_open_any(options->base, options->dtype, job->memory, &job->base, &base_opaque, err);
    if (status)
        return status;
    if (input_opaque || base_opaque)
        fprintf(stderr,
                "mithril: %s: no checkpoint format known here; taken as bytes without types (--dtype gives "
                "one)\n",
                input_opaque ? job->input_path : options->base);
    return MTH_OK;
}

static int create_coder(struct job *job, struct mth_coder **coder, struct mth_error *err)
{
    size_t n_threads = job->options->threads ? job->options->threads : mth_pool_processors();
    struct mth_coder_config config = {
        .n_threads = n_threads, .chunk_bytes = job->options->chunk_bytes, .memory = job->memory};
    return mth_coder_create(&config, coder, err);
}

static int encode(struct job *job, struct mth_error *err)
{
    struct mth_coder *coder = NULL;
    size_t capacity;
    int status = create_coder(job, &coder, err);
    if (status)
        return status;
    const struct mth_checkpoint *base = job->options->base ? &job->base.checkpoint : NULL;
    status = mth_coder_bound(coder, &job->input.checkpoint, &capacity);
    if (status)
        mth_error_set(err, status, "%s: too large for this machine", job->input_path);
    if (!status && !(job->frame = mth_memory_alloc(job->memory, capacity)))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for a frame of %zu bytes",
                               job->input_path, capacity);
    if (!status) {
        struct mth_frame_stats stats;
        uint64_t start = mth_clock_ns();
        status = mth_coder_encode(coder, job->pipeline, &job->input.checkpoint, base, job->frame, capacity,
                                  &job->frame_bytes, &stats, err);
        job->encode_ns = mth_clock_ns() - start;
    }
    mth_coder_destroy(coder);
    return status;
}

/* Decodes with a coder that knows nothing of the encoding. */
static int verify(struct job *job, struct mth_error *err)
{
    size_t n_bytes = job->input.bytes.n_bytes;
    struct mth_coder *coder = NULL;
    uint8_t *restored = mth_memory_alloc(job->memory, n_bytes);
    if (!restored)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory to verify what was encoded",
                             job->input_path);
    memset(restored, POISON, n_bytes);
    int status = create_coder(job, &coder, err);
    if (!status) {
        struct mth_bytes base = {job->base.bytes.data, job->base.bytes.n_bytes};
        uint64_t start = mth_clock_ns();
        status = mth_coder_decode(coder, (struct mth_bytes){job->frame, job->frame_bytes},
                                  job->options->base ? &base : NULL, restored, n_bytes, err);
        job->decode_ns = mth_clock_ns() - start;
    }
    if (!status && n_bytes && memcmp(restored, job->input.bytes.data, n_bytes) != 0)
        status =
            mth_error_set(err, MTH_ERR_CHECKSUM,
                          "%s: does not restore to the same bytes; nothing was written", job->input_path);
    mth_coder_destroy(coder);
    mth_memory_free(job->memory, restored);
    return status;
}

static double gib_s(size_t n_bytes, uint64_t ns)
{
    return ns ? (double)n_bytes / (double)(1 << 30) / ((double)ns * 1e-9) : 0;
}

static void print_summary(const struct job *job)
{
    size_t n_raw = job->input.bytes.n_bytes;
    char name[MTH_TEXT_BYTES];
    printf("%s: %zu -> %zu bytes, ratio %.3f, encoded at %.3f GiB/s, decoded at %.3f GiB/s, verified\n",
           mth_text_name(job->output_path, 40, name), n_raw, job->frame_bytes,
           (double)n_raw / (double)job->frame_bytes, gib_s(n_raw, job->encode_ns),
           gib_s(n_raw, job->decode_ns));
}

static int put_json(const struct job *job, struct mth_error *err)
{
    size_t n_raw = job->input.bytes.n_bytes;
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_string(&w, "kind", "compress");
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "input", job->input_path);
    mth_json_string(&w, "base", job->options->base);
    mth_json_string(&w, "output", job->output_path);
    mth_json_string(&w, "format", job->input.map.format);
    mth_json_string(&w, "spec_resolved", mth_pipeline_text(job->pipeline));
    mth_json_uint(&w, "raw_bytes", n_raw);
    mth_json_uint(&w, "stored_bytes", job->frame_bytes);
    mth_json_real(&w, "ratio", (double)n_raw / (double)job->frame_bytes);
    mth_json_uint(&w, "encode_ns", job->encode_ns);
    mth_json_uint(&w, "decode_ns", job->decode_ns);
    mth_json_bool(&w, "verified", true);
    mth_json_end(&w);
    return mth_text_put_json(&w, job->options->json, err);
}

static int compress(struct job *job, struct mth_error *err)
{
    const struct mth_options *options = job->options;
    const char *inputs[] = {job->input_path, options->base};
    int status = mth_output_check(job->output_path, options->force, inputs, 2, err);
    if (!status)
        status = mth_pipeline_parse(options->pipelines.n_items ? options->pipelines.items[0] : "balanced",
                                    options->base != NULL, &job->pipeline, err);
    if (!status)
        status = load(job, err);
    if (!status)
        status = encode(job, err);
    if (!status)
        status = verify(job, err);
    if (!status)
        status = mth_output_write(job->output_path, (struct mth_bytes){job->frame, job->frame_bytes}, err);
    if (status)
        return status;
    if (!options->quiet && !(options->json && strcmp(options->json, "-") == 0))
        print_summary(job);
    return options->json ? put_json(job, err) : MTH_OK;
}

/* The output's name: as asked, or the input's with our suffix behind it. Allocated. */
static char *output_name(const struct mth_options *options)
{
    const char *name = options->output ? options->output : options->operands.items[0];
    size_t n = strlen(name);
    char *path = malloc(n + sizeof MTH_FRAME_SUFFIX);
    if (path) {
        memcpy(path, name, n + 1);
        if (!options->output)
            memcpy(path + n, MTH_FRAME_SUFFIX, sizeof MTH_FRAME_SUFFIX);
    }
    return path;
}

int mth_cmd_compress(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "compress FILE [OPTION...]",
        .summary = "Compresses a checkpoint into FILE" MTH_FRAME_SUFFIX
                   ". Before that is written it is decoded again and compared, bit for bit.",
        .notes =
            "The default pipeline is balanced. Against a base (-b), the same base is needed to decompress.\n"
            "The file holds a frame of version 0, an interim form that later versions may not read.",
        .takes = MTH_TAKES_PIPELINE | MTH_TAKES_BASE | MTH_TAKES_THREADS | MTH_TAKES_OUTPUT |
                 MTH_TAKES_FORCE | MTH_TAKES_DTYPE | MTH_TAKES_CHUNK | MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS |
                 MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_options options;
    struct mth_error err;
    int exit_code;
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    struct job job = {.options = &options,
                      .input_path = options.operands.items[0],
                      .output_path = output_name(&options),
                      .memory = mth_memory_create(0)};
    int status = job.output_path && job.memory ? compress(&job, &err)
                                               : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    mth_memory_free(job.memory, job.frame);
    mth_loaded_close(&job.input);
    mth_loaded_close(&job.base);
    mth_pipeline_destroy(job.pipeline);
    mth_memory_destroy(job.memory);
    free(job.output_path);
    mth_options_free(&options);
    return status ? mth_command_fail(&err) : MTH_EXIT_OK;
}
