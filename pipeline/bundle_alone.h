/*
 * A chunk that has a base and may be smaller without it: what it takes then, cut as what has none is. Shared by the files that encode a
 * bundle; see bundle.h.
 */
#ifndef MTH_PIPELINE_BUNDLE_ALONE_H
#define MTH_PIPELINE_BUNDLE_ALONE_H

#include "pipeline/bundle.h"

/* A chunk may become so many more when it does without its base. */
size_t mth_bundle_alone_cuts(const struct mth_bundle_encoder *encoder, const struct mth_bundle_chunk *chunk);
/* The most bytes of a chunk without its base, or of those that it is cut into then. */
int mth_bundle_alone_bound(const struct mth_bundle_encoder *encoder, const struct mth_bundle_chunk *chunk,
                           size_t *n_bytes);

/* Does what a chunk came to make it worth while to code it without its base? */
bool mth_bundle_may_be_worse(const struct mth_bundle_chunk *chunk, size_t n_payload);
/* Codes a chunk without its reference too, cut as it would be then, and keeps that if it is smaller. */
int mth_bundle_try_alone(const struct mth_bundle_encoder *encoder, size_t worker_index,
                         struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, struct mth_bytes src,
                         struct mth_buffer *payload, struct mth_error *err);

/* bundle_encode.c: bytes of a chunk by a spec of the plan, whose number is given; the worker's entry is set. */
int mth_bundle_code(const struct mth_bundle_encoder *encoder, size_t worker_index,
                    const struct mth_bundle_chunk *chunk, uint32_t number, struct mth_bytes src,
                    struct mth_bytes reference, struct mth_buffer *payload, struct mth_error *err);

#endif
