/* Reading tensors: their elements one behind the other, wherever and however they lie. */
#ifndef MTH_FORMATS_TENSOR_READ_H
#define MTH_FORMATS_TENSOR_READ_H

#include "formats/region_map.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Read elements of a tensor in row-major order, whatever its strides, little-endian, whatever its byte order.
 *
 * Shape     n_elems from first_elem on; dst: their bytes, one behind the other. Elements below a byte are packed:
 *           first_elem and n_elems must then fill whole bytes
 * Requires  map: of source. Bits that say "the conjugate" or "the negative" are the caller's to honour
 * Errors    MTH_ERR_USAGE for a range that the tensor does not have; those of reading; MTH_ERR_NO_MEMORY
 * Cost      a contiguous tensor: one read of just these bytes. One with strides: a read for each run of neighbours when
 *           they are long or far apart, else the range from its first to its last element, in memory of the map's account
 * Exact     for every bit pattern; n_elems = 0 reads nothing
 * Example   shape 2x2 of u8, strides 1, 2, in a region 01 02 03 04 -> 01 03 02 04
 */
int mth_tensor_read(const struct mth_source *source, const struct mth_region_map *map,
                    const struct mth_tensor *tensor, uint64_t first_elem, uint64_t n_elems, void *dst,
                    struct mth_error *err);

/* Bytes of neighbouring elements that lie side by side, all of a contiguous tensor. */
uint64_t mth_tensor_run_bytes(const struct mth_region_map *map, const struct mth_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
