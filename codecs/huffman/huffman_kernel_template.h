/*
 * The loops of huffman_kernel.h. Included by one file for each instruction set, which defines MTH_HUFFMAN_KERNEL, the name
 * of its descriptor, and MTH_HUFFMAN_TARGET, the attribute its functions carry.
 *
 * Bits are taken from the highest of each byte down. Reader and writer keep a word in which the next bit is the highest
 * (reader) or the latest the lowest (writer), so that looking up is one shift.
 */
#include "codecs/huffman/huffman_kernel.h"

#include <string.h>

#define MTH_INLINE static inline __attribute__((always_inline)) MTH_HUFFMAN_TARGET

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define MTH_FROM_BIG(x)    (x)
#define MTH_FROM_LITTLE(x) __builtin_bswap64(x)
#else
#define MTH_FROM_BIG(x)    __builtin_bswap64(x)
#define MTH_FROM_LITTLE(x) (x)
#endif

enum {
    WORD_BYTES = 8,
    ENTRY_LENGTH_SHIFT = 48,
    ENTRY_COUNT_SHIFT = 56,
    ENTRY_MAX_COUNT = 6,
    /* A reader starts up to 7 bits into its word, and the lowest bit is a mark: 56 bits are left, 5 lookups of 11. */
    LOOKUPS = 5,
    ROUND_SYMBOLS = LOOKUPS * ENTRY_MAX_COUNT,
    ROUND_IN_BYTES = 7, /* floor((7 + 55) / 8) */
    /* The last store of a round writes a whole word where at most six symbols are due. */
    OUT_MARGIN = WORD_BYTES - ENTRY_MAX_COUNT,
    /* A code has a bit at least: while this many symbols are to come, a whole word can be written. */
    WORD_SYMBOLS = 64
};

MTH_INLINE uint64_t load_big(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return MTH_FROM_BIG(x);
}

MTH_INLINE void store_big(uint8_t *p, uint64_t x)
{
    x = MTH_FROM_BIG(x);
    memcpy(p, &x, sizeof x);
}

MTH_INLINE void store_little(uint8_t *p, uint64_t x)
{
    x = MTH_FROM_LITTLE(x);
    memcpy(p, &x, sizeof x);
}

/* ---- encoding ---- */

struct writer {
    uint64_t bits; /* the n_bits lowest are not yet written; what is above them is */
    size_t n_bits;
    uint8_t *out;
};

/* Writes the whole bytes. Requires 1 <= n_bits <= 64 and room for a word. */
MTH_INLINE void flush(struct writer *w)
{
    store_big(w->out, w->bits << ((64 - w->n_bits) & 63));
    w->out += w->n_bits >> 3;
    w->n_bits &= 7;
}

/* Four symbols, at most 44 bits after at most 7. */
MTH_INLINE void put4(struct writer *w, const uint8_t *src, const uint32_t *words)
{
    uint64_t a = words[src[0]], b = words[src[1]], c = words[src[2]], d = words[src[3]];
    w->n_bits += (uint8_t)(a + b + c + d);
    w->bits = w->bits << (a & 63) | a >> 8;
    w->bits = w->bits << (b & 63) | b >> 8;
    w->bits = w->bits << (c & 63) | c >> 8;
    w->bits = w->bits << (d & 63) | d >> 8;
    flush(w);
}

MTH_INLINE void put2pairs(struct writer *w, const uint8_t *src, const uint32_t *pairs)
{
    uint64_t a = pairs[src[0] | src[1] << 8], b = pairs[src[2] | src[3] << 8];
    w->n_bits += (uint8_t)(a + b);
    w->bits = w->bits << (a & 63) | a >> 8;
    w->bits = w->bits << (b & 63) | b >> 8;
    flush(w);
}

/* The last symbols of a stream, byte by byte, and the 1 that ends it. */
MTH_INLINE void finish(struct writer *w, const uint8_t *src, size_t n, const uint32_t *words)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t word = words[src[i]];
        w->bits = w->bits << (word & 63) | word >> 8;
        w->n_bits += (uint8_t)word;
        for (; w->n_bits >= 8; w->n_bits -= 8)
            *w->out++ = (uint8_t)(w->bits >> (w->n_bits - 8));
    }
    *w->out = (uint8_t)((w->bits << 1 | 1) << (7 - w->n_bits));
}

/* How many symbols of a stream of n can be put four at a time. */
MTH_INLINE size_t n_in_fours(size_t n)
{
    return n < WORD_SYMBOLS + 4 ? 0 : (n - WORD_SYMBOLS) / 4 * 4;
}

