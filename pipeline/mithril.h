/*
 * libmithril: lossless compression of PyTorch checkpoints.
 *
 * The public header. A pipeline is a parsed spec; a coder runs a pipeline on its threads over a checkpoint in
 * memory and makes a frame, or restores one. Buffers belong to the caller. Nothing here reads clocks or
 * prints.
 *
 * A frame is version 0, for memory and benchmarks (docs/frame.md); a later container replaces it.
 */
#ifndef MITHRIL_H
#define MITHRIL_H

#include "base/bytes.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "base/status.h"
#include "codecs/codec_registry.h"
#include "formats/region_map.h"
#include "transforms/transform_registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MTH_VERSION "0.1.0"

/* ---- pipelines ---- */

struct mth_pipeline;

/*
 * Parse a spec such as "exponent-split+zstd:level=3/store", or the name of a preset. Grammar: docs/spec.md.
 * has_base picks a preset's delta form. Errors: MTH_ERR_SPEC with a line that says where and what would be
 * right.
 */
int mth_pipeline_parse(const char *spec, bool has_base, struct mth_pipeline **pipeline,
                       struct mth_error *err);
void mth_pipeline_destroy(struct mth_pipeline *pipeline);

/* The canonical text: every default resolved, wire versions included. Parses to an equal pipeline. Borrowed.
 */
const char *mth_pipeline_text(const struct mth_pipeline *pipeline);

/* Does any transform or codec of it take a reference? */
bool mth_pipeline_needs_base(const struct mth_pipeline *pipeline);

struct mth_preset {
    const char *name;
    const char *summary;
    const char *source; /* the published method it follows, or NULL for ours */
    const char *spec;   /* without a base; NULL where the method has none */
    const char *delta;  /* against a base; NULL where the method has none */
};

/* The preset at a position, NULL past the last. */
const struct mth_preset *mth_preset_at(size_t index);
/* The preset of a name (n_name bytes), NULL when there is none. */
const struct mth_preset *mth_preset_find(const char *name, size_t n_name);

/*
 * Give a spec a name for this process, usable wherever a codec may stand: how specs nest deeper than one
 * level. Errors: MTH_ERR_SPEC when the name is taken or not a name, or the spec does not parse.
 */
int mth_spec_define(const char *name, const char *spec, struct mth_error *err);

/*
 * Load a shared object that exports `const struct mth_plugin mth_plugin` and register what it brings.
 * It stays loaded. Errors: MTH_ERR_NOT_FOUND, MTH_ERR_USAGE with the loader's line.
 */
struct mth_plugin {
    uint32_t abi; /* MTH_PLUGIN_ABI */
    const struct mth_codec *const *codecs;
    size_t n_codecs;
    const struct mth_transform *const *transforms;
    size_t n_transforms;
};
enum { MTH_PLUGIN_ABI = 1 };
int mth_plugin_load(const char *path, struct mth_error *err);

/* ---- coding a checkpoint in memory ---- */

/* A checkpoint that lies in memory whole, and its map. */
struct mth_checkpoint {
    const uint8_t *data; /* map->n_bytes long */
    const struct mth_region_map *map;
};

enum { MTH_DEFAULT_CHUNK_BYTES = 1 << 20 };

struct mth_coder_config {
    size_t n_threads;          /* 1 .. 4096 */
    size_t chunk_bytes;        /* a power of two, 4 KiB .. 1 GiB; 0: 1 MiB */
    struct mth_memory *memory; /* the account for everything the coder allocates */
};

struct mth_frame_stats {
    size_t n_units;
    size_t n_chunks;
    size_t n_chunks_raw;  /* did not shrink and were stored */
    size_t payload_bytes; /* the chunks themselves; the rest of the frame is framing */
};

/* Threads, and the states and scratch that encoding and decoding reuse. Used by one caller at a time. */
struct mth_coder;

int mth_coder_create(const struct mth_coder_config *config, struct mth_coder **coder, struct mth_error *err);
void mth_coder_destroy(struct mth_coder *coder);

