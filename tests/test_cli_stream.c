/* Laws of the commands on files beyond what they hold: what a terminal sees, estimates, lengths around every boundary. */
#define _GNU_SOURCE /* posix_openpt */
#include "base/checked.h"
#include "tests/support/made_container.h"
#include "tests/support/patterns.h"
#include "tests/support/program.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

static void assert_fine(struct program_result result)
{
    if (result.exit_code != 0 || result.err[0])
        fail_msg("exit code %d, errors '%s'", result.exit_code, result.err);
    program_result_free(&result);
}

static void assert_same_file(const char *a, const char *b, const char *what)
{
    size_t n_a = 0, n_b = 0;
    char *left = temp_dir_read(directory, a, &n_a), *right = temp_dir_read(directory, b, &n_b);
    if (!left || !right || n_a != n_b || memcmp(left, right, n_a) != 0)
        fail_msg("%s does not come back", what);
    free(left);
    free(right);
}

/* ---- a terminal ---- */

/* What a run prints on a terminal, which is its standard error. */
static char *run_on_terminal(const char *const *arguments)
{
    enum { MOST = 1 << 16 };
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    char *argv[20] = {program_path()}, *text = calloc(1, MOST + 1);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
        skip();
    for (size_t i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    const char *name = ptsname(terminal);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int err = open(name, O_RDWR | O_NOCTTY), out = open("/dev/null", O_WRONLY);
        if (err < 0 || out < 0 || dup2(out, STDOUT_FILENO) < 0 || chdir(directory) != 0 ||
            dup2(err, STDERR_FILENO) < 0)
            _exit(127);
        execv(argv[0], argv);
        _exit(127);
    }
    /* A terminal whose other side is closed gives an error, not an end. */
    size_t n = 0;
    for (ssize_t got; n < MOST && (got = read(terminal, text + n, MOST - n)) > 0;)
        n += (size_t)got;
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(terminal);
    free(argv[0]);
    return text;
}

static void write_weights(const char *name, size_t n_bytes)
{
    uint8_t *data = malloc(n_bytes);
    assert_non_null(data);
    struct safetensors_builder builder = {0};
    pattern_fill(PATTERN_FLOAT, 5, data, n_bytes);
    safetensors_builder_add(&builder, "w", "F32", (const uint64_t[]){n_bytes / 4}, 1, data, n_bytes);
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    temp_dir_write(directory, name, file.data, file.n_bytes);
    free(file.data);
    free(data);
}

static void a_terminal_sees_a_bar_with_rate_and_time_left(void **state)
{
    (void)state;
    write_weights("weights", 1 << 21);
    static const char *const compress[] = {"compress", "weights", "--json", "json", "--chunk", "64KiB", NULL};
    static const char *const decompress[] = {"decompress", "weights.mth", "-o", "back",
                                             "--json",     "json",        NULL};
    static const char *const verify[] = {"verify", "weights.mth", "--json", "json", NULL};
    static const char *const *const runs[] = {compress, decompress, verify};
    for (size_t i = 0; i < 3; i++) {
        char *seen = run_on_terminal(runs[i]);
        if (!strstr(seen, "GiB/s, ") || !strstr(seen, " s left") || !strstr(seen, "weights"))
            fail_msg("%s shows '%s'", runs[i][0], seen);
        /* It is taken away at the end. */
        const char *end = seen + strlen(seen) - 4;
        assert_memory_equal(end, "\r\033[K", 4);
        free(seen);
    }
    static const char *const quiet[] = {"verify", "weights.mth", "-q", NULL};
    char *seen = run_on_terminal(quiet);
    assert_string_equal(seen, "");
    free(seen);
}

