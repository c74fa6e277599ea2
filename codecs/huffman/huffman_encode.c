/*
 * Encoding blocks; see huffman_block.h. Each is planned first - its form, its code, its size to the byte - and then
 * written.
 */
#include "codecs/huffman/huffman_block.h"

#include "base/checked.h"
#include "base/status.h"

#include <string.h>

enum {
    PAIRS = 1 << 16,
    /* Coding by pairs saves a quarter of a nanosecond a symbol, an entry of their table costs a whole one. */
    SYMBOLS_PER_PAIR = 8
};

struct mth_huffman_encoder {
    struct mth_huffman_settings settings;
    const struct mth_huffman_kernel *kernel;
    uint32_t counts[MTH_BYTE_QUARTERS][MTH_BYTE_VALUES];
    struct mth_huffman_workspace workspace;
    struct mth_huffman_code last; /* brought by an earlier block of the stream, if has_last */
    bool has_last;
    struct mth_huffman_code paired; /* what pairs was made of; all absent at first */
    uint32_t *pairs;
    uint32_t *gaps;     /* of a sparse block: before each exception, and one place more to write to */
    uint8_t *gap_bytes; /* their high parts */
    uint8_t *values;
};

/* What a block will be. */
struct plan {
    unsigned form;
    size_t n_bytes;
    uint8_t symbol; /* constant: the only one; sparse: the most frequent */
    size_t n_streams;
    size_t code_bytes;
    size_t sizes[MTH_HUFFMAN_MAX_STREAMS];
    struct mth_huffman_code code;
};

struct mth_huffman_encoder *mth_huffman_encoder_create(struct mth_memory *memory,
                                                       const struct mth_huffman_settings *settings,
                                                       const struct mth_huffman_kernel *kernel)
{
    struct mth_huffman_encoder *encoder = mth_memory_calloc(memory, 1, sizeof *encoder);
    if (!encoder)
        return NULL;
    encoder->settings = *settings;
    encoder->kernel = kernel;
    encoder->pairs = mth_memory_alloc(memory, PAIRS * sizeof *encoder->pairs);
    size_t n_exceptions = mth_huffman_max_exceptions(settings->block_bytes);
    encoder->gaps = mth_memory_alloc(memory, (n_exceptions + 1) * sizeof *encoder->gaps);
    encoder->gap_bytes = mth_memory_alloc(memory, mth_huffman_max_gap_bytes(settings->block_bytes));
    encoder->values = mth_memory_alloc(memory, n_exceptions);
    if (encoder->pairs && encoder->gaps && encoder->gap_bytes && encoder->values)
        return encoder;
    mth_huffman_encoder_destroy(memory, encoder);
    return NULL;
}

void mth_huffman_encoder_destroy(struct mth_memory *memory, struct mth_huffman_encoder *encoder)
{
    if (!encoder)
        return;
    mth_memory_free(memory, encoder->pairs);
    mth_memory_free(memory, encoder->gaps);
    mth_memory_free(memory, encoder->gap_bytes);
    mth_memory_free(memory, encoder->values);
    mth_memory_free(memory, encoder);
}

/* ---- planning ---- */

/* Sizes of the streams under a code; false when a symbol that occurs is absent from it. */
static bool measure(const uint32_t counts[MTH_BYTE_QUARTERS][MTH_BYTE_VALUES],
                    const struct mth_huffman_code *code, struct plan *plan)
{
    uint64_t n_bits[MTH_BYTE_QUARTERS] = {0};
    uint32_t n_absent = 0;
    for (size_t q = 0; q < MTH_BYTE_QUARTERS; q++) {
        uint32_t bits = 0; /* a block has below 2^21 symbols of at most 11 bits */
        for (size_t v = 0; v < MTH_BYTE_VALUES; v++) {
            bits += counts[q][v] * code->length[v];
            n_absent |= code->length[v] ? 0 : counts[q][v];
        }
        n_bits[q] = bits;
    }
    if (plan->n_streams == 1)
        n_bits[0] += n_bits[1] + n_bits[2] + n_bits[3];
    for (size_t q = 0; q < plan->n_streams; q++)
        plan->sizes[q] = (size_t)(n_bits[q] + 8) / 8; /* with the 1 that ends a stream */
    return n_absent == 0;
}

