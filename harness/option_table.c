/* The table of all options, and how each is read; see option_table.h. */
#include "harness/option_table.h"

#include "base/checked.h"
#include "base/option.h"
#include "harness/command.h"
#include "harness/text.h"
#include "pipeline/mithril.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_text(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    const char **field = (const char **)(void *)((char *)parser->options + row->field);
    if (*field)
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s is given twice", row->name);
    *field = value;
    return MTH_OK;
}

static int set_flag(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    (void)value;
    *(bool *)(void *)((char *)parser->options + row->field) = true;
    return MTH_OK;
}

static int parse_unsigned(struct mth_option_parser *parser, const struct mth_option_row *row,
                          const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    uintmax_t number = isdigit((unsigned char)value[0]) ? strtoumax(value, &end, 10) : 0;
    if (!end || *end != '\0' || errno != 0 || number < min || number > max)
        return mth_error_set(&parser->err, MTH_ERR_USAGE,
                             "--%s %s: must be a whole number, %" PRIu64 " to %" PRIu64, row->name, value,
                             min, max);
    *out = number;
    return MTH_OK;
}

static int set_threads(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    uint64_t number = 0;
    int status = parse_unsigned(parser, row, value, 1, 4096, &number);
    if (status == MTH_OK)
        parser->options->threads = (size_t)number;
    return status;
}

static int set_rounds(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    uint64_t number = 0;
    int status = parse_unsigned(parser, row, value, 1, 1000000, &number);
    if (status == MTH_OK)
        parser->options->rounds = (size_t)number;
    return status;
}

static int set_seed(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    int status = parse_unsigned(parser, row, value, 0, UINT64_MAX, &parser->options->seed);
    if (status == MTH_OK)
        parser->options->has_seed = true;
    return status;
}

static int set_seconds(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    char *end = NULL;
    double number = isdigit((unsigned char)value[0]) ? strtod(value, &end) : -1;
    if (!end || *end != '\0' || !isfinite(number) || number > 1e6)
        return mth_error_set(&parser->err, MTH_ERR_USAGE,
                             "--%s %s: must be a number of seconds, 0 to 1000000", row->name, value);
    *(double *)(void *)((char *)parser->options + row->field) = number;
    return MTH_OK;
}

/* A number with s, m or h behind it, or nothing for seconds. */
static int set_budget(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    char *end = NULL;
    double number = isdigit((unsigned char)value[0]) ? strtod(value, &end) : -1;
    double unit = !end || *end == '\0' || strcmp(end, "s") == 0 ? 1
                  : strcmp(end, "m") == 0                       ? 60
                  : strcmp(end, "h") == 0                       ? 3600
                                                                : 0;
    if (!(number > 0) || unit <= 0 || !(number * unit <= 1e6))
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s %s: must be a time, such as 60s, 10m or 2h",
                             row->name, value);
    parser->options->budget_seconds = number * unit;
    return MTH_OK;
}

static int set_dtype(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    parser->options->dtype = mth_dtype_find(value, strlen(value));
    if (parser->options->dtype != MTH_N_DTYPES)
        return MTH_OK;
    char known[256] = "";
    size_t used = 0;
    for (int i = 1; i < MTH_N_DTYPES && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, " %s",
                                 mth_dtype_info((enum mth_dtype)i)->name);
    return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s %s: no such type; there are%s", row->name, value,
                         known);
}

static int set_chunk(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    size_t n_bytes;
    int status = mth_size_parse(value, &n_bytes, &parser->err);
    if (status != MTH_OK)
        return status;
    if (n_bytes < (size_t)4 << 10 || n_bytes > (size_t)1 << 30 || (n_bytes & (n_bytes - 1)) != 0)
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s %s: must be a power of two, 4KiB to 1GiB",
                             row->name, value);
    parser->options->chunk_bytes = n_bytes;
    return MTH_OK;
}

/* Each array has room for every argument there is; see mth_options_parse. */
static int add_pipeline(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    struct mth_words *words = &parser->options->pipelines;
    if (words->n_items > 0 && !(parser->command->takes & MTH_TAKES_PIPELINES))
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s is given twice; %s takes one", row->name,
                             parser->name);
    words->items[words->n_items++] = value;
    return MTH_OK;
}

static int add_peer(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    (void)row;
    parser->options->peers.items[parser->options->peers.n_items++] = value;
    return MTH_OK;
}

