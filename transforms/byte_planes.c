/* Elements to planes of bytes, and back; see byte_planes.h. */
#include "transforms/byte_planes.h"

#include "base/lane.h"

#include <string.h>

/* A block and both its halves are in use at once: three times this, with room for the planes, stays in an L1
 * of 32 KiB. */
enum { BLOCK_BYTES = 4096 };

/* One load of a pair: clang does not vectorise two loads of bytes, two apart. */
static void split_pairs(const uint8_t *restrict src, size_t n, uint8_t *restrict even, uint8_t *restrict odd)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t pair = mth_lane_load16(src + 2 * i);
        even[i] = (uint8_t)pair;
        odd[i] = (uint8_t)(pair >> 8);
    }
}

static void join_pairs(const uint8_t *restrict even, const uint8_t *restrict odd, size_t n,
                       uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++) {
        dst[2 * i] = even[i]; /* NOLINT(clang-analyzer-core.uninitialized.Assign): join_block fills both */
        dst[2 * i + 1] = odd[i];
    }
}

static void take_every(const uint8_t *restrict src, size_t n, size_t width, uint8_t *restrict plane)
{
    for (size_t i = 0; i < n; i++)
        plane[i] = src[i * width]; /* NOLINT(clang-analyzer-core.uninitialized.Assign): so does split_block */
}

static void put_every(const uint8_t *restrict plane, size_t n, size_t width, uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i * width] = plane[i];
}

/*
 * Split one block: byte s of the elements goes to planes[s * step] + at. An even width is halved: the bytes
 * at even places of an element are an element of half the width whose planes are every other one, and so are
 * the odd ones. The depth is that of the powers of 2 in width: at most 4.
 */
static void split_block(const uint8_t *src, size_t n, size_t width, uint8_t *const *planes, size_t step,
                        size_t at)
{
    if (width == 2) {
        split_pairs(src, n, planes[0] + at, planes[step] + at);
        return;
    }
    if (width % 2 != 0) {
        for (size_t s = 0; s < width; s++)
            take_every(src + s, n, width, planes[s * step] + at);
        return;
    }
    uint8_t even[BLOCK_BYTES / 2], odd[BLOCK_BYTES / 2];
    split_pairs(src, n * width / 2, even, odd);
    split_block(even, n, width / 2, planes, 2 * step, at);
    split_block(odd, n, width / 2, planes + step, 2 * step, at);
}

static void join_block(const uint8_t *const *planes, size_t at, size_t n, size_t width, size_t step,
                       uint8_t *dst)
{
    if (width == 2) {
        join_pairs(planes[0] + at, planes[step] + at, n, dst);
        return;
    }
    if (width % 2 != 0) {
        for (size_t s = 0; s < width; s++)
            put_every(planes[s * step] + at, n, width, dst + s);
        return;
    }
    uint8_t even[BLOCK_BYTES / 2], odd[BLOCK_BYTES / 2];
    join_block(planes, at, n, width / 2, 2 * step, even);
    join_block(planes + step, at, n, width / 2, 2 * step, odd);
    join_pairs(even, odd, n * width / 2, dst);
}

void mth_byte_planes_split(const uint8_t *src, size_t n, size_t width, uint8_t *const *planes)
{
    if (n == 0)
        return;
    if (width == 1) {
        memcpy(planes[0], src, n);
        return;
    }
    size_t block = BLOCK_BYTES / width;
    for (size_t at = 0; at < n; at += block)
        split_block(src + at * width, n - at < block ? n - at : block, width, planes, 1, at);
}

void mth_byte_planes_join(const uint8_t *const *planes, size_t n, size_t width, uint8_t *dst)
{
    if (n == 0)
        return;
    if (width == 1) {
        memcpy(dst, planes[0], n);
        return;
    }
    size_t block = BLOCK_BYTES / width;
    for (size_t at = 0; at < n; at += block)
        join_block(planes, at, n - at < block ? n - at : block, width, 1, dst + at * width);
}
