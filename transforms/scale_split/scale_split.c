/*
 * scale-split: exponents less the scale of their row and column, with the leading bits of mantissas; the rest packed.
 *
 * The exponent of a weight is that of its row and its column, and a little either way. Rows have their scale in half
 * octaves, columns in whole ones; the exponent less the whole octaves is coded together with two bits of the mantissa,
 * which lean toward small ones above the scale. What is half an octave is the context: rows of even scale have one
 * stream, rows of odd scale another, so that a coder has a table for each and needs to know of none.
 */
#include "base/cpu.h"
#include "base/lane.h"
#include "transforms/scale_split/scale_fit.h"
#include "transforms/span_note.h"

enum {
    STREAM_MANTISSAS, /* their lower bits */
    STREAM_SCALES,    /* the spans, then of each its scales */
    STREAM_EVEN,      /* symbols of rows */
    STREAM_ODD,
    STREAM_ESCAPES, /* exponents */
    STREAM_SIGNS,
    N_STREAMS
};

enum {
    LANE_BYTES = 2,
    MIN_ROW_ELEMS = 32,      /* of an encoder's rows; shorter ones are none */
    DEFAULT_ROW_ELEMS = 512, /* where there are no rows */
    HEAD_BYTES = 3,          /* of a span's scales: the lowest of its rows, and whether columns follow */
    MAX_LOWEST = 1 << 10,
    LEVELS_BELOW = 128 /* the lowest scale lies so many half octaves below that of the first row */
};