static int add_policy(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    struct mth_words *words = &parser->options->policies;
    struct mth_chain_policy policy;
    if (words->n_items > 0 && !(parser->command->takes & MTH_TAKES_POLICIES))
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s is given twice; %s takes one", row->name,
                             parser->name);
    words->items[words->n_items++] = value;
    return mth_chain_policy_parse(value, &policy, &parser->err);
}

static int set_step(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    parser->options->has_step = true;
    return parse_unsigned(parser, row, value, 0, UINT64_MAX, &parser->options->step);
}

static int add_base(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    struct mth_words *words = &parser->options->bases;
    if (words->n_items > 0 && !(parser->command->takes & MTH_TAKES_CHAIN))
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s is given twice; %s takes one", row->name,
                             parser->name);
    words->items[words->n_items++] = value;
    parser->options->base = words->items[0];
    return MTH_OK;
}

static int add_name(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    struct mth_words *words = &parser->options->names;
    if (words->n_items > 0 && !(parser->command->takes & MTH_TAKES_NAMES))
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s is given twice; %s takes one", row->name,
                             parser->name);
    words->items[words->n_items++] = value;
    parser->options->name = words->items[0];
    return MTH_OK;
}

/* BEGIN:END, of which either may be left out. */
static int set_rows_range(struct mth_option_parser *parser, const struct mth_option_row *row,
                          const char *value)
{
    struct mth_options *options = parser->options;
    char first[32] = "0", last[32] = "";
    const char *colon = strchr(value, ':');
    if (!colon || (size_t)(colon - value) >= sizeof first || strlen(colon + 1) >= sizeof last)
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s %s: must be BEGIN:END, for instance 0:16",
                             row->name, value);
    if (colon > value)
        snprintf(first, sizeof first, "%.*s", (int)(colon - value), value);
    snprintf(last, sizeof last, "%s", colon + 1);
    options->rows_end = UINT64_MAX;
    options->has_rows = true;
    int status = parse_unsigned(parser, row, first, 0, UINT64_MAX, &options->rows_begin);
    if (!status && last[0])
        status = parse_unsigned(parser, row, last, 0, UINT64_MAX, &options->rows_end);
    if (!status && options->rows_end < options->rows_begin)
        status =
            mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s %s: ends before it begins", row->name, value);
    return status;
}

static int set_memory(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    (void)row;
    return mth_size_parse(value, &parser->options->memory_bytes, &parser->err);
}

static int set_cache(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    int status = mth_size_parse(value, &parser->options->cache_bytes, &parser->err);
    if (status == MTH_OK && parser->options->cache_bytes == 0)
        status = mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s %s: must be more than nothing", row->name,
                               value);
    return status;
}

static int add_plugin(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    (void)row;
    parser->options->plugins.items[parser->options->plugins.n_items++] = value;
    return MTH_OK;
}

static int add_definition(struct mth_option_parser *parser, const struct mth_option_row *row,
                          const char *value)
{
    if (!strchr(value, '='))
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s %s: must be NAME=SPEC", row->name, value);
    parser->options->definitions.items[parser->options->definitions.n_items++] = value;
    return MTH_OK;
}

static int show_version(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value)
{
    (void)row, (void)value;
    printf("mithril %s\n", MTH_VERSION);
    parser->over = true;
    return MTH_OK;
}

#define TEXT(field) set_text, offsetof(struct mth_options, field)
#define FLAG(field) set_flag, offsetof(struct mth_options, field)

