/*
 * Laws of an exploration as a whole: specs put together from classes, what is measured in full, and a winner that is written, taken
 * by --pipeline, and restores. No law depends on how fast anything is.
 */
#include "harness/explore.h"
#include "harness/explore_sample.h"
#include "harness/json.h"
#include "tests/support/made_checkpoint.h"
#include "tests/support/program.h"
#include "tests/support/run_steps.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY "datasets/tiny-gpt/pretrain/pretrain-step-002000.safetensors"
/* ---- specs for whole checkpoints ---- */

static void give(struct mth_explore_class *at, const char *guard, enum mth_dtype dtype,
                 const char *const *specs, const double (*costs)[MTH_N_COSTS], size_t n)
{
    *at = (struct mth_explore_class){.dtype = dtype, .n_bytes = 1000, .n_levels = 1};
    snprintf(at->guard, sizeof at->guard, "%s", guard);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(mth_spec_pool_add(&at->pool, specs[i], NULL), 0);
        at->front[i] =
            (struct mth_explore_found){.spec = i, .cost = {{costs[i][0], costs[i][1], costs[i][2]}}};
    }
    at->n_front = n;
}

static void joined_specs_parse_add_up_and_restore(void **state)
{
    (void)state;
    static const char *const specs[] = {"store@1", "exponent-split@1+rans@1:aim=speed/store@1"},
                             *const wide[] = {"store@1",
                                              "byte-group@1:width=0+zstd@1:level=1:long=0:prefix=no"};
    static const double costs[2][MTH_N_COSTS] = {{1000, 1, 1}, {600, 10, 20}};
    struct mth_exploration exploration = {.n_classes = 4};
    struct mth_error err;
    assert_int_equal(mth_preference_parse("ratio", &exploration.preference, &err), 0);
    give(&exploration.classes[0], "bf16.matrix", MTH_DTYPE_BF16, specs, costs, 2);
    give(&exploration.classes[1], "bf16.vector", MTH_DTYPE_BF16, specs, costs, 2);
    give(&exploration.classes[2], "f32.other", MTH_DTYPE_F32, wide, costs, 2);
    give(&exploration.classes[3], "i64.other", MTH_DTYPE_I64, wide, costs, 0); /* nothing was found for it */
    assert_int_equal(mth_explore_join(&exploration), 0);
    /* Alike points add up alike: 4 sums differ, of 8; and what ratio would take once more. */
    bool together = false, apart = false;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 0);
    struct made *input = made_checkpoint();
    for (size_t i = 0; i < exploration.n_picks; i++) {
        const struct mth_explore_pick *pick = &exploration.picks[i];
        struct made_frame frame = made_encode(coder, pick->spec, input, NULL);
        made_assert_restores(coder, frame, input, NULL);
        free(frame.data);
        together |= strcmp(pick->spec, "bf16=exponent-split+rans/store,f32=byte-group+zstd:level=1") == 0;
        apart |= strncmp(pick->spec, "bf16.matrix=store,bf16.vector=exponent-split+rans/store", 55) == 0 ||
                 strncmp(pick->spec, "bf16.matrix=exponent-split+rans/store,bf16.vector=store", 55) == 0;
        double coded = (3000 - pick->cost.of[0]) / 400;
        assert_true(pick->cost.of[1] == 3 + 9 * coded);
        assert_true(pick->cost.of[2] == 3 + 19 * coded);
    }
    assert_true(together && apart);
    assert_true(exploration.picks[exploration.n_picks - 1].relates);
    assert_string_equal(exploration.picks[exploration.n_picks - 1].spec,
                        "bf16=exponent-split+rans/store,f32=byte-group+zstd:level=1,related");
    made_free(input);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
    mth_exploration_free(&exploration);
}

static void what_is_measured_in_full_fits_the_time(void **state)
{
    (void)state;
    struct mth_exploration exploration = {0};
    struct mth_error err;
    size_t chosen[MTH_EXPLORE_CELLS], n;
    assert_int_equal(mth_preference_parse("balanced", &exploration.preference, &err), 0);
    for (size_t i = 0; i < 40; i++) {
        const struct mth_cost cost = {{600 - 4 * (double)i, 10 + (double)(i * i), 10 + (double)(i * i)}};
        char spec[32];
        snprintf(spec, sizeof spec, "zstd:level=%zu", i);
        assert_int_equal(mth_explore_add_pick(&exploration, spec, &cost, i % 4 == 3), 0);
    }
    for (double limit = 0; limit < 1e5; limit = 3 * limit + 50) {
        double spent = 0;
        bool preset = false;
        assert_int_equal(mth_explore_choose(&exploration, 1000, 5, 7, limit, chosen, &n, &err), 0);
        for (size_t i = 0; i < n; i++) {
            const struct mth_explore_pick *pick = &exploration.picks[chosen[i]];
            spent += 7 + 5 * (pick->cost.of[1] + pick->cost.of[2]);
            preset |= pick->is_preset;
            for (size_t j = 0; j < i; j++)
                assert_int_not_equal(chosen[i], chosen[j]);
        }
        assert_true(spent <= limit);
        assert_true(n <= MTH_EXPLORE_CELLS);
        assert_true(limit < 5000 || (n > 4 && preset));
    }
    mth_exploration_free(&exploration);
}

