/* Decoding blocks, from hostile bytes; see huffman_block.h. */
#include "codecs/huffman/huffman_block.h"

#include "base/checked.h"
#include "base/status.h"

#include <string.h>

/*
 * A table pays for its making when it is looked up more often than it has entries: one lookup takes some three symbols.
 * Below, the table holds little more than the code.
 */
enum { SYMBOLS_PER_ENTRY_LOG2 = 4 };

struct mth_huffman_decoder {
    struct mth_huffman_settings settings;
    const struct mth_huffman_kernel *kernel;
    struct mth_huffman_table table; /* of the stream's blocks */
    struct mth_huffman_table inner; /* of what is inside a sparse one */
    bool has_last;                  /* table holds a code of this stream */
    uint64_t scratch[MTH_HUFFMAN_ENTRIES];
    uint8_t *gaps, *values;
};

struct mth_huffman_decoder *mth_huffman_decoder_create(struct mth_memory *memory,
                                                       const struct mth_huffman_settings *settings,
                                                       const struct mth_huffman_kernel *kernel)
{
    struct mth_huffman_decoder *decoder = mth_memory_alloc(memory, sizeof *decoder);
    if (!decoder)
        return NULL;
    decoder->settings = *settings;
    decoder->kernel = kernel;
    decoder->table.width = decoder->inner.width = 0;
    decoder->gaps = mth_memory_alloc(memory, mth_huffman_max_gap_bytes(settings->block_bytes));
    decoder->values = mth_memory_alloc(memory, mth_huffman_max_exceptions(settings->block_bytes));
    if (decoder->gaps && decoder->values)
        return decoder;
    mth_huffman_decoder_destroy(memory, decoder);
    return NULL;
}

void mth_huffman_decoder_destroy(struct mth_memory *memory, struct mth_huffman_decoder *decoder)
{
    if (!decoder)
        return;
    mth_memory_free(memory, decoder->gaps);
    mth_memory_free(memory, decoder->values);
    mth_memory_free(memory, decoder);
}

/* What is left of a block. */
struct cursor {
    const uint8_t *at;
    size_t n_left;
};

static bool take_size(struct cursor *cursor, size_t width, size_t *value)
{
    if (cursor->n_left < width)
        return false;
    *value = 0;
    for (size_t i = 0; i < width; i++)
        *value |= (size_t)cursor->at[i] << 8 * i;
    cursor->at += width;
    cursor->n_left -= width;
    return true;
}

/* A symbol, and how many it stands for, which must be n: nothing else of the block would tell. */
static bool take_repeated(struct cursor *cursor, size_t n, size_t *symbol)
{
    size_t n_told;
    return take_size(cursor, 1, symbol) && take_size(cursor, mth_huffman_size_width(n), &n_told) &&
           n_told == n;
}

/* A wide table takes more symbols at a time and longer to make: as wide as the code, or as n symbols are worth. */
static unsigned table_width(const struct mth_huffman_code *code, size_t n)
{
    unsigned width = mth_huffman_code_width(code);
    while (width < MTH_HUFFMAN_MAX_LENGTH && n >> (width + SYMBOLS_PER_ENTRY_LOG2))
        width++;
    return width;
}

/* The code at the front of a block, in a table; one that is there already is left alone. */
static bool take_code(struct mth_huffman_decoder *decoder, struct cursor *cursor, size_t n,
                      struct mth_huffman_table *table)
{
    struct mth_huffman_code code;
    size_t n_taken = mth_huffman_code_read(cursor->at, cursor->n_left, &code);
    if (n_taken == 0)
        return false;
    cursor->at += n_taken;
    cursor->n_left -= n_taken;
    unsigned width = table_width(&code, n);
    if (table->width < width || memcmp(&table->code, &code, sizeof code) != 0)
        mth_huffman_table_build(&code, width, decoder->scratch, table);
    return true;
}

