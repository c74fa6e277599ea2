/* `mithril chain list`, `restore` and `verify`: what only reads a chain. They need no lock. */
#include "harness/chain_command.h"
#include "harness/chain_link.h"
#include "harness/command.h"

#include "harness/directory.h"
#include "harness/folder_files.h"
#include "harness/loss.h"
#include "harness/opened.h"
#include "harness/output.h"
#include "harness/stream_progress.h"
#include "harness/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reader that meets a writer reads the chain again, as the writer left it; a few times, not for ever. */
enum { MAX_TRIES = 5 };

/* Was the chain changed since it was read? */
static bool is_changed(const struct mth_chain *chain, const char *directory)
{
    struct mth_chain now;
    struct mth_error err;
    if (mth_chain_read(directory, chain->memory, &now, &err))
        return false;
    bool changed = now.stamp != chain->stamp;
    mth_chain_free(&now);
    return changed;
}

/* ---- list ---- */

static void print_head(const struct mth_chain_run *run, const struct mth_chain *chain)
{
    char policy[MTH_CHAIN_POLICY_BYTES], name[MTH_TEXT_BYTES];
    printf("%s: %zu step%s, policy %s, pipeline %s\n", mth_text_name(run->directory, 60, name),
           chain->n_steps, mth_text_plural(chain->n_steps), mth_chain_policy_text(&chain->policy, policy),
           chain->spec);
    if (chain->n_steps)
        printf("%12s %12s %14s %14s %8s %6s %14s  %s\n", "step", "against", "bytes", "stored", "ratio",
               "links", "to read", "state");
}

static void print_line(const struct mth_chain *chain, size_t index, const char *state)
{
    const struct mth_chain_step *step = &chain->steps[index];
    struct mth_chain_cost cost = mth_chain_cost_of(chain, index);
    char base[48] = "-", loss[MTH_LOSS_TEXT_BYTES];
    if (step->has_base)
        snprintf(base, sizeof base, "%llu", (unsigned long long)step->base);
    if (step->has_older)
        snprintf(base, sizeof base, "%llu,%llu", (unsigned long long)step->base,
                 (unsigned long long)chain->steps[mth_chain_find(chain, step->base)].base);
    printf("%12llu %12s %14llu %14llu %8.3f %6zu %14llu  %s%s%s\n", (unsigned long long)step->number, base,
           (unsigned long long)step->raw_bytes, (unsigned long long)step->stored_bytes,
           step->stored_bytes ? (double)step->raw_bytes / (double)step->stored_bytes : 0, cost.n_links,
           (unsigned long long)cost.stored_bytes, state, step->is_folder ? ", a folder" : "",
           mth_loss_text(&step->loss, loss));
}

/* The states of steps: what is wrong with each itself, and the number of one below that is to blame. */
struct state {
    int status;
    size_t blamed; /* n_steps: none */
};

static const char *state_text(const struct mth_chain *chain, const struct state *state, char out[64])
{
    if (state->status)
        snprintf(out, 64, "%s", state->status == MTH_ERR_NOT_FOUND ? "missing" : "damaged");
    else if (state->blamed < chain->n_steps)
        snprintf(out, 64, "needs step %llu", (unsigned long long)chain->steps[state->blamed].number);
    else
        snprintf(out, 64, "fine");
    return out;
}