static void take_code(const struct mth_huffman_encoder *encoder, unsigned form,
                      const struct mth_huffman_code *code, size_t n, struct plan *best)
{
    struct plan plan = {.form = form, .n_streams = n < MTH_HUFFMAN_MIN_FOUR ? 1 : MTH_HUFFMAN_MAX_STREAMS};
    if (!measure(encoder->counts, code, &plan))
        return;
    plan.code_bytes = form == MTH_HUFFMAN_OWN_CODE ? mth_huffman_code_write(code, NULL) : 0;
    plan.n_bytes = 1 + plan.code_bytes + (plan.n_streams - 1) * mth_huffman_size_width(n) + plan.sizes[0] +
                   plan.sizes[1] + plan.sizes[2] + plan.sizes[3];
    if (plan.n_bytes >= best->n_bytes)
        return;
    plan.code = *code;
    *best = plan;
}

/* Counts a block. Returns how many symbols occur; *most: the most frequent one, the lowest of them. */
static size_t count(struct mth_huffman_encoder *encoder, const uint8_t *src, size_t n,
                    uint64_t totals[MTH_BYTE_VALUES], uint8_t *most)
{
    size_t n_present = 0;
    mth_byte_histogram_quarters(src, n, encoder->counts);
    *most = 0;
    for (size_t v = 0; v < MTH_BYTE_VALUES; v++) {
        totals[v] = (uint64_t)encoder->counts[0][v] + encoder->counts[1][v] + encoder->counts[2][v] +
                    encoder->counts[3][v];
        n_present += totals[v] > 0;
        if (totals[v] > totals[*most])
            *most = (uint8_t)v;
    }
    return n_present;
}

/*
 * Is there too little to gain for a code to be made? A symbol's entropy is at least that of order 2 (A. Renyi, "On measures
 * of entropy and information", 1961): 8 - log2(1 + e) bits, where the squares of all counts sum up to n * n * (1 + e) / 256. With e
 * below 0.008 a code takes 0.15 % off at most, its own bytes not counted, and makes decoding many times slower. With e below
 * 0.055 p it takes less than p percent off.
 */
static bool is_random(const struct mth_huffman_settings *settings, const uint64_t totals[MTH_BYTE_VALUES],
                      size_t n)
{
    uint64_t squares = 0, excess = 55 * settings->gain_percent;
    for (size_t v = 0; v < MTH_BYTE_VALUES; v++)
        squares += totals[v] * totals[v];
    return squares * MTH_BYTE_VALUES * 1000 <= (uint64_t)n * n * (1000 + (excess > 8 ? excess : 8));
}

/* Raw, constant, or a code. Codes that others brought come first: of equals they win, and cost no new table. */
static void plan_plain(struct mth_huffman_encoder *encoder, const uint8_t *src, size_t n,
                       const struct mth_huffman_code *model, const struct mth_huffman_code *last,
                       struct plan *plan, size_t *n_most)
{
    uint64_t totals[MTH_BYTE_VALUES];
    struct mth_huffman_code own;
    uint8_t most;
    size_t n_present = count(encoder, src, n, totals, &most);
    *n_most = (size_t)totals[most];
    *plan = (struct plan){.form = MTH_HUFFMAN_RAW, .n_bytes = 1 + n};
    if (n_present == 1) {
        *plan = (struct plan){
            .form = MTH_HUFFMAN_CONSTANT, .n_bytes = 2 + mth_huffman_size_width(n), .symbol = most};
        return;
    }
    if (is_random(&encoder->settings, totals, n))
        return;
    if (model)
        take_code(encoder, MTH_HUFFMAN_MODEL_CODE, model, n, plan);
    if (last)
        take_code(encoder, MTH_HUFFMAN_LAST_CODE, last, n, plan);
    mth_huffman_code_build(totals, &encoder->workspace, &own);
    take_code(encoder, MTH_HUFFMAN_OWN_CODE, &own, n, plan);
    plan->symbol = most;
}

