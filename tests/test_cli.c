/* Laws of the command line: bad input ends with its exit code and one line, good input comes back bit for bit. */
#include "base/checked.h"
#include "codecs/codec_registry.h"
#include "harness/command.h"
#include "harness/json.h"
#include "tests/support/program.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A new directory before every test; its content is counted to see that nothing was written. */
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

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is missing in:\n%s", part, text);
}

/* It ended with this code, one line on standard error that has part, nothing on standard output, no new file. */
static void assert_refused(struct program_result result, int exit_code, const char *part, size_t n_files)
{
    if (result.exit_code != exit_code || program_lines(result.err) != 1 || result.out[0])
        fail_msg("exit code %d (expected %d), output '%s', errors '%s'", result.exit_code, exit_code,
                 result.out, result.err);
    assert_has(result.err, part);
    assert_int_equal(strncmp(result.err, "mithril: ", 9), 0);
    assert_int_equal(temp_dir_count(directory, "."), n_files);
    program_result_free(&result);
}

static void assert_fine(struct program_result result)
{
    if (result.exit_code != 0 || result.err[0])
        fail_msg("exit code %d, errors '%s'", result.exit_code, result.err);
    program_result_free(&result);
}

/* A safetensors file of a few tensors whose elements walk by step; like the run of a training, a little. */
static void write_checkpoint(const char *name, unsigned step)
{
    enum { N = 5000 };
    static uint8_t data[N * 2];
    struct safetensors_builder builder = {0};
    for (unsigned t = 0; t < 3; t++) {
        for (unsigned i = 0; i < N; i++)
            mth_store16(data + 2 * i,
                        (uint16_t)(0x3c00 + (i * 2654435761u >> 23) + (i % 50 == 0 ? step : 0)));
        char tensor[32];
        snprintf(tensor, sizeof tensor, "layers.%u.weight", t);
        safetensors_builder_add(&builder, tensor, "BF16", (const uint64_t[]){50, 100}, 2, data, sizeof data);
    }
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    temp_dir_write(directory, name, file.data, file.n_bytes);
    free(file.data);
}

static void write_text(const char *name, const char *header, size_t n_data)
{
    struct mth_buffer file = safetensors_wrap(header, strlen(header), n_data);
    temp_dir_write(directory, name, file.data, file.n_bytes);
    free(file.data);
}

static void assert_same_file(const char *a, const char *b)
{
    size_t n_a = 0, n_b = 0;
    char *left = temp_dir_read(directory, a, &n_a), *right = temp_dir_read(directory, b, &n_b);
    assert_non_null(left);
    assert_non_null(right);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(left, right, n_a);
    free(left);
    free(right);
}

static void bad_checkpoints_are_refused_by_every_command(void **state)
{
    (void)state;
    static const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, '{'};
    write_checkpoint("good.safetensors", 0);
    size_t n_good;
    char *good = temp_dir_read(directory, "good.safetensors", &n_good);
    assert_non_null(good);
    temp_dir_write(directory, "empty.safetensors", "", 0);
    temp_dir_write(directory, "inside-header.safetensors", good, 40);
    temp_dir_write(directory, "truncated.safetensors", good, n_good - 100);
    temp_dir_write(directory, "huge-header.safetensors", huge, sizeof huge);
    write_text("lying.safetensors", "{\"a\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[0,4000]}}",
               8);
    write_text("unknown-dtype.safetensors", "{\"a\":{\"dtype\":\"Q7\",\"shape\":[4],\"data_offsets\":[0,8]}}",
               8);
    write_text("overflow.safetensors",
               "{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8);
    free(good);
    static const struct {
        const char *file;
        int exit_code;
    } cases[] = {
        {"missing.safetensors", 6},   {"empty.safetensors", 2},         {"inside-header.safetensors", 2},
        {"truncated.safetensors", 2}, {"huge-header.safetensors", 2},   {"lying.safetensors", 2},
        {"overflow.safetensors", 2},  {"unknown-dtype.safetensors", 2},
    };
    size_t n_files = temp_dir_count(directory, ".");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *file = cases[i].file;
        assert_refused(RUN("info", file), cases[i].exit_code, file, n_files);
        assert_refused(RUN("info", "good.safetensors", "-b", file), cases[i].exit_code, file, n_files);
        assert_refused(RUN("info", "--json", "out.json", file), cases[i].exit_code, file, n_files);
        /* compress keeps what it can not read; see malformed_files_are_kept_as_bytes. */
        assert_refused(RUN("compress", "good.safetensors", "-b", file), cases[i].exit_code, file, n_files);
        assert_refused(RUN("decompress", "-o", "out", file), cases[i].exit_code, file, n_files);
        assert_refused(RUN("extract", file, "-n", "a", "-o", "out"), cases[i].exit_code, file, n_files);
        assert_refused(RUN("bench", file, "--rounds", "1"), cases[i].exit_code, file, n_files);
    }
    assert_refused(RUN("info", "."), 6, "directory", n_files);
    assert_refused(RUN("report", "missing.jsonl"), 6, "missing.jsonl", n_files);
    assert_refused(RUN("report", "good.safetensors"), 2, "good.safetensors", n_files);
}