/*
 * Encode a checkpoint with a pipeline, against a base or NULL, into one frame.
 *
 * Shape     dst: capacity_bytes, mth_coder_bound(...) always suffice
 * Exact     the bytes depend on pipeline, input, base and chunk_bytes; not on threads or the instruction set
 * Errors    MTH_ERR_UNSUPPORTED (a delta spec without a base), MTH_ERR_BASE (no tensor matches one of the base),
 *           MTH_ERR_CAPACITY, MTH_ERR_NO_MEMORY, ...
 * Cost      no allocation on a second call with inputs of the same shape and the same pipeline
 */
int mth_coder_encode(struct mth_coder *coder, const struct mth_pipeline *pipeline,
                     const struct mth_checkpoint *input, const struct mth_checkpoint *base, uint8_t *dst,
                     size_t capacity_bytes, size_t *n_bytes, struct mth_frame_stats *stats,
                     struct mth_error *err);

/* Bytes that any frame of this input fits in. Errors: MTH_ERR_OVERFLOW. */
int mth_coder_bound(const struct mth_coder *coder, const struct mth_checkpoint *input, size_t *n_bytes);

/*
 * Restore a frame, against the bytes of its base where it has one.
 *
 * Shape     dst: raw_bytes of mth_frame_info
 * Errors    MTH_ERR_BASE before anything is written when base is missing or is another; MTH_ERR_CORRUPT,
 *           MTH_ERR_CHECKSUM, MTH_ERR_TRUNCATED for a damaged frame, dst then holds nothing of use
 */
int mth_coder_decode(struct mth_coder *coder, struct mth_bytes frame, const struct mth_bytes *base,
                     uint8_t *dst, size_t dst_bytes, struct mth_error *err);

struct mth_frame_info {
    uint64_t raw_bytes;
    bool has_base;
    uint8_t digest[16];      /* of the raw bytes: docs/frame.md says how it is made */
    uint8_t base_digest[16]; /* zeros without a base */
};

/* Read a frame's head. Errors: MTH_ERR_CORRUPT, MTH_ERR_TRUNCATED, MTH_ERR_CHECKSUM. */
int mth_frame_info(struct mth_bytes frame, struct mth_frame_info *info, struct mth_error *err);

/* ---- plain buffers ---- */

/*
 * Compress a buffer of elements with the `seed` preset: byte grouping, then zstd level 3.
 *
 * Shape     src: n_bytes, any length; dst: mth_buffer_bound(n_bytes) suffice
 * Errors    MTH_ERR_USAGE for a dtype that is none, MTH_ERR_CAPACITY
 */
int mth_buffer_compress(const void *src, size_t n_bytes, enum mth_dtype dtype, void *dst,
                        size_t capacity_bytes, size_t *n_out, struct mth_error *err);
size_t mth_buffer_bound(size_t n_bytes);

/* Restore it. Errors: MTH_ERR_USAGE when dtype or n_bytes are not those it was compressed with; those of
 * decoding. */
int mth_buffer_decompress(const void *src, size_t n_src, enum mth_dtype dtype, void *dst, size_t n_bytes,
                          struct mth_error *err);

/*
 * Group the bytes of bf16 elements: first the low byte of each, then the high byte of each.
 *
 * Shape     in: n_bytes; out: n_bytes; an odd last byte stays last
 * Requires  no overlap; any alignment
 * Errors    none
 * Cost      one read and one write of n_bytes; no allocation
 * Exact     for every bit pattern; n_bytes = 0 writes nothing
 * Source    the grouping that ZipNN and LMC apply before coding; in little-endian files byte 0 is the low one
 * Example   a0 b0 a1 b1 c -> a0 a1 b0 b1 c
 */
void mth_byte_group_bf16(const uint8_t *src, size_t n_bytes, uint8_t *dst);
/* The inverse: a0 a1 b0 b1 c -> a0 b0 a1 b1 c. */
void mth_byte_ungroup_bf16(const uint8_t *src, size_t n_bytes, uint8_t *dst);
/* The same under the names of the founding text. */
#define byte_group_bf16   mth_byte_group_bf16
#define byte_ungroup_bf16 mth_byte_ungroup_bf16

#ifdef __cplusplus
}
#endif
#endif
