/* Parsing a command line by the table of all options; see options.h and option_table.h. */
#include "harness/option_table.h"

#include "base/checked.h"
#include "harness/command.h"
#include "harness/text.h"
#include "pipeline/mithril.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_taken(const struct mth_option_parser *parser, const struct mth_option_row *row)
{
    return row->takes == 0 || (row->takes & parser->command->takes) != 0;
}

int mth_options_show_help(struct mth_option_parser *parser, const struct mth_option_row *row,
                          const char *value)
{
    (void)row, (void)value;
    const struct mth_command_line *command = parser->command;
    printf("usage: mithril %s\n\n%s\n\n", command->usage, command->summary);
    for (size_t i = 0; i < mth_n_option_rows; i++) {
        const struct mth_option_row *r = &mth_option_rows[i];
        if (!is_taken(parser, r))
            continue;
        char left[48];
        char letter[4] = {'-', r->letter, ',', '\0'};
        bool repeats = mth_option_repeats(r, command);
        snprintf(left, sizeof left, "%3s --%s%s%s", r->letter ? letter : "", r->name, r->value ? " " : "",
                 r->value ? r->value : "");
        printf("  %-24s %s%s\n", left, r->help, repeats ? "; may be repeated" : "");
    }
    if (command->notes)
        printf("\n%s\n", command->notes);
    parser->over = true;
    return MTH_OK;
}

/* A name (n bytes) that this command has no option for. */
static int unknown_long(struct mth_option_parser *parser, const char *name, size_t n_name)
{
    const char *nearest = NULL;
    char hint[MTH_HINT_BYTES];
    size_t nearest_distance = SIZE_MAX;
    for (size_t i = 0; i < mth_n_option_rows; i++) {
        const struct mth_option_row *row = &mth_option_rows[i];
        if (strlen(row->name) == n_name && memcmp(row->name, name, n_name) == 0)
            return mth_error_set(&parser->err, MTH_ERR_USAGE,
                                 "%s does not take --%s (mithril %s -h lists what it takes)", parser->name,
                                 row->name, parser->name);
        size_t distance = is_taken(parser, row) ? mth_edit_distance(name, n_name, row->name) : SIZE_MAX;
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = row->name;
        }
    }
    return mth_error_set(&parser->err, MTH_ERR_USAGE, "%s has no option --%.*s%s (mithril %s -h lists them)",
                         parser->name, (int)mth_size_min(n_name, 80), name,
                         mth_did_you_mean(name, n_name, "--", nearest, hint), parser->name);
}

static int unknown_letter(struct mth_option_parser *parser, char letter)
{
    for (size_t i = 0; i < mth_n_option_rows; i++) {
        const struct mth_option_row *row = &mth_option_rows[i];
        if (row->letter == letter)
            return mth_error_set(&parser->err, MTH_ERR_USAGE,
                                 "%s does not take -%c (mithril %s -h lists what it takes)", parser->name,
                                 letter, parser->name);
        if (is_taken(parser, row) && row->name[0] == tolower((unsigned char)letter))
            return mth_error_set(&parser->err, MTH_ERR_USAGE,
                                 "%s has no option -%c; did you mean --%s? (mithril %s -h lists them)",
                                 parser->name, letter, row->name, parser->name);
    }
    return mth_error_set(&parser->err, MTH_ERR_USAGE, "%s has no option -%c (mithril %s -h lists them)",
                         parser->name, letter, parser->name);
}

/* next is the following argument, or NULL; *used is set when it was taken as the value. */
static int parse_long(struct mth_option_parser *parser, const char *text, const char *next, bool *used)
{
    const char *equals = strchr(text, '=');
    size_t n_name = equals ? (size_t)(equals - text) : strlen(text);
    for (size_t i = 0; i < mth_n_option_rows; i++) {
        const struct mth_option_row *row = &mth_option_rows[i];
        if (!is_taken(parser, row) || strlen(row->name) != n_name || memcmp(row->name, text, n_name) != 0)
            continue;
        if (!row->value) {
            if (equals)
                return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s takes no value", row->name);
            return row->set(parser, row, NULL);
        }
        *used = !equals;
        const char *value = equals ? equals + 1 : next;
        if (!value)
            return mth_error_set(&parser->err, MTH_ERR_USAGE, "--%s needs a value: --%s %s", row->name,
                                 row->name, row->value);
        return row->set(parser, row, value);
    }
    return unknown_long(parser, text, n_name);
}