/* In the order in which help prints them. */
const struct mth_option_row mth_option_rows[] = {
    {"pipeline", 'p', MTH_TAKES_PIPELINE | MTH_TAKES_PIPELINES, "SPEC",
     "pipeline or preset; `mithril list` shows all", add_pipeline, 0},
    {"lossy", 0, MTH_TAKES_PIPELINE | MTH_TAKES_PIPELINES, NULL,
     "let a lossy pipeline change values; its results say so", FLAG(lossy)},
    {"base", 'b', MTH_TAKES_CHAIN, "FILE", "the earlier checkpoint that this one is coded against", add_base,
     0},
    {"threads", 't', MTH_TAKES_THREADS, "N", "threads to use (default: all processors; in bench: 1)",
     set_threads, 0},
    {"policy", 0, MTH_TAKES_POLICY | MTH_TAKES_POLICIES, "POLICY",
     "which steps are coded against which (docs/chain.md)", add_policy, 0},
    {"step", 0, MTH_TAKES_STEP, "N", "the number of a step", set_step, 0},
    {"keep", 0, MTH_TAKES_KEEP, "RULES", "which steps stay, for instance last:5,every:1000", TEXT(keep)},
    {"dry-run", 0, MTH_TAKES_DRY_RUN, NULL, "only tell what would be done", FLAG(dry_run)},
    {"output", 'o', MTH_TAKES_OUTPUT, "PATH", "where to write", TEXT(output)},
    {"force", 'f', MTH_TAKES_FORCE, NULL, "overwrite what is there", FLAG(force)},
    {"name", 'n', MTH_TAKES_NAME | MTH_TAKES_NAMES, "TENSOR", "only this tensor", add_name, 0},
    {"rows", 0, MTH_TAKES_NAMES, "BEGIN:END", "only this part of the tensor's first dimension",
     set_rows_range, 0},
    {"dtype", 0, MTH_TAKES_DTYPE, "TYPE", "read files as raw elements of this type (bf16, f32, ...)",
     set_dtype, 0},
    {"json", 0, MTH_TAKES_JSON, "FILE", "write the result as JSON; - for standard output", TEXT(json)},
    {"manifest", 0, MTH_TAKES_MANIFEST, "FILE", "manifest of the datasets (default: datasets/manifest.json)",
     TEXT(manifest)},
    {"matrix", 0, MTH_TAKES_MATRIX, "FILE", "run the cells that this file lists", TEXT(matrix)},
    {"rounds", 0, MTH_TAKES_ROUNDS, "N", "rounds to measure", set_rounds, 0},
    {"seconds", 0, MTH_TAKES_ROUNDS | MTH_TAKES_COMPARE, "S", "time to spend on measuring", set_seconds,
     offsetof(struct mth_options, seconds)},
    {"budget", 0, MTH_TAKES_EXPLORE, "TIME", "all that it may take: 60s, 10m, 2h (default: 60s)", set_budget,
     0},
    {"prefer", 0, MTH_TAKES_EXPLORE, "RULE",
     "what wins: ratio, speed, balanced (the default), or weights "
     "(docs/explore.md)",
     TEXT(prefer)},
    {"seed", 0, MTH_TAKES_ROUNDS | MTH_TAKES_COMPARE | MTH_TAKES_EXPLORE, "N", "seed of every order",
     set_seed, 0},
    {"files", 0, MTH_TAKES_FILES, "DIR", "measure from file to file too: in a directory, or tmpfs",
     TEXT(files)},
    {"peer", 0, MTH_TAKES_PEERS, "NAME=COMMAND", "measure this program beside (docs/peers.md)", add_peer, 0},
    {"peer-limit", 0, MTH_TAKES_PEERS, "S", "time that a peer has for one answer (default: 120)", set_seconds,
     offsetof(struct mth_options, peer_seconds)},
    {"require", 0, MTH_TAKES_REQUIRE, "EXPR", "end with 3 unless this holds: 'ratio>=10,gib_s>=2.5'",
     TEXT(require)},
    {"chunk", 0, MTH_TAKES_CHUNK, "SIZE",
     "what is coded on its own, a power of two (256KiB; against a base 1MiB)", set_chunk, 0},
    {"cache", 0, MTH_TAKES_BENCH | MTH_TAKES_EXPLORE, "SIZE",
     "measure as if the last-level cache had this size (smaller: in cache)", set_cache, 0},
    {"memory", 0, MTH_TAKES_MEMORY, "LIMIT", "refuse to take more than this (default: no limit)", set_memory,
     0},
    {"estimate", 0, MTH_TAKES_ESTIMATE, NULL, "only tell the ratio to expect, judged from samples",
     FLAG(estimate)},
    {"no-verify", 0, MTH_TAKES_ESTIMATE, NULL, "do not restore what was made before it is written",
     FLAG(no_verify)},
    {"parts", 0, MTH_TAKES_BENCH, NULL, "also write what each tensor, dtype and role takes (with --json)",
     FLAG(parts)},
    {"resident", 0, MTH_TAKES_BENCH, NULL,
     "also measure resident memory: each pipeline each way in a process of its own", FLAG(resident)},
    {"latency", 0, MTH_TAKES_BENCH, NULL, "also time tensors up to 1 MiB on their own, by size (with --json)",
     FLAG(latency)},
    {"scaling", 0, MTH_TAKES_BENCH, NULL, "also measure on 1, 2, 4, ... threads below --threads",
     FLAG(scaling)},
    {"strict", 0, MTH_TAKES_BENCH, NULL,
     "refuse where the machine is no place to measure, and rows with flags", FLAG(strict)},
    {"rerun", 0, MTH_TAKES_BENCH, "ROW", "measure the cell of this row_id again; operands are files of rows",
     TEXT(rerun)},
    {"one-pass", 0, MTH_TAKES_BENCH, "PHASE", "one pass and the memory it took (bench --resident)",
     TEXT(one_pass)},
    {"container", 0, MTH_TAKES_BENCH, "FILE", "of that pass (bench --resident)", TEXT(container)},
    {"shard", 0, MTH_TAKES_BENCH, "I/N",
     "measure part I of N of the cells, or auto: the rank that Slurm or MPI "
     "tells",
     TEXT(shard)},
    {"partial", 0, MTH_TAKES_REPORTS | MTH_TAKES_COMPARE | MTH_TAKES_PARTIAL, NULL,
     "go on without what is missing: shards of a sweep (or there twice), files of a damaged directory",
     FLAG(partial)},
    {"paced", 0, MTH_TAKES_BENCH, NULL, "wait for a line before each sample (mithril compare --run)",
     FLAG(paced)},
    {"run", 0, MTH_TAKES_COMPARE, NULL, "let two programs run in turn, and tell their speeds apart",
     FLAG(run)},
    {"sizes", 0, MTH_TAKES_COMPARE, NULL, "compare sizes alone, of any machines", FLAG(sizes)},
    {"margins", 0, MTH_TAKES_COMPARE, "FILE", "what is allowed, by dataset and spec", TEXT(margins)},
    {"markdown", 0, MTH_TAKES_REPORTS | MTH_TAKES_COMPARE, "FILE",
     "write the tables as Markdown; - for standard output", TEXT(markdown)},
    {"csv", 0, MTH_TAKES_REPORTS, "FILE", "write every cell as a line of CSV; - for standard output",
     TEXT(csv)},
    {"latex", 0, MTH_TAKES_REPORTS, "FILE", "write the tables for a paper (booktabs); - for standard output",
     TEXT(latex)},
    {"html", 0, MTH_TAKES_REPORTS, "FILE", "write one page with tables, figures and where they come from",
     TEXT(html)},
    {"formats", 0, MTH_TAKES_REPORTS, "LIST", "of the figures that -o writes: svg,pdf,png (default: svg)",
     TEXT(formats)},
    {"figure", 0, MTH_TAKES_REPORTS, "FILE", "draw ratio against throughput with gnuplot (.svg, .pdf, .png)",
     TEXT(figure)},
    {"status", 0, MTH_TAKES_REPORTS, "FILE", "write the project's status: each criterion, and what proves it",
     TEXT(status)},
    {"readme", 0, MTH_TAKES_REPORTS, "FILE", "make the table of verdicts in a README anew", TEXT(readme)},
    {"hyperfine", 0, MTH_TAKES_HYPERFINE, "FILE", "turn hyperfine's JSON into rows of kind e2e",
     TEXT(hyperfine)},
    {"plugin", 0, MTH_TAKES_EXTENSIONS, "FILE", "load codecs and transforms from a shared object", add_plugin,
     0},
    {"define", 0, MTH_TAKES_EXTENSIONS, "NAME=SPEC", "give a spec a name for this run", add_definition, 0},
    {"quiet", 'q', MTH_TAKES_QUIET, NULL, "print nothing but results and errors", FLAG(quiet)},
    {"help", 'h', 0, NULL, "this text", mth_options_show_help, 0},
    {"version", 0, 0, NULL, "print the version", show_version, 0},
};
const size_t mth_n_option_rows = sizeof mth_option_rows / sizeof mth_option_rows[0];

#undef TEXT
#undef FLAG

bool mth_option_repeats(const struct mth_option_row *row, const struct mth_command_line *command)
{
    return row->set == add_plugin || row->set == add_definition ||
           (row->set == add_base && (command->takes & MTH_TAKES_CHAIN)) || row->set == add_peer ||
           (row->set == add_name && (command->takes & MTH_TAKES_NAMES)) ||
           (row->set == add_policy && (command->takes & MTH_TAKES_POLICIES)) ||
           (row->set == add_pipeline && (command->takes & MTH_TAKES_PIPELINES));
}
