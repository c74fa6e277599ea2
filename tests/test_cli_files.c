/* Laws of the commands on files: pipes, directories, several files, attributes, damage, full disks. */
#define _GNU_SOURCE /* st_mtim */
#include "base/checked.h"
#include "harness/json.h"
#include "tests/support/program.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static void assert_ends(struct program_result result, int exit_code, const char *err_part)
{
    if (result.exit_code != exit_code || (err_part ? !strstr(result.err, err_part) : result.err[0] != '\0'))
        fail_msg("exit code %d (expected %d), errors '%s'", result.exit_code, exit_code, result.err);
    program_result_free(&result);
}

static void assert_fine(struct program_result result)
{
    assert_ends(result, 0, NULL);
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

/* Three tensors of bf16 whose elements walk by step. */
/* One in `every` elements moves by one a step, half of them up. */
static void write_moving(const char *name, unsigned step, unsigned every)
{
    enum { N = 5000 };
    static uint8_t data[N * 2];
    struct safetensors_builder builder = {0};
    for (unsigned t = 0; t < 3; t++) {
        for (unsigned i = 0; i < N; i++) {
            unsigned moved = i % every ? 0 : (i + t) * 2246822519u >> 31 ? step : 0 - step;
            mth_store16(data + 2 * i, (uint16_t)(0x3c00 + ((i + t) * 2654435761u >> 23) + moved));
        }
        char tensor[32];
        snprintf(tensor, sizeof tensor, "layers.%u.weight", t);
        safetensors_builder_add(&builder, tensor, "BF16", (const uint64_t[]){50, 100}, 2, data, sizeof data);
    }
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    temp_dir_write(directory, name, file.data, file.n_bytes);
    free(file.data);
}

static void write_checkpoint(const char *name, unsigned step)
{
    write_moving(name, step, 50);
}

/* The exit code of a line of shell in the directory, in which $M is the program. */
static int shell(const char *line)
{
    char text[4096];
    const char *program = getenv("MITHRIL");
    char here[2048] = "", beside[2048];
    if (!program) {
        ssize_t n = readlink("/proc/self/exe", beside, sizeof beside - 16);
        assert_true(n > 0);
        beside[n] = '\0';
        strcpy(strrchr(beside, '/'), "/../mithril");
        program = beside;
    }
    if (program[0] != '/')
        assert_non_null(getcwd(here, sizeof here));
    snprintf(text, sizeof text, "cd '%s' && M='%s%s%s' && %s", directory, here, here[0] ? "/" : "", program,
             line);
    int status = system(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void malformed_files_are_kept_as_bytes_with_one_warning(void **state)
{
    (void)state;
    static const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, '{'};
    write_checkpoint("good.safetensors", 0);
    size_t n_good;
    char *good = temp_dir_read(directory, "good.safetensors", &n_good);
    assert_non_null(good);
    temp_dir_write(directory, "empty.safetensors", "", 0);
    temp_dir_write(directory, "cut.safetensors", good, n_good - 100);
    temp_dir_write(directory, "huge.safetensors", huge, sizeof huge);
    temp_dir_write(directory, "one", "x", 1);
    free(good);
    static const char *const names[] = {"empty.safetensors", "cut.safetensors", "huge.safetensors", "one"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct program_result result = RUN("compress", names[i], "-o", "x.mth", "-f");
        assert_int_equal(result.exit_code, 0);
        assert_int_equal(program_lines(result.err), 1);
        assert_non_null(strstr(result.err, names[i]));
        program_result_free(&result);
        assert_fine(RUN("decompress", "x.mth", "-o", "back", "-f"));
        assert_same_file(names[i], "back");
    }
}

static void what_goes_through_pipes_is_what_files_hold(void **state)
{
    (void)state;
    write_checkpoint("base", 0);
    write_checkpoint("a", 3);
    assert_int_equal(shell("$M compress a -o a.mth -q && $M compress a -o - -q >piped.mth"), 0);
    assert_same_file("a.mth", "piped.mth");
    assert_int_equal(shell("cat a | $M compress - -b base -q | cat | $M decompress - -b base -q | cmp - a"),
                     0);
    assert_int_equal(shell("cat a.mth | $M verify - >/dev/null"), 0);
    assert_int_equal(shell("head -c 3000 a.mth | $M decompress - -o x -q 2>err"), 2);
    assert_null(temp_dir_read(directory, "x", &(size_t){0}));
    /* Nobody reads. */
    assert_int_equal(shell("exec 3>&1; { $M decompress a.mth -o - -q 2>err; echo $? >code; } | true"), 0);
}

static void directories_map_to_directories(void **state)
{
    (void)state;
    write_checkpoint("run/step1/model.safetensors", 0);
    write_checkpoint("run/step2/model.safetensors", 1);
    temp_dir_write(directory, "run/notes.txt", "hello", 5);
    assert_ends(RUN("compress", "run/"), 0, "notes.txt");
    assert_int_equal(temp_dir_count(directory, "run.mth"), 3);
    assert_fine(RUN("verify", "run.mth/step1/model.safetensors.mth", "run.mth/notes.txt.mth"));
    assert_fine(RUN("decompress", "run.mth", "-o", "again"));
    assert_int_equal(shell("diff -r run again"), 0);
}

static void several_files_go_on_past_a_bad_one(void **state)
{
    (void)state;
    write_checkpoint("a.safetensors", 0);
    write_checkpoint("b.safetensors", 1);
    assert_ends(RUN("compress", "a.safetensors", "missing", "b.safetensors"), 6, "missing");
    assert_fine(RUN("verify", "a.safetensors.mth", "b.safetensors.mth"));
    temp_dir_write(directory, "bad.mth", "MTHC nothing", 12);
    assert_ends(RUN("decompress", "a.safetensors.mth", "bad.mth", "b.safetensors.mth", "-o", "out"), 2,
                "bad.mth");
    assert_same_file("a.safetensors", "out/a.safetensors");
    assert_same_file("b.safetensors", "out/b.safetensors");
    assert_int_equal(temp_dir_count(directory, "out"), 2);
    assert_ends(RUN("verify", "bad.mth", "a.safetensors.mth"), 2, "bad.mth");
}

static void mode_and_time_are_kept(void **state)
{
    (void)state;
    write_checkpoint("a", 0);
    assert_int_equal(
        shell("chmod 640 a && touch -d '2020-02-03 04:05:06.789' a && $M compress a -q && rm a && "
              "$M decompress a.mth -q"),
        0);
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/a", directory);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_mtim.tv_nsec, 789000000);
}

static void a_base_may_be_a_container_and_need_a_base_itself(void **state)
{
    (void)state;
    write_checkpoint("1", 1);
    write_checkpoint("2", 2);
    write_checkpoint("3", 3);
    assert_fine(RUN("compress", "2", "-b", "1"));
    assert_fine(RUN("compress", "3", "-b", "2.mth", "-b", "1"));
    assert_fine(RUN("decompress", "3.mth", "-b", "2", "-o", "x"));
    assert_same_file("3", "x");
    assert_fine(RUN("decompress", "3.mth", "-b", "2.mth", "-b", "1", "-o", "y"));
    assert_same_file("3", "y");
    assert_ends(RUN("decompress", "3.mth", "-b", "2.mth", "-o", "z"), 2, "another --base");
    assert_ends(RUN("decompress", "3.mth", "-b", "1", "-o", "z"), 2, "not the base");
    assert_null(temp_dir_read(directory, "z", &(size_t){0}));
    struct program_result result = RUN("verify", "3.mth");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "with the base"));
    program_result_free(&result);
}