static int decode_streams(const struct mth_huffman_decoder *decoder, const struct mth_huffman_table *table,
                          struct cursor cursor, size_t n_streams, uint8_t *dst, size_t n)
{
    size_t sizes[MTH_HUFFMAN_MAX_STREAMS], n_used = 0;
    if (n < n_streams)
        return MTH_ERR_CORRUPT;
    for (size_t s = 0; s + 1 < n_streams; s++) {
        if (!take_size(&cursor, mth_huffman_size_width(n), &sizes[s]))
            return MTH_ERR_CORRUPT;
        n_used += sizes[s];
    }
    if (n_used > cursor.n_left)
        return MTH_ERR_CORRUPT;
    sizes[n_streams - 1] = cursor.n_left - n_used;
    return decoder->kernel->decode(table->entry, table->width, table->code.length, cursor.at, n_streams,
                                   sizes, dst, n)
               ? MTH_OK
               : MTH_ERR_CORRUPT;
}

/* Raw, constant, or with its own code, which table is for. */
static int decode_plain(struct mth_huffman_decoder *decoder, struct cursor cursor, unsigned head,
                        struct mth_huffman_table *table, uint8_t *dst, size_t n)
{
    size_t symbol;
    switch (head) {
    case MTH_HUFFMAN_RAW:
        if (cursor.n_left != n)
            return MTH_ERR_CORRUPT;
        memcpy(dst, cursor.at, n);
        return MTH_OK;
    case MTH_HUFFMAN_CONSTANT:
        if (!take_repeated(&cursor, n, &symbol) || cursor.n_left != 0)
            return MTH_ERR_CORRUPT;
        memset(dst, (int)symbol, n);
        return MTH_OK;
    case MTH_HUFFMAN_OWN_CODE:
    case MTH_HUFFMAN_OWN_CODE | MTH_HUFFMAN_FOUR_STREAMS:
        if (!take_code(decoder, &cursor, n, table))
            return MTH_ERR_CORRUPT;
        return decode_streams(decoder, table, cursor,
                              head & MTH_HUFFMAN_FOUR_STREAMS ? MTH_HUFFMAN_MAX_STREAMS : 1, dst, n);
    default:
        return MTH_ERR_CORRUPT;
    }
}

/* One of the two blocks inside a sparse one. */
static int decode_inner(struct mth_huffman_decoder *decoder, struct cursor cursor, uint8_t *dst, size_t n)
{
    if (cursor.n_left == 0)
        return MTH_ERR_CORRUPT;
    struct cursor rest = {cursor.at + 1, cursor.n_left - 1};
    return decode_plain(decoder, rest, cursor.at[0], &decoder->inner, dst, n);
}

/* The gaps of a sparse block: high parts in bytes, low ones in bits. */
struct gap_reader {
    const uint8_t *high, *high_end;
    const uint8_t *low; /* as many bytes as the low parts of all gaps fill */
    unsigned n_low_bits, n_bits;
    uint32_t bits; /* the n_bits lowest are not yet taken */
};

/* False when there is none. */
static inline bool next_gap(struct gap_reader *r, size_t *gap)
{
    size_t high = 0;
    uint8_t byte;
    do {
        if (r->high == r->high_end)
            return false;
        byte = *r->high++;
        high += byte;
    } while (byte == MTH_HUFFMAN_GAP_ESCAPE);
    for (; r->n_bits < r->n_low_bits; r->n_bits += 8)
        r->bits = r->bits << 8 | *r->low++;
    r->n_bits -= r->n_low_bits;
    *gap = high << r->n_low_bits | (r->bits >> r->n_bits & (((uint32_t)1 << r->n_low_bits) - 1));
    return true;
}

/* Put the exceptions where the gaps say. False when they do not fit n symbols, or something is left of the gaps. */
static bool scatter(struct gap_reader *gaps, const uint8_t *values, size_t n_values, uint8_t *dst, size_t n)
{
    size_t at = 0, gap;
    for (size_t i = 0; i < n_values; i++) {
        if (!next_gap(gaps, &gap) || gap >= n - at)
            return false;
        dst[at + gap] = values[i];
        at += gap + 1;
    }
    return gaps->high == gaps->high_end && (gaps->bits & (((uint32_t)1 << gaps->n_bits) - 1)) == 0;
}