/* ---- samples ---- */

/* What a spec takes on a sample of all of step 3 against step 2, and against step 1 too, if that is older. */
static double bytes_of_sample(const struct mth_loaded steps[3], bool has_older, const char *spec)
{
    struct mth_explore_source source;
    struct mth_explore_sample sample;
    struct mth_cost cost;
    struct mth_error err;
    assert_int_equal(mth_explore_source_open(&source, &steps[2], &steps[1], has_older ? &steps[0] : NULL), 0);
    assert_int_equal(mth_explore_sample_make(&sample, &source, MTH_DTYPE_OPAQUE, MTH_N_CLASSES, 1 << 20, 1),
                     0);
    assert_true(sample.has_base && sample.has_older == has_older);
    assert_true(sample.n_older_bytes == (has_older ? sample.n_base_bytes : 0));
    if (mth_explore_sample_measure(&sample, spec, 1, 256 << 20, &cost, &err))
        fail_msg("%s: %s", spec, err.text);
    mth_explore_sample_free(&sample);
    mth_explore_source_close(&source);
    return cost.of[MTH_COST_BYTES];
}

/* All that moved since the older one goes back: that it does is not stored. */
static void samples_have_the_older_base_too(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), path[256];
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_loaded steps[3];
    struct mth_error err;
    run_steps_write(directory, RUN_LAYERS, 2);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/run/step-%d.safetensors", directory, i == 1 ? 2 : 1);
        assert_int_equal(mth_loaded_open(path, MTH_N_DTYPES, memory, &steps[i], &err), 0);
    }
    assert_true(bytes_of_sample(steps, true, "ulp-rans") < bytes_of_sample(steps, false, "ulp-rans"));
    assert_true(bytes_of_sample(steps, true, "seed") == bytes_of_sample(steps, false, "seed"));
    for (size_t i = 0; i < 3; i++)
        mth_loaded_close(&steps[i]);
    mth_memory_destroy(memory);
    temp_dir_destroy(directory);
}

/* ---- the command ---- */

#define RUN(directory, ...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static const char *string_of(const struct mth_json_node *row, const char *key)
{
    struct mth_error err;
    const char *text = NULL;
    assert_int_equal(mth_json_get_string(row, key, MTH_JSON_OPTIONAL, &text, &err), 0);
    return text ? text : "";
}

struct found_rows {
    char winner_row[32], winner[4096], cell_spec[4096];
    bool verified;
    size_t n_front, n_cells;
};

static void look_at_row(const struct mth_json_node *row, struct found_rows *found, bool second)
{
    struct mth_error err;
    struct mth_json_node array;
    if (!second && strcmp(string_of(row, "kind"), "explore") == 0) {
        snprintf(found->winner_row, sizeof found->winner_row, "%s", string_of(row, "winner_row"));
        snprintf(found->winner, sizeof found->winner, "%s", string_of(row, "winner"));
        assert_int_equal(mth_json_get_array(row, "front", MTH_JSON_REQUIRED, &array, &found->n_front, &err),
                         0);
    }
    found->n_cells += !second && strcmp(string_of(row, "kind"), "cell") == 0;
    assert_string_not_equal(string_of(row, "kind"), "verdict");
    if (second && strcmp(string_of(row, "row_id"), found->winner_row) == 0) {
        snprintf(found->cell_spec, sizeof found->cell_spec, "%s", string_of(row, "spec"));
        assert_int_equal(mth_json_get_bool(row, "verified", MTH_JSON_REQUIRED, &found->verified, &err), 0);
    }
}

static void look_at_rows(const char *rows, struct found_rows *found)
{
    for (int second = 0; second < 2; second++) {
        for (const char *line = rows; *line; line = strchr(line, '\n') + 1) {
            struct mth_json *json;
            struct mth_error err;
            if (mth_json_parse("rows", line, strcspn(line, "\n"), &json, &err))
                fail_msg("%s", err.text);
            struct mth_json_node root = mth_json_root(json, "rows");
            look_at_row(&root, found, second);
            mth_json_free(json);
        }
    }
}

