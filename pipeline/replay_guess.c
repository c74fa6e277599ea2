/*
 * What a step of Adam was made with, where neither file has param groups; see replay.h.
 *
 * The gradient is what m tells for a beta1; beta2 is what v tells then, and both fit or they do not. What weights moved by is a share
 * of themselves and a share of m over the root of v, by least squares: the decay and the rate, to some five digits. Those whom people choose have
 * few, so rounded ones are tried, and of all that were tried what gives most weights just as they are is taken.
 */
#include "pipeline/replay.h"

#include "transforms/predictors/float_bits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Parameters that fit nothing, in a row or not, until no more are tried. */
enum { MAX_FAILED = 16 };

static const double betas1[] = {0.9, 0.95, 0.8, 0.85, 0.98, 0.99, 0.92, 0.88, 0.5, 0.7, 0.6};
static const double epsilons[] = {1e-8, 1e-15, 1e-6, 1e-5, 1e-7, 1e-10, 1e-12, 1e-16, 1e-20, 1e-4};

static uint32_t setting(double value)
{
    return mth_bits_of((float)value);
}

static double at(const uint32_t *sample, size_t i)
{
    return (double)mth_float_of(sample[i]);
}

static int compare_doubles(const void *left, const void *right)
{
    double a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static double rounded(double value, int digits)
{
    double unit = pow(10, digits - ceil(log10(fabs(value))));
    return value == 0 || !isfinite(unit) ? value : round(value * unit) / unit;
}

/* ---- betas ---- */

static size_t fit_squares(const struct mth_replay_parameter *p, double beta1, double beta2)
{
    struct mth_recipe v = {.of = MTH_KEPT_V,
                           .predictor = MTH_PREDICT_ADAM_V,
                           .n_inputs = 3,
                           .inputs = {{false, MTH_KEPT_V}, {false, MTH_KEPT_M}, {true, MTH_KEPT_M}},
                           .settings = {setting(1 - beta1), setting(beta2), setting(1 - beta2), 0}};
    return mth_recipe_fit(p, &v);
}

/* What squares say of beta2, given beta1: the median of what elements say. NAN: nothing. */
static double estimate_beta2(const struct mth_replay_parameter *p, double beta1)
{
    double said[MTH_REPLAY_SAMPLE];
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        double g = (at(p->after[MTH_KEPT_M], i) - beta1 * at(p->before[MTH_KEPT_M], i)) / (1 - beta1);
        double beta2 = (at(p->after[MTH_KEPT_V], i) - g * g) / (at(p->before[MTH_KEPT_V], i) - g * g);
        if (isfinite(beta2))
            said[n++] = beta2;
    }
    qsort(said, n, sizeof *said, compare_doubles);
    return n ? said[n / 2] : NAN;
}

static bool find_betas(const struct mth_replay_parameter *p, struct mth_optimizer_group *group)
{
    enum { MAX_DECIMALS = 6 };
    size_t most = 0;
    for (size_t i = 0; i < sizeof betas1 / sizeof betas1[0]; i++) {
        double beta2 = estimate_beta2(p, betas1[i]), unit = 10;
        if (!(beta2 > 0 && beta2 < 1))
            continue;
        for (int decimals = 1; decimals <= MAX_DECIMALS; decimals++) {
            double tried = round(beta2 * unit) / unit;
            unit *= 10;
            size_t n = tried > 0 && tried < 1 ? fit_squares(p, betas1[i], tried) : 0;
            if (n > most) {
                most = n;
                group->beta1 = betas1[i];
                group->beta2 = tried;
            }
        }
    }
    return most > 0;
}

/* ---- rate, decay, eps ---- */

