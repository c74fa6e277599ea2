/* `mithril chain drop`: all steps but those to keep; what needs one that goes is coded again first. */
#include "harness/chain_code.h"
#include "harness/chain_command.h"

#include "harness/stream_progress.h"
#include "harness/text.h"

#include <stdio.h>
#include <string.h>

/* What is to be done, in arrays of one entry a step. */
struct drop {
    struct mth_chain_run *run;
    struct mth_chain_coder coder;
    bool *kept;
    struct mth_chain_move *moves;
    struct mth_chain_step *recoded; /* of the moves */
    size_t n_moves, n_dropped;
};

static int mark(struct drop *drop, struct mth_error *err)
{
    const struct mth_options *options = &drop->run->options;
    const struct mth_chain *chain = &drop->coder.writer.chain;
    if (!options->keep == !options->has_step)
        return mth_error_set(
            err, MTH_ERR_USAGE,
            "chain drop needs either --keep RULES or --step N: which steps stay, or the one that goes");
    size_t gone = options->has_step ? mth_chain_find(chain, options->step) : chain->n_steps;
    if (options->has_step && gone == chain->n_steps)
        return mth_error_set(err, MTH_ERR_USAGE, "%s: has no step %llu", drop->run->directory,
                             (unsigned long long)options->step);
    for (size_t i = 0; options->has_step && i < chain->n_steps; i++)
        drop->kept[i] = i != gone;
    int status = options->keep ? mth_chain_keep(chain, options->keep, drop->kept, err) : MTH_OK;
    for (size_t i = 0; i < chain->n_steps; i++)
        drop->n_dropped += !drop->kept[i];
    if (!status && chain->n_steps && drop->n_dropped == chain->n_steps)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "%s: that would drop all %zu steps; remove the directory if that is meant",
                             drop->run->directory, chain->n_steps);
    return status;
}

static int prepare(struct drop *drop, struct mth_error *err)
{
    const struct mth_chain *chain = &drop->coder.writer.chain;
    struct mth_memory *memory = chain->memory;
    drop->kept = mth_memory_calloc(memory, chain->n_steps, sizeof *drop->kept);
    drop->moves = mth_memory_calloc(memory, chain->n_steps, sizeof *drop->moves);
    drop->recoded = mth_memory_calloc(memory, chain->n_steps, sizeof *drop->recoded);
    if (!drop->kept || !drop->moves || !drop->recoded)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    int status = mark(drop, err);
    if (!status)
        drop->n_moves = mth_chain_plan_drop(chain, drop->kept, drop->moves);
    return status;
}

static void release(struct drop *drop)
{
    struct mth_memory *memory = drop->run->limit.memory;
    mth_memory_free(memory, drop->kept);
    mth_memory_free(memory, drop->moves);
    mth_memory_free(memory, drop->recoded);
    mth_chain_coder_close(&drop->coder);
}

static void tell_move(const struct drop *drop, const struct mth_chain_move *move, const char *verb)
{
    const struct mth_chain *chain = &drop->coder.writer.chain;
    if (move->base == chain->n_steps)
        printf("step %llu: %s alone\n", (unsigned long long)chain->steps[move->step].number, verb);
    else
        printf("step %llu: %s against step %llu\n", (unsigned long long)chain->steps[move->step].number, verb,
               (unsigned long long)chain->steps[move->base].number);
}

/* What a step that stays is coded against by now: as it is, or as it was coded again. */
static size_t base_by_now(const struct drop *drop, size_t n_done, size_t index)
{
    const struct mth_chain *chain = &drop->coder.writer.chain;
    for (size_t i = n_done; i-- > 0;)
        if (drop->moves[i].step == index)
            return drop->recoded[i].has_base ? mth_chain_find(chain, drop->recoded[i].base) : chain->n_steps;
    return mth_chain_base_of(chain, index);
}

static int recode(struct drop *drop, struct mth_error *err)
{
    int status = MTH_OK;
    for (size_t i = 0; !status && i < drop->n_moves; i++) {
        struct mth_stream_bar bar;
        const char *name = drop->coder.writer.chain.steps[drop->moves[i].step].name;
        mth_stream_bar_begin(&bar, name, drop->run->options.quiet);
        drop->coder.config.progress = mth_stream_bar_show;
        drop->coder.config.progress_arg = &bar;
        drop->moves[i].older = base_by_now(drop, i, drop->moves[i].base);
        status = mth_chain_recode(&drop->coder, &drop->moves[i], &drop->recoded[i], err);
        mth_stream_bar_end(&bar);
        if (!status && mth_chain_run_talks(drop->run))
            tell_move(drop, &drop->moves[i], "coded again");
    }
    return status;
}

