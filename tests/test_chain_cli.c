/* Laws of `mithril chain` on the command line: what it makes, what it says, what it refuses, with which exit code. */
#define _GNU_SOURCE /* st_mtim */
#include "base/hash.h"
#include "base/scratch.h"
#include "harness/json.h"
#include "pipeline/mithril.h"
#include "tests/support/program.h"
#include "tests/support/run_steps.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_STEPS = 6, N_LINKS = 45 };

static char *directory;

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static void assert_fine(struct program_result result)
{
    program_assert_ends(result, 0, NULL);
}

static char *path_of(const char *name)
{
    static char path[8192];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* Files run/step-1.pt .. step-6.pt, and a consecutive chain of them. */
static int begin(void **state)
{
    (void)state;
    directory = temp_dir_create();
    run_steps_write(directory, RUN_LAYERS, N_STEPS);
    assert_fine(RUN("chain", "add", "c", "run", "--policy", "consecutive", "-q"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

static void steps_come_back_with_bytes_mode_and_time(void **state)
{
    (void)state;
    struct stat before, after;
    const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5}, {.tv_sec = 2000, .tv_nsec = 123456789}};
    assert_int_equal(utimensat(AT_FDCWD, path_of("run/step-3.safetensors"), times, 0), 0);
    assert_int_equal(chmod(path_of("run/step-3.safetensors"), 0640), 0);
    assert_fine(RUN("chain", "add", "d", "run", "-q"));
    program_assert_prints(RUN("chain", "restore", "d", "--step", "3", "-o", "three"), "digest verified");
    assert_true(temp_dir_same(directory, "three", "run/step-3.safetensors"));
    assert_int_equal(stat(path_of("run/step-3.safetensors"), &before), 0);
    assert_int_equal(stat(path_of("three"), &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    /* Without being told: the last one, under the name that it had. */
    assert_fine(RUN("chain", "restore", "d", "-q"));
    assert_true(temp_dir_same(directory, "step-6.safetensors", "run/step-6.safetensors"));
    program_assert_ends(RUN("chain", "restore", "d", "-q"), 1, "is there already");
    assert_fine(RUN("chain", "restore", "d", "-q", "-f"));
    struct program_result result = RUN("chain", "restore", "d", "--step", "2", "-o", "-", "-q");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    program_assert_ends(RUN("chain", "restore", "d", "--step", "7", "-o", "x"), 1, "has no step 7");
    assert_int_equal(temp_dir_count(directory, "x"), 0);
}

static void what_is_there_already_is_passed_over_or_refused(void **state)
{
    (void)state;
    program_assert_prints(RUN("chain", "add", "c", "run/step-2.safetensors"),
                          "is there already, the same bytes");
    run_step_write(directory, "other/step-2.safetensors", RUN_LAYERS, 99);
    program_assert_ends(RUN("chain", "add", "c", "other/step-2.safetensors"), 1, "of other bytes");
    assert_fine(RUN("chain", "verify", "c", "-q"));
}

static void steps_are_found_by_the_number_in_a_name(void **state)
{
    (void)state;
    run_step_write(directory, "e/model", RUN_LAYERS, 1);
    run_step_write(directory, "e/a-0007.bin", RUN_LAYERS, 1);
    run_step_write(directory, "e/b-7.pt", RUN_LAYERS, 1);
    program_assert_ends(RUN("chain", "add", "n", "e/model"), 1, "does not end in a step number");
    program_assert_ends(RUN("chain", "add", "n", "e/a-0007.bin", "e/b-7.pt"), 1, "two files of step 7");
    program_assert_ends(RUN("chain", "add", "n", "e/a-0007.bin", "e/model", "--step", "3"), 1,
                        "--step goes with one file");
    program_assert_ends(RUN("chain", "add", "n", "e/none-7.pt"), 6, "e/none-7.pt");
    program_assert_prints(RUN("chain", "add", "n", "e/model", "--step", "12"), "step 12: alone");
    program_assert_prints(RUN("chain", "add", "n", "e/b-7.pt"), "step 7: alone");
    program_assert_prints(RUN("chain", "add", "n", "e/model", "--step", "9"), "step 9: against step 7");
}

static void one_writes_and_others_read(void **state)
{
    (void)state;
    struct mth_chain_writer writer;
    struct mth_error err;
    struct mth_memory *memory = mth_memory_create(0);
    assert_int_equal(mth_chain_writer_open(path_of("c"), false, memory, &writer, &err), 0);
    program_assert_ends(RUN("chain", "add", "c", "run"), 6, "another process is writing to this chain");
    program_assert_ends(RUN("chain", "drop", "c", "--keep", "last:1"), 6,
                        "another process is writing to this chain");
    assert_fine(RUN("chain", "list", "c", "-q"));
    assert_fine(RUN("chain", "verify", "c", "-q"));
    assert_fine(RUN("chain", "restore", "c", "--step", "4", "-o", "four", "-q"));
    mth_chain_writer_close(&writer);
    mth_memory_destroy(memory);
    assert_fine(RUN("chain", "add", "c", "run", "-q"));
}

static void what_is_no_chain_is_left_alone(void **state)
{
    (void)state;
    temp_dir_write(directory, "files/notes.txt", "mine", 4);
    program_assert_ends(RUN("chain", "add", "files", "run/step-1.safetensors"), 1, "is no chain");
    program_assert_ends(RUN("chain", "drop", "files", "--keep", "last:1"), 6, "is no chain");
    assert_int_equal(temp_dir_count(directory, "files"), 1);
    program_assert_ends(RUN("chain", "add", "files/notes.txt", "run/step-1.safetensors"), 1, "is a file");
    program_assert_ends(RUN("chain", "list", "nowhere"), 6, "is no chain");
    program_assert_ends(RUN("chain", "verify", "nowhere"), 6, "is no chain");
    program_assert_ends(RUN("chain", "restore", "nowhere", "-o", "x"), 6, "is no chain");
    program_assert_ends(RUN("chain", "drop", "nowhere", "--keep", "last:1"), 6, "no such chain");
    /* Containers without their manifest may be all that is left of a chain. */
    temp_dir_write(directory, "lost/step-5.mth", "x", 1);
    program_assert_ends(RUN("chain", "add", "lost", "run/step-1.safetensors"), 1, "holds 'step-5.mth'");
    assert_int_equal(temp_dir_count(directory, "lost"), 1);
}

static void dropping_says_what_it_does(void **state)
{
    (void)state;
    assert_fine(RUN("chain", "add", "f", "run", "--policy", "consecutive", "-q"));
    program_assert_ends(RUN("chain", "drop", "f"), 1, "needs either --keep RULES or --step N");
    program_assert_ends(RUN("chain", "drop", "f", "--keep", "last:1", "--step", "2"), 1, "needs either");
    program_assert_ends(RUN("chain", "drop", "f", "--keep", "newest:1"), 1, "'newest:1' keeps nothing known");
    program_assert_ends(RUN("chain", "drop", "f", "--keep", "every:1000"), 1, "would drop all 6 steps");
    program_assert_ends(RUN("chain", "drop", "f", "--step", "17"), 1, "has no step 17");
    program_assert_prints(RUN("chain", "drop", "f", "--step", "3", "--dry-run"),
                          "step 4: would be coded again against step 2");
    program_assert_prints(RUN("chain", "verify", "f"), "all 6 steps restore");
    program_assert_prints(RUN("chain", "drop", "f", "--step", "3"), "1 step dropped, 1 coded again, 5 left");
    program_assert_prints(RUN("chain", "drop", "f", "--keep", "last:2,step:2"), "step 2: coded again alone");
    program_assert_prints(RUN("chain", "verify", "f"), "all 3 steps restore");
    assert_fine(RUN("chain", "restore", "f", "--step", "5", "-o", "five", "-q"));
    assert_true(temp_dir_same(directory, "five", "run/step-5.safetensors"));
    program_assert_prints(RUN("chain", "drop", "f", "--keep", "last:9"), "0 steps dropped");
}

static void a_link_that_is_not_right_is_named_and_the_rest_restores(void **state)
{
    (void)state;
    size_t n;
    struct program_result result;
    assert_fine(RUN("chain", "add", "g", "run", "--policy", "full:every=3", "-q"));
    char *kept = temp_dir_read(directory, "g/step-2.mth", &n);
    assert_int_equal(unlink(path_of("g/step-2.mth")), 0);
    result = RUN("chain", "list", "g");
    assert_int_equal(result.exit_code, 2);
    assert_non_null(strstr(result.out, "missing"));
    assert_non_null(strstr(result.out, "needs step 2"));
    assert_non_null(strstr(result.err, "2 of 6 steps do not restore: g/step-2.mth"));
    program_result_free(&result);
    result = RUN("chain", "verify", "g");
    assert_int_equal(result.exit_code, 2);
    assert_int_equal(program_lines(result.err), 2);
    assert_non_null(strstr(result.err, "step 2: g/step-2.mth: No such file"));
    assert_non_null(strstr(result.err, "step 3: needs step 2, which does not restore"));
    program_result_free(&result);
    program_assert_ends(RUN("chain", "restore", "g", "--step", "3", "-o", "gone"), 6, "step 2: g/step-2.mth");
    assert_null(temp_dir_read(directory, "gone", &(size_t){0}));
    for (unsigned i = 1; i <= N_STEPS; i++) {
        char step[16], original[64];
        snprintf(step, sizeof step, "%u", i);
        snprintf(original, sizeof original, "run/step-%u.safetensors", i);
        if (i == 2 || i == 3)
            continue;
        assert_fine(RUN("chain", "restore", "g", "--step", step, "-o", "again", "-f", "-q"));
        assert_true(temp_dir_same(directory, "again", original));
    }
    /* Who would have to be coded again and can not be restored stops a drop, before anything is gone. */
    program_assert_ends(RUN("chain", "drop", "g", "--step", "2"), 6, "step 2: g/step-2.mth");
    temp_dir_write(directory, "g/step-2.mth", kept, n - 1);
    program_assert_ends(RUN("chain", "drop", "g", "--step", "2"), 2, "step 2: g/step-2.mth");
    assert_fine(RUN("chain", "drop", "g", "--keep", "step:1,range:4:6", "-q"));
    program_assert_prints(RUN("chain", "verify", "g"), "all 4 steps restore");
    free(kept);
}

/* What stands on it restores again. */
static void a_container_that_is_gone_is_written_again_from_its_file(void **state)
{
    (void)state;
    size_t n;
    struct program_result result;
    assert_fine(RUN("chain", "add", "w", "run", "--policy", "consecutive", "-q"));
    char *kept = temp_dir_read(directory, "w/step-2.mth", &n);
    for (size_t i = 0; i < 3; i++) {
        /* Gone, cut, that of another step. */
        char file[32];
        snprintf(file, sizeof file, "w/step-2%s.mth", i == 0 ? "" : i == 1 ? ".2" : ".3");
        assert_int_equal(unlink(path_of(file)), 0);
        if (i == 1)
            temp_dir_write(directory, file, kept, n - 1);
        if (i == 2) {
            char *other = temp_dir_read(directory, "w/step-3.mth", &n);
            temp_dir_write(directory, file, other, n);
            free(other);
        }
        program_assert_ends(RUN("chain", "list", "w", "-q"), 2, "w/step-2");
        result = RUN("chain", "add", "w", "run");
        assert_int_equal(result.exit_code, 0);
        assert_non_null(strstr(result.out, "step 1: is there already"));
        assert_non_null(
            strstr(result.out, "step 2: its container was not right and is written again, against step 1,"));
        assert_non_null(strstr(result.out, "step 3: is there already"));
        program_result_free(&result);
        program_assert_prints(RUN("chain", "verify", "w"), "all 6 steps restore");
        assert_int_equal(temp_dir_count(directory, "w"), N_STEPS + 2);
    }
    /* Under another policy too: others count on the base that it had. */
    assert_int_equal(unlink(path_of("w/step-2.4.mth")), 0);
    assert_fine(RUN("chain", "add", "w", "run", "--policy", "one-shot", "-q"));
    program_assert_prints(RUN("chain", "verify", "w"), "all 6 steps restore");
    free(kept);
}

/* Nor is there anything in a directory that was there. */
static void what_can_not_be_added_leaves_no_chain(void **state)
{
    (void)state;
    program_assert_ends(RUN("chain", "add", "new", "run/step-77.pt"), 6, "step-77.pt");
    assert_int_equal(access(path_of("new"), F_OK), -1);
    assert_int_equal(mkdir(path_of("mine"), 0777), 0);
    program_assert_ends(RUN("chain", "add", "mine", "run/step-77.pt"), 6, "step-77.pt");
    assert_int_equal(temp_dir_count(directory, "mine"), 0);
    program_assert_ends(RUN("chain", "add", "new", "run/step-1.safetensors", "run/step-77.pt", "-q"), 6,
                        "step-77.pt");
    program_assert_prints(RUN("chain", "verify", "new"), "its 1 step restores");
}

/* Of stored bytes all containers are as long; only what the chain notes of each tells them apart. */
static void a_container_of_another_step_is_noticed(void **state)
{
    (void)state;
    size_t n, m;
    assert_fine(RUN("chain", "add", "h", "run/step-1.safetensors", "run/step-2.safetensors", "--policy",
                    "full", "-p", "store", "-q"));
    char *first = temp_dir_read(directory, "h/step-1.mth", &n),
         *second = temp_dir_read(directory, "h/step-2.mth", &m);
    assert_int_equal(n, m);
    temp_dir_write(directory, "h/step-2.mth", first, n);
    program_assert_ends(RUN("chain", "verify", "h"), 2, "is another container");
    program_assert_ends(RUN("chain", "list", "h", "-q"), 2, "is another container");
    program_assert_ends(RUN("chain", "restore", "h", "-o", "wrong", "-q"), 2, "is another container");
    assert_null(temp_dir_read(directory, "wrong", &(size_t){0}));
    temp_dir_write(directory, "h/step-2.mth", second, m);
    assert_fine(RUN("chain", "verify", "h", "-q"));
    free(first);
    free(second);
}

/* However many links lie between. */
static void the_lowest_link_that_is_not_right_is_blamed(void **state)
{
    (void)state;
    program_assert_ends(RUN("chain", "add", "k", "run", "--policy", "consecutive", "-q"), 0, NULL);
    assert_int_equal(unlink(path_of("k/step-2.mth")), 0);
    struct program_result result = RUN("chain", "verify", "k");
    assert_int_equal(result.exit_code, 2);
    assert_int_equal(program_lines(result.err), 5);
    assert_non_null(strstr(result.err, "step 6: needs step 2, which does not restore"));
    program_result_free(&result);
    result = RUN("chain", "list", "k");
    assert_int_equal(result.exit_code, 2);
    assert_non_null(strstr(strstr(result.out, "needs step 2") + 1, "needs step 2"));
    assert_null(strstr(result.out, "needs step 3"));
    program_result_free(&result);
}

/* A step is coded again only when it restores to the very bytes that were added, whatever else says that it is fine. */
static void what_was_added_is_what_is_coded_again(void **state)
{
    (void)state;
    size_t n;
    program_assert_ends(RUN("chain", "add", "x3", "run", "--policy", "consecutive", "-q"), 0, NULL);
    char *text = temp_dir_read(directory, "x3/chain.manifest", &n);
    char *digit = strstr(strstr(text, "step 3 base 2"), "xxh3 ") + strlen("xxh3 ");
    char *end = strstr(text, "\nend ") + strlen("\nend ");
    *digit = *digit == '0' ? '1' : '0';
    snprintf(end, 18, "%016llx\n",
             (unsigned long long)mth_hash64(text, (size_t)(end - text) - strlen("end "), 0));
    temp_dir_write(directory, "x3/chain.manifest", text, n);
    program_assert_prints(RUN("chain", "list", "x3"), "fine");
    program_assert_ends(RUN("chain", "drop", "x3", "--step", "2", "-q"), 2,
                        "step 3: does not restore to what was added");
    program_assert_prints(RUN("chain", "list", "x3"), "6 steps");
    free(text);
}

static void a_damaged_manifest_stops_everything(void **state)
{
    (void)state;
    size_t n;
    assert_fine(RUN("chain", "add", "m", "run", "-q"));
    char *text = temp_dir_read(directory, "m/chain.manifest", &n);
    text[n / 2] ^= 1;
    temp_dir_write(directory, "m/chain.manifest", text, n);
    size_t n_files = temp_dir_count(directory, "m");
    program_assert_ends(RUN("chain", "list", "m"), 2, "m/chain.manifest: is damaged");
    program_assert_ends(RUN("chain", "add", "m", "run/step-1.safetensors"), 2,
                        "m/chain.manifest: is damaged");
    program_assert_ends(RUN("chain", "drop", "m", "--keep", "last:1"), 2, "m/chain.manifest: is damaged");
    program_assert_ends(RUN("chain", "restore", "m", "-o", "x"), 2, "m/chain.manifest: is damaged");
    assert_int_equal(temp_dir_count(directory, "m"), n_files);
    /* Each container is one like any other all the same. */
    assert_fine(RUN("decompress", "m/step-1.mth", "-o", "one", "-q"));
    assert_fine(RUN("decompress", "m/step-2.mth", "-b", "one", "-o", "two", "-q"));
    assert_true(temp_dir_same(directory, "two", "run/step-2.safetensors"));
    free(text);
}

static void results_are_json_where_that_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        const char *arguments[10];
    } cases[] = {
        {"chain_add", {"chain", "add", "j", "run", "--json", "-"}},
        {"chain_list", {"chain", "list", "j", "--json", "-"}},
        {"chain_verify", {"chain", "verify", "j", "--json", "-"}},
        {"chain_restore", {"chain", "restore", "j", "-o", "j.out", "--json", "-"}},
        {"chain_drop", {"chain", "drop", "j", "--keep", "last:2", "--json", "-"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program_result result = program_run(directory, cases[i].arguments);
        struct mth_json *json;
        struct mth_error err;
        const char *kind;
        assert_int_equal(result.exit_code, 0);
        assert_int_equal(mth_json_parse("out", result.out, strlen(result.out), &json, &err), 0);
        struct mth_json_node root = mth_json_root(json, "out");
        assert_int_equal(mth_json_get_string(&root, "kind", MTH_JSON_REQUIRED, &kind, &err), 0);
        assert_string_equal(kind, cases[i].kind);
        mth_json_free(json);
        program_result_free(&result);
    }
}

static void every_command_explains_itself(void **state)
{
    (void)state;
    static const char *const names[] = {"add", "list", "restore", "verify", "drop", "compare"};
    program_assert_prints(RUN("chain", "-h"), "usage: mithril chain COMMAND");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "usage: mithril chain %s", names[i]);
        program_assert_prints(RUN("chain", names[i], "-h"), usage);
        program_assert_ends(RUN("chain", names[i]), 1, "something is missing: mithril chain");
        program_assert_ends(RUN("chain", names[i], "--nothing"), 1, "mithril chain");
    }
    program_assert_ends(RUN("chain", "restor"), 1, "did you mean 'restore'");
    program_assert_ends(RUN("chain", "add", "x", "run", "--policy", "some"), 1, "'some' is no policy");
    program_assert_ends(RUN("chain", "add", "x", "run", "-p", "no-such"), 1, "no-such");
    assert_int_equal(temp_dir_count(directory, "x/step-1.mth"), 0);
}

/* The base's container is damaged inside: only who restores it can tell. */
static void a_base_is_read_where_it_still_lies(void **state)
{
    (void)state;
    size_t n;
    run_step_write(directory, "near/step-1.pt", RUN_LAYERS, 1);
    run_step_write(directory, "near/step-2.pt", RUN_LAYERS, 2);
    run_step_write(directory, "far/step-3.pt", RUN_LAYERS, 3);
    run_step_write(directory, "other/step-1.pt", RUN_LAYERS, 4);
    run_step_write(directory, "other/step-3.pt", RUN_LAYERS, 3);
    assert_fine(RUN("chain", "add", "b", "near/step-1.pt", "--policy", "consecutive", "-q"));
    char *kept = temp_dir_read(directory, "b/step-1.mth", &n);
    char *broken = temp_dir_read(directory, "b/step-1.mth", &n);
    broken[n / 2] ^= 1;
    temp_dir_write(directory, "b/step-1.mth", broken, n);
    program_assert_ends(RUN("chain", "add", "b", "far/step-3.pt", "-q"), 2, "step 1: b/step-1.mth");
    /* A file of its name with other bytes is not it. */
    program_assert_ends(RUN("chain", "add", "b", "other/step-3.pt", "-q"), 2, "step 1: b/step-1.mth");
    assert_fine(RUN("chain", "add", "b", "near/step-2.pt", "-q"));
    /* But nothing is put on what is not there. */
    temp_dir_write(directory, "b/step-1.mth", broken, n - 1);
    program_assert_ends(RUN("chain", "add", "b", "far/step-3.pt", "-q"), 2, "b/step-1.mth: has");
    temp_dir_write(directory, "b/step-1.mth", kept, n);
    assert_fine(RUN("chain", "add", "b", "far/step-3.pt", "-q"));
    assert_fine(RUN("chain", "restore", "b", "--step", "2", "-o", "near-2", "-q"));
    assert_true(temp_dir_same(directory, "near-2", "near/step-2.pt"));
    assert_fine(RUN("chain", "verify", "b", "-q"));
    free(kept);
    free(broken);
}

/* ---- compare ---- */

static int64_t member(const char *row, const char *key)
{
    struct mth_json *json;
    struct mth_error err;
    int64_t value = -1;
    assert_int_equal(mth_json_parse("row", row, strcspn(row, "\n"), &json, &err), 0);
    struct mth_json_node root = mth_json_root(json, "row");
    assert_int_equal(mth_json_get_int(&root, key, MTH_JSON_REQUIRED, 0, INT64_MAX, &value, &err), 0);
    mth_json_free(json);
    return value;
}

/* The most that the steps of a row have of a member of their own. */
static double most_of_steps(const char *row, const char *key)
{
    size_t n_row = strcspn(row, "\n");
    double most = -1;
    char quoted[64];
    int n = snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(row, "\"steps\":[");
    assert_non_null(at);
    while ((at = strstr(at, quoted)) && at < row + n_row) {
        double value = strtod(at + n, NULL);
        most = value > most ? value : most;
        at += n;
    }
    return most;
}

static double real_member(const char *row, const char *key)
{
    char quoted[64];
    int n = snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(row, quoted);
    assert_true(at && at < row + strcspn(row, "\n"));
    return strtod(at + n, NULL);
}

/* The row tells of the worst step, and all steps together are no worse than it. */
static void assert_percents(const char *row)
{
    static const char *const kinds[][2] = {{"pct_links", "pct_links_worst"},
                                           {"pct_links_cpu", "pct_links_cpu_worst"}};
    assert_int_equal(member(row, "rounds"), 5);
    for (size_t i = 0; i < 2; i++) {
        double worst = real_member(row, kinds[i][1]);
        assert_true(worst > 0 && worst >= most_of_steps(row, kinds[i][0]));
        assert_true(worst <= most_of_steps(row, kinds[i][0]));
    }
}

/* Bytes of the files of a chain whose names begin so. */
static int64_t size_of(const char *chain, unsigned first, unsigned last)
{
    int64_t n_bytes = 0;
    struct stat st;
    for (unsigned i = first; i <= last; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/step-%u.mth", chain, i);
        assert_int_equal(stat(path_of(name), &st), 0);
        n_bytes += st.st_size;
    }
    return n_bytes;
}

/* A number behind a key, at the first place behind a text or further on. */
static double number_behind(const char **at, const char *text, const char *key)
{
    char quoted[64];
    int n = snprintf(quoted, sizeof quoted, "\"%s\":", key);
    *at = strstr(*at, text);
    assert_non_null(*at);
    *at = strstr(*at, quoted);
    assert_non_null(*at);
    *at += n;
    return strtod(*at, NULL);
}

/* Each step reads its own link and all that it stands on, back to a full one in every so many; the mean is that of all, and the worst one of them. */
static void assert_read(const char *row, const char *chain, unsigned every)
{
    int64_t n_read_by_all = 0, n_links_of_all = 0;
    double most_ns = -1, worst_step = -1;
    const char *at = strstr(row, "\"steps\":[");
    assert_non_null(at);
    for (unsigned i = 1; i <= N_STEPS; i++) {
        unsigned n_links = (i - 1) % every + 1;
        assert_int_equal(number_behind(&at, "", "step"), i);
        assert_int_equal(number_behind(&at, "", "stored_bytes"), size_of(chain, i, i));
        assert_int_equal(number_behind(&at, "", "n_links"), n_links);
        int64_t n_read = size_of(chain, i - n_links + 1, i);
        assert_int_equal(number_behind(&at, "", "read_bytes"), n_read);
        double ns = number_behind(&at, "", "restore_ns");
        n_read_by_all += n_read;
        n_links_of_all += n_links;
        worst_step = ns > most_ns ? i : worst_step;
        most_ns = ns > most_ns ? ns : most_ns;
    }
    at = row;
    assert_true(fabs(number_behind(&at, "\"mean\":{", "n_links") - (double)n_links_of_all / N_STEPS) < 1e-3);
    assert_int_equal(number_behind(&at, "", "read_bytes"), n_read_by_all / N_STEPS);
    double mean_ns = number_behind(&at, "", "restore_ns"),
           mean_heap = number_behind(&at, "", "heap_peak_bytes");
    at = row;
    assert_int_equal(number_behind(&at, "\"worst\":{", "step"), worst_step);
    assert_true(number_behind(&at, "", "restore_ns") >= mean_ns);
    /* All steps are as large: none takes many times the memory of another. */
    double heap = number_behind(&at, "", "heap_peak_bytes");
    assert_true(heap > 0 && mean_heap > 0 && mean_heap < 3 * heap && heap < 3 * mean_heap);
}

static void compare_counts_what_add_writes(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        unsigned first_kept; /* the last step stands on all from here on */
        int64_t n_full;
    } cases[] = {{"full", 6, 6}, {"full:every=4", 5, 2}, {"consecutive", 1, 1}};
    size_t n_before = temp_dir_count(directory, ".");
    struct program_result result =
        RUN("chain", "compare", "run", "--policy", "full", "--policy", "full:every=4", "--policy",
            "consecutive", "-p", "fast", "-q", "--files", ".", "--json", "-");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(program_lines(result.out), 4);
    assert_int_equal(temp_dir_count(directory, "."), n_before);
    const char *row = strchr(result.out, '\n') + 1;
    for (size_t i = 0; i < 3; i++, row = strchr(row, '\n') + 1) {
        char chain[32];
        snprintf(chain, sizeof chain, "compared-%zu", i);
        assert_fine(RUN("chain", "add", chain, "run", "--policy", cases[i].policy, "-p", "fast", "-q"));
        assert_int_equal(member(row, "stored_bytes"), size_of(chain, 1, 6));
        assert_int_equal(member(row, "kept_bytes"), size_of(chain, cases[i].first_kept, 6));
        assert_true(member(row, "written_bytes") > member(row, "stored_bytes"));
        assert_true(member(row, "kept_peak_bytes") >= member(row, "kept_bytes"));
        assert_int_equal(member(row, "n_full"), cases[i].n_full);
        assert_int_equal(member(row, "n_steps"), 6);
        assert_non_null(strstr(row, "\"verified\":true"));
        assert_percents(row);
        assert_read(row, chain, i == 0 ? 1 : i == 1 ? 4 : N_STEPS);
    }
    temp_dir_write(directory, "rows.jsonl", result.out, strlen(result.out));
    program_result_free(&result);
    result = RUN("report", "rows.jsonl");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "## Chains"));
    assert_non_null(strstr(result.out, "`full:every=4`"));
    program_result_free(&result);
    /* Without gnuplot its data are there all the same. */
    result = RUN("report", "rows.jsonl", "--figure", "chains.svg");
    assert_true(result.exit_code == 0 || result.exit_code == 5);
    program_result_free(&result);
    char *data = temp_dir_read(directory, "chains.dat", &(size_t){0});
    assert_non_null(data);
    assert_non_null(strstr(data, "\"full:every=4\""));
    free(data);
}

