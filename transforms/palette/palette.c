/*
 * palette: elements that take few values in a block, as the number of their value.
 *
 * Dequantised tensors hold a scale times a small integer, a scale for the tensor, for each row or for each group; other
 * tensors simply repeat few values. A block is a span, a row or a group of elements; it is noted as a scale, as a table
 * of values, or as it is.
 */
#include "base/lane.h"
#include "transforms/palette/palette_scale.h"
#include "transforms/palette/value_set.h"
#include "transforms/span_note.h"
#include "transforms/transform.h"

#include <math.h>

enum {
    STREAM_BLOCKS,   /* the spans, then of each block what it is */
    STREAM_NUMBERS,  /* of elements */
    STREAM_ELEMENTS, /* of each block that has any: the values of its table, ascending, or all it is kept as */
    N_STREAMS
};

/* What a block is; append-only, for streams hold these numbers. */
enum { BLOCK_RAW, BLOCK_SCALED, BLOCK_TABLE };

enum {
    MIN_BLOCK_ELEMS = 32,
    MAX_BLOCK_BYTES = 6, /* of its note: kind, scale, lowest factor */
    N_TRIED_BLOCKS = 4,  /* of a length of blocks, to judge it */
    MAX_TRIED_ELEMS = 1 << 12
};

static enum mth_palette_float float_of_type(const struct mth_symbol_type *type)
{
    const struct mth_dtype_info *info = mth_dtype_info(type->dtype);
    if (info->lane_bits != type->container_bits)
        return MTH_PALETTE_NO_FLOAT;
    if (info->exponent_bits == 8)
        return info->mantissa_bits == 7    ? MTH_PALETTE_BF16
               : info->mantissa_bits == 23 ? MTH_PALETTE_F32
                                           : MTH_PALETTE_NO_FLOAT;
    return info->exponent_bits == 5 && info->mantissa_bits == 10 ? MTH_PALETTE_F16 : MTH_PALETTE_NO_FLOAT;
}

static uint64_t load(const uint8_t *p, unsigned bits)
{
    return bits == 16 ? mth_lane_load16(p) : bits == 32 ? mth_lane_load32(p) : mth_lane_load64(p);
}

