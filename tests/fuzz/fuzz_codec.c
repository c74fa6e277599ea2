/*
 * Fuzz target: any bytes as encoded streams of any codec; codec_input.h says what they mean.
 *
 * Whatever they are, decoding ends with a status of the enum, writes nothing outside its room, keeps nothing, and when it
 * says that all is well it wrote every byte, the same whatever was there before. The other half codes the bytes and wants
 * them back.
 *
 * MTH_FUZZ_CODEC=NAME passes over the inputs of all codecs but one. Libraries are not instrumented, so that all rooms end at
 * guard pages.
 */
#include "tests/fuzz/codec_input.h"
#include "tests/fuzz/rooms.h"

#include "pipeline/mithril.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Above the state of any decoder, and of encoders that are worth their time here; what wants more is left out. */
enum { MEMORY_BYTES = 96 << 20, MAX_PAIR_BYTES = 4096 };

static struct rooms rooms;

/* The plug-in of examples/, linked in. */
extern const struct mth_plugin mth_plugin;

static const struct mth_codec *aimed_at; /* NULL: all */

static void must(int holds)
{
    if (!holds)
        abort();
}

static void set_up(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    for (size_t i = 0; i < mth_plugin.n_codecs; i++)
        must(mth_codec_register(mth_plugin.codecs[i], NULL) == MTH_OK);
    const char *name = getenv("MTH_FUZZ_CODEC");
    aimed_at = name ? mth_codec_find(name, strlen(name)) : NULL;
    if (name && !aimed_at) {
        fprintf(stderr, "MTH_FUZZ_CODEC: there is no codec %s\n", name);
        exit(1);
    }
}

/* A name that is unknown still means some codec, so that mutations of it are worth something. */
static const struct mth_codec *find_codec(uint32_t name)
{
    size_t n = 0;
    for (const struct mth_codec *codec; (codec = mth_codec_at(n)) != NULL; n++) {
        if (input_name(codec->name) == name)
            return codec;
    }
    return mth_codec_at(name % n);
}

static struct mth_bytes guarded(struct mth_bytes bytes)
{
    return (struct mth_bytes){rooms_copy(&rooms, bytes.data, bytes.n_bytes), bytes.n_bytes};
}

static void check_status(int status)
{
    must(status <= 0 && status >= MTH_STATUS_LAST && status != MTH_ERR_INTERNAL);
}

/* One run of the target. */
struct trial {
    const struct mth_codec *codec;
    int64_t options[MTH_MAX_OPTIONS];
    const struct codec_input *input;
    struct mth_memory *memory;
    struct mth_context_part parts[2];
    struct mth_context context;
    void *model;
};

/*
 * Decode all streams by a state of their own into rooms of poison.
 *
 * Shape     streams, dst: n of them; each dst has n_dst bytes
 */
static int decode(const struct trial *trial, const struct mth_bytes *streams, size_t n, uint8_t *const *dst,
                  size_t n_dst, int poison)
{
    struct mth_decode_job jobs[CODEC_INPUT_MAX_STREAMS];
    void *state;
    int status = trial->codec->create(trial->options, MTH_SIDE_DECODE, trial->memory, &state);
    check_status(status);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++) {
        memset(dst[i], poison, n_dst);
        jobs[i] = (struct mth_decode_job){.src = streams[i],
                                          .type = codec_input_types[trial->input->type],
                                          .context = trial->context,
                                          .model = trial->model,
                                          .dst = dst[i],
                                          .dst_bytes = n_dst};
    }
    status = trial->codec->decode(state, jobs, n);
    check_status(status);
    for (size_t i = 0; i < n; i++)
        rooms_check_front(dst[i]);
    trial->codec->destroy(state);
    return status;
}

static void try_decoding(struct trial *trial)
{
    const struct codec_input *input = trial->input;
    struct mth_bytes streams[CODEC_INPUT_MAX_STREAMS];
    uint8_t *dst[CODEC_INPUT_MAX_STREAMS], *again[CODEC_INPUT_MAX_STREAMS];
    for (size_t i = 0; i < input->n_streams; i++) {
        streams[i] = guarded(input->streams[i]);
        dst[i] = rooms_take(&rooms, input->raw_bytes);
        again[i] = rooms_take(&rooms, input->raw_bytes);
    }
    int status = decode(trial, streams, input->n_streams, dst, input->raw_bytes, 0x5a);
    if (status == MTH_OK) {
        must(decode(trial, streams, input->n_streams, again, input->raw_bytes, 0xc3) == MTH_OK);
        for (size_t i = 0; i < input->n_streams; i++)
            must(memcmp(dst[i], again[i], input->raw_bytes) == 0);
    }
}

/* Code raw; the stream is a guarded copy. */
static int encode(const struct trial *trial, struct mth_bytes raw, struct mth_bytes *encoded)
{
    void *state;
    int status = trial->codec->create(trial->options, MTH_SIDE_ENCODE, trial->memory, &state);
    check_status(status);
    if (status)
        return status;
    size_t capacity = trial->codec->bound(trial->options, raw.n_bytes);
    must(capacity > 0);
    uint8_t *room = rooms_take(&rooms, capacity);
    struct mth_encode_job job = {.src = raw,
                                 .type = codec_input_types[trial->input->type],
                                 .context = trial->context,
                                 .model = trial->model,
                                 .dst = room,
                                 .dst_capacity = capacity};
    status = trial->codec->encode(state, &job);
    check_status(status);
    must(status != MTH_ERR_CAPACITY);
    rooms_check_front(room);
    if (status == MTH_OK)
        *encoded = guarded(job.out);
    trial->codec->destroy(state);
    return status;
}

