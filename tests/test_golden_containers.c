/*
 * Golden containers: what was written once restores, and what is written now is the same bytes. tests/golden/containers.def has a
 * line for each; every block, mode of a chunk, predictor, transform and codec of our own that there is stands in one of them.
 *
 * MTH_GOLDEN_WRITE=1 writes those that are missing, MTH_GOLDEN_WRITE=all all of them (`make golden-containers`).
 */
#include "pipeline/container_read.h"
#include "tests/support/golden_inputs.h"
#include "tests/support/made_container.h"

#include "base/checked.h"
#include "base/file.h"
#include "transforms/predictors/predictor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER    "tests/golden/containers/"
#define LIBRARIES FOLDER "libraries.tsv"

enum { PATH_BYTES = 200, MAX_FILE_BYTES = 1 << 16, MODE = 0640, MAX_STAGES = 64, MAX_SPEC_BYTES = 4096 };

struct golden {
    const char *name, *spec;
    enum golden_input input, base, older;
    unsigned chunk_log2;
    bool is_of_before; /* it restores, and is written in another way now, in fewer bytes */
};

static const struct golden goldens[] = {
#define CONTAINER_OLDER(name, spec, input, base, older, chunk_log2) \
    {#name, spec, GOLDEN_##input, GOLDEN_##base, GOLDEN_##older, chunk_log2, false},
#define CONTAINER_BEFORE(name, spec, input, base, older, chunk_log2) \
    {#name, spec, GOLDEN_##input, GOLDEN_##base, GOLDEN_##older, chunk_log2, true},
#define CONTAINER(name, spec, input, base, chunk_log2) \
    CONTAINER_OLDER(name, spec, input, base, NONE, chunk_log2)
#include "tests/golden/containers.def"
#undef CONTAINER
#undef CONTAINER_OLDER
#undef CONTAINER_BEFORE
};
enum { N_GOLDENS = sizeof goldens / sizeof goldens[0] };

/* ---- writing ---- */

/* What a container is coded against. */
struct base {
    struct made *made, *made_older;
    struct made_base_source source, older;
};

static void open_base(const struct golden *golden, struct mth_memory *memory, struct base *base)
{
    *base = (struct base){.made = golden_input(golden->base), .made_older = golden_input(golden->older)};
    if (!base->made)
        return;
    made_base_source(base->made, &base->source);
    if (base->made_older) {
        made_base_source(base->made_older, &base->older);
        base->source.base.older = &base->older.base;
    }
    if (golden->base != GOLDEN_PARTS_PACKED)
        return;
    struct mth_container_stats stats;
    struct mth_bytes packed = made_compress(memory, 1, 1 << 14, "store", base->made, NULL, &stats);
    made_container_free(packed);
    base->source.base.has_digest = true;
    memcpy(base->source.base.digest, stats.digest, sizeof stats.digest);
}

static void close_base(struct base *base)
{
    if (base->made)
        made_free(base->made);
    if (base->made_older)
        made_free(base->made_older);
}

/* Does this build know the stages of its spec? */
static bool is_known(const struct golden *golden)
{
    struct mth_pipeline *pipeline;
    struct mth_error err;
    if (mth_pipeline_parse(golden->spec, golden->base != GOLDEN_NONE, &pipeline, &err))
        return false;
    mth_pipeline_destroy(pipeline);
    return true;
}

static struct mth_bytes compress(const struct golden *golden, struct mth_memory *memory)
{
    const struct mth_file_attributes attributes = {
        .known = true, .mode = MODE, .mtime_s = 1600000000, .mtime_ns = 5};
    struct mth_stream_config config = made_config(memory, 2, (size_t)1 << golden->chunk_log2);
    struct made *input = golden_input(golden->input);
    struct mth_buffer out = {.capacity_bytes = 2 * input->map.n_bytes + (1 << 20)};
    struct mth_pipeline *pipeline;
    struct mth_source source;
    struct mth_sink sink;
    struct mth_error err = {0};
    struct base base;
    config.verify = config.lossy = true;
    open_base(golden, memory, &base);
    out.data = malloc(out.capacity_bytes);
    assert_non_null(out.data);
    mth_sink_memory(&out, &sink);
    mth_source_memory("input", (struct mth_bytes){input->data, (size_t)input->map.n_bytes}, &source);
    if (mth_pipeline_parse(golden->spec, base.made != NULL, &pipeline, &err) ||
        mth_compress(pipeline, &source, &input->map, base.made ? &base.source.base : NULL, &attributes, &sink,
                     &config, NULL, &err))
        fail_msg("%s: %s", golden->name, err.text);
    mth_pipeline_destroy(pipeline);
    close_base(&base);
    made_free(input);
    return (struct mth_bytes){out.data, out.n_bytes};
}

static void path_of(const struct golden *golden, const char *suffix, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, FOLDER "%s.%s", golden->name, suffix);
}

/* Empty where there is none; the caller frees it. */
static struct mth_buffer read_file(const char *path)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer file = {0}, copy = {0};
    struct mth_error err;
    if (mth_file_read_all(path, memory, &file, &err) == MTH_OK) {
        copy = (struct mth_buffer){.data = malloc(file.n_bytes + 1), .n_bytes = file.n_bytes};
        assert_non_null(copy.data);
        memcpy(copy.data, file.data, file.n_bytes);
        copy.data[file.n_bytes] = '\0';
        mth_memory_free(memory, file.data);
    }
    mth_memory_destroy(memory);
    return copy;
}