static void a_summary_tells_ratio_rate_and_memory(void **state)
{
    (void)state;
    write_weights("weights", 1 << 20);
    struct program_result result = RUN("compress", "weights");
    assert_non_null(strstr(result.out, "ratio "));
    assert_non_null(strstr(result.out, "GiB/s"));
    assert_non_null(strstr(result.out, "peak "));
    assert_non_null(strstr(result.out, "verified"));
    assert_int_equal(program_lines(result.out), 1);
    program_result_free(&result);
    result = RUN("decompress", "weights.mth", "-o", "back");
    assert_non_null(strstr(result.out, "GiB/s"));
    assert_non_null(strstr(result.out, "peak "));
    assert_int_equal(program_lines(result.out), 1);
    program_result_free(&result);
}

/* ---- estimates ---- */

#define STEPS "datasets/tiny-gpt/"

/* What is made of a trained checkpoint, and what was expected from a quarter of it. */
static void check_estimate(const char *spec, const char *path, const char *base_path)
{
    enum { CHUNK_BYTES = 16384 };
    const struct mth_format_options any = {.raw_dtype = MTH_N_DTYPES};
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_stream_config config = made_config(memory, 2, CHUNK_BYTES);
    struct mth_pipeline *pipeline;
    struct mth_source source, base_source;
    struct mth_region_map map, base_map;
    struct mth_stream_base against, *base = NULL;
    struct mth_container_stats stats;
    struct mth_error err = {0};
    uint64_t n_stored;
    assert_int_equal(mth_source_open(path, &source, &err), 0);
    assert_int_equal(mth_format_map(&source, &any, memory, &map, &err), 0);
    if (base_path) {
        assert_int_equal(mth_source_open(base_path, &base_source, &err), 0);
        assert_int_equal(mth_format_map(&base_source, &any, memory, &base_map, &err), 0);
        against = (struct mth_stream_base){.source = &base_source, .map = &base_map};
        base = &against;
    }
    struct mth_buffer out = {.data = malloc(1 << 21), .capacity_bytes = 1 << 21};
    struct mth_sink sink;
    mth_sink_memory(&out, &sink);
    assert_int_equal(mth_pipeline_parse(spec, base != NULL, &pipeline, &err), 0);
    assert_int_equal(mth_compress(pipeline, &source, &map, base, NULL, &sink, &config, &stats, &err), 0);
    assert_int_equal(
        mth_compress_estimate(pipeline, &source, &map, base, &config, map.n_bytes / 4, &n_stored, &err), 0);
    double error = (double)n_stored / (double)stats.stored_bytes - 1;
    if (error < -0.05 || error > 0.05)
        fail_msg("%s, %s: %llu bytes were expected, it were %llu", path, spec, (unsigned long long)n_stored,
                 (unsigned long long)stats.stored_bytes);
    /* All of it is no estimate any more. */
    assert_int_equal(
        mth_compress_estimate(pipeline, &source, &map, base, &config, map.n_bytes, &n_stored, &err), 0);
    assert_int_equal(n_stored, stats.stored_bytes);
    mth_pipeline_destroy(pipeline);
    mth_region_map_free(&map);
    mth_source_close(&source);
    if (base) {
        mth_region_map_free(&base_map);
        mth_source_close(&base_source);
    }
    free(out.data);
    mth_memory_destroy(memory);
}

static void an_estimate_of_trained_weights_is_within_a_few_percent(void **state)
{
    (void)state;
    static const char *const specs[] = {"balanced", "seed", "zstd:level=1"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        check_estimate(specs[i], STEPS "pretrain/pretrain-step-002000.safetensors", NULL);
        check_estimate(specs[i], STEPS "finetune-1e-5/finetune-1e-5-step-000102.safetensors", NULL);
    }
    check_estimate("balanced", STEPS "pretrain/pretrain-step-002010.safetensors",
                   STEPS "pretrain/pretrain-step-002000.safetensors");
    check_estimate("balanced", STEPS "finetune-1e-5/finetune-1e-5-step-000101.safetensors",
                   STEPS "finetune-1e-5/finetune-1e-5-step-000100.safetensors");
}

