/* `mithril chain`: finds the command behind it, and what these commands share. */
#include "harness/chain_command.h"
#include "harness/command.h"
#include "harness/loss.h"

#include "base/hash.h"
#include "base/option.h"
#include "base/pool.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"add", "checkpoints into a chain, each coded as its policy says", mth_chain_cmd_add},
    {"list", "the steps, what each is coded against and takes, and whether all is there", mth_chain_cmd_list},
    {"restore", "a step back, bit for bit", mth_chain_cmd_restore},
    {"verify", "restore every step without writing", mth_chain_cmd_verify},
    {"drop", "all steps but those to keep; what needs one that goes is coded again", mth_chain_cmd_drop},
    {"compare", "what each policy and preset would cost on a run", mth_chain_cmd_compare},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fprintf(
        out,
        "usage: mithril chain COMMAND DIRECTORY [ARGUMENT...]\n\nThe checkpoints of a run in one directory: "
        "one container a step, each coded alone or against an earlier one.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n`mithril chain COMMAND -h` explains a command.\n");
}

int mth_cmd_chain(int argc, char **argv)
{
    struct mth_error err;
    char hint[MTH_HINT_BYTES];
    size_t nearest = 0, nearest_distance = SIZE_MAX;
    if (argc < 2) {
        print_help(stderr);
        return MTH_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
        print_help(stdout);
        return MTH_EXIT_OK;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
        size_t distance = mth_edit_distance(name, strlen(name), commands[i].name);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = i;
        }
    }
    mth_error_set(&err, MTH_ERR_USAGE, "chain has no command '%.60s'%s (mithril chain -h lists them)", name,
                  mth_did_you_mean(name, strlen(name), "", commands[nearest].name, hint));
    return mth_command_fail(&err);
}

bool mth_chain_run_begin(const struct mth_command_line *line, int argc, char **argv,
                         struct mth_chain_run *run, int *exit_code)
{
    struct mth_error err;
    *run = (struct mth_chain_run){0};
    if (!mth_options_parse(line, argc, argv, &run->options, exit_code))
        return false;
    size_t n_threads = run->options.threads ? run->options.threads : mth_pool_processors();
    run->directory = run->options.operands.items[0];
    if (!mth_memory_limit_begin(&run->options, n_threads, &run->limit)) {
        *exit_code = mth_chain_run_end(run, mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory"), &err);
        return false;
    }
    run->config = (struct mth_stream_config){
        .n_threads = n_threads, .memory = run->limit.memory, .verify = true, .lossy = run->options.lossy};
    return true;
}

int mth_chain_run_end(struct mth_chain_run *run, int status, struct mth_error *err)
{
    status = mth_memory_limit_name(&run->options, status, err);
    int exit_code = status ? mth_command_fail(err) : MTH_EXIT_OK;
    mth_memory_limit_end(&run->limit);
    mth_options_free(&run->options);
    return exit_code;
}

bool mth_chain_run_talks(const struct mth_chain_run *run)
{
    return !run->options.quiet && !(run->options.json && strcmp(run->options.json, "-") == 0);
}

static void put_hex(struct mth_json_writer *writer, const char *key, const uint8_t bytes[16])
{
    struct mth_digest digest;
    char hex[MTH_DIGEST_HEX_BYTES];
    memcpy(digest.bytes, bytes, sizeof digest.bytes);
    mth_digest_hex(&digest, hex);
    mth_json_string(writer, key, hex);
}

void mth_chain_put_step(struct mth_json_writer *writer, const struct mth_chain *chain, size_t index)
{
    const struct mth_chain_step *step = &chain->steps[index];
    struct mth_chain_cost cost = mth_chain_cost_of(chain, index);
    mth_json_uint(writer, "step", step->number);
    if (step->has_base)
        mth_json_uint(writer, "base_step", step->base);
    else
        mth_json_null(writer, "base_step");
    if (step->has_older)
        mth_json_uint(writer, "older_step", chain->steps[mth_chain_find(chain, step->base)].base);
    else
        mth_json_null(writer, "older_step");
    mth_json_string(writer, "name", step->name);
    mth_json_bool(writer, "is_folder", step->is_folder);
    mth_json_uint(writer, "raw_bytes", step->raw_bytes);
    mth_json_uint(writer, "stored_bytes", step->stored_bytes);
    mth_json_uint(writer, "n_links", cost.n_links);
    mth_json_uint(writer, "restore_bytes", cost.stored_bytes);
    put_hex(writer, "xxh3", step->xxh3);
    put_hex(writer, "digest", step->digest);
    mth_loss_put(writer, &step->loss);
}

const char *mth_chain_step_base(const struct mth_chain_step *step, char out[64])
{
    if (step->has_base)
        snprintf(out, 64, "against step %llu%s", (unsigned long long)step->base,
                 step->has_older ? " and the one below" : "");
    else
        snprintf(out, 64, "alone");
    return out;
}
