/*
 * Laws of memory on large files: what compress and decompress hold does not grow with the file, only with the count of its
 * tensors: 64 MiB, 8 MiB a thread, 256 bytes a tensor. Needs 20 GiB of space in TMPDIR.
 */
#include "base/checked.h"
#include "harness/json.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *directory;

static int create_directory(void **state)
{
    (void)state;
    directory = temp_dir_create();
    return 0;
}

static int destroy_directory(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

enum { N_THREADS = 2, MIB = 1 << 20 };

/* The result of a run that said --json -, held against the bound. */
static void assert_within_bound(struct program_result result, uint64_t n_tensors)
{
    struct mth_json *json;
    struct mth_error err = {0};
    int64_t peak = 0;
    if (result.exit_code != 0)
        fail_msg("exit code %d, errors '%s'", result.exit_code, result.err);
    assert_int_equal(mth_json_parse("output", result.out, strlen(result.out), &json, &err), 0);
    struct mth_json_node root = mth_json_root(json, "output");
    if (mth_json_get_int(&root, "resident_peak_bytes", MTH_JSON_REQUIRED, 0, INT64_MAX, &peak, &err))
        fail_msg("%s", err.text);
    print_message("peak %.1f MiB\n", (double)peak / MIB);
    assert_in_range((uint64_t)peak, 1, (uint64_t)(64 + 8 * N_THREADS) * MIB + 256 * n_tensors);
    mth_json_free(json);
    program_result_free(&result);
}

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* bf16 weights, four a number: random low bytes, high bytes of a narrow range; step changes some. */
static void fill(uint8_t *out, size_t n_bytes, unsigned step)
{
    for (size_t at = 0; at + 8 <= n_bytes; at += 8) {
        uint64_t bits = next_random();
        uint64_t low = bits & 0x00ff00ff00ff00ffu, high = bits & 0x0300030003000300u;
        mth_store64(out + at, (low | (high + 0x3c003c003c003c00u)) ^ (at % 512 == 0 ? step : 0));
    }
}

static FILE *create(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    return file;
}

static void put_header(FILE *file, char *text, size_t n_text)
{
    uint8_t length[8];
    while (n_text % 8)
        text[n_text++] = ' ';
    mth_store64(length, n_text);
    assert_int_equal(fwrite(length, 1, 8, file), 8);
    assert_int_equal(fwrite(text, 1, n_text, file), n_text);
}

/* One tensor above 4 GiB. */
static void write_huge(const char *name, unsigned step)
{
    enum { N_PIECES = 4200 };
    static uint8_t piece[MIB];
    char header[256];
    FILE *file = create(name);
    uint64_t n_bytes = (uint64_t)N_PIECES * MIB;
    int n = snprintf(header, sizeof header,
                     "{\"w\":{\"dtype\":\"BF16\",\"shape\":[%llu],\"data_offsets\":[0,%llu]}}",
                     (unsigned long long)(n_bytes / 2), (unsigned long long)n_bytes);
    put_header(file, header, (size_t)n);
    random_state = 7;
    for (size_t i = 0; i < N_PIECES; i++) {
        fill(piece, sizeof piece, step);
        assert_int_equal(fwrite(piece, 1, sizeof piece, file), sizeof piece);
    }
    assert_int_equal(fclose(file), 0);
}

static void write_many(const char *name, unsigned step)
{
    enum { N_TENSORS = 100000, TENSOR_BYTES = 128 };
    uint8_t piece[TENSOR_BYTES];
    FILE *file = create(name);
    char *header = malloc((size_t)N_TENSORS * 128);
    assert_non_null(header);
    size_t n = 0;
    for (size_t i = 0; i < N_TENSORS; i++)
        n += (size_t)sprintf(
            header + n, "%s\"layer.%zu.w\":{\"dtype\":\"BF16\",\"shape\":[64],\"data_offsets\":[%zu,%zu]}",
            i ? "," : "{", i, i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES);
    header[n++] = '}';
    put_header(file, header, n);
    free(header);
    random_state = 9;
    for (size_t i = 0; i < N_TENSORS; i++) {
        fill(piece, sizeof piece, step);
        assert_int_equal(fwrite(piece, 1, sizeof piece, file), sizeof piece);
    }
    assert_int_equal(fclose(file), 0);
}

static void assert_bounded(const char *preset, uint64_t n_tensors)
{
    assert_within_bound(RUN("compress", "a", "-p", preset, "-t", "2", "-f", "--json", "-"), n_tensors);
    assert_within_bound(RUN("decompress", "a.mth", "-t", "2", "-f", "-o", "back", "--json", "-"), n_tensors);
    assert_within_bound(RUN("compress", "a", "-b", "base", "-p", preset, "-t", "2", "-f", "--json", "-"),
                        n_tensors);
    assert_within_bound(
        RUN("decompress", "a.mth", "-b", "base", "-t", "2", "-f", "-o", "back", "--json", "-"), n_tensors);
    char line[8192];
    snprintf(line, sizeof line, "cmp '%s/a' '%s/back'", directory, directory);
    assert_int_equal(system(line), 0);
}

static void a_tensor_above_4_gib_takes_bounded_memory(void **state)
{
    (void)state;
    write_huge("base", 0);
    write_huge("a", 1);
    assert_bounded("balanced", 1);
}

static void a_hundred_thousand_tensors_take_bounded_memory(void **state)
{
    (void)state;
    write_many("base", 0);
    write_many("a", 1);
    assert_bounded("balanced", 100000);
    assert_bounded("seed", 100000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_directory, destroy_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hundred_thousand_tensors_take_bounded_memory),
        TEST(a_tensor_above_4_gib_takes_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