static size_t size_of(const char *name)
{
    size_t n;
    char *bytes = temp_dir_read(directory, name, &n);
    assert_non_null(bytes);
    free(bytes);
    return n;
}

static void an_older_base_tells_where_elements_go(void **state)
{
    (void)state;
    for (unsigned step = 0; step < 4; step++)
        write_moving((const char *const[]){"0", "1", "2", "3"}[step], step, 5);
    assert_fine(RUN("compress", "2", "-b", "1", "-o", "one"));
    assert_fine(RUN("compress", "2", "-b", "1", "-b", "0", "-o", "two"));
    assert_true(size_of("two") + 50 < size_of("one"));
    assert_fine(RUN("decompress", "two", "-b", "1", "-b", "0", "-o", "x"));
    assert_same_file("2", "x");
    assert_ends(RUN("decompress", "two", "-b", "1", "-o", "z"), 2, "two bases; give the older one");
    assert_ends(RUN("decompress", "two", "-b", "1", "-b", "2", "-o", "z"), 2, "2: is not the base");
    assert_ends(RUN("decompress", "two", "-b", "0", "-b", "1", "-o", "z"), 2, "0: is not the base");
    assert_ends(RUN("decompress", "one", "-b", "1", "-b", "0", "-o", "z"), 2, "leave out the older one");
    assert_ends(RUN("compress", "2", "-b", "1", "-b", "0", "-b", "3", "-o", "z"), 2,
                "leave out the one behind it");
    assert_null(temp_dir_read(directory, "z", &(size_t){0}));
    /* A base that needs two itself takes them first. */
    assert_fine(RUN("compress", "3", "-b", "two", "-b", "1", "-b", "0", "-b", "1", "-o", "three"));
    assert_fine(RUN("decompress", "three", "-b", "two", "-b", "1", "-b", "0", "-b", "1", "-o", "y"));
    assert_same_file("3", "y");
    assert_ends(RUN("decompress", "three", "-b", "two", "-b", "1", "-o", "z"), 2,
                "the older one with another --base");
    struct program_result result = RUN("verify", "two", "-b", "1", "-b", "0");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    result = RUN("info", "two", "-b", "1", "-b", "0");
    assert_non_null(strstr(result.out, "version 2"));
    assert_non_null(strstr(result.out, "older   base of"));
    program_result_free(&result);
    assert_fine(RUN("extract", "two", "-b", "1", "-b", "0", "-n", "layers.1.weight", "-o", "part"));
    assert_fine(RUN("extract", "2", "-n", "layers.1.weight", "-o", "wanted"));
    assert_same_file("wanted", "part");
}