static int finish_list(const struct mth_chain_run *run, const struct mth_chain *chain,
                       const struct state *states, struct mth_error *err)
{
    struct mth_json_writer json;
    char policy[MTH_CHAIN_POLICY_BYTES], text[64];
    uint64_t raw = 0, stored = 0;
    bool is_lossy = false;
    for (size_t i = 0; i < chain->n_steps; i++) {
        is_lossy |= chain->steps[i].loss.is_lossy;
        raw += chain->steps[i].raw_bytes;
        stored += chain->steps[i].stored_bytes;
    }
    if (mth_chain_run_talks(run) && chain->n_steps)
        printf("%llu -> %llu bytes, ratio %.3f%s\n", (unsigned long long)raw, (unsigned long long)stored,
               stored ? (double)raw / (double)stored : 0, is_lossy ? ", LOSSY" : "");
    if (!run->options.json)
        return MTH_OK;
    mth_json_writer_init(&json);
    mth_json_begin_object(&json, NULL);
    mth_json_string(&json, "kind", "chain_list");
    mth_json_int(&json, "schema", 1);
    mth_json_string(&json, "chain", run->directory);
    mth_json_string(&json, "policy", mth_chain_policy_text(&chain->policy, policy));
    mth_json_string(&json, "spec", chain->spec);
    mth_json_uint(&json, "raw_bytes", raw);
    mth_json_uint(&json, "stored_bytes", stored);
    mth_json_begin_array(&json, "steps");
    for (size_t i = 0; i < chain->n_steps; i++) {
        mth_json_begin_object(&json, NULL);
        mth_chain_put_step(&json, chain, i);
        mth_json_string(&json, "state", state_text(chain, &states[i], text));
        mth_json_end(&json);
    }
    mth_json_end(&json);
    mth_json_end(&json);
    return mth_text_put_json(&json, run->options.json, err);
}

/* Looks at every step; *damaged counts those that do not restore. first: the line of the first of them. */
static int look_at_all(const struct mth_chain_run *run, const struct mth_chain *chain, struct state *states,
                       size_t *n_damaged, struct mth_error *first, struct mth_error *err)
{
    *n_damaged = 0;
    for (size_t i = 0; i < chain->n_steps; i++) {
        const struct mth_chain_step *step = &chain->steps[i];
        struct mth_error why = {0};
        states[i] = (struct state){mth_chain_link_look(chain, run->directory, i, &why), chain->n_steps};
        if (states[i].status == MTH_ERR_NO_MEMORY) {
            *err = why;
            return MTH_ERR_NO_MEMORY;
        }
        if (states[i].status && *n_damaged == 0)
            *first = why;
        if (step->has_base) {
            size_t base = mth_chain_find(chain, step->base);
            states[i].blamed = states[base].status ? base : states[base].blamed;
        }
        *n_damaged += states[i].status || states[i].blamed < chain->n_steps;
    }
    return MTH_OK;
}

static int list(const struct mth_chain_run *run, struct mth_error *err)
{
    struct mth_chain chain;
    struct mth_error first = {0};
    struct state *states = NULL;
    size_t n_damaged = 0;
    char text[64];
    int status = MTH_OK;
    for (size_t i = 0; i < MAX_TRIES; i++) {
        status = mth_chain_read(run->directory, run->limit.memory, &chain, err);
        if (status)
            return status;
        states = mth_memory_calloc(chain.memory, chain.n_steps, sizeof *states);
        status = states ? look_at_all(run, &chain, states, &n_damaged, &first, err)
                        : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
        if (status || n_damaged == 0 || i + 1 == MAX_TRIES || !is_changed(&chain, run->directory))
            break;
        mth_memory_free(chain.memory, states);
        mth_chain_free(&chain);
    }
    if (!status && mth_chain_run_talks(run)) {
        print_head(run, &chain);
        for (size_t i = 0; i < chain.n_steps; i++)
            print_line(&chain, i, state_text(&chain, &states[i], text));
    }
    if (!status)
        status = finish_list(run, &chain, states, err);
    if (!status && n_damaged)
        status = mth_error_set(err, MTH_ERR_CHECKSUM, "%zu of %zu steps do not restore: %s", n_damaged,
                               chain.n_steps, first.text);
    mth_memory_free(chain.memory, states);
    mth_chain_free(&chain);
    return status;
}

int mth_chain_cmd_list(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .name = "chain list",
        .usage = "chain list DIRECTORY [OPTION...]",
        .summary = "Prints the steps of a chain: what each is coded against, what it takes, how many links "
                   "and bytes "
                   "restoring it\n"
                   "reads. Heads and indexes of the containers are looked at; verify restores them.",
        .takes = MTH_TAKES_MEMORY | MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_chain_run run;
    struct mth_error err = {0};
    int exit_code;
    if (!mth_chain_run_begin(&line, argc, argv, &run, &exit_code))
        return exit_code;
    int status = list(&run, &err);
    return mth_chain_run_end(&run, status, &err);
}

