/*
 * Writes seeds of fuzz_codec and fuzz_transform: valid streams of everything that is registered, named after it.
 * usage: seeds DIRECTORY      writes DIRECTORY/codec/NAME-KIND and DIRECTORY/transform/NAME-KIND
 *        seeds --list         the codecs, one a line: own NAME or library NAME
 */
#include "tests/fuzz/codec_input.h"

#include "base/file.h"
#include "pipeline/mithril.h"
#include "tests/support/patterns.h"

#include <stdio.h>
#include <stdlib.h>

enum { RAW_BYTES = 512 };

/* The plug-in of examples/, linked in. */
extern const struct mth_plugin mth_plugin;

/* A kind of seed. options: the byte of every option of the codec. */
struct kind {
    const char *name;
    uint8_t flags, options;
    enum pattern pattern;
    unsigned n_streams;
};

static const struct kind kinds[] = {
    {"text", 0, 0, PATTERN_TEXT, 1},
    {"exponents", 0, 0, PATTERN_EXPONENT, 1},
    {"random", 0, 0, PATTERN_RANDOM, 1},
    {"zeros", 0, 0, PATTERN_ZEROS, 1},
    {"first-options", 0, 1, PATTERN_EXPONENT, 1},
    {"side-by-side", 0, 0, PATTERN_EXPONENT, 3},
    {"encode", CODEC_INPUT_ENCODE, 0, PATTERN_FLOAT, 1},
    {"context", CODEC_INPUT_CONTEXT, 2, PATTERN_MANTISSA, 1},
    {"model", CODEC_INPUT_MODEL, 0, PATTERN_EXPONENT, 2},
    {"context-model", CODEC_INPUT_CONTEXT | CODEC_INPUT_MODEL, 2, PATTERN_EXPONENT, 1},
    {"encode-model", CODEC_INPUT_ENCODE | CODEC_INPUT_CONTEXT | CODEC_INPUT_MODEL, 2, PATTERN_EXPONENT, 1},
};

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "seeds: %s\n", what);
    exit(1);
}

static void write_file(const char *directory, const char *target, const char *name, const char *kind,
                       struct mth_bytes bytes)
{
    char path[4096];
    struct mth_error err;
    int n = snprintf(path, sizeof path, "%s/%s/%s-%s", directory, target, name, kind);
    must(n > 0 && (size_t)n < sizeof path, "the directory's name is too long");
    must(mth_file_write_all(path, bytes, &err) == MTH_OK, err.text);
}

/* A seed on its way. */
struct seed {
    const struct mth_codec *codec;
    const struct kind *kind;
    struct mth_memory *memory;
    int64_t options[MTH_MAX_OPTIONS];
    struct codec_input input;
    uint8_t raw[RAW_BYTES], reference[RAW_BYTES];
    struct mth_context_part parts[2];
    struct mth_context context;
    void *model; /* NULL: none */
    uint8_t *wire;
};

/* A reference that differs from the stream in one byte of 16. */
static void add_context(struct seed *seed)
{
    memcpy(seed->reference, seed->raw, RAW_BYTES);
    for (size_t i = 0; i < RAW_BYTES; i += 16)
        seed->reference[i] ^= 1;
    seed->input.context = (struct mth_bytes){seed->reference, RAW_BYTES};
    seed->parts[0] =
        (struct mth_context_part){MTH_CONTEXT_STREAM, 0, codec_input_types[0], seed->input.context};
    seed->parts[1] =
        (struct mth_context_part){MTH_CONTEXT_REFERENCE, 0, codec_input_types[0], seed->input.context};
    seed->context = (struct mth_context){seed->parts, 2};
}

/* A model of the stream, and its wire form. */
static void add_model(struct seed *seed)
{
    const struct mth_model_ops *models = seed->codec->models;
    const struct mth_bytes raw = {seed->raw, RAW_BYTES};
    void *counts = calloc(1, models->counts_bytes);
    seed->model = mth_memory_calloc(seed->memory, 1, models->model_bytes);
    seed->wire = malloc(models->wire_bound);
    must(counts && seed->model && seed->wire, "no memory");
    struct mth_buffer wire = {seed->wire, 0, models->wire_bound};
    models->count(seed->options, &raw, &seed->context, counts);
    must(models->build(seed->options, counts, seed->model) == MTH_OK, "a model can not be built");
    must(models->write(seed->model, &wire) == MTH_OK, "a model can not be written");
    seed->input.model = (struct mth_bytes){seed->wire, wire.n_bytes};
    free(counts);
}

/* Code the stream with the first type that the codec takes; false when it can not with these options. */
static bool encode(struct seed *seed, struct mth_encode_job *job)
{
    void *state;
    if (seed->codec->create(seed->options, MTH_SIDE_ENCODE, seed->memory, &state) != MTH_OK)
        return false;
    int status = MTH_ERR_UNSUPPORTED;
    for (uint8_t i = 0; i < CODEC_INPUT_N_TYPES && status == MTH_ERR_UNSUPPORTED; i++) {
        seed->input.type = i;
        job->type = codec_input_types[i];
        status = seed->codec->encode(state, job);
    }
    seed->codec->destroy(state);
    return status == MTH_OK;
}