static void extract_writes_the_tensor_and_nothing_else(void **state)
{
    (void)state;
    write_checkpoint("base", 0);
    write_checkpoint("a", 5);
    assert_fine(RUN("compress", "a", "-b", "base", "-q"));
    assert_fine(RUN("extract", "a.mth", "-b", "base", "-n", "layers.1.weight", "-o", "one.safetensors"));
    assert_fine(RUN("extract", "a", "-n", "layers.1.weight", "-o", "two.safetensors"));
    assert_same_file("one.safetensors", "two.safetensors");
    struct program_result result = RUN("info", "one.safetensors");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "layers.1.weight"));
    assert_non_null(strstr(result.out, "1 tensors"));
    program_result_free(&result);
    size_t n_whole, n_one;
    char *whole = temp_dir_read(directory, "a", &n_whole),
         *one = temp_dir_read(directory, "one.safetensors", &n_one);
    assert_memory_equal(one + n_one - 10000, whole + n_whole - 20000, 10000);
    free(whole);
    free(one);
    assert_ends(RUN("extract", "a.mth", "-b", "base", "-n", "nobody", "-o", "x"), 1, "no tensor");
    assert_ends(RUN("extract", "a.mth", "-n", "layers.1.weight", "-o", "x"), 2, "-b");
}

/* The value of a member of a JSON object that the program printed: an integer, or how many items an array has. */
static int64_t member(const struct program_result *result, const char *key)
{
    struct mth_json *json;
    struct mth_json_node items;
    struct mth_error err = {0};
    int64_t value = 0;
    size_t n_items;
    if (mth_json_parse("output", result->out, strlen(result->out), &json, &err))
        fail_msg("%s", err.text);
    struct mth_json_node root = mth_json_root(json, "output");
    if (mth_json_get_array(&root, key, MTH_JSON_REQUIRED, &items, &n_items, &err) == MTH_OK)
        value = (int64_t)n_items;
    else if (mth_json_get_int(&root, key, MTH_JSON_REQUIRED, 0, INT64_MAX, &value, &err))
        fail_msg("%s", err.text);
    mth_json_free(json);
    return value;
}

static void info_lists_the_tensors_that_a_container_restores(void **state)
{
    (void)state;
    write_checkpoint("base", 0);
    write_checkpoint("a", 5);
    temp_dir_write(directory, "note.txt", "no checkpoint", 13);
    assert_fine(RUN("compress", "a", "-q", "-o", "alone.mth"));
    assert_fine(RUN("compress", "a", "-b", "base", "-q", "-o", "delta.mth"));
    assert_ends(RUN("compress", "note.txt", "-q"), 0, "note.txt");
    /* The header does not look at the base, so that the tensors are known without it. */
    static const char *const runs[][8] = {{"info", "alone.mth", "--json", "-"},
                                          {"info", "delta.mth", "--json", "-"},
                                          {"info", "delta.mth", "-b", "base", "--json", "-"}};
    for (size_t i = 0; i < 3; i++) {
        struct program_result result = program_run(directory, runs[i]);
        assert_int_equal(result.exit_code, 0);
        assert_int_equal(member(&result, "tensors"), 3);
        assert_int_equal(member(&result, "n_tensors"), 3);
        assert_int_equal(member(&result, "n_base_tensors"), i ? 3 : 0);
        assert_non_null(strstr(result.out, "\"original_format\":\"safetensors\""));
        assert_non_null(
            strstr(result.out, "\"name\":\"layers.2.weight\",\"dtype\":\"BF16\",\"shape\":[50,100]"));
        program_result_free(&result);
    }
    struct program_result result = RUN("info", "delta.mth", "-n", "layers.1.weight");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "layers.1.weight"));
    assert_null(strstr(result.out, "layers.2.weight"));
    program_result_free(&result);
    assert_ends(RUN("info", "delta.mth", "-n", "nobody"), 1, "nobody");
    assert_ends(RUN("info", "alone.mth", "-b", "base"), 2, "without a base");
    result = RUN("info", "note.txt.mth");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "tensors not known"));
    program_result_free(&result);
}

