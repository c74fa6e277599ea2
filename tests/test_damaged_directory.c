/*
 * Laws of directories whose container is damaged: whatever the damage, what is restored of one is right, each file that is not restored is named,
 * nothing is written unasked, and nothing half. Files are a trainer's (tests/fixtures/states/).
 */
#define _GNU_SOURCE /* st_mtim */
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *directory;

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static const char *const names[] = {"model.safetensors", "notes/a.txt", "notes/b/c.txt", "optimizer.pt"};
enum { N_NAMES = sizeof names / sizeof names[0] };

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

static void write_step(const char *from, const char *to)
{
    static const char *const own[] = {"model.safetensors", "optimizer.pt"};
    char path[256], copy[256];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "tests/fixtures/states/%s/%s", from, own[i]);
        snprintf(copy, sizeof copy, "%s/%s", to, own[i]);
        temp_dir_copy(directory, copy, path);
    }
    snprintf(path, sizeof path, "%s/notes/a.txt", to);
    temp_dir_write(directory, path, from, strlen(from));
    snprintf(path, sizeof path, "%s/notes/b/c.txt", to);
    temp_dir_write(directory, path, from, 3);
}

static int begin(void **state)
{
    (void)state;
    directory = temp_dir_create();
    write_step("trainer-11", "11");
    write_step("trainer-12", "12");
    /* Small bundles, as a large checkpoint has many. */
    program_assert_ends(RUN("compress", "-q", "--chunk", "4KiB", "12", "-o", "alone"), 0, NULL);
    program_assert_ends(RUN("compress", "-q", "--chunk", "4KiB", "12", "-b", "11", "-o", "delta"), 0, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

static void remove_out(void)
{
    for (size_t i = 0; i < N_NAMES; i++) {
        char path[64];
        snprintf(path, sizeof path, "out/%s", names[i]);
        unlink(path_of(path));
    }
    rmdir(path_of("out/notes/b"));
    rmdir(path_of("out/notes"));
    rmdir(path_of("out"));
    assert_false(is_there("out"));
}

static bool says_lost(const struct program_result *result, const char *name)
{
    char line[128];
    snprintf(line, sizeof line, ": lost: %s\n", name);
    return strstr(result->err, line) != NULL;
}

/* The files that were restored are right, the others are named. Gives how many were, counted by name too. */
static size_t check_rest(const struct program_result *result, size_t n_restored[N_NAMES])
{
    size_t n = 0, n_lost = 0;
    for (size_t i = 0; i < N_NAMES; i++) {
        char path[64], original[64];
        snprintf(path, sizeof path, "out/%s", names[i]);
        snprintf(original, sizeof original, "12/%s", names[i]);
        bool is_restored = is_there(path);
        if (is_restored && !temp_dir_same(directory, path, original))
            fail_msg("%s is not what it was: %s", names[i], result->err);
        n += is_restored;
        n_restored[i] += is_restored;
        n_lost += says_lost(result, names[i]);
        if (is_restored && says_lost(result, names[i]))
            fail_msg("%s is there and is said to be lost", names[i]);
    }
    /* Where the list itself is lost no name is known. */
    assert_true(n_lost == 0 || n + n_lost == N_NAMES);
    assert_true(n == 0 || n + n_lost == N_NAMES);
    assert_int_equal(temp_dir_count(directory, "out"), n);
    assert_int_equal(program_lines(result->err), n_lost + 1);
    return n;
}

#define DECOMPRESS(base, ...)                                                    \
    (base ? RUN("decompress", "-q", "bad", "-o", "out", "-b", "11", __VA_ARGS__) \
          : RUN("decompress", "-q", "bad", "-o", "out", __VA_ARGS__))

/* Any damage at all: bytes everywhere, in each block of the container, and its end cut off. */
static void check_damage(const char *packed, bool has_base)
{
    char path[64];
    size_t n, n_told = 0, n_split = 0, n_restored[N_NAMES] = {0};
    snprintf(path, sizeof path, "%s/checkpoint.mth", packed);
    char *bytes = temp_dir_read(directory, path, &n);
    assert_non_null(bytes);
    size_t n_before = temp_dir_count(directory, ".");
    for (size_t at = 0; at < n; at += at < 64 || at + 64 > n ? 9 : n / 24) {
        bytes[at] = (char)(bytes[at] ^ 0x14);
        temp_dir_write(directory, "bad/checkpoint.mth", bytes, n);
        bytes[at] = (char)(bytes[at] ^ 0x14);
        /* Nothing unasked. */
        struct program_result result = DECOMPRESS(has_base, "-t", "1");
        assert_int_equal(result.exit_code, 2);
        assert_false(is_there("out"));
        size_t n_lost = program_lines(result.err) - 1;
        n_told += n_lost > 0;
        program_result_free(&result);
        result = DECOMPRESS(has_base, "--partial");
        assert_int_equal(result.exit_code, 2);
        assert_int_equal(program_lines(result.err) - 1, n_lost);
        size_t n_whole = check_rest(&result, n_restored);
        n_split += n_whole > 0 && n_whole < N_NAMES;
        assert_int_equal(n_whole > 0, strstr(result.err, "the others are in out") != NULL);
        program_result_free(&result);
        /* Nothing beside it. */
        assert_int_equal(temp_dir_count(directory, "."), n_before + 1 + n_whole);
        remove_out();
    }
    for (size_t cut = 0; cut < n; cut += n / 5) {
        temp_dir_write(directory, "bad/checkpoint.mth", bytes, cut);
        struct program_result result = DECOMPRESS(has_base, "--partial");
        assert_int_equal(result.exit_code, 2);
        assert_int_equal(program_lines(result.err), 1);
        assert_false(is_there("out"));
        program_result_free(&result);
    }
    free(bytes);
    assert_true(n_told > 6 && n_split > 6);
    for (size_t i = 0; i < N_NAMES; i++)
        assert_true(n_restored[i] > 0);
}

static void what_damage_does_not_touch_comes_back(void **state)
{
    (void)state;
    check_damage("alone", false);
}

static void so_it_does_against_a_base(void **state)
{
    (void)state;
    check_damage("delta", true);
}

/* Damages the container where its first half of tensors ends: that takes some files and leaves the list. */
static void damage_middle(const char *packed)
{
    char path[64];
    size_t n;
    snprintf(path, sizeof path, "%s/checkpoint.mth", packed);
    char *bytes = temp_dir_read(directory, path, &n);
    bytes[n * 2 / 3] = (char)(bytes[n * 2 / 3] ^ 1);
    temp_dir_write(directory, "bad/checkpoint.mth", bytes, n);
    free(bytes);
}

static void modes_and_times_are_those_of_the_files(void **state)
{
    (void)state;
    struct stat out, original;
    size_t n_restored[N_NAMES] = {0};
    assert_int_equal(chmod(path_of("12/notes/a.txt"), 0440), 0);
    assert_int_equal(chmod(path_of("12/notes"), 0750), 0);
    program_assert_ends(RUN("compress", "-q", "-f", "--chunk", "4KiB", "12", "-o", "alone"), 0, NULL);
    damage_middle("alone");
    struct program_result result = DECOMPRESS(false, "--partial");
    assert_int_equal(result.exit_code, 2);
    assert_true(check_rest(&result, n_restored) < N_NAMES);
    program_result_free(&result);
    assert_int_equal(n_restored[1], 1);
    static const char *const kept[] = {"notes/a.txt", "notes"};
    for (size_t i = 0; i < 2; i++) {
        char a[64], b[64];
        snprintf(a, sizeof a, "out/%s", kept[i]);
        snprintf(b, sizeof b, "12/%s", kept[i]);
        assert_int_equal(stat(path_of(a), &out), 0);
        assert_int_equal(stat(path_of(b), &original), 0);
        assert_int_equal(out.st_mode, original.st_mode);
        assert_int_equal(out.st_mtim.tv_sec, original.st_mtim.tv_sec);
        assert_int_equal(out.st_mtim.tv_nsec, original.st_mtim.tv_nsec);
    }
}

static void what_was_there_is_not_touched(void **state)
{
    (void)state;
    damage_middle("alone");
    assert_int_equal(mkdir(path_of("out"), 0777), 0);
    struct program_result result = DECOMPRESS(false, "-t", "1");
    assert_int_equal(result.exit_code, 2);
    program_result_free(&result);
    assert_true(is_there("out"));
    assert_int_equal(temp_dir_count(directory, "out"), 0);
    temp_dir_write(directory, "out/mine", "x", 1);
    program_assert_ends(DECOMPRESS(false, "-f", "--partial"), 1, "is there already");
    assert_int_equal(temp_dir_count(directory, "out"), 1);
}

/* Of what is not damage nothing is said to be lost. */
static void a_wrong_base_costs_no_file(void **state)
{
    (void)state;
    program_assert_ends(RUN("decompress", "-q", "delta", "-b", "12", "-o", "out", "--partial"), 2,
                        "is not the base that was coded against");
    program_assert_ends(RUN("decompress", "-q", "delta", "-o", "out", "--partial"), 2, "give it with --base");
    assert_false(is_there("out"));
    /* Nor is there anything to leave out of what is whole. */
    program_assert_ends(RUN("decompress", "-q", "delta", "-b", "11", "-o", "out", "--partial"), 0, NULL);
    assert_int_equal(temp_dir_count(directory, "out"), N_NAMES);
}

static void verify_names_what_is_lost(void **state)
{
    (void)state;
    damage_middle("delta");
    struct program_result result = RUN("verify", "-q", "bad", "-b", "11");
    assert_int_equal(result.exit_code, 2);
    assert_non_null(strstr(result.err, ": lost: "));
    assert_non_null(strstr(result.err, "decompress --partial writes the others"));
    program_result_free(&result);
    /* Without the base nobody knows. */
    result = RUN("verify", "-q", "bad");
    assert_int_equal(result.exit_code, 2);
    assert_int_equal(program_lines(result.err), 1);
    program_result_free(&result);
}

/* Of files that were compressed one by one each that is whole comes back anyway. */
static void of_containers_one_by_one_each_stands_alone(void **state)
{
    (void)state;
    struct program_result result =
        RUN("compress", "-q", "12/model.safetensors", "12/optimizer.pt", "12/notes/a.txt", "-o", "files");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    size_t n;
    char *bytes = temp_dir_read(directory, "files/optimizer.pt.mth", &n);
    bytes[n / 2] = (char)(bytes[n / 2] ^ 1);
    temp_dir_write(directory, "files/optimizer.pt.mth", bytes, n);
    free(bytes);
    program_assert_ends(RUN("decompress", "-q", "files", "-o", "out"), 2, "files/optimizer.pt.mth: ");
    assert_int_equal(temp_dir_count(directory, "out"), 2);
    assert_true(temp_dir_same(directory, "out/model.safetensors", "12/model.safetensors"));
    assert_true(temp_dir_same(directory, "out/a.txt", "12/notes/a.txt"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_damage_does_not_touch_comes_back),
        TEST(so_it_does_against_a_base),
        TEST(modes_and_times_are_those_of_the_files),
        TEST(what_was_there_is_not_touched),
        TEST(a_wrong_base_costs_no_file),
        TEST(verify_names_what_is_lost),
        TEST(of_containers_one_by_one_each_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