/* ---- sparse blocks: what differs from the most frequent symbol, and the gaps between ---- */

struct sparse {
    size_t n_exceptions, n_gap_bytes;
    unsigned n_low_bits;
    struct plan gaps, values;
};

/*
 * Exceptions and the gaps before them. Where a word has any, each of its places is written and the next one goes over those
 * that were none: a branch a symbol would be mispredicted as often as there are exceptions.
 */
static size_t find_exceptions(struct mth_huffman_encoder *encoder, const uint8_t *src, size_t n, uint8_t most)
{
    uint64_t all_most = most * (UINT64_MAX / 0xff), word;
    uint32_t *places = encoder->gaps;
    size_t n_found = 0;
    for (size_t i = 0; i < n; i += sizeof word) {
        size_t n_step = mth_size_min(n - i, sizeof word);
        word = all_most;
        memcpy(&word, src + i, n_step);
        for (size_t k = 0; word != all_most && k < n_step; k++) {
            places[n_found] = (uint32_t)(i + k);
            n_found += src[i + k] != most;
        }
    }
    for (size_t i = 0; i < n_found; i++)
        encoder->values[i] = src[places[i]];
    for (size_t i = n_found; i-- > 1;)
        places[i] -= places[i - 1] + 1;
    return n_found;
}

/* The high parts of all gaps; returns their bytes. */
static size_t split_gaps(struct mth_huffman_encoder *encoder, size_t n_exceptions, unsigned n_low_bits)
{
    uint8_t *out = encoder->gap_bytes;
    for (size_t i = 0; i < n_exceptions; i++) {
        uint32_t high = encoder->gaps[i] >> n_low_bits;
        for (; high >= MTH_HUFFMAN_GAP_ESCAPE; high -= MTH_HUFFMAN_GAP_ESCAPE)
            *out++ = MTH_HUFFMAN_GAP_ESCAPE;
        *out++ = (uint8_t)high;
    }
    return (size_t)(out - encoder->gap_bytes);
}

/* Bytes of the gaps with so many low bits apart. */
static size_t plan_gaps(struct mth_huffman_encoder *encoder, unsigned n_low_bits, struct sparse *sparse)
{
    size_t n_most;
    sparse->n_low_bits = n_low_bits;
    sparse->n_gap_bytes = split_gaps(encoder, sparse->n_exceptions, n_low_bits);
    plan_plain(encoder, encoder->gap_bytes, sparse->n_gap_bytes, NULL, NULL, &sparse->gaps, &n_most);
    return sparse->gaps.n_bytes + mth_huffman_low_bytes(sparse->n_exceptions, n_low_bits);
}

/*
 * Are gaps short more often than if the exceptions had fallen by chance? Then a share of n_exceptions / n of them would be 0,
 * and of those below s about s times as many: with s an eighth of the mean, one in eight. Clusters have 1.6 times that.
 */
static bool are_clustered(const struct mth_huffman_encoder *encoder, size_t n, size_t n_exceptions)
{
    uint64_t short_gap = n / n_exceptions / 8, n_short = 0;
    if (short_gap == 0)
        short_gap = 1;
    for (size_t i = 0; i < n_exceptions; i++)
        n_short += encoder->gaps[i] < short_gap;
    return n_short * n * 5 > short_gap * n_exceptions * n_exceptions * 8;
}

/*
 * Where exceptions fall by chance, bits below half of the mean gap are random: coding them gains nothing and makes the
 * code long. Where they come in clusters it may gain, so fewer and fewer are tried.
 */
