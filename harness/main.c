/* The program `mithril`: finds the command and runs it. */
#include "harness/child.h"
#include "harness/command.h"

#include "base/option.h"
#include "harness/output.h"
#include "pipeline/mithril.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"bench", "measure pipelines on checkpoints, verify every cell, judge the targets", mth_cmd_bench},
    {"chain", "the checkpoints of a run in one directory: add, list, restore, verify, drop, compare",
     mth_cmd_chain},
    {"compare", "did sizes change between two runs, did speeds?", mth_cmd_compare},
    {"compress", "checkpoint files into containers, verified before they are written", mth_cmd_compress},
    {"datasets", "what there is to measure: list, make, fetch, check", mth_cmd_datasets},
    {"decompress", "the checkpoint files back, bit for bit", mth_cmd_decompress},
    {"env", "what is known of this machine and this build", mth_cmd_env},
    {"explore", "searches the pipelines of a checkpoint for the front of ratio and speeds", mth_cmd_explore},
    {"extract", "tensors, or rows of one, as a safetensors file", mth_cmd_extract},
    {"info", "tensors, dtypes, entropies and the bound of a checkpoint", mth_cmd_info},
    {"list", "transforms, codecs, presets and formats, with their options", mth_cmd_list},
    {"report", "tables, a figure and the status from result rows", mth_cmd_report},
    {"verify", "restore containers without writing, compare every digest", mth_cmd_verify},
};
enum { MTH_N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fprintf(
        out,
        "usage: mithril COMMAND [ARGUMENT...]\n\nLossless compression of PyTorch checkpoints, measured.\n\n");
    for (size_t i = 0; i < MTH_N_COMMANDS; i++)
        fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n`mithril COMMAND -h` explains a command; `mithril --version` prints the version.\n");
}

static int unknown_command(const char *name)
{
    size_t nearest = 0, nearest_distance = SIZE_MAX;
    for (size_t i = 0; i < MTH_N_COMMANDS; i++) {
        size_t distance = mth_edit_distance(name, strlen(name), commands[i].name);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = i;
        }
    }
    struct mth_error err;
    char hint[MTH_HINT_BYTES];
    mth_error_set(&err, MTH_ERR_USAGE, "no command is called '%.80s'%s (mithril -h lists them)", name,
                  mth_did_you_mean(name, strlen(name), "", commands[nearest].name, hint));
    return mth_command_fail(&err);
}

/* A result that could not be printed, to a full disk for instance, is a failure. */
static int finish(int exit_code)
{
    struct mth_error err;
    if (mth_output_finish(&err) == MTH_OK)
        return exit_code;
    int failed = mth_command_fail(&err);
    return exit_code == MTH_EXIT_OK ? failed : exit_code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return MTH_EXIT_USAGE;
    }
    mth_child_remember(argv[0]);
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return MTH_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        printf("mithril %s\n", MTH_VERSION);
        return MTH_EXIT_OK;
    }
    for (size_t i = 0; i < MTH_N_COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    return unknown_command(name);
}
