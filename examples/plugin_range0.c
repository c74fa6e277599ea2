/*
 * An example plug-in: the codec `range0`, a static order-0 range coder (rANS) over bytes.
 *
 *     mithril bench --plugin build/examples/plugin_range0.so -p exponent-split+range0/store FILE
 *
 * It is small enough to read in one sitting and uses all that a codec may use: an option, context, shared
 * models, interleaved decoding, and an output that lies at the end of the room it was given. For speed, read
 * zstd instead.
 *
 * How it works (J. Duda, "Asymmetric numeral systems", 2013, section 3; byte-wise renormalisation as in F.
 * Giesen's rans_byte): each symbol s owns freq[s] of 4096 slots, from start[s] on. The coder's state x lies
 * in [2^23, 2^31). Coding s maps x to (x / freq) * 4096 + start + x % freq, after low bytes of x went out
 * until that fits again. Decoding reverses it: slot = x % 4096 names s, then x = freq * (x / 4096) + slot -
 * start, and bytes come back in. Since the decoder runs backwards, the encoder goes from the last symbol to
 * the first and fills its room from the end.
 *
 * With context=yes a symbol's table is picked by the top two bits of the byte at its place in the first
 * context part.
 *
 * The wire format, version 1. Numbers are little-endian. A stream of n bytes, n = 0: nothing. Else one byte
 * of mode:
 *
 *     0 raw        n bytes
 *     1 inline     tables, payload
 *     2 shared     payload; the model is the job's
 *
 *     tables       one for each class, 1 or (context=yes) 4, as range0_table.h says
 *     payload      u32 the encoder's last state, then the bytes it put out, the last one first
 *
 * The decoder ends in the encoder's first state, 2^23, with no byte left over: most damage shows there.
 */
#include <mithril.h>

#include "base/checked.h"
#include "range0_table.h"

#include <string.h>

enum { OPTION_CONTEXT };

enum { MODE_RAW, MODE_INLINE, MODE_SHARED };

enum {
    MAX_CLASSES = 4,
    CLASS_SHIFT = 6, /* top two bits of a context byte */
    STATE_LOW = 1 << 23,
    STATE_BYTES = 4,
    LANES = 2 /* jobs decoded side by side */
};

static const char *const no_yes[] = {"no", "yes"};

static const struct mth_option options[] = {
    {"context", "pick the table by the top bits of the context's byte", 0, 1, 0, no_yes},
};

struct range0_model {
    size_t n_classes;
    struct range0_table classes[MAX_CLASSES];
};

struct range0_counts {
    uint64_t n[MAX_CLASSES][N_SYMBOLS];
};

struct range0_state {
    struct mth_memory *memory;
    int64_t options[sizeof options / sizeof options[0]]; /* the caller's array may go away */
    struct range0_counts counts;
    struct range0_model models[LANES]; /* inline tables; the encoder uses the first */
};

/* ---- classes ---- */

static size_t n_classes_of(const int64_t *values)
{
    return values[OPTION_CONTEXT] ? MAX_CLASSES : 1;
}

/* The bytes that pick classes: none without the option or without a context. */
static struct mth_bytes class_bytes(const int64_t *values, const struct mth_context *context)
{
    if (!values[OPTION_CONTEXT] || context->n_parts == 0)
        return (struct mth_bytes){0};
    return context->parts[0].bytes;
}

/* Both sides must agree on every place, so a context that is too short counts as zeros. */
static inline size_t class_at(const struct mth_bytes *context, size_t i)
{
    return i < context->n_bytes ? context->data[i] >> CLASS_SHIFT : 0;
}

/* ---- a model is a table for each class ---- */

static void build_model(const struct range0_counts *counts, size_t n_classes, struct range0_model *model)
{
    model->n_classes = n_classes;
    for (size_t c = 0; c < n_classes; c++)
        table_build(counts->n[c], &model->classes[c]);
}