static void compare_says_what_cannot_be(void **state)
{
    (void)state;
    size_t n_before = temp_dir_count(directory, ".");
    program_assert_prints(RUN("chain", "compare", "run", "--policy", "full", "-p", "sparse-sync", "-q"),
                          "UNSUPPORTED");
    program_assert_ends(RUN("chain", "compare", "run", "--keep", "newest"), 1, "keeps nothing known");
    program_assert_ends(RUN("chain", "compare", "run", "--policy", "some"), 1, "is no policy");
    program_assert_ends(RUN("chain", "compare", "run", "-p", "balanced", "-p", "balancd"), 1,
                        "is called 'balancd'");
    program_assert_ends(RUN("chain", "compare", "run", "--files", "nowhere"), 1, "nowhere");
    program_assert_ends(RUN("chain", "compare", "nowhere"), 6, "nowhere");
    assert_int_equal(temp_dir_count(directory, "."), n_before);
}

/* What an account holds at most while a step is restored. */
static size_t peak_of(const char *chain_name, uint64_t number)
{
    struct mth_memory *memory = mth_memory_create(0);
    const struct mth_stream_config config = {.n_threads = 1, .memory = memory};
    struct mth_chain chain;
    struct mth_scratch scratch;
    struct mth_sink sink;
    struct mth_error err;
    assert_int_equal(mth_chain_read(path_of(chain_name), memory, &chain, &err), 0);
    assert_int_equal(mth_scratch_open(directory, "out", &scratch, &err), 0);
    mth_scratch_sink(&scratch, &sink);
    size_t before = mth_memory_current(memory);
    mth_memory_reset_peak(memory);
    assert_int_equal(mth_chain_restore(&chain, path_of(chain_name), mth_chain_find(&chain, number), NULL,
                                       directory, &sink, &config, NULL, NULL, &err),
                     0);
    size_t peak = mth_memory_peak(memory) - before;
    mth_scratch_close(&scratch);
    mth_chain_free(&chain);
    mth_memory_destroy(memory);
    return peak;
}