/* Resident memory at its peak; 1 under a sanitizer, whose own memory nobody predicts. */
static int64_t resident_of(const struct program_result *result)
{
    return SANITIZED ? 1 : member(result, "resident_peak_bytes");
}

static void what_a_spec_needs_is_told_and_a_limit_refused_in_advance(void **state)
{
    (void)state;
    write_checkpoint("a", 0);
    struct program_result result = RUN("compress", "a", "-p", "xz:level=9", "-t", "2", "-o", "xz.mth");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "xz:level=9: may take"));
    assert_non_null(strstr(result.out, "each of 2 threads"));
    program_result_free(&result);
    /* A preset has its bound, and needs no line. */
    result = RUN("compress", "a", "-t", "2", "--json", "-", "-o", "balanced.mth");
    assert_int_equal(result.exit_code, 0);
    assert_in_range(member(&result, "memory_need_bytes"), resident_of(&result), (64 + 2 * 8) << 20);
    program_result_free(&result);
    /* Under what it says it runs, and takes no more; under a MiB less it does not begin. */
    static const char *const specs[] = {"xz:level=9", "zstd:level=19", "balanced"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        char enough[32], less[32];
        result = RUN("compress", "a", "-p", specs[i], "-t", "2", "--json", "-", "-o", "x.mth", "-f");
        int64_t need = member(&result, "memory_need_bytes");
        program_result_free(&result);
        snprintf(enough, sizeof enough, "%lld", (long long)need + (1 << 20));
        snprintf(less, sizeof less, "%lld", (long long)need - (1 << 20));
        result = RUN("compress", "a", "-p", specs[i], "-t", "2", "--json", "-", "-o", "x.mth", "-f",
                     "--memory", enough);
        assert_int_equal(result.exit_code, 0);
        assert_true(resident_of(&result) <= need);
        program_result_free(&result);
        assert_ends(RUN("compress", "a", "-p", specs[i], "-t", "2", "-q", "-o", "y.mth", "--memory", less), 5,
                    "may take");
        assert_null(temp_dir_read(directory, "y.mth", &(size_t){0}));
    }
    assert_ends(RUN("decompress", "xz.mth", "-o", "back", "--memory", "9MiB"), 5, "may take");
    assert_null(temp_dir_read(directory, "back", &(size_t){0}));
    assert_ends(RUN("verify", "xz.mth", "--memory", "9MiB"), 5, "may take");
    assert_ends(RUN("verify", "xz.mth", "--memory", "1MiB"), 5, "--memory");
    assert_fine(RUN("decompress", "xz.mth", "-o", "back", "--memory", "64MiB"));
    assert_same_file("a", "back");
}

static void a_full_disk_a_limit_and_an_estimate_leave_nothing(void **state)
{
    (void)state;
    write_checkpoint("a", 0);
    assert_ends(RUN("compress", "a", "--memory", "100KiB", "-o", "x.mth"), 5, "--memory");
    assert_int_equal(shell("ulimit -f 4; trap '' XFSZ; $M compress a -o x.mth 2>err"), 6);
    struct program_result result = RUN("compress", "a", "--estimate");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "ratio about"));
    program_result_free(&result);
    assert_int_equal(temp_dir_count(directory, "."), 2); /* a, err */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_directory, destroy_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(malformed_files_are_kept_as_bytes_with_one_warning),
        TEST(what_goes_through_pipes_is_what_files_hold),
        TEST(directories_map_to_directories),
        TEST(several_files_go_on_past_a_bad_one),
        TEST(mode_and_time_are_kept),
        TEST(a_base_may_be_a_container_and_need_a_base_itself),
        TEST(an_older_base_tells_where_elements_go),
        TEST(extract_writes_the_tensor_and_nothing_else),
        TEST(info_lists_the_tensors_that_a_container_restores),
        TEST(what_a_spec_needs_is_told_and_a_limit_refused_in_advance),
        TEST(a_full_disk_a_limit_and_an_estimate_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