/* The winner is on the front of rows that report shows, and what -o wrote compresses and restores. */
static void the_winner_is_a_spec_that_compresses(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), winner[4200], rows[4200], packed[4200], back[4200];
    snprintf(winner, sizeof winner, "%s/winner", directory);
    snprintf(rows, sizeof rows, "%s/rows.jsonl", directory);
    snprintf(packed, sizeof packed, "%s/packed.mth", directory);
    snprintf(back, sizeof back, "%s/back", directory);
    struct program_result result = {.exit_code = 4};
    /* A machine that is busy with something else needs more. */
    for (const char *const *budget = (const char *const[]){"3s", "60s", NULL};
         *budget && result.exit_code == 4; budget++) {
        if (result.out)
            program_result_free(&result);
        result = RUN(NULL, "explore", TINY, "--budget", *budget, "--cache", "64KiB", "-o", winner, "--json",
                     rows, "-f");
    }
    if (result.exit_code)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    assert_non_null(strstr(result.out, "bf16.matrix"));
    char *spec = temp_dir_read(directory, "winner", NULL),
         *text = temp_dir_read(directory, "rows.jsonl", NULL);
    assert_true(spec && text);
    assert_int_equal(program_lines(spec), 1);
    spec[strcspn(spec, "\n")] = '\0';
    struct found_rows found = {.n_front = 0};
    look_at_rows(text, &found);
    assert_string_equal(found.winner, spec);
    assert_string_equal(found.cell_spec, spec);
    assert_true(found.verified && found.n_front > 0 && found.n_cells >= 2 * found.n_front);
    program_result_free(&result);
    result = RUN(NULL, "report", rows);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, spec));
    program_result_free(&result);
    /* Rows on standard output stand there alone; the winner alone with -q. */
    result = RUN(NULL, "explore", TINY, "--cache", "64KiB", "--json", "-", "--budget", "3s", "-q");
    assert_true(result.exit_code == 4 || (result.out[0] == '{' && program_lines(result.err) == 1));
    look_at_rows(result.out, &found);
    program_result_free(&result);
    result = RUN(NULL, "compress", TINY, "-p", spec, "-o", packed, "-q");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    result = RUN(NULL, "decompress", packed, "-o", back, "-q");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    size_t n, n_back;
    char *restored = temp_dir_read(directory, "back", &n_back), *original = temp_dir_read(".", TINY, &n);
    assert_true(restored && original && n == n_back && memcmp(restored, original, n) == 0);
    free(restored);
    free(original);
    free(spec);
    free(text);
    temp_dir_destroy(directory);
}

static void bad_input_is_one_line(void **state)
{
    (void)state;
    char *directory = temp_dir_create();
    temp_dir_write(directory, "bytes", "not a checkpoint", 16);
    temp_dir_write(directory, "there", "x", 1);
    static const char tiny[] = "tiny.safetensors";
    size_t n_tiny;
    char *bytes = temp_dir_read(".", TINY, &n_tiny);
    assert_non_null(bytes);
    temp_dir_write(directory, tiny, bytes, n_tiny);
    free(bytes);
    const struct {
        const char *arguments[8];
        int exit_code;
    } cases[] = {
        {{"explore", tiny, "--budget", "0.001s"}, 4},
        {{"explore", tiny, "--budget", "0"}, 1},
        {{"explore", tiny, "--budget", "5x"}, 1},
        {{"explore", tiny, "--budget", "-5s"}, 1},
        {{"explore", tiny, "--prefer", "best"}, 1},
        {{"explore", tiny, "-o", "there"}, 1},
        {{"explore", tiny, "--rounds", "3"}, 1},
        {{"explore", "nothing"}, 6},
        {{"explore"}, 1},
        {{"explore", "."}, 6},
        {{"explore", "bytes"}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program_result result = program_run(directory, cases[i].arguments);
        if (result.exit_code != cases[i].exit_code || program_lines(result.err) != 1)
            fail_msg("case %zu: exit %d: %s", i, result.exit_code, result.err);
        program_result_free(&result);
    }
    temp_dir_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joined_specs_parse_add_up_and_restore),
        cmocka_unit_test(what_is_measured_in_full_fits_the_time),
        cmocka_unit_test(samples_have_the_older_base_too),
        cmocka_unit_test(the_winner_is_a_spec_that_compresses),
        cmocka_unit_test(bad_input_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