static void bad_arguments_are_refused_with_the_nearest_name(void **state)
{
    (void)state;
    write_checkpoint("a.safetensors", 0);
    assert_refused(RUN("compres", "a.safetensors"), 1, "compress", 1);
    assert_refused(RUN("compress"), 1, "mithril compress FILE...", 1);
    assert_refused(RUN("info"), 1, "mithril info FILE", 1);
    assert_refused(RUN("report"), 1, "mithril report ROWS", 1);
    assert_refused(RUN("info", "a.safetensors", "b"), 1, "'b' is one too many", 1);
    assert_refused(RUN("compress", "a.safetensors", "--pipelin", "seed"), 1, "did you mean '--pipeline'?", 1);
    /* What is like nothing is not taken for anything. */
    assert_refused(RUN("frobnicate", "a.safetensors"), 1, "called 'frobnicate' (mithril -h", 1);
    assert_refused(RUN("compress", "a.safetensors", "-p", "nosuch"), 1, "called 'nosuch'; `mithril list`", 1);
    /* Standard output takes one file; nothing is made that is called "-". */
    assert_refused(RUN("compress", ".", "-o", "-"), 1, "one file", 1);
    assert_refused(RUN("compress", "a.safetensors", "a.safetensors", "-o", "-"), 1, "one file", 1);
    assert_refused(RUN("decompress", ".", "-o", "-"), 1, "one file", 1);
    assert_refused(RUN("compress", "a.safetensors", "--rounds", "3"), 1, "does not take --rounds", 1);
    assert_refused(RUN("compress", "a.safetensors", "-z"), 1, "-z", 1);
    assert_refused(RUN("compress", "a.safetensors", "-p"), 1, "needs a value", 1);
    assert_refused(RUN("compress", "a.safetensors", "-p", "seed", "-p", "seed"), 1, "twice", 1);
    assert_refused(RUN("compress", "a.safetensors", "-o", "x", "-o", "y"), 1, "twice", 1);
    assert_refused(RUN("compress", "a.safetensors", "--force=yes"), 1, "no value", 1);
    assert_refused(RUN("compress", "a.safetensors", "-t", "0"), 1, "1 to 4096", 1);
    assert_refused(RUN("compress", "a.safetensors", "-t", "-1"), 1, "1 to 4096", 1);
    assert_refused(RUN("compress", "a.safetensors", "-t", "99999999999999999999"), 1, "1 to 4096", 1);
    assert_refused(RUN("compress", "a.safetensors", "--dtype", "bf17"), 1, "BF16", 1);
    assert_refused(RUN("compress", "a.safetensors", "--chunk", "1M"), 1, "MiB", 1);
    assert_refused(RUN("compress", "a.safetensors", "--chunk", "3KiB"), 1, "power of two", 1);
    assert_refused(RUN("compress", "a.safetensors", "--chunk", "99999999999TiB"), 1, "more than", 1);
    assert_refused(RUN("compress", "a.safetensors", "-p", "zsdt"), 1, "zstd", 1);
    assert_refused(RUN("compress", "a.safetensors", "-p", "sparse-sync"), 2,
                   "without a base; --base names one", 1);
    assert_refused(RUN("compress", "a.safetensors", "-p", "zstd:level=99"), 1, "-7..22", 1);
    assert_refused(RUN("compress", "a.safetensors", "-p", "zstd:lvl=3"), 1, "level", 1);
    assert_refused(RUN("compress", "a.safetensors", "--define", "seed"), 1, "NAME=SPEC", 1);
    assert_refused(RUN("compress", "a.safetensors", "--plugin", "missing.so"), 6, "missing.so", 1);
    assert_refused(RUN("info", "a.safetensors", "-n", "layers.1.wieght"), 1, "'layers.1.weight'", 1);
    assert_refused(RUN("list", "codecz"), 1, "codecs", 1);
    assert_refused(RUN("env", "x"), 1, "one too many", 1);
    assert_refused(RUN("decompress", "a.safetensors"), 1, ".mth", 1);
}