static int decode_sparse(struct mth_huffman_decoder *decoder, struct cursor cursor, uint8_t *dst, size_t n)
{
    size_t width = mth_huffman_size_width(n), symbol, n_exceptions, n_gap_bytes, n_gaps_block, n_low_bits;
    if (!take_repeated(&cursor, n, &symbol) || !take_size(&cursor, width, &n_exceptions) ||
        !take_size(&cursor, width, &n_gap_bytes) || !take_size(&cursor, width, &n_gaps_block) ||
        !take_size(&cursor, 1, &n_low_bits))
        return MTH_ERR_CORRUPT;
    if (n_exceptions == 0 || n_exceptions > mth_huffman_max_exceptions(n) || n_gap_bytes == 0 ||
        n_gap_bytes > mth_huffman_max_gap_bytes(n) || n_low_bits > MTH_HUFFMAN_MAX_LOW_BITS)
        return MTH_ERR_CORRUPT;
    size_t n_low = mth_huffman_low_bytes(n_exceptions, (unsigned)n_low_bits);
    if (n_low > cursor.n_left || n_gaps_block > cursor.n_left - n_low)
        return MTH_ERR_CORRUPT;
    struct cursor high = {cursor.at + n_low, n_gaps_block};
    struct cursor values = {high.at + n_gaps_block, cursor.n_left - n_low - n_gaps_block};
    struct gap_reader gaps = {.high = decoder->gaps,
                              .high_end = decoder->gaps + n_gap_bytes,
                              .low = cursor.at,
                              .n_low_bits = (unsigned)n_low_bits};
    int status = decode_inner(decoder, high, decoder->gaps, n_gap_bytes);
    if (!status)
        status = decode_inner(decoder, values, decoder->values, n_exceptions);
    if (status)
        return status;
    memset(dst, (int)symbol, n);
    return scatter(&gaps, decoder->values, n_exceptions, dst, n) ? MTH_OK : MTH_ERR_CORRUPT;
}

static int decode_block(struct mth_huffman_decoder *decoder, struct cursor cursor,
                        const struct mth_huffman_table *model, uint8_t *dst, size_t n)
{
    size_t head;
    if (!take_size(&cursor, 1, &head))
        return MTH_ERR_CORRUPT;
    size_t n_streams = head & MTH_HUFFMAN_FOUR_STREAMS ? MTH_HUFFMAN_MAX_STREAMS : 1;
    int status;
    switch (head) {
    case MTH_HUFFMAN_LAST_CODE:
    case MTH_HUFFMAN_LAST_CODE | MTH_HUFFMAN_FOUR_STREAMS:
        return decoder->has_last ? decode_streams(decoder, &decoder->table, cursor, n_streams, dst, n)
                                 : MTH_ERR_CORRUPT;
    case MTH_HUFFMAN_MODEL_CODE:
    case MTH_HUFFMAN_MODEL_CODE | MTH_HUFFMAN_FOUR_STREAMS:
        return model ? decode_streams(decoder, model, cursor, n_streams, dst, n) : MTH_ERR_CORRUPT;
    case MTH_HUFFMAN_SPARSE:
        return decode_sparse(decoder, cursor, dst, n);
    default:
        status = decode_plain(decoder, cursor, (unsigned)head, &decoder->table, dst, n);
        decoder->has_last |= !status && (head & ~(size_t)MTH_HUFFMAN_FOUR_STREAMS) == MTH_HUFFMAN_OWN_CODE;
        return status;
    }
}

int mth_huffman_decode(struct mth_huffman_decoder *decoder, const uint8_t *src, size_t n_src,
                       const struct mth_huffman_table *model, uint8_t *dst, size_t n)
{
    struct cursor cursor = {src, n_src};
    decoder->has_last = false;
    for (size_t at = 0; at < n;) {
        size_t n_block = mth_size_min(n - at, decoder->settings.block_bytes), n_coded = cursor.n_left;
        if (at + n_block < n &&
            (!take_size(&cursor, MTH_HUFFMAN_SIZE_BYTES, &n_coded) || n_coded > cursor.n_left))
            return MTH_ERR_CORRUPT;
        int status = decode_block(decoder, (struct cursor){cursor.at, n_coded}, model, dst + at, n_block);
        if (status)
            return status;
        cursor.at += n_coded;
        cursor.n_left -= n_coded;
        at += n_block;
    }
    return cursor.n_left == 0 ? MTH_OK : MTH_ERR_CORRUPT;
}