/* ---- restore ---- */

static int find_step(const struct mth_chain_run *run, const struct mth_chain *chain, size_t *index,
                     struct mth_error *err)
{
    if (chain->n_steps == 0)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s: has no steps", run->directory);
    *index = run->options.has_step ? mth_chain_find(chain, run->options.step) : chain->n_steps - 1;
    if (*index == chain->n_steps)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "%s: has no step %llu; `mithril chain list` prints its steps", run->directory,
                             (unsigned long long)run->options.step);
    return MTH_OK;
}

static int put_restored(const struct mth_chain_run *run, const struct mth_chain *chain, size_t index,
                        const char *output, uint64_t ns, struct mth_error *err)
{
    struct mth_json_writer json;
    mth_json_writer_init(&json);
    mth_json_begin_object(&json, NULL);
    mth_json_string(&json, "kind", "chain_restore");
    mth_json_int(&json, "schema", 1);
    mth_json_string(&json, "chain", run->directory);
    mth_json_string(&json, "output", output);
    mth_chain_put_step(&json, chain, index);
    mth_json_uint(&json, "decode_ns", ns);
    mth_json_uint(&json, "resident_peak_bytes", mth_peak_resident_bytes());
    mth_json_end(&json);
    return mth_text_put_json(&json, run->options.json, err);
}

/* Where a step goes to, and what came of it. Temporary files lie beside the output, where there is room for it. */
struct restoring {
    struct mth_chain_run *run;
    const struct mth_chain *chain;
    size_t index;
    const char *path, *beside;
    struct mth_container_stats stats;
};

static int restore_into(struct restoring *at, struct mth_sink *sink, struct mth_error *err)
{
    return mth_chain_restore(at->chain, at->run->directory, at->index, NULL, at->beside, sink,
                             &at->run->config, &at->stats, NULL, err);
}

static int restore_file(struct restoring *at, struct mth_error *err)
{
    struct mth_output output;
    int status = mth_output_open(at->path, &output, err);
    if (status)
        return status;
    status = restore_into(at, &output.sink, err);
    if (status == MTH_ERR_CANCELLED)
        mth_error_set(err, status, "interrupted, nothing was written");
    return mth_output_close(&output, status, &at->stats.attributes, err);
}

static int restore_folder(struct restoring *at, struct mth_error *err)
{
    struct mth_folder_output output;
    int status = mth_folder_output_open(at->path, &output, err);
    if (status)
        return status;
    status = restore_into(at, &output.sink, err);
    return mth_folder_output_close(&output, status, &at->stats.attributes, at->run->limit.memory, err);
}

static void print_restored(const struct restoring *at, uint64_t ns)
{
    char peak[MTH_TEXT_BYTES], loss[MTH_LOSS_TEXT_BYTES], name[MTH_TEXT_BYTES];
    struct mth_chain_cost cost = mth_chain_cost_of(at->chain, at->index);
    const struct mth_chain_step *step = &at->chain->steps[at->index];
    double seconds = (double)ns * 1e-9;
    fprintf(strcmp(at->path, "-") == 0 ? stderr : stdout,
            "%s: step %llu, %llu bytes from %zu link%s of %llu bytes, %.3f GiB/s, peak %s, digest "
            "verified%s\n",
            mth_text_name(at->path, 60, name), (unsigned long long)step->number,
            (unsigned long long)at->stats.raw_bytes, cost.n_links, mth_text_plural(cost.n_links),
            (unsigned long long)cost.stored_bytes,
            seconds > 0 ? (double)at->stats.raw_bytes / (double)(1 << 30) / seconds : 0,
            mth_text_size(mth_peak_resident_bytes(), peak), mth_loss_text(&step->loss, loss));
}