#define MTH_DEFINE_ENCODE(name, put)                                                                        \
    MTH_HUFFMAN_TARGET static void encode4_##name(const uint8_t *src, size_t n, const uint32_t *words,      \
                                                  const uint32_t *table, const size_t *sizes, uint8_t *out) \
    {                                                                                                       \
        const uint8_t *at[5];                                                                               \
        for (size_t s = 0; s <= 4; s++)                                                                     \
            at[s] = src + mth_huffman_stream_start(n, 4, s);                                                \
        const uint8_t *src0 = at[0], *src1 = at[1], *src2 = at[2], *src3 = at[3];                           \
        struct writer w0 = {0, 0, out}, w1 = {0, 0, out + sizes[0]}, w2 = {0, 0, w1.out + sizes[1]},        \
                      w3 = {0, 0, w2.out + sizes[2]};                                                       \
        size_t n_fast = n_in_fours((size_t)(at[4] - at[3]));                                                \
        for (size_t i = 0; i < n_fast; i += 4) {                                                            \
            put(&w0, src0 + i, table);                                                                      \
            put(&w1, src1 + i, table);                                                                      \
            put(&w2, src2 + i, table);                                                                      \
            put(&w3, src3 + i, table);                                                                      \
        }                                                                                                   \
        finish(&w0, src0 + n_fast, (size_t)(at[1] - src0) - n_fast, words);                                 \
        finish(&w1, src1 + n_fast, (size_t)(at[2] - src1) - n_fast, words);                                 \
        finish(&w2, src2 + n_fast, (size_t)(at[3] - src2) - n_fast, words);                                 \
        finish(&w3, src3 + n_fast, (size_t)(at[4] - src3) - n_fast, words);                                 \
    }                                                                                                       \
    MTH_HUFFMAN_TARGET static void encode1_##name(const uint8_t *src, size_t n, const uint32_t *words,      \
                                                  const uint32_t *table, uint8_t *out)                      \
    {                                                                                                       \
        struct writer w = {0, 0, out};                                                                      \
        size_t n_fast = n_in_fours(n);                                                                      \
        for (size_t i = 0; i < n_fast; i += 4)                                                              \
            put(&w, src + i, table);                                                                        \
        finish(&w, src + n_fast, n - n_fast, words);                                                        \
    }

MTH_DEFINE_ENCODE(singles, put4)
MTH_DEFINE_ENCODE(pairs, put2pairs)

MTH_HUFFMAN_TARGET static void encode(const uint8_t *src, size_t n, const uint32_t *words,
                                      const uint32_t *pairs, size_t n_streams, const size_t *sizes,
                                      uint8_t *out)
{
    if (n_streams == 4 && pairs)
        encode4_pairs(src, n, words, pairs, sizes, out);
    else if (n_streams == 4)
        encode4_singles(src, n, words, words, sizes, out);
    else if (pairs)
        encode1_pairs(src, n, words, pairs, out);
    else
        encode1_singles(src, n, words, words, out);
}

/* ---- decoding ---- */

/* Where a stream is: `skip` bits of *in are taken. */
struct stream {
    const uint8_t *in, *in_start, *in_end;
    unsigned skip;
    uint8_t *out, *out_end;
};

/*
 * A word of the stream with the next bit highest. Its lowest bit is set to 1 before taken bits are shifted out, so that
 * the zeros below the lowest 1 tell how many were: no counter is kept.
 */
MTH_INLINE uint64_t open_word(const uint8_t *in, unsigned skip)
{
    return (load_big(in) | 1) << skip;
}

#define MTH_LOOK_UP(bits, out)                         \
    do {                                               \
        uint64_t entry = entries[(bits) >> shift];     \
        store_little(out, entry);                      \
        (bits) <<= (entry >> ENTRY_LENGTH_SHIFT) & 63; \
        (out) += entry >> ENTRY_COUNT_SHIFT;           \
    } while (0)

#define MTH_REFILL(bits, in)                              \
    do {                                                  \
        unsigned taken = (unsigned)__builtin_ctzll(bits); \
        (in) += taken >> 3;                               \
        (bits) = open_word(in, taken & 7);                \
    } while (0)

MTH_INLINE size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rounds of LOOKUPS lookups that a stream can surely go. */
MTH_INLINE size_t n_rounds(const struct stream *s, const uint8_t *src_end)
{
    size_t n_in = (size_t)(src_end - s->in), n_out = (size_t)(s->out_end - s->out);
    if (s->in > src_end || n_in < WORD_BYTES || n_out < OUT_MARGIN)
        return 0;
    return min_size((n_in - WORD_BYTES) / ROUND_IN_BYTES, (n_out - OUT_MARGIN) / ROUND_SYMBOLS);
}

