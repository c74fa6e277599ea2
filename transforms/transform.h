/*
 * The interface of a transform: elements -> one or more streams, and back, exactly, for every bit pattern; but for those that say
 * that they are lossy.
 *
 * A transform is a static const struct mth_transform in a file of its own, named in
 * transforms/transforms.def; a plug-in exports one with the same shape. It has no state and never allocates.
 * Any alignment is fine. What is left of a run whose length is no multiple of the element's width goes
 * unchanged to the end of the last stream.
 */
#ifndef MTH_TRANSFORMS_TRANSFORM_H
#define MTH_TRANSFORMS_TRANSFORM_H

#include "base/hash.h"
#include "base/option.h"
#include "base/status.h"
#include "base/stream.h"

#include <stddef.h>
#include <stdint.h>

enum { MTH_TRANSFORM_ABI = 1, MTH_MAX_STREAMS = 16, MTH_MAX_REFERENCES = 8 };

enum mth_transform_flags {
    MTH_TRANSFORM_ROWS = 1u << 0,    /* forward looks at job->spans */
    MTH_TRANSFORM_CHOOSES = 1u << 1, /* several streams may stand for the same elements */
    MTH_TRANSFORM_LOSSY =
        1u << 2 /* inverse gives what the streams say, and that is not what forward was given */
};

/* What a transform expects of a reference, in the order in which it wants them. */
struct mth_reference_slot {
    const char *name;    /* "base" */
    const char *summary; /* one line */
};

enum mth_stream_flags {
    MTH_STREAM_VARIABLE = 1u << 0 /* n_bytes is only a bound; the real size is stored */
};

struct mth_stream_plan {
    struct mth_symbol_type type;
    size_t n_symbols;
    size_t n_bytes; /* exact, or the most there can be; tail bytes included */
    uint32_t flags;
};

/* XXH3-64 of what forward reads anyway: one that works block by block may take it while a block is in cache; see forward_digests.h. */
struct mth_forward_digests {
    struct mth_hash64_pieces *src; /* has begun: the elements go on to it; NULL: not asked for */
    bool src_goes_on;              /* something else will, behind them */
    /* Called for blocks in their order, bytes at .. at + n_bytes of elements and references, while they are in cache; NULL: nothing. */
    void (*beside)(void *arg, size_t at, size_t n_bytes);
    void *beside_arg;
    bool
        taken; /* set by forward where it succeeds: src went on, those of all references are there, beside was called */
    uint64_t references[MTH_MAX_REFERENCES];
};

struct mth_transform_job {
    const int64_t *options;
    struct mth_symbol_type type;         /* of the elements */
    size_t n_bytes;                      /* of the elements, tail included */
    const struct mth_bytes *references;  /* n_references of the descriptor, each n_bytes long */
    const struct mth_stream_plan *plans; /* what plan said */
    size_t n_streams;
    const struct mth_row_span *spans; /* only for forward, in order; together the elements, or n_spans is 0 */
    size_t n_spans;
    struct mth_forward_digests *digests; /* only for forward; NULL: nobody asks */
};

struct mth_transform {
    uint32_t abi;          /* MTH_TRANSFORM_ABI */
    uint32_t wire_version; /* rises when the same options give other streams */
    const char *name;
    const char *summary;
    const struct mth_option *options;
    size_t n_options;
    const struct mth_reference_slot *references;
    size_t n_references;
    size_t max_streams; /* 1: a filter; more: a spec may give each stream a branch of its own */
    /*
     * Which streams come from n_bytes of elements of a type. Depends on nothing else, so that the decoder
     * plans alike. Errors: MTH_ERR_UNSUPPORTED when the type does not fit (integers have no exponent).
     */
    int (*plan)(const int64_t *options, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams);
    /*
     * Shape     src: job->n_bytes; streams[i]: capacity at least plans[i].n_bytes, n_bytes set on return
     * Requires  no overlap between src, streams and references
     */
    int (*forward)(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams);
    /*
     * Shape     streams[i]: fixed ones have exactly plans[i].n_bytes (the caller checks); dst: job->n_bytes
     * Errors    MTH_ERR_CORRUPT when the streams can not have come from forward
     * Exact     every byte of dst is written on success
     */
    int (*inverse)(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst);
    uint32_t flags; /* mth_transform_flags */
};

#endif