static const struct mth_scale_format *format_of(const struct mth_symbol_type *type)
{
    const struct mth_scale_kernels *kernels =
        mth_cpu_features() & MTH_CPU_AVX2 ? &mth_scale_kernels_avx2 : &mth_scale_kernels_portable;
    if (type->symbol_bits != 16 || type->container_bits != 16)
        return NULL;
    return type->dtype == MTH_DTYPE_BF16  ? &kernels->bf16
           : type->dtype == MTH_DTYPE_F16 ? &kernels->f16
                                          : NULL;
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    const struct mth_scale_format *format = format_of(type);
    if (!format)
        return MTH_ERR_UNSUPPORTED;
    size_t n = n_bytes / LANE_BYTES;
    uint8_t low = (uint8_t)(format->mantissa_bits - MTH_SCALE_LEADING_BITS);
    struct mth_symbol_type byte = mth_symbol_type_of(MTH_DTYPE_U8), mantissa = {MTH_DTYPE_OPAQUE, low, low},
                           sign = {MTH_DTYPE_OPAQUE, 1, 1};
    /* Rows have at least MIN_ROW_ELEMS, but for two of a span; columns are fewer than rows have elements. */
    size_t n_scales =
        MTH_SPAN_NOTE_BYTES + MTH_MAX_SPANS * (HEAD_BYTES + 2) + n / MIN_ROW_ELEMS + n / MTH_SCALE_MIN_ROWS;
    plans[STREAM_MANTISSAS] = (struct mth_stream_plan){mantissa, n, mth_symbol_bytes(&mantissa, n), 0};
    plans[STREAM_SCALES] = (struct mth_stream_plan){byte, n_scales, n_scales, MTH_STREAM_VARIABLE};
    plans[STREAM_EVEN] = plans[STREAM_ODD] = plans[STREAM_ESCAPES] =
        (struct mth_stream_plan){byte, n, n, MTH_STREAM_VARIABLE};
    plans[STREAM_SIGNS] =
        (struct mth_stream_plan){sign, n, mth_symbol_bytes(&sign, n) + n_bytes % LANE_BYTES, 0};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

/* Columns of a piece of a row: kernels take the shifts of as many. Without columns all are 0, for pieces of any row. */
static const int16_t *shifts_of(const struct mth_scale_columns *columns, size_t first)
{
    return columns->shift + (columns->known ? first : 0);
}

static void clear_shifts(struct mth_scale_columns *columns, const struct mth_row_span *span)
{
    size_t longest = span->row_elems < span->n_elems ? span->row_elems : span->n_elems;
    if (longest > MTH_SCALE_MAX_COLUMNS)
        longest = MTH_SCALE_MAX_COLUMNS;
    memset(columns->shift, 0, longest * sizeof *columns->shift);
}

/* ---- forward ---- */

struct ends {
    uint8_t *at[N_STREAMS];
};

static void put_escapes(const uint8_t *src, size_t n, const uint8_t *symbols, unsigned mantissa_bits,
                        struct ends *ends)
{
    for (size_t i = 0; i < n; i++) {
        if (symbols[i] >> MTH_SCALE_LEADING_BITS == 0)
            *ends->at[STREAM_ESCAPES]++ = (uint8_t)((mth_lane_load16(src + 2 * i) & 0x7fff) >> mantissa_bits);
    }
}

/* The symbols of a row of a scale, from a column on. */
static void put_row(const struct mth_scale_format *format, const uint8_t *src, size_t n, unsigned scale,
                    size_t column, const struct mth_scale_columns *columns, struct ends *ends)
{
    uint8_t **out = &ends->at[scale % 2 ? STREAM_ODD : STREAM_EVEN];
    for (size_t done = 0; done < n;) {
        size_t n_piece = n - done < MTH_SCALE_MAX_COLUMNS ? n - done : MTH_SCALE_MAX_COLUMNS;
        const uint8_t *at = src + LANE_BYTES * done;
        if (format->take_symbols(at, n_piece, (int)(scale / 2), shifts_of(columns, column + done), *out))
            put_escapes(at, n_piece, *out, format->mantissa_bits, ends);
        *out += n_piece;
        done += n_piece;
    }
}

static void put_span(const struct mth_scale_format *format, const uint8_t *src,
                     const struct mth_row_span *span, struct mth_scale_columns *columns, struct ends *ends)
{
    size_t n_rows = mth_span_rows(span), column = span->phase;
    unsigned lowest = 0, level = LEVELS_BELOW;
    mth_scale_fit_columns(format, src, span, columns);
    if (!columns->known)
        clear_shifts(columns, span);
    int first = mth_scale_of_row(format, src, mth_span_row_elems(span, 0), columns->mean_shift);
    if (first > LEVELS_BELOW)
        lowest = (unsigned)first - LEVELS_BELOW;
    ends->at[STREAM_SCALES] += mth_varint_put(ends->at[STREAM_SCALES], lowest);
    *ends->at[STREAM_SCALES]++ = columns->known;
    for (size_t i = 0; columns->known && i < span->row_elems; i++)
        *ends->at[STREAM_SCALES]++ = (uint8_t)mth_zigzag(columns->shift[i]);
    for (size_t row = 0; row < n_rows; row++) {
        size_t n = mth_span_row_elems(span, row);
        int scale = mth_scale_of_row(format, src, n, columns->mean_shift);
        /* A row of zeros goes on with the scale before. */
        if (scale >= 0)
            level = (unsigned)scale < lowest         ? 0
                    : (unsigned)scale - lowest > 255 ? 255
                                                     : (unsigned)scale - lowest;
        *ends->at[STREAM_SCALES]++ = (uint8_t)level;
        put_row(format, src, n, lowest + level, column, columns, ends);
        src += LANE_BYTES * n;
        column = 0;
    }
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct mth_scale_format *format = format_of(&job->type);
    struct mth_scale_columns columns;
    struct mth_span_list list;
    struct ends ends;
    size_t n = job->n_bytes / LANE_BYTES;
    for (size_t s = 0; s < N_STREAMS; s++) {
        ends.at[s] = streams[s].data;
        streams[s].n_bytes = job->plans[s].n_bytes;
    }
    mth_spans_of_job(job, n, &list);
    for (size_t i = 0; i < list.n; i++) {
        if (list.spans[i].row_elems < MIN_ROW_ELEMS) {
            list.spans[i].row_elems = DEFAULT_ROW_ELEMS;
            list.spans[i].phase = 0;
        }
    }
    ends.at[STREAM_SCALES] += mth_spans_put(&list, ends.at[STREAM_SCALES]);
    format->take_rest(src, n, streams[STREAM_MANTISSAS].data, streams[STREAM_SIGNS].data);
    for (size_t i = 0; i < list.n; i++) {
        put_span(format, src, &list.spans[i], &columns, &ends);
        src += LANE_BYTES * list.spans[i].n_elems;
    }
    for (size_t s = STREAM_SCALES; s < STREAM_SIGNS; s++)
        streams[s].n_bytes = streams[s].data ? (size_t)(ends.at[s] - streams[s].data) : 0;
    if (job->n_bytes % LANE_BYTES)
        streams[STREAM_SIGNS].data[streams[STREAM_SIGNS].n_bytes - 1] = *src;
    return MTH_OK;
}

/* ---- inverse ---- */

static bool take(struct mth_reader *reader, size_t n, const uint8_t **out)
{
    if (n > (size_t)(reader->end - reader->at))
        return false;
    *out = reader->at;
    reader->at += n;
    return true;
}

/* The exponents of escapes, which are 0 so far. */
static bool get_escapes(const uint8_t *symbols, size_t n, unsigned mantissa_bits, struct mth_reader *escapes,
                        uint8_t *dst)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *exponent;
        if (symbols[i] >> MTH_SCALE_LEADING_BITS)
            continue;
        if (!take(escapes, 1, &exponent) || *exponent >> (15 - mantissa_bits))
            return false;
        unsigned x = mth_lane_load16(dst + LANE_BYTES * i) | (unsigned)*exponent << mantissa_bits;
        mth_lane_store16(dst + LANE_BYTES * i, (uint16_t)x);
    }
    return true;
}

