/*
 * What an optimizer did to a parameter since the base, fitted on a few of its elements: relation_replay.c reads these, replay_scale.c
 * and replay_fit.c find the numbers of predictors.
 */
#ifndef MTH_PIPELINE_REPLAY_H
#define MTH_PIPELINE_REPLAY_H

#include "formats/optimizer_state.h"
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
    const struct mth_optimizer_group *group, *base_group;
    double step;
    double n_steps; /* since the base */
    size_t n;       /* elements of the sample */
    uint32_t before[MTH_KEPT_STEP][MTH_REPLAY_SAMPLE], after[MTH_KEPT_STEP][MTH_REPLAY_SAMPLE];
};

/* How many elements of the sample come out of a bf16 gradient, scaled. */
size_t mth_replay_count_exact(const struct mth_replay_parameter *p, float weight, float scale);
/* A scale for which nearly all do; false: none. */
bool mth_replay_find_scale(const struct mth_replay_parameter *p, float weight, float *scale);

/* Settings of the predictors of predictor.h; false where they do not come near. scale 0: gradients of any bits. */
bool mth_replay_fit_v(const struct mth_replay_parameter *p, uint32_t weight, uint32_t scale,
                      uint32_t settings[MTH_MAX_SETTINGS]);
bool mth_replay_fit_w(const struct mth_replay_parameter *p, uint32_t settings[MTH_MAX_SETTINGS]);
/* Several steps apart; false where it gains too little on the weights before. */
bool mth_replay_fit_drift(const struct mth_replay_parameter *p, uint32_t settings[MTH_MAX_SETTINGS]);

#endif
