/*
 * The container `.mth`, version 1: its blocks, and the tables of its front. Layout: docs/container.md.
 *
 * A container is a head, a front (specs, models, bases, references), bundles with pages of index between them, a root
 * and a trailer. It is written and read in order, or read at offsets through trailer, root and pages.
 */
#ifndef MTH_PIPELINE_CONTAINER_H
#define MTH_PIPELINE_CONTAINER_H

#include "base/flow.h"
#include "base/hash.h"
#include "base/varint.h"
#include "pipeline/coder.h"
#include "pipeline/layout.h"

enum {
    MTH_CONTAINER_VERSION = 1,       /* frozen; what version 0 was in the end, and so read too */
    MTH_CONTAINER_VERSION_OLDER = 2, /* of a container with a second base: all else is as in version 1 */
    MTH_HEAD_LOSSY =
        1, /* a flag of the head: what is restored is not what was compressed; the root ends with the loss */
    MTH_HEAD_BYTES = 24,
    MTH_BLOCK_HEAD_BYTES = 16,
    MTH_TRAILER_BYTES = 24,
    MTH_MAX_CONTAINER_SPECS = 32,
    MTH_MAX_PLAN_SPECS = 33, /* that a writer chooses from, of which a container has those it needs */
    MTH_PAGE_HEAD_BYTES = 16,
    MTH_PAGE_ENTRY_BYTES = 16,
    MTH_PAGE_ENTRIES = 4096,
    MTH_MAX_FRONT_BLOCK_BYTES = 1 << 24, /* of a block that is no bundle and no root */
    MTH_REFERENCE_PAGE_BYTES = 1 << 18   /* a page of references is closed when it has this many */
};

/* Append-only: containers store these numbers. Blocks of the front come in this order. */
enum mth_block_type {
    MTH_BLOCK_SPEC = 1,
    MTH_BLOCK_MODEL = 2,
    MTH_BLOCK_BASE = 3,
    MTH_BLOCK_REFERENCES = 4,
    MTH_BLOCK_BUNDLE = 5,
    MTH_BLOCK_INDEX = 6,
    MTH_BLOCK_ROOT = 7,
    MTH_BLOCK_LAYOUT = 8 /* of the front, the last there */
};

struct mth_container_head {
    uint64_t raw_bytes;
    unsigned version; /* to be written: 0 for the plain one */
    size_t chunk_bytes;
    bool is_lossy;
};

void mth_container_put_head(const struct mth_container_head *head, uint8_t out[MTH_HEAD_BYTES]);
/* Errors: MTH_ERR_FORMAT (no container), MTH_ERR_UNSUPPORTED (a version or flag by its number), MTH_ERR_CHECKSUM,
 * MTH_ERR_CORRUPT. */
int mth_container_get_head(const uint8_t in[MTH_HEAD_BYTES], struct mth_container_head *head,
                           struct mth_error *err);

struct mth_block {
    uint8_t type;
    uint32_t n_bytes; /* of the body */
    uint64_t checksum;
    uint8_t head[8]; /* its first half, which seeds the checksum */
};

/* The head of a block whose body is known. number: bundles and pages are counted each from 0, blocks of the front
 * together; the root is 0. */
void mth_block_put_head(enum mth_block_type type, struct mth_bytes body, uint64_t number,
                        uint8_t out[MTH_BLOCK_HEAD_BYTES]);
/* Errors: MTH_ERR_UNSUPPORTED for a type that is unknown here, MTH_ERR_CORRUPT. */
int mth_block_get_head(const uint8_t in[MTH_BLOCK_HEAD_BYTES], struct mth_block *block,
                       struct mth_error *err);
bool mth_block_matches(const struct mth_block *block, struct mth_bytes body, uint64_t number);

/* Where a container goes while it is written. */
struct mth_block_writer {
    struct mth_sink *sink;
    uint64_t offset;  /* bytes written so far */
    uint64_t n_front; /* blocks of the front */
};

/* Writes a block whole. */
int mth_block_write(struct mth_block_writer *writer, enum mth_block_type type, uint64_t number,
                    struct mth_bytes body, struct mth_error *err);

void mth_trailer_put(uint64_t root_offset, uint64_t offset, uint8_t out[MTH_TRAILER_BYTES]);
int mth_trailer_get(const uint8_t in[MTH_TRAILER_BYTES], uint64_t offset, uint64_t *root_offset,
                    struct mth_error *err);

/* Where a page of the index lies, and where its bundles begin in the original. */
struct mth_page_place {
    uint64_t offset;
    uint64_t raw_offset;
};

/*
 * The index as it grows while bundles are written or read in order: the page in progress, the places of those before,
 * the digest over the leaves.
 */
struct mth_index {
    struct mth_memory *memory;
    uint8_t *page; /* head and entries, as they are stored */
    size_t n_entries;
    struct mth_page_place *pages;
    size_t n_pages, pages_capacity;
    uint64_t n_bundles;
    uint64_t raw_offset; /* behind the last bundle */
    uint64_t front_end;  /* in the container, where the first block behind the front begins */
    struct mth_hash_stream *leaves;
};

