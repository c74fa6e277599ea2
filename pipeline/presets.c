/* Presets: named specs. A preset is listed once the codecs it needs exist. */
#include "pipeline/mithril.h"

#include <string.h>

/*
 * The candidates of `max`: for floats of 16 and of 32 bits, what knows of rows and columns; for what is not like trained
 * weights, zeros apart from the rest, few values by number, steps of integers, bytes of few values; and for whatever repeats
 * itself, zstd. A dtype has those that take it, in this order.
 */
#define MAX_SPECS                                                               \
    "scale-split+store/rans:aim=size"                                           \
    ",halves+scale-split+store//rans:aim=size/byte-group+rans:aim=size"         \
    ",zero-map+rans:aim=size/rans:aim=size/exponent-split+rans:aim=size//store" \
    ",palette+zstd:level=3/rans:aim=size/zstd:level=3"                          \
    ",delta-previous+byte-group+zstd:level=3"                                   \
    ",byte-group+rans:aim=size"                                                 \
    ",byte-group+zstd:level=3"

static const struct mth_preset presets[] = {
    {
        .name = "seed",
        .summary = "byte grouping and zstd level 3; against a base, the xor first",
        .source = "the grouping of ZipNN (Hershcovitch et al., 2024) and LMC before a general compressor",
        .spec = "byte-group+zstd:level=3",
        .delta = "delta-xor+byte-group+zstd:level=3",
    },
    {
        .name = "zipnn",
        .summary =
            "exponents by Huffman, other bytes where that takes 5 % off them; against a base, of the xor",
        .source = "M. Hershcovitch et al., ZipNN: Lossless Compression for AI Models, 2024, arXiv:2411.05239",
        .spec = "exponent-split+huffman:block=17:sparse=no:gain=5/"
                "byte-group+huffman:block=17:sparse=no:gain=5",
        .delta = "delta-xor+exponent-split+huffman:block=17:sparse=no:gain=5/"
                 "byte-group+huffman:block=17:sparse=no:gain=5",
    },
    {
        .name = "lmc",
        .summary = "byte grouping, Huffman and run lengths, a code a block; against a base, of the xor",
        .source = "D. Waddington and C. Constantinescu, Lossless Compression for LLM Tensor Incremental "
                  "Snapshots, 2025, arXiv:2505.09810",
        .spec = "byte-group+huffman:block=16",
        .delta = "delta-xor+byte-group+huffman:block=16",
    },
    {
        .name = "bitx",
        .summary = "against a base, exponents and the rest of the xor by zstd; alone as zipnn",
        .source = "Z. Wang et al., ZipLLM: Efficient LLM Storage via Model-Aware Synergistic Data "
                  "Deduplication and "
                  "Compression, NSDI 2026, arXiv:2505.06252",
        .spec = "exponent-split+huffman:block=17:sparse=no:gain=5/"
                "byte-group+huffman:block=17:sparse=no:gain=5",
        .delta = "delta-xor+exponent-split+zstd:level=3/zstd:level=3",
    },
    {
        .name = "sparse-sync",
        .summary = "against a base, gaps between the elements that changed and what they are, by zstd",
        .source = "E. Miahi and E. Belilovsky, Understanding and Exploiting Weight Update Sparsity for "
                  "Communication-Efficient Distributed RL, 2026, arXiv:2602.03839",
        .spec = NULL,
        .delta = "changes+zstd:level=3/zstd:level=3",
    },
    {
        .name = "check-n-run",
        .summary =
            "against a base, the rows that changed, as they are; alone everything as it is. With options, "
            "as in check-n-run:quantizer=adaptive:bits=4, with its quantizers, and LOSSY",
        .source = "A. Eisenman et al., Check-N-Run: a Checkpointing System for Training Deep Learning "
                  "Recommendation Models, NSDI 2022, arXiv:2010.08679",
        .spec = "store",
        .delta = "changed-rows+store/store",
        .spec_with_options = "quantize-rows*+store,store",
        .delta_with_options =
            "quantize-changed-rows*+store,quantize-rows*+store,changed-rows+store/store,store",
    },
    {
        .name = "fast",
        .summary = "as balanced, in codes of fixed width: less time, and a little larger",
        .source = NULL,
        .spec = "exponent-split+tiers/store",
        .delta = "delta-ulp+byte-group+tiers,exponent-split+tiers/store",
    },
    {
        .name = "balanced",
        .summary = "exponents coded, signs and mantissas kept; against a base, steps in ULPs given its "
                   "exponents; copies, "
                   "and steps of Adam, redone",
        .source = NULL,
        .spec = "exponent-split+rans/store,related",
        .delta = "ulp-rans,exponent-split+rans/store,related",
    },
    {
        .name = "max",
        .summary = "the smallest of several on a sample of each tensor: scales of rows and columns, zeros, "
                   "palettes, steps",
        .source = NULL,
        .spec = MAX_SPECS ",related",
        .delta = "ulp-rans," MAX_SPECS ",related",
    },
};

const struct mth_preset *mth_preset_at(size_t index)
{
    return index < sizeof presets / sizeof presets[0] ? &presets[index] : NULL;
}

const struct mth_preset *mth_preset_find(const char *name, size_t n_name)
{
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strlen(presets[i].name) == n_name && memcmp(presets[i].name, name, n_name) == 0)
            return &presets[i];
    }
    return NULL;
}