static size_t choose_gaps(struct mth_huffman_encoder *encoder, size_t n, struct sparse *sparse)
{
    unsigned n_low_bits = 0;
    /* 2^n_low_bits: a quarter to a half of the mean. */
    while (n_low_bits < MTH_HUFFMAN_MAX_LOW_BITS && sparse->n_exceptions << (n_low_bits + 2) <= n)
        n_low_bits++;
    size_t n_least = plan_gaps(encoder, n_low_bits, sparse);
    if (n_low_bits == 0 || !are_clustered(encoder, n, sparse->n_exceptions))
        return n_least;
    unsigned best = n_low_bits;
    for (unsigned low = n_low_bits; low > 0;) {
        low /= 2;
        size_t n_bytes = plan_gaps(encoder, low, sparse);
        if (n_bytes >= n_least)
            continue;
        n_least = n_bytes;
        best = low;
    }
    return sparse->n_low_bits == best ? n_least : plan_gaps(encoder, best, sparse);
}

static size_t sparse_head_bytes(size_t n)
{
    return 3 + 4 * mth_huffman_size_width(n);
}

static void plan_sparse(struct mth_huffman_encoder *encoder, const uint8_t *src, size_t n, struct plan *plan,
                        struct sparse *sparse)
{
    size_t n_most;
    *sparse = (struct sparse){.n_exceptions = find_exceptions(encoder, src, n, plan->symbol)};
    size_t n_bytes = sparse_head_bytes(n) + choose_gaps(encoder, n, sparse);
    plan_plain(encoder, encoder->values, sparse->n_exceptions, NULL, NULL, &sparse->values, &n_most);
    n_bytes += sparse->values.n_bytes;
    if (n_bytes < plan->n_bytes)
        *plan = (struct plan){.form = MTH_HUFFMAN_SPARSE, .n_bytes = n_bytes, .symbol = plan->symbol};
}

/* ---- writing ---- */

static uint8_t *put_size(uint8_t *out, size_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        *out++ = (uint8_t)(value >> 8 * i);
    return out;
}

/* The table of pairs for a code, NULL when it does not pay. */
static const uint32_t *pairs_of(struct mth_huffman_encoder *encoder, const struct mth_huffman_code *code,
                                const uint32_t *words, size_t n)
{
    size_t n_present = 0;
    if (memcmp(&encoder->paired, code, sizeof *code) == 0)
        return encoder->pairs;
    for (size_t v = 0; v < MTH_BYTE_VALUES; v++)
        n_present += code->length[v] > 0;
    if (n_present * n_present * SYMBOLS_PER_PAIR > n)
        return NULL;
    mth_huffman_pair_codewords(code, words, encoder->pairs);
    encoder->paired = *code;
    return encoder->pairs;
}

static void write_coded(struct mth_huffman_encoder *encoder, const struct plan *plan, const uint8_t *src,
                        size_t n, uint8_t *out)
{
    uint32_t words[MTH_HUFFMAN_SYMBOLS];
    *out++ = (uint8_t)(plan->form | (plan->n_streams > 1 ? MTH_HUFFMAN_FOUR_STREAMS : 0));
    if (plan->form == MTH_HUFFMAN_OWN_CODE)
        out += mth_huffman_code_write(&plan->code, out);
    for (size_t s = 0; s + 1 < plan->n_streams; s++)
        out = put_size(out, plan->sizes[s], mth_huffman_size_width(n));
    mth_huffman_codewords(&plan->code, words);
    encoder->kernel->encode(src, n, words, pairs_of(encoder, &plan->code, words, n), plan->n_streams,
                            plan->sizes, out);
}

/* A block of any form but sparse. */
static void write_plain(struct mth_huffman_encoder *encoder, const struct plan *plan, const uint8_t *src,
                        size_t n, uint8_t *out)
{
    switch (plan->form) {
    case MTH_HUFFMAN_RAW:
        *out = MTH_HUFFMAN_RAW;
        memcpy(out + 1, src, n);
        return;
    case MTH_HUFFMAN_CONSTANT:
        out[0] = MTH_HUFFMAN_CONSTANT;
        out[1] = plan->symbol;
        put_size(out + 2, n, mth_huffman_size_width(n));
        return;
    default:
        write_coded(encoder, plan, src, n, out);
        return;
    }
}

