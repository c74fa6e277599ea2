/* The kernel below byte-group, bit-shuffle and mth_byte_group_bf16: elements to planes of bytes, and back. */
#ifndef MTH_TRANSFORMS_BYTE_PLANES_H
#define MTH_TRANSFORMS_BYTE_PLANES_H

#include <stddef.h>
#include <stdint.h>

enum { MTH_BYTE_PLANES_MAX_WIDTH = 16 };

/*
 * Split elements into planes: plane s gets byte s of every element.
 *
 * Shape     src: n elements of width bytes; planes[s]: n bytes, for s < width
 * Requires  1 <= width <= MTH_BYTE_PLANES_MAX_WIDTH; no overlap; any alignment
 * Errors    none
 * Cost      one read and one write of n * width bytes for widths 1 and 2; a pass in L1 for each further
 *           factor of 2; bytes one by one for the odd factor that is left; under 32 KiB of stack, no
 *           allocation
 * Exact     for every bit pattern; n = 0 touches nothing
 * Source    folklore (Blosc's and HDF5's shuffle); differs in that powers of 2 are split by halves, which
 *           SSE2 does with two masks or shifts and a pack, and which compilers find without intrinsics
 * Example   width 2, n = 2: a0 b0 a1 b1 -> a0 a1 | b0 b1
 */
void mth_byte_planes_split(const uint8_t *src, size_t n, size_t width, uint8_t *const *planes);

/* The inverse: dst gets n * width bytes. */
void mth_byte_planes_join(const uint8_t *const *planes, size_t n, size_t width, uint8_t *dst);

#endif
