/* Drawing figures by gnuplot; see report_plot.h. The script and the data that it draws from stay beside the figure. */
#include "harness/report_plot.h"

#include "base/file.h"
#include "harness/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const mth_plot_colours[MTH_PLOT_COLOURS] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                        "#56B4E9", "#E69F00", "#000000"};

const char *mth_plot_colour(size_t index)
{
    return mth_plot_colours[index % MTH_PLOT_COLOURS];
}

int mth_plot_mark(size_t index)
{
    static const int marks[] = {7, 4, 8, 12, 10, 2, 1, 6, 3, 14};
    return marks[index % (sizeof marks / sizeof marks[0])];
}

int mth_plot_dash(size_t index)
{
    return (int)(index % 5) + 1;
}

enum { SVG, PDF, PNG, N_KINDS };

static const char *const endings[N_KINDS] = {".svg", ".pdf", ".png"};

/*
 * Sizes of print: 8 points of font, and whatever a script asks for beside it is scaled alike. A PNG has 300 dots an inch, an SVG
 * is twice as large as it is printed, to be read on a screen. Terminals of cairo take a point for a 96th of an inch. A script
 * may use `small` as a font.
 */
static void put_terminal(const struct mth_report_plot *plot, int kind, FILE *out)
{
    static const struct {
        const char *name, *unit, *rest;
        int digits;
        double dots; /* an inch */
        int font, small_font;
        double spacing; /* of the lines of a key, and characters more than its texts: those of an SVG would */
        int width;      /* stand wide apart */
    } terminals[N_KINDS] = {
        [SVG] = {"svg", "", "linewidth 1.6 background '#ffffff'", 0, 144, 16, 14, 0.78, -5},
        [PDF] = {"pdfcairo", "in", "fontscale 0.75 linewidth 0.9 pointscale 0.5", 2, 1, 8, 7, 1, 0},
        [PNG] = {"pngcairo", "", "fontscale 3.125 linewidth 3.4 pointscale 1.6", 0, 300, 8, 7, 1, 0},
    };
    double inches = 3.3 / MTH_PLOT_COLUMN;
    fprintf(out,
            "set terminal %s size %.*f%s,%.*f%s font 'sans-serif,%d' %s\nsmall = ',%d'\nset key spacing %g "
            "width %d\n",
            terminals[kind].name, terminals[kind].digits, plot->width * inches * terminals[kind].dots,
            terminals[kind].unit, terminals[kind].digits, plot->height * inches * terminals[kind].dots,
            terminals[kind].unit, terminals[kind].font, terminals[kind].rest, terminals[kind].small_font,
            terminals[kind].spacing, terminals[kind].width);
}

void mth_plot_quoted(const char *text, FILE *out)
{
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        fputc(*p < 0x20 || *p == '"' || *p == '\\' || *p == '`' ? '?' : *p, out);
    fputc('"', out);
}

/* Writes one of the files beside the figure: stem and ending. */
static int write_beside(const char *stem, size_t n_stem, const char *ending, const char *text, size_t n_text,
                        struct mth_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%.*s%s", (int)n_stem, stem, ending);
    return mth_file_write_all(path, (struct mth_bytes){(const uint8_t *)text, n_text}, err);
}

static int run_gnuplot(const char *path, size_t n_directory, const char *script, struct mth_error *err)
{
    /* Names in the script are relative to its directory, so that the three files can be moved together. */
    char cd[2 * 4096 + 16] = "", *end = cd;
    if (n_directory > 0) {
        end += sprintf(end, "cd '");
        for (size_t i = 0; i < n_directory; i++) {
            if (path[i] == '\'')
                *end++ = '\'';
            *end++ = path[i];
        }
        strcpy(end, "'");
    }
    /* A name that begins with a dash would be an option. */
    char named[4096 + 2];
    snprintf(named, sizeof named, "./%s", script);
    const char *with_cd[] = {"gnuplot", "-e", cd, named, NULL};
    const char *here[] = {"gnuplot", named, NULL};
    struct mth_error inner;
    int status = mth_child_run(n_directory > 0 ? with_cd : here, NULL, 0, &inner);
    if (status == MTH_ERR_NOT_FOUND)
        return mth_error_set(err, status,
                             "%s: gnuplot is not installed (Debian: apt-get install gnuplot-nox); its script "
                             "and data are beside it",
                             path);
    if (status)
        return mth_error_set(err, status, "%s: %s", path, inner.text);
    return access(path, F_OK) == 0 ? MTH_OK
                                   : mth_error_set(err, MTH_ERR_IO, "%s: gnuplot drew nothing", path);
}

