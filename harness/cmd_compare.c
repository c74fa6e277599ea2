/* `mithril compare`: did sizes change, did speeds? For people, and for a CI that must notice. */
#include "harness/command.h"

#include "harness/compare_run.h"
#include "harness/options.h"
#include "harness/output.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_SECONDS 120

static const struct mth_command_line command = {
    .usage = "compare OLD.jsonl NEW.jsonl | --run OLD_PROGRAM NEW_PROGRAM -- BENCH-ARGUMENT...",
    .summary =
        "Compare the rows of two runs of bench. Sizes are exact: every one that changed, in either\n"
        "direction, is shown, and ends it with 3. Times of two runs are advisory. Rows of different "
        "machines\n"
        "are refused (5), unless only --sizes are compared.\n\n"
        "With --run two builds of mithril measure the same cells in turn, for --seconds (default 120), and\n"
        "speeds are told apart from noise.",
    .notes =
        "--margins is a JSON file of what is allowed by dataset and spec; docs/compare.md has its form.\n"
        "Exit codes: 0 OK; 3 REGRESSED: a size changed, a cell failed, --require is not met, a speed became\n"
        "slower; 4 INCONCLUSIVE: cells are missing, or a speed can not be told from noise; 5 different\n"
        "machines.",
    .takes = MTH_TAKES_COMPARE | MTH_TAKES_REQUIRE | MTH_TAKES_JSON | MTH_TAKES_QUIET,
    .min_operands = 2,
    .max_operands = SIZE_MAX,
};

static int write_markdown(const struct mth_compare *compare, const char *path, struct mth_error *err)
{
    char *text = NULL;
    size_t n_text = 0;
    FILE *out = open_memstream(&text, &n_text);
    int status = MTH_OK;
    if (out)
        mth_compare_markdown(compare, out);
    if (!out || fclose(out) != 0)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    if (!status)
        status = mth_output_write(path, (struct mth_bytes){(const uint8_t *)text, n_text}, err);
    free(text);
    return status;
}

static int write_all(const struct mth_compare *compare, const struct mth_options *options,
                     struct mth_error *err)
{
    bool json_printed = options->json && strcmp(options->json, "-") == 0;
    int status = MTH_OK;
    if (options->markdown)
        status = write_markdown(compare, options->markdown, err);
    if (!status && options->json)
        status = mth_compare_json(compare, options->json, err);
    if (!status && !options->quiet)
        mth_compare_print(compare, json_printed ? stderr : stdout);
    return status;
}

static int exit_code_of(const struct mth_compare *compare)
{
    static const int codes[] = {[MTH_COMPARE_OK] = MTH_EXIT_OK,
                                [MTH_COMPARE_REGRESSED] = MTH_EXIT_REGRESSION,
                                [MTH_COMPARE_INCONCLUSIVE] = MTH_EXIT_INCONCLUSIVE};
    return codes[compare->result];
}

/* Files of rows, both read into reports; n_reports tells how many there are to free. */
static int compare_rows(const struct mth_options *options, struct mth_compare *compare,
                        struct mth_report reports[2], size_t *n_reports, struct mth_error *err)
{
    if (options->operands.n_items > 2)
        return mth_error_set(err, MTH_ERR_USAGE, "'%.200s' is one too many: mithril %s",
                             options->operands.items[2], command.usage);
    for (size_t i = 0; i < 2; i++) {
        int status = mth_report_read(&reports[i], &options->operands.items[i], 1, err);
        if (status)
            return status;
        ++*n_reports;
        status = mth_report_check_sweeps(&reports[i], options->partial, err);
        if (status)
            return status;
    }
    compare->old_rows = &reports[0];
    compare->new_rows = &reports[1];
    return mth_compare_cells(compare, err);
}

static int compare_programs(const struct mth_options *options, struct mth_compare *compare,
                            struct mth_compare_run *run, struct mth_error *err)
{
    const char *const *operands = options->operands.items;
    const struct mth_compare_run_config config = {.old_program = operands[0],
                                                  .new_program = operands[1],
                                                  .arguments = operands + 2,
                                                  .n_arguments = options->operands.n_items - 2,
                                                  .seconds = options->seconds >= 0 ? options->seconds
                                                                                   : DEFAULT_SECONDS,
                                                  .seed = options->has_seed ? options->seed : 1,
                                                  .quiet = options->quiet};
    if (options->sizes)
        return mth_error_set(err, MTH_ERR_USAGE, "--sizes compares rows; --run is about speeds");
    return mth_compare_run(&config, compare, run, err);
}

int mth_cmd_compare(int argc, char **argv)
{
    struct mth_options options;
    struct mth_report reports[2];
    size_t n_reports = 0;
    struct mth_compare_run run = {0};
    struct mth_margins *margins = NULL;
    struct mth_error err;
    int exit_code;
    if (!mth_options_parse(&command, argc, argv, &options, &exit_code))
        return exit_code;
    struct mth_compare compare = {.sizes_only = options.sizes, .require = options.require};
    int status = options.require ? mth_compare_check_require(options.require, &err) : MTH_OK;
    if (!status && options.margins)
        status = mth_margins_load(options.margins, &margins, &err);
    compare.margins = margins;
    if (!status)
        status = options.run ? compare_programs(&options, &compare, &run, &err)
                             : compare_rows(&options, &compare, reports, &n_reports, &err);
    if (!status) {
        mth_compare_conclude(&compare);
        status = write_all(&compare, &options, &err);
    }
    exit_code = status ? mth_command_fail(&err) : exit_code_of(&compare);
    mth_compare_free(&compare);
    mth_compare_run_free(&run);
    mth_margins_free(margins);
    for (size_t i = 0; i < n_reports; i++)
        mth_report_free(&reports[i]);
    mth_options_free(&options);
    return exit_code;
}
