/* Codes of the huffman codec; see huffman_code.h. */
#include "codecs/huffman/huffman_code.h"

#include <string.h>

enum {
    SYMBOL_BITS = 8,
    WORD_LENGTH_BITS = 8,              /* of a codeword's entry, below its code */
    FULL = 1 << MTH_HUFFMAN_MAX_LENGTH /* the sum of 2^(MAX_LENGTH - length) over a complete code */
};

/* ---- lengths ---- */

/*
 * Leaves by count, then symbol: both in one number. A merge sort from the bottom up, in runs of 1, 2, 4 ..
 */
static uint64_t *sort_leaves(const uint64_t counts[MTH_HUFFMAN_SYMBOLS],
                             uint64_t leaf[2][MTH_HUFFMAN_SYMBOLS], size_t *n_leaves)
{
    uint64_t *from = leaf[0], *to = leaf[1];
    size_t n = 0;
    for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++) {
        if (counts[s])
            from[n++] = counts[s] << SYMBOL_BITS | s;
    }
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run) {
            size_t a = at, a_end = at + run < n ? at + run : n;
            size_t b = a_end, b_end = at + 2 * run < n ? at + 2 * run : n;
            for (size_t i = at; i < b_end; i++)
                to[i] = b == b_end || (a < a_end && from[a] < from[b]) ? from[a++] : from[b++];
        }
        uint64_t *swapped = from;
        from = to;
        to = swapped;
    }
    *n_leaves = n;
    return from;
}

/*
 * A symbol of length l is l coins, of face values 2^-1 .. 2^-l, that weigh its count each; the lengths wanted are those of
 * the lightest coins worth n - 1. List d, from the smallest face value up, holds the leaves' coins merged with pairs of list
 * d - 1. The 2n - 2 lightest of the last list are the answer: the leaves among them get a bit each, and the pairs are
 * so many of the list before.
 */
void mth_huffman_code_build(const uint64_t counts[MTH_HUFFMAN_SYMBOLS],
                            struct mth_huffman_workspace *workspace, struct mth_huffman_code *code)
{
    size_t n_leaves;
    const uint64_t *leaf = sort_leaves(counts, workspace->leaf, &n_leaves);
    size_t n_before = 0;
    for (unsigned d = 0; d < MTH_HUFFMAN_MAX_LENGTH; d++) {
        const uint64_t *before = workspace->weight[d % 2];
        uint64_t *list = workspace->weight[(d + 1) % 2];
        size_t n_pairs = n_before / 2, n = 0, i = 0, p = 0;
        while (i < n_leaves || p < n_pairs) {
            uint64_t pair = p < n_pairs ? before[2 * p] + before[2 * p + 1] : UINT64_MAX;
            bool is_leaf = i < n_leaves && leaf[i] >> SYMBOL_BITS <= pair;
            workspace->is_leaf[d][n] = is_leaf;
            list[n++] = is_leaf ? leaf[i] >> SYMBOL_BITS : pair;
            i += is_leaf;
            p += !is_leaf;
        }
        n_before = n;
    }
    memset(code->length, 0, sizeof code->length);
    size_t n_taken = 2 * n_leaves - 2;
    for (unsigned d = MTH_HUFFMAN_MAX_LENGTH; d-- > 0 && n_taken > 0;) {
        size_t n_leaves_taken = 0;
        for (size_t i = 0; i < n_taken; i++)
            n_leaves_taken += workspace->is_leaf[d][i];
        for (size_t i = 0; i < n_leaves_taken; i++)
            code->length[leaf[i] & 0xff]++;
        n_taken = 2 * (n_taken - n_leaves_taken);
    }
}

unsigned mth_huffman_code_width(const struct mth_huffman_code *code)
{
    unsigned width = 0;
    for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++)
        width = code->length[s] > width ? code->length[s] : width;
    return width;
}

/* ---- the wire form ---- */

/*
 * Tokens, from symbol 0 on, until the code is complete. prev: the length of the last present symbol, at first MAX_LENGTH.
 *
 *     0              present, as long as prev
 *     10             present, prev - 1
 *     110            present, prev + 1
 *     1110 vvvv      v = 0: absent; else present, v
 *     1111 rrrrrrrr  r + 1 absent ones
 */
enum { TOKEN_SAME = 0, TOKEN_LESS = 2, TOKEN_MORE = 6, TOKEN_LENGTH = 14, TOKEN_ABSENT = 15 };
enum { NO_LENGTH = 15 };

struct bit_writer {
    uint8_t *out; /* NULL: only counts */
    size_t n_bits;
};

