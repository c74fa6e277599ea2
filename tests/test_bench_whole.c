/*
 * Laws of `mithril bench` on directories that are coded as a whole: what is measured is what compress writes, every file counts, runs of such
 * directories are pairs, and what is no such directory is measured as it was. Files are a trainer's (tests/fixtures/states/).
 */
#include "tests/support/program.h"
#include "tests/support/rows.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *directory;

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})
/* As if the cache were small: no law here is about times. */
#define BENCH(...) \
    RUN("bench", "-q", "--cache", "64KiB", "--rounds", "3", "--seconds", "0", "--json", "-", __VA_ARGS__)

static void copy_fixture(const char *from, const char *name, const char *to, const char *as)
{
    char path[256], copy[256];
    snprintf(path, sizeof path, "tests/fixtures/states/%s/%s", from, name);
    snprintf(copy, sizeof copy, "%s/%s", to, as);
    temp_dir_copy(directory, copy, path);
}

static void write_step(const char *from, const char *to)
{
    char path[256];
    copy_fixture(from, "model.safetensors", to, "model.safetensors");
    copy_fixture(from, "optimizer.pt", to, "optimizer.pt");
    snprintf(path, sizeof path, "%s/notes/a.txt", to);
    temp_dir_write(directory, path, from, strlen(from));
}

