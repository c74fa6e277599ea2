/* Tables in three languages; see report_table.h. */
#include "harness/report_table.h"

#include <string.h>

struct escape {
    char c;
    const char *text;
};

static const struct escape html_escapes[] = {{'&', "&amp;"},  {'<', "&lt;"},   {'>', "&gt;"},
                                             {'"', "&quot;"}, {'\'', "&#39;"}, {0, NULL}};
static const struct escape latex_escapes[] = {{'\\', "\\textbackslash{}"},
                                              {'~', "\\textasciitilde{}"},
                                              {'^', "\\textasciicircum{}"},
                                              {'&', "\\&"},
                                              {'%', "\\%"},
                                              {'$', "\\$"},
                                              {'#', "\\#"},
                                              {'_', "\\_"},
                                              {'{', "\\{"},
                                              {'}', "\\}"},
                                              {'<', "\\textless{}"},
                                              {'>', "\\textgreater{}"},
                                              {'|', "\\textbar{}"},
                                              {'"', "\\textquotedbl{}"},
                                              {0, NULL}};
static const struct escape markdown_escapes[] = {{'|', "\\|"}, {0, NULL}};

/* What each language puts around things. */
static const struct {
    const struct escape *escapes;
    const char *unknown;
    const char *row, *row_end;
    const char *code, *code_end;
} languages[] = {
    [MTH_TABLE_MARKDOWN] = {markdown_escapes, "-", "|", "\n", "`", "`"},
    [MTH_TABLE_HTML] = {html_escapes, "-", "<tr>", "</tr>\n", NULL, "</code>"},
    [MTH_TABLE_LATEX] = {latex_escapes, "--", "", " \\\\\n", "\\texttt{", "}"},
};

void mth_table_escape(enum mth_table_format format, const char *text, FILE *out)
{
    for (const char *p = text ? text : languages[format].unknown; *p; p++) {
        const struct escape *escape = languages[format].escapes;
        while (escape->text && escape->c != *p)
            escape++;
        if (escape->text)
            fputs(escape->text, out);
        else
            fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out);
    }
}

/* ---- heads ---- */

static bool is_printed(const struct mth_table *table, size_t column)
{
    return table->format != MTH_TABLE_LATEX || !table->columns[column].wide;
}

/* Columns from this one on that stand under one text. */
static size_t count_under(const struct mth_table *table, size_t column)
{
    size_t n = 1;
    while (column + n < table->n_columns && table->columns[column].over &&
           table->columns[column + n].over == table->columns[column].over)
        n++;
    return n;
}

static void put_head(const struct mth_table *table, size_t column)
{
    const struct mth_column *c = &table->columns[column];
    if (c->over && table->format != MTH_TABLE_LATEX) {
        mth_table_escape(table->format, c->over, table->out);
        fputc(' ', table->out);
    }
    mth_table_escape(table->format, c->head, table->out);
}

static void begin_markdown(const struct mth_table *table)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        fputs(i ? " | " : "| ", table->out);
        put_head(table, i);
    }
    fputs(" |\n", table->out);
    for (size_t i = 0; i < table->n_columns; i++)
        fputs(table->columns[i].number ? "|---:" : "|---", table->out);
    fputs("|\n", table->out);
}

static void begin_html(const struct mth_table *table)
{
    fputs("<table><thead><tr>", table->out);
    for (size_t i = 0; i < table->n_columns; i++) {
        fputs(table->columns[i].number ? "<th scope=col class=n>" : "<th scope=col>", table->out);
        put_head(table, i);
        fputs("</th>", table->out);
    }
    fputs("</tr></thead><tbody>\n", table->out);
}

/* Heads that stand over several columns, each with a rule below. */
static void put_latex_over(const struct mth_table *table)
{
    bool any = false;
    for (size_t i = 0; i < table->n_columns; i++)
        any |= table->columns[i].over != NULL;
    if (!any)
        return;
    for (size_t i = 0, n; i < table->n_columns; i += n) {
        n = count_under(table, i);
        if (!is_printed(table, i))
            continue;
        fputs(i ? " & " : "", table->out);
        if (table->columns[i].over) {
            fprintf(table->out, "\\multicolumn{%zu}{c}{", n);
            mth_table_escape(MTH_TABLE_LATEX, table->columns[i].over, table->out);
            fputc('}', table->out);
        }
    }
    fputs(" \\\\\n", table->out);
    for (size_t i = 0, printed = 1, n; i < table->n_columns; i += n) {
        n = count_under(table, i);
        if (table->columns[i].over)
            fprintf(table->out, "\\cmidrule(lr){%zu-%zu}", printed, printed + n - 1);
        printed += is_printed(table, i) ? n : 0;
    }
    fputc('\n', table->out);
}

static void begin_latex(const struct mth_table *table)
{
    fputs("\\begin{tabular}{@{}", table->out);
    for (size_t i = 0; i < table->n_columns; i++) {
        if (is_printed(table, i))
            fputc(table->columns[i].number ? 'r' : 'l', table->out);
    }
    fputs("@{}}\n\\toprule\n", table->out);
    put_latex_over(table);
    for (size_t i = 0; i < table->n_columns; i++) {
        if (!is_printed(table, i))
            continue;
        fputs(i ? " & " : "", table->out);
        put_head(table, i);
    }
    fputs(" \\\\\n\\midrule\n", table->out);
}