static void put(struct bit_writer *w, unsigned value, unsigned n_bits)
{
    for (unsigned i = n_bits; i-- > 0; w->n_bits++) {
        if (!w->out)
            continue;
        uint8_t *byte = w->out + w->n_bits / 8;
        if (w->n_bits % 8 == 0)
            *byte = 0;
        *byte = (uint8_t)(*byte | (value >> i & 1) << (7 - w->n_bits % 8));
    }
}

static void put_absent(struct bit_writer *w, size_t n)
{
    if (n == 1) {
        put(w, TOKEN_LENGTH, 4);
        put(w, 0, 4);
    } else if (n > 1) {
        put(w, TOKEN_ABSENT, 4);
        put(w, (unsigned)(n - 1), 8);
    }
}

size_t mth_huffman_code_write(const struct mth_huffman_code *code, uint8_t *out)
{
    struct bit_writer w = {out, 0};
    unsigned prev = MTH_HUFFMAN_MAX_LENGTH;
    size_t n_absent = 0;
    for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++) {
        unsigned length = code->length[s];
        if (length == 0) {
            n_absent++;
            continue;
        }
        put_absent(&w, n_absent);
        n_absent = 0;
        if (length == prev) {
            put(&w, TOKEN_SAME, 1);
        } else if (length + 1 == prev) {
            put(&w, TOKEN_LESS, 2);
        } else if (length == prev + 1) {
            put(&w, TOKEN_MORE, 3);
        } else {
            put(&w, TOKEN_LENGTH, 4);
            put(&w, length, 4);
        }
        prev = length;
    }
    return (w.n_bits + 7) / 8;
}

struct bit_reader {
    const uint8_t *src;
    size_t n_bits, at; /* at may pass n_bits: what lies there reads as 0 */
};

static unsigned get(struct bit_reader *r, unsigned n_bits)
{
    unsigned value = 0;
    for (unsigned i = 0; i < n_bits; i++, r->at++)
        value = value << 1 | (r->at < r->n_bits ? (unsigned)r->src[r->at / 8] >> (7 - r->at % 8) & 1u : 0);
    return value;
}

/* Reads a token: a length (present), or 0 and how many symbols are absent. */
static unsigned get_token(struct bit_reader *r, unsigned prev, size_t *n_absent)
{
    *n_absent = 1;
    if (get(r, 1) == 0)
        return prev;
    if (get(r, 1) == 0)
        return prev > 1 ? prev - 1 : NO_LENGTH;
    if (get(r, 1) == 0)
        return prev + 1;
    if (get(r, 1) == 0)
        return get(r, 4);
    *n_absent = get(r, 8) + 1;
    return 0;
}

size_t mth_huffman_code_read(const uint8_t *src, size_t n_src, struct mth_huffman_code *code)
{
    struct bit_reader r = {src, 8 * (n_src < MTH_HUFFMAN_CODE_BYTES ? n_src : MTH_HUFFMAN_CODE_BYTES), 0};
    unsigned prev = MTH_HUFFMAN_MAX_LENGTH, sum = 0;
    memset(code->length, 0, sizeof code->length);
    for (size_t s = 0; sum < FULL;) {
        size_t n_absent;
        unsigned length = get_token(&r, prev, &n_absent);
        if (r.at > r.n_bits || length > MTH_HUFFMAN_MAX_LENGTH)
            return 0;
        if (length == 0) {
            s += n_absent;
            continue;
        }
        if (s >= MTH_HUFFMAN_SYMBOLS)
            return 0;
        code->length[s++] = (uint8_t)length;
        prev = length;
        sum += (unsigned)FULL >> length;
    }
    if (sum != FULL || get(&r, (unsigned)(-r.at & 7)) != 0)
        return 0;
    return r.at / 8;
}

/* ---- tables ---- */

/* Canonical: shorter codes are smaller, among those of a length the lower symbol's. The symbols in that order; their number. */
static size_t order_symbols(const struct mth_huffman_code *code, uint8_t order[MTH_HUFFMAN_SYMBOLS])
{
    size_t start[MTH_HUFFMAN_MAX_LENGTH + 2] = {0}, n = 0;
    for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++)
        start[code->length[s] + 1]++;
    n = MTH_HUFFMAN_SYMBOLS - start[1];
    start[1] = 0;
    for (size_t l = 1; l <= MTH_HUFFMAN_MAX_LENGTH; l++)
        start[l + 1] += start[l];
    for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++) {
        if (code->length[s])
            order[start[code->length[s]]++] = (uint8_t)s;
    }
    return n;
}

