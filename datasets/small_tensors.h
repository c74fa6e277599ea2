/*
 * The datasets many-tensors, thousands-of-tensors and one-tensor: the same 50 million drawn bf16 elements, as 100,000 tensors
 * of 64 to 960 elements, as 5,000 of about 10,000, and as a single one. What a container costs for each tensor, and not for
 * each byte, shows between them.
 *
 * Class synthetic-random: the values are drawn, not trained.
 */
#ifndef MTH_DATASETS_SMALL_TENSORS_H
#define MTH_DATASETS_SMALL_TENSORS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { MTH_SMALL_TENSORS = 100000 };

/* Elements of a tensor, and of all. */
size_t mth_small_tensor_elems(size_t index);
size_t mth_small_tensors_elems(void);

/* The elements of one tensor, little-endian. Exact on every host. Cost: about 30 ns an element. */
void mth_small_tensor_fill(size_t index, uint8_t *dst);

/*
 * Write them as safetensors, each n_joined of them as one tensor; a divisor of their number. The file is complete or not there.
 * Errors: MTH_ERR_NO_MEMORY, MTH_ERR_IO.
 */
int mth_small_tensors_write(const char *path, size_t n_joined, struct mth_error *err);

#endif
