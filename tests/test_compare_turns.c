/*
 * Laws of `mithril compare --run` from start to exit code, by programs whose times are made up: who takes turns with whom, which of
 * their samples count, and what the shell is told. This program is those programs, too: called by the name `old`, `slower`,
 * `noisy` or `same` it is a bench that takes turns. No law depends on how fast anything is.
 */
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LOG "MTH_TEST_LOG"

enum { ROUNDS = 4, N_ARMS = 3 };

static const char *this_program;

/* ---- the programs ---- */

static void wait_for_turn(const char *next)
{
    char line[16];
    printf("paced %s\n", next);
    if (fflush(stdout) != 0 || !fgets(line, sizeof line, stdin))
        exit(9);
}

static void note(char letter)
{
    const char *path = getenv(LOG);
    FILE *log = path ? fopen(path, "a") : NULL;
    if (path && (!log || fputc(letter, log) == EOF || fclose(log) != 0))
        exit(9);
}

static void put_samples(const char *key, const double samples[ROUNDS])
{
    printf(",\"%s\":[%.17g,%.17g,%.17g,%.17g]", key, samples[0], samples[1], samples[2], samples[3]);
}

/*
 * A cell. What a slower program is slower in is the processor time of its faster half alone: by the wall clock it is faster, and so
 * it is in its slower samples.
 */
static void put_rows(const char *name, unsigned long seed)
{
    static const char *const phases[] = {"compress", "decompress"};
    double factor = strcmp(name, "slower") == 0  ? 1.05
                    : strcmp(name, "noisy") != 0 ? 1
                                                 : exp(1.6 * ((double)(seed >> 8 & 1023) / 1023 - 0.5));
    double jitter = 1 + 0.001 * (double)(seed % 7); /* a block is not like another */
    bool slower = factor > 1.01 && factor < 1.1;
    const double wall[ROUNDS] = {slower ? 500 : 1000, 1000, 1000, 1000};
    const double cpu[ROUNDS] = {slower ? 8000 : 9000, 1000 * jitter * factor, 1002 * jitter * factor,
                                slower ? 7000 : 9500};
    printf("{\"kind\":\"env\",\"schema\":1,\"env_id\":\"e\",\"cpu_model\":\"one\"}\n");
    for (size_t p = 0; p < 2; p++) {
        printf("{\"schema\":1,\"kind\":\"cell\",\"row_id\":\"r-%zu\",\"env_id\":\"e\",\"dataset\":\"d\","
               "\"spec\":\"s\","
               "\"phase\":\"%s\",\"threads\":1,\"raw_bytes\":1000,\"stored_bytes\":500,\"ratio\":2,\"median_"
               "ns\":1000,"
               "\"ci_lo_ns\":990,\"ci_hi_ns\":1010,\"verified\":true",
               p, phases[p]);
        put_samples("samples_ns", wall);
        put_samples("cpu_samples_ns", cpu);
        printf("}\n");
    }
}

static int be_bench(const char *name, int argc, char **argv)
{
    unsigned long seed = 0;
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoul(argv[i + 1], NULL, 10);
    }
    wait_for_turn("case");
    for (size_t round = 0; round < ROUNDS; round++) {
        wait_for_turn("round");
        wait_for_turn("sample");
        note(name[0]);
    }
    wait_for_turn("rows");
    put_rows(name, seed);
    return 0;
}

/* ---- comparing them ---- */

/* old beside new, in a directory where both lie; each 128 times, which the time suffices for. */
static struct program_result compare(const char *directory, const char *new_name, const char *margins)
{
    char paths[2][4096], file[4096];
    const char *const names[] = {"old", new_name};
    const char *arguments[20] = {"compare",   "--run", paths[0], paths[1], "-q",
                                 "--seconds", "500",   "--json", "-"};
    size_t n = 9;
    for (size_t i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", directory, names[i]);
        assert_true(symlink(this_program, paths[i]) == 0 || access(paths[i], X_OK) == 0);
    }
    if (margins) {
        temp_dir_write(directory, "margins.json", margins, strlen(margins));
        snprintf(file, sizeof file, "%s/margins.json", directory);
        arguments[n++] = "--margins";
        arguments[n++] = file;
    }
    arguments[n++] = "--";
    arguments[n++] = "d";
    return program_run(NULL, arguments);
}

static void expect(const char *directory, const char *new_name, const char *margins, int exit_code,
                   const char *says)
{
    struct program_result result = compare(directory, new_name, margins);
    if (result.exit_code != exit_code || !strstr(result.out, says))
        fail_msg("%s: exit %d, not %d with '%s':\n%.600s%s", new_name, result.exit_code, exit_code, says,
                 result.out, result.err);
    program_result_free(&result);
}

static void the_shell_is_told_what_became_of_processor_times(void **state)
{
    char *directory = temp_dir_create();
    (void)state;
    expect(directory, "slower", NULL, 3, "2 phases became slower");
    expect(directory, "noisy", NULL, 4, "can not be told from noise");
    /* What a cell may lose is the user's to say. */
    expect(directory, "slower",
           "{\"schema\":1,\"margins\":[{\"dataset\":\"d\",\"spec\":\"s*\",\"speed_pct\":10}]}", 0,
           "\"result\":\"OK\"");
    temp_dir_destroy(directory);
}

static void programs_take_turns_in_any_order_and_backwards_every_other_round(void **state)
{
    enum { BLOCK = ROUNDS * N_ARMS };
    char *directory = temp_dir_create(), log[4096];
    size_t n, n_at[N_ARMS] = {0};
    (void)state;
    snprintf(log, sizeof log, "%s/log", directory);
    assert_int_equal(setenv(LOG, log, 1), 0);
    expect(directory, "same", NULL, 0, "\"n_blocks\":128");
    unsetenv(LOG);
    char *letters = temp_dir_read(directory, "log", &n);
    assert_non_null(letters);
    assert_int_equal(n, 129 * BLOCK); /* the first tells sizes alone */
    for (size_t b = 0; b < n; b += BLOCK) {
        for (size_t r = 0; r < ROUNDS; r++) {
            const char *round = letters + b + r * N_ARMS, *first = letters + b;
            size_t n_new = 0;
            for (size_t i = 0; i < N_ARMS; i++) {
                n_new += round[i] == 's';
                assert_int_equal(round[i], first[r % 2 ? N_ARMS - 1 - i : i]);
            }
            assert_int_equal(n_new, 1); /* old, old again, new */
        }
        for (size_t i = 0; i < N_ARMS; i++)
            n_at[i] += letters[b + i] == 's';
    }
    for (size_t i = 0; i < N_ARMS; i++)
        assert_in_range(n_at[i], 20, 70); /* of 129, by the seed; 43 are to be expected */
    free(letters);
    temp_dir_destroy(directory);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    if (argc > 1 && strcmp(argv[1], "bench") == 0)
        return be_bench(slash ? slash + 1 : argv[0], argc, argv);
    static char absolute[8192];
    char here[4096];
    if (!getcwd(here, sizeof here))
        return 9;
    snprintf(absolute, sizeof absolute, "%s/%s", here, argv[0]);
    this_program = argv[0][0] == '/' ? argv[0] : absolute;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shell_is_told_what_became_of_processor_times),
        cmocka_unit_test(programs_take_turns_in_any_order_and_backwards_every_other_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