static void an_estimate_writes_nothing_but_its_line(void **state)
{
    (void)state;
    write_weights("weights", 1 << 18);
    struct program_result result = RUN("compress", "weights", "--estimate");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(program_lines(result.out), 1);
    assert_non_null(strstr(result.out, "ratio about"));
    program_result_free(&result);
    result = RUN("compress", "weights", "--estimate", "--json", "-");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "\"kind\":\"estimate\""));
    program_result_free(&result);
    assert_int_equal(temp_dir_count(directory, "."), 1);
}

/* ---- lengths ---- */

static void lengths_around_every_boundary_come_back(void **state)
{
    (void)state;
    enum { CHUNK = 4096 };
    static const char *const dtypes[] = {"u8", "bf16", "f32", "f64", NULL};
    uint8_t *data = malloc(4 * CHUNK);
    assert_non_null(data);
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
        for (size_t chunks = 0; chunks < 4; chunks++) {
            for (int more = -1; more <= 1; more++) {
                if (chunks == 0 && more < 0)
                    continue;
                size_t n = (size_t)((int)(chunks * CHUNK) + more);
                char what[64];
                pattern_fill(PATTERN_FLOAT, 11, data, n);
                snprintf(what, sizeof what, "a file of %zu bytes as %s", n,
                         dtypes[d] ? dtypes[d] : "opaque bytes");
                temp_dir_write(directory, "file", data, n);
                struct program_result result =
                    dtypes[d] ? RUN("compress", "file", "-q", "-f", "--chunk", "4KiB", "--dtype", dtypes[d])
                              : RUN("compress", "file", "-q", "-f", "--chunk", "4KiB");
                if (result.exit_code != 0 || (dtypes[d] && n && result.err[0]))
                    fail_msg("%s: exit code %d, errors '%s'", what, result.exit_code, result.err);
                program_result_free(&result);
                assert_fine(RUN("decompress", "file.mth", "-q", "-f", "-o", "back"));
                assert_same_file("file", "back", what);
            }
        }
    }
    free(data);
}

/* Tensors whose lengths straddle chunks, one behind the other, so that each begins somewhere else. */
static void tensors_around_every_boundary_come_back(void **state)
{
    (void)state;
    static const size_t lengths[] = {1,    3,    4095, 4096, 4097, 2,     8191,  8192,
                                     8193, 4094, 1,    4098, 0,    12287, 12289, 5};
    struct safetensors_builder builder = {0};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%zu", i);
        safetensors_builder_add(&builder, name, "U8", (const uint64_t[]){lengths[i]}, 1, NULL, lengths[i]);
    }
    struct mth_buffer file = safetensors_builder_finish(&builder, 3);
    temp_dir_write(directory, "a", file.data, file.n_bytes);
    /* Another that differs in some bytes. */
    for (size_t i = file.n_bytes / 2; i < file.n_bytes; i += 701)
        file.data[i] ^= 1;
    temp_dir_write(directory, "b", file.data, file.n_bytes);
    free(file.data);
    assert_fine(RUN("compress", "b", "-q", "--chunk", "4KiB"));
    assert_fine(RUN("decompress", "b.mth", "-q", "-o", "back"));
    assert_same_file("b", "back", "alone");
    assert_fine(RUN("compress", "b", "-b", "a", "-q", "-f", "--chunk", "4KiB"));
    assert_fine(RUN("decompress", "b.mth", "-b", "a", "-q", "-f", "-o", "back"));
    assert_same_file("b", "back", "against a base");
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%zu", i);
        assert_fine(RUN("extract", "b", "-n", name, "-q", "-f", "-o", "from_file"));
        assert_fine(RUN("extract", "b.mth", "-b", "a", "-n", name, "-q", "-f", "-o", "from_container"));
        assert_same_file("from_file", "from_container", name);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_directory, destroy_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_terminal_sees_a_bar_with_rate_and_time_left),
        TEST(a_summary_tells_ratio_rate_and_memory),
        TEST(an_estimate_of_trained_weights_is_within_a_few_percent),
        TEST(an_estimate_writes_nothing_but_its_line),
        TEST(lengths_around_every_boundary_come_back),
        TEST(tensors_around_every_boundary_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