static bool get_row(const struct mth_scale_format *format, struct mth_reader *readers, size_t n,
                    unsigned scale, size_t column, const struct mth_scale_columns *columns, uint8_t *dst)
{
    const uint8_t *symbols;
    if (!take(&readers[scale % 2 ? STREAM_ODD : STREAM_EVEN], n, &symbols))
        return false;
    for (size_t done = 0; done < n;) {
        size_t n_piece = n - done < MTH_SCALE_MAX_COLUMNS ? n - done : MTH_SCALE_MAX_COLUMNS;
        uint8_t *at = dst + LANE_BYTES * done;
        unsigned seen = format->put_symbols(symbols + done, n_piece, (int)(scale / 2),
                                            shifts_of(columns, column + done), at);
        if (seen & MTH_SCALE_INVALID)
            return false;
        if (seen & MTH_SCALE_ESCAPES &&
            !get_escapes(symbols + done, n_piece, format->mantissa_bits, &readers[STREAM_ESCAPES], at))
            return false;
        done += n_piece;
    }
    return true;
}

static bool get_columns(struct mth_reader *scales, const struct mth_row_span *span,
                        struct mth_scale_columns *columns)
{
    const uint8_t *known, *shifts;
    if (!take(scales, 1, &known) || *known > 1)
        return false;
    columns->known = *known;
    if (!columns->known) {
        clear_shifts(columns, span);
        return true;
    }
    if (span->row_elems > MTH_SCALE_MAX_COLUMNS || !take(scales, span->row_elems, &shifts))
        return false;
    for (size_t i = 0; i < span->row_elems; i++) {
        columns->shift[i] = (int16_t)mth_unzigzag(shifts[i]);
        if (columns->shift[i] < -MTH_SCALE_MAX_SHIFT || columns->shift[i] > MTH_SCALE_MAX_SHIFT)
            return false;
    }
    return true;
}

static bool get_span(const struct mth_scale_format *format, struct mth_reader *readers,
                     const struct mth_row_span *span, struct mth_scale_columns *columns, uint8_t *dst)
{
    uint64_t lowest;
    const uint8_t *levels;
    size_t n_rows = mth_span_rows(span), column = span->phase;
    if (!mth_varint_get(&readers[STREAM_SCALES], &lowest) || lowest > MAX_LOWEST ||
        !get_columns(&readers[STREAM_SCALES], span, columns) ||
        !take(&readers[STREAM_SCALES], n_rows, &levels))
        return false;
    for (size_t row = 0; row < n_rows; row++) {
        size_t n = mth_span_row_elems(span, row);
        if (!get_row(format, readers, n, (unsigned)lowest + levels[row], column, columns, dst))
            return false;
        dst += LANE_BYTES * n;
        column = 0;
    }
    return true;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct mth_scale_format *format = format_of(&job->type);
    struct mth_reader readers[N_STREAMS];
    struct mth_scale_columns columns;
    struct mth_span_list list;
    size_t n = job->n_bytes / LANE_BYTES;
    for (size_t s = 0; s < N_STREAMS; s++)
        readers[s] = (struct mth_reader){
            streams[s].data, streams[s].n_bytes ? streams[s].data + streams[s].n_bytes : streams[s].data};
    if (!mth_spans_get(&readers[STREAM_SCALES], n, &list) ||
        !format->put_rest(streams[STREAM_MANTISSAS].data, streams[STREAM_SIGNS].data, n, dst))
        return MTH_ERR_CORRUPT;
    for (size_t i = 0; i < list.n; i++) {
        if (!get_span(format, readers, &list.spans[i], &columns, dst))
            return MTH_ERR_CORRUPT;
        dst += LANE_BYTES * list.spans[i].n_elems;
    }
    for (size_t s = STREAM_SCALES; s < STREAM_SIGNS; s++) {
        if (readers[s].at != readers[s].end)
            return MTH_ERR_CORRUPT;
    }
    if (job->n_bytes % LANE_BYTES)
        *dst = streams[STREAM_SIGNS].data[streams[STREAM_SIGNS].n_bytes - 1];
    return MTH_OK;
}

const struct mth_transform mth_transform_scale_split = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "scale-split",
    .summary = "16-bit floats: exponents less their row's and column's scale, with two bits of mantissa; the "
               "rest packed",
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
    .flags = MTH_TRANSFORM_ROWS | MTH_TRANSFORM_CHOOSES,
};
