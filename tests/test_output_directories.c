/*
 * Laws of directories that commands make for what they write: where nothing came to be in one it is not there, nor is what was made above it;
 * one that was there before stays.
 */
#include "tests/support/faults.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static char *directory;

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static char *path_of(const char *name)
{
    static char paths[4][4096];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static bool is_there(const char *name)
{
    return temp_dir_has(directory, name);
}

static bool is_empty(const char *name)
{
    size_t n = 0;
    DIR *listing = opendir(path_of(name));
    assert_non_null(listing);
    for (const struct dirent *entry; (entry = readdir(listing));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(listing);
    return n == 0;
}

static int begin(void **state)
{
    static const char floats[4096] = {1, 2, 3};
    (void)state;
    directory = temp_dir_create();
    temp_dir_write(directory, "good.bin", floats, sizeof floats);
    temp_dir_write(directory, "step-1.bin", floats, sizeof floats);
    temp_dir_write(directory, "files/a.bin", floats, sizeof floats);
    temp_dir_write(directory, "files/sub/b.bin", floats, sizeof floats);
    program_assert_ends(RUN("compress", "-q", "--dtype", "f32", "files", "-o", "packed"), 0, NULL);
    temp_dir_write(directory, "broken/a.bin.mth", "no container", 12);
    temp_dir_write(directory, "broken/sub/b.bin.mth", "nor this", 8);
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

/* It fails with this code, and neither what was made nor what was made above it is there. */
static void assert_leaves_nothing(struct program_result result, int exit_code)
{
    if (result.exit_code != exit_code)
        fail_msg("exit code %d, errors '%s'", result.exit_code, result.err);
    program_result_free(&result);
    assert_false(is_there("out"));
}

static void what_fails_leaves_no_directory(void **state)
{
    (void)state;
    assert_leaves_nothing(RUN("decompress", "broken", "-o", "out"), 2);
    assert_leaves_nothing(RUN("decompress", "broken", "-o", "out/"), 2);
    assert_leaves_nothing(RUN("decompress", "broken", "-o", "out/of/many//"), 2);
    assert_leaves_nothing(RUN("decompress", "packed", "-b", "good.bin", "-o", "out/deep"), 2);
    assert_leaves_nothing(RUN("decompress", "broken/a.bin.mth", "broken/sub/b.bin.mth", "-o", "out/deep"), 2);
    assert_leaves_nothing(RUN("decompress", "broken", "broken/sub", "-o", "out/deep/"), 1);
    assert_leaves_nothing(RUN("compress", "nothing", "more", "-o", "out/deep"), 6);
    assert_leaves_nothing(RUN("compress", "files", "--dtype", "f32", "--memory", "1KiB", "-o", "out"), 5);
    assert_leaves_nothing(RUN("report", "nothing.jsonl", "-o", "out"), 6);
    /* What can not be made is not made in part. */
    char name[300], path[320];
    memset(name, 'x', sizeof name);
    snprintf(path, sizeof path, "out/a/%.280s", name);
    assert_leaves_nothing(RUN("compress", "good.bin", "step-1.bin", "--dtype", "f32", "-o", path), 6);
}

static void what_was_there_stays(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("mine"), 0777), 0);
    static const char *const outs[] = {"mine", "mine/", "mine/new/one", "./mine", "mine/../mine"};
    for (size_t i = 0; i < sizeof outs / sizeof outs[0]; i++) {
        struct program_result result = RUN("decompress", "broken", "-o", outs[i]);
        assert_int_equal(result.exit_code, 2);
        program_result_free(&result);
        assert_true(is_empty("mine"));
    }
    /* Nor does a file of one's own go. */
    temp_dir_write(directory, "mine/note", "x", 1);
    struct program_result result = RUN("decompress", "broken", "-o", "mine");
    assert_int_equal(result.exit_code, 2);
    program_result_free(&result);
    assert_int_equal(temp_dir_count(directory, "mine"), 1);
}

/* Of several files those that can be had come, and directories that stand for nothing do not. */
static void what_came_stays(void **state)
{
    (void)state;
    assert_int_equal(rename(path_of("packed/a.bin.mth"), path_of("broken/good.bin.mth")), 0);
    struct program_result result = RUN("decompress", "broken", "-o", "out");
    assert_int_equal(result.exit_code, 2);
    program_result_free(&result);
    assert_true(temp_dir_same(directory, "out/good.bin", "files/a.bin"));
    assert_false(is_there("out/sub"));
    /* An empty one that is as its input is no failure. */
    assert_int_equal(mkdir(path_of("files/empty"), 0777), 0);
    program_assert_ends(RUN("compress", "-q", "--dtype", "f32", "files", "-o", "again"), 0, NULL);
    assert_true(is_empty("again/empty"));
}

static void a_chain_that_got_no_step_is_not_there(void **state)
{
    (void)state;
    assert_leaves_nothing(RUN("chain", "add", "out/deep", "step-2.bin"), 6);
    assert_leaves_nothing(RUN("chain", "add", "out", "step-1.bin", "--memory", "1MiB"), 5);
    assert_leaves_nothing(RUN("chain", "add", "out", "step-1.bin", "-p", "nonsense"), 1);
    assert_leaves_nothing(RUN("chain", "add", "out", "step-1.bin", "--policy", "nonsense"), 1);
    assert_int_equal(mkdir(path_of("mine"), 0777), 0);
    program_assert_ends(RUN("chain", "add", "mine", "step-2.bin"), 6, "No such file");
    assert_true(is_empty("mine"));
    /* One that has a step keeps it. */
    program_assert_ends(RUN("chain", "add", "-q", "mine", "step-1.bin", "--dtype", "f32"), 0, NULL);
    program_assert_ends(RUN("chain", "add", "-q", "mine", "step-2.bin"), 6, "No such file");
    program_assert_prints(RUN("chain", "verify", "mine"), "its 1 step restores");
}

/* Nor is what its first step had begun, wherever that failed. */
static void a_chain_whose_first_step_can_not_be_written_is_not_there(void **state)
{
    (void)state;
    static const struct fault faults[] = {
        {.number = SYS_fsync, .action = ENOSPC},
        {.number = SYS_pwrite64, .action = ENOSPC},
        {.number = SYS_pwrite64, .action = ENOSPC, .at_offset = true, .offset = 200},
        {.number = SYS_write, .action = ENOSPC},
        {.number = SYS_linkat, .action = ENOSPC},
    };
    static const char *const arguments[] = {"chain",      "add",     "-q",  "out/deep",
                                            "step-1.bin", "--dtype", "f32", NULL};
    size_t n_failed = 0;
    if (!faults_are_possible())
        skip();
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct program_result result = faults_run(directory, arguments, &faults[i], 1);
        bool failed = result.exit_code != 0;
        program_result_free(&result);
        n_failed += failed;
        assert_int_equal(is_there("out"), !failed);
        if (!failed)
            assert_int_equal(rename(path_of("out"), path_of(i % 2 ? "odd" : "even")), 0);
    }
    assert_true(n_failed >= 3);
}

#define TEST(law) cmocka_unit_test_setup_teardown(law, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_fails_leaves_no_directory),
        TEST(what_was_there_stays),
        TEST(what_came_stays),
        TEST(a_chain_that_got_no_step_is_not_there),
        TEST(a_chain_whose_first_step_can_not_be_written_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