static int begin(void **state)
{
    (void)state;
    directory = temp_dir_create();
    write_step("trainer-11", "run/checkpoint-11");
    write_step("trainer-12", "run/checkpoint-12");
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

static size_t size_of(const char *name)
{
    size_t n = 0;
    char *bytes = temp_dir_read(directory, name, &n);
    assert_non_null(bytes);
    free(bytes);
    return n;
}

struct seen {
    size_t n_cells, n_baselines, n_verdicts, n_runs, n_parts, n_bases;
    double raw_bytes, stored_bytes, run_stored;
    char dataset[64], row_id[32];
};

static void check_row(const struct mth_json_node *row, void *arg)
{
    struct seen *seen = arg;
    const char *kind = rows_text(row, "kind");
    struct mth_error err;
    bool is_cell = strcmp(kind, "cell") == 0, verified = false;
    seen->n_baselines += strcmp(kind, "baseline") == 0;
    seen->n_parts += strcmp(kind, "part") == 0;
    seen->n_runs += strcmp(kind, "run") == 0;
    if (strcmp(kind, "run") == 0)
        seen->run_stored = rows_number(row, "stored_bytes");
    if (strcmp(kind, "verdict") == 0) {
        seen->n_verdicts++;
        assert_non_null(strstr(rows_text(row, "scope"), "(user, all 3 files of it)"));
    }
    if (is_cell || strcmp(kind, "verdict") == 0)
        assert_true(rows_number(row, "n_files") == 3);
    if (!is_cell)
        return;
    seen->n_cells++;
    assert_int_equal(mth_json_get_bool(row, "verified", MTH_JSON_REQUIRED, &verified, &err), 0);
    assert_true(verified);
    assert_true(rows_number(row, "heap_peak_bytes") > 0);
    seen->raw_bytes = rows_number(row, "raw_bytes");
    seen->stored_bytes = rows_number(row, "stored_bytes");
    seen->n_bases = (size_t)rows_number(row, "n_bases");
    snprintf(seen->dataset, sizeof seen->dataset, "%s", rows_text(row, "dataset"));
    snprintf(seen->row_id, sizeof seen->row_id, "%s", rows_text(row, "row_id"));
}

static struct seen take_rows(struct program_result result)
{
    struct seen seen = {0};
    if (result.exit_code != 0)
        fail_msg("exit code %d, errors '%s'", result.exit_code, result.err);
    rows_each(result.out, check_row, &seen);
    program_result_free(&result);
    return seen;
}

/* Compresses as it says, and is the cell's container that one, of as many bytes as it restores to? */
static void assert_as_packed(const struct seen *seen, const char *const *compress, const char *base)
{
    program_assert_ends(program_run(directory, compress), 0, NULL);
    assert_int_equal((size_t)seen->stored_bytes, size_of("packed/checkpoint.mth"));
    /* Under another name it is the folder. */
    char from[4096], to[4096];
    snprintf(from, sizeof from, "%s/packed/checkpoint.mth", directory);
    snprintf(to, sizeof to, "%s/folder.mth", directory);
    assert_int_equal(rename(from, to), 0);
    program_assert_ends(base ? RUN("decompress", "-q", "-f", "folder.mth", "-b", base)
                             : RUN("decompress", "-q", "-f", "folder.mth"),
                        0, NULL);
    assert_int_equal((size_t)seen->raw_bytes, size_of("folder"));
}

#define ASSERT_AS_PACKED(seen, base, ...) \
    assert_as_packed(&(seen),             \
                     (const char *const[]){"compress", "-q", "-f", "-o", "packed", __VA_ARGS__, NULL}, base)

static void a_directory_is_measured_as_compress_codes_it(void **state)
{
    (void)state;
    static const char *const specs[] = {"balanced", "seed", "max", "fast"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        struct seen seen = take_rows(BENCH("run/checkpoint-12", "-p", specs[i], "-b", "run/checkpoint-11"));
        assert_int_equal(seen.n_cells, 2);
        assert_int_equal(seen.n_baselines, 3);
        assert_int_equal(seen.n_verdicts, 5);
        assert_int_equal(seen.n_bases, 1);
        assert_string_equal(seen.dataset, "run/checkpoint-12");
        ASSERT_AS_PACKED(seen, "run/checkpoint-11", "run/checkpoint-12", "-p", specs[i], "-b",
                         "run/checkpoint-11");
        seen = take_rows(BENCH("run/checkpoint-12", "-p", specs[i]));
        assert_int_equal(seen.n_bases, 0);
        ASSERT_AS_PACKED(seen, NULL, "run/checkpoint-12", "-p", specs[i]);
    }
}

static void its_bases_are_those_of_compress(void **state)
{
    (void)state;
    /* A container, an older base, one file that has weights and states. */
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-11", "-o", "p11"), 0, NULL);
    struct seen seen = take_rows(BENCH("run/checkpoint-12", "-p", "balanced", "-b", "p11"));
    ASSERT_AS_PACKED(seen, "run/checkpoint-11", "run/checkpoint-12", "-b", "p11");
    struct seen again = take_rows(BENCH("run/checkpoint-12", "-p", "balanced", "-b", "run/checkpoint-11/"));
    assert_true(seen.stored_bytes == again.stored_bytes);
    /* Files that were compressed one by one. */
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-11/model.safetensors",
                            "run/checkpoint-11/optimizer.pt", "-o", "each"),
                        0, NULL);
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "each", "-o", "against"), 0, NULL);
    again = take_rows(BENCH("run/checkpoint-12", "-p", "balanced", "-b", "each"));
    assert_int_equal((size_t)again.stored_bytes, size_of("against/checkpoint.mth"));
    again = take_rows(BENCH("run/checkpoint-12", "-p", "balanced", "-b", "run/checkpoint-11/"));
    /* What lies beside the tensors of a base tells nothing, as it may be gone. */
    temp_dir_write(directory, "p/checkpoint-11/notes/a.txt", "trainer-12", 10);
    copy_fixture("trainer-11", "model.safetensors", "p/checkpoint-11", "model.safetensors");
    copy_fixture("trainer-11", "optimizer.pt", "p/checkpoint-11", "optimizer.pt");
    again = take_rows(BENCH("run/checkpoint-12", "-p", "balanced", "-b", "p/checkpoint-11"));
    assert_true(seen.stored_bytes == again.stored_bytes);
    seen = take_rows(
        BENCH("run/checkpoint-11", "-p", "balanced", "-b", "run/checkpoint-12", "-b", "run/checkpoint-11"));
    assert_int_equal(seen.n_bases, 2);
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-11", "-b", "run/checkpoint-12", "-b",
                            "run/checkpoint-11", "-o", "two"),
                        0, NULL);
    assert_int_equal((size_t)seen.stored_bytes, size_of("two/checkpoint.mth"));
    copy_fixture(".", "adamw-bf16-11.pt", ".", "base.pt");
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "base.pt", "-o", "three"), 0, NULL);
    seen = take_rows(BENCH("run/checkpoint-12", "-p", "balanced", "-b", "base.pt"));
    assert_int_equal((size_t)seen.stored_bytes, size_of("three/checkpoint.mth"));
}

static void a_container_of_a_directory_is_measured_as_what_it_restores_to(void **state)
{
    (void)state;
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-11", "-o", "p11"), 0, NULL);
    struct seen seen = take_rows(BENCH("p11", "-p", "balanced"));
    assert_int_equal((size_t)seen.stored_bytes, size_of("p11/checkpoint.mth"));
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "p11", "-o", "p12"), 0, NULL);
    program_assert_ends(BENCH("p12", "-p", "balanced"), 2, "was coded against a base");
    /* Damage is told before anything is measured. */
    size_t n;
    char *bytes = temp_dir_read(directory, "p11/checkpoint.mth", &n);
    for (size_t at = 0; at < n; at += n / 16) {
        bytes[at] = (char)(bytes[at] ^ 0x21);
        temp_dir_write(directory, "bad/checkpoint.mth", bytes, n);
        bytes[at] = (char)(bytes[at] ^ 0x21);
        struct program_result result = BENCH("bad", "-p", "store");
        assert_int_equal(result.exit_code, 2);
        assert_int_equal(program_lines(result.err), 1);
        assert_string_equal(result.out, "");
        program_result_free(&result);
    }
    free(bytes);
}