static int restore_to(struct mth_chain_run *run, const struct mth_chain *chain, size_t index,
                      const char *output_path, struct mth_error *err)
{
    struct restoring at = {.run = run, .chain = chain, .index = index, .path = output_path};
    struct mth_stream_bar bar;
    bool to_pipe = strcmp(output_path, "-") == 0;
    char *trimmed = mth_path_trimmed(output_path);
    char *beside = trimmed && !to_pipe ? mth_path_directory(trimmed) : NULL;
    free(trimmed);
    if (!to_pipe && !beside)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    at.beside = beside;
    mth_stream_bar_begin(&bar, chain->steps[index].name, run->options.quiet);
    run->config.progress = mth_stream_bar_show;
    run->config.progress_arg = &bar;
    int status = chain->steps[index].is_folder ? restore_folder(&at, err) : restore_file(&at, err);
    uint64_t ns = mth_stream_bar_end(&bar);
    run->config.progress = NULL;
    run->config.progress_arg = NULL;
    if (!status && mth_chain_run_talks(run))
        print_restored(&at, ns);
    if (!status && run->options.json)
        status = put_restored(run, chain, index, output_path, ns, err);
    free(beside);
    return status;
}

static int check_output(const struct mth_chain_step *step, const char *path, bool force,
                        struct mth_error *err)
{
    if (!step->is_folder)
        return mth_output_check(path, force, NULL, 0, err);
    if (strcmp(path, "-") == 0)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "step %llu has several files: they can not go to standard output",
                             (unsigned long long)step->number);
    return mth_folder_output_check(path, err);
}

static int restore(struct mth_chain_run *run, struct mth_error *err)
{
    const char *asked = run->options.output;
    for (size_t i = 0;; i++) {
        struct mth_chain chain;
        size_t index = 0;
        int status = mth_chain_read(run->directory, run->limit.memory, &chain, err);
        if (status)
            return status;
        status = find_step(run, &chain, &index, err);
        const char *output = asked ? asked : status ? "" : chain.steps[index].name;
        if (!status)
            status = check_output(&chain.steps[index], output, run->options.force, err);
        if (!status)
            status = restore_to(run, &chain, index, output, err);
        bool again = status == MTH_ERR_NOT_FOUND && i + 1 < MAX_TRIES && is_changed(&chain, run->directory);
        mth_chain_free(&chain);
        if (!again)
            return status;
    }
}

int mth_chain_cmd_restore(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .name = "chain restore",
        .usage = "chain restore DIRECTORY [--step N] [OPTION...]",
        .summary =
            "Restores a step of a chain, the last one unless told which, bit for bit, with its mode "
            "and time; to "
            "its old name in\n"
            "this directory unless told where. -o - writes standard output. One of several files becomes a "
            "directory.",
        .notes = "It goes from the full step below it link by link, through temporary files of its size "
                 "beside the "
                 "output: the memory\n"
                 "is that of one decompress, whatever the chain's length.",
        .takes = MTH_TAKES_STEP | MTH_TAKES_THREADS | MTH_TAKES_OUTPUT | MTH_TAKES_FORCE | MTH_TAKES_MEMORY |
                 MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_chain_run run;
    struct mth_error err = {0};
    int exit_code;
    if (!mth_chain_run_begin(&line, argc, argv, &run, &exit_code))
        return exit_code;
    int status = restore(&run, &err);
    return mth_chain_run_end(&run, status, &err);
}

/* ---- verify ---- */

struct verification {
    const struct mth_chain_run *run;
    const struct mth_chain *chain;
    struct mth_error *errors; /* one a step; status 0: fine */
    size_t n_damaged;
};

static void note(void *arg, size_t index, int status, const struct mth_error *err)
{
    struct verification *at = arg;
    at->errors[index].status = status;
    if (status)
        at->errors[index] = *err;
    at->n_damaged += status != 0;
}