static size_t tables_bytes(const struct range0_model *model)
{
    size_t n = 0;
    for (size_t c = 0; c < model->n_classes; c++)
        n += table_bytes(&model->classes[c]);
    return n;
}

/* Shape: out has tables_bytes(model). */
static void write_tables(const struct range0_model *model, uint8_t *out)
{
    for (size_t c = 0; c < model->n_classes; c++)
        out = table_write(&model->classes[c], out);
}

static int read_tables(const uint8_t **at, const uint8_t *end, size_t n_classes, struct range0_model *model)
{
    model->n_classes = n_classes;
    for (size_t c = 0; c < n_classes; c++) {
        int status = table_read(at, end, &model->classes[c]);
        if (status)
            return status;
    }
    return MTH_OK;
}

/* ---- models: tables that chunks share ---- */

static void model_count(const int64_t *values, const struct mth_bytes *stream,
                        const struct mth_context *context, void *opaque)
{
    struct range0_counts *counts = opaque;
    struct mth_bytes classes = class_bytes(values, context);
    for (size_t i = 0; i < stream->n_bytes; i++)
        counts->n[class_at(&classes, i)][stream->data[i]]++;
}

static void model_merge(void *into, const void *from)
{
    struct range0_counts *a = into;
    const struct range0_counts *b = from;
    for (size_t c = 0; c < MAX_CLASSES; c++) {
        for (size_t s = 0; s < N_SYMBOLS; s++)
            a->n[c][s] += b->n[c][s];
    }
}

static int model_build(const int64_t *values, const void *opaque, void *model)
{
    const struct range0_counts *counts = opaque;
    build_model(counts, n_classes_of(values), model);
    for (size_t c = 0; c < n_classes_of(values); c++) {
        if (table_occurs(&((struct range0_model *)model)->classes[c]))
            return MTH_OK;
    }
    return MTH_ERR_UNSUPPORTED;
}

static int model_write(const void *model, struct mth_buffer *out)
{
    size_t n = tables_bytes(model);
    if (n > out->capacity_bytes)
        return MTH_ERR_CAPACITY;
    write_tables(model, out->data);
    out->n_bytes = n;
    return MTH_OK;
}

static int model_read(const int64_t *values, struct mth_bytes wire, void *model)
{
    if (wire.n_bytes == 0)
        return MTH_ERR_CORRUPT;
    const uint8_t *at = wire.data, *end = wire.data + wire.n_bytes;
    int status = read_tables(&at, end, n_classes_of(values), model);
    return status ? status : at == end ? MTH_OK : MTH_ERR_CORRUPT;
}

static const struct mth_model_ops models = {
    .counts_bytes = sizeof(struct range0_counts),
    .model_bytes = sizeof(struct range0_model),
    .wire_bound = MAX_CLASSES * (TABLE_HEAD_BYTES + N_SYMBOLS * TABLE_ENTRY_BYTES),
    .count = model_count,
    .merge = model_merge,
    .build = model_build,
    .write = model_write,
    .read = model_read,
};

/* ---- the codec ---- */

/* Raw is the worst case. The 1 also keeps an empty stream apart from "can not". */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return src_bytes == SIZE_MAX ? 0 : src_bytes + 1;
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)sides;
    struct range0_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    memcpy(state->options, values, sizeof state->options);
    *out = state;
    return MTH_OK;
}

static void destroy(void *opaque)
{
    struct range0_state *state = opaque;
    if (state)
        mth_memory_free(state->memory, state);
}

/* Does the model have a slot for everything that occurs? One built from a sample may not. */
static bool covers(const struct range0_model *model, const struct range0_counts *counts)
{
    for (size_t c = 0; c < model->n_classes; c++) {
        for (size_t s = 0; s < N_SYMBOLS; s++) {
            if (counts->n[c][s] && !model->classes[c].freq[s])
                return false;
        }
    }
    return true;
}

/*
 * Code src backwards from end on; returns the start of the payload, or NULL when it would pass begin.
 *
 * Requires  the model covers src
 * Cost      one division a symbol
 */