static void write_file(const char *path, struct mth_bytes bytes)
{
    struct mth_error err;
    if (mth_file_write_all(path, bytes, &err))
        fail_msg("%s", err.text);
    print_message("wrote %s, %zu bytes\n", path, bytes.n_bytes);
}

/* Too large to keep, it is kept as its hash. */
static const char *suffix_of(struct mth_bytes container)
{
    return container.n_bytes <= MAX_FILE_BYTES ? "mth" : "xxh3";
}

static struct mth_bytes kept_of(struct mth_bytes container, char text[32])
{
    if (container.n_bytes <= MAX_FILE_BYTES)
        return container;
    int n =
        snprintf(text, 32, "%016llx\n", (unsigned long long)mth_hash64(container.data, container.n_bytes, 0));
    return (struct mth_bytes){(const uint8_t *)text, (size_t)n};
}

static void write_golden(const struct golden *golden, bool all)
{
    struct mth_memory *memory = mth_memory_create(0);
    char path[PATH_BYTES], text[32];
    if (!is_known(golden)) {
        print_message("%s: this build lacks a library for it\n", golden->name);
        mth_memory_destroy(memory);
        return;
    }
    struct mth_bytes made = compress(golden, memory), kept = kept_of(made, text);
    path_of(golden, suffix_of(made), path);
    struct mth_buffer file = read_file(path);
    if (!file.data || (all && (file.n_bytes != kept.n_bytes || memcmp(file.data, kept.data, kept.n_bytes))))
        write_file(path, kept);
    free(file.data);
    made_container_free(made);
    mth_memory_destroy(memory);
}

/* Which version of each library wrote them: its bytes may change with it, what they restore to must not. */
static void write_libraries(void)
{
    static char text[MAX_SPEC_BYTES];
    const struct mth_codec *codec;
    size_t n = 0;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++)
        if (codec->library)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s\t%s\n", codec->name, codec->library());
    write_file(LIBRARIES, (struct mth_bytes){(const uint8_t *)text, n});
}

static void write_all(void **state)
{
    bool all = *(bool *)*state;
    for (size_t i = 0; i < N_GOLDENS; i++)
        if (!goldens[i].is_of_before)
            write_golden(&goldens[i], all);
    if (all)
        write_libraries();
}

/* ---- what is in a spec ---- */

