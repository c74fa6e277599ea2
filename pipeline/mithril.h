/*
 * libmithril: lossless compression of PyTorch checkpoints.
 *
 * The public header. A pipeline is a parsed spec; a coder runs a pipeline on its threads over a checkpoint in
 * memory and makes a container, or restores one; mth_compress and mth_decompress do the same with files of any size.
 * Buffers belong to the caller. Nothing here reads clocks or prints. The container's layout: docs/container.md.
 */
#ifndef MITHRIL_H
#define MITHRIL_H

#include "base/bytes.h"
#include "base/dtype.h"
#include "base/flow.h"
#include "base/memory.h"
#include "base/status.h"
#include "codecs/codec_registry.h"
#include "formats/region_map.h"
#include "formats/tensor_read.h"
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
/* May it look at an older base beside its base? */
bool mth_pipeline_takes_older(const struct mth_pipeline *pipeline);

/* May what it restores differ from what it was given? Such a pipeline is refused unless the caller says that loss is wanted. */
bool mth_pipeline_is_lossy(const struct mth_pipeline *pipeline);

/*
 * What a lossy pipeline took from a checkpoint: of the tables that it may quantize, how far values moved. Of the others every
 * bit is kept.
 */
struct mth_loss {
    bool is_lossy; /* all else is 0 where it is not */
    uint64_t n_elems, n_rows;
    double sum_abs, max_abs; /* of what values moved by */
    double sum_l2;           /* of rows: the Euclidean length of what moved */
};
static inline double mth_loss_mean_abs(const struct mth_loss *loss)
{
    return loss->n_elems ? loss->sum_abs / (double)loss->n_elems : 0;
}
static inline double mth_loss_mean_l2(const struct mth_loss *loss)
{
    return loss->n_rows ? loss->sum_l2 / (double)loss->n_rows : 0;
}

