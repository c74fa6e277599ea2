/* Explorations in a report: what won each, the front of what was measured in full, and what each class had on samples. */
#include "harness/report_tables.h"

#include "harness/explore_specs.h"
#include "harness/text.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- what a row has of classes ---- */

static int read_point(const struct mth_json_node *front, size_t index, struct mth_report_explore_point *point,
                      struct mth_error *err)
{
    struct mth_json_node item;
    int status = mth_json_item_object(front, index, &item, err);
    if (!status)
        status = mth_json_get_string(&item, "spec", MTH_JSON_REQUIRED, &point->spec, err);
    if (!status)
        status = mth_json_get_int(&item, "sample_bytes", MTH_JSON_OPTIONAL, 0, INT64_MAX,
                                  &point->sample_bytes, err);
    if (!status)
        status = mth_json_get_real(&item, "ratio", MTH_JSON_OPTIONAL, 0, 1e300, &point->ratio, err);
    if (!status)
        status = mth_json_get_real(&item, "compress_gib_s", MTH_JSON_OPTIONAL, 0, 1e300,
                                   &point->compress_gib_s, err);
    return status ? status
                  : mth_json_get_real(&item, "decompress_gib_s", MTH_JSON_OPTIONAL, 0, 1e300,
                                      &point->decompress_gib_s, err);
}

int mth_report_explore_points(const struct mth_report_exploration *exploration, mth_report_explore_each *each,
                              void *arg, struct mth_error *err)
{
    int status = MTH_OK;
    for (size_t c = 0; !status && c < exploration->n_classes; c++) {
        struct mth_report_explore_point point = {0};
        struct mth_json_node item, front;
        size_t n_points = 0;
        status = mth_json_item_object(&exploration->classes, c, &item, err);
        if (!status)
            status = mth_json_get_string(&item, "class", MTH_JSON_REQUIRED, &point.class_name, err);
        if (!status)
            status =
                mth_json_get_int(&item, "raw_bytes", MTH_JSON_OPTIONAL, 0, INT64_MAX, &point.raw_bytes, err);
        if (!status)
            status = mth_json_get_int(&item, "n_specs", MTH_JSON_OPTIONAL, 0, INT64_MAX, &point.n_specs, err);
        if (!status)
            status = mth_json_get_array(&item, "front", MTH_JSON_REQUIRED, &front, &n_points, err);
        for (size_t i = 0; !status && i < n_points; i++) {
            status = read_point(&front, i, &point, err);
            if (!status && each)
                each(arg, &point);
        }
    }
    return status;
}

/* ---- tables ---- */

/* The compressing cell that a row id names, among those of the same measuring. */
static const struct mth_report_cell *
cell_of(const struct mth_report *report, const struct mth_report_exploration *exploration, const char *row_id)
{
    for (size_t i = 0; row_id && i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        const struct mth_report_group *group = &report->groups[cell->group];
        if (mth_text_same(cell->row_id, row_id) && mth_report_is_compress(cell) &&
            mth_text_same(group->env_id, exploration->env_id) &&
            mth_text_same(group->dataset, exploration->dataset))
            return cell;
    }
    return NULL;
}

static void put_name(struct mth_table *table, const struct mth_report_exploration *exploration)
{
    char name[320];
    snprintf(name, sizeof name, "%.256s%s", exploration->dataset,
             exploration->older  ? ", against a base and an older one"
             : exploration->base ? ", against a base"
                                 : "");
    mth_table_text(table, name);
}

static double speed_of(const struct mth_report_cell *cell)
{
    return cell && cell->verified ? cell->gib_s : -1;
}

void mth_report_put_explorations(const struct mth_report *report, enum mth_table_format format, FILE *out)
{
    static const struct mth_column columns[] = {
        {"checkpoint", .number = false},  {"threads", .number = true}, {"prefer", .number = false},
        {"budget, s", .number = true},    {"took, s", .number = true}, {"classes", .number = true},
        {"on the front", .number = true}, {"winner", .number = false}, {"ratio", .number = true}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_explorations; i++) {
        const struct mth_report_exploration *row = &report->explorations[i];
        const struct mth_report_cell *winner = cell_of(report, row, row->winner_row);
        put_name(&table, row);
        mth_table_real(&table, (double)row->threads, 0, "");
        mth_table_text(&table, row->prefer);
        mth_table_real(&table, row->budget_s, 0, "");
        mth_table_real(&table, row->took_s, 1, "");
        mth_table_real(&table, (double)row->n_classes, 0, "");
        mth_table_real(&table, (double)row->n_front, 0, "");
        mth_table_code(&table, row->winner ? row->winner : "none", NULL);
        mth_table_real(&table, winner && winner->verified ? winner->ratio : -1, 3, "");
    }
    mth_table_end(&table);
}

