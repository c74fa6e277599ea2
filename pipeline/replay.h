/*
 * What an optimizer did to a parameter since the base: which of its tensors follow from which, and with what numbers, by what fits on a
 * few of its elements. relation_replay.c reads these; replay_scale.c, replay_fit.c and replay_rules.c look.
 */
#ifndef MTH_PIPELINE_REPLAY_H
#define MTH_PIPELINE_REPLAY_H

#include "formats/optimizer_state.h"
#include "transforms/predictors/divided.h"
#include "transforms/predictors/predictor.h"

enum {
    MTH_REPLAY_PIECES = 4,
    MTH_REPLAY_PIECE_ELEMS = 64,
    MTH_REPLAY_SAMPLE = MTH_REPLAY_PIECES * MTH_REPLAY_PIECE_ELEMS
};

/* A parameter, and what is kept of it. */
struct mth_replay_parameter {
    uint32_t regions[MTH_KEPT_STEP]; /* MTH_NO_REGION for what is not kept, or not known */
    uint64_t n_elems;
    const struct mth_optimizer_group *group, *base_group; /* NULL: the base has none */
    double step, n_steps;                                 /* and since the base; 0: nobody tells */
    size_t n;                                             /* elements of the sample */
    uint32_t before[MTH_KEPT_STEP][MTH_REPLAY_SAMPLE], after[MTH_KEPT_STEP][MTH_REPLAY_SAMPLE];
};

/* What one of a parameter's tensors is predicted from: tensors before the steps, or after them. */
struct mth_recipe {
    enum mth_kept of;
    uint8_t predictor, n_inputs; /* MTH_PREDICT_NOTHING without inputs: it is not predicted */
    struct {
        bool is_after;
        enum mth_kept kept;
    } inputs[MTH_MAX_INPUTS];
    uint32_t settings[MTH_MAX_SETTINGS];
};

/* Of how many bits gradients are, before one scale: bf16 ones; sums of some, or fp16 ones; any. And those of few bits that were added
 * otherwise than by lerp_, or with a share of the weights; or were divided by the root of their squares. */
enum mth_gradients {
    MTH_GRADIENTS_16,
    MTH_GRADIENTS_24,
    MTH_GRADIENTS_32,
    MTH_GRADIENTS_SUMMED,
    MTH_GRADIENTS_DIVIDED
};

/* How a tensor came of gradients and of what it was before, as gradient24 and divided24 have it (docs/transforms.md). */
struct mth_way {
    enum mth_kept of;
    float weight, stays, decay;
    bool divides;
    float mu, rate, eps; /* where it does */
};

/* Those of all tensors of a parameter, in an order in which each finds what it needs. */
struct mth_recipes {
    struct mth_recipe of[MTH_KEPT_STEP];
    size_t n;
    uint32_t weight; /* of the transforms of moments; 0: none of them is wanted */
    enum mth_gradients gradients;
    struct mth_way way; /* of the tensor that they are for */
};

/* ---- gradients of few bits: replay_scale.c ---- */

enum { MTH_MAX_WAYS = 4 };

/* The scale of such gradients, found for one parameter and tried for the others. */
struct mth_replay_scale {
    uint32_t bits;                   /* of an fp32; 0: none was found */
    size_t way;                      /* of those below, in which gradients were summed */
    size_t n_searches[MTH_MAX_WAYS]; /* in vain */
};

/* Which gradients made a tensor, and in which of some ways, that by lerp_ first; where a scale is known, that which fitted another parameter
 * before the others. scale: NULL where they are not looked for. */
enum mth_gradients mth_replay_fit_scale(const struct mth_replay_parameter *p, const struct mth_way *ways,
                                        size_t n_ways, struct mth_replay_scale *scale);

/* The numbers of divided24 and of what it makes of squares. */
void mth_way_numbers(const struct mth_way *way, uint32_t scale, uint32_t numbers[MTH_N_DIVIDED]);

/* ---- fits: replay_fit.c ---- */

/* How many elements of the sample come out just as predicted, and 1; 0: they do not come near. */
size_t mth_recipe_fit(const struct mth_replay_parameter *p, const struct mth_recipe *recipe);
/* By how many bits a value the prediction is nearer than the tensor before. */
double mth_recipe_gain(const struct mth_replay_parameter *p, const struct mth_recipe *recipe);
/* The shares of the moves before and after in what the weights moved by in several steps of Adam, by least squares; false: none. */
bool mth_replay_fit_drift(const struct mth_replay_parameter *p, double kept, double *a, double *b);

/* ---- numbers that no file tells: replay_guess.c ---- */

enum { MTH_MAX_GUESSES = 4 };

/* What parameters of one step had, the last one found last. */
struct mth_replay_guesses {
    struct mth_optimizer_group of[MTH_MAX_GUESSES];
    double steps[MTH_MAX_GUESSES]; /* that were found with them; 0: the file told */
    size_t n, n_failed;
};

/*
 * Takes the group of a parameter that made a step of Adam from what fits it: betas, rate, decay and eps. One that others had is tried first.
 * Of several steps less can be told, and is assumed. The step's number is the parameter's; where it has none, 0, one step is
 * assumed, and the number that fits is taken.
 *
 * Shape     p: its samples; group, step and n_steps are set where something fits
 */
bool mth_replay_guess(struct mth_replay_parameter *p, struct mth_replay_guesses *guesses);

/* ---- what follows from what: replay_rules.c ---- */

/* False where nothing does. scale: NULL where gradients of few bits are not looked for. Of what Adam keeps its moments follow without
 * the weights. */
bool mth_replay_find(const struct mth_replay_parameter *p, struct mth_replay_scale *scale,
                     struct mth_recipes *recipes);

/* By how many bits a value what is predicted with the weights is nearer than what was there before: do they belong to the rest? */
double mth_replay_gain_of_weights(const struct mth_replay_parameter *p);

#endif