static void compress_and_decompress_restore_every_bit(void **state)
{
    (void)state;
    static const char *const pipelines[] = {"balanced", "seed", "store", "zstd:level=1", "byte-group+lz4"};
    write_checkpoint("base.safetensors", 0);
    write_checkpoint("a.safetensors", 3);
    for (size_t i = 0; i < sizeof pipelines / sizeof pipelines[0]; i++) {
        assert_fine(RUN("compress", "a.safetensors", "-p", pipelines[i], "-f", "-t", "1", "-o", "one.mth"));
        assert_fine(RUN("compress", "a.safetensors", "-p", pipelines[i], "-f", "-t", "3", "-o", "three.mth"));
        assert_same_file("one.mth", "three.mth");
        assert_fine(RUN("decompress", "one.mth", "-f", "-o", "back"));
        assert_same_file("a.safetensors", "back");
    }
    assert_fine(RUN("compress", "a.safetensors", "-b", "base.safetensors"));
    assert_fine(RUN("decompress", "a.safetensors.mth", "-b", "base.safetensors", "-o", "pair"));
    assert_same_file("a.safetensors", "pair");
    /* The default name takes the suffix away again. */
    assert_fine(RUN("decompress", "one.mth"));
    assert_same_file("a.safetensors", "one");
}

static void bytes_of_no_format_are_taken_with_a_warning(void **state)
{
    (void)state;
    temp_dir_write(directory, "notes", "just text, and text, and text", 29);
    struct program_result result = RUN("compress", "notes");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(program_lines(result.err), 1);
    assert_has(result.err, "not a checkpoint of a known format");
    program_result_free(&result);
    assert_fine(RUN("decompress", "notes.mth", "-o", "back"));
    assert_same_file("notes", "back");
    assert_fine(RUN("compress", "notes", "--dtype", "bf16", "-f"));
    temp_dir_write(directory, "nothing", "", 0);
    program_result_free(&result);
    result = RUN("compress", "nothing", "-q");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    assert_fine(RUN("decompress", "nothing.mth", "-o", "void"));
    assert_same_file("nothing", "void");
}

static void outputs_are_never_overwritten_unasked(void **state)
{
    (void)state;
    write_checkpoint("a.safetensors", 1);
    temp_dir_write(directory, "there", "mine", 4);
    temp_dir_write(directory, "sub/x", "", 0);
    assert_refused(RUN("compress", "a.safetensors", "-o", "there"), 1, "there already", 3);
    assert_refused(RUN("compress", "a.safetensors", "-f", "-o", "a.safetensors"), 1, "input", 3);
    assert_refused(RUN("decompress", "there", "-f", "-o", "there"), 1, "input", 3);
    assert_refused(RUN("compress", "a.safetensors", "-f", "-o", "/dev/null"), 6, "regular file", 3);
    assert_refused(RUN("compress", "a.safetensors", "-o", "no/such/place"), 6, "no/such/place", 3);
    size_t n_bytes;
    char *text = temp_dir_read(directory, "there", &n_bytes);
    assert_non_null(text);
    assert_string_equal(text, "mine");
    free(text);
    assert_fine(RUN("compress", "a.safetensors", "-f", "-o", "there"));
    assert_refused(RUN("decompress", "there", "-o", "a.safetensors"), 1, "there already", 3);
}

static void wrong_bases_are_refused_before_anything_is_written(void **state)
{
    (void)state;
    write_checkpoint("base.safetensors", 0);
    write_checkpoint("a.safetensors", 1);
    write_checkpoint("b.safetensors", 2);
    assert_fine(RUN("compress", "a.safetensors", "-b", "base.safetensors", "-o", "pair.mth"));
    assert_fine(RUN("compress", "a.safetensors", "-o", "alone.mth"));
    assert_refused(RUN("decompress", "pair.mth", "-o", "x"), 2, "-b", 5);
    assert_refused(RUN("decompress", "pair.mth", "-o", "x", "-b", "b.safetensors"), 2, "not the base", 5);
    assert_refused(RUN("decompress", "alone.mth", "-o", "x", "-b", "base.safetensors"), 2, "without a base",
                   5);
    assert_refused(RUN("compress", "a.safetensors", "-p", "delta-xor+zstd", "-q", "-o", "x"), 2, "base", 5);
}