/* The words of stages in a canonical text. */
static size_t stages_of(const char *spec, char words[MAX_STAGES][32])
{
    size_t n = 0;
    while (*spec && n < MAX_STAGES) {
        size_t n_stage = strcspn(spec, "+/,"), n_word = strcspn(spec, "@:+/,");
        snprintf(words[n++], 32, "%.*s", (int)n_word, spec);
        spec += n_stage;
        spec += strspn(spec, "+/,");
    }
    return n;
}

/* Were the libraries of its codecs those that are at hand? */
static bool has_same_libraries(const char *spec, const char *libraries)
{
    char words[MAX_STAGES][32], line[PATH_BYTES];
    size_t n = stages_of(spec, words);
    for (size_t i = 0; i < n; i++) {
        const struct mth_codec *codec = mth_codec_find(words[i], strlen(words[i]));
        if (!codec || !codec->library)
            continue;
        snprintf(line, sizeof line, "%s\t%s\n", codec->name, codec->library());
        const char *found = strstr(libraries, line);
        if (!found || (found != libraries && found[-1] != '\n') || codec->flags & MTH_CODEC_VARIES)
            return false;
    }
    return true;
}

/* ---- the laws ---- */

static void restore(const struct golden *golden, struct mth_memory *memory, struct mth_bytes container,
                    bool in_order, uint8_t *dst, size_t n_bytes)
{
    struct mth_stream_config config = made_config(memory, 1 + !in_order, 0);
    struct mth_buffer out = {.data = dst, .capacity_bytes = n_bytes};
    struct mth_container_stats stats;
    struct mth_source source;
    struct mth_input input;
    struct mth_sink sink;
    struct mth_error err = {0};
    struct base base;
    open_base(golden, memory, &base);
    mth_source_memory("container", container, &source);
    mth_input_source(&source, &input);
    mth_sink_memory(&out, &sink);
    if (mth_decompress(&input, base.made ? &base.source.base : NULL, &sink, &config, &stats, &err))
        fail_msg("%s: %s", golden->name, err.text);
    assert_int_equal(out.n_bytes, n_bytes);
    assert_true(stats.attributes.known && stats.attributes.mode == MODE);
    close_base(&base);
}

static bool is_lossy(struct mth_bytes container)
{
    return container.data[5] & MTH_HEAD_LOSSY;
}

