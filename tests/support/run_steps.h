/* A made-up training run: a checkpoint a step, of which each step changes a part. */
#ifndef MTH_TESTS_RUN_STEPS_H
#define MTH_TESTS_RUN_STEPS_H

#include "base/bytes.h"

enum run_kind {
    RUN_LAYERS, /* bf16 weights, of which one in forty moves */
    RUN_TABLE   /* an f32 embedding table, of which one row in seven moves, and a bias */
};

/*
 * A step as a safetensors file, whose data are to be freed.
 * Shape     of RUN_LAYERS tensors first .. first + n_tensors - 1, "layers.0.weight" and so on; of RUN_TABLE always both
 */
struct mth_buffer run_step_make(enum run_kind kind, unsigned step, unsigned first, unsigned n_tensors);

/* The same with tensors 0 and 1, written to directory/name. */
void run_step_write(const char *directory, const char *name, enum run_kind kind, unsigned step);

/* directory/run/step-1.safetensors .. step-N.safetensors. */
void run_steps_write(const char *directory, enum run_kind kind, unsigned n_steps);

#endif
