/*
 * The dataset small-model: 10 MB of bf16 with the tensors, shapes and scales of a small transformer.
 *
 * Generated with integers only, so that every host makes the same bytes; class synthetic-random: its values
 * are drawn, not trained.
 */
#ifndef MTH_DATASETS_SMALL_MODEL_H
#define MTH_DATASETS_SMALL_MODEL_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Elements of all tensors together. */
size_t mth_small_model_elems(void);

/*
 * Generate the model's elements, tensor after tensor.
 *
 * Shape     dst: mth_small_model_elems() elements of 2 bytes, little-endian
 * Errors    none
 * Cost      about 40 ns an element; no allocation
 * Exact     the same bytes on every host
 */
void mth_small_model_fill(uint8_t *dst);

/*
 * Write the model as raw elements and as safetensors; each file is complete or not there.
 * Either path may be NULL. Errors: MTH_ERR_NO_MEMORY, MTH_ERR_IO.
 */
int mth_small_model_write(const char *raw_path, const char *safetensors_path, struct mth_error *err);

#endif