static void damaged_containers_are_refused_before_anything_is_written(void **state)
{
    (void)state;
    write_checkpoint("a.safetensors", 1);
    assert_fine(RUN("compress", "a.safetensors", "-o", "a.mth"));
    size_t n_bytes;
    char *packed = temp_dir_read(directory, "a.mth", &n_bytes);
    assert_non_null(packed);
    for (size_t i = 0; i < 12; i++) {
        temp_dir_write(directory, "bad.mth", packed, n_bytes * i / 12);
        assert_refused(RUN("decompress", "bad.mth", "-o", "x"), 2, "bad.mth", 3);
        size_t at = n_bytes * i / 12;
        packed[at] ^= 0x10;
        temp_dir_write(directory, "bad.mth", packed, n_bytes);
        packed[at] ^= 0x10;
        assert_refused(RUN("decompress", "bad.mth", "-o", "x"), 2, "bad.mth", 3);
    }
    free(packed);
}

static size_t liar_bound(const int64_t *options, size_t src_bytes)
{
    (void)options;
    return src_bytes;
}

static int liar_create(const int64_t *options, unsigned sides, struct mth_memory *memory, void **state)
{
    (void)options, (void)sides, (void)memory;
    *state = NULL;
    return MTH_OK;
}

static void liar_destroy(void *state)
{
    (void)state;
}

/* Half of the stream: small enough that it is not stored as it is. */
static int liar_encode(void *state, struct mth_encode_job *job)
{
    (void)state;
    memcpy(job->dst, job->src.data, job->src.n_bytes / 2);
    job->out = (struct mth_bytes){job->dst, job->src.n_bytes / 2};
    return MTH_OK;
}

static int liar_decode(void *state, struct mth_decode_job *jobs, size_t n_jobs)
{
    (void)state;
    for (size_t i = 0; i < n_jobs; i++) {
        memset(jobs[i].dst, 0, jobs[i].dst_bytes);
        memcpy(jobs[i].dst, jobs[i].src.data, jobs[i].src.n_bytes);
    }
    return MTH_OK;
}

static const struct mth_codec liar = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "liar",
    .summary = "forgets half and does not say so",
    .bound = liar_bound,
    .create = liar_create,
    .destroy = liar_destroy,
    .encode = liar_encode,
    .decode = liar_decode,
};

/* In this process, because only here the codec is known. */
static void compress_verifies_before_it_writes(void **state)
{
    (void)state;
    struct mth_error err;
    char input[4096], output[4096];
    write_checkpoint("a.safetensors", 1);
    snprintf(input, sizeof input, "%s/a.safetensors", directory);
    snprintf(output, sizeof output, "%s/a.mth", directory);
    assert_int_equal(mth_codec_register(&liar, &err), 0);
    char *argv[] = {"compress", input, "-p", "liar", "-o", output, NULL};
    assert_int_equal(mth_cmd_compress(6, argv), 2);
    assert_int_equal(temp_dir_count(directory, "."), 1);
}

static void info_tells_containers_from_checkpoints(void **state)
{
    (void)state;
    write_checkpoint("a.safetensors", 1);
    assert_fine(RUN("compress", "a.safetensors", "-p", "zstd:level=5", "-o", "packed"));
    struct program_result result = RUN("info", "packed");
    assert_int_equal(result.exit_code, 0);
    assert_has(result.out, "zstd@1:level=5");
    assert_has(result.out, "container version 1");
    program_result_free(&result);
    result = RUN("info", "a.safetensors", "-b", "a.safetensors");
    assert_int_equal(result.exit_code, 0);
    assert_has(result.out, "layers.2.weight");
    assert_has(result.out, "0.0000%");
    assert_null(strstr(result.out, "and-direction"));
    program_result_free(&result);
    write_checkpoint("b.safetensors", 2);
    result = RUN("info", "b.safetensors", "-b", "a.safetensors", "-b", "a.safetensors", "--json", "-");
    assert_int_equal(result.exit_code, 0);
    assert_has(result.out, "\"older\"");
    assert_has(result.out, "directed_bound_ratio");
    program_result_free(&result);
    result = RUN("info", "a.safetensors", "-n", "layers.1.weight");
    assert_int_equal(result.exit_code, 0);
    assert_null(strstr(result.out, "layers.2.weight"));
    program_result_free(&result);
}

