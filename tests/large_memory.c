/*
 * Laws of memory on large files: what compress and decompress hold does not grow with the file, only with the count of its
 * tensors: 64 MiB, 8 MiB a thread, 256 bytes a tensor. For every preset of ours, alone and against a base, from file to file and
 * through pipes. Needs 20 GiB of space in TMPDIR.
 */
#include "base/checked.h"
#include "harness/json.h"
#include "pipeline/mithril.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

enum { MIB = 1 << 20 };

static uint64_t n_threads = 2;

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
    assert_in_range((uint64_t)peak, 1, (64 + 8 * n_threads) * MIB + 256 * n_tensors);
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

/* One tensor of so many MiB. */
static void write_huge(const char *name, unsigned step, size_t n_pieces)
{
    static uint8_t piece[MIB];
    char header[256];
    FILE *file = create(name);
    uint64_t n_bytes = (uint64_t)n_pieces * MIB;
    int n = snprintf(header, sizeof header,
                     "{\"w\":{\"dtype\":\"BF16\",\"shape\":[%llu],\"data_offsets\":[0,%llu]}}",
                     (unsigned long long)(n_bytes / 2), (unsigned long long)n_bytes);
    put_header(file, header, (size_t)n);
    random_state = 7;
    for (size_t i = 0; i < n_pieces; i++) {
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

/* The exit code of a line of shell in the directory, in which $M is the program. */
static int shell(const char *line)
{
    char text[8192];
    const char *program = getenv("MITHRIL");
    char here[2048] = "";
    assert_non_null(program);
    if (program[0] != '/')
        assert_non_null(getcwd(here, sizeof here));
    snprintf(text, sizeof text, "cd '%s' && M='%s%s%s' && %s", directory, here, here[0] ? "/" : "", program,
             line);
    int status = system(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The same of a pipe, whose result lies in a file. */
static void assert_pipe_within_bound(const char *line, uint64_t n_tensors)
{
    size_t n;
    assert_int_equal(shell(line), 0);
    char *json = temp_dir_read(directory, "json", &n);
    assert_non_null(json);
    assert_within_bound((struct program_result){.out = json, .err = calloc(1, 1)}, n_tensors);
}

static bool is_preset(const char *name, bool has_base)
{
    const struct mth_preset *preset = mth_preset_find(name, strlen(name));
    return preset && (has_base ? preset->delta : preset->spec);
}

/* File to file and back, then the same through pipes. */
static void assert_bounded(const char *preset, bool has_base, uint64_t n_tensors)
{
    char line[4096];
    const char *base = has_base ? "-b" : "-q", *file = has_base ? "base" : "-q",
               *option = has_base ? "-b base" : "";
    if (!is_preset(preset, has_base))
        return;
    print_message("%s%s\n", preset, has_base ? " against a base" : "");
    assert_within_bound(RUN("compress", "a", base, file, "-p", preset, "-t", "2", "-f", "--json", "-"),
                        n_tensors);
    assert_within_bound(RUN("decompress", "a.mth", base, file, "-t", "2", "-f", "-o", "back", "--json", "-"),
                        n_tensors);
    assert_int_equal(shell("cmp a back && rm back"), 0);
    snprintf(line, sizeof line, "cat a | $M compress - -o - -p %s %s -t 2 -q --json json >piped.mth", preset,
             option);
    assert_pipe_within_bound(line, n_tensors);
    snprintf(line, sizeof line, "cat piped.mth | $M decompress - -o - %s -t 2 -q --json json | cmp - a",
             option);
    assert_pipe_within_bound(line, n_tensors);
    assert_within_bound(RUN("verify", "piped.mth", base, file, "-t", "2", "--json", "-"), n_tensors);
    assert_int_equal(shell("rm piped.mth a.mth"), 0);
}

static const char *const presets[] = {"fast", "balanced", "max", "seed"};
enum { N_PRESETS = sizeof presets / sizeof presets[0] };

static void assert_all_bounded(uint64_t n_tensors)
{
    for (size_t i = 0; i < N_PRESETS; i++) {
        assert_bounded(presets[i], false, n_tensors);
        assert_bounded(presets[i], true, n_tensors);
    }
}

static void a_tensor_above_4_gib_takes_bounded_memory(void **state)
{
    (void)state;
    write_huge("base", 0, 4200);
    write_huge("a", 1, 4200);
    assert_all_bounded(1);
}

static void a_hundred_thousand_tensors_take_bounded_memory(void **state)
{
    (void)state;
    write_many("base", 0);
    write_many("a", 1);
    assert_all_bounded(100000);
}

static void many_threads_take_bounded_memory(void **state)
{
    (void)state;
    write_huge("base", 0, 400);
    write_huge("a", 1, 400);
    n_threads = 32;
    for (size_t i = 0; i < N_PRESETS; i++) {
        if (!is_preset(presets[i], true))
            continue;
        assert_within_bound(
            RUN("compress", "a", "-b", "base", "-p", presets[i], "-t", "32", "-f", "--json", "-"), 1);
        assert_within_bound(
            RUN("decompress", "a.mth", "-b", "base", "-t", "32", "-f", "-o", "back", "--json", "-"), 1);
        assert_int_equal(shell("cmp a back"), 0);
    }
    n_threads = 2;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_directory, destroy_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hundred_thousand_tensors_take_bounded_memory),
        TEST(many_threads_take_bounded_memory),
        TEST(a_tensor_above_4_gib_takes_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