/* The steps that stay, in the chain's own array. */
static void replace_steps(struct drop *drop)
{
    struct mth_chain *chain = &drop->coder.writer.chain;
    size_t n = 0;
    for (size_t i = 0; i < drop->n_moves; i++)
        chain->steps[drop->moves[i].step] = drop->recoded[i];
    for (size_t i = 0; i < chain->n_steps; i++)
        if (drop->kept[i])
            chain->steps[n++] = chain->steps[i];
    chain->n_steps = n;
}

static int put_json(const struct drop *drop, uint64_t n_before, struct mth_error *err)
{
    const struct mth_chain *chain = &drop->coder.writer.chain;
    struct mth_json_writer json;
    uint64_t n_after = 0;
    for (size_t i = 0; i < chain->n_steps; i++)
        n_after += chain->steps[i].stored_bytes;
    mth_json_writer_init(&json);
    mth_json_begin_object(&json, NULL);
    mth_json_string(&json, "kind", "chain_drop");
    mth_json_int(&json, "schema", 1);
    mth_json_string(&json, "chain", drop->run->directory);
    mth_json_bool(&json, "dry_run", drop->run->options.dry_run);
    mth_json_uint(&json, "n_dropped", drop->n_dropped);
    mth_json_uint(&json, "n_recoded", drop->n_moves);
    mth_json_uint(&json, "stored_bytes_before", n_before);
    mth_json_uint(&json, "stored_bytes", n_after);
    mth_json_end(&json);
    return mth_text_put_json(&json, drop->run->options.json, err);
}

static int only_tell(const struct drop *drop, uint64_t n_before, struct mth_error *err)
{
    const struct mth_chain *chain = &drop->coder.writer.chain;
    bool talks = mth_chain_run_talks(drop->run);
    for (size_t i = 0; talks && i < chain->n_steps; i++)
        if (!drop->kept[i])
            printf("step %llu: would be dropped\n", (unsigned long long)chain->steps[i].number);
    for (size_t i = 0; talks && i < drop->n_moves; i++)
        tell_move(drop, &drop->moves[i], "would be coded again");
    return drop->run->options.json ? put_json(drop, n_before, err) : MTH_OK;
}

/* New containers, one commit, old containers: whoever is interrupted leaves the chain as it was, or as it should be. */
static int carry_out(struct drop *drop, struct mth_error *err)
{
    struct mth_chain_writer *writer = &drop->coder.writer;
    struct mth_error inner;
    uint64_t n_before = 0;
    for (size_t i = 0; i < writer->chain.n_steps; i++)
        n_before += writer->chain.steps[i].stored_bytes;
    if (drop->run->options.dry_run)
        return only_tell(drop, n_before, err);
    int status = recode(drop, err);
    if (status) {
        mth_chain_writer_clean(writer, &inner);
        return status;
    }
    replace_steps(drop);
    status = drop->n_dropped ? mth_chain_writer_commit(writer, err) : MTH_OK;
    if (!status)
        status = mth_chain_writer_clean(writer, err);
    if (!status && mth_chain_run_talks(drop->run))
        printf("%zu step%s dropped, %zu coded again, %zu left\n", drop->n_dropped,
               mth_text_plural(drop->n_dropped), drop->n_moves, writer->chain.n_steps);
    return !status && drop->run->options.json ? put_json(drop, n_before, err) : status;
}

int mth_chain_cmd_drop(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .name = "chain drop",
        .usage = "chain drop DIRECTORY --keep RULES|--step N [OPTION...]",
        .summary =
            "Drops the steps of a chain that no rule keeps, or one step. A step that stays and needs one "
            "that goes "
            "is restored,\n"
            "compared, and coded against another that stays, or alone, before anything is removed; until all "
            "of that is done\n"
            "the chain is as it was.",
        .notes = "Rules, with commas between: last:N, first:N, every:K (numbers that K divides), step:N, "
                 "range:A:B (both "
                 "included),\n"
                 "full. A step stays when any of them keeps it.",
        .takes = MTH_TAKES_STEP | MTH_TAKES_KEEP | MTH_TAKES_DRY_RUN | MTH_TAKES_THREADS | MTH_TAKES_MEMORY |
                 MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_chain_run run;
    struct drop drop = {.run = &run, .coder.writer.lock = -1};
    struct mth_error err = {0};
    int exit_code;
    if (!mth_chain_run_begin(&line, argc, argv, &run, &exit_code))
        return exit_code;
    int status = mth_chain_coder_open(&drop.coder, run.directory, false, NULL, NULL, &run.config, &err);
    if (!status)
        status = prepare(&drop, &err);
    if (!status)
        status = carry_out(&drop, &err);
    release(&drop);
    return mth_chain_run_end(&run, status, &err);
}