/* The head, then context, model and as many copies of the stream as there are streams. */
static void write_seed(const char *directory, const struct seed *seed, struct mth_bytes stream)
{
    size_t n_bytes = CODEC_INPUT_HEAD_BYTES + seed->input.context.n_bytes + seed->input.model.n_bytes +
                     seed->kind->n_streams * stream.n_bytes;
    uint8_t *bytes = malloc(n_bytes), *at = bytes + CODEC_INPUT_HEAD_BYTES;
    must(bytes != NULL, "no memory");
    codec_input_write_head(&seed->input, bytes);
    for (size_t i = 0; i < 2 + seed->kind->n_streams; i++) {
        struct mth_bytes part = i == 0 ? seed->input.context : i == 1 ? seed->input.model : stream;
        if (part.n_bytes)
            memcpy(at, part.data, part.n_bytes);
        at += part.n_bytes;
    }
    write_file(directory, "codec", seed->codec->name, seed->kind->name, (struct mth_bytes){bytes, n_bytes});
    free(bytes);
}

static void make_seed(const char *directory, const struct mth_codec *codec, const struct kind *kind)
{
    struct seed seed = {.codec = codec, .kind = kind, .memory = mth_memory_create(0)};
    seed.input = (struct codec_input){
        .codec = input_name(codec->name),
        .flags = (uint8_t)(kind->flags | (kind->n_streams - 1) << CODEC_INPUT_STREAMS_SHIFT),
        .raw_bytes = RAW_BYTES};
    memset(seed.input.options, kind->options, sizeof seed.input.options);
    input_options(codec->options, codec->n_options, seed.input.options, seed.options);
    pattern_fill(kind->pattern, 1, seed.raw, RAW_BYTES);
    must(seed.memory != NULL, "no memory");
    if (kind->flags & CODEC_INPUT_CONTEXT)
        add_context(&seed);
    bool is_raw = (kind->flags & CODEC_INPUT_ENCODE) != 0;
    if ((kind->flags & CODEC_INPUT_MODEL) && !is_raw)
        add_model(&seed);
    size_t capacity = codec->bound(seed.options, RAW_BYTES);
    uint8_t *room = malloc(capacity);
    must(room != NULL, "no memory");
    struct mth_encode_job job = {.src = {seed.raw, RAW_BYTES},
                                 .context = seed.context,
                                 .model = seed.model,
                                 .dst = room,
                                 .dst_capacity = capacity};
    bool is_coded = encode(&seed, &job);
    if (is_raw)
        seed.input.raw_bytes = 3 * RAW_BYTES + 1;
    if (is_coded)
        write_seed(directory, &seed, is_raw ? job.src : job.out);
    free(room);
    free(seed.wire);
    mth_memory_free(seed.memory, seed.model);
    mth_memory_destroy(seed.memory);
}

/* A pair: how many elements, of which type, lie between those that changed; from where on; and how far they moved. */
struct pair {
    const char *name;
    uint8_t type; /* of codec_input_types */
    uint16_t n_elems, first, every;
    uint8_t shift;
};

/* The base is a piece of a few elements again and again, so that a small seed is a long stream; a map of groups pays in long ones. */
static const struct pair pairs[] = {
    {"pair-u8", 0, 600, 0, 5, 0},
    {"pair-bf16", 2, 400, 0, 6, 0},
    {"pair-bf16-tail", 2, 333, 7, 3, 2},
    {"pair-bf16-far", 2, 300, 0, 4, 9},
    {"pair-bf16-map", 2, 9000, 8700, 2, 0},
    {"pair-f32", 3, 300, 0, 2, 11},
    {"pair-f64", 4, 150, 0, 2, 33},
    {"pair-u32-map", 5, 6000, 5900, 3, 5},
    {"pair-i64", 6, 150, 1, 4, 50},
    {"pair-same", 3, 500, 500, 1, 0},
    {"pair-bf16-lanes", 2, 33000, 32500, 5, 0},
};

/* One element in pair->every, from pair->first on, moves: its bits from pair->shift on count up. */
static void move_elements(const struct pair *pair, size_t lane_bytes, uint8_t *raw)
{
    for (size_t i = pair->first; i < pair->n_elems; i += pair->every) {
        uint8_t *p = raw + i * lane_bytes + pair->shift / 8;
        *p = (uint8_t)(*p + (1u << pair->shift % 8) * (i % 3 ? 1 : 255));
    }
}