/* Letters that need no value may share a dash; a value may follow its letter at once. */
static int parse_letters(struct mth_option_parser *parser, const char *letters, const char *next, bool *used)
{
    for (const char *p = letters; *p && !parser->over; p++) {
        const struct mth_option_row *row = NULL;
        for (size_t i = 0; i < mth_n_option_rows && !row; i++)
            if (mth_option_rows[i].letter == *p && is_taken(parser, &mth_option_rows[i]))
                row = &mth_option_rows[i];
        if (!row)
            return unknown_letter(parser, *p);
        if (!row->value) {
            int status = row->set(parser, row, NULL);
            if (status != MTH_OK)
                return status;
            continue;
        }
        *used = p[1] == '\0';
        const char *value = p[1] ? p + 1 : next;
        if (!value)
            return mth_error_set(&parser->err, MTH_ERR_USAGE, "-%c needs a value: -%c %s", *p, *p,
                                 row->value);
        return row->set(parser, row, value);
    }
    return MTH_OK;
}

static int parse_arguments(struct mth_option_parser *parser, int argc, char **argv)
{
    struct mth_words *operands = &parser->options->operands;
    bool only_operands = false;
    for (int i = 1; i < argc && !parser->over; i++) {
        const char *arg = argv[i];
        if (only_operands || arg[0] != '-' || arg[1] == '\0') {
            operands->items[operands->n_items++] = arg;
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            only_operands = true;
            continue;
        }
        bool used = false;
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        int status = arg[1] == '-' ? parse_long(parser, arg + 2, next, &used)
                                   : parse_letters(parser, arg + 1, next, &used);
        if (status != MTH_OK)
            return status;
        i += used;
    }
    if (parser->over)
        return MTH_OK;
    if (operands->n_items < parser->command->min_operands)
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "something is missing: mithril %s",
                             parser->command->usage);
    if (operands->n_items > parser->command->max_operands)
        return mth_error_set(&parser->err, MTH_ERR_USAGE, "'%s' is one too many: mithril %s",
                             operands->items[parser->command->max_operands], parser->command->usage);
    return MTH_OK;
}

/* In this order, so that definitions may use what plug-ins bring. */
static int extend(struct mth_option_parser *parser)
{
    for (size_t i = 0; i < parser->options->plugins.n_items; i++) {
        int status = mth_plugin_load(parser->options->plugins.items[i], &parser->err);
        if (status != MTH_OK)
            return status;
    }
    for (size_t i = 0; i < parser->options->definitions.n_items; i++) {
        const char *text = parser->options->definitions.items[i];
        const char *equals = strchr(text, '=');
        char name[64];
        size_t n_name = (size_t)(equals - text);
        if (n_name >= sizeof name)
            return mth_error_set(&parser->err, MTH_ERR_USAGE, "--define %s: the name is too long", text);
        memcpy(name, text, n_name);
        name[n_name] = '\0';
        int status = mth_spec_define(name, equals + 1, &parser->err);
        if (status != MTH_OK)
            return status;
    }
    return MTH_OK;
}

bool mth_options_parse(const struct mth_command_line *command, int argc, char **argv,
                       struct mth_options *options, int *exit_code)
{
    *options = (struct mth_options){.dtype = MTH_N_DTYPES, .seconds = -1, .peer_seconds = -1};
    struct mth_option_parser parser = {
        .command = command, .name = command->name ? command->name : argv[0], .options = options};
    struct mth_words *arrays[] = {&options->operands, &options->pipelines,  &options->peers,
                                  &options->bases,    &options->names,      &options->policies,
                                  &options->plugins,  &options->definitions};
    enum { N_ARRAYS = sizeof arrays / sizeof arrays[0] };
    size_t n_args = (size_t)argc;
    /* One block for all, owned by the first. */
    const char **block = calloc(N_ARRAYS * n_args, sizeof *block);
    int status;
    if (!block) {
        status = mth_error_set(&parser.err, MTH_ERR_NO_MEMORY, "no memory for the arguments");
        goto fail;
    }
    for (size_t i = 0; i < N_ARRAYS; i++)
        arrays[i]->items = block + i * n_args;
    status = parse_arguments(&parser, argc, argv);
    if (status == MTH_OK && !parser.over)
        status = extend(&parser);
    if (status == MTH_OK && !parser.over)
        return true;
fail:
    mth_options_free(options);
    *exit_code = status == MTH_OK ? MTH_EXIT_OK : mth_command_fail(&parser.err);
    return false;
}

void mth_options_free(struct mth_options *options)
{
    free((void *)options->operands.items);
    options->operands.items = NULL;
}
