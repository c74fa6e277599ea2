/*
 * Bundles: what a container restores together. A bundle covers one range of the file, at most a chunk long: a piece of
 * a large tensor, or whatever small regions lie side by side. Its chunks are its elements of one dtype and spec.
 */
#ifndef MTH_PIPELINE_BUNDLE_H
#define MTH_PIPELINE_BUNDLE_H

#include "pipeline/container.h"
#include "pipeline/relations.h"
#include "transforms/predictors/predictor.h"

enum {
    MTH_BUNDLE_TAIL_BYTES = 16,
    MTH_MAX_BUNDLE_SEGMENTS = 1 << 14,
    MTH_MAX_BUNDLE_CHUNKS = 256,
    MTH_NO_SEGMENT = UINT32_MAX,
    MTH_NO_REFERENCE = UINT32_MAX
};

/* Append-only: containers store these numbers. */
enum mth_chunk_mode {
    MTH_CHUNK_CODED = 0,
    MTH_CHUNK_STORED = 1,
    MTH_CHUNK_COPY_OF_BASE = 2,
    MTH_CHUNK_COPY_OF_EARLIER = 3, /* has its place; not made or read by this version */
    MTH_CHUNK_DERIVED = 4,         /* the same */
    MTH_CHUNK_PREDICTED = 5,       /* coded against what is predicted from other tensors */
    MTH_CHUNK_AS_PREDICTED = 6     /* just what is predicted */
};

static inline bool mth_chunk_is_predicted(enum mth_chunk_mode mode)
{
    return mode == MTH_CHUNK_PREDICTED || mode == MTH_CHUNK_AS_PREDICTED;
}

enum { MTH_FROM_SELF = 0, MTH_FROM_BASE = 1 }; /* sources; containers store these numbers */

/* What a chunk is predicted from: an earlier chunk of its bundle, or as many elements of the base. */
struct mth_bundle_input {
    uint8_t source;
    uint32_t chunk;  /* of a self */
    uint64_t digest; /* of a base's bytes */
};

/* Where in the base an input of a segment lies. */
struct mth_input_place {
    uint32_t reference;
    uint64_t offset;
};

/* A run of a chunk's bytes in the bundle. */
struct mth_bundle_segment {
    uint32_t at;
    uint32_t n_bytes;
    uint32_t next;             /* segment of the same chunk, MTH_NO_SEGMENT at its end */
    uint32_t reference;        /* number of what it is coded against; only in a chunk that has a reference */
    uint32_t older;            /* while encoding: the same of what that became out of, if the chunk has one */
    uint64_t reference_offset; /* in that */
};

/* Bytes of a chunk that lie side by side in one region, and how its rows run through them; see mth_row_span. */
struct mth_bundle_piece {
    uint32_t chunk;
    uint32_t n_bytes;
    uint32_t row_elems;
    uint32_t phase;
};

enum { MTH_NO_FALLBACK = UINT8_MAX };

struct mth_bundle_chunk {
    enum mth_chunk_mode mode;
    enum mth_dtype dtype;
    uint32_t spec;      /* of the plan while encoding, of the container while decoding */
    uint8_t fallback;   /* while encoding: a spec of the plan that takes no reference, or MTH_NO_FALLBACK */
    bool may_split;     /* while encoding: with that it is cut as what has no reference is */
    bool has_reference; /* its bytes are not known without the base */
    bool has_older;     /* while encoding: of all that it is coded against there is an older state */
    uint8_t predictor;  /* of a predicted chunk */
    uint8_t n_inputs;
    uint32_t settings[MTH_MAX_SETTINGS];
    struct mth_bundle_input inputs[MTH_MAX_INPUTS];
    uint32_t first, last; /* segments */
    uint32_t n_segments;
    size_t n_bytes;
    uint64_t reference_digest;
    bool is_foretold; /* while encoding: what is predicted is in its worker's reference already */
    const uint8_t
        *view; /* while encoding: its bytes, where they are not read into its bundle's; NULL: they are */
    struct mth_bytes payload;
    struct mth_bytes entry;
};

struct mth_bundle {
    struct mth_memory *memory;
    uint64_t offset; /* its place; without families that is its offset in the file */
    size_t n_bytes;
    uint64_t leaf;        /* XXH3-64 of its bytes, as they are restored */
    bool has_leaf;        /* while encoding: it is there */
    struct mth_loss loss; /* only while encoding */
    struct mth_bundle_chunk chunks[MTH_MAX_BUNDLE_CHUNKS];
    size_t n_chunks;
    struct mth_bundle_segment *segments;
    size_t n_segments, segments_capacity;
    struct mth_input_place
        *places; /* of inputs, MTH_MAX_INPUTS a segment; only where some chunk is predicted */
    size_t places_capacity;
    struct mth_bundle_piece *pieces; /* only while encoding, and only if rows are looked at */
    size_t n_pieces, pieces_capacity;
};