static void store(uint8_t *p, uint64_t x, unsigned bits)
{
    if (bits == 16)
        mth_lane_store16(p, (uint16_t)x);
    else if (bits == 32)
        mth_lane_store32(p, (uint32_t)x);
    else
        mth_lane_store64(p, x);
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    unsigned bits = type->container_bits;
    if (type->symbol_bits != bits || (bits != 16 && bits != 32 && bits != 64))
        return MTH_ERR_UNSUPPORTED;
    size_t n = n_bytes / (bits / 8), n_tail = n_bytes % (bits / 8);
    /* Blocks have at least MIN_BLOCK_ELEMS, but for two of each span. */
    size_t n_blocks = n / MIN_BLOCK_ELEMS + 2 * MTH_MAX_SPANS;
    struct mth_symbol_type byte = mth_symbol_type_of(MTH_DTYPE_U8);
    size_t n_notes = MTH_SPAN_NOTE_BYTES + n_blocks * MAX_BLOCK_BYTES;
    plans[STREAM_BLOCKS] = (struct mth_stream_plan){byte, n_notes, n_notes, MTH_STREAM_VARIABLE};
    plans[STREAM_NUMBERS] = (struct mth_stream_plan){byte, n, n, MTH_STREAM_VARIABLE};
    plans[STREAM_ELEMENTS] = (struct mth_stream_plan){*type, n, n * (bits / 8) + n_tail, MTH_STREAM_VARIABLE};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

/* ---- forward ---- */

struct block {
    int kind;
    float scale;
    int base; /* factors are noted from here on */
    int factors[MTH_VALUE_SET_MAX];
    struct mth_value_set set;
};

/* The factor that number 0 stands for: the same for all blocks where that is possible, so that numbers mean the same. */
static int base_of(const int *factors, size_t n)
{
    int lowest = 0, highest = 0;
    for (size_t i = 0; i < n; i++) {
        lowest = factors[i] < lowest ? factors[i] : lowest;
        highest = factors[i] > highest ? factors[i] : highest;
    }
    return lowest >= INT8_MIN && highest <= INT8_MAX ? INT8_MIN : lowest;
}

/* What n elements are. */
static void look_at(const uint8_t *src, size_t n, const struct mth_symbol_type *type, struct block *block)
{
    unsigned bits = type->container_bits;
    enum mth_palette_float format = float_of_type(type);
    mth_value_set_clear(&block->set);
    block->kind = BLOCK_RAW;
    for (size_t i = 0; i < n; i++) {
        if (!mth_value_set_add(&block->set, load(src + i * (bits / 8), bits)))
            return;
    }
    /* Hardly any value comes twice: these are no steps of a scale. */
    if (block->set.n > n - n / 16)
        return;
    mth_value_set_rank(&block->set);
    if (format &&
        mth_palette_find_scale(format, block->set.value, block->set.n, &block->scale, block->factors)) {
        block->kind = BLOCK_SCALED;
        block->base = base_of(block->factors, block->set.n);
    } else if (block->set.n * (bits / 8) + n < n * (bits / 8)) {
        block->kind = BLOCK_TABLE;
    }
}

/*
 * Bits that a block takes, roughly. Factors are coded after all with the others, so that a short block, which happens to
 * have few of them, gains nothing by it.
 */
static size_t price(const struct block *block, size_t n, unsigned bits)
{
    enum { NOTE_BITS = 8, SCALE_BITS = 40, COUNT_BITS = 8, FACTOR_BITS = 7 };
    size_t number_bits = 0;
    if (block->kind == BLOCK_RAW)
        return NOTE_BITS + n * bits;
    if (block->kind == BLOCK_SCALED)
        return NOTE_BITS + SCALE_BITS + n * FACTOR_BITS;
    while ((size_t)1 << number_bits < block->set.n)
        number_bits++;
    return NOTE_BITS + COUNT_BITS + block->set.n * bits + n * number_bits;
}

/* Bits an element of a span takes in blocks of some length, in 1/1024, judged by the first ones. */
static size_t price_of_blocks(const uint8_t *src, const struct mth_row_span *span,
                              const struct mth_symbol_type *type, struct block *block)
{
    size_t done = 0, total = 0, n_rows = mth_span_rows(span);
    for (size_t i = 0; i < n_rows && i < N_TRIED_BLOCKS && done < MAX_TRIED_ELEMS; i++) {
        size_t n = mth_span_row_elems(span, i);
        look_at(src + done * (type->container_bits / 8u), n, type, block);
        total += price(block, n, type->container_bits);
        done += n;
    }
    return done ? total * 1024 / done : SIZE_MAX;
}

/* Sets the rows of a span to the blocks that suit it best. */
static void choose_blocks(const uint8_t *src, struct mth_row_span *span, const struct mth_symbol_type *type,
                          struct block *block)
{
    static const uint32_t lengths[] = {32, 64, 128, 256, 512, 1024, 4096};
    struct mth_row_span best = {.n_elems = span->n_elems, .row_elems = UINT32_MAX}, tried = *span;
    if (span->n_elems < UINT32_MAX)
        best.row_elems = (uint32_t)span->n_elems;
    look_at(src, mth_span_row_elems(&best, 0), type, block);
    size_t best_price = block->kind == BLOCK_RAW ? SIZE_MAX : 0;
    if (best_price && span->row_elems >= MIN_BLOCK_ELEMS) {
        best = *span;
        best_price = price_of_blocks(src, &best, type, block);
    }
    for (size_t i = 0; best_price && i < sizeof lengths / sizeof lengths[0]; i++) {
        tried.row_elems = lengths[i];
        tried.phase = span->row_elems ? span->phase % lengths[i] : 0;
        if (lengths[i] >= span->n_elems || (span->row_elems && span->row_elems % lengths[i]))
            continue;
        size_t tried_price = price_of_blocks(src, &tried, type, block);
        if (tried_price < best_price) {
            best_price = tried_price;
            best = tried;
        }
    }
    *span = best;
}

/* Where the streams end so far. */
struct ends {
    uint8_t *at[N_STREAMS];
};

static void put_block(const uint8_t *src, size_t n, const struct mth_symbol_type *type,
                      const struct block *block, struct ends *ends)
{
    unsigned bits = type->container_bits;
    *ends->at[STREAM_BLOCKS]++ = (uint8_t)block->kind;
    if (block->kind == BLOCK_RAW) {
        memcpy(ends->at[STREAM_ELEMENTS], src, n * (bits / 8));
        ends->at[STREAM_ELEMENTS] += n * (bits / 8);
        return;
    }
    if (block->kind == BLOCK_SCALED) {
        uint32_t scale;
        memcpy(&scale, &block->scale, sizeof scale);
        mth_lane_store32(ends->at[STREAM_BLOCKS], scale);
        ends->at[STREAM_BLOCKS][4] = (uint8_t)(block->base + MTH_PALETTE_MAX_FACTOR);
        ends->at[STREAM_BLOCKS] += 5;
    } else {
        *ends->at[STREAM_BLOCKS]++ = (uint8_t)(block->set.n - 1);
        for (size_t i = 0; i < block->set.n; i++, ends->at[STREAM_ELEMENTS] += bits / 8)
            store(ends->at[STREAM_ELEMENTS], block->set.value[i], bits);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t rank = mth_value_set_find(&block->set, load(src + i * (bits / 8), bits));
        *ends->at[STREAM_NUMBERS]++ =
            block->kind == BLOCK_SCALED ? (uint8_t)(block->factors[rank] - block->base) : rank;
    }
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    struct block block;
    struct mth_span_list list;
    struct ends ends;
    size_t lane_bytes = job->type.container_bits / 8u, n = job->n_bytes / lane_bytes,
           n_tail = job->n_bytes % lane_bytes;
    const uint8_t *at = src;
    for (size_t s = 0; s < N_STREAMS; s++)
        ends.at[s] = streams[s].data;
    mth_spans_of_job(job, n, &list);
    for (size_t i = 0; i < list.n; at += list.spans[i++].n_elems * lane_bytes)
        choose_blocks(at, &list.spans[i], &job->type, &block);
    ends.at[STREAM_BLOCKS] += mth_spans_put(&list, ends.at[STREAM_BLOCKS]);
    at = src;
    for (size_t i = 0; i < list.n; i++) {
        for (size_t row = 0; row < mth_span_rows(&list.spans[i]); row++) {
            size_t n_elems = mth_span_row_elems(&list.spans[i], row);
            look_at(at, n_elems, &job->type, &block);
            put_block(at, n_elems, &job->type, &block, &ends);
            at += n_elems * lane_bytes;
        }
    }
    if (n_tail) {
        memcpy(ends.at[STREAM_ELEMENTS], at, n_tail);
        ends.at[STREAM_ELEMENTS] += n_tail;
    }
    for (size_t s = 0; s < N_STREAMS; s++)
        streams[s].n_bytes = streams[s].data ? (size_t)(ends.at[s] - streams[s].data) : 0;
    return MTH_OK;
}

/* ---- inverse ---- */

/* What a block's numbers stand for; those from n on stand for nothing. */
struct palette {
    uint64_t value[256];
    size_t n;
};

static bool take(struct mth_reader *reader, size_t n, const uint8_t **out)
{
    if (n > (size_t)(reader->end - reader->at))
        return false;
    *out = reader->at;
    reader->at += n;
    return true;
}

static bool read_scaled(struct mth_reader *blocks, enum mth_palette_float format, struct palette *palette)
{
    const uint8_t *note;
    float scale;
    if (!format || !take(blocks, 5, &note))
        return false;
    uint32_t bits = mth_lane_load32(note);
    memcpy(&scale, &bits, sizeof scale);
    if (!isfinite(scale) || !(scale > 0))
        return false;
    palette->n = 256;
    for (int i = 0; i < 256; i++)
        palette->value[i] = mth_palette_product(format, scale, (int)note[4] - MTH_PALETTE_MAX_FACTOR + i);
    return true;
}

static bool read_table(struct mth_reader *blocks, struct mth_reader *values, unsigned bits,
                       struct palette *palette)
{
    const uint8_t *count, *table;
    if (!take(blocks, 1, &count) || !take(values, (*count + 1u) * (bits / 8), &table))
        return false;
    palette->n = *count + 1u;
    for (size_t i = 0; i < palette->n; i++)
        palette->value[i] = load(table + i * (bits / 8), bits);
    return true;
}

/* Restores n elements of a block. */
static bool read_block(struct mth_reader *readers, const struct mth_symbol_type *type, size_t n, uint8_t *dst)
{
    unsigned bits = type->container_bits;
    struct palette palette;
    const uint8_t *kind, *numbers;
    if (!take(&readers[STREAM_BLOCKS], 1, &kind))
        return false;
    if (*kind == BLOCK_RAW) {
        if (!take(&readers[STREAM_ELEMENTS], n * (bits / 8), &numbers))
            return false;
        memcpy(dst, numbers, n * (bits / 8));
        return true;
    }
    bool known = *kind == BLOCK_SCALED ? read_scaled(&readers[STREAM_BLOCKS], float_of_type(type), &palette)
                 : *kind == BLOCK_TABLE
                     ? read_table(&readers[STREAM_BLOCKS], &readers[STREAM_ELEMENTS], bits, &palette)
                     : false;
    if (!known || !take(&readers[STREAM_NUMBERS], n, &numbers))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] >= palette.n)
            return false;
        store(dst + i * (bits / 8), palette.value[numbers[i]], bits);
    }
    return true;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    struct mth_reader readers[N_STREAMS];
    struct mth_span_list list;
    const uint8_t *tail;
    size_t lane_bytes = job->type.container_bits / 8u, n = job->n_bytes / lane_bytes,
           n_tail = job->n_bytes % lane_bytes;
    for (size_t s = 0; s < N_STREAMS; s++)
        readers[s] = (struct mth_reader){
            streams[s].data, streams[s].n_bytes ? streams[s].data + streams[s].n_bytes : streams[s].data};
    if (!mth_spans_get(&readers[STREAM_BLOCKS], n, &list))
        return MTH_ERR_CORRUPT;
    for (size_t i = 0; i < list.n; i++) {
        size_t n_rows = mth_span_rows(&list.spans[i]);
        for (size_t row = 0; row < n_rows; row++) {
            size_t n_elems = mth_span_row_elems(&list.spans[i], row);
            if (!read_block(readers, &job->type, n_elems, dst))
                return MTH_ERR_CORRUPT;
            dst += n_elems * lane_bytes;
        }
    }
    if (n_tail) {
        if (!take(&readers[STREAM_ELEMENTS], n_tail, &tail))
            return MTH_ERR_CORRUPT;
        memcpy(dst, tail, n_tail);
    }
    for (size_t s = 0; s < N_STREAMS; s++) {
        if (readers[s].at != readers[s].end)
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

const struct mth_transform mth_transform_palette = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "palette",
    .summary = "elements that take few values, or multiples of a scale, in a row or group, as their numbers",
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
    .flags = MTH_TRANSFORM_ROWS | MTH_TRANSFORM_CHOOSES,
};
