/* The scale of gradients of few bits: one number for all of a model; see replay.h. */
#include "pipeline/replay.h"

#include "base/cpu.h"
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"
#include "transforms/predictors/sum.h"

#include <math.h>
#include <string.h>

enum {
    N_WITNESSES = MTH_SCALE_WITNESSES,
    N_SCALES = MTH_SCALE_STEPS,
    MAX_TRIED = MTH_SCALES_TRIED,
    MAX_SEARCHES = 4 /* where none was found */
};

static float before_of(const struct mth_replay_parameter *p, enum mth_kept kept, size_t i)
{
    return mth_float_of(p->before[kept][i]);
}

/* Lerp_ of nothing but gradients, which moment16 and moment24 know. */
static bool is_plain(const struct mth_way *way)
{
    return !way->divides && way->stays == 0.0F && way->decay == 0.0F;
}

void mth_way_numbers(const struct mth_way *way, uint32_t scale, uint32_t numbers[MTH_N_DIVIDED])
{
    numbers[MTH_DIVIDED_WEIGHT] = mth_bits_of(way->weight);
    numbers[MTH_DIVIDED_STAYS] = mth_bits_of(way->stays);
    numbers[MTH_DIVIDED_DECAY] = mth_bits_of(way->decay);
    numbers[MTH_DIVIDED_SCALE] = scale;
    numbers[MTH_DIVIDED_MU] = mth_bits_of(way->mu);
    numbers[MTH_DIVIDED_RATE] = mth_bits_of(way->rate);
    numbers[MTH_DIVIDED_EPS] = mth_bits_of(way->eps);
}

/* What was added to squares, which tell its size, and divided by their root. */
static double divided_of(const struct mth_replay_parameter *p, size_t i, const struct mth_way *way)
{
    double moved =
        ((double)mth_float_of(p->after[way->of][i]) - (double)before_of(p, way->of, i) * (double)way->mu) /
        (double)way->rate;
    double square =
        (double)mth_float_of(p->after[MTH_KEPT_V][i]) - (double)(before_of(p, MTH_KEPT_V, i) * way->stays);
    return copysign(sqrt(square / (double)way->weight), moved);
}

/* As near as m1 tells: not rounded. */
static double gradient_of(const struct mth_replay_parameter *p, size_t i, const struct mth_way *way)
{
    if (way->divides)
        return divided_of(p, i, way) - (double)way->decay * (double)before_of(p, MTH_KEPT_W, i);
    float m0 = before_of(p, way->of, i);
    double m1 = (double)mth_float_of(p->after[way->of][i]);
    double added = way->stays > 0 ? (m1 - (double)(m0 * way->stays)) / (double)way->weight
                                  : (m1 - (double)m0) / (double)way->weight + (double)m0;
    return way->decay > 0 ? added - (double)way->decay * (double)before_of(p, MTH_KEPT_W, i) : added;
}

/* Does a gradient of few bits make both, what moved and the squares? Bit 0. */
static uint32_t divided_fits(const struct mth_replay_parameter *p, size_t i, const struct mth_way *way,
                             const struct mth_divided_rule *rule)
{
    float x0 = before_of(p, way->of, i), v0 = before_of(p, MTH_KEPT_V, i), w0 = before_of(p, MTH_KEPT_W, i);
    uint32_t x1 = p->after[way->of][i], fits;
    float near = mth_divided_difference(rule, x0, v0, mth_float_of(x1));
    uint32_t g = mth_divided_gradient(rule, x0, v0, w0, x1, near, &fits);
    float added = mth_divided_added(rule, w0, mth_float_of(g) * rule->scale);
    return fits & (mth_bits_of(mth_divided_squares(rule, v0, added)) == p->after[MTH_KEPT_V][i]);
}

/* How many elements of the sample come out of gradients of so many bits, scaled; fewer where more than may_miss do not. */
static size_t count_exact(const struct mth_replay_parameter *p, const struct mth_way *way, float scale,
                          enum mth_gradients gradients, size_t may_miss)
{
    const uint32_t bits = mth_bits_of(scale);
    const struct mth_adam_rule rule = mth_adam_rule_of(mth_bits_of(way->weight), bits);
    const struct mth_sum_rule sum =
        mth_sum_rule_of(mth_bits_of(way->weight), mth_bits_of(way->stays), mth_bits_of(way->decay), bits);
    uint32_t numbers[MTH_N_DIVIDED];
    size_t n = 0;
    mth_way_numbers(way, bits, numbers);
    const struct mth_divided_rule divided = mth_divided_rule_of(numbers);
    for (size_t i = 0; i < p->n && i - n <= may_miss; i++) {
        uint32_t m1 = p->after[way->of][i], fits;
        float m0 = before_of(p, way->of, i), gradient = mth_adam_gradient(&rule, m0, mth_float_of(m1));
        if (way->divides)
            fits = divided_fits(p, i, way, &divided);
        else if (!is_plain(way))
            (void)mth_sum_gradient(&sum, mth_sum_form_of(&sum), m0, before_of(p, MTH_KEPT_W, i), m1, &fits);
        else if (gradients == MTH_GRADIENTS_16)
            fits = mth_adam_fits(&rule, m0, mth_adam_gradient16(&rule, gradient), m1);
        else
            (void)mth_adam_gradient24(&rule, m0, m1, gradient, &fits);
        n += fits & 1;
    }
    return n;
}