void mth_bundle_free(struct mth_bundle *bundle);

/* What is told of a bundle that was coded. */
struct mth_bundle_summary {
    size_t n_bytes;
    uint64_t leaf;
    size_t n_chunks, n_chunks_raw, n_chunks_copied;
    uint64_t payload_bytes;
    struct mth_loss loss;
};
void mth_bundle_summarise(const struct mth_bundle *bundle, struct mth_bundle_summary *summary);

/* ---- planning: bundle_plan.c ---- */

/* Walks a map from its first byte to its last and cuts it into bundles. */
struct mth_bundle_planner {
    const struct mth_region_map *map;
    const struct mth_pipeline *specs[MTH_N_PLAN_SPECS];
    const uint32_t *references; /* for each region its reference or MTH_NO_REFERENCE; NULL: no base */
    const uint64_t *origins; /* for each region where in its reference it begins; NULL: at its first byte */
    const uint32_t *older;   /* the same of an older base, where the first is of use whole; NULL: none */
    struct mth_spec_guard guards[MTH_MAX_CANDIDATES]; /* of those asked for */
    const uint8_t *classes;    /* for each region its enum mth_tensor_class; NULL: no guard asks for one */
    const uint32_t *row_elems; /* for each region; NULL: no stage looks at rows */
    const uint8_t *choices;    /* for each region its spec; NULL: the first that fits it */
    const uint8_t *
        fallbacks; /* for each region what its chunks may be better coded with, or MTH_NO_FALLBACK; NULL: none */
    size_t chunk_bytes;
    size_t
        moments_bytes; /* the most of a bundle of a family with moments of any gradients, or copies rounded by chance */
    size_t
        alone_bytes; /* the most of a bundle that has no reference: as large as chunks are without a base */
    const struct mth_relations *relations; /* NULL: the file's own order */
    uint32_t spec_of[MTH_N_DTYPES][2];
    size_t region;
    uint64_t done; /* bytes of that region */
    size_t family; /* when regions are behind */
    uint64_t elem; /* of that family */
    uint64_t place;
};

void mth_bundle_planner_init(struct mth_bundle_planner *planner, const struct mth_region_map *map,
                             const struct mth_pipeline *asked,
                             const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS], size_t chunk_bytes,
                             size_t alone_bytes, size_t moments_bytes);
void mth_bundle_planner_rewind(struct mth_bundle_planner *planner);
/* May the tensors of a dtype be coded with something that looks at their reference? */
bool mth_bundle_planner_may_refer(const struct mth_bundle_planner *planner, enum mth_dtype dtype);
/* The spec of a region, and whether its reference is looked at. */
uint32_t mth_bundle_planner_spec(struct mth_bundle_planner *planner, size_t region, bool *has_reference);
/* Where a region lies in the older base, if what codes it looks there; MTH_NO_REFERENCE. */
uint32_t mth_bundle_planner_older(struct mth_bundle_planner *planner, size_t region);
/* What tensors of a region's kind are coded with where there is no reference. */
uint32_t mth_bundle_planner_alone(const struct mth_bundle_planner *planner, size_t region);
/* Of a region; MTH_CLASS_OTHER where no guard asks for it. */
static inline enum mth_tensor_class mth_bundle_planner_class(const struct mth_bundle_planner *planner,
                                                             size_t region)
{
    return planner->classes ? (enum mth_tensor_class)planner->classes[region] : MTH_CLASS_OTHER;
}
/* Where in its reference a region begins. */
static inline uint64_t mth_bundle_planner_origin(const struct mth_bundle_planner *planner, size_t region)
{
    return planner->origins ? planner->origins[region] : 0;
}
/* The next bundle; n_bytes 0 behind the last. Errors: MTH_ERR_NO_MEMORY. */
int mth_bundle_planner_next(struct mth_bundle_planner *planner, struct mth_bundle *bundle);

/* A segment of n bytes behind what the bundle holds, at the end of a chunk. Errors: MTH_ERR_NO_MEMORY. */
int mth_bundle_add_segment(struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, size_t n,
                           uint32_t reference, uint64_t reference_offset);
