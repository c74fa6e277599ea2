/* `mithril chain add`: checkpoints into a chain, in the order of their steps. */
#include "harness/chain_code.h"
#include "harness/chain_command.h"
#include "harness/loss.h"

#include "harness/output.h"
#include "harness/stream_progress.h"
#include "harness/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_step(const struct mth_chain_step *step, enum mth_chain_outcome outcome, uint64_t ns)
{
    char base[64], loss[MTH_LOSS_TEXT_BYTES];
    if (outcome == MTH_CHAIN_WAS_THERE) {
        printf("step %llu: is there already, the same bytes\n", (unsigned long long)step->number);
        return;
    }
    double seconds = (double)ns * 1e-9;
    printf("step %llu: %s%s, %llu -> %llu bytes, ratio %.3f, %.3f GiB/s, verified%s\n",
           (unsigned long long)step->number,
           outcome == MTH_CHAIN_MENDED ? "its container was not right and is written again, " : "",
           mth_chain_step_base(step, base), (unsigned long long)step->raw_bytes,
           (unsigned long long)step->stored_bytes,
           step->stored_bytes ? (double)step->raw_bytes / (double)step->stored_bytes : 0,
           seconds > 0 ? (double)step->raw_bytes / (double)(1 << 30) / seconds : 0,
           mth_loss_text(&step->loss, loss));
}

static int add_one(struct mth_chain_run *run, struct mth_chain_coder *coder,
                   const struct mth_step_file *input, struct mth_json_writer *json, struct mth_error *err)
{
    const struct mth_chain *chain = &coder->writer.chain;
    struct mth_stream_bar bar;
    enum mth_chain_outcome outcome;
    mth_stream_bar_begin(&bar, input->path, run->options.quiet);
    coder->config.progress = mth_stream_bar_show;
    coder->config.progress_arg = &bar;
    int status = mth_chain_add(coder, input->path, input->step, run->options.dtype, &outcome, err);
    uint64_t ns = mth_stream_bar_end(&bar);
    if (status)
        return mth_opened_blame(input->path, err);
    const struct mth_chain_original *original = mth_chain_hand_input(&coder->hand);
    if (outcome != MTH_CHAIN_WAS_THERE && original->is_opaque)
        fprintf(stderr, "mithril: %s; taken as bytes without types\n", original->why.text);
    if (outcome == MTH_CHAIN_ADDED_ALONE)
        fprintf(stderr, "mithril: %s: none of its tensors is in the step before; coded alone\n", input->path);
    size_t index = mth_chain_find(chain, input->step);
    if (mth_chain_run_talks(run))
        print_step(&chain->steps[index], outcome, ns);
    mth_json_begin_object(json, NULL);
    mth_chain_put_step(json, chain, index);
    mth_json_bool(json, "added", outcome == MTH_CHAIN_ADDED || outcome == MTH_CHAIN_ADDED_ALONE);
    mth_json_bool(json, "mended", outcome == MTH_CHAIN_MENDED);
    mth_json_uint(json, "encode_ns", ns);
    mth_json_end(json);
    return MTH_OK;
}

static int add_all(struct mth_chain_run *run, const struct mth_step_files *inputs, struct mth_error *err)
{
    const struct mth_options *options = &run->options;
    struct mth_chain_coder coder;
    struct mth_json_writer json;
    char policy[MTH_CHAIN_POLICY_BYTES];
    const char *spec = options->pipelines.n_items ? options->pipelines.items[0] : NULL;
    int status = mth_chain_coder_open(&coder, run->directory, true,
                                      options->policies.n_items ? options->policies.items[0] : NULL, spec,
                                      &run->config, err);
    mth_json_writer_init(&json);
    if (!status) {
        mth_json_begin_object(&json, NULL);
        mth_json_string(&json, "kind", "chain_add");
        mth_json_int(&json, "schema", 1);
        mth_json_string(&json, "chain", run->directory);
        mth_json_string(&json, "policy", mth_chain_policy_text(&coder.writer.chain.policy, policy));
        mth_json_string(&json, "spec", coder.writer.chain.spec);
        mth_json_begin_array(&json, "steps");
    }
    for (size_t i = 0; !status && i < inputs->n_items; i++)
        status = add_one(run, &coder, &inputs->items[i], &json, err);
    mth_chain_coder_close(&coder);
    if (status || !options->json) {
        mth_json_writer_free(&json);
        return status;
    }
    mth_json_end(&json);
    mth_json_uint(&json, "resident_peak_bytes", mth_peak_resident_bytes());
    mth_json_end(&json);
    return mth_text_put_json(&json, options->json, err);
}

int mth_chain_cmd_add(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .name = "chain add",
        .usage = "chain add DIRECTORY FILE... [OPTION...]",
        .summary =
            "Adds checkpoints to a chain, and makes it where there is none. The step is the number that a "
            "file's name ends in\n"
            "(step-1000.pt). A directory of shards, of torch.distributed.checkpoint, or whose name ends in a "
            "number and whose\n"
            "files are no series of steps (checkpoint-1000) is one step, with all its files; of any other "
            "all "
            "steps in it are\n"
            "added. Each step is restored and compared, bit for bit, and is in the chain whole or not at "
            "all. "
            "A step that is there\n"
            "already with the same bytes is passed over, or written again where its container is missing or "
            "cut.",
        .notes =
            "Policies: full, full:every=K (one alone every K steps, those between against the one before), "
            "consecutive,\n"
            "one-shot, one-shot:every=K (against the last one alone), intermittent (the default of a new "
            "chain: "
            "one-shot, and a\n"
            "predictor says when the next is coded alone). Policy and pipeline are kept in the chain; given "
            "again they hold for\n"
            "the steps that are added from then on. Where the step before stands on one itself, and balanced "
            "or max codes, that one\n"
            "is an older base for the new step if it saves 1 %.",
        .takes = MTH_TAKES_PIPELINE | MTH_TAKES_POLICY | MTH_TAKES_STEP | MTH_TAKES_THREADS |
                 MTH_TAKES_DTYPE | MTH_TAKES_MEMORY | MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 2,
        .max_operands = SIZE_MAX,
    };
    struct mth_chain_run run;
    struct mth_step_files inputs = {0};
    struct mth_error err = {0};
    int exit_code;
    if (!mth_chain_run_begin(&line, argc, argv, &run, &exit_code))
        return exit_code;
    int status = mth_chain_inputs_find(&run.options, 1, &inputs, &err);
    if (!status)
        status = add_all(&run, &inputs, &err);
    mth_step_files_free(&inputs);
    return mth_chain_run_end(&run, status, &err);
}