void mth_table_begin(struct mth_table *table, enum mth_table_format format, const struct mth_column *columns,
                     size_t n_columns, FILE *out)
{
    *table = (struct mth_table){.format = format, .columns = columns, .n_columns = n_columns, .out = out};
    if (format == MTH_TABLE_MARKDOWN)
        begin_markdown(table);
    else if (format == MTH_TABLE_HTML)
        begin_html(table);
    else
        begin_latex(table);
}

void mth_table_end(struct mth_table *table)
{
    if (table->format == MTH_TABLE_HTML)
        fputs("</tbody></table>\n", table->out);
    else if (table->format == MTH_TABLE_LATEX)
        fputs("\\bottomrule\n\\end{tabular}\n", table->out);
}

/* ---- cells ---- */

/* attributes are those of HTML. False for a cell that this language leaves out: it is then passed over. */
static bool begin_cell(struct mth_table *table, const char *attributes)
{
    if (table->at == 0) {
        fputs(languages[table->format].row, table->out);
        table->in_cell = false;
    }
    if (!is_printed(table, table->at))
        return false;
    if (table->format == MTH_TABLE_HTML)
        fprintf(table->out, "<td%s>", attributes);
    else if (table->format == MTH_TABLE_LATEX)
        fputs(table->in_cell ? " & " : "", table->out);
    else
        fputc(' ', table->out);
    table->in_cell = true;
    return true;
}

static void end_cell(struct mth_table *table, bool printed)
{
    if (printed && table->format == MTH_TABLE_HTML)
        fputs("</td>", table->out);
    else if (printed && table->format == MTH_TABLE_MARKDOWN)
        fputs(" |", table->out);
    if (++table->at == table->n_columns) {
        fputs(languages[table->format].row_end, table->out);
        table->at = 0;
    }
}

void mth_table_text(struct mth_table *table, const char *text)
{
    bool printed = begin_cell(table, "");
    if (printed)
        mth_table_escape(table->format, text, table->out);
    end_cell(table, printed);
}

void mth_table_code(struct mth_table *table, const char *text, const char *meaning)
{
    bool printed = begin_cell(table, "");
    if (printed && text) {
        if (table->format == MTH_TABLE_HTML) {
            fputs("<code title=\"", table->out);
            mth_table_escape(MTH_TABLE_HTML, meaning ? meaning : "", table->out);
            fputs("\">", table->out);
        } else {
            fputs(languages[table->format].code, table->out);
        }
        mth_table_escape(table->format, text, table->out);
        fputs(languages[table->format].code_end, table->out);
    }
    end_cell(table, printed);
}

void mth_table_word(struct mth_table *table, const char *word)
{
    bool known = strcmp(word, "PASS") == 0 || strcmp(word, "FAIL") == 0;
    char attributes[32];
    snprintf(attributes, sizeof attributes, " class=%.8s", word);
    bool printed = begin_cell(table, known ? attributes : "");
    if (printed)
        mth_table_escape(table->format, word, table->out);
    end_cell(table, printed);
}

/* Unknown ones have no data-v and come last, whichever way they are sorted. */
static bool begin_number(struct mth_table *table, double value, const char *title)
{
    char attributes[128] = " class=n";
    if (value >= 0)
        snprintf(attributes, sizeof attributes, " class=n data-v=\"%.9g\"%s", value, title);
    return begin_cell(table, attributes);
}

void mth_table_real(struct mth_table *table, double value, int digits, const char *unit)
{
    bool printed = begin_number(table, value, "");
    if (printed && value >= 0)
        fprintf(table->out, "%.*f%s", digits, value, table->format == MTH_TABLE_LATEX ? "" : unit);
    else if (printed)
        fputs(languages[table->format].unknown, table->out);
    end_cell(table, printed);
}

void mth_table_interval(struct mth_table *table, double value, double lo, double hi, int digits)
{
    char title[80];
    snprintf(title, sizeof title, " title=\"95 %% interval %.*f to %.*f\"", digits, lo, digits, hi);
    bool printed = begin_number(table, value, title);
    if (printed && value < 0)
        fputs(languages[table->format].unknown, table->out);
    else if (printed && table->format == MTH_TABLE_MARKDOWN)
        fprintf(table->out, "%.*f [%.*f, %.*f]", digits, value, digits, lo, digits, hi);
    else if (printed && table->format == MTH_TABLE_LATEX)
        fprintf(table->out, "%.2f\\,{\\scriptsize[%.2f, %.2f]}", value, lo, hi);
    else if (printed)
        fprintf(table->out, "%.*f", digits, value);
    end_cell(table, printed);
}

void mth_table_rest(struct mth_table *table, const char *text)
{
    size_t n = 0;
    for (size_t i = table->at; i < table->n_columns; i++)
        n += is_printed(table, i);
    if (table->format == MTH_TABLE_MARKDOWN) {
        mth_table_text(table, text);
        while (table->at > 0)
            mth_table_text(table, "");
        return;
    }
    bool html = table->format == MTH_TABLE_HTML;
    if (html)
        fprintf(table->out, "<td colspan=%zu>", n);
    else
        fprintf(table->out, " & \\multicolumn{%zu}{l}{", n);
    mth_table_escape(table->format, text, table->out);
    fputs(html ? "</td>" : "}", table->out);
    fputs(languages[table->format].row_end, table->out);
    table->at = 0;
}