void mth_report_put_explored_fronts(const struct mth_report *report, enum mth_table_format format, FILE *out)
{
    static const struct mth_column columns[] = {{"checkpoint", .number = false},
                                                {"pipeline", .number = false},
                                                {"won", .number = false},
                                                {"ratio", .number = true},
                                                {"compress GiB/s", .number = true},
                                                {"% of memcpy", .number = true},
                                                {"decompress GiB/s", .number = true},
                                                {"% of memcpy", .number = true},
                                                {"heap, MiB", .number = true}};
    struct mth_table table;
    mth_table_begin(&table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_explorations; i++) {
        const struct mth_report_exploration *row = &report->explorations[i];
        for (size_t k = 0; k < row->n_front; k++) {
            const char *row_id = NULL;
            struct mth_error err;
            (void)mth_json_item_string(&row->front, k, &row_id, &err); /* it was read before */
            const struct mth_report_cell *cell = cell_of(report, row, row_id);
            if (!cell) /* a later run has its place */
                continue;
            const struct mth_report_cell *back = mth_report_other_phase(report, cell);
            put_name(&table, row);
            mth_table_code(&table, cell->spec, cell->spec_resolved);
            mth_table_text(&table, mth_text_same(row_id, row->winner_row) ? "*" : "");
            mth_table_real(&table, cell->verified ? cell->ratio : -1, 3, "");
            mth_table_real(&table, speed_of(cell), 3, "");
            mth_table_real(&table, cell->pct_memcpy, 1, "");
            mth_table_real(&table, speed_of(back), 3, "");
            mth_table_real(&table, back ? back->pct_memcpy : -1, 1, "");
            mth_table_real(&table, (double)mth_report_heap(report, cell) / (1 << 20), 2, "");
        }
    }
    mth_table_end(&table);
}

struct class_table {
    const struct mth_report_exploration *exploration;
    struct mth_table table;
};

static void put_point(void *arg, const struct mth_report_explore_point *point)
{
    struct class_table *to = arg;
    char brief[4096];
    bool is_brief = mth_explore_short(point->spec, brief, sizeof brief) == MTH_OK;
    put_name(&to->table, to->exploration);
    mth_table_text(&to->table, point->class_name);
    mth_table_real(&to->table, (double)point->raw_bytes / 1e6, 2, "");
    mth_table_real(&to->table, (double)point->n_specs, 0, "");
    mth_table_code(&to->table, is_brief ? brief : point->spec, point->spec);
    mth_table_real(&to->table, (double)point->sample_bytes / 1024, 0, "");
    mth_table_real(&to->table, point->ratio, 3, "");
    mth_table_real(&to->table, point->compress_gib_s, 3, "");
    mth_table_real(&to->table, point->decompress_gib_s, 3, "");
}

void mth_report_put_explored_classes(const struct mth_report *report, enum mth_table_format format, FILE *out)
{
    static const struct mth_column columns[] = {{"checkpoint", .number = false},
                                                {"class", .number = false},
                                                {"MB", .number = true},
                                                {"tried", .number = true},
                                                {"pipeline", .number = false},
                                                {"sample, KiB", .number = true},
                                                {"ratio", .number = true},
                                                {"compress GiB/s", .number = true},
                                                {"decompress GiB/s", .number = true}};
    struct class_table to;
    struct mth_error err;
    mth_table_begin(&to.table, format, columns, COUNT(columns), out);
    for (size_t i = 0; i < report->n_explorations; i++) {
        to.exploration = &report->explorations[i];
        (void)mth_report_explore_points(to.exploration, put_point, &to, &err); /* it was read before */
    }
    mth_table_end(&to.table);
}
