/* Figures of result rows: what each shows, and drawing them by gnuplot. */
#ifndef MTH_HARNESS_REPORT_PLOT_H
#define MTH_HARNESS_REPORT_PLOT_H

#include "harness/report.h"

/* A column of print is 3.3 inches wide: what is 620 wide; 1240 spans two. Fonts are 8 points in either. */
enum { MTH_PLOT_COLUMN = 620 };

/* A figure: its data and its script, which are kept beside it. */
struct mth_report_plot {
    const char *name; /* of its file, without an ending */
    const char *caption;
    int width, height; /* see MTH_PLOT_COLUMN */
    /* Is there anything to draw? */
    bool (*has)(const struct mth_report *report, const struct mth_report_plot *plot);
    void (*put_data)(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out);
    /* What follows the terminal, the name of the figure, and `data`, the name of the data file. */
    void (*put_script)(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out);
    const struct mth_series_axes *axes; /* of those of report_series.c */
};

/* Colours told apart also by people who see few (Okabe and Ito, 2008), the pale one left out. */
enum { MTH_PLOT_COLOURS = 7 };
extern const char *const mth_plot_colours[MTH_PLOT_COLOURS];
/* The colour of a series, of any number of them; its mark and its dash, which tell it from others in grey. */
const char *mth_plot_colour(size_t index);
int mth_plot_mark(size_t index);
int mth_plot_dash(size_t index);

/* How all are drawn: a light grid, two axes, numbers as they are. */
#define MTH_PLOT_PAPER                                                                                    \
    "set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#dddddd'\nset border 3 linewidth 0.7\n" \
    "set tics nomirror\nset format x '%g'\nset format y '%g'\n"

/* Numbers between the powers of ten. */
#define MTH_PLOT_LOG_TICS                                            \
    "set xtics add (0.02, 0.05, 0.2, 0.5, 2, 5, 20, 50, 200, 500)\n" \
    "set ytics add (0.2, 0.5, 2, 5, 20, 50, 200, 500)\n"

/* A text in double quotes, for gnuplot's data files and titles. */
void mth_plot_quoted(const char *text, FILE *out);

/* report_figure.c: ratio against throughput. report_series.c: one quantity of the pipelines over another. */
extern const struct mth_report_plot mth_plot_ratio_throughput;
extern const struct mth_report_plot mth_plot_ratio_changed, mth_plot_ratio_steps, mth_plot_memory,
    mth_plot_resident, mth_plot_threads;
/* report_chain_figure.c: bytes and restore time of chains over the distance between full steps. */
extern const struct mth_report_plot mth_plot_chains;
/* report_roles.c: what each role takes, one above the other. */
extern const struct mth_report_plot mth_plot_roles;

/*
 * Draw one. path ends in .svg, .pdf or .png; NAME.gp and NAME.dat stay beside it. Errors: MTH_ERR_USAGE for another ending;
 * MTH_ERR_NOT_FOUND without gnuplot, whose script and data are then there all the same.
 */
int mth_report_draw(const struct mth_report *report, const struct mth_report_plot *plot, const char *path,
                    struct mth_error *err);

#endif
