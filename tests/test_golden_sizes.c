/*
 * Golden sizes: what each codec makes of known data with known options, by version of its library.
 *
 * tests/golden/codec_sizes.tsv has a row for each: library, spec, data, bytes. A size that changed with the library
 * unchanged is a change of ours. A library that the table does not know is skipped by name, and so is a codec
 * that has no rows. Codecs whose bytes vary (MTH_CODEC_VARIES) have none.
 *
 * MTH_GOLDEN_WRITE=PATH writes a new table instead, 1 for PATH the table itself: the rows of the libraries at hand, and
 * the old rows of others.
 */
#include "base/file.h"
#include "base/memory.h"
#include "codecs/codec_registry.h"
#include "tests/support/codec_rig.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DATA_BYTES = 1 << 16, MAX_ROWS = 8192, MAX_CODECS = 128, ROW_BYTES = 512, NAME_BYTES = 96 };

static char table_path[] = "tests/golden/codec_sizes.tsv";
static const char head[] =
    "# library\tspec\tdata\tbytes: golden sizes of the codecs; `make golden` writes them\n";

static const enum pattern data_patterns[] = {PATTERN_TEXT, PATTERN_EXPONENT, PATTERN_MANTISSA, PATTERN_SPARSE,
                                             PATTERN_FLOAT};
enum { N_DATA = sizeof data_patterns / sizeof data_patterns[0] };

/* A row's text up to the size, tabs included: the key; and the size. */
struct row {
    char key[ROW_BYTES];
    unsigned long n_bytes;
};

static struct row *golden;
static size_t n_golden;

static void add_row(struct row *rows, size_t *n_rows, const char *key, unsigned long n_bytes)
{
    if (*n_rows == MAX_ROWS || strlen(key) >= ROW_BYTES) {
        fprintf(stderr, "test_golden_sizes: no room for %s\n", key);
        exit(1);
    }
    strcpy(rows[*n_rows].key, key);
    rows[(*n_rows)++].n_bytes = n_bytes;
}

static void read_line(char *line)
{
    char *tab = strrchr(line, '\t'), *end;
    if (line[0] == '#' || line[0] == '\0')
        return;
    unsigned long n_bytes = tab ? strtoul(tab + 1, &end, 10) : 0;
    if (!tab || end == tab + 1 || *end != '\0') {
        fprintf(stderr, "%s: not a row: %s\n", table_path, line);
        exit(1);
    }
    *tab = '\0';
    add_row(golden, &n_golden, line, n_bytes);
}

/* A table that is not there is empty. */
static void read_table(void)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer text = {0};
    struct mth_error err;
    int status = mth_file_read_all(table_path, memory, &text, &err);
    if (status == MTH_ERR_NOT_FOUND) {
        mth_memory_destroy(memory);
        return;
    }
    if (status) {
        fprintf(stderr, "test_golden_sizes: %s\n", err.text);
        exit(1);
    }
    char line[ROW_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (text.data[i] != '\n' && n + 1 < sizeof line) {
            line[n++] = (char)text.data[i];
            continue;
        }
        line[n] = '\0';
        read_line(line);
        n = 0;
    }
    mth_memory_free(memory, text.data);
    mth_memory_destroy(memory);
}

static const char *library_of(const struct mth_codec *codec)
{
    return codec->library ? codec->library() : "mithril";
}

/* "liblz4 1.9.4<tab>lz4@1": what every row of a codec with its library begins with. */
static void make_prefix(const struct mth_codec *codec, char *prefix)
{
    snprintf(prefix, ROW_BYTES, "%s\t%s@%u", library_of(codec), codec->name, (unsigned)codec->wire_version);
}

static bool has_rows(const char *prefix)
{
    size_t n = strlen(prefix);
    for (size_t i = 0; i < n_golden; i++) {
        if (strncmp(golden[i].key, prefix, n) == 0 && (golden[i].key[n] == ':' || golden[i].key[n] == '\t'))
            return true;
    }
    return false;
}

static const struct row *find_row(const char *key)
{
    for (size_t i = 0; i < n_golden; i++) {
        if (strcmp(golden[i].key, key) == 0)
            return &golden[i];
    }
    return NULL;
}