/* How far a root of a difference of squares may be off, for its size. */
static double squares_error(const struct mth_replay_parameter *p, size_t i, const struct mth_way *way)
{
    double v1 = (double)mth_float_of(p->after[MTH_KEPT_V][i]);
    return v1 * 0x1p-23 / (v1 - (double)(before_of(p, MTH_KEPT_V, i) * way->stays)) + 0x1p-23;
}

/* The elements whose gradients are known best: those that moved m most, for its size. */
static size_t best_known(const struct mth_replay_parameter *p, const struct mth_way *way, size_t *best,
                         double *errors, size_t n_best)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        double m0 = fabs((double)before_of(p, way->of, i)),
               m1 = fabs((double)mth_float_of(p->after[way->of][i]));
        double gradient = fabs(gradient_of(p, i, way)), error;
        if (!(gradient > 1e-30) || !(gradient < 1e30))
            continue;
        error = way->divides ? squares_error(p, i, way)
                             : (m0 > m1 ? m0 : m1) * 0x1p-23 / (double)way->weight / gradient + 0x1p-23;
        if (way->decay > 0)
            error += (double)way->decay * fabs((double)before_of(p, MTH_KEPT_W, i)) * 0x1p-23 / gradient;
        size_t at = n < n_best ? n++ : n_best;
        while (at > 0 && errors[at - 1] > error) {
            if (at < n_best) {
                errors[at] = errors[at - 1];
                best[at] = best[at - 1];
            }
            at--;
        }
        if (at < n_best) {
            errors[at] = error;
            best[at] = i;
        }
    }
    return n;
}

/* Do all of them? The first that does not ends it. */
static bool agree(const struct mth_scale_witnesses *witnesses, uint32_t step)
{
    const uint64_t grid = (uint64_t)1 << (52 - witnesses->n_mantissa);
    const double inverse = mth_scale_inverse_at(step), to_next = (double)(int64_t)grid;
    for (size_t i = 0; i < N_WITNESSES; i++) {
        double above = mth_above_grid(witnesses->gradients[i] * inverse, grid - 1);
        if (mth_smaller(above, to_next - above) > witnesses->off[i])
            return false;
    }
    return true;
}

/* Scales that were tried. */
struct trials {
    const struct mth_replay_parameter *p;
    const struct mth_way *way;
    float scale;
    enum mth_gradients gradients;
    size_t most, n_tried;
};

/* A scale whose inverse lies at a step, and the neighbours of its bits, on all of the sample. */
static void try_scale(struct trials *trials, uint32_t step)
{
    enum { NEIGHBOURS = 8 };
    uint32_t middle = mth_bits_of((float)(1 / mth_scale_inverse_at(step)));
    trials->n_tried++;
    for (uint32_t bits = middle - NEIGHBOURS; bits <= middle + NEIGHBOURS; bits++) {
        size_t exact = count_exact(trials->p, trials->way, mth_float_of(bits), trials->gradients,
                                   trials->p->n - trials->most);
        if (exact > trials->most) {
            trials->most = exact;
            trials->scale = mth_float_of(bits);
        }
    }
}

/* What is known best; false where too little is. errors: of the first. */
static bool find_witnesses(const struct mth_replay_parameter *p, const struct mth_way *way,
                           struct mth_scale_witnesses *witnesses, double *error)
{
    size_t best[N_WITNESSES];
    double errors[N_WITNESSES];
    if (best_known(p, way, best, errors, N_WITNESSES) < N_WITNESSES)
        return false;
    for (size_t i = 0; i < N_WITNESSES; i++) {
        /* A significand is below 2. */
        double off = (errors[i] + 0x1p-21) * 0x1p53;
        witnesses->gradients[i] = fabs(gradient_of(p, best[i], way));
        witnesses->off[i] = floor(mth_smaller(off, 0x1p52));
        /* A step is 2^-21 of the gradient, a unit 2^-52 of its power of two; once past the next power, a unit is two of these. */
        int exponent;
        witnesses->steps_a_unit[i] = 0x1p-32 / frexp(witnesses->gradients[i], &exponent);
    }
    *error = errors[0];
    return true;
}

/*
 * The scale by which some bf16 values are the gradients; its power of two is theirs. It lies between 1/2 and 1, its inverse is looked for in steps as small as
 * the gradients are known. The one that is known best is a bf16 value times the scale: of 128 significands one, so that its inverse lies
 * near one of 128 places. What all of the best known agree to is tried on all.
 */