/* bundle_families.c: the next bundle of pieces of families, behind all that is in none. */
int mth_bundle_planner_next_of_families(struct mth_bundle_planner *planner, struct mth_bundle *bundle);

/* ---- rows: bundle_rows.c ---- */

/* Elements in a row of each region of a map, as its tensors tell; 0: none. NULL: no memory. */
uint32_t *mth_region_rows(const struct mth_region_map *map, struct mth_memory *memory);
/* The same of the embedding tables alone, for lossy pipelines, which leave all else as it is: fp32 weights of two dimensions
 * that say so by their name, or have eight rows for each column. */
uint32_t *mth_table_rows(const struct mth_region_map *map, struct mth_memory *memory);
/* Notes that n bytes at done of a region, with rows of row_elems, are behind what a chunk of the bundle holds. */
int mth_bundle_add_piece(struct mth_bundle *bundle, size_t chunk, const struct mth_region *region,
                         uint64_t done, size_t n_bytes, uint32_t row_elems);
/* Tells a worker how rows run through a chunk. Errors: MTH_ERR_NO_MEMORY. */
int mth_bundle_set_spans(const struct mth_bundle *bundle, size_t chunk, struct mth_coder_worker *worker);

/* ---- bytes of a base: base_reader.c ---- */

struct mth_base_reader {
    const struct mth_source *source, *older;
    struct mth_memory *memory;
    uint64_t *offsets; /* of each reference in source */
    uint8_t *dtypes;   /* of each: elements of a chunk's own are taken as they are, others are converted */
    size_t n_references;
    size_t n_of_base; /* the others are of the older base */
};

void mth_base_reader_free(struct mth_base_reader *reader);
/* Find what a container refers to in the base that was given, by name where its map tells, else by offset. */
int mth_base_reader_find(const struct mth_container_front *front, const struct mth_stream_base *base,
                         struct mth_memory *memory, struct mth_base_reader *reader, struct mth_error *err);
/* The reference bytes of a chunk. scratch grows as needed; out may point into a base in memory. */
int mth_base_reader_gather(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                           const struct mth_bundle_chunk *chunk, uint8_t **scratch, size_t *capacity,
                           struct mth_bytes *out, struct mth_error *err);

/* The same of an input of a predicted chunk. */
int mth_base_reader_gather_input(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                                 const struct mth_bundle_chunk *chunk, size_t input, uint8_t **scratch,
                                 size_t *capacity, struct mth_bytes *out, struct mth_error *err);

/* The name of the base that an input of a chunk is of. */
const char *mth_base_reader_name(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                                 const struct mth_bundle_chunk *chunk, size_t input);

/* Do the segments of a chunk lie behind one another, in their order? There is one at least. */
bool mth_bundle_is_flat(const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk);

/* The bytes of a chunk out of its bundle's: in place when they lie together. */
int mth_bundle_gather(const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                      const uint8_t *bytes, uint8_t **scratch, size_t *capacity, struct mth_bytes *out);

/* ---- predictions: bundle_predict.c ---- */

/* What a chunk is coded against: one reference, or several that its pipeline takes. */
struct mth_prediction {
    struct mth_bytes reference;
    struct mth_bytes inputs[MTH_MAX_INPUTS];
    size_t n_inputs; /* of a pipeline that takes them as they are; else 0 */
};

/*
 * The inputs of a predicted chunk, and what they predict.
 *
 * Shape     bytes: those of the bundle, in which all chunks before this one are restored. room: where what is predicted is put, NULL
 *           for the worker's scratch; what is predicted without arithmetic stays where it is
 * Errors    those of reading; MTH_ERR_NO_MEMORY
 */
int mth_bundle_predict(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                       const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                       const uint8_t *bytes, uint8_t *room, struct mth_prediction *prediction,
                       struct mth_error *err);

/* Digests of what encoding a chunk reads anyway, taken while it is in cache. */
struct mth_chunk_digests {
    struct mth_hash64_pieces *leaf;  /* has begun: the chunk's bytes go on to it; NULL: not asked for */
    bool leaf_goes_on;               /* other bytes will, behind them */
    bool has_leaf;                   /* set: they went on */
    bool has_inputs[MTH_MAX_INPUTS]; /* set: those of the prediction's inputs are there */
    uint64_t inputs[MTH_MAX_INPUTS];
};

/*
 * The same while encoding: what is predicted is compared with the chunk's bytes a few elements at a time, and digests are taken on the way.
 *
 * Shape     src: the chunk's bytes; is_same: are they what is predicted? Then prediction has no reference
 */
