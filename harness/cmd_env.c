/* `mithril env`: the machine and the build that measurements here would carry. */
#include "harness/command.h"

#include "base/pool.h"
#include "harness/clock.h"
#include "harness/conditions.h"
#include "harness/env.h"
#include "harness/options.h"
#include "harness/text.h"

#include <stdbool.h>
#include <stdio.h>

/* The row as lines of "name  value": members of the object one a line, what is nested in them without its marks. */
static void print_row(const char *text)
{
    size_t depth = 0, column = 0;
    bool in_string = false, in_key = true;
    for (const char *p = text; *p; p++) {
        char c = *p;
        if (in_string && c == '\\' && p[1]) {
            putchar(*++p);
            column++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '{' || c == '[')) {
            depth++;
        } else if (!in_string && (c == '}' || c == ']')) {
            depth--;
        } else if (!in_string && depth == 1 && c == ':' && in_key) {
            printf("%*s", column < 18 ? (int)(18 - column) : 1, "");
            in_key = false;
        } else if (!in_string && depth == 1 && c == ',') {
            putchar('\n');
            in_key = true;
            column = 0;
        } else if (!in_string && c == ',') {
            printf(p[-1] == '}' ? "; " : ", ");
        } else if (!in_string && c == ':') {
            putchar(' ');
        } else {
            putchar(c);
            column++;
        }
    }
}

/* What rows of now would be flagged by, and what is not known. */
static void print_conditions(void)
{
    struct mth_conditions now;
    struct mth_condition list[MTH_N_CONDITIONS];
    bool any = false;
    mth_conditions_read(mth_conditions_root(), &now);
    mth_conditions_list(&now, (unsigned)mth_pool_processors(), list);
    printf("\nbefore a run (docs/measurement.md):\n%-18s%.0f ns to read\n", "clock", mth_clock_overhead_ns());
    for (size_t i = 0; i < MTH_N_CONDITIONS; i++) {
        printf("%-18s%s\n", list[i].name, list[i].text);
        any |= list[i].against;
    }
    if (!any)
        printf("nothing that is known speaks against measuring here\n");
}

int mth_cmd_env(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "env [OPTION...]",
        .summary =
            "Tells what is known of this machine and of this build; null is what the system does not say.",
        .takes = MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS,
    };
    struct mth_options options;
    struct mth_error err;
    int exit_code;
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    const char *json = options.json;
    mth_options_free(&options);
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_env_row(&w, NULL);
    if (json)
        return mth_text_put_json(&w, json, &err) ? mth_command_fail(&err) : MTH_EXIT_OK;
    const char *text;
    size_t n_bytes;
    int status = mth_json_writer_text(&w, &text, &n_bytes);
    if (status == MTH_OK) {
        print_row(text);
        print_conditions();
    }
    mth_json_writer_free(&w);
    if (status == MTH_OK)
        return MTH_EXIT_OK;
    mth_error_set(&err, status, "%s", mth_status_text(status));
    return mth_command_fail(&err);
}