/* A piece, repeated up to n bytes. */
static struct mth_bytes repeat(struct mth_bytes piece, size_t n)
{
    uint8_t *raw = rooms_take(&rooms, n);
    for (size_t at = 0; at < n; at += mth_size_min(piece.n_bytes, n - at)) {
        if (piece.n_bytes == 0) {
            memset(raw, 0, n);
            break;
        }
        memcpy(raw + at, piece.data, mth_size_min(piece.n_bytes, n - at));
    }
    return (struct mth_bytes){raw, n};
}

/* A model of what is to be coded, written and read again as a decoder would get it; false when there is none. */
static bool build_model(const struct trial *trial, struct mth_bytes raw, void *model)
{
    const struct mth_model_ops *models = trial->codec->models;
    void *counts = calloc(1, models->counts_bytes);
    must(counts != NULL);
    models->count(trial->options, &raw, &trial->context, counts);
    int status = models->build(trial->options, counts, model);
    free(counts);
    check_status(status);
    if (status)
        return false;
    uint8_t *room = rooms_take(&rooms, models->wire_bound);
    struct mth_buffer wire = {room, 0, models->wire_bound};
    must(models->write(model, &wire) == MTH_OK);
    must(models->read(trial->options, (struct mth_bytes){room, wire.n_bytes}, model) == MTH_OK);
    return true;
}

static void try_round_trip(struct trial *trial)
{
    struct mth_bytes raw = repeat(trial->input->streams[0], trial->input->raw_bytes), encoded;
    if (trial->model && !build_model(trial, raw, trial->model)) {
        mth_memory_free(trial->memory, trial->model);
        trial->model = NULL;
    }
    if (encode(trial, raw, &encoded) == MTH_OK) {
        uint8_t *dst = rooms_take(&rooms, raw.n_bytes);
        int status = decode(trial, &encoded, 1, &dst, raw.n_bytes, 0x5a);
        must(status == MTH_OK || status == MTH_ERR_NO_MEMORY);
        must(status != MTH_OK || memcmp(dst, raw.data, raw.n_bytes) == 0);
    }
}

/* The model that the input brings; NULL without one, or when it is none. */
static void *read_model(const struct trial *trial)
{
    const struct mth_model_ops *models = trial->codec->models;
    if (!models || !(trial->input->flags & CODEC_INPUT_MODEL))
        return NULL;
    void *model = mth_memory_alloc(trial->memory, models->model_bytes);
    must(model != NULL);
    memset(model, 0, models->model_bytes);
    if (trial->input->flags & CODEC_INPUT_ENCODE)
        return model;
    struct mth_bytes wire = guarded(trial->input->model);
    int status = models->read(trial->options, wire, model);
    check_status(status);
    if (status == MTH_OK)
        return model;
    mth_memory_free(trial->memory, model);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct codec_input input;
    set_up();
    rooms_reset(&rooms);
    if (!codec_input_read((struct mth_bytes){data, size}, &input))
        return 0;
    struct trial trial = {.codec = find_codec(input.codec), .input = &input};
    if ((trial.codec->flags & MTH_CODEC_IDENTITY) || (aimed_at && trial.codec != aimed_at))
        return 0;
    input_options(trial.codec->options, trial.codec->n_options, input.options, trial.options);
    trial.memory = mth_memory_create(MEMORY_BYTES);
    must(trial.memory != NULL);
    /* A reference that such a codec looks at is as long as what is decoded. */
    bool is_pair = (trial.codec->flags & MTH_CODEC_NEEDS_REFERENCE) != 0;
    /* Every long pair can be coded, which takes its time; a short one has all forms too. */
    if (is_pair && (input.flags & CODEC_INPUT_ENCODE))
        input.raw_bytes = mth_size_min(input.raw_bytes, MAX_PAIR_BYTES);
    struct mth_bytes context = is_pair ? repeat(input.context, input.raw_bytes) : guarded(input.context);
    if (input.flags & CODEC_INPUT_CONTEXT) {
        struct mth_symbol_type type = codec_input_types[input.type];
        trial.parts[0] = (struct mth_context_part){MTH_CONTEXT_STREAM, 0, type, context};
        trial.parts[1] = (struct mth_context_part){MTH_CONTEXT_REFERENCE, 0, type, context};
        trial.context = (struct mth_context){trial.parts, 2};
    }
    trial.model = read_model(&trial);
    if (input.flags & CODEC_INPUT_ENCODE)
        try_round_trip(&trial);
    else
        try_decoding(&trial);
    mth_memory_free(trial.memory, trial.model);
    must(mth_memory_current(trial.memory) == 0);
    mth_memory_destroy(trial.memory);
    return 0;
}