static void memory_does_not_grow_with_the_chain(void **state)
{
    (void)state;
    char name[64];
    for (unsigned i = 1; i <= N_LINKS; i++) {
        snprintf(name, sizeof name, "long/step-%u.pt", i);
        run_step_write(directory, name, RUN_LAYERS, i);
    }
    assert_fine(RUN("chain", "add", "l", "long", "--policy", "consecutive", "-q"));
    size_t two = peak_of("l", 2), many = peak_of("l", N_LINKS);
    if (many > two + N_LINKS * (sizeof(size_t) + 64))
        fail_msg("2 links take %zu bytes, %d take %zu", two, N_LINKS, many);
    assert_fine(RUN("chain", "restore", "l", "-o", "last", "-q"));
    assert_true(temp_dir_same(directory, "last", "long/step-45.pt"));
    if (SANITIZED)
        return;
    assert_fine(RUN("chain", "restore", "l", "-o", "last", "-q", "-f", "-t", "1", "--memory", "40MiB"));
    program_assert_ends(RUN("chain", "restore", "l", "-o", "last", "-f", "-q", "-t", "1", "--memory", "9MiB"),
                        5, "emory");
}

#define FINETUNED     "datasets/tiny-gpt/finetune-1e-5/finetune-1e-5-step-000"
#define RUN_HERE(...) program_run(NULL, (const char *const[]){__VA_ARGS__, NULL})