static void restores(void **state)
{
    const struct golden *golden = *state;
    struct mth_memory *memory = mth_memory_create(0);
    char path[PATH_BYTES];
    path_of(golden, "mth", path);
    struct mth_buffer file = read_file(path);
    if (!is_known(golden)) {
        print_message("[  MISSING ] this build lacks a library for %s\n", golden->name);
        free(file.data);
        mth_memory_destroy(memory);
        skip();
    }
    struct mth_bytes container = {file.data, file.n_bytes};
    if (!file.data) {
        char hash[PATH_BYTES];
        path_of(golden, "xxh3", hash);
        struct mth_buffer note = read_file(hash);
        if (!note.data)
            fail_msg("%s is missing: make golden-containers", path);
        free(note.data);
        container = compress(golden, memory);
    }
    struct made *input = golden_input(golden->input);
    size_t n = (size_t)input->map.n_bytes;
    uint8_t *back[2] = {malloc(n + 1), malloc(n + 1)};
    assert_true(back[0] && back[1]);
    for (int in_order = 0; in_order < 2; in_order++)
        restore(golden, memory, container, in_order, back[in_order], n);
    assert_memory_equal(back[0], back[1], n);
    if (is_lossy(container)) {
        /* To what the present writer quantizes it to. */
        struct mth_bytes now = compress(golden, memory);
        restore(golden, memory, now, true, back[1], n);
        made_container_free(now);
    }
    assert_memory_equal(back[0], is_lossy(container) ? back[1] : input->data, n);
    free(back[0]);
    free(back[1]);
    made_container_free(container);
    made_free(input);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void is_written_as_ever(void **state)
{
    const struct golden *golden = *state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer libraries = read_file(LIBRARIES), file;
    char path[PATH_BYTES], text[32], specs[MAX_SPEC_BYTES] = "";
    if (!libraries.data)
        fail_msg("%s is missing", LIBRARIES);
    bool compares = is_known(golden);
    if (compares) {
        struct mth_bytes made = compress(golden, memory), kept = kept_of(made, text);
        struct mth_stream_config config = made_config(memory, 1, 0);
        struct mth_container *container;
        struct mth_container_info info;
        struct mth_source source;
        struct mth_error err;
        mth_source_memory("made", made, &source);
        assert_int_equal(mth_container_open(&source, &config, &container, &err), MTH_OK);
        mth_container_describe(container, &info);
        for (size_t i = 0; i < info.n_specs; i++)
            snprintf(specs + strlen(specs), sizeof specs - strlen(specs), "%s,",
                     mth_container_spec(container, i));
        /* Names of tensors may be in a frame of zstd. */
        snprintf(specs + strlen(specs), sizeof specs - strlen(specs), info.has_base ? "zstd" : "store");
        mth_container_close(container);
        compares = has_same_libraries(specs, (const char *)libraries.data);
        path_of(golden, suffix_of(made), path);
        file = read_file(path);
        if (compares && golden->is_of_before)
            assert_true(kept.n_bytes < file.n_bytes);
        else if (compares &&
                 (file.n_bytes != kept.n_bytes || memcmp(file.data, kept.data, kept.n_bytes) != 0))
            fail_msg("%s: %zu bytes are written now, and they are others than the %zu there", path,
                     made.n_bytes, file.n_bytes);
        free(file.data);
        made_container_free(made);
    }
    free(libraries.data);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    if (!compares) {
        print_message("[  MISSING ] %s was written with another version of a library\n", golden->name);
        skip();
    }
}

/* ---- coverage ---- */

struct seen {
    bool blocks[16], modes[16], predictors[MTH_N_PREDICTORS], dtypes[MTH_N_DTYPES];
    bool lossy, base_digest, converted, older;
    char *stages; /* with a comma on both sides of each */
};

static void note_specs(struct seen *seen, const struct mth_container_front *front)
{
    for (size_t i = 0; i < front->n_specs; i++) {
        char words[MAX_STAGES][32];
        size_t n = stages_of(front->specs[i]->pipeline->text, words);
        for (size_t k = 0; k < n; k++) {
            char word[40];
            snprintf(word, sizeof word, ",%.31s,", words[k]);
            if (!strstr(seen->stages, word))
                strcat(seen->stages, word);
        }
    }
}

static void note_blocks(struct seen *seen, struct mth_bytes container)
{
    size_t at = MTH_HEAD_BYTES;
    while (at + MTH_TRAILER_BYTES < container.n_bytes) {
        seen->blocks[container.data[at] & 15] = true;
        at += MTH_BLOCK_HEAD_BYTES + mth_load32(container.data + at + 4);
    }
}

static void note_bundles(struct seen *seen, struct mth_bytes bytes, struct mth_memory *memory)
{
    struct mth_coder *coder = made_coder(memory, 1, 0);
    struct mth_container_reader reader = {.memory = memory};
    struct mth_source source;
    struct mth_input input;
    struct mth_error err;
    struct mth_bundle bundle = {.memory = memory};
    uint8_t *scratch = NULL;
    size_t capacity = 0;
    mth_source_memory("golden", bytes, &source);
    mth_input_source(&source, &input);
    int status = mth_container_reader_open(&reader, coder, &input, &err);
    while (!status) {
        struct mth_found_bundle found;
        status = mth_container_reader_next(&reader, &scratch, &capacity, &found, &err);
        if (status || reader.finished)
            break;
        struct mth_bundle_decoder decoder = {
            .coder = coder, .front = &reader.front, .chunk_bytes = reader.head.chunk_bytes};
        status = mth_bundle_parse(&decoder, found.body, found.offset, &bundle, &err);
        for (size_t i = 0; !status && i < bundle.n_chunks; i++) {
            seen->modes[bundle.chunks[i].mode] = true;
            seen->dtypes[bundle.chunks[i].dtype] = true;
            if (bundle.chunks[i].has_reference && !mth_chunk_is_predicted(bundle.chunks[i].mode))
                seen->converted |=
                    reader.front.references[bundle.segments[bundle.chunks[i].first].reference].dtype !=
                    bundle.chunks[i].dtype;
            if (mth_chunk_is_predicted(bundle.chunks[i].mode))
                seen->predictors[bundle.chunks[i].predictor] = true;
        }
    }
    if (status)
        fail_msg("%s", err.text);
    seen->lossy |= reader.head.is_lossy;
    seen->base_digest |= reader.front.base.has_digest;
    seen->older |= reader.front.has_older;
    note_specs(seen, &reader.front);
    mth_memory_free(memory, scratch);
    mth_bundle_free(&bundle);
    mth_container_reader_free(&reader);
    mth_coder_destroy(coder);
}

static void every_form_has_its_golden(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct seen seen = {.stages = calloc(1, MAX_SPEC_BYTES)};
    assert_non_null(seen.stages);
    for (size_t i = 0; i < N_GOLDENS; i++) {
        char path[PATH_BYTES];
        path_of(&goldens[i], "mth", path);
        struct mth_buffer file = read_file(path);
        if (file.data && is_known(&goldens[i])) {
            note_blocks(&seen, (struct mth_bytes){file.data, file.n_bytes});
            note_bundles(&seen, (struct mth_bytes){file.data, file.n_bytes}, memory);
        }
        free(file.data);
    }
    for (unsigned type = MTH_BLOCK_SPEC; type <= MTH_BLOCK_LAYOUT; type++)
        if (!seen.blocks[type])
            fail_msg("no golden has a block of type %u", type);
    for (unsigned mode = 0; mode <= MTH_CHUNK_AS_PREDICTED; mode++)
        if (!seen.modes[mode] && mode != MTH_CHUNK_COPY_OF_EARLIER && mode != MTH_CHUNK_DERIVED)
            fail_msg("no golden has a chunk of mode %u", mode);
    for (unsigned p = 0; p < MTH_N_PREDICTORS; p++)
        if (!seen.predictors[p])
            fail_msg("no golden has the predictor %u", p);
    assert_true(seen.lossy && seen.base_digest && seen.converted && seen.older);
    const struct mth_codec *codec;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        char word[40];
        snprintf(word, sizeof word, ",%s,", codec->name);
        if (!strstr(seen.stages, word))
            fail_msg("no golden has the codec %s", codec->name);
    }
    const struct mth_transform *transform;
    for (size_t i = 0; (transform = mth_transform_at(i)) != NULL; i++) {
        char word[40];
        snprintf(word, sizeof word, ",%s,", transform->name);
        if (!strstr(seen.stages, word))
            fail_msg("no golden has the transform %s", transform->name);
    }
    free(seen.stages);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

int main(void)
{
    static struct CMUnitTest tests[2 * N_GOLDENS + 1];
    static char names[2 * N_GOLDENS][64];
    const char *writes = getenv("MTH_GOLDEN_WRITE");
    bool all = writes && strcmp(writes, "all") == 0;
    if (writes && *writes) {
        const struct CMUnitTest writing[] = {cmocka_unit_test_prestate(write_all, &all)};
        return cmocka_run_group_tests(writing, NULL, NULL);
    }
    for (size_t i = 0; i < N_GOLDENS; i++) {
        snprintf(names[2 * i], sizeof names[0], "%s_restores", goldens[i].name);
        snprintf(names[2 * i + 1], sizeof names[0], "%s_is_written_as_ever", goldens[i].name);
        tests[2 * i] =
            (struct CMUnitTest){names[2 * i], restores, NULL, NULL, (void *)(uintptr_t)&goldens[i]};
        tests[2 * i + 1] = (struct CMUnitTest){names[2 * i + 1], is_written_as_ever, NULL, NULL,
                                               (void *)(uintptr_t)&goldens[i]};
    }
    tests[2 * N_GOLDENS] = (struct CMUnitTest)cmocka_unit_test(every_form_has_its_golden);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