static int put_verified(const struct verification *at, uint64_t ns, struct mth_error *err)
{
    struct mth_json_writer json;
    mth_json_writer_init(&json);
    mth_json_begin_object(&json, NULL);
    mth_json_string(&json, "kind", "chain_verify");
    mth_json_int(&json, "schema", 1);
    mth_json_string(&json, "chain", at->run->directory);
    mth_json_uint(&json, "n_steps", at->chain->n_steps);
    mth_json_uint(&json, "n_damaged", at->n_damaged);
    mth_json_uint(&json, "decode_ns", ns);
    mth_json_begin_array(&json, "steps");
    for (size_t i = 0; i < at->chain->n_steps; i++) {
        mth_json_begin_object(&json, NULL);
        mth_json_uint(&json, "step", at->chain->steps[i].number);
        mth_json_bool(&json, "restores", at->errors[i].status == 0);
        mth_json_string(&json, "error", at->errors[i].status ? at->errors[i].text : NULL);
        mth_json_end(&json);
    }
    mth_json_end(&json);
    mth_json_end(&json);
    return mth_text_put_json(&json, at->run->options.json, err);
}

/* Prints what was found: a line for each step that does not restore, the last of them as the command's own. */
static int conclude(const struct verification *at, uint64_t ns, struct mth_error *err)
{
    const struct mth_chain *chain = at->chain;
    char name[MTH_TEXT_BYTES];
    size_t n_told = 0, n_lossy = 0;
    for (size_t i = 0; i < chain->n_steps; i++)
        n_lossy += chain->steps[i].loss.is_lossy;
    int status = at->run->options.json ? put_verified(at, ns, err) : MTH_OK;
    if (status)
        return status;
    if (at->n_damaged == 0 && mth_chain_run_talks(at->run))
        printf("%s: %s%zu step%s%s\n", mth_text_name(at->run->directory, 60, name),
               chain->n_steps == 1 ? "its " : "all ", chain->n_steps,
               chain->n_steps == 1 ? " restores" : "s restore",
               n_lossy ? ", LOSSY ones to what they were quantized to" : "");
    for (size_t i = 0; i < chain->n_steps && !status; i++) {
        if (at->errors[i].status == 0)
            continue;
        if (++n_told == at->n_damaged)
            status = mth_error_set(err, MTH_ERR_CHECKSUM, "%s", at->errors[i].text);
        else
            mth_command_fail(&at->errors[i]);
    }
    return status;
}

static int verify_once(struct mth_chain_run *run, bool is_last, bool *again, struct mth_error *err)
{
    struct mth_chain chain;
    struct mth_stream_bar bar;
    *again = false;
    int status = mth_chain_read(run->directory, run->limit.memory, &chain, err);
    if (status)
        return status;
    struct verification at = {.run = run, .chain = &chain};
    at.errors = mth_memory_calloc(chain.memory, chain.n_steps, sizeof *at.errors);
    if (at.errors) {
        mth_stream_bar_begin(&bar, run->directory, run->options.quiet);
        run->config.progress = mth_stream_bar_show;
        run->config.progress_arg = &bar;
        status = mth_chain_verify(&chain, run->directory, NULL, &run->config, note, &at, err);
        uint64_t ns = mth_stream_bar_end(&bar);
        run->config.progress = NULL;
        run->config.progress_arg = NULL;
        *again = !status && at.n_damaged && !is_last && is_changed(&chain, run->directory);
        if (!status && !*again)
            status = conclude(&at, ns, err);
    } else {
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    }
    mth_memory_free(chain.memory, at.errors);
    mth_chain_free(&chain);
    return status;
}

int mth_chain_cmd_verify(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .name = "chain verify",
        .usage = "chain verify DIRECTORY [OPTION...]",
        .summary = "Restores every step of a chain without writing it, each link once, and compares all "
                   "checksums and "
                   "digests. Each\n"
                   "step that does not restore has a line that says why: its own container, or a step that "
                   "it needs.",
        .notes = "Temporary files of a step's size go to TMPDIR, or /tmp.",
        .takes =
            MTH_TAKES_THREADS | MTH_TAKES_MEMORY | MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_chain_run run;
    struct mth_error err = {0};
    int exit_code, status = MTH_OK;
    bool again = true;
    if (!mth_chain_run_begin(&line, argc, argv, &run, &exit_code))
        return exit_code;
    for (size_t i = 0; again && i < MAX_TRIES; i++)
        status = verify_once(&run, i + 1 == MAX_TRIES, &again, &err);
    return mth_chain_run_end(&run, status, &err);
}