static size_t fit_weights(const struct mth_replay_parameter *p, const struct mth_optimizer_group *group)
{
    bool has_largest = p->regions[MTH_KEPT_MAX] != MTH_NO_REGION;
    struct mth_recipe w = {
        .of = MTH_KEPT_W,
        .predictor = MTH_PREDICT_ADAM_W,
        .n_inputs = 3,
        .inputs = {{false, MTH_KEPT_W}, {true, MTH_KEPT_M}, {true, has_largest ? MTH_KEPT_MAX : MTH_KEPT_V}},
        .settings = {setting(1 - group->lr * group->weight_decay),
                     setting(-(group->lr / (1 - pow(group->beta1, p->step)))),
                     setting(sqrt(1 - pow(group->beta2, p->step))), setting(group->eps)}};
    return mth_recipe_fit(p, &w);
}

/* The shares of weights, and of what Adam moves them by, in what they moved by, each weight as sure as it is small; and the squares of
 * what is left. */
static bool fit_shares(const struct mth_replay_parameter *p, const struct mth_optimizer_group *group,
                       double *of_weights, double *of_moves, double *left)
{
    const uint32_t *v =
        p->regions[MTH_KEPT_MAX] != MTH_NO_REGION ? p->after[MTH_KEPT_MAX] : p->after[MTH_KEPT_V];
    double bias = sqrt(1 - pow(group->beta2, p->step)), xx = 0, xy = 0, yy = 0, xz = 0, yz = 0, zz = 0;
    for (size_t i = 0; i < p->n; i++) {
        double w = at(p->before[MTH_KEPT_W], i), sure = 1 / (w * w);
        double move = at(p->after[MTH_KEPT_M], i) / (sqrt(at(v, i)) / bias + group->eps);
        double moved = w - at(p->after[MTH_KEPT_W], i);
        if (!isfinite(sure) || !isfinite(move) || !isfinite(moved))
            continue;
        xx += sure * w * w;
        xy += sure * w * move;
        yy += sure * move * move;
        xz += sure * w * moved;
        yz += sure * move * moved;
        zz += sure * moved * moved;
    }
    double determinant = xx * yy - xy * xy;
    *of_weights = (xz * yy - yz * xy) / determinant;
    *of_moves = (yz * xx - xz * xy) / determinant;
    *left = zz - *of_weights * xz - *of_moves * yz;
    return isfinite(*of_weights) && isfinite(*of_moves) && *of_moves > 0;
}

static void keep_better(const struct mth_replay_parameter *p, const struct mth_optimizer_group *tried,
                        size_t *most, struct mth_optimizer_group *best)
{
    size_t n = fit_weights(p, tried);
    if (n > *most) {
        *most = n;
        *best = *tried;
    }
}

/* A rate with a decay, each as found and with few digits. */
static void try_rate(const struct mth_replay_parameter *p, struct mth_optimizer_group tried, double lr,
                     double decayed, size_t *most, struct mth_optimizer_group *best)
{
    enum { MAX_DIGITS = 3 };
    tried.lr = lr;
    tried.weight_decay = 0;
    keep_better(p, &tried, most, best);
    for (int digits = 1; digits <= MAX_DIGITS; digits++) {
        tried.weight_decay = rounded(decayed / lr, digits);
        keep_better(p, &tried, most, best);
    }
    tried.weight_decay = decayed / lr;
    keep_better(p, &tried, most, best);
}

/* Rates next to the one that is known, as long as they are better. */
static void refine(const struct mth_replay_parameter *p, size_t *most, struct mth_optimizer_group *best)
{
    enum { FIRST_LOG2 = 13, LAST_LOG2 = 24, MAX_TRIES = 8 };
    for (int log2 = FIRST_LOG2; log2 <= LAST_LOG2; log2++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            size_t before = *most - 1;
            for (int i = 0; i<MAX_TRIES && * most> before; i++) {
                struct mth_optimizer_group tried = *best;
                double factor = 1 + sign * ldexp(1, -log2);
                before = *most;
                tried.lr *= factor;
                tried.weight_decay /= factor;
                keep_better(p, &tried, most, best);
            }
        }
    }
}