static void search_places(struct trials *trials, const struct mth_scale_witnesses *witnesses, double error)
{
    enum { N_SIGNIFICANDS = 128 };
    int exponent;
    double significand = 2 * frexp(witnesses->gradients[0], &exponent);
    /* Off by an error in a significand below 2, and by a step. */
    double reach = (error + 0x1p-21) * 4 * N_SCALES + 1;
    uint32_t end = 0; /* behind the last step that was looked at */
    for (uint32_t i = 0; i <= 3 * N_SIGNIFICANDS && trials->n_tried < MAX_TRIED; i++) {
        double inverse = (1 + i * (1.0 / N_SIGNIFICANDS)) / significand;
        double middle = (inverse - 1) * N_SCALES, first = middle - reach, last = middle + reach;
        if (last < 0 || first >= N_SCALES)
            continue;
        uint32_t step = first > end ? (uint32_t)first : end;
        for (; step <= last && step < N_SCALES && trials->n_tried < MAX_TRIED; step++) {
            if (agree(witnesses, step))
                try_scale(trials, step);
        }
        end = step;
    }
}

/* Of sums there are too many significands: every step is looked at that the witnesses may agree to. */
static void search_all(struct trials *trials, const struct mth_scale_witnesses *witnesses)
{
    uint32_t agreed[MTH_SCALE_STRETCHES][MTH_SCALES_TRIED];
    size_t n_agreed[MTH_SCALE_STRETCHES];
    mth_moment_kernels_of(mth_cpu_features())->find_scales(witnesses, agreed, n_agreed);
    for (size_t k = 0; k < MTH_SCALE_STRETCHES; k++) {
        for (size_t i = 0; i < n_agreed[k] && trials->n_tried < MAX_TRIED; i++)
            try_scale(trials, agreed[k][i]);
    }
}

static size_t enough(const struct mth_replay_parameter *p)
{
    return p->n - p->n / 16;
}

/* is_far: no scale was near. */
static bool find_scale(const struct mth_replay_parameter *p, const struct mth_way *way,
                       enum mth_gradients gradients, float *scale, bool *is_far)
{
    struct trials trials = {.p = p, .way = way, .gradients = gradients};
    struct mth_scale_witnesses witnesses = {.n_mantissa = 7};
    double error;
    if (!find_witnesses(p, way, &witnesses, &error))
        return false;
    if (gradients == MTH_GRADIENTS_16) {
        search_places(&trials, &witnesses, error);
    } else {
        witnesses.n_mantissa = 15;
        search_all(&trials, &witnesses);
    }
    *scale = trials.scale;
    *is_far = trials.n_tried == 0;
    return trials.most >= enough(p);
}

/* What fitting a parameter to its ways knows of those before. */
struct searches {
    const struct mth_way *far; /* of sums, which no scale was near to; NULL: none */
    size_t n_before;           /* in the way at hand, of other parameters */
};

/*
 * Is a way that of another, but for the order of its sum? Then their gradients differ by what rounding its parts makes, which is less than
 * witnesses may be off: what no scale was near to is not looked for again.
 */
static bool is_alike(const struct mth_way *a, const struct mth_way *b)
{
    return !a->divides && !b->divides && a->of == b->of && a->weight == b->weight && a->decay == b->decay;
}

/* Looking at every step takes long: it is done once. */
static bool may_search(const struct searches *searches, const struct mth_way *way,
                       enum mth_gradients gradients)
{
    if (gradients == MTH_GRADIENTS_16)
        return searches->n_before < MAX_SEARCHES;
    return searches->n_before < 1 && !(searches->far && is_alike(searches->far, way));
}

/* Gradients of few bits, summed in a way: with the scale that is known, or one that is looked for. */
static bool fits_way(const struct mth_replay_parameter *p, const struct mth_way *way,
                     struct mth_replay_scale *scale, struct searches *searches, enum mth_gradients *gradients)
{
    for (*gradients = MTH_GRADIENTS_16; *gradients <= MTH_GRADIENTS_24; ++*gradients) {
        bool is_far = false;
        float found = scale->bits ? mth_float_of(scale->bits) : 1;
        if (count_exact(p, way, found, *gradients, p->n - enough(p)) >= enough(p) ||
            (may_search(searches, way, *gradients) && find_scale(p, way, *gradients, &found, &is_far))) {
            scale->bits = mth_bits_of(found);
            return true;
        }
        if (*gradients == MTH_GRADIENTS_24 && is_far)
            searches->far = way;
    }
    return false;
}

enum mth_gradients mth_replay_fit_scale(const struct mth_replay_parameter *p, const struct mth_way *ways,
                                        size_t n_ways, struct mth_replay_scale *scale)
{
    bool is_known = scale && scale->bits != 0;
    struct searches searches = {.far = NULL};
    if (!scale)
        return MTH_GRADIENTS_32;
    /* Parameters of another group may have come otherwise of gradients of the same scale. */
    size_t first = is_known && scale->way < n_ways ? scale->way : 0;
    for (size_t k = 0; k < n_ways; k++) {
        size_t i = k == 0 ? first : k - (k <= first);
        enum mth_gradients gradients;
        searches.n_before = is_known ? MAX_SEARCHES : scale->n_searches[i]++;
        if (fits_way(p, &ways[i], scale, &searches, &gradients)) {
            scale->way = i;
            if (is_plain(&ways[i]))
                return gradients;
            return ways[i].divides ? MTH_GRADIENTS_DIVIDED : MTH_GRADIENTS_SUMMED;
        }
    }
    return MTH_GRADIENTS_32;
}
