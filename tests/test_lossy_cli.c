/* Laws of lossy pipelines on the command line: nothing is lost that was not given up, and wherever a result is it says LOSSY. */
#include "tests/support/program.h"
#include "tests/support/run_steps.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_STEPS = 4 };

#define SPEC "check-n-run:quantizer=asymmetric:bits=3"

static char *directory;

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static void assert_refuses(struct program_result result, const char *part)
{
    if (result.exit_code != 1 || !strstr(result.err, part) || program_lines(result.err) != 1)
        fail_msg("exit code %d, errors '%s'", result.exit_code, result.err);
    program_result_free(&result);
}

static void assert_prints(struct program_result result, const char *part, bool does)
{
    if (result.exit_code != 0 || (strstr(result.out, part) != NULL) != does)
        fail_msg("exit code %d, errors '%s', printed '%s' (%s: '%s')", result.exit_code, result.err,
                 result.out, does ? "expected" : "not expected", part);
    program_result_free(&result);
}

static int begin(void **state)
{
    (void)state;
    directory = temp_dir_create();
    run_steps_write(directory, RUN_TABLE, N_STEPS);
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

static void nothing_lossy_is_written_without_the_option(void **state)
{
    (void)state;
    assert_refuses(RUN("compress", "run/step-1.safetensors", "-p", SPEC, "-o", "x.mth"), "--lossy");
    assert_refuses(
        RUN("compress", "run/step-2.safetensors", "-b", "run/step-1.safetensors", "-p", SPEC, "-o", "x.mth"),
        "--lossy");
    assert_refuses(RUN("compress", "--estimate", "run/step-1.safetensors", "-p", SPEC), "--lossy");
    assert_refuses(RUN("chain", "add", "x", "run", "-p", SPEC), "--lossy");
    assert_refuses(RUN("chain", "compare", "run", "-p", SPEC), "--lossy");
    assert_refuses(RUN("bench", "run/step-1.safetensors", "-p", SPEC, "--rounds", "1"), "--lossy");
    assert_int_equal(temp_dir_count(directory, "x.mth"), 0);
    assert_int_equal(temp_dir_count(directory, "x"), 0);
}

static void a_lossy_container_says_so_everywhere(void **state)
{
    (void)state;
    const char *const file = "run/step-1.safetensors";
    assert_prints(RUN("compress", file, "-p", SPEC, "--lossy", "-o", "a.mth"), "LOSSY", true);
    assert_prints(RUN("compress", file, "-p", SPEC, "--lossy", "-o", "b.mth", "-q", "--json", "-"),
                  "\"mean_row_l2_error\"", true);
    assert_true(temp_dir_same(directory, "a.mth", "b.mth"));
    assert_prints(RUN("info", "a.mth"), "LOSSY", true);
    assert_prints(RUN("verify", "a.mth"), "LOSSY", true);
    assert_prints(RUN("verify", "a.mth"), "the original", false);
    assert_prints(RUN("decompress", "a.mth", "-o", "a1"), "LOSSY", true);
    assert_prints(RUN("decompress", "a.mth", "-o", "a2", "-t", "2", "--json", "-"), "\"lossy\":true", true);
    assert_true(temp_dir_same(directory, "a1", "a2"));
    assert_false(temp_dir_same(directory, "a1", file));
    /* What it restores to is as good as any file: kept bit for bit from then on. */
    assert_prints(RUN("compress", "a1", "-o", "c.mth", "--lossy"), "LOSSY", false);
    assert_prints(RUN("verify", "c.mth"), "the original", true);
    assert_prints(RUN("decompress", "c.mth", "-o", "a3", "--json", "-"), "\"lossy\":false", true);
    assert_true(temp_dir_same(directory, "a1", "a3"));
}

static void lossy_steps_stay_what_they_restore_to(void **state)
{
    (void)state;
    const char *const before[] = {"r1", "r2", "r3", "r4"}, *const after[] = {"s1", "s2", "s3", "s4"};
    const char *const steps[] = {"1", "2", "3", "4"};
    assert_prints(RUN("chain", "add", "c", "run", "-p", SPEC, "--policy", "consecutive", "--lossy"), "LOSSY",
                  true);
    assert_refuses(RUN("chain", "add", "c", "run"), "--lossy");
    assert_prints(RUN("chain", "add", "c", "run", "--lossy"), "is there already, the same bytes", true);
    assert_prints(RUN("chain", "list", "c"), "LOSSY", true);
    assert_prints(RUN("chain", "list", "c", "--json", "-"), "\"max_abs_error\"", true);
    assert_prints(RUN("chain", "verify", "c"), "LOSSY", true);
    for (size_t i = 0; i < N_STEPS; i++)
        assert_prints(RUN("chain", "restore", "c", "--step", steps[i], "-o", before[i]), "LOSSY", true);
    /* Against a base as alone: a row's values follow from the row. */
    assert_prints(RUN("compress", "run/step-4.safetensors", "-p", SPEC, "--lossy", "-o", "alone.mth"),
                  "LOSSY", true);
    assert_prints(RUN("decompress", "alone.mth", "-o", "alone"), "LOSSY", true);
    assert_true(temp_dir_same(directory, "alone", "r4"));
    /* Their bases go, and they are coded again. */
    assert_prints(RUN("chain", "drop", "c", "--keep", "step:2,step:4"), "2 coded again", true);
    assert_prints(RUN("chain", "verify", "c"), "LOSSY", true);
    for (size_t i = 1; i < N_STEPS; i += 2) {
        assert_prints(RUN("chain", "restore", "c", "--step", steps[i], "-o", after[i]), "LOSSY", true);
        assert_true(temp_dir_same(directory, before[i], after[i]));
    }
    /* Lossless from here on, and still so. */
    assert_prints(RUN("chain", "add", "c", "run/step-3.safetensors", "-p", "balanced"), "LOSSY", false);
    assert_prints(RUN("chain", "restore", "c", "--step", "3", "-o", "r3", "-f"), "LOSSY", false);
    assert_true(temp_dir_same(directory, "r3", "run/step-3.safetensors"));
}

/* In every form that a report has; a page only where something draws its figures. */
static void assert_reported(const char *rows)
{
    static const char *const names[] = {"r.md", "r.csv", "r.tex", "r.html"};
    const size_t n_names = program_is_installed("gnuplot") ? 4 : 3;
    size_t n;
    assert_prints(RUN("report", rows, "--markdown", "r.md", "--csv", "r.csv", "--latex", "r.tex",
                      n_names > 3 ? "--html" : NULL, "r.html"),
                  "wrote", true);
    bool cells = strcmp(rows, "cells.jsonl") == 0;
    for (size_t i = 0; i < (cells ? n_names : 1); i++) {
        char *text = temp_dir_read(directory, names[i], &n);
        if (!text || !strstr(text, "LOSSY"))
            fail_msg("%s of %s says nothing of loss", names[i], rows);
        free(text);
    }
}

static void what_is_lossy_has_its_error_in_rows_and_no_verdict(void **state)
{
    (void)state;
    size_t n;
    assert_prints(RUN("chain", "compare", "run", "--policy", "consecutive", "-p", SPEC, "--lossy", "--json",
                      "chain.jsonl"),
                  "LOSSY", true);
    char *rows = temp_dir_read(directory, "chain.jsonl", &n);
    assert_true(rows && strstr(rows, "\"mean_abs_error\"") && strstr(rows, "\"verified\":true"));
    free(rows);
    assert_reported("chain.jsonl");
    assert_prints(RUN("bench", "run/step-1.safetensors", "-p", SPEC, "--lossy", "--rounds", "1", "--cache",
                      "1MiB", "--json", "cells.jsonl", "-q"),
                  "LOSSY", true);
    rows = temp_dir_read(directory, "cells.jsonl", &n);
    assert_true(rows && strstr(rows, "\"lossy\"]") && strstr(rows, "\"max_abs_error\""));
    assert_null(strstr(rows, "\"result\":\"PASS\""));
    free(rows);
    assert_reported("cells.jsonl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_lossy_is_written_without_the_option),
        cmocka_unit_test(a_lossy_container_says_so_everywhere),
        cmocka_unit_test(lossy_steps_stay_what_they_restore_to),
        cmocka_unit_test(what_is_lossy_has_its_error_in_rows_and_no_verdict),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