int mth_bundle_predict_beside(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                              const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                              const uint8_t *bytes, struct mth_bytes src, struct mth_chunk_digests *digests,
                              struct mth_prediction *prediction, bool *is_same, struct mth_error *err);

/* What is predicted from nothing but what the chunk before it is coded from: while that is coded all of it is in cache. */
struct mth_foretelling {
    const struct mth_predictor *predictor; /* NULL: nothing is foretold */
    const uint32_t *settings;
    const uint8_t *inputs[MTH_MAX_INPUTS];
    uint8_t *room;
};

/*
 * Is the chunk behind this one such? src: the bytes of this one, prediction: its inputs. Its room is the worker's reference, which nobody may use
 * until its turn.
 *
 * Errors    MTH_ERR_NO_MEMORY
 */
int mth_bundle_foretell_begin(struct mth_coder_worker *worker, const struct mth_bundle *bundle,
                              size_t chunk_index, struct mth_bytes src,
                              const struct mth_prediction *prediction, struct mth_foretelling *foretelling,
                              struct mth_error *err);
/* n_bytes of fp32 elements at `at`; arg: what was begun. */
void mth_bundle_foretell(void *arg, size_t at, size_t n_bytes);

/*
 * The digests of what a predicted chunk has of its base: those of the prediction's inputs, or MTH_ERR_BASE where these are not the chunk's. They are
 * asked for once the inputs were worked on: then these lie in cache, and came from memory while there was something to compute.
 */
void mth_bundle_set_input_digests(const struct mth_bundle *bundle, struct mth_bundle_chunk *chunk,
                                  const struct mth_prediction *prediction,
                                  const struct mth_chunk_digests *digests);
int mth_bundle_check_inputs(const struct mth_base_reader *base, const struct mth_bundle *bundle,
                            const struct mth_bundle_chunk *chunk, const struct mth_prediction *prediction,
                            struct mth_error *err);

/* ---- coding: bundle_encode.c, bundle_parse.c, bundle_decode.c ---- */

/* What encoding a bundle needs beside it. */
struct mth_bundle_encoder {
    struct mth_coder *coder;
    struct mth_coder_spec *specs[MTH_N_PLAN_SPECS];
    struct mth_spec_numbers numbers;
    size_t alone_bytes;                 /* of a chunk that was cut from one that did not want its base */
    const struct mth_base_reader *base; /* NULL: none */
    const struct mth_layout *layout;    /* NULL: the file's own order */
    bool is_lossy;                      /* bundles are settled */
    /* To restore what was made: front as a reader will have it, and the same with its specs as the plan counts them,
     * which is how the coder's models are found. NULL: nothing is restored. */
    const struct mth_container_front *front, *plan_front;
};

/*
 * One thread's scratch: a lane for each bundle that it decodes side by side. Encoding takes the first; of the second the
 * block, for what waits for its place, and the rest to verify.
 */
struct mth_bundle_lane {
    struct mth_bundle bundle;
    uint8_t *bytes; /* of the original */
    size_t bytes_capacity;
    uint8_t *block; /* head, body */
    size_t block_capacity;
};

struct mth_bundle_worker {
    struct mth_bundle_lane lanes[MTH_MAX_BATCH];
    struct mth_growing plan;
    struct mth_growing alone; /* a chunk coded without its base */
};

/* The scratch of a coder's threads, made when there is none yet. Errors: MTH_ERR_NO_MEMORY. */
int mth_bundle_workers(struct mth_coder *coder);
void mth_bundle_worker_free(struct mth_memory *memory, struct mth_bundle_worker *worker);

/* The most bytes of a bundle's block. Errors: MTH_ERR_OVERFLOW, those of the pipelines. */
int mth_bundle_bound(const struct mth_bundle_encoder *encoder, const struct mth_bundle *bundle,
                     size_t *n_bytes);
/* Make the body behind out[0 .. MTH_BLOCK_HEAD_BYTES), which is left for its head; out->n_bytes counts both.
 * bytes: those of the bundle; NULL where its chunks have views. Sets the bundle's leaf. */
int mth_bundle_encode(const struct mth_bundle_encoder *encoder, size_t worker_index, const uint8_t *bytes,
                      struct mth_buffer *out, struct mth_error *err);

/* Restores the body of a block that was just made, to the bytes of the worker's second lane. Errors: MTH_ERR_CHECKSUM when it
 * can not be read, MTH_ERR_NO_MEMORY, MTH_ERR_IO. */