static uint8_t *code_payload(const struct range0_model *model, const struct mth_bytes *src,
                             const struct mth_bytes *classes, uint8_t *begin, uint8_t *end)
{
    uint32_t x = STATE_LOW;
    uint8_t *p = end;
    for (size_t i = src->n_bytes; i-- > 0;) {
        const struct range0_table *table = &model->classes[class_at(classes, i)];
        uint32_t freq = table->freq[src->data[i]], start = table->start[src->data[i]];
        /* Below this the next state stays under 2^31: (x / freq) * 2^12 + ... < 2^31 when x < freq * 2^19. */
        uint32_t limit = freq << (31 - FREQ_BITS);
        while (x >= limit) {
            if (p == begin)
                return NULL;
            *--p = (uint8_t)x;
            x >>= 8;
        }
        x = (x / freq << FREQ_BITS) + start + x % freq;
    }
    if (p - begin < STATE_BYTES)
        return NULL;
    p -= STATE_BYTES;
    mth_store32(p, x);
    return p;
}

/* Code src into the end of dst[0 .. n_dst) with the job's model if it covers src, else with tables of its
 * own. */
static bool encode_coded(struct range0_state *state, struct mth_encode_job *job, size_t n_dst)
{
    const struct range0_model *model = job->model;
    bool shared = model && model->n_classes == n_classes_of(state->options) && covers(model, &state->counts);
    if (!shared) {
        build_model(&state->counts, n_classes_of(state->options), &state->models[0]);
        model = &state->models[0];
    }
    size_t n_head = 1 + (shared ? 0 : tables_bytes(model));
    if (n_head > n_dst)
        return false;
    struct mth_bytes classes = class_bytes(state->options, &job->context);
    uint8_t *end = job->dst + n_dst;
    uint8_t *payload = code_payload(model, &job->src, &classes, job->dst + n_head, end);
    if (!payload)
        return false;
    uint8_t *head = payload - n_head;
    head[0] = shared ? MODE_SHARED : MODE_INLINE;
    if (!shared)
        write_tables(model, head + 1);
    job->out = (struct mth_bytes){head, (size_t)(end - head)};
    return true;
}

static int encode_raw(struct mth_encode_job *job)
{
    if (job->dst_capacity < job->src.n_bytes + 1)
        return MTH_ERR_CAPACITY;
    job->dst[0] = MODE_RAW;
    memcpy(job->dst + 1, job->src.data, job->src.n_bytes);
    job->out = (struct mth_bytes){job->dst, job->src.n_bytes + 1};
    return MTH_OK;
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct range0_state *state = opaque;
    size_t n = job->src.n_bytes;
    if (n == 0) {
        job->out = (struct mth_bytes){job->dst, 0};
        return MTH_OK;
    }
    memset(&state->counts, 0, sizeof state->counts);
    model_count(state->options, &job->src, &job->context, &state->counts);
    /* What does not fit in as many bytes as raw takes goes raw. */
    return encode_coded(state, job, mth_size_min(job->dst_capacity, n + 1)) ? MTH_OK : encode_raw(job);
}

/* One stream on its way through the decoder. */
struct lane {
    const struct range0_model *model;
    struct mth_bytes classes;
    const uint8_t *in, *in_end;
    uint8_t *dst;
    size_t at, n; /* decoded, in all; equal for a stream that needs no decoding any more */
    uint32_t x;
    bool coded;
};

