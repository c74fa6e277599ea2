/* What options.c, which parses, and option_table.c, which says what there is, share. */
#ifndef MTH_HARNESS_OPTION_TABLE_H
#define MTH_HARNESS_OPTION_TABLE_H

#include "harness/options.h"

struct mth_option_parser {
    const struct mth_command_line *command;
    const char *name; /* of the command */
    struct mth_options *options;
    bool over; /* help or the version was asked for */
    struct mth_error err;
};

struct mth_option_row {
    const char *name; /* long, without dashes */
    char letter;      /* short, or 0 */
    uint32_t takes;   /* 0: every command */
    const char *value;
    const char *help;
    int (*set)(struct mth_option_parser *parser, const struct mth_option_row *row, const char *value);
    size_t field; /* of struct mth_options, for the setters that only store */
};

/* In the order in which help prints them. */
extern const struct mth_option_row mth_option_rows[];
extern const size_t mth_n_option_rows;

/* May a command be given it any number of times? */
bool mth_option_repeats(const struct mth_option_row *row, const struct mth_command_line *command);

/* options.c: the setter of --help. */
int mth_options_show_help(struct mth_option_parser *parser, const struct mth_option_row *row,
                          const char *value);

#endif