int mth_index_init(struct mth_index *index, struct mth_memory *memory);
void mth_index_free(struct mth_index *index);
/* A bundle whose block begins at offset; n_block counts its head. The page must not be full. */
void mth_index_add(struct mth_index *index, uint64_t offset, uint32_t n_raw, uint32_t n_block, uint64_t leaf);
struct mth_bytes mth_index_page(const struct mth_index *index);
/* The page in progress was written, or read, at this offset; the next begins. Errors: MTH_ERR_NO_MEMORY. */
int mth_index_end_page(struct mth_index *index, uint64_t offset);

/* What the root says beside the places of the pages. */
struct mth_root {
    uint64_t n_bundles;
    uint64_t front_end;
    struct mth_digest digest;
    struct mth_file_attributes attributes;
    struct mth_loss loss;
};

/* The body of the root. Errors: MTH_ERR_NO_MEMORY. */
int mth_root_put(const struct mth_index *index, const struct mth_file_attributes *attributes,
                 const struct mth_loss *loss, struct mth_growing *out);
/* pages: allocated from memory, n_pages of them; the caller frees it also after an error. */
int mth_root_get(struct mth_bytes body, const struct mth_container_head *head, uint64_t root_offset,
                 struct mth_memory *memory, struct mth_root *root, struct mth_page_place **pages,
                 size_t *n_pages);

/* Writes the page in progress behind the bundles; nothing when it is empty. */
int mth_index_write_page(struct mth_index *index, struct mth_block_writer *writer, struct mth_error *err);

/* ---- the front ---- */

/* A range of a base that chunks refer to: a tensor's region there. */
struct mth_reference {
    uint64_t offset; /* in the base that was coded against; later in the one that was given */
    uint64_t n_bytes;
    uint32_t name; /* in the text of the front */
    uint32_t dtype;
};

/* What is known of a base. */
struct mth_front_base {
    bool has_digest;
    uint64_t n_bytes;
    struct mth_digest digest;
};

struct mth_container_front {
    struct mth_coder_spec *specs[MTH_MAX_PLAN_SPECS]; /* of the coder */
    size_t n_specs;
    bool has_base;
    bool has_older; /* and a second one, that the first became out of */
    struct mth_front_base base, older;
    struct mth_reference *references;
    size_t n_references, references_capacity;
    size_t n_of_base; /* of them, the first ones; the others are of the older base */
    struct mth_growing text;
    struct mth_layout layout;
    uint8_t last_type; /* of the blocks read so far */
    uint32_t
        n_lanes; /* bundles that a thread decodes side by side, where some spec decodes several faster at once */
};

/* At least 1. */
static inline size_t mth_front_lanes(const struct mth_container_front *front)
{
    return front->n_lanes ? front->n_lanes : 1;
}

void mth_front_free(struct mth_memory *memory, struct mth_container_front *front);

/* Takes a block of the front into front and coder. Before the first, the coder's cache is trimmed for them and its
 * models are freed. Errors: MTH_ERR_CORRUPT, MTH_ERR_UNSUPPORTED (a spec that is unknown here). */
int mth_front_read_block(struct mth_coder *coder, struct mth_container_front *front,
                         const struct mth_block *block, struct mth_bytes body, struct mth_error *err);

/* Which of the plan's specs a container uses, and their numbers in it; UINT32_MAX: not used. */
struct mth_spec_numbers {
    uint32_t of[MTH_N_PLAN_SPECS];
};

int mth_front_write_specs(struct mth_block_writer *writer, struct mth_coder *coder,
                          struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS],
                          const struct mth_spec_numbers *numbers, struct mth_error *err);

/* What a reference is to: a region of a base, and the first tensor that spans it, MTH_NO_TENSOR for what is no tensor. */
struct mth_base_place {
    uint32_t region, tensor;
};

/* What a container refers to in a base: tensors of the base's map, each for its whole region. */
struct mth_base_use {
    const struct mth_region_map *map;
    uint64_t n_bytes;
    bool has_digest; /* the base is a container itself, with this digest */
    struct mth_digest digest;
    struct mth_base_place *places; /* one a reference */
    size_t n_references;
};

/* Nothing for a layout without families. The index takes it into its digest: leaves alone do not tell where they go. */
int mth_front_write_layout(struct mth_block_writer *writer, const struct mth_layout *layout,
                           struct mth_index *index, struct mth_error *err);

/* older: a second base; NULL: there is none. */
int mth_front_write_bases(struct mth_block_writer *writer, struct mth_memory *memory,
                          const struct mth_base_use *use, const struct mth_base_use *older,
                          struct mth_error *err);

/* The pages of what is referred to in both, for the two above. Reading takes one block; what it refers to lies in a base
 * that was read before, or it is MTH_ERR_CORRUPT. */
int mth_references_write(struct mth_block_writer *writer, struct mth_memory *memory,
                         const struct mth_base_use *use, const struct mth_base_use *older,
                         struct mth_error *err);
int mth_references_read(struct mth_memory *memory, struct mth_container_front *front, struct mth_bytes body);

#endif
