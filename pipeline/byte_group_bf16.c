/* Byte grouping of bf16 on plain buffers, under the names of the public header. */
#include "pipeline/mithril.h"

#include "transforms/byte_planes.h"

void mth_byte_group_bf16(const uint8_t *src, size_t n_bytes, uint8_t *dst)
{
    size_t n = n_bytes / 2;
    if (n_bytes == 0)
        return;
    uint8_t *const planes[] = {dst, dst + n};
    mth_byte_planes_split(src, n, 2, planes);
    if (n_bytes % 2)
        dst[n_bytes - 1] = src[n_bytes - 1];
}

void mth_byte_ungroup_bf16(const uint8_t *src, size_t n_bytes, uint8_t *dst)
{
    size_t n = n_bytes / 2;
    if (n_bytes == 0)
        return;
    const uint8_t *const planes[] = {src, src + n};
    mth_byte_planes_join(planes, n, 2, dst);
    if (n_bytes % 2)
        dst[n_bytes - 1] = src[n_bytes - 1];
}
