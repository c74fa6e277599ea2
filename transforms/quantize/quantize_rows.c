/*
 * quantize-rows and quantize-changed-rows: rows of embedding tables in 2 to 8 bits a value. LOSSY: what inverse gives is what the
 * streams say, bit for bit, and that is not what forward was given.
 *
 * So Check-N-Run writes checkpoints of recommendation models, the increments too; see the preset `check-n-run` in docs/presets.md.
 * Which tensors are tables is for the planner to say: rows are what it tells, and what has none is kept as it is. So is a row that
 * holds infinities or NaNs, or would not shrink.
 */
#include "base/lane.h"
#include "transforms/quantize/quantizer.h"
#include "transforms/span_note.h"

enum { STREAM_ROWS, STREAM_NOTED, STREAM_NUMBERS, STREAM_KEPT, N_STREAMS };

/* What has no rows is kept, or found unchanged, in runs of so many elements. */
enum { RUN_ELEMS = 64 };

enum { OPTION_QUANTIZER, OPTION_BITS, OPTION_STEPS, OPTION_TRIED };

static const char *const kinds[] = {"symmetric", "asymmetric", "k-means", "adaptive"};

static const struct mth_option options[] = {
    {"quantizer", "how a row's values are chosen", 0, 3, MTH_QUANTIZER_ADAPTIVE, kinds},
    {"bits", "of a value", 2, MTH_MAX_QUANTIZER_BITS, 4, NULL},
    {"steps", "into which adaptive cuts the range of a row", 2, 200, 25, NULL},
    {"tried", "percent of the steps that it tries to take off", 1, 99, 50, NULL},
};

static const struct mth_reference_slot references[] = {
    {"base", "the elements of which most rows are equal to these"},
};

static struct mth_quantizer quantizer_of(const int64_t *values)
{
    unsigned steps = (unsigned)values[OPTION_STEPS];
    return (struct mth_quantizer){.kind = (enum mth_quantizer_kind)values[OPTION_QUANTIZER],
                                  .bits = (unsigned)values[OPTION_BITS],
                                  .steps = steps,
                                  .tried = steps * (unsigned)values[OPTION_TRIED] / 100};
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    if (type->dtype != MTH_DTYPE_F32 || type->container_bits != 32 || type->symbol_bits != 32)
        return MTH_ERR_UNSUPPORTED;
    size_t n = n_bytes / 4;
    /* Two bits a row; a row has an element at least, and each span begins its bits anew. */
    size_t n_rows = MTH_SPAN_NOTE_BYTES + 2 * (MTH_MAX_SPANS + n / 8 + 1);
    plans[STREAM_ROWS] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_U8),
                                                  .n_symbols = n_rows,
                                                  .n_bytes = n_rows,
                                                  .flags = MTH_STREAM_VARIABLE};
    /* What is noted of a row and its numbers are fewer bytes than the row. */
    plans[STREAM_NOTED] = (struct mth_stream_plan){
        .type = *type, .n_symbols = n, .n_bytes = 4 * n, .flags = MTH_STREAM_VARIABLE};
    plans[STREAM_NUMBERS] = (struct mth_stream_plan){
        .type = mth_symbol_type_of(MTH_DTYPE_U8), .n_symbols = n, .n_bytes = n, .flags = MTH_STREAM_VARIABLE};
    plans[STREAM_KEPT] = (struct mth_stream_plan){
        .type = *type, .n_symbols = n, .n_bytes = n_bytes, .flags = MTH_STREAM_VARIABLE};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

static bool shrinks(const struct mth_quantizer *quantizer, size_t n_elems)
{
    return 4 * mth_quantizer_n_noted(quantizer) + mth_quantizer_code_bytes(quantizer, n_elems) < 4 * n_elems;
}

/* ---- forward ---- */

struct writer {
    struct mth_quantizer quantizer;
    struct mth_buffer *streams;
};

static void put(struct mth_buffer *stream, const void *data, size_t n_bytes)
{
    memcpy(stream->data + stream->n_bytes, data, n_bytes);
    stream->n_bytes += n_bytes;
}

/* Quantizes a row to the ends of its streams, which are not moved. */
static bool quantize(const struct writer *w, const uint8_t *row, size_t n, float *noted)
{
    const struct mth_buffer *numbers = &w->streams[STREAM_NUMBERS];
    if (!shrinks(&w->quantizer, n) || !mth_quantizer_fit(&w->quantizer, row, n, noted))
        return false;
    mth_quantizer_encode(&w->quantizer, noted, row, n, numbers->data + numbers->n_bytes);
    return true;
}