int mth_bundle_restore_made(const struct mth_bundle_encoder *encoder, size_t worker_index,
                            struct mth_bytes body, const uint8_t *bytes, struct mth_error *err);
/* The same, and compares. Errors: MTH_ERR_CHECKSUM when it differs. */
int mth_bundle_verify(const struct mth_bundle_encoder *encoder, size_t worker_index, struct mth_bytes body,
                      const uint8_t *bytes, struct mth_error *err);

/*
 * Of a lossy pipeline, bundle_loss.c: the bundle that was just encoded gets the leaf of what a reader restores, and its loss is
 * measured. What no lossy pipeline coded is compared with the original.
 *
 * Shape     block: with its head, which has no checksum yet; verify: it is restored a second time, which must give the same
 * Errors    as above
 */
int mth_bundle_settle(const struct mth_bundle_encoder *encoder, size_t worker_index, struct mth_buffer *block,
                      const uint8_t *bytes, bool verify, struct mth_error *err);

/*
 * Chooses a spec for each region that several candidates fit: what is smallest on a sample of it. Small regions of a
 * dtype share a sample, and what is chosen. By sizes alone, so that it depends on the bytes and nothing else.
 *
 * Shape     families: what they predict is not looked at, unless it is small, and has any choice; NULL: nothing is predicted.
 *           choices: for each region of the planner's map; its references are known already. fallbacks: the same; what does
 *           without the base, for a region that was not made so much smaller with it that every chunk must be
 * Errors    those of reading; MTH_ERR_NO_MEMORY
 */
int mth_plan_sample(const struct mth_bundle_encoder *encoder, const struct mth_bundle_planner *planner,
                    const struct mth_families *families, const struct mth_source *input, uint8_t *choices,
                    uint8_t *fallbacks, struct mth_error *err);

/* Counts a sample of the chunks that the planner cuts and builds the models that their specs call for.
 * Errors: those of reading; MTH_ERR_NO_MEMORY. */
int mth_stream_build_models(const struct mth_bundle_encoder *encoder, struct mth_bundle_planner *planner,
                            const struct mth_source *input, struct mth_error *err);

/* The bytes of a bundle out of a source: in place when they lie together in memory, else read into scratch. layout NULL: the
 * file's own order. */
int mth_stream_view(const struct mth_source *source, const struct mth_layout *layout, uint64_t place,
                    size_t n_bytes, struct mth_memory *memory, uint8_t **scratch, size_t *capacity,
                    struct mth_bytes *out, struct mth_error *err);

/*
 * Lets every chunk of a bundle be read where it lies in a source in memory, instead of out of its bundle's bytes. False where some chunk does not lie
 * there whole, or the chunks do not stand in their bundle one behind the other: then none is.
 */
bool mth_stream_view_chunks(const struct mth_source *source, const struct mth_layout *layout,
                            struct mth_bundle *bundle);

/* What decoding bundles needs beside them. */
struct mth_bundle_decoder {
    struct mth_coder *coder;
    const struct mth_container_front *front;
    size_t chunk_bytes;
    const struct mth_base_reader *base; /* NULL: none was given */
    bool without_base;                  /* skip chunks that refer to it, and the leaf of their bundle */
    bool is_compared; /* what is restored is compared with the original: leaves need not be */
};

/* Size and leaf at the end of a body, which may be hostile. Errors: MTH_ERR_CORRUPT. */
int mth_bundle_tail(struct mth_bytes body, size_t chunk_bytes, uint32_t *n_raw, uint64_t *leaf);
/* The body's plan into bundle; every length and offset is checked. offset: in the file. */
int mth_bundle_parse(const struct mth_bundle_decoder *decoder, struct mth_bytes body, uint64_t offset,
                     struct mth_bundle *bundle, struct mth_error *err);

struct mth_bundle_job {
    struct mth_bundle *bundle; /* parsed */
    uint8_t *dst;              /* its n_bytes */
    bool is_away;              /* nobody looks at them soon */
    bool skipped;              /* some chunk refers to a base that is not there */
    bool has_leaf;             /* set while it is decoded: the digest of dst is there */
    uint64_t leaf;
};
/* Restore bundles (at most MTH_MAX_BATCH) side by side, and compare their leaves. */
int mth_bundle_decode(const struct mth_bundle_decoder *decoder, size_t worker_index,
                      struct mth_bundle_job *jobs, size_t n_jobs, struct mth_error *err);

#endif
