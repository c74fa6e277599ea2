/* The commands of `mithril chain`, and what they share. */
#ifndef MTH_HARNESS_CHAIN_COMMAND_H
#define MTH_HARNESS_CHAIN_COMMAND_H

#include "harness/json_writer.h"
#include "harness/memory_limit.h"
#include "harness/options.h"
#include "harness/step_files.h"
#include "pipeline/mithril.h"

/* As the commands of command.h; argv[0] is the name behind `chain`. */
int mth_chain_cmd_add(int argc, char **argv);
int mth_chain_cmd_list(int argc, char **argv);
int mth_chain_cmd_restore(int argc, char **argv);
int mth_chain_cmd_verify(int argc, char **argv);
int mth_chain_cmd_drop(int argc, char **argv);
int mth_chain_cmd_compare(int argc, char **argv);

/* What each of them begins with: its options, its account, how it codes. */
struct mth_chain_run {
    struct mth_options options;
    struct mth_memory_limit limit;
    struct mth_stream_config config;
    const char *directory; /* the first operand */
};
/* false: the command is over, and *exit_code is its result. */
bool mth_chain_run_begin(const struct mth_command_line *line, int argc, char **argv,
                         struct mth_chain_run *run, int *exit_code);
/* Returns the exit code of a status, after its line. */
int mth_chain_run_end(struct mth_chain_run *run, int status, struct mth_error *err);

/* Is standard output free for lines for people? */
bool mth_chain_run_talks(const struct mth_chain_run *run);

/*
 * The files that the operands from `first` on name, and those of directories, by step. Errors: MTH_ERR_USAGE for a name
 * without a step, and for two files of one; those of listing. Then there is nothing to free.
 */
int mth_chain_inputs_find(const struct mth_options *options, size_t first, struct mth_step_files *inputs,
                          struct mth_error *err);

/* What a step is, as members of an object that is begun. */
void mth_chain_put_step(struct mth_json_writer *writer, const struct mth_chain *chain, size_t index);

/* "against step 900", "alone". Returns out. */
const char *mth_chain_step_base(const struct mth_chain_step *step, char out[64]);

#endif
