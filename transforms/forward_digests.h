/* How a transform takes the digests that its job asks for: begin, all blocks in their order, end. */
#ifndef MTH_TRANSFORMS_FORWARD_DIGESTS_H
#define MTH_TRANSFORMS_FORWARD_DIGESTS_H

#include "transforms/transform.h"

struct mth_digest_blocks {
    const struct mth_transform_job *job;
    size_t n_references;
    struct mth_hash64_pieces references[MTH_MAX_REFERENCES];
};

static inline void mth_digest_blocks_begin(struct mth_digest_blocks *blocks,
                                           const struct mth_transform_job *job, size_t n_references)
{
    blocks->job = job;
    blocks->n_references = n_references;
    for (size_t i = 0; job->digests && i < n_references; i++)
        mth_hash64_begin(&blocks->references[i]);
}

/*
 * Bytes at .. at + n_bytes of a reference, of the elements, and what is called beside them. Each hash asks memory for what lies some blocks ahead: they
 * are taken between computations rather than one behind another, so that this has time to come. Fast where these are whole blocks of the hash.
 */
static inline void mth_digest_blocks_reference(struct mth_digest_blocks *blocks, size_t i, size_t at,
                                               size_t n_bytes)
{
    const struct mth_transform_job *job = blocks->job;
    if (job->digests && n_bytes)
        mth_hash64_add_part(&blocks->references[i], job->references[i].data + at, n_bytes,
                            at + n_bytes < job->n_bytes);
}

static inline void mth_digest_blocks_src(const struct mth_digest_blocks *blocks, const uint8_t *src,
                                         size_t at, size_t n_bytes)
{
    const struct mth_transform_job *job = blocks->job;
    if (job->digests && job->digests->src && n_bytes)
        mth_hash64_add_part(job->digests->src, src + at, n_bytes,
                            at + n_bytes < job->n_bytes || job->digests->src_goes_on);
}

static inline void mth_digest_blocks_beside(const struct mth_digest_blocks *blocks, size_t at, size_t n_bytes)
{
    const struct mth_transform_job *job = blocks->job;
    if (job->digests && job->digests->beside && n_bytes)
        job->digests->beside(job->digests->beside_arg, at, n_bytes);
}

/* All of them. */
static inline void mth_digest_blocks_add(struct mth_digest_blocks *blocks, const uint8_t *src, size_t at,
                                         size_t n_bytes)
{
    for (size_t i = 0; i < blocks->n_references; i++)
        mth_digest_blocks_reference(blocks, i, at, n_bytes);
    mth_digest_blocks_src(blocks, src, at, n_bytes);
    mth_digest_blocks_beside(blocks, at, n_bytes);
}

static inline void mth_digest_blocks_end(const struct mth_digest_blocks *blocks)
{
    struct mth_forward_digests *digests = blocks->job->digests;
    if (!digests)
        return;
    for (size_t i = 0; i < blocks->n_references; i++)
        digests->references[i] = mth_hash64_end(&blocks->references[i]);
    digests->taken = true;
}

#endif
