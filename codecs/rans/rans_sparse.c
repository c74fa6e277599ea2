/* The sparse mode; see rans_sparse.h. */
#include "codecs/rans/rans_sparse.h"

#include "base/status.h"

#include <string.h>

enum { GAP_BITS = 7, GAP_MORE = 1 << GAP_BITS, MAX_GAP_BYTES = 9 };

uint64_t mth_rans_sparse_estimate(size_t n, size_t n_others)
{
    uint64_t n_gap_bytes = 1;
    for (size_t gap = n_others ? n / n_others : 0; gap >= GAP_MORE; gap >>= GAP_BITS)
        n_gap_bytes++;
    return n_others * (n_gap_bytes + 1);
}

/* The first byte from at on that is not value, or n. */
static size_t find_other(const uint8_t *src, size_t at, size_t n, uint8_t value)
{
    uint64_t alike = value * UINT64_C(0x0101010101010101), word;
    for (; n - at >= sizeof word; at += sizeof word) {
        memcpy(&word, src + at, sizeof word);
        if (word != alike)
            break;
    }
    while (at < n && src[at] == value)
        at++;
    return at;
}

uint8_t *mth_rans_sparse_write(const uint8_t *src, size_t n, uint8_t value, uint8_t *out, uint8_t *end)
{
    for (size_t before = 0, at; (at = find_other(src, before, n, value)) < n; before = at + 1) {
        size_t gap = at - before;
        if (end - out < MAX_GAP_BYTES + 1) {
            size_t needed = 2;
            for (size_t rest = gap; rest >= GAP_MORE; rest >>= GAP_BITS)
                needed++;
            if ((size_t)(end - out) < needed)
                return NULL;
        }
        for (; gap >= GAP_MORE; gap >>= GAP_BITS)
            *out++ = (uint8_t)(gap | GAP_MORE);
        *out++ = (uint8_t)gap;
        *out++ = src[at];
    }
    return out;
}

size_t mth_rans_short_write(struct mth_bytes src, uint8_t mode, size_t n_others, uint8_t value, uint8_t *dst,
                            size_t n_room)
{
    if (n_room < MTH_RANS_SHORT_HEAD_BYTES)
        return 0;
    dst[0] = mode;
    dst[1] = value;
    uint8_t *end = dst + MTH_RANS_SHORT_HEAD_BYTES;
    if (n_others)
        end = mth_rans_sparse_write(src.data, src.n_bytes, value, end, dst + n_room);
    return end ? (size_t)(end - dst) : 0;
}

int mth_rans_sparse_read(struct mth_bytes wire, uint8_t value, uint8_t *dst, size_t n)
{
    const uint8_t *in = wire.data, *end = wire.data + wire.n_bytes;
    size_t at = 0;
    memset(dst, value, n);
    while (in < end) {
        uint64_t gap = 0;
        unsigned shift = 0, byte;
        do {
            if (in == end || shift > GAP_BITS * (MAX_GAP_BYTES - 1))
                return MTH_ERR_CORRUPT;
            byte = *in++;
            gap |= (uint64_t)(byte & (GAP_MORE - 1)) << shift;
            shift += GAP_BITS;
        } while (byte & GAP_MORE);
        if (in == end || gap >= n - at)
            return MTH_ERR_CORRUPT;
        at += (size_t)gap;
        dst[at++] = *in++;
    }
    return MTH_OK;
}
