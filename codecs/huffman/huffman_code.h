/*
 * Codes of the huffman codec: lengths from counts, canonical codes, their wire form, and the tables that kernels look
 * symbols up in. The format is in spec.md.
 */
#ifndef MTH_CODECS_HUFFMAN_CODE_H
#define MTH_CODECS_HUFFMAN_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_HUFFMAN_SYMBOLS = 256,
    MTH_HUFFMAN_MAX_LENGTH = 11, /* a table of 2^11 entries of 8 bytes is half of an L1 cache */
    MTH_HUFFMAN_ENTRIES = 1 << MTH_HUFFMAN_MAX_LENGTH,
    /* Eleven tokens of four bits with eight or less: what the longest description of a code takes, rounded up. */
    MTH_HUFFMAN_CODE_BYTES = MTH_HUFFMAN_SYMBOLS * 8 / 8 + 2
};

/* A complete prefix code: the sum of 2^-length over all present symbols is 1. */
struct mth_huffman_code {
    uint8_t length[MTH_HUFFMAN_SYMBOLS]; /* 0: absent */
};

/* Room for mth_huffman_code_build. */
struct mth_huffman_workspace {
    uint64_t weight[2][2 * MTH_HUFFMAN_SYMBOLS];
    uint64_t leaf[2][MTH_HUFFMAN_SYMBOLS];
    uint8_t is_leaf[MTH_HUFFMAN_MAX_LENGTH][2 * MTH_HUFFMAN_SYMBOLS];
};

/*
 * The code of least total length with no length above MTH_HUFFMAN_MAX_LENGTH.
 *
 * Requires  at least two counts that are not zero; their sum below 2^51
 * Cost      about 22 steps a symbol that occurs; no allocation
 * Exact     optimal; integers only, ties go to the lower symbol, so the same on every machine
 * Source    L. Larmore and D. Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", J. ACM 37
 *           (1990), section 2: package-merge
 * Example   counts 1, 1, 2, 4 -> lengths 3, 3, 2, 1
 */
void mth_huffman_code_build(const uint64_t counts[MTH_HUFFMAN_SYMBOLS],
                            struct mth_huffman_workspace *workspace, struct mth_huffman_code *code);

/*
 * The wire form of a code. Returns its bytes.
 *
 * Shape     out: room for MTH_HUFFMAN_CODE_BYTES; NULL only counts
 */
size_t mth_huffman_code_write(const struct mth_huffman_code *code, uint8_t *out);

/* Reads what code_write wrote off the front of n_src hostile bytes. Returns the bytes taken, 0 when they are no code. */
size_t mth_huffman_code_read(const uint8_t *src, size_t n_src, struct mth_huffman_code *code);

/* The longest length. */
unsigned mth_huffman_code_width(const struct mth_huffman_code *code);

/* What coding a symbol appends: its code above bit 8, its length in the byte below. */
void mth_huffman_codewords(const struct mth_huffman_code *code, uint32_t words[MTH_HUFFMAN_SYMBOLS]);

/*
 * The codewords of pairs.
 *
 * Shape     pairs: at the value that two source bytes have as one little-endian 16-bit number, for symbols that occur;
 *           the rest is left alone
 * Cost      one store for each pair of present symbols
 */
void mth_huffman_pair_codewords(const struct mth_huffman_code *code,
                                const uint32_t words[MTH_HUFFMAN_SYMBOLS], uint32_t *pairs);

/*
 * A decoder's table: for each value of the next `width` bits as many whole symbols as they hold, up to six.
 *
 *     bit  63    56 55 54 53    48 47    40           15     8 7      0
 *         +--------+-----+--------+--------+-- ... --+--------+--------+
 *         | count  |  0  | length | sixth  |         | second | first  |
 *         +--------+-----+--------+--------+-- ... --+--------+--------+
 *
 * length is that of all of them together; unused symbols are 0.
 */
enum { MTH_HUFFMAN_ENTRY_SYMBOLS = 6 };

struct mth_huffman_table {
    struct mth_huffman_code code;
    unsigned width; /* 0: no code yet */
    uint64_t entry[MTH_HUFFMAN_ENTRIES];
};

/*
 * Requires  code complete; width at least the longest length, at most MTH_HUFFMAN_MAX_LENGTH;
 *           scratch of MTH_HUFFMAN_ENTRIES
 * Cost      two passes of 2^width entries
 */
void mth_huffman_table_build(const struct mth_huffman_code *code, unsigned width, uint64_t *scratch,
                             struct mth_huffman_table *table);

#endif
