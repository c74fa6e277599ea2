/*
 * bit-shuffle: bit i of every element goes to plane i, the lowest first; the planes make one stream.
 *
 * Only groups of eight elements are shuffled, so that every plane ends on a byte; the elements left over, and
 * the bytes left of an element, follow the planes unchanged.
 */
#include "base/lane.h"
#include "transforms/byte_planes.h"
#include "transforms/transform.h"

#include <string.h>

enum {
    OPTION_WIDTH,
    MAX_WIDTH = MTH_BYTE_PLANES_MAX_WIDTH,
    /* Elements at a time: byte planes of the widest fill 8 KiB, and each bit plane gets one cache line. */
    BLOCK_ELEMS = 512,
    ROW_WORDS = BLOCK_ELEMS / 8 / sizeof(uint64_t),
};

static const struct mth_option options[] = {
    {"width", "bytes of an element; 0 takes the width of the dtype", 0, MAX_WIDTH, 0, NULL},
};

static size_t width_of(const int64_t *values, const struct mth_symbol_type *type)
{
    if (values[OPTION_WIDTH])
        return (size_t)values[OPTION_WIDTH];
    size_t width = type->container_bits % 8 == 0 ? type->container_bits / 8u : 1;
    return width == 0 || width > MAX_WIDTH ? 1 : width;
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    size_t group_bytes = 8 * width_of(values, type);
    plans[0] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_U8),
                                        .n_symbols = n_bytes / group_bytes * group_bytes,
                                        .n_bytes = n_bytes};
    *n_streams = 1;
    return MTH_OK;
}

/*
 * Swap the bits of b under the mask with the bits of a that lie d higher.
 * Words are only bundles of bytes: no bit crosses from one to the next, so that byte order does not matter.
 */
MTH_ALWAYS_INLINE void swap_bits(uint64_t *a, uint64_t *b, unsigned d, uint64_t mask)
{
    uint64_t t = (*a >> d ^ *b) & mask;
    *b ^= t;
    *a ^= t << d;
}

/*
 * Transpose 8 x 8 bits at every column: bit k of rows[i] and bit i of rows[k] change places. Its own inverse.
 *
 * Shape     rows: 8 rows of ROW_WORDS words, in place
 * Source    Warren, Hacker's Delight, 2nd edition, 7-3: swap 4 x 4 blocks across the diagonal, then 2 x 2
 *           blocks in those, then bits; differs in that the rows are long, so that a word does eight columns
 * Example   first bytes 01 01 01 01 01 01 01 01 -> ff 00 00 00 00 00 00 00
 */
static void transpose_bits(uint64_t rows[8][ROW_WORDS])
{
    for (size_t w = 0; w < ROW_WORDS; w++) {
        uint64_t r[8];
        for (size_t i = 0; i < 8; i++)
            r[i] = rows[i][w];
        for (size_t i = 0; i < 4; i++)
            swap_bits(&r[i], &r[i + 4], 4, 0x0f0f0f0f0f0f0f0f);
        for (size_t i = 0; i < 2; i++) {
            swap_bits(&r[i], &r[i + 2], 2, 0x3333333333333333);
            swap_bits(&r[i + 4], &r[i + 6], 2, 0x3333333333333333);
        }
        for (size_t i = 0; i < 8; i += 2)
            swap_bits(&r[i], &r[i + 1], 1, 0x5555555555555555);
        for (size_t i = 0; i < 8; i++)
            rows[i][w] = r[i];
    }
}

/*
 * Bit planes in three steps: elements to byte planes; in each, byte i of every eight to row i; rows transposed.
 *
 * Shape     src: n_groups * 8 elements of width bytes; dst: 8 * width planes of n_groups bytes each
 */
static void shuffle(const uint8_t *src, size_t n_groups, size_t width, uint8_t *dst)
{
    uint8_t bytes[MAX_WIDTH][BLOCK_ELEMS];
    uint64_t rows[8][ROW_WORDS] = {{0}}; /* a short block leaves columns that are transposed and not used */
    uint8_t *byte_planes[MAX_WIDTH], *row_bytes[8];
    for (size_t s = 0; s < MAX_WIDTH; s++)
        byte_planes[s] = bytes[s];
    for (size_t i = 0; i < 8; i++)
        row_bytes[i] = (uint8_t *)rows[i];

    for (size_t done = 0; done < n_groups; done += BLOCK_ELEMS / 8) {
        size_t n = n_groups - done < BLOCK_ELEMS / 8 ? n_groups - done : BLOCK_ELEMS / 8;
        mth_byte_planes_split(src + 8 * done * width, 8 * n, width, byte_planes);
        for (size_t s = 0; s < width; s++) {
            mth_byte_planes_split(bytes[s], n, 8, row_bytes);
            transpose_bits(rows);
            for (size_t bit = 0; bit < 8; bit++)
                memcpy(dst + (8 * s + bit) * n_groups + done, rows[bit], n);
        }
    }
}

/* The inverse, step by step. */
static void unshuffle(const uint8_t *src, size_t n_groups, size_t width, uint8_t *dst)
{
    uint8_t bytes[MAX_WIDTH][BLOCK_ELEMS];
    uint64_t rows[8][ROW_WORDS] = {{0}};
    const uint8_t *byte_planes[MAX_WIDTH], *row_bytes[8];
    for (size_t s = 0; s < MAX_WIDTH; s++)
        byte_planes[s] = bytes[s];
    for (size_t i = 0; i < 8; i++)
        row_bytes[i] = (const uint8_t *)rows[i];

    for (size_t done = 0; done < n_groups; done += BLOCK_ELEMS / 8) {
        size_t n = n_groups - done < BLOCK_ELEMS / 8 ? n_groups - done : BLOCK_ELEMS / 8;
        for (size_t s = 0; s < width; s++) {
            for (size_t bit = 0; bit < 8; bit++)
                memcpy(rows[bit], src + (8 * s + bit) * n_groups + done, n);
            transpose_bits(rows);
            mth_byte_planes_join(row_bytes, n, 8, bytes[s]);
        }
        mth_byte_planes_join(byte_planes, 8 * n, width, dst + 8 * done * width);
    }
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    size_t width = width_of(job->options, &job->type);
    size_t n_shuffled = job->plans[0].n_symbols;
    shuffle(src, n_shuffled / (8 * width), width, streams[0].data);
    if (n_shuffled < job->n_bytes)
        memcpy(streams[0].data + n_shuffled, src + n_shuffled, job->n_bytes - n_shuffled);
    streams[0].n_bytes = job->n_bytes;
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    size_t width = width_of(job->options, &job->type);
    size_t n_shuffled = job->plans[0].n_symbols;
    unshuffle(streams[0].data, n_shuffled / (8 * width), width, dst);
    if (n_shuffled < job->n_bytes)
        memcpy(dst + n_shuffled, streams[0].data + n_shuffled, job->n_bytes - n_shuffled);
    return MTH_OK;
}

const struct mth_transform mth_transform_bit_shuffle = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "bit-shuffle",
    .summary = "bit i of every element to plane i, the lowest first; the planes in one stream",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .max_streams = 1,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