void mth_huffman_codewords(const struct mth_huffman_code *code, uint32_t words[MTH_HUFFMAN_SYMBOLS])
{
    uint8_t order[MTH_HUFFMAN_SYMBOLS];
    size_t n = order_symbols(code, order);
    uint32_t next = 0; /* the next code, at the top of MAX_LENGTH bits */
    memset(words, 0, MTH_HUFFMAN_SYMBOLS * sizeof words[0]);
    for (size_t i = 0; i < n; i++) {
        unsigned length = code->length[order[i]];
        words[order[i]] = next >> (MTH_HUFFMAN_MAX_LENGTH - length) << WORD_LENGTH_BITS | length;
        next += (uint32_t)(FULL >> length);
    }
}

void mth_huffman_pair_codewords(const struct mth_huffman_code *code,
                                const uint32_t words[MTH_HUFFMAN_SYMBOLS], uint32_t *pairs)
{
    uint8_t present[MTH_HUFFMAN_SYMBOLS];
    size_t n = 0;
    for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++) {
        if (code->length[s])
            present[n++] = (uint8_t)s;
    }
    for (size_t j = 0; j < n; j++) {
        uint32_t second = words[present[j]], length = second & 0xff;
        uint32_t *row = pairs + ((size_t)present[j] << SYMBOL_BITS);
        for (size_t i = 0; i < n; i++) {
            uint32_t first = words[present[i]];
            row[present[i]] = (first >> WORD_LENGTH_BITS << length | second >> WORD_LENGTH_BITS)
                                  << WORD_LENGTH_BITS |
                              ((first & 0xff) + length);
        }
    }
}

enum { ENTRY_LENGTH_SHIFT = 48, ENTRY_COUNT_SHIFT = 56 };

#define MTH_ENTRY_SYMBOLS (((uint64_t)1 << ENTRY_LENGTH_SHIFT) - 1)

/* Put a symbol before those of an entry that has room for it. */
static inline uint64_t prepend(uint64_t entry, uint64_t head)
{
    return ((entry & MTH_ENTRY_SYMBOLS) << SYMBOL_BITS | (entry & ~MTH_ENTRY_SYMBOLS)) + head;
}

/* The same when it has six already: the last one goes. */
static uint64_t prepend_full(uint64_t entry, uint64_t head, const uint8_t *lengths)
{
    uint64_t last = entry >> (ENTRY_LENGTH_SHIFT - SYMBOL_BITS) & 0xff;
    entry &= ~((uint64_t)0xff << (ENTRY_LENGTH_SHIFT - SYMBOL_BITS));
    entry -= (uint64_t)1 << ENTRY_COUNT_SHIFT | (uint64_t)lengths[last] << ENTRY_LENGTH_SHIFT;
    return prepend(entry, head);
}

/*
 * What k bits hold begins with a symbol of length l and goes on with what k - l bits hold: the tables of all k up to width
 * follow from each other, each a run of copies. They lie behind each other: 2^k entries from 2^k on. Where the first symbol
 * does not fit in k bits an entry is 0. The last one goes to out.
 */
void mth_huffman_table_build(const struct mth_huffman_code *code, unsigned width, uint64_t *scratch,
                             struct mth_huffman_table *table)
{
    uint8_t order[MTH_HUFFMAN_SYMBOLS];
    size_t n = order_symbols(code, order);
    bool may_fill = code->length[order[0]] * (MTH_HUFFMAN_ENTRY_SYMBOLS + 1) <= (int)width;
    table->code = *code;
    table->width = width;
    scratch[1] = 0; /* nothing in no bits */
    for (unsigned k = 1; k <= width; k++) {
        uint64_t *out = k == width ? table->entry : scratch + ((size_t)1 << k);
        uint64_t *end = out + ((size_t)1 << k);
        for (size_t i = 0; i < n && code->length[order[i]] <= k; i++) {
            unsigned length = code->length[order[i]];
            const uint64_t *rest = scratch + ((size_t)1 << (k - length));
            size_t n_rest = (size_t)1 << (k - length);
            uint64_t head =
                (uint64_t)1 << ENTRY_COUNT_SHIFT | (uint64_t)length << ENTRY_LENGTH_SHIFT | order[i];
            if (may_fill) {
                for (size_t u = 0; u < n_rest; u++)
                    out[u] = rest[u] >> ENTRY_COUNT_SHIFT == MTH_HUFFMAN_ENTRY_SYMBOLS
                                 ? prepend_full(rest[u], head, code->length)
                                 : prepend(rest[u], head);
            } else {
                for (size_t u = 0; u < n_rest; u++)
                    out[u] = prepend(rest[u], head);
            }
            out += n_rest;
        }
        while (out < end)
            *out++ = 0;
    }
}