/* Read what stands before the payload. A raw stream is finished here. */
static int open_lane(struct range0_state *state, const struct mth_decode_job *job, struct range0_model *own,
                     struct lane *lane)
{
    *lane = (struct lane){.dst = job->dst, .n = job->dst_bytes, .at = job->dst_bytes};
    const uint8_t *in = job->src.data;
    size_t n_in = job->src.n_bytes;
    if (job->dst_bytes == 0)
        return n_in == 0 ? MTH_OK : MTH_ERR_CORRUPT;
    if (n_in == 0)
        return MTH_ERR_CORRUPT;
    const uint8_t *end = in + n_in;
    unsigned mode = *in++;
    if (mode == MODE_RAW) {
        if (n_in - 1 != job->dst_bytes)
            return MTH_ERR_CORRUPT;
        memcpy(job->dst, in, job->dst_bytes);
        return MTH_OK;
    }
    lane->model = job->model;
    if (mode == MODE_INLINE) {
        lane->model = own;
        int status = read_tables(&in, end, n_classes_of(state->options), own);
        if (status)
            return status;
    } else if (mode != MODE_SHARED || !job->model) {
        return MTH_ERR_CORRUPT;
    }
    if (end - in < STATE_BYTES || lane->model->n_classes != n_classes_of(state->options))
        return MTH_ERR_CORRUPT;
    lane->x = mth_load32(in);
    if (lane->x < STATE_LOW || lane->x >> 31)
        return MTH_ERR_CORRUPT;
    lane->classes = class_bytes(state->options, &job->context);
    lane->in = in + STATE_BYTES;
    lane->in_end = end;
    lane->at = 0;
    lane->coded = true;
    return MTH_OK;
}

/* Decode one symbol; false when the input ran out. Requires lane->at < lane->n. */
static inline bool step(struct lane *lane)
{
    const struct range0_table *table = &lane->model->classes[class_at(&lane->classes, lane->at)];
    uint32_t slot = lane->x % N_SLOTS;
    uint8_t symbol = table->symbol[slot];
    /* At most 2^12 * (2^31 / 2^12) + 2^12: it fits. A class without symbols has freq 0 and soon runs out of
     * input. */
    uint32_t x = table->freq[symbol] * (lane->x >> FREQ_BITS) + slot - table->start[symbol];
    while (x < STATE_LOW) {
        if (lane->in == lane->in_end)
            return false;
        x = x << 8 | *lane->in++;
    }
    lane->x = x;
    lane->dst[lane->at++] = symbol;
    return true;
}

static int close_lane(const struct lane *lane)
{
    if (lane->coded && (lane->x != STATE_LOW || lane->in != lane->in_end))
        return MTH_ERR_CORRUPT;
    return MTH_OK;
}

/* Two streams in turns: while one waits for its table, the other computes. Lanes are copied so that they stay
 * in registers. */
static int run_lanes(struct lane a, struct lane b)
{
    while (a.at < a.n && b.at < b.n) {
        if (!step(&a) || !step(&b))
            return MTH_ERR_CORRUPT;
    }
    while (a.at < a.n) {
        if (!step(&a))
            return MTH_ERR_CORRUPT;
    }
    while (b.at < b.n) {
        if (!step(&b))
            return MTH_ERR_CORRUPT;
    }
    int status = close_lane(&a);
    return status ? status : close_lane(&b);
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    struct range0_state *state = opaque;
    for (size_t i = 0; i < n_jobs; i += LANES) {
        struct lane lanes[LANES] = {{0}};
        for (size_t k = 0; k < LANES && i + k < n_jobs; k++) {
            int status = open_lane(state, &jobs[i + k], &state->models[k], &lanes[k]);
            if (status)
                return status;
        }
        int status = run_lanes(lanes[0], lanes[1]);
        if (status)
            return status;
    }
    return MTH_OK;
}

static int uses_context(const int64_t *values)
{
    return values[OPTION_CONTEXT] != 0;
}

static const struct mth_codec codec_range0 = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "range0",
    .summary = "example plug-in: static order-0 rANS over bytes",
    .flags = MTH_CODEC_CONTEXT | MTH_CODEC_INTERLEAVES,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
    .models = &models,
    .uses_context = uses_context,
};

/* ---- what the loader looks for ---- */

static const struct mth_codec *const codecs[] = {&codec_range0};

extern const struct mth_plugin mth_plugin;
const struct mth_plugin mth_plugin = {
    .abi = MTH_PLUGIN_ABI,
    .codecs = codecs,
    .n_codecs = sizeof codecs / sizeof codecs[0],
};