/* Is the row that was quantized last what the base has already? */
static bool is_base(const struct writer *w, const float *noted, const uint8_t *base, size_t n)
{
    const struct mth_buffer *numbers = &w->streams[STREAM_NUMBERS];
    const uint8_t *codes = numbers->data + numbers->n_bytes;
    uint8_t piece[4 * RUN_ELEMS];
    /* Runs of 64 elements are whole bytes of numbers. */
    for (size_t i = 0; i < n; i += RUN_ELEMS) {
        size_t n_piece = n - i < RUN_ELEMS ? n - i : RUN_ELEMS;
        mth_quantizer_decode(&w->quantizer, noted, codes + mth_quantizer_code_bytes(&w->quantizer, i),
                             n_piece, piece);
        if (memcmp(piece, base + 4 * i, 4 * n_piece) != 0)
            return false;
    }
    return true;
}

static void put_noted(struct writer *w, const float *noted)
{
    uint8_t bytes[4];
    for (size_t i = 0; i < mth_quantizer_n_noted(&w->quantizer); i++) {
        uint32_t bits;
        memcpy(&bits, &noted[i], sizeof bits);
        mth_lane_store32(bytes, bits);
        put(&w->streams[STREAM_NOTED], bytes, sizeof bytes);
    }
}

/* One row: 0 as in the base, 1 quantized, 2 kept. */
static unsigned put_row(struct writer *w, const uint8_t *row, const uint8_t *base, size_t n, bool has_rows)
{
    float noted[MTH_MAX_QUANTIZER_LEVELS];
    if (base && memcmp(row, base, 4 * n) == 0)
        return 0;
    if (!has_rows || !quantize(w, row, n, noted)) {
        put(&w->streams[STREAM_KEPT], row, 4 * n);
        return 2;
    }
    if (base && is_base(w, noted, base, n))
        return 0;
    put_noted(w, noted);
    w->streams[STREAM_NUMBERS].n_bytes += mth_quantizer_code_bytes(&w->quantizer, n);
    return 1;
}

/* base: NULL where rows are coded on their own. */
static int quantize_rows(const struct mth_transform_job *job, const uint8_t *base, const uint8_t *src,
                         struct mth_buffer *streams)
{
    size_t n = job->n_bytes / 4, at = 0, n_tail = job->n_bytes - 4 * n;
    struct writer w = {.quantizer = quantizer_of(job->options), .streams = streams};
    struct mth_span_list list;
    bool has_rows[MTH_MAX_SPANS];
    mth_spans_of_job(job, n, &list);
    for (size_t s = 0; s < list.n; s++) {
        has_rows[s] = list.spans[s].row_elems > 0;
        list.spans[s].row_elems = has_rows[s] ? list.spans[s].row_elems : RUN_ELEMS;
    }
    for (size_t i = 0; i < N_STREAMS; i++)
        streams[i].n_bytes = 0;
    streams[STREAM_ROWS].n_bytes = mth_spans_put(&list, streams[STREAM_ROWS].data);
    for (size_t s = 0; s < list.n; s++) {
        size_t n_rows = mth_span_rows(&list.spans[s]), n_bits = (2 * n_rows + 7) / 8;
        uint8_t *bits = streams[STREAM_ROWS].data + streams[STREAM_ROWS].n_bytes;
        memset(bits, 0, n_bits);
        for (size_t i = 0; i < n_rows; i++) {
            size_t n_elems = mth_span_row_elems(&list.spans[s], i);
            unsigned kind = put_row(&w, src + 4 * at, base ? base + 4 * at : NULL, n_elems, has_rows[s]);
            bits[i / 4] |= (uint8_t)(kind << i % 4 * 2);
            at += n_elems;
        }
        streams[STREAM_ROWS].n_bytes += n_bits;
    }
    if (n_tail)
        put(&streams[STREAM_KEPT], src + 4 * n, n_tail);
    return MTH_OK;
}

/* ---- inverse ---- */

struct restoring {
    struct mth_quantizer quantizer;
    struct mth_reader rows, noted, numbers, kept;
};

static struct mth_reader reader_of(const struct mth_bytes *bytes)
{
    return (struct mth_reader){.at = bytes->data, .end = bytes->data ? bytes->data + bytes->n_bytes : NULL};
}

static bool has(const struct mth_reader *reader, size_t n_bytes)
{
    return (size_t)(reader->end - reader->at) >= n_bytes;
}

