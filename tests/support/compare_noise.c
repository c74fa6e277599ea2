/* Simulated comparisons; see compare_noise.h. */
#include "tests/support/compare_noise.h"

#include "harness/compare_judge.h"
#include "harness/statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_SERIES = 16, MAX_RECORDED = 4096, LINE_BYTES = 1024 };

struct compare_noise {
    size_t n_series, n_blocks;
    double ns[MAX_RECORDED][MAX_SERIES][MTH_N_ARMS];
};

/* A block a line: the times of each arm, series by series. */
static size_t read_block(char *line, double (*block)[MTH_N_ARMS])
{
    size_t n = 0;
    for (char *at = strtok(line, "\t\n"); at && n < (size_t)MAX_SERIES * MTH_N_ARMS;
         at = strtok(NULL, "\t\n"), n++)
        block[n / MTH_N_ARMS][n % MTH_N_ARMS] = strtod(at, NULL);
    assert_int_equal(n % MTH_N_ARMS, 0);
    return n / MTH_N_ARMS;
}

struct compare_noise *compare_noise_load(const char *path)
{
    struct compare_noise *noise = calloc(1, sizeof *noise);
    char line[LINE_BYTES];
    FILE *file = fopen(path, "r");
    assert_non_null(noise);
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        assert_true(noise->n_blocks < MAX_RECORDED);
        size_t n = read_block(line, noise->ns[noise->n_blocks++]);
        assert_true(n > 0 && (noise->n_series == 0 || n == noise->n_series));
        noise->n_series = n;
    }
    fclose(file);
    assert_true(noise->n_blocks >= MTH_MAX_BLOCKS);
    return noise;
}

void compare_noise_free(struct compare_noise *noise)
{
    free(noise);
}

/* Times of a simulated comparison: of series s, arm a, in block b at ns[s][a][b]. */
struct simulated {
    double ns[MAX_SERIES][MTH_N_ARMS][MTH_MAX_BLOCKS];
};

static void draw(const struct compare_noise *noise, size_t n_blocks, double planted_pct, uint64_t *random,
                 struct simulated *out)
{
    size_t from = mth_random_below(random, noise->n_blocks), slow = mth_random_below(random, noise->n_series);
    for (size_t b = 0; b < n_blocks; b++) {
        size_t who[MTH_N_ARMS];
        mth_random_shuffle(random, who, MTH_N_ARMS);
        for (size_t s = 0; s < noise->n_series; s++) {
            for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
                out->ns[s][arm][b] = noise->ns[(from + b) % noise->n_blocks][s][who[arm]];
        }
        out->ns[slow][MTH_ARM_NEW][b] *= 1 + planted_pct / 100;
    }
}

static enum mth_speed_verdict judge(const struct compare_noise *noise, size_t n_blocks, uint64_t seed,
                                    const struct simulated *times)
{
    struct mth_speed_series series[MAX_SERIES];
    struct mth_speed_shift shifts[MAX_SERIES];
    enum mth_speed_verdict verdicts[MAX_SERIES], worst = MTH_SPEED_OK;
    for (size_t s = 0; s < noise->n_series; s++) {
        series[s] = (struct mth_speed_series){.n_blocks = n_blocks, .margin_pct = MTH_SPEED_MARGIN_PCT};
        for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
            series[s].ns[arm] = times->ns[s][arm];
    }
    assert_int_equal(mth_speed_judge(series, noise->n_series, seed, shifts, verdicts), 0);
    for (size_t s = 0; s < noise->n_series; s++) {
        if (verdicts[s] == MTH_SPEED_REGRESSED || worst == MTH_SPEED_OK)
            worst = verdicts[s];
    }
    return worst;
}

struct compare_counts compare_noise_simulate(const struct compare_noise *noise, size_t n_runs,
                                             size_t n_blocks, double planted_pct, uint64_t seed)
{
    struct compare_counts counts = {0};
    struct simulated *times = calloc(1, sizeof *times);
    assert_non_null(times);
    assert_true(n_blocks <= MTH_MAX_BLOCKS);
    for (size_t run = 0; run < n_runs; run++) {
        draw(noise, n_blocks, planted_pct, &seed, times);
        switch (judge(noise, n_blocks, run, times)) {
        case MTH_SPEED_OK:
            counts.n_ok++;
            break;
        case MTH_SPEED_REGRESSED:
            counts.n_regressed++;
            break;
        default:
            counts.n_inconclusive++;
        }
    }
    free(times);
    return counts;
}