static void assert_restores_here(const char *chain, const char *step, const char *file)
{
    char out[8192];
    snprintf(out, sizeof out, "%s", path_of("restored"));
    assert_fine(RUN_HERE("chain", "restore", chain, "--step", step, "-o", out, "-f", "-q"));
    size_t n_restored, n_file;
    char *restored = temp_dir_read(directory, "restored", &n_restored),
         *original = temp_dir_read(".", file, &n_file);
    assert_non_null(restored);
    assert_non_null(original);
    assert_true(n_restored == n_file && memcmp(restored, original, n_file) == 0);
    free(restored);
    free(original);
}

static void a_link_may_have_an_older_base_which_is_the_base_of_its_base(void **state)
{
    (void)state;
    char chain[8192], container[8300], lowest[8300];
    snprintf(chain, sizeof chain, "%s", path_of("directed"));
    snprintf(container, sizeof container, "%s/step-102.mth", chain);
    snprintf(lowest, sizeof lowest, "%s/step-100.mth", chain);
    program_assert_prints(RUN_HERE("chain", "add", chain, FINETUNED "100.safetensors",
                                   FINETUNED "101.safetensors", FINETUNED "102.safetensors", "--policy",
                                   "consecutive", "-p", "balanced"),
                          "step 102: against step 101 and the one below");
    program_assert_prints(RUN_HERE("chain", "list", chain), " 101,100 ");
    program_assert_prints(RUN_HERE("chain", "list", chain, "--json", "-"),
                          "\"base_step\":101,\"older_step\":100");
    program_assert_prints(RUN_HERE("chain", "verify", chain), "all 3 steps restore");
    assert_restores_here(chain, "102", FINETUNED "102.safetensors");
    /* A container like any other, which needs both. */
    char *out = strdup(path_of("alone"));
    assert_fine(RUN_HERE("decompress", container, "-b", FINETUNED "101.safetensors", "-b",
                         FINETUNED "100.safetensors", "-o", out, "-q"));
    program_assert_ends(
        RUN_HERE("decompress", container, "-b", FINETUNED "101.safetensors", "-o", out, "-f", "-q"), 2,
        "two bases");
    free(out);
    /* The lowest one is to blame, though it is below as base of the base and as older base. */
    size_t n_bytes;
    char *bytes = temp_dir_read(directory, "directed/step-100.mth", &n_bytes);
    temp_dir_write(directory, "directed/step-100.mth", bytes, n_bytes / 2);
    out = strdup(path_of("restored"));
    program_assert_ends(RUN_HERE("chain", "restore", chain, "--step", "102", "-o", out, "-f", "-q"), 2,
                        "step 100: ");
    free(out);
    temp_dir_write(directory, "directed/step-100.mth", bytes, n_bytes);
    free(bytes);
    /* Coded anew against nothing, and against that alone. */
    program_assert_prints(RUN_HERE("chain", "drop", chain, "--step", "100"), "1 step dropped, 2 coded again");
    program_assert_prints(RUN_HERE("chain", "list", chain, "--json", "-"),
                          "\"base_step\":101,\"older_step\":null");
    assert_restores_here(chain, "101", FINETUNED "101.safetensors");
    assert_restores_here(chain, "102", FINETUNED "102.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_come_back_with_bytes_mode_and_time),
        cmocka_unit_test(what_is_there_already_is_passed_over_or_refused),
        cmocka_unit_test(steps_are_found_by_the_number_in_a_name),
        cmocka_unit_test(one_writes_and_others_read),
        cmocka_unit_test(what_is_no_chain_is_left_alone),
        cmocka_unit_test(dropping_says_what_it_does),
        cmocka_unit_test(a_link_that_is_not_right_is_named_and_the_rest_restores),
        cmocka_unit_test(a_container_that_is_gone_is_written_again_from_its_file),
        cmocka_unit_test(what_can_not_be_added_leaves_no_chain),
        cmocka_unit_test(a_container_of_another_step_is_noticed),
        cmocka_unit_test(the_lowest_link_that_is_not_right_is_blamed),
        cmocka_unit_test(what_was_added_is_what_is_coded_again),
        cmocka_unit_test(a_damaged_manifest_stops_everything),
        cmocka_unit_test(results_are_json_where_that_is_asked_for),
        cmocka_unit_test(every_command_explains_itself),
        cmocka_unit_test(a_base_is_read_where_it_still_lies),
        cmocka_unit_test(compare_counts_what_add_writes),
        cmocka_unit_test(compare_says_what_cannot_be),
        cmocka_unit_test(memory_does_not_grow_with_the_chain),
        cmocka_unit_test(a_link_may_have_an_older_base_which_is_the_base_of_its_base),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