/* The rows of a codec as it is now. */
static size_t measure(const struct mth_codec *codec, struct row *rows, size_t n_rows)
{
    static uint8_t data[DATA_BYTES];
    char prefix[ROW_BYTES], key[2 * ROW_BYTES];
    make_prefix(codec, prefix);
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        struct codec_rig rig;
        if (!rig_open(&rig, codec, set))
            continue;
        for (size_t i = 0; i < N_DATA; i++) {
            pattern_fill(data_patterns[i], 1, data, sizeof data);
            snprintf(key, sizeof key, "%s%s\t%s-64k", prefix, rig.spec + strlen(codec->name),
                     pattern_name(data_patterns[i]));
            bool known = false;
            for (size_t k = 0; k < n_rows; k++)
                known = known || strcmp(rows[k].key, key) == 0;
            if (!known)
                add_row(rows, &n_rows, key, (unsigned long)rig_round_trip(&rig, data, sizeof data));
        }
        rig_close(&rig);
    }
    return n_rows;
}

static void keeps_its_sizes(void **state)
{
    const struct mth_codec *codec = *state;
    char prefix[ROW_BYTES];
    make_prefix(codec, prefix);
    if (!has_rows(prefix)) {
        print_message("[  MISSING ] no golden sizes for %s of %s\n", codec->name, library_of(codec));
        skip();
    }
    struct row *rows = calloc(MAX_ROWS, sizeof *rows);
    assert_non_null(rows);
    size_t n_wrong = 0, n = measure(codec, rows, 0);
    for (size_t i = 0; i < n; i++) {
        const struct row *row = find_row(rows[i].key);
        if (row && row->n_bytes == rows[i].n_bytes)
            continue;
        print_error("%s: %lu bytes, golden: %ld\n", rows[i].key, rows[i].n_bytes,
                    row ? (long)row->n_bytes : -1);
        n_wrong++;
    }
    free(rows);
    assert_int_equal(n_wrong, 0);
}

static bool has_golden_sizes(const struct mth_codec *codec)
{
    return !(codec->flags & (MTH_CODEC_IDENTITY | MTH_CODEC_VARIES));
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->key, ((const struct row *)b)->key);
}

/* Is a row of the old table one of a codec at hand, with the library at hand? */
static bool is_replaced(const struct row *row)
{
    const struct mth_codec *codec;
    char prefix[ROW_BYTES];
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        make_prefix(codec, prefix);
        size_t n = strlen(prefix);
        if (strncmp(row->key, prefix, n) == 0 && (row->key[n] == ':' || row->key[n] == '\t'))
            return true;
    }
    return false;
}

/* The new table. Not a test: rows that come from elsewhere stay. */
static void write_table(void **state)
{
    const char *path = *state;
    struct row *rows = calloc(MAX_ROWS, sizeof *rows);
    char *text = malloc((size_t)MAX_ROWS * ROW_BYTES);
    assert_true(rows && text);
    size_t n_rows = 0;
    for (size_t i = 0; i < n_golden; i++) {
        if (!is_replaced(&golden[i]))
            add_row(rows, &n_rows, golden[i].key, golden[i].n_bytes);
    }
    const struct mth_codec *codec;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        if (has_golden_sizes(codec))
            n_rows = measure(codec, rows, n_rows);
    }
    qsort(rows, n_rows, sizeof *rows, compare_rows);
    size_t n = (size_t)sprintf(text, "%s", head);
    for (size_t i = 0; i < n_rows; i++)
        n += (size_t)sprintf(text + n, "%s\t%lu\n", rows[i].key, rows[i].n_bytes);
    struct mth_error err = {0};
    if (mth_file_write_all(path, (struct mth_bytes){(const uint8_t *)text, n}, &err))
        fail_msg("%s", err.text);
    free(rows);
    free(text);
}

int main(void)
{
    static struct CMUnitTest tests[MAX_CODECS];
    static char names[MAX_CODECS][NAME_BYTES];
    const struct mth_codec *codec;
    size_t n_tests = 0;
    golden = calloc(MAX_ROWS, sizeof *golden);
    if (!golden)
        return 1;
    read_table();
    char *path = getenv("MTH_GOLDEN_WRITE");
    if (path && strcmp(path, "1") == 0)
        path = table_path;
    if (path) {
        tests[n_tests++] = (struct CMUnitTest){"golden sizes are written", write_table, NULL, NULL, path};
    } else {
        for (size_t i = 0; n_tests < MAX_CODECS && (codec = mth_codec_at(i)) != NULL; i++) {
            if (!has_golden_sizes(codec))
                continue;
            snprintf(names[n_tests], NAME_BYTES, "%s keeps_its_golden_sizes", codec->name);
            tests[n_tests] = (struct CMUnitTest){names[n_tests], keeps_its_sizes, NULL, NULL, NULL};
            /* cmocka hands the state on as it is. */
            tests[n_tests++].initial_state = (void *)(uintptr_t)codec;
        }
    }
    int n_failed = _cmocka_run_group_tests("golden sizes", tests, n_tests, NULL, NULL);
    free(golden);
    return n_failed;
}
