/*
 * The table of the wide mode: any number of byte values over 2^10 to 2^12 slots; spec.md describes its bytes.
 *
 * Values without a frequency are escaped, when the table has an escape: it takes the frequency of `marker`, a value that has
 * no symbol of its own.
 */
#ifndef MTH_CODECS_RANS_WIDE_TABLE_H
#define MTH_CODECS_RANS_WIDE_TABLE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_RANS_MIN_SLOT_BITS = 10,
    MTH_RANS_MAX_SLOT_BITS = 12,
    MTH_RANS_WIDE_SLOTS = 1 << MTH_RANS_MAX_SLOT_BITS,
    /* 2 bytes, then for each value no more than a class 12 steps away and 11 bits below its highest. */
    MTH_RANS_WIDE_TABLE_BYTES = 2 + 256 * 4,

    /* A slot's entry. */
    MTH_RANS_ENTRY_FREQ_SHIFT = 8,
    MTH_RANS_ENTRY_RANK_SHIFT = 20
};

/*
 * What an encoder needs of a symbol, in two words, which vectors gather together: frequency in bits 0 .. 11, start in 12 .. 23,
 * shift from 24 on. floor(x / freq) is x * reciprocal >> (31 + shift) for x < 2^31.
 */
enum { MTH_RANS_CODER_FIELD_BITS = 12, MTH_RANS_CODER_SHIFT_AT = 24 };
struct mth_rans_wide_coder {
    uint32_t reciprocal;
    uint32_t fields;
};

struct mth_rans_wide_table {
    uint16_t freq[256];
    uint8_t slot_bits;
    bool escapes;
    uint8_t marker;
    uint32_t slots[MTH_RANS_WIDE_SLOTS];    /* value, frequency, rank of the slot; for decoders */
    struct mth_rans_wide_coder coders[256]; /* for encoders, the escape's where a value has no symbol */
};

/* Of a symbol with the slots start .. start + freq - 1; freq: 1 .. 4095. */
struct mth_rans_wide_coder mth_rans_wide_coder_of(uint32_t freq, uint32_t start);

/*
 * A table for counts. Values too rare to be worth a slot are escaped.
 *
 * Requires  exact: the counts are of every byte that will be coded, else of a sample
 * Errors    false when fewer than two symbols are left
 * Exact     integers only
 */
bool mth_rans_wide_build(const uint32_t counts[256], bool exact, unsigned slot_bits,
                         struct mth_rans_wide_table *table);

/* Fill what encoders and decoders look up: a table that was built or read has frequencies only until then. */
void mth_rans_wide_prepare_encoder(struct mth_rans_wide_table *table);
void mth_rans_wide_prepare_decoder(struct mth_rans_wide_table *table);

/* What coding takes, in bits times 2^24, escaped bytes included; UINT64_MAX when a value can not be coded. */
uint64_t mth_rans_wide_cost(const struct mth_rans_wide_table *table, const uint32_t counts[256]);

/* Shape: out has MTH_RANS_WIDE_TABLE_BYTES. Returns the bytes used. */
size_t mth_rans_wide_write(const struct mth_rans_wide_table *table, uint8_t *out);

/* Reads a table from hostile bytes and cuts it off the front of wire. Errors: MTH_ERR_CORRUPT. */
int mth_rans_wide_read(struct mth_bytes *wire, struct mth_rans_wide_table *table);

#endif