static void hostile_names_reach_no_terminal_and_lines_fit(void **state)
{
    (void)state;
    struct safetensors_builder builder = {0};
    char name[400];
    memset(name, 'x', sizeof name);
    memcpy(name + 380, "END", 4);
    const uint64_t wide[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4};
    safetensors_builder_add(&builder, "\\u001b[31mred\\u0007\\u202egnp", "F32", (const uint64_t[]){4}, 1,
                            NULL, 16);
    safetensors_builder_add(&builder, name, "I64", wide, 13, NULL, 32);
    safetensors_builder_add(&builder, "void", "F8_E4M3", (const uint64_t[]){0, 7}, 2, NULL, 0);
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    temp_dir_write(directory, "hostile.safetensors", file.data, file.n_bytes);
    free(file.data);
    static const char *const bases[] = {NULL, "hostile.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        struct program_result result = bases[i] ? RUN("info", "hostile.safetensors", "-b", bases[i])
                                                : RUN("info", "hostile.safetensors");
        assert_int_equal(result.exit_code, 0);
        assert_has(result.out, "?[31mred??gnp");
        assert_has(result.out, "END");
        size_t column = 0;
        for (const char *p = result.out; *p; p++) {
            assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
            column = *p == '\n' ? 0 : column + 1;
            assert_true(column <= 120);
        }
        program_result_free(&result);
    }
}

static void json_results_are_one_object_of_their_kind(void **state)
{
    (void)state;
    write_checkpoint("a.safetensors", 1);
    const struct {
        const char *kind;
        struct program_result result;
    } runs[] = {
        {"list", RUN("list", "--json", "-")},
        {"env", RUN("env", "--json", "-")},
        {"info", RUN("info", "a.safetensors", "-b", "a.safetensors", "--json", "-")},
        {"compress", RUN("compress", "a.safetensors", "-o", "a.mth", "--json", "-")},
        {"info", RUN("info", "a.mth", "--json", "-")},
        {"decompress", RUN("decompress", "a.mth", "-o", "back", "--json", "-")},
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        struct program_result result = runs[i].result;
        struct mth_json *json;
        struct mth_error err = {0};
        const char *kind;
        assert_int_equal(result.exit_code, 0);
        assert_int_equal(program_lines(result.out), 1);
        if (mth_json_parse("output", result.out, strlen(result.out), &json, &err))
            fail_msg("%s in %s", err.text, result.out);
        struct mth_json_node root = mth_json_root(json, "output");
        assert_int_equal(mth_json_get_string(&root, "kind", MTH_JSON_REQUIRED, &kind, &err), 0);
        assert_string_equal(kind, runs[i].kind);
        mth_json_free(json);
        program_result_free(&result);
    }
    assert_fine(RUN("env", "--json", "env.json"));
    struct program_result again = RUN("env", "--json", "-");
    size_t n_bytes;
    char *first = temp_dir_read(directory, "env.json", &n_bytes);
    assert_non_null(first);
    assert_string_equal(first, again.out);
    free(first);
    program_result_free(&again);
}

static void every_command_explains_itself(void **state)
{
    (void)state;
    static const char *const commands[] = {"bench", "compress", "datasets", "decompress",
                                           "env",   "explore",  "extract",  "info",
                                           "list",  "report",   "verify"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct program_result result = RUN(commands[i], "-h");
        assert_int_equal(result.exit_code, 0);
        assert_has(result.out, commands[i]);
        assert_string_equal(result.err, "");
        program_result_free(&result);
    }
    struct program_result result = RUN("list");
    assert_int_equal(result.exit_code, 0);
    assert_has(result.out, "zstd");
    assert_has(result.out, "exponent-split");
    assert_has(result.out, "balanced");
    assert_has(result.out, "safetensors");
    program_result_free(&result);
    result = RUN("compress", "--version");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(strncmp(result.out, "mithril ", 8), 0);
    program_result_free(&result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_directory, destroy_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_checkpoints_are_refused_by_every_command),
        TEST(bad_arguments_are_refused_with_the_nearest_name),
        TEST(compress_and_decompress_restore_every_bit),
        TEST(bytes_of_no_format_are_taken_with_a_warning),
        TEST(outputs_are_never_overwritten_unasked),
        TEST(wrong_bases_are_refused_before_anything_is_written),
        TEST(damaged_containers_are_refused_before_anything_is_written),
        TEST(compress_verifies_before_it_writes),
        TEST(info_tells_containers_from_checkpoints),
        TEST(hostile_names_reach_no_terminal_and_lines_fit),
        TEST(json_results_are_one_object_of_their_kind),
        TEST(every_command_explains_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
