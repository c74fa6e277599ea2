/*
 * The interface of a codec: a stream of bytes -> fewer bytes, and back.
 *
 * A codec is a static const struct mth_codec in a file of its own, named in codecs/codecs.def; a plug-in
 * exports one with the same shape. It keeps no global state. Everything it needs while it works is in the
 * state that create made, so that encode and decode need not allocate; a state is used by one thread at a
 * time and reused for any number of streams, and what it makes depends only on the options, the stream, its
 * context and its model.
 *
 * Decoders are given hostile bytes: they check before they use, write nothing outside dst, and end.
 */
#ifndef MTH_CODECS_CODEC_H
#define MTH_CODECS_CODEC_H

#include "base/memory.h"
#include "base/option.h"
#include "base/status.h"
#include "base/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_CODEC_ABI = 2, MTH_CODEC_SMALL_STATE_BYTES = 1 << 20 };

enum mth_codec_flags {
    MTH_CODEC_IDENTITY = 1u << 0,        /* encoded bytes are the stream itself: nothing is called or moved */
    MTH_CODEC_CONTEXT = 1u << 1,         /* may look at the context it is given; see uses_context */
    MTH_CODEC_INTERLEAVES = 1u << 2,     /* decodes several jobs faster in one call than in one call each */
    MTH_CODEC_VARIES = 1u << 3,          /* its library's bytes are exact, but not the same every time */
    MTH_CODEC_NEEDS_REFERENCE = 1u << 4, /* is of no use where its context has no reference */
    MTH_CODEC_TAKES_OLDER = 1u << 5, /* may look at a second reference: what the first one became out of */
    MTH_CODEC_TAKES_ROWS = 1u << 6,  /* an encoder may look at how rows run through a stream */
    MTH_CODEC_DIGESTS = 1u << 7      /* has decode_digested */
};

enum mth_side { MTH_SIDE_ENCODE = 1, MTH_SIDE_DECODE = 2 };

/* XXH3-64 of what an encoder reads anyway: one that has it in cache may take it on its way. */
struct mth_encode_digests {
    bool taken; /* set by encode: so both are there */
    uint64_t src, reference;
};

struct mth_encode_job {
    struct mth_bytes src;
    struct mth_symbol_type type;
    struct mth_context context;
    const void *model; /* NULL: none, the encoder makes do with its own tables */
    uint8_t *dst;
    size_t dst_capacity;                /* at least bound(src) unless the caller can use MTH_ERR_CAPACITY */
    struct mth_bytes out;               /* set by encode: anywhere in dst[0 .. dst_capacity) */
    struct mth_encode_digests *digests; /* NULL: nobody asks */
    const struct mth_row_span
        *spans; /* with MTH_CODEC_TAKES_ROWS, in order; together the symbols, or n_spans is 0 */
    size_t n_spans;
    bool needs_older; /* set by encode with MTH_CODEC_TAKES_OLDER: the second reference was of use */
};

/* The same of what a decoder makes, and of its reference. */
struct mth_decode_digests {
    bool is_away; /* nobody looks at what is made soon: it may be put past the caches */
    bool taken;   /* set by decode_digested where it succeeds: so both are there */
    uint64_t dst, reference;
};

struct mth_decode_job {
    struct mth_bytes src;
    struct mth_symbol_type type;
    struct mth_context context;
    const void *model;
    uint8_t *dst;
    size_t dst_bytes; /* exactly what src must decode to; anything else is MTH_ERR_CORRUPT */
};

/*
 * Models: tables that chunks share. Counts are sampled from streams, merged by adding, and turned into a
 * model with integer arithmetic only, so that every machine builds the same one.
 */
struct mth_model_ops {
    size_t counts_bytes; /* of an accumulator, which starts as zeros */
    size_t model_bytes;  /* of a model in memory */
    size_t wire_bound;   /* the most bytes write can make */
    void (*count)(const int64_t *options, const struct mth_bytes *stream, const struct mth_context *context,
                  void *counts);
    void (*merge)(void *into, const void *from);
    /* MTH_ERR_UNSUPPORTED when the counts call for no model; every stream then goes without. */
    int (*build)(const int64_t *options, const void *counts, void *model);
    int (*write)(const void *model, struct mth_buffer *out);
    int (*read)(const int64_t *options, struct mth_bytes wire, void *model); /* hostile */
};

struct mth_codec {
    uint32_t abi;          /* MTH_CODEC_ABI */
    uint32_t wire_version; /* rises when the same options make bytes that an older decoder can not read */
    const char *name;      /* lower case, digits, dashes */
    const char *summary;   /* one line */
    uint32_t flags;
    const struct mth_option *options;
    size_t n_options;
    /* "libzstd 1.5.4", the library that does the work at run time; NULL for code of our own. */
    const char *(*library)(void);
    /* The most bytes encode makes of src_bytes; 0 when it can not take that many. */
    size_t (*bound)(const int64_t *options, size_t src_bytes);
    /* sides: mth_side flags. Errors: MTH_ERR_NO_MEMORY, MTH_ERR_LIBRARY. */
    int (*create)(const int64_t *options, unsigned sides, struct mth_memory *memory, void **state);
    void (*destroy)(void *state);
    /* Errors: MTH_ERR_CAPACITY, MTH_ERR_LIBRARY, MTH_ERR_UNSUPPORTED (a context it needs is not there). */
    int (*encode)(void *state, struct mth_encode_job *job);
    /* Every job must succeed; the first failure ends the call. Errors: MTH_ERR_CORRUPT, MTH_ERR_LIBRARY. */
    int (*decode)(void *state, struct mth_decode_job *jobs, size_t n_jobs);
    const struct mth_model_ops *models; /* NULL: none */
    /* With these options, does it look at its context? NULL: always when flagged MTH_CODEC_CONTEXT, else
     * never. */
    int (*uses_context)(const int64_t *options);
    /*
     * The most that a state of one side takes, on its account and beside it, for streams of up to stream_bytes, references
     * included; what a decoder takes of hostile bytes too. NULL: at most MTH_CODEC_SMALL_STATE_BYTES.
     */
    size_t (*state_bytes)(const int64_t *options, unsigned side, size_t stream_bytes);
    /* With MTH_CODEC_DIGESTS, without which it is not looked at: decode of one job. */
    int (*decode_digested)(void *state, struct mth_decode_job *job, struct mth_decode_digests *digests);
};

/* The same for any codec. */
static inline size_t mth_codec_state_bytes(const struct mth_codec *codec, const int64_t *options,
                                           unsigned side, size_t stream_bytes)
{
    if (codec->flags & MTH_CODEC_IDENTITY)
        return 0;
    if (!codec->state_bytes)
        return MTH_CODEC_SMALL_STATE_BYTES;
    return codec->state_bytes(options, side, stream_bytes);
}

#endif
