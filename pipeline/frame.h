/* The frame, version 0: how an encoded checkpoint lies in memory. Layout: docs/frame.md. */
#ifndef MTH_PIPELINE_FRAME_H
#define MTH_PIPELINE_FRAME_H

#include "base/hash.h"
#include "pipeline/coder.h"
#include "pipeline/varint.h"

enum {
    MTH_FRAME_VERSION = 0,
    MTH_FRAME_HEAD_BYTES = 8,
    MTH_FRAME_TRAILER_BYTES = 16,
    MTH_FRAME_CHUNK_INDEX_BYTES = MTH_VARINT_MAX_BYTES + 8 + 2 /* of a chunk, its entry left out */
};

struct mth_frame_head {
    uint64_t raw_bytes;
    struct mth_digest digest;
    bool has_base;
    uint64_t base_bytes;
    struct mth_digest base_digest;
};

/* A chunk as the index tells of it. */
struct mth_frame_chunk {
    struct mth_bytes payload;
    struct mth_bytes entry;
    uint64_t checksum;
    bool raw;
};

void mth_frame_put_head(uint8_t out[MTH_FRAME_HEAD_BYTES]);

/* Appends everything of the index that stands before the chunks. used: which specs the plan uses; others are
 * left out. */
int mth_frame_put_index(struct mth_coder *coder, const struct mth_frame_head *head,
                        struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS], struct mth_growing *out);

/* The trailer behind an index. */
void mth_frame_put_trailer(struct mth_bytes index, uint8_t out[MTH_FRAME_TRAILER_BYTES]);

/*
 * Checks head, trailer and the index's checksum; index points into the frame, its cursor behind the fields of
 * head. Errors: MTH_ERR_TRUNCATED, MTH_ERR_CORRUPT, MTH_ERR_CHECKSUM, MTH_ERR_UNSUPPORTED (another version).
 */
int mth_frame_open(struct mth_bytes frame, struct mth_frame_head *head, struct mth_reader *index,
                   struct mth_bytes *payloads, struct mth_error *err);

/*
 * Reads plan, specs and models into the coder. specs receives one entry per spec, at most MTH_N_PLAN_SPECS.
 * Every length and offset is checked against dst_bytes, base_bytes and each other.
 */
int mth_frame_read_plan(struct mth_coder *coder, const struct mth_frame_head *head, struct mth_reader *index,
                        struct mth_coder_spec *specs[MTH_N_PLAN_SPECS], struct mth_error *err);

/* Reads the next chunk's record and cuts its payload off the front of payloads. False when it can not be. */
bool mth_frame_read_chunk(struct mth_reader *index, struct mth_bytes *payloads,
                          struct mth_frame_chunk *chunk);

#endif