struct mth_preset {
    const char *name;
    const char *summary;
    const char *source; /* the published method it follows, or NULL for ours */
    const char *spec;   /* without a base; NULL where the method has none */
    const char *delta;  /* against a base; NULL where the method has none */
    /* The same where options follow the name, as in `check-n-run:bits=4`: they take the place of each '*'. NULL: it takes none. */
    const char *spec_with_options, *delta_with_options;
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

/*
 * What chunk_bytes 0 stands for: the first, which stays in a processor's second-level cache on its way from file to file; the
 * second where a stage looks at a base, because what is left of a chunk then is small beside what frames it, or at rows and
 * columns, because what is noted of columns is paid by all their rows in a chunk. Bundles of parameters whose gradients were no 16-bit
 * ones are as large as the third: each has a table for every class of moments.
 */
enum {
    MTH_CHUNK_BYTES_ALONE = 256 << 10,
    MTH_CHUNK_BYTES_LARGE = 1 << 20,
    MTH_CHUNK_BYTES_MOMENTS = 2 << 20
};
size_t mth_pipeline_chunk_bytes(const struct mth_pipeline *pipeline, bool has_base);

struct mth_coder_config {
    size_t n_threads;          /* 1 .. 4096 */
    size_t chunk_bytes;        /* a power of two, 4 KiB .. 1 GiB; 0: mth_pipeline_chunk_bytes */
    struct mth_memory *memory; /* the account for everything the coder allocates */
    bool lossy;                /* a lossy pipeline may be used */
    bool tensors_alone;        /* of bases in memory, as in struct mth_stream_base */
};

struct mth_container_stats;

/* Threads, and the states and scratch that encoding and decoding reuse. Used by one caller at a time. */
struct mth_coder;

int mth_coder_create(const struct mth_coder_config *config, struct mth_coder **coder, struct mth_error *err);
void mth_coder_destroy(struct mth_coder *coder);

/*
 * Encode a checkpoint with a pipeline, alone or against its bases: the bytes of the file that mth_compress writes.
 *
 * Shape     bases: none, the base, or the base and an older one that it became out of, n_bases of them; dst:
 *           capacity_bytes, mth_coder_bound(...) always suffice; stats may be NULL
 * Exact     the bytes depend on pipeline, input, bases and chunk_bytes; not on threads or the instruction set
 * Errors    MTH_ERR_UNSUPPORTED (a delta spec without a base), MTH_ERR_BASE (no tensor matches one of the base),
 *           MTH_ERR_CAPACITY, MTH_ERR_NO_MEMORY, ...
 * Cost      a second call with inputs of the same shape and the same pipeline finds its states and scratch again
 */
int mth_coder_encode(struct mth_coder *coder, const struct mth_pipeline *pipeline,
                     const struct mth_checkpoint *input, const struct mth_checkpoint *bases, size_t n_bases,
                     uint8_t *dst, size_t capacity_bytes, size_t *n_bytes, struct mth_container_stats *stats,
                     struct mth_error *err);

/* Bytes that any container of this input fits in. Errors: MTH_ERR_OVERFLOW. */
int mth_coder_bound(const struct mth_coder *coder, const struct mth_checkpoint *input, size_t *n_bytes);

/*
 * Restore a container, against the bytes of its bases where it has any.
 *
 * Shape     bases: as many as it was coded against (mth_container_stats.n_bases), in that order; dst: as many bytes as the original has
 * Errors    MTH_ERR_BASE when a base is missing, is another, or is not needed; MTH_ERR_CORRUPT, MTH_ERR_CHECKSUM, MTH_ERR_TRUNCATED for
 *           a damaged container; dst then holds nothing of use
 */
int mth_coder_decode(struct mth_coder *coder, struct mth_bytes container, const struct mth_bytes *bases,
                     size_t n_bases, uint8_t *dst, size_t dst_bytes, struct mth_error *err);

/* ---- files of any size: the container ---- */

/* What a container keeps of the file beside its bytes. */
struct mth_file_attributes {
    bool known;
    uint32_t mode; /* permission bits */
    int64_t mtime_s;
    uint32_t mtime_ns;
};

/*
 * The checkpoint that another is coded against. Its source may be a file, memory, or a container (mth_container_source).
 * map: its region map; NULL where there is none, only to restore: tensors are then found by their offsets alone.
 * tensors_alone: to compress, nothing but tensors is looked at in it, which are found by their names wherever they lie by the time of
 * restoring; what is no tensor is found at its offset alone.
 * older: a checkpoint that this one became out of, so that it is known which way elements go; NULL: none. Only of a base itself.
 */
struct mth_stream_base {
    const struct mth_source *source;
    const struct mth_region_map *map;
    bool has_digest; /* the source is a container with this digest, by which it is known without being read */
    uint8_t digest[16];
    bool tensors_alone;
    const struct mth_stream_base *older;
};

/*
 * Tensors of a checkpoint by what they are compared with in a base; docs/delta.md has the rules. mth_compress refuses a base
 * when all of them are new.
 */
struct mth_paired {
    uint64_t n_same;      /* name, dtype and shape */
    uint64_t n_renamed;   /* found by content */
    uint64_t n_reshaped;  /* by name, as many elements in another shape */
    uint64_t n_resized;   /* by name, more or fewer rows */
    uint64_t n_converted; /* by name, floats of another width */
    uint64_t n_new;       /* nothing */
};

/* How many have a counterpart. */
static inline uint64_t mth_paired_of(const struct mth_paired *paired)
{
    return paired->n_same + paired->n_renamed + paired->n_reshaped + paired->n_resized + paired->n_converted;
}

/* Count them. Errors: those of reading; MTH_ERR_NO_MEMORY. */
int mth_pair(const struct mth_source *input, const struct mth_region_map *map,
             const struct mth_stream_base *base, struct mth_paired *paired, struct mth_error *err);

struct mth_stream_config {
    size_t n_threads;          /* 1 .. 4096 */
    size_t chunk_bytes;        /* a power of two, 4 KiB .. 1 GiB; 0: as above; only to compress */
    struct mth_memory *memory; /* the account, whose limit is kept */
    bool verify;               /* mth_compress restores every bundle and compares it before it is written */
    bool lossy;                /* mth_compress may use a lossy pipeline */
    /* Called now and then, by one thread at a time: bytes of the original done. Anything but 0 cancels. NULL: none. */
    int (*progress)(void *arg, uint64_t n_done, uint64_t n_total);
    void *progress_arg;
};

struct mth_container_stats {
    uint64_t raw_bytes;
    uint64_t stored_bytes;
    uint64_t n_bundles;
    uint64_t n_chunks;
    uint64_t n_chunks_raw;    /* did not shrink and were stored */
    uint64_t n_chunks_copied; /* are those of the base */
    uint64_t n_skipped;     /* bundles that could not be checked without the base; only mth_container_check */
    uint64_t payload_bytes; /* the chunks themselves; only mth_compress */
    uint64_t sampled_bytes; /* of the original that were coded; only mth_compress */
    struct mth_paired paired; /* with the base; only mth_compress */
    size_t n_bases;           /* that it needs to be restored: none, a base, an older one too */
    uint8_t digest[16];       /* over the bytes that are restored: docs/container.md says how */
    struct mth_file_attributes attributes;
    struct mth_loss loss;
};

/*
 * Compress a file into a container, in order, in memory that does not grow with the file.
 *
 * Shape     map: of input; base: NULL for none; attributes: NULL for none; stats may be NULL
 * Exact     the bytes depend on pipeline, input, map, base, attributes and chunk_bytes; not on threads or the
 *           instruction set
 * Errors    MTH_ERR_UNSUPPORTED (a delta spec without a base), MTH_ERR_BASE (no tensor matches one of the base),
 *           MTH_ERR_IO, MTH_ERR_CANCELLED, MTH_ERR_NO_MEMORY, ...; the sink then holds nothing of use
 */
int mth_compress(const struct mth_pipeline *pipeline, const struct mth_source *input,
                 const struct mth_region_map *map, const struct mth_stream_base *base,
                 const struct mth_file_attributes *attributes, struct mth_sink *sink,
                 const struct mth_stream_config *config, struct mth_container_stats *stats,
                 struct mth_error *err);

/* Memory, at most; what the account holds already is not part of it. */
struct mth_memory_need {
    uint64_t total_bytes;
    uint64_t thread_bytes; /* of it, for each thread */
    size_t n_threads;
};

/*
 * What mth_compress will take of its account, and its libraries beside it, with these arguments. mth_compress and
 * mth_decompress look at this before they begin, and end with MTH_ERR_LIMIT where it does not fit the account's limit. A file in which
 * tensors are found to be parts of others may take more where the account has no limit; where one does not allow it, they are
 * not looked for.
 *
 * Shape     n_bases: 0 for none, 1 for a base, 2 for one with an older one; the other arguments as above
 * Errors    MTH_ERR_NO_MEMORY
 * Cost      a walk over the regions; nothing is read
 */
int mth_compress_memory(const struct mth_pipeline *pipeline, const struct mth_region_map *map, size_t n_bases,
                        const struct mth_stream_config *config, struct mth_memory_need *need,
                        struct mth_error *err);

/*
 * What mth_compress would make of a file, judged from bundles spread over it, at most n_sample_bytes of them.
 *
 * Shape     *n_stored: the bytes of the container, roughly; the other arguments as above
 * Errors    as above
 */
int mth_compress_estimate(const struct mth_pipeline *pipeline, const struct mth_source *input,
                          const struct mth_region_map *map, const struct mth_stream_base *base,
                          const struct mth_stream_config *config, uint64_t n_sample_bytes, uint64_t *n_stored,
                          struct mth_error *err);

/*
 * Restore the file of a container, read in order (from a pipe, for instance) and written in order.
 *
 * Shape     base: NULL for none; stats may be NULL
 * Errors    MTH_ERR_BASE when the base is missing or another (what was written until then is of no use), MTH_ERR_CORRUPT,
 *           MTH_ERR_CHECKSUM, MTH_ERR_TRUNCATED, MTH_ERR_UNSUPPORTED, MTH_ERR_FORMAT for what is no container, ...
 */
int mth_decompress(struct mth_input *input, const struct mth_stream_base *base, struct mth_sink *sink,
                   const struct mth_stream_config *config, struct mth_container_stats *stats,
                   struct mth_error *err);

/*
 * Restore without writing anywhere. Without a base where one is needed, what does not look at it is restored and
 * compared, the rest only checked by its checksums; stats->n_skipped counts those bundles.
 */
int mth_container_check(struct mth_input *input, const struct mth_stream_base *base,
                        const struct mth_stream_config *config, struct mth_container_stats *stats,
                        struct mth_error *err);

/* A container that is read at offsets: what is asked for is decoded, nothing else. */
struct mth_container;

struct mth_container_info {
    unsigned version; /* of the format: 1; 2 with a second base; 0 before it was frozen */
    uint64_t raw_bytes;
    uint64_t stored_bytes;
    uint64_t n_bundles;
    size_t chunk_bytes;
    bool has_base;
    uint64_t base_bytes;  /* of the base that it was coded against */
    bool base_has_digest; /* which was a container itself, with this digest */
    uint8_t base_digest[16];
    bool has_older; /* it was coded against a second, older base too; what is known of that: */
    uint64_t older_bytes;
    bool older_has_digest;
    uint8_t older_digest[16];
    size_t n_references; /* tensors of both that are looked at */
    size_t n_specs;
    uint8_t digest[16];
    struct mth_file_attributes attributes;
    struct mth_loss loss;
};

/*
 * Open a container. It borrows source. n_threads of config: how many threads may read it side by side.
 * Errors: as mth_decompress. Cost: reads head, trailer, root and front.
 */
int mth_container_open(const struct mth_source *source, const struct mth_stream_config *config,
                       struct mth_container **container, struct mth_error *err);
void mth_container_close(struct mth_container *container);

/* Does a file begin as a container does? */
bool mth_container_claims(const uint8_t *head, size_t n_head);

void mth_container_describe(const struct mth_container *container, struct mth_container_info *info);
/* The canonical text of a spec that it uses. Borrowed. */
const char *mth_container_spec(const struct mth_container *container, size_t index);

/*
 * What a range of the original takes in the container: its bundles, those that it shares by their shares of it. What stands
 * beside bundles (front, index, root) is nobody's.
 *
 * Errors    MTH_ERR_USAGE for a range that the original does not have; damaged pages of the index
 * Cost      the index of the range; nothing is decoded
 */
int mth_container_stored_bytes(struct mth_container *container, uint64_t offset, uint64_t n_bytes,
                               uint64_t *n_stored, struct mth_error *err);

/*
 * Give a container the base it was coded against, while nobody reads from it; it borrows what base points to.
 * A container without a base takes none: MTH_ERR_BASE. Without the base that it needs, what was not coded against it can
 * be read, headers for one, and any other range is MTH_ERR_BASE.
 */
int mth_container_set_base(struct mth_container *container, const struct mth_stream_base *base,
                           struct mth_error *err);

/*
 * The original as a source: each read decodes the bundles that cover it, and the last ones are kept. It may be mapped
 * (mth_format_map), read in part, and be the base of another. Closing it is closing the container.
 */
void mth_container_source(struct mth_container *container, struct mth_source *source);

/* ---- chains: the checkpoints of a run in one directory; docs/chain.md ---- */

/* Which steps are coded against which. */
enum mth_chain_rule {
    MTH_CHAIN_FULL,         /* one alone every so many steps, those between against the one before */
    MTH_CHAIN_CONSECUTIVE,  /* each against the one before */
    MTH_CHAIN_ONE_SHOT,     /* each against the last one that is coded alone */
    MTH_CHAIN_INTERMITTENT, /* the same, and a predictor says when the next is coded alone */
    MTH_N_CHAIN_RULES
};

struct mth_chain_policy {
    enum mth_chain_rule rule;
    uint64_t every; /* alone at every so many steps; 0: never again behind the first */
};

/* "full", "full:every=10", "consecutive", "one-shot", "one-shot:every=10", "intermittent". Errors: MTH_ERR_USAGE. */
int mth_chain_policy_parse(const char *text, struct mth_chain_policy *policy, struct mth_error *err);
enum { MTH_CHAIN_POLICY_BYTES = 48 };
/* The text that parses to it. Returns out. */
const char *mth_chain_policy_text(const struct mth_chain_policy *policy, char out[MTH_CHAIN_POLICY_BYTES]);

enum { MTH_CHAIN_NAME_BYTES = 256 };

struct mth_chain_step {
    uint64_t number;
    bool has_base; /* it is coded against the step of the number `base`, which is smaller */
    uint64_t base;
    bool has_older; /* and against the base of that one, as an older base */
    uint64_t raw_bytes, stored_bytes;
    uint8_t digest[16];     /* that its container notes of the original: docs/container.md */
    uint8_t xxh3[16];       /* XXH3-128 of the original; of a lossy step, of what it restores to; of a folder
                                        without its attributes */
    struct mth_loss loss;   /* of a lossy step */
    uint8_t given_xxh3[16]; /* of a lossy step: XXH3-128 of the file that was added */
    uint64_t writing;       /* how often its container was written: 1, 2, .. */
    enum mth_dtype dtype;   /* of a raw file's elements; MTH_N_DTYPES: the file says itself */
    bool is_folder;         /* the original is a directory, kept as one file: docs/formats.md, "folder" */
    char name[MTH_CHAIN_NAME_BYTES]; /* of the original, without directories */
};

struct mth_chain {
    struct mth_memory *memory;
    struct mth_chain_policy policy;
    char *spec;                   /* that steps are coded with, as asked */
    struct mth_chain_step *steps; /* by number, ascending */
    size_t n_steps, capacity;
    uint64_t stamp; /* of its manifest as it was read or written: another one is another chain */
};

/*
 * Read the manifest of a chain; it needs no lock, because a manifest is always whole.
 * Errors: MTH_ERR_NOT_FOUND where there is none; MTH_ERR_FORMAT, MTH_ERR_CHECKSUM, MTH_ERR_UNSUPPORTED with its line.
 */
int mth_chain_read(const char *directory, struct mth_memory *memory, struct mth_chain *chain,
                   struct mth_error *err);
void mth_chain_free(struct mth_chain *chain);

/* The index of a step, n_steps where it is not there. Cost: a binary search. */
size_t mth_chain_find(const struct mth_chain *chain, uint64_t number);
/* The index of a step's base; n_steps for none, also of none. */
size_t mth_chain_base_of(const struct mth_chain *chain, size_t index);
/* Put a step at its place, in the place of one of its number. Errors: MTH_ERR_NO_MEMORY. */
int mth_chain_put(struct mth_chain *chain, const struct mth_chain_step *step, struct mth_error *err);

/*
 * The step that a new one should be coded against.
 * Shape     *base: an index; n_steps: none, it is coded alone
 */
size_t mth_chain_choose(const struct mth_chain *chain, uint64_t number);

/* What restoring a step reads: itself and all the steps below it. */
struct mth_chain_cost {
    size_t n_links;
    uint64_t stored_bytes;
};
struct mth_chain_cost mth_chain_cost_of(const struct mth_chain *chain, size_t index);

/* directory/file of a step's container; allocated on the chain's account, NULL without memory. */
char *mth_chain_step_path(const struct mth_chain *chain, const char *directory,
                          const struct mth_chain_step *step);

/*
 * Which steps rules keep: "last:N", "first:N", "every:K" (numbers that K divides), "step:N", "range:A:B" (both included),
 * "full", with commas between; a step stays when any of them keeps it.
 *
 * Shape     kept: n_steps, set to true for those that stay, the others are left alone
 * Errors    MTH_ERR_USAGE
 */
int mth_chain_keep(const struct mth_chain *chain, const char *rules, bool *kept, struct mth_error *err);

/* A step that has to be coded again because its base goes, or its older base: against another one, or alone. */
struct mth_chain_move {
    size_t step;
    size_t base;  /* n_steps: alone */
    size_t older; /* what the base is coded against by then; n_steps: none, or not known yet */
};
/*
 * What dropping all but the kept steps asks for, in the order of the steps. Those that are kept and need one that is not
 * are coded against the kept step that the policy's rule would give them, or their own base where only the older one goes.
 * Shape     kept, moves: n_steps each; returns how many moves there are
 */
size_t mth_chain_plan_drop(const struct mth_chain *chain, const bool *kept, struct mth_chain_move *moves);

/*
 * Changing a chain. One writer at a time: others are told so. New containers are put beside the old ones, under the paths
 * of steps with a higher `writing`; nothing of them counts before the commit, which replaces the manifest in one step. What
 * an interrupted writer left behind is removed by the next.
 */
struct mth_chain_writer {
    char *directory;
    int lock;
    struct mth_chain chain; /* to be changed by the caller */
    /* Nothing was committed yet of a chain that is new; how much of the directory's path was there before it was made. Closing it
     * then leaves nothing. */
    bool is_new;
    size_t n_there;
};
/*
 * Errors    MTH_ERR_NOT_FOUND where there is no chain and create is false; MTH_ERR_IO, also when another process writes to it;
 *           MTH_ERR_USAGE for a directory that holds something else. Close it also after an error.
 */
int mth_chain_writer_open(const char *directory, bool create, struct mth_memory *memory,
                          struct mth_chain_writer *writer, struct mth_error *err);
int mth_chain_writer_commit(struct mth_chain_writer *writer, struct mth_error *err);
/* Remove containers that the committed chain does not name. Errors: MTH_ERR_IO; the chain is as it was. */
int mth_chain_writer_clean(struct mth_chain_writer *writer, struct mth_error *err);
/* A chain that this writer made and that has no step goes with it, and so do the directories that were made for it. */
void mth_chain_writer_close(struct mth_chain_writer *writer);

/* A step whose original the caller has at hand, so that what lies below it need not be restored. */
struct mth_chain_given {
    size_t step;
    const struct mth_source *source;
};

struct mth_scratch;

/* What a caller has of the steps below the one that it asks for, and what it wants of them. All zeros: nothing. */
struct mth_chain_at_hand {
    const struct mth_chain_given *given;
    size_t n_given;
    /* Gets the original of the step's base where that was restored on the way, to be closed by the caller; its descriptor stays
     * -1 where it was not. NULL: not wanted. */
    struct mth_scratch *base;
};

/*
 * Restore a step, link by link through files without a name: the memory of one mth_decompress, and the space of two
 * originals, three where a link has an older base, whatever the chain's length.
 *
 * Shape     at_hand: NULL for nothing; scratch: a directory for these files, NULL for TMPDIR or /tmp; stats: of the step itself;
 *           *failed: the step to blame for damage, n_steps where the damage is not a step's; both may be NULL
 * Errors    those of mth_decompress; MTH_ERR_NOT_FOUND for a container that is missing
 */
int mth_chain_restore(const struct mth_chain *chain, const char *directory, size_t index,
                      const struct mth_chain_at_hand *at_hand, const char *scratch, struct mth_sink *sink,
                      const struct mth_stream_config *config, struct mth_container_stats *stats,
                      size_t *failed, struct mth_error *err);

/*
 * Restore every step without keeping any, each link once.
 *
 * Shape     report: called for each step with MTH_OK, or what is wrong with it; MTH_ERR_BASE where only a step below it is
 * Errors    of the place, not of the chain: MTH_ERR_IO for temporary files, MTH_ERR_NO_MEMORY, MTH_ERR_CANCELLED
 * Cost      memory as above; files for at most 2 + log2(n_steps) originals, twice as many where links have older bases
 */
typedef void mth_chain_report(void *arg, size_t index, int status, const struct mth_error *err);
int mth_chain_verify(const struct mth_chain *chain, const char *directory, const char *scratch,
                     const struct mth_stream_config *config, mth_chain_report *report, void *arg,
                     struct mth_error *err);

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
