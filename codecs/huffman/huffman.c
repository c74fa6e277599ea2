/*
 * huffman: length-limited canonical Huffman over bytes, in up to four interleaved streams. The wire format is in spec.md;
 * here is what ties it to the interface of codecs.
 */
#include "codecs/codec.h"
#include "codecs/huffman/huffman_block.h"

#include "base/checked.h"
#include "base/cpu.h"

#include <string.h>

enum { OPTION_BLOCK, OPTION_SPARSE, OPTION_GAIN };

static const char *const no_yes[] = {"no", "yes"};

static const struct mth_option options[] = {
    {"block", "a code for every 2^block bytes", 12, 20, 16, NULL},
    {"sparse", "code nearly constant blocks by their exceptions", 0, 1, 1, no_yes},
    {"gain", "percent by which a block must shrink, else it is left raw", 0, 50, 0, NULL},
};

struct huffman_state {
    struct mth_memory *memory;
    struct mth_huffman_encoder *encoder;
    struct mth_huffman_decoder *decoder;
};

const struct mth_huffman_kernel *mth_huffman_kernel_for(unsigned features)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (features & MTH_CPU_AVX2)
        return &mth_huffman_kernel_bmi2;
#else
    (void)features;
#endif
    return &mth_huffman_kernel_portable;
}

static struct mth_huffman_settings settings_of(const int64_t *values)
{
    return (struct mth_huffman_settings){.block_bytes = (size_t)1 << values[OPTION_BLOCK],
                                         .gain_percent = (unsigned)values[OPTION_GAIN],
                                         .sparse = values[OPTION_SPARSE] != 0};
}

/* All blocks raw. */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    size_t block_bytes = settings_of(values).block_bytes, n_blocks = src_bytes / block_bytes + 1, n;
    if (!mth_size_mul(n_blocks, 1 + MTH_HUFFMAN_SIZE_BYTES, &n) || !mth_size_add(n, src_bytes, &n))
        return 0;
    return n;
}

static void destroy(void *opaque)
{
    struct huffman_state *state = opaque;
    if (!state)
        return;
    mth_huffman_encoder_destroy(state->memory, state->encoder);
    mth_huffman_decoder_destroy(state->memory, state->decoder);
    mth_memory_free(state->memory, state);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    struct mth_huffman_settings settings = settings_of(values);
    const struct mth_huffman_kernel *kernel = mth_huffman_kernel_for(mth_cpu_features());
    struct huffman_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    if (sides & MTH_SIDE_ENCODE)
        state->encoder = mth_huffman_encoder_create(memory, &settings, kernel);
    if (sides & MTH_SIDE_DECODE)
        state->decoder = mth_huffman_decoder_create(memory, &settings, kernel);
    if ((sides & MTH_SIDE_ENCODE && !state->encoder) || (sides & MTH_SIDE_DECODE && !state->decoder)) {
        destroy(state);
        return MTH_ERR_NO_MEMORY;
    }
    *out = state;
    return MTH_OK;
}

/* Tables, and room for the exceptions of a sparse block: a gap of 4 bytes, its coding and a value each. */
static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    size_t block_bytes = settings_of(values).block_bytes;
    (void)side, (void)stream_bytes;
    return MTH_CODEC_SMALL_STATE_BYTES + mth_huffman_max_gap_bytes(block_bytes) +
           5 * mth_huffman_max_exceptions(block_bytes);
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct huffman_state *state = opaque;
    const struct mth_huffman_table *model = job->model;
    size_t n_bytes;
    int status = mth_huffman_encode(state->encoder, job->src.data, job->src.n_bytes,
                                    model ? &model->code : NULL, job->dst, job->dst_capacity, &n_bytes);
    if (!status)
        job->out = (struct mth_bytes){job->dst, n_bytes};
    return status;
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    struct huffman_state *state = opaque;
    for (size_t i = 0; i < n_jobs; i++) {
        int status = mth_huffman_decode(state->decoder, jobs[i].src.data, jobs[i].src.n_bytes, jobs[i].model,
                                        jobs[i].dst, jobs[i].dst_bytes);
        if (status)
            return status;
    }
    return MTH_OK;
}

/* ---- models: a code, with its table ready for decoding ---- */

struct huffman_counts {
    uint64_t n[MTH_HUFFMAN_SYMBOLS];
};

static void model_count(const int64_t *values, const struct mth_bytes *stream,
                        const struct mth_context *context, void *opaque)
{
    struct huffman_counts *counts = opaque;
    uint32_t n[MTH_BYTE_VALUES];
    (void)values;
    (void)context;
    mth_byte_histogram(stream->data, stream->n_bytes, n);
    for (size_t v = 0; v < MTH_HUFFMAN_SYMBOLS; v++)
        counts->n[v] += n[v];
}

static void model_merge(void *into, const void *from)
{
    struct huffman_counts *a = into;
    const struct huffman_counts *b = from;
    for (size_t v = 0; v < MTH_HUFFMAN_SYMBOLS; v++)
        a->n[v] += b->n[v];
}

static void make_table(const struct mth_huffman_code *code, struct mth_huffman_table *table)
{
    uint64_t scratch[MTH_HUFFMAN_ENTRIES];
    mth_huffman_table_build(code, MTH_HUFFMAN_MAX_LENGTH, scratch, table);
}

/* A symbol that is alone gets another beside it: a code has two at least. */
static int model_build(const int64_t *values, const void *opaque, void *model)
{
    struct huffman_counts counts = *(const struct huffman_counts *)opaque;
    struct mth_huffman_workspace workspace;
    struct mth_huffman_code code;
    size_t n_present = 0, present = 0;
    (void)values;
    for (size_t v = 0; v < MTH_HUFFMAN_SYMBOLS; v++) {
        if (counts.n[v]) {
            n_present++;
            present = v;
        }
    }
    if (n_present == 0)
        return MTH_ERR_UNSUPPORTED;
    if (n_present == 1)
        counts.n[present ^ 1] = 1;
    mth_huffman_code_build(counts.n, &workspace, &code);
    make_table(&code, model);
    return MTH_OK;
}

static int model_write(const void *opaque, struct mth_buffer *out)
{
    const struct mth_huffman_table *model = opaque;
    size_t n_bytes = mth_huffman_code_write(&model->code, NULL);
    if (out->capacity_bytes - out->n_bytes < n_bytes)
        return MTH_ERR_CAPACITY;
    mth_huffman_code_write(&model->code, out->data + out->n_bytes);
    out->n_bytes += n_bytes;
    return MTH_OK;
}

static int model_read(const int64_t *values, struct mth_bytes wire, void *model)
{
    struct mth_huffman_code code;
    (void)values;
    size_t n_taken = mth_huffman_code_read(wire.data, wire.n_bytes, &code);
    if (n_taken == 0 || n_taken != wire.n_bytes)
        return MTH_ERR_CORRUPT;
    make_table(&code, model);
    return MTH_OK;
}

static const struct mth_model_ops models = {
    .counts_bytes = sizeof(struct huffman_counts),
    .model_bytes = sizeof(struct mth_huffman_table),
    .wire_bound = MTH_HUFFMAN_CODE_BYTES,
    .count = model_count,
    .merge = model_merge,
    .build = model_build,
    .write = model_write,
    .read = model_read,
};

const struct mth_codec mth_codec_huffman = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "huffman",
    .summary = "canonical Huffman in four interleaved streams, a code a block",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
    .state_bytes = state_bytes,
    .models = &models,
};