/* Rounds over four streams at a time, until one of them nears its end. src_end: of all streams. */
MTH_HUFFMAN_TARGET static void decode_fast4(const uint64_t *entries, unsigned width, struct stream *streams,
                                            const uint8_t *src_end)
{
    unsigned shift = 64 - width;
    const uint8_t *in0 = streams[0].in, *in1 = streams[1].in, *in2 = streams[2].in, *in3 = streams[3].in;
    uint8_t *out0 = streams[0].out, *out1 = streams[1].out, *out2 = streams[2].out, *out3 = streams[3].out;
    unsigned skip0 = streams[0].skip, skip1 = streams[1].skip, skip2 = streams[2].skip,
             skip3 = streams[3].skip;
    for (;;) {
        size_t n = n_rounds(&streams[0], src_end);
        for (size_t s = 1; s < 4; s++)
            n = min_size(n, n_rounds(&streams[s], src_end));
        if (n == 0)
            return;
        uint64_t bits0 = open_word(in0, skip0), bits1 = open_word(in1, skip1);
        uint64_t bits2 = open_word(in2, skip2), bits3 = open_word(in3, skip3);
        for (;;) {
            for (unsigned i = 0; i < LOOKUPS; i++) {
                MTH_LOOK_UP(bits0, out0);
                MTH_LOOK_UP(bits1, out1);
                MTH_LOOK_UP(bits2, out2);
                MTH_LOOK_UP(bits3, out3);
            }
            if (--n == 0)
                break;
            MTH_REFILL(bits0, in0);
            MTH_REFILL(bits1, in1);
            MTH_REFILL(bits2, in2);
            MTH_REFILL(bits3, in3);
        }
#define MTH_CLOSE(s)                                         \
    do {                                                     \
        unsigned taken = (unsigned)__builtin_ctzll(bits##s); \
        in##s += taken >> 3;                                 \
        skip##s = taken & 7;                                 \
        streams[s].in = in##s;                               \
        streams[s].skip = skip##s;                           \
        streams[s].out = out##s;                             \
    } while (0)
        MTH_CLOSE(0);
        MTH_CLOSE(1);
        MTH_CLOSE(2);
        MTH_CLOSE(3);
#undef MTH_CLOSE
    }
}

/* The same for one stream. */
MTH_HUFFMAN_TARGET static void decode_fast1(const uint64_t *entries, unsigned width, struct stream *stream,
                                            const uint8_t *src_end)
{
    unsigned shift = 64 - width;
    for (;;) {
        size_t n = n_rounds(stream, src_end);
        if (n == 0)
            return;
        const uint8_t *in = stream->in;
        uint8_t *out = stream->out;
        uint64_t bits = open_word(in, stream->skip);
        for (;;) {
            for (unsigned i = 0; i < LOOKUPS; i++)
                MTH_LOOK_UP(bits, out);
            if (--n == 0)
                break;
            MTH_REFILL(bits, in);
        }
        unsigned taken = (unsigned)__builtin_ctzll(bits);
        stream->in = in + (taken >> 3);
        stream->skip = taken & 7;
        stream->out = out;
    }
}

/* The next 16 bits, zeros behind the end. */
MTH_INLINE unsigned peek16(const uint8_t *in, const uint8_t *in_end, unsigned skip)
{
    unsigned x = 0;
    for (unsigned i = 0; i < 3; i++)
        x = x << 8 | (in < in_end ? *in++ : 0);
    return x >> (8 - skip) & 0xffff;
}

/* What is left of a stream, symbol by symbol, and whether it ends there: a 1, and zeros to the end of its last byte. */
MTH_HUFFMAN_TARGET static bool decode_rest(const uint64_t *entries, unsigned width, const uint8_t *lengths,
                                           struct stream *s)
{
    while (s->out < s->out_end) {
        if (s->in >= s->in_end)
            return false;
        uint8_t symbol = (uint8_t)entries[peek16(s->in, s->in_end, s->skip) >> (16 - width)];
        *s->out++ = symbol;
        s->skip += lengths[symbol];
        s->in += s->skip >> 3;
        s->skip &= 7;
    }
    return s->in + 1 == s->in_end && (uint8_t)(*s->in << s->skip) == 0x80;
}

MTH_HUFFMAN_TARGET static bool decode(const uint64_t *entries, unsigned width, const uint8_t *lengths,
                                      const uint8_t *src, size_t n_streams, const size_t *sizes, uint8_t *dst,
                                      size_t n)
{
    struct stream streams[MTH_HUFFMAN_MAX_STREAMS];
    bool valid = true;
    for (size_t s = 0; s < n_streams; s++) {
        streams[s] = (struct stream){.in = src,
                                     .in_start = src,
                                     .in_end = src + sizes[s],
                                     .out = dst + mth_huffman_stream_start(n, n_streams, s),
                                     .out_end = dst + mth_huffman_stream_start(n, n_streams, s + 1)};
        src += sizes[s];
    }
    if (n_streams == 4)
        decode_fast4(entries, width, streams, src);
    for (size_t s = 0; s < n_streams; s++) {
        decode_fast1(entries, width, &streams[s], src);
        valid = decode_rest(entries, width, lengths, &streams[s]) && valid;
    }
    return valid;
}

const struct mth_huffman_kernel MTH_HUFFMAN_KERNEL = {MTH_HUFFMAN_NAME, encode, decode};