static bool restore_quantized(struct restoring *r, size_t n, uint8_t *dst)
{
    float noted[MTH_MAX_QUANTIZER_LEVELS];
    size_t n_noted = mth_quantizer_n_noted(&r->quantizer);
    size_t n_codes = mth_quantizer_code_bytes(&r->quantizer, n);
    if (!shrinks(&r->quantizer, n) || !has(&r->noted, 4 * n_noted) || !has(&r->numbers, n_codes))
        return false;
    for (size_t i = 0; i < n_noted; i++) {
        uint32_t bits = mth_lane_load32(r->noted.at + 4 * i);
        memcpy(&noted[i], &bits, sizeof bits);
    }
    if (!mth_quantizer_is_valid(&r->quantizer, noted, r->numbers.at, n))
        return false;
    mth_quantizer_decode(&r->quantizer, noted, r->numbers.at, n, dst);
    r->noted.at += 4 * n_noted;
    r->numbers.at += n_codes;
    return true;
}

static bool restore_row(struct restoring *r, unsigned kind, const uint8_t *base, size_t n, uint8_t *dst)
{
    if (kind == 1)
        return restore_quantized(r, n, dst);
    if (kind == 0 && base) {
        memcpy(dst, base, 4 * n);
        return true;
    }
    if (kind != 2 || !has(&r->kept, 4 * n))
        return false;
    memcpy(dst, r->kept.at, 4 * n);
    r->kept.at += 4 * n;
    return true;
}

static int restore_rows(const struct mth_transform_job *job, const uint8_t *base,
                        const struct mth_bytes *streams, uint8_t *dst)
{
    size_t n = job->n_bytes / 4, at = 0, n_tail = job->n_bytes - 4 * n;
    struct restoring r = {.quantizer = quantizer_of(job->options),
                          .rows = reader_of(&streams[STREAM_ROWS]),
                          .noted = reader_of(&streams[STREAM_NOTED]),
                          .numbers = reader_of(&streams[STREAM_NUMBERS]),
                          .kept = reader_of(&streams[STREAM_KEPT])};
    struct mth_span_list list;
    if (!mth_spans_get(&r.rows, n, &list))
        return MTH_ERR_CORRUPT;
    for (size_t s = 0; s < list.n; s++) {
        size_t n_rows = mth_span_rows(&list.spans[s]), n_bits = (2 * n_rows + 7) / 8;
        const uint8_t *bits = r.rows.at;
        if (!has(&r.rows, n_bits) || (n_rows % 4 && bits[n_rows / 4] >> n_rows % 4 * 2 != 0))
            return MTH_ERR_CORRUPT;
        for (size_t i = 0; i < n_rows; i++) {
            size_t n_elems = mth_span_row_elems(&list.spans[s], i);
            if (!restore_row(&r, bits[i / 4] >> i % 4 * 2 & 3, base ? base + 4 * at : NULL, n_elems,
                             dst + 4 * at))
                return MTH_ERR_CORRUPT;
            at += n_elems;
        }
        r.rows.at += n_bits;
    }
    if (r.rows.at != r.rows.end || r.noted.at != r.noted.end || r.numbers.at != r.numbers.end ||
        (size_t)(r.kept.end - r.kept.at) != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + 4 * n, r.kept.at, n_tail);
    return MTH_OK;
}

static int forward_alone(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    return quantize_rows(job, NULL, src, streams);
}

static int inverse_alone(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    return restore_rows(job, NULL, streams, dst);
}

static int forward_changed(const struct mth_transform_job *job, const uint8_t *src,
                           struct mth_buffer *streams)
{
    return quantize_rows(job, job->references[0].data, src, streams);
}

static int inverse_changed(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    return restore_rows(job, job->references[0].data, streams, dst);
}

const struct mth_transform mth_transform_quantize_rows = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "quantize-rows",
    .summary = "LOSSY: rows of fp32 embedding tables in a few bits a value",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward_alone,
    .inverse = inverse_alone,
    .flags = MTH_TRANSFORM_ROWS | MTH_TRANSFORM_CHOOSES | MTH_TRANSFORM_LOSSY,
};

const struct mth_transform mth_transform_quantize_changed_rows = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "quantize-changed-rows",
    .summary = "LOSSY: which rows differ from those of the base, and these in a few bits a value",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward_changed,
    .inverse = inverse_changed,
    .flags = MTH_TRANSFORM_ROWS | MTH_TRANSFORM_CHOOSES | MTH_TRANSFORM_LOSSY,
};
