/* Drawing with gnuplot, from a script and data of ours, which stay beside the figure. */
#ifndef MTH_HARNESS_REPORT_PLOT_H
#define MTH_HARNESS_REPORT_PLOT_H

#include "harness/report.h"

/* The colour of a series, as gnuplot and SVG write it. */
const char *mth_plot_colour(size_t index);

/* A text in double quotes, for gnuplot's data files and titles. */
void mth_plot_quoted(const char *text, FILE *out);

/* Writes the data, and the script that draws them. figure, data: names beside the script. */
typedef void mth_plot_data(const struct mth_report *report, FILE *out);
typedef void mth_plot_script(const struct mth_report *report, const char *terminal, const char *figure,
                             const char *data, FILE *out);

/*
 * Draw path, with NAME.gp and NAME.dat beside it. Errors: MTH_ERR_USAGE where it does not end in .svg, .pdf or .png;
 * MTH_ERR_NOT_FOUND without gnuplot, whose script and data are then there all the same.
 */
int mth_plot_draw(const struct mth_report *report, const char *path, mth_plot_data *put_data,
                  mth_plot_script *put_script, struct mth_error *err);

#endif
