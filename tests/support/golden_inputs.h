/* The files that golden containers restore to. They are made by arithmetic on integers, or are fixtures, and never change. */
#ifndef MTH_TESTS_GOLDEN_INPUTS_H
#define MTH_TESTS_GOLDEN_INPUTS_H

#include "tests/support/made_checkpoint.h"

enum golden_input {
    GOLDEN_NONE,
    GOLDEN_EMPTY,
    GOLDEN_ONE_BYTE,
    GOLDEN_TEXT,          /* words, of no type */
    GOLDEN_WEIGHTS,       /* a matrix of bf16 */
    GOLDEN_NEXT_WEIGHTS,  /* a step later */
    GOLDEN_OTHER_WEIGHTS, /* another of its shape */
    GOLDEN_LARGE,         /* several chunks of it, which share models */
    GOLDEN_LONG,          /* zeros, more than one page of bundles */
    GOLDEN_PARTS,         /* something of every kind; GOLDEN_NEXT a step later */
    GOLDEN_NEXT,
    GOLDEN_CONVERTED,    /* some of PARTS, of other types or by other names */
    GOLDEN_PARTS_PACKED, /* PARTS, as a base that is known by the digest of its container */
    GOLDEN_ADAM_BF16_BEFORE,
    GOLDEN_ADAM_BF16,
    GOLDEN_ADAM_BF16_LATER, /* ten steps */
    GOLDEN_ADAM_FP32_BEFORE,
    GOLDEN_ADAM_FP32,
    GOLDEN_SGD_BEFORE, /* other optimizers */
    GOLDEN_SGD,
    GOLDEN_NESTEROV_BEFORE,
    GOLDEN_NESTEROV,
    GOLDEN_ADAGRAD_BEFORE,
    GOLDEN_ADAGRAD,
    GOLDEN_CENTERED_BEFORE,
    GOLDEN_CENTERED,
    GOLDEN_AMSGRAD_BEFORE,
    GOLDEN_AMSGRAD,
    GOLDEN_ACCUMULATED_BEFORE, /* AdamW, sums of bf16 gradients */
    GOLDEN_ACCUMULATED,
    GOLDEN_ADAM_SUMMED_BEFORE, /* bf16 gradients: AdamW of torch 1.12, Adam with decay, others */
    GOLDEN_ADAM_SUMMED,
    GOLDEN_ADAM_DECAYED_BEFORE,
    GOLDEN_ADAM_DECAYED,
    GOLDEN_SGD_BF16_BEFORE,
    GOLDEN_SGD_BF16,
    GOLDEN_RMSPROP_BF16_BEFORE,
    GOLDEN_RMSPROP_BF16,
    GOLDEN_ADAGRAD_BF16_BEFORE,
    GOLDEN_ADAGRAD_BF16,
    GOLDEN_ADAMW_GROUPS_BEFORE, /* two groups of parameters */
    GOLDEN_ADAMW_GROUPS,
    GOLDEN_SGD_GROUPS_BEFORE,
    GOLDEN_SGD_GROUPS,
    GOLDEN_RMSPROP_GROUPS_BEFORE,
    GOLDEN_RMSPROP_GROUPS,
    GOLDEN_SLICES, /* tensors that are parts of others; GOLDEN_SLICES_NEXT a step later */
    GOLDEN_SLICES_NEXT,
    GOLDEN_LARGE_NEXT, /* LARGE a step later, and a step before */
    GOLDEN_LARGE_BEFORE,
    GOLDEN_ROUNDED, /* masters, and what stochastic rounding made of them */
    N_GOLDEN_INPUTS
};

/* NULL for GOLDEN_NONE. Ends the test on an error; made_free frees it. */
struct made *golden_input(enum golden_input which);

#endif