/* The low parts of all gaps, without gaps between them. */
static void write_low_bits(const uint32_t *gaps, size_t n, unsigned n_low_bits, uint8_t *out)
{
    uint64_t bits = 0, mask = ((uint64_t)1 << n_low_bits) - 1;
    unsigned n_bits = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << n_low_bits | (gaps[i] & mask);
        for (n_bits += n_low_bits; n_bits >= 8; n_bits -= 8)
            *out++ = (uint8_t)(bits >> (n_bits - 8));
    }
    if (n_bits)
        *out = (uint8_t)(bits << (8 - n_bits));
}

static void write_sparse(struct mth_huffman_encoder *encoder, const struct plan *plan,
                         const struct sparse *sparse, size_t n, uint8_t *out)
{
    size_t width = mth_huffman_size_width(n);
    *out++ = MTH_HUFFMAN_SPARSE;
    *out++ = plan->symbol;
    out = put_size(out, n, width);
    out = put_size(out, sparse->n_exceptions, width);
    out = put_size(out, sparse->n_gap_bytes, width);
    out = put_size(out, sparse->gaps.n_bytes, width);
    *out++ = (uint8_t)sparse->n_low_bits;
    write_low_bits(encoder->gaps, sparse->n_exceptions, sparse->n_low_bits, out);
    out += mth_huffman_low_bytes(sparse->n_exceptions, sparse->n_low_bits);
    write_plain(encoder, &sparse->gaps, encoder->gap_bytes, sparse->n_gap_bytes, out);
    write_plain(encoder, &sparse->values, encoder->values, sparse->n_exceptions, out + sparse->gaps.n_bytes);
}

/* Does a block shrink by what the settings ask for? */
static bool pays(const struct mth_huffman_settings *settings, const struct plan *plan, size_t n)
{
    return plan->form == MTH_HUFFMAN_CONSTANT ||
           (uint64_t)plan->n_bytes * 100 <= (uint64_t)n * (100 - settings->gain_percent);
}

static int encode_block(struct mth_huffman_encoder *encoder, const uint8_t *src, size_t n,
                        const struct mth_huffman_code *model, uint8_t *dst, size_t capacity, size_t *n_dst)
{
    struct plan plan;
    struct sparse sparse = {0};
    size_t n_most;
    plan_plain(encoder, src, n, model, encoder->has_last ? &encoder->last : NULL, &plan, &n_most);
    if (encoder->settings.sparse && n_most < n && n - n_most <= mth_huffman_max_exceptions(n))
        plan_sparse(encoder, src, n, &plan, &sparse);
    if (!pays(&encoder->settings, &plan, n))
        plan = (struct plan){.form = MTH_HUFFMAN_RAW, .n_bytes = 1 + n};
    if (plan.n_bytes > capacity)
        return MTH_ERR_CAPACITY;
    if (plan.form == MTH_HUFFMAN_SPARSE)
        write_sparse(encoder, &plan, &sparse, n, dst);
    else
        write_plain(encoder, &plan, src, n, dst);
    if (plan.form == MTH_HUFFMAN_OWN_CODE) {
        encoder->last = plan.code;
        encoder->has_last = true;
    }
    *n_dst = plan.n_bytes;
    return MTH_OK;
}

int mth_huffman_encode(struct mth_huffman_encoder *encoder, const uint8_t *src, size_t n,
                       const struct mth_huffman_code *model, uint8_t *dst, size_t capacity, size_t *n_dst)
{
    size_t n_out = 0;
    encoder->has_last = false;
    for (size_t at = 0; at < n;) {
        size_t n_block = mth_size_min(n - at, encoder->settings.block_bytes), n_coded;
        size_t head = at + n_block < n ? MTH_HUFFMAN_SIZE_BYTES : 0;
        if (capacity - n_out < head)
            return MTH_ERR_CAPACITY;
        int status = encode_block(encoder, src + at, n_block, model, dst + n_out + head,
                                  capacity - n_out - head, &n_coded);
        if (status)
            return status;
        put_size(dst + n_out, n_coded, head);
        n_out += head + n_coded;
        at += n_block;
    }
    *n_dst = n_out;
    return MTH_OK;
}
