/* The engines behind mth_compress and mth_decompress, on a coder that exists. */
#ifndef MTH_PIPELINE_STREAM_H
#define MTH_PIPELINE_STREAM_H

#include "pipeline/bundle.h"

/* The callback of a config. */
struct mth_stream_progress {
    int (*call)(void *arg, uint64_t n_done, uint64_t n_total);
    void *arg;
};

struct mth_stream_sampled;

/* What mth_compress is told, but for its config. */
struct mth_stream_encode_job {
    const struct mth_pipeline *pipeline;
    const struct mth_source *input;
    const struct mth_region_map *map;
    const struct mth_stream_base *base;           /* NULL: none */
    const struct mth_file_attributes *attributes; /* NULL: none */
    struct mth_sink *sink;
    struct mth_stream_progress progress;
    bool verify;
    bool lossy;                         /* a lossy pipeline may be used */
    uint64_t sample_every;              /* code only the first bundle and one in so many; 0: all */
    struct mth_stream_sampled *sampled; /* what those were; NULL: nobody asks */
};

/* The bundles of a sample, the first of the file apart: it holds the header, and is not like the others. */
struct mth_stream_sampled {
    uint64_t first_raw_bytes, first_block_bytes;
    uint64_t rest_raw_bytes, rest_block_bytes;
};

int mth_stream_encode(struct mth_coder *coder, const struct mth_stream_encode_job *job,
                      struct mth_container_stats *stats, struct mth_error *err);

struct mth_stream_decode_job {
    struct mth_input *input;
    const struct mth_stream_base *base; /* NULL: none */
    struct mth_sink *sink;              /* NULL: nowhere */
    bool without_base;                  /* check what can be checked when there is no base */
    struct mth_stream_progress progress;
};

int mth_stream_decode(struct mth_coder *coder, const struct mth_stream_decode_job *job,
                      struct mth_container_stats *stats, struct mth_error *err);

#endif