/* A PDF tells when it was made: it would be another one each time. The place of the date stays, offsets point behind it. */
static int forget_date(const struct mth_report *report, const char *path, struct mth_error *err)
{
    static const char key[] = "/CreationDate (D:", epoch[] = "19700101000000";
    struct mth_buffer bytes;
    int status = mth_file_read_all(path, report->memory, &bytes, err);
    if (status)
        return status;
    char *text = (char *)bytes.data, *end = text + bytes.n_bytes;
    for (char *at = text; at + sizeof key < end; at++) {
        if (*at != '/' || memcmp(at, key, sizeof key - 1) != 0)
            continue;
        at += sizeof key - 1;
        for (size_t i = 0; at + i < end && at[i] != ')'; i++)
            at[i] = (char)(i < sizeof epoch - 1 ? epoch[i] : at[i] >= '0' && at[i] <= '9' ? '0' : at[i]);
    }
    status = mth_file_write_all(path, (struct mth_bytes){bytes.data, bytes.n_bytes}, err);
    mth_memory_free(report->memory, bytes.data);
    return status;
}

int mth_report_draw(const struct mth_report *report, const struct mth_report_plot *plot, const char *path,
                    struct mth_error *err)
{
    size_t n_path = strlen(path);
    int kind = SVG;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    while (kind < N_KINDS && (n_path < 5 || strcmp(path + n_path - 4, endings[kind]) != 0))
        kind++;
    if (kind == N_KINDS)
        return mth_error_set(err, MTH_ERR_USAGE, "--figure %s: must end in .svg, .pdf or .png", path);
    if (n_path > 4000 || strpbrk(name, "'\"\n"))
        return mth_error_set(err, MTH_ERR_USAGE, "--figure %.200s: no name for a gnuplot script", path);
    size_t n_stem = n_path - 4;
    char *data = NULL, *script = NULL;
    size_t n_data = 0, n_script = 0;
    char data_name[4096], script_name[4096];
    snprintf(data_name, sizeof data_name, "%.*s.dat", (int)(n_stem - (size_t)(name - path)), name);
    snprintf(script_name, sizeof script_name, "%.*s.gp", (int)(n_stem - (size_t)(name - path)), name);
    FILE *data_file = open_memstream(&data, &n_data), *script_file = open_memstream(&script, &n_script);
    int status = MTH_OK;
    if (data_file && script_file) {
        plot->put_data(report, plot, data_file);
        fprintf(script_file, "# Drawn by gnuplot from %s: gnuplot THIS_FILE, in its directory.\n", data_name);
        put_terminal(plot, kind, script_file);
        fprintf(script_file, "set output '%s'\ndata = '%s'\n", name, data_name);
        plot->put_script(report, plot, script_file);
    } else {
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: %s", path, strerror(errno));
    }
    int failed = data_file ? fclose(data_file) : 0;
    failed |= script_file ? fclose(script_file) : 0;
    if (!status && failed)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    if (!status)
        status = write_beside(path, n_stem, ".dat", data, n_data, err);
    if (!status)
        status = write_beside(path, n_stem, ".gp", script, n_script, err);
    if (!status)
        status = run_gnuplot(path, (size_t)(name - path), script_name, err);
    if (!status && kind == PDF)
        status = forget_date(report, path, err);
    free(data);
    free(script);
    return status;
}