static void make_pair_seed(const char *directory, const struct mth_codec *codec, const struct pair *pair,
                           bool is_raw)
{
    enum { PIECE_BYTES = 48, MAX_BYTES = 1 << 17 };
    static uint8_t raw[MAX_BYTES], base[MAX_BYTES], room[MAX_BYTES + 1],
        out[CODEC_INPUT_HEAD_BYTES + 2 * MAX_BYTES];
    struct mth_symbol_type type = codec_input_types[pair->type];
    size_t lane_bytes = type.container_bits / 8, n = pair->n_elems * lane_bytes;
    char kind[64];
    must(n <= MAX_BYTES && codec->bound(NULL, n) <= sizeof room, "a pair is too long");
    for (size_t at = 0; at < n; at += PIECE_BYTES)
        pattern_fill(PATTERN_FLOAT, 1, base + at, mth_size_min(PIECE_BYTES, n - at));
    memcpy(raw, base, n);
    move_elements(pair, lane_bytes, raw);
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_context_part part = {MTH_CONTEXT_REFERENCE, 0, type, {base, n}};
    struct mth_encode_job job = {
        .src = {raw, n}, .type = type, .context = {&part, 1}, .dst = room, .dst_capacity = sizeof room};
    void *state;
    must(codec->create(NULL, MTH_SIDE_ENCODE, memory, &state) == MTH_OK, "a state can not be made");
    must(codec->encode(state, &job) == MTH_OK, "a pair can not be coded");
    codec->destroy(state);
    mth_memory_destroy(memory);
    struct mth_bytes stream = is_raw ? job.src : job.out;
    struct codec_input input = {.codec = input_name(codec->name),
                                .flags = CODEC_INPUT_CONTEXT | (is_raw ? CODEC_INPUT_ENCODE : 0),
                                .type = pair->type,
                                .raw_bytes = n,
                                .context = {base, mth_size_min(PIECE_BYTES, n)}};
    codec_input_write_head(&input, out);
    memcpy(out + CODEC_INPUT_HEAD_BYTES, base, input.context.n_bytes);
    memcpy(out + CODEC_INPUT_HEAD_BYTES + input.context.n_bytes, stream.data, stream.n_bytes);
    snprintf(kind, sizeof kind, "%s%s", pair->name, is_raw ? "-encode" : "");
    write_file(directory, "codec", codec->name, kind,
               (struct mth_bytes){out, CODEC_INPUT_HEAD_BYTES + input.context.n_bytes + stream.n_bytes});
}

/* Short ones to encode, too. */
static void make_pair_seeds(const char *directory, const struct mth_codec *codec)
{
    enum { SHORT_ELEMS = 400 };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        make_pair_seed(directory, codec, &pairs[i], false);
        if (pairs[i].n_elems <= SHORT_ELEMS)
            make_pair_seed(directory, codec, &pairs[i], true);
    }
}

static bool applies(const struct mth_codec *codec, const struct kind *kind)
{
    if ((codec->flags & MTH_CODEC_IDENTITY) || (kind->options && codec->n_options == 0))
        return false;
    if ((kind->flags & CODEC_INPUT_CONTEXT) && !(codec->flags & MTH_CODEC_CONTEXT))
        return false;
    if (kind->n_streams > 1 && !(codec->flags & MTH_CODEC_INTERLEAVES))
        return false;
    return !(kind->flags & CODEC_INPUT_MODEL) || codec->models;
}

/* Elements, and the same bytes as streams. fuzz_transform.c says what an input means. */
static void make_transform_seed(const char *directory, const struct mth_transform *transform,
                                enum mth_dtype dtype, bool is_raw)
{
    enum { HEAD_BYTES = 16, N_BYTES = 203 };
    uint8_t seed[HEAD_BYTES + 2 * N_BYTES] = {0};
    char kind[64];
    mth_store32(seed, input_name(transform->name));
    seed[12] = is_raw;
    seed[13] = (uint8_t)dtype;
    seed[14] = N_BYTES;
    pattern_fill(PATTERN_MANTISSA, 1, seed + HEAD_BYTES, sizeof seed - HEAD_BYTES);
    snprintf(kind, sizeof kind, "%s%s", mth_dtype_info(dtype)->name, is_raw ? "" : "-inverse");
    write_file(directory, "transform", transform->name, kind, (struct mth_bytes){seed, sizeof seed});
}

static void list_codecs(void)
{
    const struct mth_codec *codec;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        if (!(codec->flags & MTH_CODEC_IDENTITY))
            printf("%s %s\n", codec->library ? "library" : "own", codec->name);
    }
}

static void make_seeds(const char *directory)
{
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_F8_E4M3, MTH_DTYPE_I64};
    const struct mth_codec *codec;
    const struct mth_transform *transform;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            if (applies(codec, &kinds[k]))
                make_seed(directory, codec, &kinds[k]);
        }
        if (codec->flags & MTH_CODEC_NEEDS_REFERENCE)
            make_pair_seeds(directory, codec);
    }
    for (size_t i = 0; (transform = mth_transform_at(i)) != NULL; i++) {
        for (size_t k = 0; k < 2 * sizeof dtypes / sizeof dtypes[0]; k++)
            make_transform_seed(directory, transform, dtypes[k / 2], k % 2 == 0);
    }
}

int main(int argc, char **argv)
{
    must(argc == 2, "usage: seeds DIRECTORY|--list");
    for (size_t i = 0; i < mth_plugin.n_codecs; i++)
        must(mth_codec_register(mth_plugin.codecs[i], NULL) == MTH_OK, "the plug-in is not taken");
    if (strcmp(argv[1], "--list") == 0)
        list_codecs();
    else
        make_seeds(argv[1]);
    return 0;
}