static void a_run_of_such_directories_is_measured_in_pairs(void **state)
{
    (void)state;
    struct seen seen = take_rows(BENCH("run", "-p", "balanced"));
    assert_int_equal(seen.n_cells, 4);
    assert_int_equal(seen.n_runs, 1);
    assert_string_equal(seen.dataset, "run/checkpoint-12");
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-11", "-o", "p11"), 0, NULL);
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "run/checkpoint-11", "-o", "p12"), 0,
                        NULL);
    assert_int_equal((size_t)seen.stored_bytes, size_of("p12/checkpoint.mth"));
    assert_int_equal((size_t)seen.run_stored, size_of("p11/checkpoint.mth") + size_of("p12/checkpoint.mth"));
}

/* Rows that other commands read, and that are measured again from what they say. */
static void its_rows_are_rows_like_others(void **state)
{
    (void)state;
    struct program_result result = RUN("bench", "-q", "--cache", "64KiB", "--rounds", "3", "--seconds", "0",
                                       "run/checkpoint-12", "-b", "run/checkpoint-11", "-p", "balanced",
                                       "--parts", "--resident", "--latency", "--json", "rows.jsonl");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "all 3 files of it, "));
    program_result_free(&result);
    char *rows = temp_dir_read(directory, "rows.jsonl", NULL);
    struct seen seen = {0};
    rows_each(rows, check_row, &seen);
    free(rows);
    assert_true(seen.n_parts > 0);
    struct seen again = take_rows(RUN("bench", "--rerun", seen.row_id, "rows.jsonl", "-q", "--json", "-"));
    assert_true(again.stored_bytes == seen.stored_bytes && again.raw_bytes == seen.raw_bytes);
    program_assert_prints(RUN("compare", "rows.jsonl", "rows.jsonl"), "sizes: 1 the same");
    program_assert_prints(RUN("report", "rows.jsonl"), "all 3 files of it");
}

struct none {
    size_t n_cells;
};

static void check_no_files(const struct mth_json_node *row, void *arg)
{
    struct none *none = arg;
    if (strcmp(rows_text(row, "kind"), "cell") != 0)
        return;
    struct mth_error err;
    double n = -1;
    assert_int_equal(mth_json_get_real(row, "n_files", MTH_JSON_OPTIONAL, 0, 1e9, &n, &err), 0);
    assert_true(n == -1);
    none->n_cells++;
}

static void what_is_no_such_directory_is_measured_as_before(void **state)
{
    (void)state;
    struct none none = {0};
    /* Shards alone are a set. */
    copy_fixture("trainer-12", "model.safetensors", "set", "model-00001-of-00001.safetensors");
    struct program_result result = BENCH("set", "-p", "store");
    assert_int_equal(result.exit_code, 0);
    rows_each(result.out, check_no_files, &none);
    program_result_free(&result);
    assert_int_equal(none.n_cells, 2);
    /* Beside an optimizer all of it counts. */
    copy_fixture("trainer-12", "optimizer.pt", "set", "optimizer.pt");
    result = BENCH("set", "-p", "store");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "\"n_files\":2,"));
    program_result_free(&result);
    program_assert_ends(BENCH("run/checkpoint-12", "--dtype", "f32"), 6, "neither a checkpoint of several");
    temp_dir_write(directory, "nothing/a.txt", "a", 1);
    program_assert_ends(BENCH("run/checkpoint-12", "-b", "nothing"), 1, "has nothing in this base");
    program_assert_ends(BENCH("run/checkpoint-12", "-b", "none"), 6, "none: No such file");
    program_assert_ends(BENCH("run", "-b", "run/checkpoint-11"), 1,
                        "the steps of a directory are each other's");
    program_assert_ends(BENCH("run/checkpoint-12", "--files", "."), 2, "measures checkpoints of one file");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_directory_is_measured_as_compress_codes_it),
        TEST(its_bases_are_those_of_compress),
        TEST(a_container_of_a_directory_is_measured_as_what_it_restores_to),
        TEST(a_run_of_such_directories_is_measured_in_pairs),
        TEST(its_rows_are_rows_like_others),
        TEST(what_is_no_such_directory_is_measured_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