static size_t find_rate(const struct mth_replay_parameter *p, struct mth_optimizer_group *group)
{
    enum { MAX_DIGITS = 5 };
    struct mth_optimizer_group tried = *group, best = *group;
    size_t most = 0;
    for (size_t i = 0; i < sizeof epsilons / sizeof epsilons[0]; i++) {
        double of_weights, of_moves, left;
        tried.eps = epsilons[i];
        if (!fit_shares(p, &tried, &of_weights, &of_moves, &left))
            continue;
        double lr = of_moves * (1 - pow(tried.beta1, p->step));
        for (int digits = 1; digits <= MAX_DIGITS; digits++)
            try_rate(p, tried, rounded(lr, digits), of_weights, &most, &best);
        try_rate(p, tried, lr, of_weights, &most, &best);
    }
    if (most && most <= p->n)
        refine(p, &most, &best);
    *group = best;
    return most;
}

/* ---- the step's number, where it is not kept ---- */

/* What is left with a step and the eps that is best with it. */
static double left_with(struct mth_replay_parameter *p, struct mth_optimizer_group tried, double step)
{
    double least = INFINITY;
    p->step = step;
    for (size_t i = 0; i < sizeof epsilons / sizeof epsilons[0]; i++) {
        double of_weights, of_moves, left;
        tried.eps = epsilons[i];
        if (fit_shares(p, &tried, &of_weights, &of_moves, &left))
            least = fmin(least, left);
    }
    return least;
}

/* It matters as long as averages have not forgotten how they began: on a grid first, then nearer and nearer. */
static void find_step(struct mth_replay_parameter *p, const struct mth_optimizer_group *group)
{
    enum { LATEST = 1 << 20 };
    long best = 1;
    double least = INFINITY;
    for (long step = 1; step < LATEST; step += (3 * step + 49) / 50) {
        double left = left_with(p, *group, (double)step);
        if (left < least) {
            least = left;
            best = step;
        }
    }
    for (long apart = (3 * best + 99) / 100; apart >= 1; apart /= 2) {
        for (int sign = -1; sign <= 1; sign += 2) {
            long step = best + sign * apart;
            double left = step < 1 ? INFINITY : left_with(p, *group, (double)step);
            while (left < least) {
                least = left;
                best = step;
                step += sign * apart;
                left = step < 1 ? INFINITY : left_with(p, *group, (double)step);
            }
        }
    }
    p->step = (double)best;
}

/* ---- all of it ---- */

/* One of those that others had, where most weights come out just as they are. */
static bool try_known(struct mth_replay_parameter *p, const struct mth_replay_guesses *guesses)
{
    for (size_t i = guesses->n; i-- > 0;) {
        const struct mth_optimizer_group *group = &guesses->of[i];
        if (guesses->steps[i] != 0)
            p->step = guesses->steps[i];
        if (fit_weights(p, group) > p->n - p->n / 8 && fit_squares(p, group->beta1, group->beta2)) {
            p->group = group;
            return true;
        }
    }
    return false;
}

bool mth_replay_guess(struct mth_replay_parameter *p, struct mth_replay_guesses *guesses)
{
    struct mth_optimizer_group group = {
        .kind = MTH_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    if (p->regions[MTH_KEPT_W] == MTH_NO_REGION || p->regions[MTH_KEPT_M] == MTH_NO_REGION ||
        p->regions[MTH_KEPT_V] == MTH_NO_REGION)
        return false;
    bool tells_step = p->step != 0;
    if (!tells_step)
        p->n_steps = p->step = 1;
    if (p->n_steps < 1)
        return false;
    if (p->n_steps == 1) {
        if (try_known(p, guesses))
            return true;
        /* Where weights do not come out, moments may. */
        if (guesses->n_failed == MAX_FAILED)
            return false;
        if (!find_betas(p, &group)) {
            guesses->n_failed++;
            return false;
        }
        if (!tells_step)
            find_step(p, &group);
        find_rate(p, &group);
    } else if (guesses->n) {
        p->group = &guesses->of[guesses->n - 1];
        return true;
    }
    if (guesses->n == MTH_MAX_GUESSES)
        guesses->n--;
    guesses->of[guesses->n] = group;
    guesses->steps[guesses->n] = tells_step ? 0 : p->step;
    p->group = &guesses->of[guesses->n++];
    return true;
}
